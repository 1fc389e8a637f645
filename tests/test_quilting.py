"""Quilts: every pixel is a pixel of the picture, pieces lie where they fit, and the ends meet."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch
from torch import Tensor

from dyntex.textures.quilting import (
    FEATHER,
    TOLERANCE,
    _fitting,
    _overlaps,
    _starts,
    cheapest_path,
    components,
    quilt,
    smallest,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(channels: int = 3, height: int = 24, width: int = 32, seed: int = 1) -> Tensor:
    return torch.randn(channels, height, width, generator=seeded(seed))


def wave(height: int, width: int) -> Tensor:
    """(2, H, W): the cosine and sine of a wave of 8 pixels down and across; it repeats after every 8 of either."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    phase = (x + y) * (torch.pi / 4)
    return torch.stack((phase.cos(), phase.sin()))


SIZES = [(24, 32), (12, 12), (16, 16), (40, 72), (37, 53), (13, 90)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_shares_add_up_to_one_and_every_pixel_is_of_the_pieces_that_lie_there(height: int, width: int):
    plan = quilt(noise(), height, width, rng=seeded())
    ones = plan.lay(torch.ones(24, 32))
    torch.testing.assert_close(ones, torch.ones(height, width), rtol=0, atol=1e-5)
    # The same from scratch: for every pixel the sum over the pieces that hold it.
    picture = noise(2, 24, 32, 7)
    expected = torch.zeros(2, height, width)
    for p in plan.pieces:
        assert (p.weight >= 0).all()
        for i, j in product(range(len(p.rows)), repeat=2):
            expected[:, p.rows[i], p.columns[j]] += p.weight[i, j] * picture[:, p.top + i, p.left + j]
    torch.testing.assert_close(plan.lay(picture), expected, rtol=0, atol=1e-5)
    # Any leading axes.
    torch.testing.assert_close(plan.lay(picture[:, None, None])[:, 0, 0], plan.lay(picture), rtol=0, atol=0)


@pytest.mark.parametrize("length", range(12, 100, 7))
def test_pieces_cover_the_circle_and_overlap_by_three_eighths_to_one_half(length: int):
    side = 12
    starts = _starts(length, side)
    overlaps = [_overlaps(starts, i, side, length) for i in range(len(starts))]
    # Each piece's overlap with the one before, by counting the pixels that both cover; the first's is the last's.
    for i, start in enumerate(starts):
        mine = {(start + k) % length for k in range(side)}
        others = {(starts[i - 1] + k) % length for k in range(side)}
        shared = len(mine & others)
        if len(starts) > 2:
            assert shared == (overlaps[i][0] if i else overlaps[-1][1])
            # A pixel of rounding on either side.
            assert 3 / 8 * side - 1 <= shared <= side / 2 + 1
    assert all(after == 0 for _, after in overlaps[:-1])
    assert {(start + k) % length for start in starts for k in range(side)} == set(range(length))


def test_what_repeats_is_continued_without_an_error():
    """A wave of 8 pixels on a circle of 48 and 64 can be laid exactly; pieces elsewhere than in phase would show."""
    picture = wave(24, 32)
    plan = quilt(picture, 48, 64, rng=seeded())
    first = plan.pieces[0]
    phase = wave(24 + 48, 32 + 64)[:, first.top : first.top + 48, first.left : first.left + 64]
    # Correlations of single precision: errors of 1e-5 of |piece|^2 = 288 let pieces be chosen, not misplaced.
    torch.testing.assert_close(plan.lay(picture), phase, rtol=0, atol=1e-4)
    # And its ends meet: rolled by any multiple of the wave it is the same.
    torch.testing.assert_close(plan.lay(picture).roll((8, 16), (1, 2)), plan.lay(picture), rtol=0, atol=1e-4)


def test_the_ends_meet_as_well_as_any_other_places():
    """Of smooth noise, whose neighbours are alike: the step across either seam is one among the others."""
    small = noise(3, 48, 64, 3)
    smooth = torch.nn.functional.avg_pool2d(torch.nn.functional.pad(small[None], (2, 2, 2, 2), "circular"), 5, 1)[0]
    laid = quilt(smooth, 72, 96, rng=seeded(2)).lay(smooth)
    for axis in (1, 2):
        steps = (laid.roll(-1, axis) - laid).square().mean(dim=tuple({0, 1, 2} - {axis})).sqrt()
        # Two independent rows would differ by sqrt(2) standard deviations, about 2.2 times a step of a box of 5.
        assert float(steps[-1]) < 1.25 * float(steps.median())
        assert float(smooth.std() * 2**0.5) > 2 * float(steps.median())


def test_a_piece_fits_as_direct_differences_say():
    seen, side = noise(4, 20, 26), 8
    there, known = noise(4, side, side, 5), torch.rand(side, side, generator=seeded(6)) < 0.4
    errors = {
        (y, x): float(((seen[:, y : y + side, x : x + side] - there) * known).square().sum())
        for y, x in product(range(13), range(19))
    }
    least = min(errors.values())
    good = {place for place, error in errors.items() if error <= least * (1 + TOLERANCE)}
    drawn = {_fitting(seen, there, known, seeded(seed)) for seed in range(60)}
    assert drawn == good
    # Where nothing is known every place is as good, the last ones too: 247 of them, 4000 draws miss none but by a
    # chance of 247 exp(-4000 / 247) = 2e-5.
    nothing = torch.zeros(side, side, dtype=torch.bool)
    rng = seeded()
    assert len({_fitting(seen, there, nothing, rng) for _ in range(4000)}) == 13 * 19


@pytest.mark.parametrize(("n", "m"), [(1, 4), (5, 1), (5, 4), (6, 3)])
def test_the_cheapest_path_is_the_cheapest_of_all(n: int, m: int):
    for seed in range(5):
        cost = torch.rand(n, m, generator=seeded(seed))
        paths = [p for p in product(range(m), repeat=n) if all(abs(a - b) <= 1 for a, b in pairwise(p))]
        totals = [sum(float(cost[i, j]) for i, j in enumerate(p)) for p in paths]
        assert tuple(cheapest_path(cost).tolist()) == paths[totals.index(min(totals))]


def test_components_keep_squared_differences_of_pixels():
    """Exactly where there are as many as channels, or where the rest is empty."""
    mixing = noise(9, 3, 1)[..., 0]  # (9, 3)
    low = torch.einsum("dc,chw->dhw", mixing, noise(3, 6, 5))
    for picture, n in ((noise(4, 6, 5), 4), (noise(4, 6, 5), 9), (low, 3)):
        flat, seen = picture.flatten(1).T, components(picture, n).flatten(1).T
        assert seen.shape[1] == min(n, len(picture))
        torch.testing.assert_close(torch.cdist(seen, seen), torch.cdist(flat, flat), rtol=1e-3, atol=5e-3)
    # The largest ones are kept: no difference is longer than it was, and of the variance no other 2 keep more.
    picture = noise(4, 6, 5) * torch.tensor([0.1, 3.0, 0.2, 2.0]).view(4, 1, 1)
    kept = float(components(picture, 2).flatten(1).var(1).sum())
    assert kept >= float(picture[[1, 3]].flatten(1).var(1).sum()) - 1e-4


def test_cuts_are_feathered_and_edges_of_pieces_leave_no_step():
    """Along a cut shares change over pixels, not at once; a piece's own last pixels hardly count."""
    plan = quilt(noise(3, 64, 64), 96, 96, rng=seeded())
    for p in plan.pieces:
        step = max(float(p.weight.diff(dim=0).abs().max()), float(p.weight.diff(dim=1).abs().max()))
        # A hard cut is a step of 1; a Gaussian's edge has its largest slope, 1 / sqrt(2 pi) sigma = .2, doubled where
        # two pieces' tails are added and divided by their sum, as at corners.
        assert step < 2.5 / ((2 * torch.pi) ** 0.5 * FEATHER)
        assert float(p.weight.max()) > 0.99  # and inside it is alone
    assert len(plan.pieces) == 25


def test_neighbours_share_what_both_cover_on_all_four_sides():
    """The cut through an overlap of noise goes anywhere, so each neighbour has about half of it: one that came later
    and did not cut would have all, and one that gave way none."""
    side, length = 32, 192  # 10 pieces a side: means of 10 cuts and more
    starts = _starts(length, side)
    pieces = quilt(noise(3, 64, 64), length, length, rng=seeded()).pieces
    weights = torch.stack([p.weight for p in pieces]).view(len(starts), len(starts), side, side)
    shares: dict[str, list[float]] = {"above": [], "below": [], "before": [], "after": []}
    for i in range(len(starts)):
        before, after = _overlaps(starts, i, side, length)
        # Between the other axis's overlaps, where only two pieces are.
        alone = slice(side // 2 - 2, side // 2 + 2)
        for j in range(len(starts)):
            if before:
                shares["above"].append(float(weights[i, j, :before, alone].mean()))
                shares["before"].append(float(weights[j, i, alone, :before].mean()))
            if after:
                shares["below"].append(float(weights[i, j, -after:, alone].mean()))
                shares["after"].append(float(weights[j, i, alone, -after:].mean()))
    for values in shares.values():
        assert 0.25 < sum(values) / len(values) < 0.75


def test_the_same_numbers_give_the_same_plan_and_others_another():
    picture = noise()
    a, b, c = (quilt(picture, 48, 48, rng=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(a.lay(picture), b.lay(picture))
    assert not torch.equal(a.lay(picture), c.lay(picture))
    assert smallest(24, 32) == smallest(32, 24) == 12
