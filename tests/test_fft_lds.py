"""FFT-LDS: equal to LDS where nothing is thrown away, and the rule by which something is."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from dyntex.baselines.fft_lds import FFTLDS, FFTLDSConfig, _significant
from dyntex.baselines.lds import LDS, LDSConfig
from dyntex.clip import Clip
from dyntex.errors import UsageError


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_clip(height: int, width: int, n_frames: int = 20) -> Clip:
    video = torch.randn(3, n_frames, height, width, generator=seeded(60)).cumsum(dim=1)
    return Clip((0.2 * video / math.sqrt(n_frames)).clamp(-1, 1), Fraction(25))


# Odd and even sizes: only an even width has a second column that is its own mirror image.
@pytest.mark.parametrize(("height", "width"), [(6, 8), (6, 7), (5, 8), (5, 7), (1, 2), (4, 1)])
def test_with_every_frequency_it_is_lds_on_pixels(height, width):
    """Parseval: the transform is an isometry, so components, states and law are those of the pixels."""
    clip = random_clip(height, width)
    fourier = FFTLDS.fit(clip, FFTLDSConfig(n=3, power=1.0), rng=seeded(0))
    pixels = LDS.fit(clip, LDSConfig(n=3), rng=seeded(0))
    assert fourier.keep.all()
    # 2e-6: float32 frames of size 1.
    torch.testing.assert_close(fourier.predict(clip, 4).video, pixels.predict(clip, 4).video, rtol=0, atol=2e-6)
    # The signs of components are free; these do not depend on them.
    P, Q = (m.law.stationary_covariance() for m in (fourier, pixels))
    torch.testing.assert_close(torch.linalg.eigvalsh(P), torch.linalg.eigvalsh(Q), rtol=1e-6, atol=1e-9)
    noise, same = (torch.linalg.svdvals(m.law.B) for m in (fourier, pixels))
    torch.testing.assert_close(noise, same, rtol=1e-6, atol=1e-9)


def test_the_significant_are_the_fewest_that_hold_the_share_in_any_frame():
    power = torch.tensor([[4.0, 3.0, 2.0, 1.0, 0.0]])
    kept = {share: _significant(power, share).int().tolist() for share in (0.3, 0.7, 0.71, 1.0)}
    assert kept == {0.3: [1, 0, 0, 0, 0], 0.7: [1, 1, 0, 0, 0], 0.71: [1, 1, 1, 0, 0], 1.0: [1, 1, 1, 1, 0]}
    # A union over frames, each judged by its own power: a dim frame has its say.
    power = torch.tensor([[100.0, 0.0, 0.0], [0.0, 0.0, 0.1]])
    assert _significant(power, 0.9).tolist() == [True, False, True]


def test_a_frequency_that_matters_in_one_frame_is_kept():
    x = torch.arange(16) * (2 * math.pi / 16)
    amplitude = 0.3 * torch.randn(12, generator=seeded(61))
    rows = amplitude[:, None] * torch.cos(2 * x)
    rows[7] += 0.6 * torch.cos(5 * x)
    clip = Clip(rows[None, :, None].expand(1, 12, 6, 16).clamp(-1, 1).contiguous(), Fraction(25))
    fitted = FFTLDS.fit(clip, rng=seeded(0))
    assert fitted.keep.nonzero().tolist() == [[0, 0, 2], [0, 0, 5]]


@pytest.mark.parametrize(("height", "width"), [(8, 10), (7, 9)])
def test_a_frame_is_seen_through_the_kept_frequencies(height, width):
    """With all states kept, what is left of a training frame is its filtered self."""
    clip = random_clip(height, width)
    fitted = FFTLDS.fit(clip, FFTLDSConfig(n=19, power=0.2), rng=seeded(0))
    assert 0 < int(fitted.keep.sum()) < fitted.keep.numel()
    spectrum = torch.fft.rfft2((clip.video - fitted.mean[:, None]).transpose(0, 1))
    filtered = torch.fft.irfft2(spectrum * fitted.keep, s=(height, width)) + fitted.mean
    for t in range(20):
        seen = fitted.synthesize(1, rng=seeded(1), anchor=clip.segment(t, 1)).video[:, 0]
        torch.testing.assert_close(seen, filtered[t].clamp(-1, 1), rtol=0, atol=3e-6)


@pytest.mark.parametrize("column", [0, 4])
def test_mirror_images_in_one_column_are_kept_together(column):
    """A wave up and down is two coefficients of equal power: half the power asks for one, half a wave is no picture."""
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    wave = torch.cos(2 * math.pi * (2 * y + column * x) / 8)
    clip = Clip((0.2 * torch.randn(1, 12, 1, 1, generator=seeded(62)) * wave).contiguous(), Fraction(25))
    fitted = FFTLDS.fit(clip, FFTLDSConfig(power=0.4), rng=seeded(0))
    assert fitted.keep.nonzero().tolist() == [[0, 2, column], [0, 6, column]]
    seen = fitted.synthesize(1, rng=seeded(1), anchor=clip).video[:, 0]
    torch.testing.assert_close(seen, clip.video[:, 0], rtol=0, atol=2e-6)


def test_synthesis_moves_in_the_kept_frequencies_alone():
    fitted = FFTLDS.fit(random_clip(8, 10), FFTLDSConfig(power=0.2), rng=seeded(0))
    out = fitted.synthesize(6, rng=seeded(1)).video
    assert out.abs().max() < 1  # nothing was clamped, or other frequencies would come in
    F = torch.fft.rfft2((out - fitted.mean[:, None]).transpose(0, 1), norm="ortho")
    assert F[:, ~fitted.keep].abs().max() < 1e-5
    assert F[:, fitted.keep].abs().max() > 1e-2


def test_order_is_the_number_of_singular_values_above_a_tenth():
    # Three orthogonal patterns with orthogonal, zero-mean courses in time: singular values 1 : 0.5 : 0.05.
    t, x = torch.arange(24) * (2 * math.pi / 24), torch.arange(8) * (2 * math.pi / 8)
    rows = sum(a * torch.cos(k * t)[:, None] * torch.cos(k * x) for k, a in enumerate((0.4, 0.2, 0.02), start=1))
    clip = Clip(torch.as_tensor(rows)[None, :, None].contiguous(), Fraction(25))
    assert FFTLDS.fit(clip, FFTLDSConfig(power=1.0), rng=seeded(0)).C.shape[1] == 2
    noisy = random_clip(8, 8, n_frames=15)
    assert FFTLDS.fit(noisy, rng=seeded(0)).C.shape[1] <= 5  # the cap: a third of the frames
    assert FFTLDS.fit(noisy, FFTLDSConfig(n=9), rng=seeded(0)).C.shape[1] == 9
    with pytest.raises(UsageError, match=r"15 states .* between 1 and 14"):
        FFTLDS.fit(noisy, FFTLDSConfig(n=15), rng=seeded(0))
    with pytest.raises(UsageError, match="10 noise components"):
        FFTLDS.fit(noisy, FFTLDSConfig(n=9, n_noise=10), rng=seeded(0))
    with pytest.raises(UsageError, match="power is 0; it is a share"):
        FFTLDS.fit(noisy, FFTLDSConfig(power=0.0), rng=seeded(0))


def test_parameters():
    fitted = FFTLDS.fit(random_clip(8, 8), FFTLDSConfig(n=4, n_noise=2, power=0.5), rng=seeded(0))
    F = int(fitted.keep.sum())
    assert fitted.n_parameters == 16 + 8 + 2 * F * 4 + 3 * 64 + F
