"""Novelty: nothing for a replay, the distance itself for what is known."""

from __future__ import annotations

import math

import pytest
import torch

from dyntex.textures.novelty import novelty


def noise(T: int, seed: int) -> torch.Tensor:
    return torch.randn(3, T, 16, 16, generator=torch.Generator().manual_seed(seed))


def test_a_replay_of_any_part_has_none():
    clip = noise(30, 0)
    assert novelty(clip[None, :, 5:21], clip) == pytest.approx(0.0, abs=2e-2)
    assert novelty(clip.flip(1)[None], clip) > 10.0, "another order is new"


def test_it_is_the_distance_to_the_nearest_window():
    clip = noise(30, 0)
    raised = clip + 0.5
    # 8 frames of 16 x 16 in 3 channels, all off by a half; any other window is farther.
    assert novelty(raised[None], clip) == pytest.approx(0.5 * math.sqrt(8 * 16 * 16 * 3), rel=1e-3)
    mixed = torch.stack((clip, raised))
    assert novelty(mixed, clip) == pytest.approx(0.25 * math.sqrt(8 * 16 * 16 * 3), rel=1e-2)


def test_detail_finer_than_the_windows_is_not_new():
    clip = noise(20, 0).repeat_interleave(2, 2).repeat_interleave(2, 3)
    fine = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(16, 16)
    assert novelty((clip + fine)[None], clip) == pytest.approx(0.0, abs=2e-2)
