"""The chain over frames and its loops, against brute force."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from dyntex.baselines.frame_chain import Jumps, frame_chain, future_cost, good_jumps, jumps_where, recurrent
from dyntex.baselines.frame_loops import GOES_ON, cheapest_way, closed_walk, walk


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def jumps_of(*rows: tuple[int, int, int, float]) -> Jumps:
    """From (start, new, duration, cost)."""
    start, new, duration, cost = zip(*rows, strict=True)
    integers = (torch.tensor(x) for x in (start, new, duration))
    return Jumps(*integers, torch.tensor(cost, dtype=torch.float64))


JUMPS = jumps_of((1, 0, 1, 0.7), (2, 0, 2, 0.3), (3, 1, 1, 0.9), (4, 1, 2, 0.2), (0, 3, 1, 0.1), (3, 0, 1, 0.4))


def costs(T: int = 24, *, seed: int = 3) -> Tensor:
    """Random ones, as of frames that have nothing to do with one another."""
    C = torch.rand(T, T, generator=seeded(seed), dtype=torch.float64) + 0.5
    C.diagonal(1).zero_()
    C[T - 1, 0] = torch.inf
    return C


def test_windows_lie_around_the_cut_and_are_cut_short_by_the_clips_ends():
    C = costs(20)
    which = torch.zeros(20, 20, dtype=torch.bool)
    which[[12, 19, 9, 1], [4, 7, 0, 15]] = True
    found = jumps_where(which, C, half=3)
    rows = {
        (int(s), int(n), int(d), float(c))
        for s, n, d, c in zip(found.start, found.new, found.duration, found.cost, strict=True)
    }
    assert rows == {
        (9, 1, 6, float(C[12, 4])),  # 10..15 over 1..6
        (16, 4, 3, float(C[19, 7])),  # nothing after 19
        (9, 0, 3, float(C[9, 0])),  # nothing before 0
        (0, 14, 4, float(C[1, 15])),  # one before, three after
    }
    cut = jumps_where(which, C, half=0)
    assert set(zip(cut.start.tolist(), cut.new.tolist(), cut.duration.tolist(), strict=True)) == {
        (12, 4, 1), (19, 7, 1), (9, 0, 1), (1, 15, 1)
    }  # fmt: skip
    assert torch.equal(cut.land, cut.new)


def cheapest_future(state: int, goes_on: list[bool], jumps: Jumps, depth: float) -> float:
    """Every way, until what follows is discounted to nothing."""
    if depth < 1e-6:
        return 0.0
    ways = [math.inf]
    if goes_on[state]:
        ways.append(0.3 * cheapest_future(state + 1, goes_on, jumps, 0.3 * depth))
    for e in range(len(jumps)):
        if int(jumps.start[e]) == state:
            factor = 0.3 ** int(jumps.duration[e])
            ways.append(
                float(jumps.cost[e]) ** 2 + factor * cheapest_future(int(jumps.land[e]), goes_on, jumps, factor * depth)
            )
    return min(ways)


@pytest.mark.parametrize("barrier", [None, 1, 3])
def test_future_cost_is_the_least_over_all_ways(barrier: int | None):
    goes_on = [True, True, True, True, True, False]
    if barrier is not None:
        goes_on[barrier] = False
    V = future_cost(torch.tensor(goes_on), JUMPS, discount=0.3, power=2.0)
    for state in range(6):
        assert float(V[state]) == pytest.approx(cheapest_future(state, goes_on, JUMPS, 1.0), abs=1e-5)
    assert V[5] == math.inf  # nothing follows the last frame


def test_what_leads_nowhere_is_a_dead_end():
    V = future_cost(torch.tensor([True, True, True, False]), jumps_of((1, 0, 1, 1.0)), discount=0.9, power=1.0)
    assert torch.isfinite(V[:2]).all()
    assert torch.isinf(V[2:]).all()


def test_recurrent_frames_reach_one_another():
    assert recurrent(6, jumps_of((3, 1, 1, 0.0))).tolist() == [1, 2, 3]
    assert recurrent(6, jumps_of((3, 1, 1, 0.0), (4, 2, 2, 0.0))).tolist() == [1, 2, 3, 4]


def test_good_jumps_cost_less_than_those_left_out_and_come_back_to_most_frames():
    C = costs(40)
    kept = good_jumps(C, half=2, coverage=0.8, most=16)
    every = good_jumps(C, half=2, coverage=1.0, most=16)
    assert 0 < len(kept) < len(every)
    assert float(kept.cost.max()) <= float(every.cost.sort().values[len(kept)])
    assert len(recurrent(40, kept)) >= 0.8 * len(recurrent(40, every))
    fewer = kept[kept.cost < kept.cost.max()]
    assert len(recurrent(40, fewer)) < 0.8 * len(recurrent(40, every))  # the last one was needed


def test_a_clip_that_drifts_comes_back_by_a_long_jump():
    frame = torch.arange(40, dtype=torch.float64)
    C = (frame[:, None] + 1 - frame).abs()
    C[39, 0] = torch.inf
    kept = good_jumps(C, half=2, coverage=0.9, most=16)
    assert len(recurrent(40, kept)) >= 18
    assert float(kept.cost.min()) >= 19  # not the few frames back that are nearest, in which it would stutter


def chain_of(C: Tensor, *, mean_run: float = 8.0):
    return frame_chain(C, half=1, mean_run=mean_run, discount=0.9, power=2.0, coverage=0.9, most=16)


def test_probabilities_add_up_and_fall_exponentially_with_what_follows():
    """log p = -Q / temperature + a constant of the frame, Q = cost^2 + what follows, for all that is not too rare."""
    chain = chain_of(costs())
    jumps = chain.jumps
    total = chain.p_on.scatter_add(0, jumps.start, chain.p_jump)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-12)
    V = future_cost(chain.p_on > 0, jumps, discount=0.9, power=2.0)
    q_jump = jumps.cost**2 + 0.9 ** jumps.duration.double() * V[jumps.land]
    q_on, temperatures = 0.9 * V.roll(-1), []
    for e in range(len(jumps)):
        s = int(jumps.start[e])
        if chain.p_on[s] > 1e-3 and chain.p_jump[e] > 1e-4:
            odds = torch.log(chain.p_on[s] / chain.p_jump[e])
            temperatures.append(float((q_jump[e] - q_on[s]) / odds))
    assert len(temperatures) > 5
    assert min(temperatures) > 0
    assert max(temperatures) == pytest.approx(min(temperatures), rel=1e-6)


def test_walks_visit_frames_as_often_as_the_stationary_distribution_says():
    chain = chain_of(costs())
    steps = 40_000
    states = [state for state, _ in itertools.islice(walk(chain, first=None, rng=seeded(5)), steps)]
    counted = torch.bincount(torch.tensor(states), minlength=24).double() / steps
    # 6 standard errors, as if every run of about 8 decisions were one draw.
    bound = 6 * (chain.stationary * 8 / steps).sqrt() + 1e-9
    assert ((counted - chain.stationary).abs() <= bound).all()


def test_jumps_are_as_rare_as_asked_and_rarer_where_they_are_seen():
    cheap, dear = costs() * 0.1, costs() * 4
    runs = []
    for C, wanted in ((cheap, 8.0), (cheap, 16.0), (dear, 8.0)):
        chain = chain_of(C, mean_run=wanted)
        jumped = [
            e for _, places in itertools.islice(walk(chain, first=None, rng=seeded(6)), 20_000) for e, _ in places
        ]
        begun = sum(
            places[0][0] != GOES_ON for _, places in itertools.islice(walk(chain, first=None, rng=seeded(6)), 20_000)
        )
        runs.append(len(jumped) / begun)
        assert runs[-1] == pytest.approx(chain.mean_run, rel=0.1)
    assert runs[0] == pytest.approx(8.0, rel=0.1)
    assert runs[1] == pytest.approx(16.0, rel=0.1)
    assert runs[2] > 10.0


def places_follow(places: list[tuple[int, int]], jumps: Jumps) -> None:
    """Each place may follow the one before, the first the last too."""
    for (e, k), (f, m) in zip([places[-1], *places[:-1]], places, strict=True):
        state = k if e == GOES_ON else int(jumps.new[e]) + k
        if f == GOES_ON:
            assert e == GOES_ON or k == int(jumps.duration[e]) - 1
            assert m == state + 1
        elif m:
            assert (e, k) == (f, m - 1)
        else:
            assert e == GOES_ON or k == int(jumps.duration[e]) - 1
            assert int(jumps.start[f]) == state


def price_of(places: list[tuple[int, int]], prices: Tensor) -> float:
    return sum(float(prices[e]) for e, k in places if e != GOES_ON and k == 0)


def all_prices(state: int, goal: int, n: int, T: int, jumps: Jumps) -> float:
    """The least price of n pictures from one frame to another, over every way there is."""
    if n == 0:
        return 0.0 if state == goal else math.inf
    ways = [math.inf]
    if state + 1 < T:
        ways.append(all_prices(state + 1, goal, n - 1, T, jumps))
    for e in range(len(jumps)):
        if int(jumps.start[e]) == state and int(jumps.duration[e]) <= n:
            rest = all_prices(int(jumps.land[e]), goal, n - int(jumps.duration[e]), T, jumps)
            ways.append(float(jumps.cost[e]) + rest)
    return min(ways)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 11])
def test_the_cheapest_closed_way_is_the_cheapest_of_all(n: int):
    best = min(all_prices(s, s, n, 6, JUMPS) for s in range(6))
    found = cheapest_way(6, JUMPS, JUMPS.cost, n, start=None, end=None)
    if math.isinf(best):
        assert found is None
        return
    assert found is not None
    assert len(found) == n
    places_follow(found, JUMPS)
    assert price_of(found, JUMPS.cost) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize(("start", "end"), [(0, 5), (4, 2), (2, 2)])
def test_the_cheapest_way_between_two_frames(start: int, end: int):
    for n in range(1, 10):
        best = all_prices(start, end, n, 6, JUMPS)
        found = cheapest_way(6, JUMPS, JUMPS.cost, n, start=start, end=end)
        assert (found is None) == math.isinf(best)
        if found is not None:
            assert price_of(found, JUMPS.cost) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 23, 24, 25, 60, 200])
def test_loops_of_every_length_close(n: int):
    C = costs()
    chain = chain_of(C)
    loops = set()
    for seed in range(3):
        jumps, shown = closed_walk(chain, C, n, half=1, power=2.0, first=None, rng=seeded(seed))
        assert len(shown) == n
        places_follow([(int(e), int(k)) for e, k in shown], jumps)
        loops.add(tuple(shown.flatten().tolist()))
    assert n == 1 or len(loops) > 1  # seeds differ


@pytest.mark.parametrize("first", [0, 11, 23])
def test_a_loop_begins_at_a_given_frame(first: int):
    C = costs()
    for n in (1, 2, 9, 40, 200):
        _, shown = closed_walk(chain_of(C), C, n, half=1, power=2.0, first=first, rng=seeded())
        assert shown[0].tolist() == [GOES_ON, first]
        assert len(shown) == n
