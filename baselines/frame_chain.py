"""A Markov chain over the frames of a clip, which goes on from frame to frame and now and then jumps.

Schödl, Szeliski, Salesin, Essa, "Video Textures", SIGGRAPH 2000, sections 3 and 4. Departure: a jump is not a cut but
takes a few pictures, in which the video changes over from one course of the clip to the other, and no other jump begins
within them. So the chain is semi-Markov: going on lasts one picture, a jump as many as its window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from dyntex.textures.transitions import local_minima

RAREST = 1e-6
"""Least weight of what is possible, against what is best: no way is lost by rounding."""
COLDEST, HOTTEST, BISECTIONS = -7.0, 7.0, 24
"""Of the temperature: powers of ten between which it lies, and steps in which it is found."""


@dataclass(frozen=True)
class Jumps:
    """Jumps between frames, E in all.

    Attributes:
        start: (E,) int64, the frame shown before the window.
        new: (E,) int64, the first frame of the course that is jumped to: the window's k-th picture changes over from
            frame ``start + 1 + k`` to frame ``new + k``.
        duration: (E,) int64, pictures of the window, 1 or more.
        cost: (E,) float64.
    """

    start: Tensor
    new: Tensor
    duration: Tensor
    cost: Tensor

    @property
    def land(self) -> Tensor:
        """(E,) the frame that the window's last picture belongs to, from which the chain goes on."""
        return self.new + self.duration - 1

    def __len__(self) -> int:
        return len(self.cost)

    def __getitem__(self, which: Tensor) -> Jumps:
        """Those of a mask or of indices."""
        return Jumps(self.start[which], self.new[which], self.duration[which], self.cost[which])

    def __add__(self, other: Jumps) -> Jumps:
        columns = ((getattr(self, name), getattr(other, name)) for name in ("start", "new", "duration", "cost"))
        return Jumps(*(torch.cat(pair) for pair in columns))


def jumps_where(which: Tensor, costs: Tensor, *, half: int) -> Jumps:
    """The jumps that a mask marks, in windows of at most ``half`` pictures before the cut and as many after it.

    Args:
        which: ``(T, T)`` bool: at [a, b] the cut between frame a and frame b.
        costs: ``(T, T)``, infinite where there cannot be one.
        half: 0 cuts from one picture to the next. At the clip's ends, where frames are missing, windows are shorter.
    """
    T = len(costs)
    a, b = (which & torch.isfinite(costs)).nonzero().unbind(1)
    before = torch.minimum(a, b).clamp_max(half)
    after = torch.minimum(T - 1 - a, T - b).clamp_max(half)
    return Jumps(a - before, b - before, (before + after).clamp_min(1), costs[a, b])


def good_jumps(costs: Tensor, *, half: int, coverage: float, most: int) -> Jumps:
    """Pruning: the best of each neighbourhood, and of these the cheapest that let the chain come back to most frames.

    Args:
        costs: ``(T, T)`` of showing b after a.
        half: half of a window; shorter jumps are left out, in which the clip would stutter.
        coverage: the share of the frames that all jumps together can come back to which those kept have to reach.
        most: keep at most so many jumps a frame.
    """
    T = len(costs)
    frame = torch.arange(T)
    offset = frame - frame[:, None] - 1
    room = torch.minimum(torch.minimum(frame[:, None], frame), torch.minimum(T - 1 - frame[:, None], T - frame))
    roomy = room >= half // 2  # at the clip's ends windows may lose a half of either side, but no more
    found = jumps_where(local_minima(costs) & roomy & (offset.abs() > min(half, (T - 2) // 2)), costs, half=half)
    if len(recurrent(T, found)) < T / 2:
        # The clip drifts, so that the farther a jump the worse: one back over half of it there has to be.
        far = roomy & (offset <= -T / 2)
        found = found + jumps_where(far if far.any() else offset < -1, costs, half=half)
    found = found[found.cost.argsort(stable=True)[: most * T]]
    enough = coverage * len(recurrent(T, found))
    low, high = 1, len(found)
    while low < high:
        middle = (low + high) // 2
        if len(recurrent(T, found[torch.arange(middle)])) >= enough:
            high = middle
        else:
            low = middle + 1
    return found[found.cost <= found.cost[low - 1]]


def recurrent(n_frames: int, jumps: Jumps) -> Tensor:
    """The largest set of frames each of which can be reached from each other one, in order."""
    frames = np.arange(n_frames)
    start = np.concatenate([frames[:-1], jumps.start.numpy()])
    stop = np.concatenate([frames[1:], jumps.land.numpy()])
    graph = coo_array((np.ones(len(start)), (start, stop)), shape=(n_frames, n_frames))
    _, labels = connected_components(graph, connection="strong")
    return torch.from_numpy(np.flatnonzero(labels == np.bincount(labels).argmax()))


def future_cost(goes_on: Tensor, jumps: Jumps, *, discount: float, power: float) -> Tensor:
    """(T,) the least discounted sum of cost^power over all that follows a frame; infinite at a dead end.

    The fixed point of V(s) = min(discount V(s + 1), min over jumps from s of cost^power + discount^duration V(land)).
    It is found by iteration from the last frame to the first (the paper's Q-learning with a sure best choice).

    Args:
        goes_on: (T,) bool, whether the next frame may follow a frame.
        jumps: that there are.
        discount: of a cost one picture later, in (0, 1).
        power: above 1 it prefers several good jumps to a bad one.
    """
    T = len(goes_on)
    on = goes_on.tolist()
    price, factor = jumps.cost.pow(power), discount ** jumps.duration.double()
    V = torch.zeros(T, dtype=torch.float64)
    while True:
        best = torch.full((T,), torch.inf, dtype=torch.float64)
        best = best.scatter_reduce(0, jumps.start, price + factor * V[jumps.land], "amin")
        values, following = best.tolist(), float("inf")
        for s in reversed(range(T)):
            values[s] = following = min(values[s], discount * following if on[s] else float("inf"))
        new = torch.tensor(values, dtype=torch.float64)
        settled = torch.isclose(new, V, rtol=1e-10, atol=1e-14) | (torch.isinf(new) & torch.isinf(V))
        V = new
        if settled.all():
            return V


@dataclass(frozen=True)
class FrameChain:
    """What may follow a frame, and how probably.

    Attributes:
        jumps: E jumps.
        p_jump: (E,) the probability of each where it starts.
        p_on: (T,) of going on to the next frame; with the jumps of a frame it adds up to 1.
        stationary: (T,) how often a frame is decided at, summing up to 1; 0 where the chain does not come back to.
    """

    jumps: Jumps
    p_jump: Tensor
    p_on: Tensor
    stationary: Tensor

    @property
    def mean_run(self) -> float:
        """Pictures from the beginning of one jump to that of the next, on average."""
        return 1.0 / max(_rate(self), 1e-300)

    @property
    def mean_cost(self) -> float:
        """Of the jumps that are taken, on average."""
        flow = self.stationary[self.jumps.start] * self.p_jump
        return float((flow * self.jumps.cost).sum() / flow.sum())


def frame_chain(
    costs: Tensor, *, half: int, mean_run: float, discount: float, power: float, coverage: float, most: int
) -> FrameChain:
    """The chain of a clip, by the costs of its jumps.

    Probabilities fall exponentially with the cost of what is done and of what may follow (the paper's equation 6).
    Their temperature is the one at which the chain jumps as seldom as asked, or as near to that as it can. Jumps that
    are seen, because they cost more than a step of the clip, are to be as many times rarer.

    Args:
        costs: ``(T, T)`` of showing b after a, T at least 3, from :func:`dyntex.textures.transitions.jump_costs`.
        half: half of a window.
        mean_run: pictures from the beginning of a jump to that of the next, where jumps cost a step or less.
        discount, power: see :func:`future_cost`.
        coverage, most: see :func:`good_jumps`.
    """
    T = len(costs)
    jumps = good_jumps(costs, half=half, coverage=coverage, most=most)
    core = torch.zeros(T, dtype=torch.bool)
    core[recurrent(T, jumps)] = True
    # Nothing leads out of the frames that the chain can come back to ...
    goes_on = torch.cat([~core[:-1] | core[1:], torch.tensor([False])])
    jumps = jumps[~core[jumps.start] | core[jumps.land]]
    V = future_cost(goes_on, jumps, discount=discount, power=power)
    lost = torch.isinf(V)
    if lost.any():
        # ... and from beyond them, where a video may have to start, at worst a cut leads back.
        cuts = jumps_where(lost[:, None] & core[None, :], costs, half=0)
        best = torch.full((T,), torch.inf, dtype=torch.float64).scatter_reduce(0, cuts.start, cuts.cost, "amin")
        jumps = jumps + cuts[cuts.cost <= best[cuts.start]]
        V = future_cost(goes_on, jumps, discount=discount, power=power)

    def at(power_of_ten: float) -> FrameChain:
        return _at_temperature(10**power_of_ten, jumps, V, goes_on, core, discount=discount, power=power)

    cold, hot = COLDEST, HOTTEST
    chain = at(cold)
    wanted = mean_run * max(1.0, chain.mean_cost)
    for _ in range(BISECTIONS):
        middle = (cold + hot) / 2
        chain = at(middle)
        cold, hot = (middle, hot) if chain.mean_run > wanted else (cold, middle)
    return chain


def _at_temperature(
    temperature: float, jumps: Jumps, V: Tensor, goes_on: Tensor, core: Tensor, *, discount: float, power: float
) -> FrameChain:
    after = torch.cat([V[1:], torch.tensor([torch.inf], dtype=torch.float64)])
    q_on = torch.where(goes_on, discount * after, torch.inf)
    q_jump = jumps.cost.pow(power) + discount ** jumps.duration.double() * V[jumps.land]
    best = q_on.scatter_reduce(0, jumps.start, q_jump, "amin")
    # Where there is no way at all, there is nothing to normalise.
    weight_on = torch.where(torch.isfinite(q_on), _weight((q_on - best) / temperature), 0.0)
    weight_jump = torch.where(torch.isfinite(q_jump), _weight((q_jump - best[jumps.start]) / temperature), 0.0)
    total = weight_on.scatter_add(0, jumps.start, weight_jump)
    p_on, p_jump = weight_on / total, weight_jump / total[jumps.start]
    return FrameChain(jumps, p_jump, p_on, _stationary(p_on, p_jump, jumps, core))


def _weight(excess: Tensor) -> Tensor:
    return torch.exp(-excess).clamp_min(RAREST)


def _stationary(p_on: Tensor, p_jump: Tensor, jumps: Jumps, core: Tensor) -> Tensor:
    """The stationary distribution of the decisions, from which nothing leads out of the core."""
    T = len(p_on)
    P = torch.zeros(T, T, dtype=torch.float64)
    P.view(-1)[: (T - 1) * (T + 1)].view(T - 1, T + 1)[:, 1] = p_on[:-1]
    P.index_put_((jumps.start, jumps.land), p_jump, accumulate=True)
    inside = core.nonzero().flatten()
    equations = P[inside][:, inside].mT - torch.eye(len(inside), dtype=torch.float64)
    equations[-1] = 1.0
    right = torch.zeros(len(inside), dtype=torch.float64)
    right[-1] = 1.0
    out = torch.zeros(T, dtype=torch.float64)
    out[inside] = torch.linalg.solve(equations, right).clamp_min(0.0)
    return out / out.sum()


def _rate(chain: FrameChain) -> float:
    """Jumps a picture."""
    flow = chain.stationary[chain.jumps.start] * chain.p_jump
    pictures = (chain.stationary * chain.p_on).sum() + (flow * chain.jumps.duration).sum()
    return float(flow.sum() / pictures)
