"""Several guesses at the missing pixels, weighted by how well each does on pixels that are known and were hidden.

No single guess is best everywhere: on a slow sea, interpolation over two seconds is hard to beat; on a fire, half a
frame is too long and the pixels around a hole are better. The clip itself decides (stacking; Wolpert, "Stacked
generalization", Neural Networks 5, 1992): some known pixels are hidden in the way the missing ones are, each guess is
made again, and the weights are those with the smallest mean absolute error, which tables report.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from dyntex.inpainting.interpolation import NEVER, ends, gaps, interpolate, median, spread
from dyntex.inpainting.kalman import smooth
from dyntex.inpainting.kriging import DEFAULT, Kriging, krige

DISTANCES = (2, 3, 5, 9)
"""Frames to the nearest seen time at which other weights begin."""
CHANGES = (0.03, 0.1)
"""Changes across the gap, in [-1, 1], at which other weights begin: 4 and 13 of 255 levels."""
N_CHANGES = len(CHANGES) + 2  # the last: nobody knows, because one end of the gap is missing too
N_CLASSES = N_CHANGES * (len(DISTANCES) + 1)
SLOW = 4.0
"""Frames (standard deviation) over which the slow trend is averaged."""
CELL = 16
"""Side of the squares that are hidden of a mask that leaves little to hide."""
SPARSE = 0.25
"""Share of missing pixels up to which the whole mask can be hidden once more."""
HIDDEN_CELLS, HIDDEN_FRAMES = 0.12, 0.15
ENOUGH = 300
"""Hidden pixels from which weights can be learnt."""
MOST = 6000
"""Hidden pixels that are looked at: enough for five weights."""
ANCHOR = 0.1
"""How far the weights of one class are pulled to those of all."""
LEVEL = 1 / 255
"""Errors below this count as this in the reweighting of the least absolute deviations."""
SIDE = 64
"""Side of the part of the frame on which guesses are tried."""
MOSTLY = 0.75
"""Share of missing pixels above which a part of the clip has too little to estimate weights from."""


def blend(y: Tensor, missing: Tensor, *, rng: torch.Generator, config: Kriging = DEFAULT) -> Tensor:
    """Fill what is missing by the weighted guesses.

    Args:
        y: (C, T, H, W) in [-1, 1]; what it holds at missing pixels is not looked at.
        missing: (T, H, W), bool, true somewhere and not everywhere.
        rng: on the CPU; what is hidden to learn the weights.
        config: of the kriging among the guesses.

    Returns:
        (C, T, H, W), not clamped; seen pixels as they are.
    """
    weights = _learn(y, missing, rng, config)
    made = guesses(y, missing, config)
    at = classes(y, missing)
    out = y.clone()
    for i, w in enumerate(weights):
        here = missing & (at == i)
        out[:, here] = torch.einsum("g,gcn->cn", w, made[:, :, here])
    return out


def guesses(y: Tensor, missing: Tensor, config: Kriging) -> Tensor:
    """(5, C, T, H, W): interpolation, median, kriging around each pixel's mean and around its slow trend, LDS."""
    return torch.stack(
        (
            interpolate(y, missing),
            median(y, missing),
            krige(y, missing, config),
            krige(y, missing, config, trend=slow_trend(y, missing)),
            smooth(y, missing),
        )
    )


def slow_trend(y: Tensor, missing: Tensor) -> Tensor:
    """Each pixel's mean over the times around each, by a Gaussian window with a little of all times: (C, T, H, W)."""
    y, seen = torch.where(missing, 0.0, y), (~missing).to(y.dtype)
    t = torch.arange(len(missing), dtype=y.dtype)
    window = torch.exp(-(t[:, None] - t).square() / (2 * SLOW**2)) + 1e-3
    total = torch.einsum("st,cthw->cshw", window, y)
    share = torch.einsum("st,thw->shw", window, seen)
    return spread(total / share.clamp_min(1e-9), seen.sum(0) > 0)


def classes(y: Tensor, missing: Tensor) -> Tensor:
    """Which weights a missing pixel takes: (T, H, W), by its distance in time, and by how much changed meanwhile.

    Where both ends of a gap agree, the pixel most likely stood still, in a clip however lively.
    """
    gap = gaps(missing)
    earlier, later = ends(y, missing)
    change = torch.bucketize((later - earlier).abs().mean(0), torch.tensor(CHANGES), right=True)
    change = torch.where((gap.before == NEVER) | (gap.after == NEVER), N_CHANGES - 1, change)
    distance = torch.bucketize(gap.nearest, torch.tensor(DISTANCES), right=True)
    return distance * N_CHANGES + change


def _learn(y: Tensor, missing: Tensor, rng: torch.Generator, config: Kriging) -> list[Tensor]:
    """Weights (5,) for each class."""
    rows, columns = part_around(missing)
    y, missing = y[..., rows, columns], missing[:, rows, columns]
    made, true, at = [], [], []
    for hidden in hide(missing, rng=rng):
        less = missing | hidden
        if not bool(hidden.any()) or bool(less.all()):
            continue
        made.append(guesses(y, less, config)[:, :, hidden])
        true.append(y[:, hidden])
        at.append(classes(y, less)[hidden])
    only_interpolation = torch.eye(5)[0]
    if sum(len(part) for part in at) < ENOUGH:
        return [only_interpolation] * N_CLASSES
    X, x, k = torch.cat(made, 2), torch.cat(true, 1), torch.cat(at)

    def fit(chosen: Tensor, prior: Tensor, anchor: float) -> Tensor:
        chosen = chosen.nonzero()[:, 0]
        chosen = chosen[torch.randperm(len(chosen), generator=rng)[:MOST]]
        return least_absolute(X[:, :, chosen].flatten(1), x[:, chosen].flatten(), prior=prior, anchor=anchor)

    overall = fit(k >= 0, torch.full((5,), 0.2), 0.0)
    weights: list[Tensor] = []
    for i in range(N_CLASSES):
        if int((k == i).sum()) >= ENOUGH:
            weights.append(fit(k == i, overall, ANCHOR))
        else:
            # What is too far in time to have been tried is treated as the farthest that was.
            nearer = i - N_CHANGES
            weights.append(weights[nearer] if nearer >= 0 else overall)
    return weights


def part_around(missing: Tensor) -> tuple[slice, slice]:
    """Rows and columns of a part of the frame around the middle of the missing pixels; all where it is mostly hole."""
    where = []
    for axis, n in ((1, missing.shape[1]), (2, missing.shape[2])):
        weight = missing.sum((0, 3 - axis)).double()
        middle = float((weight * torch.arange(n)).sum() / weight.sum())
        start = max(0, min(n - SIDE, round(middle) - SIDE // 2))
        where.append(slice(start, start + SIDE))
    rows, columns = where
    mostly = float(missing[:, rows, columns].float().mean()) > MOSTLY
    return (slice(None), slice(None)) if mostly else (rows, columns)


def hide(missing: Tensor, *, rng: torch.Generator) -> list[Tensor]:
    """Some choices of seen pixels (T, H, W) to hide, so that they are missed as the missing ones are.

    Where whole frames are missing, whole frames are hidden: some, others, and the middle half of every seen run. Where
    little is missing, all of the mask is hidden once more, elsewhere and at another time. Else parts of it are:
    squares, and some frames.
    """
    T, H, W = missing.shape

    def moved() -> Tensor:
        shifts = [int(torch.randint(1, max(2, n), (), generator=rng)) for n in (T, H, W)]
        return missing.roll(shifts, (0, 1, 2))

    whole = missing.flatten(1).all(1)
    if int(whole.sum()) * H * W > 0.5 * int(missing.sum()):
        shuffled = (~whole).nonzero()[:, 0]
        shuffled = shuffled[torch.randperm(len(shuffled), generator=rng)]
        some = torch.zeros(2, T, dtype=torch.bool)
        n = max(1, round(HIDDEN_FRAMES * len(shuffled)))
        some[0, shuffled[:n]] = True
        some[1, shuffled[n : 2 * n]] = True
        choices = [frames.view(-1, 1, 1).expand_as(missing) for frames in (*some, _middles(~whole))]
    elif float(missing.float().mean()) <= SPARSE:
        choices = [moved(), moved()]
    else:
        cells = torch.rand(T, -(-H // CELL), -(-W // CELL), generator=rng) < HIDDEN_CELLS
        squares = cells.repeat_interleave(CELL, 1).repeat_interleave(CELL, 2)[:, :H, :W]
        frames = torch.rand(T, generator=rng) < HIDDEN_FRAMES
        choices = [moved() & squares, moved() & frames.view(-1, 1, 1)]
    return [choice & ~missing for choice in choices]


def _middles(seen: Tensor) -> Tensor:
    """The middle half of every run of at least three in (T,), bool."""
    middle = torch.zeros_like(seen)
    start = 0
    for t in range(len(seen) + 1):
        if t < len(seen) and bool(seen[t]):
            continue
        length = t - start
        if length >= 3:
            first = start + length // 4
            middle[first : first + max(1, length // 2)] = True
        start = t + 1
    return middle


def least_absolute(X: Tensor, x: Tensor, *, prior: Tensor, anchor: float, n_rounds: int = 8) -> Tensor:
    """Weights w >= 0 of sum 1 with the least mean |x - w X| (plus the anchor), by iteratively reweighted least squares.

    Args:
        X: (G, N), a guess a row.
        x: (N,), the truth.
        prior: (G,), where to begin and what the anchor pulls to.
        anchor: strength of the pull, as a share of the mean weighted square of the guesses' errors.
    """
    w = prior
    n = len(X)
    errors = (X - x).double()
    for _ in range(n_rounds):
        # With weights of sum 1 the error of the blend is the blend of the errors.
        importance = 1.0 / (w.double() @ errors).abs().clamp_min(LEVEL)
        gram = (errors * importance) @ errors.mT / errors.shape[1]
        scale = max(float(gram.trace()) / n, 1e-9)  # of a still clip all guesses are right
        gram = gram + (anchor + 1e-6) * scale * torch.eye(n, dtype=torch.float64)
        root = torch.linalg.cholesky(gram).mT
        wanted = torch.linalg.solve_triangular(root.mT, (anchor * scale * prior.double())[:, None], upper=False)[:, 0]
        # The sum is held to 1 by a row that outweighs the others.
        heavy = 1e3 * scale**0.5
        rows = np.vstack([root.numpy(), np.full((1, n), heavy)])
        w = torch.from_numpy(nnls(rows, np.append(wanted.numpy(), heavy))[0]).float()
        w = w / w.sum()
    return w
