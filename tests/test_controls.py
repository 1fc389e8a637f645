"""Controls are what they say, exactly."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from dyntex.baselines.controls import (
    Copy,
    MeanFrame,
    Replay,
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


def circling(n_frames: int) -> Clip:
    """A point that goes round a circle in 20 frames, as the values of two pixels: a good cut skips whole turns."""
    t = torch.arange(n_frames)
    angle = 2 * math.pi * t / 20
    video = torch.stack([angle.cos(), angle.sin(), t / 1000], dim=-1).view(1, n_frames, 1, 3)
    return Clip(video.contiguous().float(), Fraction(25))


def test_replay_shows_whole_frames_in_runs_from_good_cut_to_good_cut():
    made = Replay.fit(circling(64), rng=seeded(0)).synthesize(2000, rng=seeded(1))
    shown = (1000 * made.video[0, :, 0, 2]).round().int()
    assert torch.equal(made.video, circling(64).video[:, shown])  # frames as they are, none mixed
    cuts = (shown[1:] != shown[:-1] + 1).nonzero().flatten()
    runs = cuts.diff()
    assert 8 <= int(runs.min()) < int(runs.max()) <= 24
    # The frame after the cut is, by its place on the circle, within two of the one that would have followed.
    off = (shown[cuts + 1] - shown[cuts] - 1) % 20
    assert int(torch.minimum(off, 20 - off).max()) <= 2
    assert len(set(shown[cuts + 1].tolist())) > 10  # and it is not always the same cut
    # Both of the clip's ends are shown.
    assert {int(shown.min()), int(shown.max())} == {0, 63}


@pytest.mark.parametrize("n_frames", [1, 2, 3, 5])
def test_replay_of_a_few_frames_goes_on(n_frames: int):
    found = numbers(Replay.fit(numbered(n_frames), rng=seeded(0)).synthesize(50, rng=seeded(1)))
    assert set(found) == set(range(n_frames))


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
