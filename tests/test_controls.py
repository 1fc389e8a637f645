"""Controls are what they say, exactly."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from baselines.controls import (
    Copy,
    MeanFrame,
    ShuffledFrames,
    WhiteNoise,
    repeat_last,
    reversed_real,
)
from dyntex.clip import Clip
from dyntex.errors import UsageError


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(n_frames: int) -> Clip:
    """Frame t has the value t / 1000 everywhere, so a frame tells where it comes from."""
    video = (torch.arange(n_frames) / 1000)[None, :, None, None].expand(2, n_frames, 3, 4)
    return Clip(video.contiguous(), Fraction(24000, 1001))


def numbers(clip: Clip) -> list[int]:
    assert torch.equal(clip.video, clip.video[:1, :, :1, :1].expand_as(clip.video))
    return [round(1000 * float(v)) for v in clip.video[0, :, 0, 0]]


def test_mean_frame():
    still = MeanFrame.fit(numbered(7), rng=seeded(0))
    for clip in (still.synthesize(100, rng=seeded(1)), still.predict(numbered(3), 100)):
        assert numbers(clip) == [3] * 100


def test_copy_goes_round():
    assert numbers(Copy.fit(numbered(5), rng=seeded(0)).synthesize(12, rng=seeded(1))) == [*range(5), *range(5), 0, 1]
    # Past the border of a chunk as well.
    assert numbers(Copy.fit(numbered(5), rng=seeded(0)).synthesize(150, rng=seeded(1))) == [t % 5 for t in range(150)]


def test_shuffled_frames_are_permutations_each_its_own():
    order = numbers(ShuffledFrames.fit(numbered(30), rng=seeded(0)).synthesize(75, rng=seeded(1)))
    first, second, rest = order[:30], order[30:60], order[60:]
    assert sorted(first) == sorted(second) == list(range(30))
    assert first != list(range(30))
    assert first != second
    assert len(set(rest)) == 15


def test_white_noise_has_each_pixels_mean_and_variance_and_nothing_more():
    g = seeded(2)
    scale = torch.tensor([0.02, 0.1])[:, None, None, None]
    video = (0.3 * scale + scale * torch.randn(2, 40, 2, 3, generator=g)).clamp(-0.4, 0.4)
    clip, N = Clip(video, Fraction(25)), 5000
    out = WhiteNoise.fit(clip, rng=seeded(0)).synthesize(N, rng=seeded(1)).video.double()
    mean, var = video.double().mean(dim=1), video.double().var(dim=1)
    # Six standard errors: sigma / sqrt(N) for a mean, sigma^2 sqrt(2/N) for a variance (12 %, so sqrt(2) fails).
    assert ((out.mean(dim=1) - mean).abs() < 6 * (var / N).sqrt()).all()
    assert ((out.var(dim=1) - var).abs() < 6 * var * math.sqrt(2 / N)).all()
    z = (out - out.mean(dim=1, keepdim=True)) / out.std(dim=1, keepdim=True)
    assert (z[:, 1:] * z[:, :-1]).mean(dim=1).abs().max() < 6 / math.sqrt(N)  # next frame
    flat = z.transpose(0, 1).flatten(1)
    correlation = flat.mT @ flat / N - torch.eye(12, dtype=torch.float64)
    assert correlation.fill_diagonal_(0).abs().max() < 6 / math.sqrt(N)  # other pixels and colours


def test_white_noise_of_a_single_frame_is_still():
    assert numbers(WhiteNoise.fit(numbered(1), rng=seeded(0)).synthesize(3, rng=seeded(1))) == [0, 0, 0]


def test_real_controls():
    clip = numbered(10)
    assert numbers(reversed_real(clip)) == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert numbers(repeat_last(clip, 3)) == [9, 9, 9]
    assert {c.fps for c in (reversed_real(clip), repeat_last(clip, 3))} == {clip.fps}
    with pytest.raises(UsageError, match="0 frames"):
        repeat_last(clip, 0)
