"""PSNR and SSIM against closed forms and against scikit-image, an independent implementation."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from dyntex.benchmarks.metrics.psnr_ssim import exact_frames, psnr, ssim
from dyntex.clip import Clip
from dyntex.errors import InputError


def clip(video: Tensor) -> Clip:
    return Clip(video.float(), Fraction(25))


@pytest.fixture
def pair(rng: torch.Generator) -> tuple[Clip, Clip]:
    """A textured clip and a noisy, darkened copy whose noise grows from frame to frame; nothing is square."""
    a = torch.rand(3, 5, 23, 37, generator=rng) * 1.6 - 0.8
    noise = torch.randn(a.shape, generator=rng) * torch.linspace(0.02, 0.3, 5).view(1, 5, 1, 1)
    return clip(a), clip((0.8 * a - 0.1 + noise).clamp(-1, 1))


def test_psnr_is_the_mean_of_frame_values_in_closed_form() -> None:
    # Offsets of 0.1 and 0.4 give exactly 10 log10(4/.01) and 10 log10(4/.16); pooling the errors first would give
    # 10 log10(4/.085) = 16.7 instead of their mean, 20.0.
    b = torch.stack([torch.full((3, 4, 6), 0.1), torch.full((3, 4, 6), 0.4)], dim=1)
    expected = (10 * math.log10(4 / 0.01) + 10 * math.log10(4 / 0.16)) / 2
    # float32 pixels: 0.1 and 0.4 are stored to 6e-8, hence 1e-6 dB and less.
    assert psnr(clip(torch.zeros_like(b)), clip(b), data_range=2.0) == pytest.approx(expected, abs=2e-6)


def test_psnr_follows_the_data_range(pair: tuple[Clip, Clip]) -> None:
    assert psnr(*pair, data_range=2.0) - psnr(*pair, data_range=1.0) == pytest.approx(20 * math.log10(2), abs=1e-9)


def test_psnr_equals_scikit_image(pair: tuple[Clip, Clip]) -> None:
    a, b = (c.video.double().numpy() for c in pair)
    frames = [peak_signal_noise_ratio(a[:, t], b[:, t], data_range=2.0) for t in range(5)]
    assert psnr(*pair, data_range=2.0) == pytest.approx(float(np.mean(frames)), abs=1e-9)


def test_identical_frames_are_counted_and_left_out_of_the_mean(pair: tuple[Clip, Clip]) -> None:
    a, b = pair
    mixed = b.video.clone()
    mixed[:, :2] = a.video[:, :2]
    assert exact_frames(a, clip(mixed)) == 2
    assert exact_frames(a, b) == 0
    rest = psnr(a.segment(2, 3), b.segment(2, 3), data_range=2.0)
    assert psnr(a, clip(mixed), data_range=2.0) == pytest.approx(rest, abs=1e-12)
    assert psnr(a, a, data_range=2.0) == math.inf
    assert exact_frames(a, a) == 5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("data_range", [2.0, 1.0])
def test_ssim_equals_scikit_image_with_wangs_flags(pair: tuple[Clip, Clip], channels: int, data_range: float) -> None:
    a, b = (clip(c.video[:channels]) for c in pair)
    frames = [
        structural_similarity(
            a.video[:, t].double().numpy(),
            b.video[:, t].double().numpy(),
            data_range=data_range,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for t in range(5)
    ]
    assert ssim(a, b, data_range=data_range) == pytest.approx(float(np.mean(frames)), abs=1e-6)


def test_ssim_of_flat_frames_in_closed_form() -> None:
    # No variance: the second factor is c2/c2 = 1 and the first is (2 m n + c1) / (m^2 + n^2 + c1), c1 = (.01 * 2)^2.
    m, n, c1 = 0.5, 0.25, 4e-4
    a, b = (clip(torch.full((3, 2, 11, 11), v)) for v in (m, n))
    assert ssim(a, b, data_range=2.0) == pytest.approx((2 * m * n + c1) / (m * m + n * n + c1), abs=1e-9)


def test_ssim_is_one_for_identical_clips_and_symmetric(pair: tuple[Clip, Clip]) -> None:
    a, b = pair
    assert ssim(a, a, data_range=2.0) == pytest.approx(1.0, abs=1e-12)
    assert ssim(a, b, data_range=2.0) == pytest.approx(ssim(b, a, data_range=2.0), abs=1e-12)


def test_frames_under_the_window_are_refused() -> None:
    small = clip(torch.zeros(3, 2, 10, 64))
    with pytest.raises(InputError, match=r"11x11 pixels and these frames are 10x64"):
        ssim(small, small, data_range=2.0)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_bad_pairs_are_refused(metric: object, pair: tuple[Clip, Clip]) -> None:
    assert callable(metric)
    a, b = pair
    with pytest.raises(InputError, match=r"\(3, 5, 23, 37\) and \(3, 4, 23, 37\)"):
        metric(a, b.segment(0, 4), data_range=2.0)
    for bad in (0.0, -1.0, math.nan):
        with pytest.raises(InputError, match="data_range is"):
            metric(a, b, data_range=bad)


def test_a_shape_that_would_broadcast_is_refused(pair: tuple[Clip, Clip]) -> None:
    a, _ = pair
    with pytest.raises(InputError, match="one to one"):
        exact_frames(a, clip(a.video[:1]))
