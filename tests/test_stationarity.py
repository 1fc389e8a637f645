"""Which clips are alike all over the frame, by how much they are not, and which are loops already."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from dyntex.clip import Clip
from dyntex.errors import InputError
from dyntex.textures.stationarity import already_loops, spatial

H = W = 32


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clip_of(video: torch.Tensor) -> Clip:
    return Clip(video.clamp(-1, 1).float().contiguous(), Fraction(25))


def speckle(n_frames: int = 20) -> torch.Tensor:
    return 0.1 * torch.randn(3, n_frames, H, W, generator=seeded(0))


def ramp() -> torch.Tensor:
    """From 0 to 1, left to right, in four even parts."""
    return torch.arange(4.0).repeat_interleave(W // 4) / 3


def test_noise_of_one_kind_is_stationary():
    found = spatial(clip_of(speckle()))
    assert found.is_stationary
    # A part's mean square is of 3840 independent values or more, so within sqrt(2/3840) = 2.3 % (in amplitude 1.1 %)
    # of the truth at one deviation; the sixteen parts' range is under 6 of these.
    for contrast in (found.motion, found.swing, found.detail):
        assert 1.0 <= contrast < 1.07


def test_contrasts_are_ratios_of_amplitudes_between_the_outer_eighths():
    """Four columns of parts, 1, 2, 4 and 8 times as lively: the outer eighths are inside the outer columns."""
    found = spatial(clip_of(speckle(60) * 2.0 ** torch.arange(4.0).repeat_interleave(W // 4) / 4))
    assert found.motion == pytest.approx(8.0, rel=0.03)
    assert found.swing == pytest.approx(8.0, rel=0.03)
    assert not found.is_stationary


def test_a_corner_may_differ():
    """One part of sixteen is less than an eighth: the sun's glitter does not make a sea a scene."""
    video = speckle()
    video[..., : H // 4, : W // 4] *= 6
    assert spatial(clip_of(video)).is_stationary
    video[..., : H // 2, : W // 2] *= 6
    assert not spatial(clip_of(video)).is_stationary


def test_brightness_is_measured_in_standard_deviations():
    video = speckle() + 0.8 * ramp() - 0.4
    found = spatial(clip_of(video))
    deviation = math.sqrt(0.1**2 + 0.8**2 * 5 / 36)  # the variance of 0, 1/3, 2/3, 1 is 5/36
    assert found.brightness == pytest.approx(0.8 / deviation, rel=0.02)
    assert found.motion < 1.1  # still parts move nothing
    assert not found.is_stationary


def test_detail_alone_can_tell():
    """Flat flicker on the left, speckled flicker on the right, of equal swing."""
    g = seeded(1)
    flat = torch.randn(3, 200, 1, 1, generator=g).expand(3, 200, H, W // 2)
    fine = torch.randn(3, 200, H, W // 2, generator=g)
    found = spatial(clip_of(0.1 * torch.cat([flat, fine], dim=3)))
    assert max(found.motion, found.swing) < 1.4
    assert found.detail > 10
    assert not found.is_stationary


def test_a_blank_clip_is_stationary_and_a_tiny_one_refused():
    found = spatial(clip_of(torch.zeros(3, 5, H, W)))
    assert (found.motion, found.detail, found.brightness, found.is_stationary) == (1.0, 1.0, 0.0, True)
    with pytest.raises(InputError, match="8x8 pixels or more; this one has 5 of 6x32"):
        spatial(clip_of(torch.zeros(3, 5, H, 6)))
    with pytest.raises(InputError, match="this one has 1 of"):
        spatial(clip_of(torch.zeros(3, 1, H, W)))


def harmonics(n_frames: int, *, turns: float = 1.0) -> Clip:
    """Ten patterns that swing with one to five periods in so many turns: a loop where that is a whole one."""
    g = seeded(2)
    patterns = torch.randn(10, 3 * 16 * 16, generator=g)
    phase = torch.arange(n_frames) * (2 * math.pi * turns / n_frames)
    waves = [wave(k * phase) for k in range(1, 6) for wave in (torch.cos, torch.sin)]
    grain = 0.005 * torch.randn(n_frames, 3 * 16 * 16, generator=g)
    video = 0.05 * torch.stack(waves, dim=1) @ patterns + grain
    return clip_of(video.view(n_frames, 3, 16, 16).transpose(0, 1))


def test_a_loop_is_recognised_and_its_parts_are_not():
    loop = harmonics(48)
    assert already_loops(loop)
    assert already_loops(clip_of(loop.video.roll(17, 1)))  # wherever it is cut
    assert not already_loops(loop.segment(0, 40))
    assert not already_loops(harmonics(48, turns=0.8))
    there_and_half_back = clip_of(torch.cat([loop.video[:, :24], loop.video[:, 8:23].flip(1)], dim=1))
    assert not already_loops(there_and_half_back)


def test_a_jump_is_judged_by_the_steps_beside_it():
    """A loop that hurries in its middle: a cut with a step three times its neighbours' is shorter than many steps."""
    t = torch.arange(60) / 60
    hurried = t - 0.9 * torch.sin(2 * math.pi * t) / (2 * math.pi)  # ten times slower at the seam than on average
    rows = torch.linspace(0, 2 * math.pi, 17)[:16]
    video = 0.4 * torch.cos(2 * math.pi * hurried[:, None] - rows)[None, :, None].expand(3, 60, 16, 16)
    loop = clip_of(video)
    assert already_loops(loop)
    cut = loop.segment(0, 57)
    assert not already_loops(cut)


def test_where_every_cut_is_as_good_as_a_seam_nothing_is_claimed():
    assert not already_loops(clip_of(speckle(40)))


def test_stills_and_scraps_are_no_loops():
    assert not already_loops(clip_of(torch.zeros(3, 20, 8, 8)))
    assert not already_loops(harmonics(7))
