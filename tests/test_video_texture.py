"""Video textures: a periodic clip goes on, a perfect loop is found, regions change over where nobody sees it."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from dyntex.baselines.changeover import change_over, moments, shares
from dyntex.baselines.video_texture import VideoTexture, VideoTextureConfig
from dyntex.clip import Clip, concatenate
from dyntex.errors import InputError, UsageError
from dyntex.textures.loop_seam import along, around

H, W = 10, 14


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_frames(n: int, *, channels: int = 3, seed: int = 1) -> Tensor:
    return torch.rand(channels, n, H, W, generator=seeded(seed)) * 1.6 - 0.8


def which_frames(made: Clip, frames: Tensor) -> list[int | None]:
    """Of each picture the number of the frame that it is, bit for bit; None where it is none."""
    numbers = []
    for t in range(made.n_frames):
        same = (made.video[:, t : t + 1] == frames).all(dim=3).all(dim=2).all(dim=0).nonzero().flatten().tolist()
        numbers.append(same[0] if same else None)
    return numbers


def test_a_periodic_clip_goes_on_for_ever():
    period = random_frames(9)
    clip = Clip(torch.cat([period] * 5, dim=1), Fraction(25))
    fitted = VideoTexture.fit(clip, rng=seeded())
    made = fitted.synthesize(400, rng=seeded(3))
    phases = which_frames(made, period)
    assert None not in phases
    first = phases[0]
    assert first is not None
    assert phases == [(first + t) % 9 for t in range(400)]
    assert fitted.chain.mean_cost == 0.0
    # It does jump: the clip has but 45 frames.
    assert fitted.chain.mean_run < 45


def test_a_perfect_loop_is_found():
    """30 frames that have nothing to do with one another, but that 20 to 24 are 6 to 10 again: a loop of 14."""
    video = random_frames(30)
    video[:, 20:25] = video[:, 6:11]
    clip = Clip(video, Fraction(25))
    fitted = VideoTexture.fit(clip, VideoTextureConfig(window=2), rng=seeded())
    for n in (14, 28):
        for seed in range(3):
            numbers = which_frames(fitted.synthesize(n, rng=seeded(seed), loop=True), video)
            start = numbers[0]
            assert start is not None
            assert numbers == [6 + (start - 6 + t) % 14 for t in range(n)]


def test_every_step_around_a_loop_is_as_small_as_those_of_the_clip():
    """A wave of 17.3 frames a period in loops of 1, 2 and 3 periods; and of 1.5, which jumps have to hide."""
    t = torch.arange(60.0)
    y, x = torch.meshgrid(torch.arange(float(H)), torch.arange(float(W)), indexing="ij")
    wave = 0.5 * torch.sin(2 * torch.pi * t[:, None, None] / 17.3 + 0.7 * x + 0.3 * y)
    clip = Clip((wave + 0.02 * torch.randn(3, 60, H, W, generator=seeded(2))).clamp(-1, 1), Fraction(25))
    largest = float(along(clip)[0].max())
    fitted = VideoTexture.fit(clip, rng=seeded())
    for n, times in ((17, 1.3), (35, 1.3), (52, 1.3), (26, 2.5)):
        for seed in range(3):
            assert float(around(fitted.synthesize(n, rng=seeded(seed), loop=True))[0].max()) < times * largest
    assert float(around(fitted.synthesize(26, rng=seeded(0)))[0][-1]) > 4 * largest  # an open end, half a period off


def test_between_jumps_every_picture_is_a_frame_of_the_clip_and_the_next_follows():
    video = random_frames(40)
    fitted = VideoTexture.fit(Clip(video, Fraction(25)), VideoTextureConfig(window=2, mean_run=8), rng=seeded())
    numbers = which_frames(fitted.synthesize(600, rng=seeded(1)), video)
    plain = [k for k in numbers if k is not None]
    assert len(plain) > 400
    assert len(set(plain)) > 25
    pairs = [(a, b) for a, b in itertools.pairwise(numbers) if a is not None and b is not None]
    assert sum(b == a + 1 for a, b in pairs) > 0.95 * len(pairs)


@pytest.mark.parametrize("state", [0, 20, 37, 38, 39])
def test_prediction_is_the_mean_of_many_samples(state: int):
    """Through jumps and their windows, from anywhere, the last frame too."""
    video = random_frames(40, channels=1)
    clip = Clip(video, Fraction(25))
    fitted = VideoTexture.fit(clip, VideoTextureConfig(window=4, mean_run=6), rng=seeded())
    anchor, rng, N, n = clip.segment(state, 1), seeded(4), 400, 12
    runs = torch.stack([fitted.synthesize(n + 1, rng=rng, anchor=anchor).video for _ in range(N)])
    assert torch.equal(runs[:, :, 0], video[:, state].expand_as(runs[:, :, 0]))
    expected = fitted.predict(anchor, n).video
    sigma = runs[:, :, 1:].std(dim=0) / N**0.5
    # 6 standard errors of 1680 means; where a pixel is surely one value, float32.
    assert ((runs[:, :, 1:].mean(dim=0) - expected).abs() <= 6 * sigma + 1e-5).all()


def test_long_loops_begin_and_end_alike_and_stream_whole():
    clip = Clip(random_frames(20), Fraction(25))
    fitted = VideoTexture.fit(clip, rng=seeded())
    whole = fitted.synthesize(333, rng=seeded(1), loop=True)
    assert torch.equal(concatenate(fitted.stream(333, rng=seeded(1), loop=True)).video, whole.video)
    anchored = fitted.synthesize(333, rng=seeded(1), loop=True, anchor=clip.segment(7, 1))
    assert torch.equal(anchored.video[:, 0], clip.video[:, 7])


# --- changing over -----------------------------------------------------------


def test_each_region_changes_over_when_the_courses_meet_there():
    """The left half is the same in pictures 2 and 3 of the window, the right half in pictures 6 and 7."""
    w = 10
    old = random_frames(w + 2, seed=5)
    new = old + 0.3 * torch.randn(old.shape, generator=seeded(6))
    new[:, 3:5, :, : W // 2] = old[:, 3:5, :, : W // 2]
    new[:, 7:9, :, W // 2 :] = old[:, 7:9, :, W // 2 :]
    moment = moments(old, new)
    # Along the border between the regions both have to give way a little.
    assert (moment[:, : W // 2 - 1] == 3).all()
    assert (moment[:, W // 2 + 1 :] == 7).all()
    made = change_over(old, new)
    # Far from the border between the regions nothing is blended.
    left, right = (torch.cat([old[:, 1:k], new[:, k:-1]], dim=1) for k in (4, 8))
    torch.testing.assert_close(made[..., :3], left[..., :3], rtol=0, atol=1e-6)
    torch.testing.assert_close(made[..., -3:], right[..., -3:], rtol=0, atol=1e-6)


def test_a_single_pixel_does_not_change_over_against_its_neighbours():
    """One pixel would best change at the beginning, by a little; all around it at the end, by much."""
    old = torch.zeros(1, 8, 9, 9)
    new = torch.full_like(old, 0.5)
    new[:, 5:7] = 0.0
    new[:, 5:7, 4, 4] = 0.05
    new[:, 1:3, 4, 4] = 0.0
    assert (moments(old, new) == 5).all()


def test_courses_that_are_equal_stay_as_they_are():
    old = random_frames(8)
    assert torch.equal(change_over(old, old.clone()), old[:, 1:-1])


@pytest.mark.parametrize("fade", [1, 2, 4])
def test_a_fade_is_symmetric_about_the_moment_and_complete(fade: int):
    share = shares(torch.full((3, 4), 5), 10, fade=fade)[:, 1, 1]
    torch.testing.assert_close(share + share.flip(0), torch.ones(10), rtol=0, atol=1e-6)
    assert int(((share > 1e-4) & (share < 1 - 1e-4)).sum()) == (fade if fade > 1 else 0)


def test_a_change_over_stays_between_the_courses():
    old, new = random_frames(12, channels=4, seed=7), random_frames(12, channels=4, seed=8)
    for fade in (1, 5):
        made = change_over(old, new, fade=fade)
        low, high = torch.minimum(old, new)[:, 1:-1], torch.maximum(old, new)[:, 1:-1]
        assert (made >= low - 1e-6).all()
        assert (made <= high + 1e-6).all()


# --- what is refused ---------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"window": 1}, "a window of 1 pictures"),
        ({"half_width": 0}, "half_width is 0"),
        ({"mean_run": 0.0}, "mean_run is 0"),
        ({"mean_run": float("nan")}, "mean_run is nan"),
        ({"discount": 1.0}, "discount is 1"),
        ({"coverage": 0.0}, "coverage is 0"),
    ],
)
def test_numbers_out_of_range_are_refused(config: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=said):
        VideoTexture.fit(Clip(random_frames(8), Fraction(25)), VideoTextureConfig(**config), rng=seeded())


def test_two_frames_are_too_few():
    with pytest.raises(InputError, match="clip has 2 frames; video-texture needs at least 3"):
        VideoTexture.fit(Clip(random_frames(2), Fraction(25)), rng=seeded())
