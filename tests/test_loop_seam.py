"""The seam against sums by hand, and what a jump, a halt, a kink and a turn are called."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from dyntex.clip import Clip
from dyntex.errors import InputError
from dyntex.textures.loop_seam import along, around, percentile, seam


def clip_of(video: torch.Tensor) -> Clip:
    return Clip(video.float(), Fraction(25))


def course(values: list[float]) -> Clip:
    """A clip of one grey value a frame."""
    return clip_of(torch.tensor(values).view(1, -1, 1, 1).expand(3, -1, 2, 5))


def noise(*shape: int, seed: int = 0) -> Clip:
    return clip_of(0.2 * torch.randn(shape, generator=torch.Generator().manual_seed(seed)).clamp(-4, 4))


def circling(n_frames: int, *, turns: float = 1.0, seed: int = 0) -> Clip:
    """Two patterns whose amplitudes go round a wobbly circle: a step is like any other, however it is cut."""
    t = torch.arange(n_frames) * (2 * math.pi * turns / n_frames)
    x = torch.arange(16) * (2 * math.pi / 16)
    wobble = 0.4 + 0.1 * torch.rand(n_frames, 1, generator=torch.Generator().manual_seed(seed))
    return clip_of((wobble * torch.cos(t[:, None] - x))[None, :, None].expand(1, n_frames, 3, 16))


@pytest.mark.parametrize(("axis", "dim"), [("t", 0), ("y", 1), ("x", 2)])
def test_steps_and_accelerations_equal_plain_sums(axis: str, dim: int):
    clip = noise(3, 7, 6, 9)
    y = np.moveaxis(clip.video.double().numpy().transpose(1, 2, 3, 0), dim, 0)  # places, ..., colour
    N = len(y)
    rms = lambda a: math.sqrt((a**2).mean())  # noqa: E731
    steps = [rms(y[(i + 1) % N] - y[i]) for i in range(N)]
    bends = [rms(y[(i + 1) % N] - 2 * y[i] + y[i - 1]) for i in range(N)]
    pairs = [(bends[i] + bends[(i + 1) % N]) / 2 for i in range(N)]
    ring = around(clip, axis=axis)
    np.testing.assert_allclose(ring[0], steps, rtol=1e-5)
    np.testing.assert_allclose(ring[1], pairs, rtol=1e-5)
    line = along(clip, axis=axis)
    np.testing.assert_allclose(line[0], steps[:-1], rtol=1e-5)
    np.testing.assert_allclose(line[1], pairs[1 : N - 2], rtol=1e-5)  # without those that hear of the seam
    found = seam(clip, noise(3, 9, 9, 9, seed=1), axis=axis)
    assert found.axis == axis
    assert (found.step, found.acceleration) == pytest.approx((steps[-1], pairs[-1]), rel=1e-5)


def test_percentiles_count_equals_half():
    among = torch.tensor([1.0, 2.0, 2.0, 4.0])
    assert [percentile(v, among) for v in (0.5, 1.0, 2.0, 3.0, 9.0)] == [0.0, 12.5, 50.0, 75.0, 100.0]


def test_the_percentiles_are_among_the_real_clips_steps_and_the_results_own():
    real = course([0.0, 0.1, 0.3, 0.6, 1.0])  # steps .1 .2 .3 .4, accelerations all .1
    made = course([0.0, 0.25, 0.0, 0.35])  # steps .25 .25 .35 and .35 at the seam
    found = seam(made, real)
    assert found.step == pytest.approx(0.35)
    assert found.step_percentile == 75.0
    assert found.own_step_percentile == pytest.approx(100 * 2.5 / 3)
    # It comes by +.35, goes by -.35 and goes on by +.25: it bends by .7 and by .6, and the real one by .1 at most.
    assert found.acceleration == pytest.approx(0.65)
    assert found.acceleration_percentile == 100.0
    assert not found.is_ordinary
    alone = seam(made, None)
    assert (alone.step_percentile, alone.acceleration_percentile) == (None, None)
    assert alone.own_step_percentile == found.own_step_percentile
    assert alone.is_ordinary  # 83 and 50: among its own


def test_a_whole_turn_is_ordinary_and_jumps_halts_kinks_and_turns_are_not():
    real = circling(64, turns=1.6)
    ring = circling(40, seed=1)
    assert seam(ring, real).is_ordinary
    jump = clip_of(ring.video[:, :30])
    assert seam(jump, real).step_percentile == 100.0
    halt = clip_of(torch.cat([ring.video, ring.video[:, :1]], dim=1))
    assert (seam(halt, real).step, seam(halt, real).step_percentile) == (0.0, 0.0)
    there_and_back = clip_of(torch.cat([ring.video[:, :20], ring.video[:, 1:19].flip(1)], dim=1))
    turned = seam(there_and_back, real)
    assert 5 < turned.step_percentile < 95  # the step is as any other: only the acceleration knows
    # One of the two accelerations is the turn, of two steps; the wobble's are seldom as large.
    assert turned.acceleration_percentile > 95.0
    assert not turned.is_ordinary


def test_a_tile_is_judged_in_its_own_axis():
    x = torch.arange(16) * (2 * math.pi / 16)
    y = torch.arange(12) * (1.4 * math.pi / 12)  # less than a turn: no tile
    tile = clip_of((0.4 * torch.cos(x) + 0.4 * torch.sin(y)[:, None]).expand(1, 4, 12, 16))
    real = clip_of((0.4 * torch.cos(x + 0.2) + 0.4 * torch.sin(y)[:, None]).expand(1, 4, 12, 16))
    assert seam(tile, real, axis="y").step_percentile == 100.0
    assert seam(tile, real, axis="x").step_percentile < 95.0


@pytest.mark.parametrize(("made", "real", "words"), [(2, 9, "at least 3 places .* has 2"), (9, 3, "at least 4 .* 3")])
def test_what_is_too_short_is_refused(made: int, real: int, words: str):
    with pytest.raises(InputError, match=words):
        seam(noise(1, made, 4, 4), noise(1, real, 4, 4))
