"""Ways through a chain of frames: by chance, without end; or closed, of an exact length, the cheapest there is.

Schödl et al., "Video Textures", section 4.2, make loops by dynamic programming over combinations of primitive loops,
and then put these in order. Here the programme runs over the ways themselves, picture by picture: among them are all
those combinations in every order, and jumps forward, so that what is found costs no more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import torch
from torch import Tensor

from dyntex.baselines.frame_chain import FrameChain, Jumps, jumps_where
from dyntex.errors import UsageError

GOES_ON = -1
"""In place of a jump: a frame as it is."""
SPREAD = 0.25
"""Costs of a loop's jumps are multiplied by chance by 1 to 1.25, so that seeds differ."""
SEARCHED = 4
"""Loops of up to so many times the clip's length are searched as a whole. A longer one goes by chance, as a video
without end does, and closes within so many times the clip's length."""
FEES = (1.0, 4.0, 16.0, 64.0)
"""What each jump costs besides, in costs of the chain's mean jump: the least at which a loop jumps as seldom as the
chain does. Without it a short loop that is better by a trifle would be shown over and over."""
WORK = 3e8
"""Steps of the search that are affordable: seconds. Beyond it, not every frame is tried as the first."""

Place = tuple[int, int]
"""A jump and a picture of its window, or :data:`GOES_ON` and a frame."""


def walk(chain: FrameChain, *, first: int | None, rng: torch.Generator) -> Iterator[tuple[int, list[Place]]]:
    """The places that decision after decision shows, each time with the frame that they lead to, without end.

    Args:
        chain: by whose probabilities it goes.
        first: the frame that is shown first; None draws it from the stationary distribution.
        rng: one number is drawn for each decision.
    """
    jumps = chain.jumps
    ways: list[list[int]] = [[] for _ in chain.p_on]
    for e in (chain.p_jump > 0).nonzero().flatten().tolist():
        ways[int(jumps.start[e])].append(e)
    limits = [list(accumulate(chain.p_jump[own].tolist())) for own in ways]
    durations, lands, p_on = jumps.duration.tolist(), jumps.land.tolist(), chain.p_on.tolist()

    def drawn() -> float:
        return float(torch.rand((), generator=rng, device=rng.device, dtype=torch.float64))

    if first is None:
        possible = chain.stationary.nonzero().flatten().tolist()
        reached = list(accumulate(chain.stationary[possible].tolist()))
        first = possible[min(bisect_right(reached, drawn()), len(possible) - 1)]
    state = first
    yield state, [(GOES_ON, state)]
    while True:
        at = bisect_right(limits[state], drawn())
        if at == len(ways[state]) and p_on[state] > 0:
            state += 1
            yield state, [(GOES_ON, state)]
        else:
            e = ways[state][min(at, len(ways[state]) - 1)]
            state = lands[e]
            yield state, [(e, k) for k in range(durations[e])]


def closed_walk(
    chain: FrameChain, costs: Tensor, n: int, *, half: int, power: float, first: int | None, rng: torch.Generator
) -> tuple[Jumps, Tensor]:
    """A closed way of exactly n pictures: the last is followed by the first.

    Args:
        chain: over T frames.
        costs: ``(T, T)`` of showing frame b after frame a.
        n: 1 or more.
        half: half of a window; windows are shorter in a short loop.
        power: to which costs are raised before they are summed up.
        first: the frame that is shown first; None begins anywhere.
        rng: changes the costs a little, and draws where the loop begins.

    Returns:
        Jumps, which are the chain's and more; and ``(n, 2)`` int64, the places.
    """
    T = len(costs)
    half = min(half, n // 2)
    every = torch.ones(T, T, dtype=torch.bool)
    shown: list[Place] = []
    start, end = first, first
    if n > SEARCHED * T:
        for end, places in walk(chain, first=first, rng=rng):
            start = end if start is None else start
            shown += places
            if len(shown) > n - SEARCHED * T // 2:
                break
        del shown[0]  # the first frame: the way comes back to it
    # The cuts that lead back from where a video may have to start are for that alone.
    needless = torch.zeros(len(chain.jumps), dtype=torch.bool)
    if first is None or chain.stationary[first] > 0:
        needless = chain.stationary[chain.jumps.start] == 0
    for more, most in ((_of_each_length(costs, n, half=half), half), (every, half), (every, 0)):
        jumps = chain.jumps + jumps_where(more, costs, half=most)
        chance = torch.rand(len(jumps), generator=rng, device=rng.device, dtype=torch.float64).cpu()
        for fee in FEES:
            # A window that the clip's end halves is seen twice as well.
            prices = jumps.cost.pow(power) * (2 * half / jumps.duration).clamp_min(1.0)
            prices = (prices + fee * chain.mean_cost**power) * (1 + SPREAD * chance)
            prices[: len(needless)][needless] = torch.inf
            found = cheapest_way(T, jumps, prices, n - len(shown), start=end, end=start)
            if found is None or sum(k == 0 for e, k in found if e != GOES_ON) <= n / chain.mean_run + 1:
                break
        if found is not None:
            break
    if found is None:
        raise UsageError(f"a loop of {n} frames cannot be made of a clip of {T}: ask for more frames")
    shown += found
    if first is not None:
        shown = [(GOES_ON, first), *shown[:-1]]
        turn = 0
    else:
        turn = int(torch.randint(n, (), generator=rng, device=rng.device))
    return jumps, torch.tensor(shown).roll(turn, 0)


def _of_each_length(costs: Tensor, n: int, *, half: int) -> Tensor:
    """(T, T) bool: all jumps that alone make a loop of n pictures, and of every other length the best with a window
    that the clip's ends leave whole."""
    T = len(costs)
    frame = torch.arange(T)
    offset = frame - frame[:, None] - 1
    room = torch.minimum(torch.minimum(frame[:, None], frame), torch.minimum(T - 1 - frame[:, None], T - frame))
    whole = torch.where(room >= half, costs, torch.inf)
    best = torch.full((2 * T,), torch.inf, dtype=torch.float64)
    best = best.scatter_reduce(0, (offset + T).flatten(), whole.flatten(), "amin")
    return (offset == -n) | (torch.isfinite(whole) & (whole == best[offset + T]) & (offset.abs() > half))


def cheapest_way(
    n_frames: int, jumps: Jumps, prices: Tensor, n: int, *, start: int | None, end: int | None
) -> list[Place] | None:
    """The cheapest way of n pictures from one frame to another; None if there is none.

    Args:
        n_frames: of the clip.
        jumps, prices: what can be done besides going on, which is free; and what it costs, infinite for never.
        n: pictures.
        start: the frame before the way; None for any, if it leads back there.
        end: the frame that the way leads to; None where it began.

    Returns:
        The places that are shown, n in all, the last of which belongs to the frame ``end``.
    """
    if start is not None:
        total = _totals(n_frames, jumps, prices, n, torch.tensor([start]))[0]
        goal = start if end is None else end
    else:
        # A closed way has at least one jump: the frames at which the cheapest begin are tried first.
        tried = max(8, int(WORK / (n * (n_frames + len(jumps)))))
        starts = torch.tensor(list(dict.fromkeys(jumps.start[prices.argsort(stable=True)].tolist())))[:tried]
        best = []
        for some in torch.split(starts, max(1, int(1e7 / ((n + 1) * n_frames)))):
            best.append(_totals(n_frames, jumps, prices, n, some)[torch.arange(len(some)), n, some])
        goal = int(starts[torch.cat(best).argmin()])
        total = _totals(n_frames, jumps, prices, n, torch.tensor([goal]))[0]
    if not torch.isfinite(total[n, goal]):
        return None
    return _traced(total, jumps, prices, n, goal)


def _totals(n_frames: int, jumps: Jumps, prices: Tensor, n: int, starts: Tensor) -> Tensor:
    """(S, n + 1, T): the least price of a way from each start to each frame in so many pictures."""
    total = torch.full((len(starts), n + 1, n_frames), torch.inf, dtype=torch.float64)
    total[torch.arange(len(starts)), 0, starts] = 0.0
    short = jumps.duration <= n
    start, land, duration, price = (x[short] for x in (jumps.start, jumps.land, jumps.duration, prices))
    lands = land.expand(len(starts), -1)
    for t in range(1, n + 1):
        total[:, t, 1:] = total[:, t - 1, :-1]
        # A negative time counts from the end of what is not filled in yet: infinite.
        before = total[:, t - duration, start]
        total[:, t].scatter_reduce_(1, lands, before + price, "amin")
    return total


def _traced(total: Tensor, jumps: Jumps, prices: Tensor, n: int, goal: int) -> list[Place]:
    """The places of a way that has the least price, from the last to the first."""
    places: list[Place] = []
    t, state = n, goal
    while t > 0:
        if state > 0 and total[t, state] == total[t - 1, state - 1]:
            places.append((GOES_ON, state))
            t, state = t - 1, state - 1
            continue
        into = ((jumps.land == state) & (jumps.duration <= t)).nonzero().flatten()
        e = int(into[(total[t - jumps.duration[into], jumps.start[into]] + prices[into]).argmin()])
        places += [(e, k) for k in reversed(range(int(jumps.duration[e])))]
        t, state = t - int(jumps.duration[e]), int(jumps.start[e])
    return places[::-1]
