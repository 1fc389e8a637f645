"""Segment fields: what is shown when, by which law, and exactly how the potentials enter."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dyntex.errors import InputError
from dyntex.networks.segment_field import SegmentField, SegmentFieldConfig, cut, neighbours
from dyntex.networks.time_indices import AHEAD, Field


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clock(T: int = 40, height: int = 24, width: int = 36) -> Tensor:
    """(1, 1, T, H, W): every pixel of frame t is t, so that a sample says by itself which frames it shows."""
    return torch.arange(T, dtype=torch.float32).view(1, 1, T, 1, 1).expand(1, 1, T, height, width)


def field(config: SegmentFieldConfig, T: int = 40) -> SegmentField:
    return SegmentField(config, clock(T))


def shown(gen: SegmentField, y: Tensor, region: int) -> Tensor:
    """What a region shows at its centre, where no neighbour is blended in: (C, T, H, W) -> (T,)."""
    n, (height, width) = gen.config.regions, y.shape[2:]
    row, column = divmod(region, n)
    times = y[0, :, int((row + 0.5) * height / n), int((column + 0.5) * width / n)]
    # At a pixel's distance from the centre a thousandth of a neighbour is left.
    return torch.where((times - times.round()).abs() < 0.05, times.round(), times)


def sampled(gen: SegmentField, n_frames: int, seed: int) -> Tensor:
    return torch.cat(list(gen.stream(n_frames, rng=seeded(seed))), dim=2)[0]


def drawn(gen: SegmentField, n_segments: int, seed: int, *, loop: int = 0) -> Field:
    found = Field(gen, gen.timetable(n_segments, loop=loop))
    rounds = 2 * found.table.n_segments if loop else n_segments
    found.draw(np.random.default_rng(seed).random((gen.n_regions, gen.config.sweeps, AHEAD, rounds)))
    return found


def test_every_region_plays_forward_and_jumps_once_a_segment():
    gen = field(SegmentFieldConfig(regions=2, length=10, overlap=0))
    y = sampled(gen, 100, 0)
    jumps = []
    for r in range(4):
        times = shown(gen, y, r)
        assert torch.equal(times, times.round()), "whole frames of the clip where nothing is blended"
        steps = times.diff()
        at = (steps != 1).nonzero().flatten() + 1
        assert len(at) >= 7, "it jumps"  # one of ten jumps may by chance go on
        assert torch.equal(at % 10, at[:1].expand_as(at) % 10), "at the same moment of every segment"
        jumps.append(int(at[0]) % 10)
    assert len(set(jumps)) == 4, "no two regions jump together"


def test_untrained_segments_begin_anywhere_alike():
    """With zero potentials the first frames are uniform and independent: a chi-squared test with 6 sigma."""
    gen = field(SegmentFieldConfig(regions=1, length=8, overlap=4), T=24)
    first = gen.first_frames(6)  # 24 frames are cut into segments of 6
    assert gen.length == 6
    assert first.tolist() == list(range(2, 24 - 6 - 2 + 1)), "blends at both ends stay inside the clip"
    chosen = drawn(gen, 4000, 1).chosen[0]
    counts = np.bincount(chosen, minlength=24)[first]
    assert counts.sum() == 4000
    expected = 4000 / len(first)
    chi2 = ((counts - expected) ** 2 / expected).sum()
    freedom = len(first) - 1
    assert abs(chi2 - freedom) < 6 * math.sqrt(2 * freedom)
    pairs = np.corrcoef(chosen[1:], chosen[:-1])[0, 1]
    assert abs(pairs) < 6 / math.sqrt(4000)


def test_a_blend_takes_the_place_of_a_cut():
    gen = field(SegmentFieldConfig(regions=1, length=10, overlap=6, sharpness=1.0))
    f = drawn(gen, 8, 3)
    t = np.arange(20, 40)
    now, other, share = f.played(0, t)
    # Segments begin at 20 and 30; three frames on either side of each are blended, half at the jump itself.
    assert share[3:7].tolist() == [0.0] * 4
    assert share[13:17].tolist() == [0.0] * 4
    assert np.allclose(share[:3], [2.5 / 6, 1.5 / 6, 0.5 / 6])
    assert np.allclose(share[7:10], [0.5 / 6, 1.5 / 6, 2.5 / 6])
    before, here, after = (int(f.chosen[0, k]) for k in (1, 2, 3))
    assert now[:10].tolist() == list(range(here, here + 10))
    assert other[:3].tolist() == [before + 10, before + 11, before + 12]
    assert other[7:10].tolist() == [after - 3, after - 2, after - 1]
    y = gen.render(f, 20, 40)[0, :, 0, 0].numpy()
    assert np.allclose(y, now * (1 - share) + other * share, atol=1e-4)


def total(f: Field) -> float:
    """The log-potential of all that is drawn, by its definition: frame by frame and jump by jump."""
    gen, table = f.gen, f.table
    found = 0.0
    span = table.period or int(table.bounds[-1])
    times = range(-gen.length, span + gen.length) if not table.period else range(span)
    for (a, b), seam in zip(gen.edges, gen.seam.tolist(), strict=True):
        for t in times:
            at = []
            for r in (a, b):
                k = int(table.segment(r, np.array([t]))[0])
                known = f.known(r, k) if table.period or 0 <= k < table.n_segments else -1
                at.append(known + t - table.start(r, k) if known >= 0 else -1)
            if min(at) >= 0:
                found += seam[at[0]][at[1]] / gen.length
    for r in range(gen.n_regions):
        for k in range(table.n_segments if table.period else table.n_segments - 1):
            here, there = f.known(r, k), f.known(r, k + 1)
            due = here + table.start(r, k + 1) - table.start(r, k)
            found += gen.jump[r, due, there].item()
    return found


@pytest.mark.parametrize("loop", [0, 33, 11])
def test_log_potential_is_the_difference_of_the_whole(loop: int):
    """A segment's conditional law must be that of the field: any wrong index, sign, transpose or border shows here."""
    gen = field(SegmentFieldConfig(regions=2, length=10, overlap=4))
    with torch.no_grad():
        gen.seam.normal_(generator=seeded(0))
        gen.jump.normal_(generator=seeded(1))
    f = drawn(gen, 4, 2, loop=loop)
    for r, k in itertools.product(range(4), range(f.table.n_segments)):
        before = int(f.chosen[r, k])
        local, whole = f.log_potential(r, k), []
        for first in f.first:
            f.chosen[r, k] = first
            whole.append(total(f))
        f.chosen[r, k] = before
        assert np.allclose(local - local[0], np.array(whole) - whole[0], atol=1e-4)


def test_a_chain_of_jumps_has_the_law_of_its_potentials():
    """One region and two segments around a loop: all states can be counted, and their frequencies compared."""
    gen = field(SegmentFieldConfig(regions=1, length=6, overlap=2, sweeps=6), T=24)
    with torch.no_grad():
        gen.jump.normal_(generator=seeded(4)).mul_(1.5)
    table = gen.timetable(0, loop=12)
    first, jump = gen.first_frames(6), gen.jump[0].detach().numpy()
    p = np.exp(np.array([[jump[a + 6, b] + jump[b + 6, a] for b in first] for a in first]))
    p /= p.sum()
    n, counts = 3000, np.zeros_like(p)
    rng = np.random.default_rng(5)
    f = Field(gen, table)
    for _ in range(n):
        f.chosen[:] = -1
        f.n_drawn = 0
        f.draw(rng.random((1, 6, AHEAD, 4)))
        counts[f.chosen[0, 0] - first[0], f.chosen[0, 1] - first[0]] += 1
    # Total variation of n draws from p itself: at most sum sqrt(p (1 - p) / n) / 2 in the mean.
    bound = np.sqrt(p * (1 - p) / n).sum() / 2
    assert np.abs(counts / n - p).sum() / 2 < 1.5 * bound
    uniform = np.full_like(p, 1 / p.size)
    assert np.abs(uniform - p).sum() / 2 > 5 * bound, "which other laws do not have"


def test_seam_potentials_bring_neighbours_together():
    gen = field(SegmentFieldConfig(regions=2, length=10, overlap=0))
    with torch.no_grad():
        gen.seam.copy_(-((torch.arange(40)[:, None] - torch.arange(40)[None] - 7).double().square()).float())
    y = sampled(gen, 60, 0)
    left, right = shown(gen, y, 0), shown(gen, y, 1)
    # The first of an edge runs about 7 frames ahead of the second.
    assert (left - right).median() == pytest.approx(7.0, abs=1.5)
    assert (shown(gen, y, 2) - shown(gen, y, 3)).median() == pytest.approx(7.0, abs=1.5)


@pytest.mark.parametrize("n_frames", [7, 20, 33, 64])
def test_a_loop_leads_into_its_beginning(n_frames: int):
    gen = field(SegmentFieldConfig(regions=2, length=10, overlap=0))
    f = drawn(gen, 0, 6, loop=n_frames)
    twice = gen.render(f, 0, 2 * n_frames)
    assert torch.equal(twice[:, :n_frames], twice[:, n_frames:])
    once = torch.cat(list(gen.stream(n_frames, rng=seeded(0), loop=True)), dim=2)
    assert once.shape == (1, 1, n_frames, 24, 36)
    for r in range(4):
        steps = shown(gen, twice, r)[: n_frames + 1].diff()
        # As many jumps as segments, and none more where the end meets the beginning.
        assert int((steps != 1).sum()) <= max(1, round(n_frames / 10))


def test_stream_begins_alike_whatever_its_length_and_forward_has_its_shape():
    gen = field(SegmentFieldConfig(regions=3, length=10))
    with torch.no_grad():
        gen.seam.normal_(generator=seeded(0))
    long = sampled(gen, 200, 0)
    assert long.shape == (1, 200, 24, 36)
    assert torch.equal(long[:, :64], sampled(gen, 100, 0)[:, :64])
    z = torch.randn((2, *gen.latent_shape(25)), generator=seeded(1))
    y = gen(z)
    assert y.shape[0] == 2
    assert y.shape[2] >= 25
    assert not torch.equal(y[0], y[1])
    assert torch.equal(gen(z), y)
    around = torch.randn((1, gen.latent_shape(1)[0], gen.latents_of_loop(33), 1, 1), generator=seeded(2))
    assert gen(around, loop=33).shape == (1, 1, 33, 24, 36)


def test_shortened_shows_only_the_first_frames():
    gen = field(SegmentFieldConfig(regions=2, length=10, overlap=4))
    y = sampled(gen.shortened(25), 300, 0)
    assert y.max() < 25.0
    assert sampled(gen, 300, 0).max() > 30.0
    with torch.no_grad():
        gen.jump.normal_(generator=seeded(0))
    assert gen.shortened(25).jump is gen.jump, "it shares what is learnt"


def test_weights_add_up_and_belong_to_their_regions():
    gen = field(SegmentFieldConfig(regions=3))
    assert torch.allclose(gen.weights.sum(0), torch.ones(24, 36), atol=1e-5)
    for r in range(9):
        row, column = divmod(r, 3)
        assert float(gen.weights[r, row * 8 + 4, column * 12 + 6]) > 0.95
    assert neighbours(3)[:2] == [(0, 1), (1, 2)]
    assert len(neighbours(3)) == 12
    assert (0, 3) in neighbours(3)
    assert (2, 3) not in neighbours(3)


def test_too_short_a_clip_is_refused():
    with pytest.raises(InputError, match="11 frames are too few"):
        SegmentField(SegmentFieldConfig(), clock(11))


FRONTS = SegmentFieldConfig(regions=2, length=10, overlap=6, front=4)


def test_fronts_keep_neighbours_together_and_bend_time_between_them():
    gen = field(FRONTS)
    f = drawn(gen, 200, 0)
    settled = f.chosen[:, :190]
    for a, b in gen.edges:
        apart = np.abs(settled[a] - settled[b])
        assert apart.max() <= 4
        assert np.bincount(apart, minlength=5).min() > 10, "and they are that far apart, too"
    spread = np.bincount(settled[0], minlength=40)[gen.first_frames(10)]
    assert spread.min() > 0, "segments begin anywhere"
    k = 5
    y = gen.render(f, 10 * k + 3, 10 * k + 7)[0]  # clear of the cuts
    assert torch.equal(y, y.round()), "every pixel shows a frame of the clip, none a blend"
    first = [int(settled[r, k]) for r in range(4)]
    corners = y[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    expected = torch.tensor(first) + torch.arange(3, 7)[:, None]
    assert torch.equal(corners.long(), expected), "a region's own time beyond its centre"
    rows = y[0].diff(dim=0).abs().max(), y[0].diff(dim=1).abs().max()
    assert max(rows) <= 1.0, "from one centre to the next time changes step by step"


def test_segments_of_fronts_are_cut_into_each_other_where_they_differ_least():
    before, after = torch.zeros(2, 1, 6, 20, 20)
    before[:, :, :, :10] = torch.tensor([3.0, 2.0, 1.0, 0.0, 1.0, 2.0]).view(6, 1, 1)
    before[:, :, :, 10:] = torch.tensor([0.0, 2.0, 1.0, 5.0, 1.0, 2.0]).view(6, 1, 1)
    taken = cut(before, after)
    assert taken.shape == (1, 6, 20, 20)
    assert taken[0, :, 3, 2].tolist() == [False, False, False, True, True, True]
    assert taken[0, :, 3, 17].tolist() == [True] * 6
    batch = cut(before.expand(3, -1, -1, -1, -1), after)
    assert torch.equal(batch, taken.expand(3, -1, -1, -1, -1))


def test_streams_and_loops_of_fronts_have_no_seam_of_their_own():
    gen = field(FRONTS)
    long = sampled(gen, 150, 0)
    assert long.shape == (1, 150, 24, 36)
    assert torch.equal(long[:, :64], sampled(gen, 64, 0)), "chunks of 64 change nothing"
    f = drawn(gen, 15, 3)
    whole = gen.render(f, 0, 130)
    parts = torch.cat([gen.render(f, a, b) for a, b in ((0, 9), (9, 11), (11, 64), (64, 130))], dim=1)
    assert torch.equal(whole, parts), "nor do any others"
    around = drawn(gen, 0, 6, loop=33)
    twice = gen.render(around, 0, 66)
    assert torch.equal(twice[:, :33], twice[:, 33:])


def test_jump_potentials_of_all_regions_decide_where_fronts_go():
    gen = field(FRONTS)
    with torch.no_grad():
        gen.jump.fill_(-50.0)
        gen.jump[:, :, 12:17] = 0.0
    settled = drawn(gen, 60, 1).chosen[:, 1:50]
    assert np.isin(settled, range(12, 17)).mean() > 0.95
