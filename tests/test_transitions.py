"""Costs of jumps between a clip's frames, against their definition."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from dyntex.clip import Clip
from dyntex.textures.transitions import (
    binomial,
    frame_distances,
    jump_costs,
    local_minima,
    memory,
    typical_step,
)


def clip_of(values: Tensor) -> Clip:
    """A clip whose frames are of one grey each, but for a fixed gradient."""
    gradient = torch.linspace(-0.1, 0.1, 20).view(1, 1, 4, 5)
    return Clip((values.float().view(1, -1, 1, 1) + gradient).contiguous(), Fraction(25))


def test_distances_are_root_mean_squares_over_pixels_and_colours():
    g = torch.Generator().manual_seed(0)
    video = torch.rand(3, 6, 5, 7, generator=g) * 2 - 1
    video[:, 4] = video[:, 1]
    D = frame_distances(Clip(video, Fraction(25)))
    expected = (video[:, :, None] - video[:, None]).double().square().mean((0, 3, 4)).sqrt()
    torch.testing.assert_close(D, expected, rtol=1e-6, atol=1e-7)
    assert D[1, 4] == D[4, 1] == 0.0


def test_a_large_frame_is_compared_by_areas_and_not_by_single_pixels():
    """A checkerboard of single pixels against its negative: no larger area differs."""
    board = (torch.arange(128)[:, None] + torch.arange(256)) % 2 * 2.0 - 1
    D = frame_distances(Clip(torch.stack([board, -board, board * 0 + 0.5])[None], Fraction(25)))
    assert float(D[0, 1]) < 1e-6
    assert float(D[0, 2]) == pytest.approx(0.5, abs=1e-6)


def test_binomial_weights():
    assert binomial(0) == [1.0]
    assert binomial(3) == [1 / 8, 3 / 8, 3 / 8, 1 / 8]


@pytest.mark.parametrize("half_width", [1, 2, 3])
def test_costs_weigh_the_pairs_around_a_jump(half_width: int):
    g = torch.Generator().manual_seed(1)
    T = 7
    D = torch.rand(T, T, generator=g, dtype=torch.float64)
    D = D + D.mT
    D.fill_diagonal_(0.0)
    C = jump_costs(D, half_width=half_width)
    n = 2 * half_width - 1
    for a in range(T):
        for b in range(T):
            total = weight = 0.0
            for k in range(-half_width, half_width):
                if 0 <= a + 1 + k < T and 0 <= b + k < T:
                    w = math.comb(n, k + half_width) / 2**n
                    total, weight = total + w * float(D[a + 1 + k, b + k]) ** 2, weight + w
            expected = math.sqrt(total / weight) if weight else math.inf
            assert float(C[a, b]) == pytest.approx(expected, abs=1e-12)
    assert (C.diagonal(1) == 0).all()
    assert C[T - 1, 0] == math.inf


def test_the_filter_tells_which_way_things_move():
    """A swing passes the middle in both directions: the same frames, and only one of them may be followed."""
    swing = clip_of(0.5 * torch.sin(2 * torch.pi * torch.arange(48) / 24))
    D = frame_distances(swing)
    C = jump_costs(D)
    upwards, downwards, again = 2, 10, 26  # sin(30) = sin(150), and a period later
    assert float(D[upwards, downwards]) < 1e-6
    assert float(C[upwards - 1, again]) < 1e-6
    assert float(C[upwards - 1, downwards]) > typical_step(D) / 2


def test_the_unit_is_the_median_step_and_half_a_level_where_nothing_moves():
    assert typical_step(frame_distances(clip_of(torch.tensor([0.0, 0.1, 0.2, 0.3, 0.9])))) == pytest.approx(0.1)
    assert typical_step(frame_distances(clip_of(torch.zeros(5)))) == pytest.approx(1 / 255)


def test_memory_of_a_cosine_is_a_sixth_of_its_period_and_of_noise_a_frame():
    """Mean squared distance at a lag is proportional to 1 - cos(2 pi lag / P), and its mean to 1: half at P / 6."""
    t = torch.arange(240)
    y = 0.5 * torch.cos(2 * torch.pi * t / 60)
    assert memory(frame_distances(clip_of(y))) == 10
    noise = 0.3 * torch.randn(100, generator=torch.Generator().manual_seed(2)).clamp(-2, 2)
    assert memory(frame_distances(clip_of(noise))) == 1
    assert memory(frame_distances(clip_of(torch.zeros(4)))) == 1


def test_local_minima_in_rows_and_columns():
    C = torch.tensor(
        [
            [3.0, 1.0, 4.0, 9.0],
            [5.0, 0.5, 6.0, 9.0],
            [2.0, 7.0, 1.0, torch.inf],
        ]
    )
    expected = torch.zeros(3, 4, dtype=torch.bool)
    expected[1, 1] = expected[2, 0] = expected[2, 2] = True
    assert torch.equal(local_minima(C), expected)
