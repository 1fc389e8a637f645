"""Nearest neighbours between the space-time patches of two videos, and the video that they vote for.

PatchMatch (Barnes, Shechtman, Finkelstein, Goldman, SIGGRAPH 2009) for all patches at once: each looks where its
neighbours found something, shifted accordingly, and at random around what it has. Patches are compared by their
principal components. Few patches are compared with all others, exactly.

A patch of a video (C, T, H, W) has its first frame at t and its middle at (y, x). Beyond the frame's borders pixels are
repeated, so that a patch at a border resembles others there; beyond the ends of time there is nothing, so that there
are T - pt + 1 patches along time, or T around a loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

EXACT = 3e7
"""Pairs of patches that are compared one and all; beyond, a search."""
COMPONENTS = 24
SEEN_BY_PCA = 20_000
"""Patches, drawn at random, whose principal components are taken."""
CHUNK = 1 << 16
"""Patches that are compared at a time: their components fit a processor's cache."""
PASSES = 2
"""Of propagation and random search."""


class Size(NamedTuple):
    """Of a patch: frames, rows, columns; rows and columns odd."""

    t: int
    y: int
    x: int


@dataclass(frozen=True)
class Basis:
    """What patches are compared by.

    Attributes:
        size: of a patch.
        weight: ``(F, C, pt, py, px)`` orthonormal rows, over the square root of the patch's number of values: squared
            distances of components are mean squared differences of patches.
    """

    size: Size
    weight: Tensor

    def components(self, video: Tensor, *, periodic: bool = False) -> Tensor:
        """``(T', H, W, F)`` of a video's patches."""
        found = F.conv3d(padded(video, self.size, periodic=periodic)[None], self.weight)[0]
        return found.permute(1, 2, 3, 0).contiguous()


def padded(video: Tensor, size: Size, *, periodic: bool = False) -> Tensor:
    """A video with its borders repeated as far as patches reach; and around a loop its beginning after its end."""
    if periodic:
        T = video.shape[1]
        video = video[:, torch.arange(T + size.t - 1) % T]
    y, x = size.y // 2, size.x // 2
    return F.pad(video, (x, x, y, y), mode="replicate")


def fit_basis(video: Tensor, size: Size, *, rng: torch.Generator) -> Basis:
    """The leading principal components of a video's patches."""
    C = video.shape[0]
    patches = padded(video, size).unfold(1, size.t, 1).unfold(2, size.y, 1).unfold(3, size.x, 1)
    _, T, H, W = patches.shape[:4]
    n = min(SEEN_BY_PCA, T * H * W)
    at = torch.randint(T * H * W, (n,), generator=rng, device=rng.device).cpu()
    rows = patches[:, at // (H * W), at // W % H, at % W].transpose(0, 1).flatten(1).double()  # (n, C pt py px)
    _, vectors = torch.linalg.eigh((rows - rows.mean(dim=0)).mT @ (rows - rows.mean(dim=0)))
    leading = vectors.flip(1)[:, :COMPONENTS].mT
    weight = (leading / rows.shape[1] ** 0.5).float().reshape(-1, C, *size)
    return Basis(size, weight.contiguous())


def nearest(
    of: Tensor,
    among: Tensor,
    guess: Tensor,
    *,
    scale: Tensor | None = None,
    periodic: bool = False,
    rng: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """For each patch the nearest among others, with its distance.

    Args:
        of: ``(T, H, W, F)`` components of the patches.
        among: ``(T', H', W', F)`` of the others.
        guess: ``(3, T, H, W)`` int64, where to begin: first frame, row, column. It is kept unless something is nearer.
        scale: ``(T' H' W',)`` the squared distances to each of the others are multiplied by this before they are
            compared; None for 1.
        periodic: whether time is a circle for ``of``.
        rng: of the random search.

    Returns:
        ``(3, T, H, W)`` where it is, and ``(T, H, W)`` its squared distance, not multiplied.
    """
    matcher = _Matcher(of, among, guess, scale)
    if len(matcher.of) * len(matcher.among) <= EXACT:
        matcher.try_all()
    else:
        for _ in range(PASSES):
            matcher.propagate(periodic=periodic)
            matcher.search(rng)
    return matcher.result()


class _Matcher:
    def __init__(self, of: Tensor, among: Tensor, guess: Tensor, scale: Tensor | None) -> None:
        self.shape, self.size = of.shape[:3], among.shape[:3]
        self.of, self.among = of.flatten(0, 2), among.flatten(0, 2)
        self.scale = scale
        self.at = guess.flatten(1).clone()
        self.distance = torch.empty(len(self.of))
        self.score = torch.full((len(self.of),), torch.inf)
        self._try(self.at)

    def result(self) -> tuple[Tensor, Tensor]:
        return self.at.view(3, *self.shape), self.distance.view(self.shape)

    def try_all(self) -> None:
        power = self.among.square().sum(1)
        best = []
        for part in torch.split(self.of, max(1, int(2e7 / len(self.among)))):
            squared = torch.addmm(power, part, self.among.mT, alpha=-2.0) + part.square().sum(1, keepdim=True)
            best.append((squared if self.scale is None else squared.clamp_min_(0.0) * self.scale).argmin(1))
        place = torch.cat(best)
        _, H, W = self.size
        self._try(torch.stack([place // (H * W), place // W % H, place % W]))

    def propagate(self, *, periodic: bool) -> None:
        for axis in range(3):
            for step in (1, -1):
                # What the neighbour found, a step on; at an end, its own.
                moved = self.at.view(3, *self.shape).roll(step, axis + 1)
                moved[axis] += step
                if not (periodic and axis == 0):
                    end = 0 if step > 0 else self.shape[axis] - 1
                    moved.select(axis + 1, end).copy_(self.at.view(3, *self.shape).select(axis + 1, end))
                self._try(moved.flatten(1))

    def search(self, rng: torch.Generator) -> None:
        radius = max(self.size) / 2
        while radius >= 1:
            chance = torch.rand(3, len(self.of), generator=rng, device=rng.device).cpu()
            self._try(self.at + ((chance * 2 - 1) * (radius + 0.5)).round().long())
            radius /= 4

    def _try(self, at: Tensor) -> None:
        T, H, W = self.size
        at = torch.stack([at[i].clamp(0, n - 1) for i, n in enumerate((T, H, W))])
        place = (at[0] * H + at[1]) * W + at[2]
        for first in range(0, len(place), CHUNK):
            part = slice(first, first + CHUNK)
            here = place[part]
            distance = (self.of[part] - self.among.index_select(0, here)).square().sum(1)
            score = distance if self.scale is None else distance * self.scale.index_select(0, here)
            better = score < self.score[part]
            self.score[part] = torch.where(better, score, self.score[part])
            self.distance[part] = torch.where(better, distance, self.distance[part])
            self.at[:, part] = torch.where(better, at[:, part], self.at[:, part])


def vote(source: Tensor, at: Tensor, size: Size, *, periodic: bool = False) -> Tensor:
    """The video each of whose pixels is the mean of what the patches over it have there.

    Args:
        source: ``(C, T', H', W')`` from which the patches are taken.
        at: ``(3, T, H, W)`` where each patch is taken.
        size: of a patch.
        periodic: whether time is a circle: T frames are made, else T + pt - 1.

    Returns:
        ``(C, T or T + pt - 1, H, W)``.
    """
    rows = padded(source, size)
    _, _, Hp, Wp = rows.shape
    pixels = rows.flatten(1).mT.contiguous()  # (N', C)
    place = ((at[0] * Hp + at[1]) * Wp + at[2]).flatten()
    T, H, W = at.shape[1:]
    total = torch.zeros(T + size.t - 1, H + size.y - 1, W + size.x - 1, source.shape[0])
    for t in range(size.t):
        for y in range(size.y):
            for x in range(size.x):
                taken = pixels.index_select(0, place + ((t * Hp + y) * Wp + x))
                total[t : t + T, y : y + H, x : x + W] += taken.view(T, H, W, -1)
    total = total[:, size.y // 2 : size.y // 2 + H, size.x // 2 : size.x // 2 + W]
    count = _over(T, size.t)
    if periodic:
        around = torch.arange(T + size.t - 1) % T
        total = torch.zeros(T, *total.shape[1:]).index_add(0, around, total)
        count = torch.zeros(T).index_add(0, around, count)
    middle = slice(size.y // 2, size.y // 2 + H), slice(size.x // 2, size.x // 2 + W)
    rows_over, columns_over = _over(H, size.y)[middle[0]], _over(W, size.x)[middle[1]]
    mean = total / (count.view(-1, 1, 1, 1) * rows_over.view(1, -1, 1, 1) * columns_over.view(1, 1, -1, 1))
    return mean.permute(3, 0, 1, 2).contiguous()


def _over(n: int, size: int) -> Tensor:
    """(n + size - 1,) how many of n intervals of that size, each one place on, lie over each place."""
    count = torch.zeros(n + size - 1)
    for i in range(size):
        count[i : i + n] += 1
    return count


Grid = tuple[int, ...]
"""Patches along time, rows and columns."""


def spread(of: Grid, among: Grid) -> Tensor:
    """``(3, *of)``: each patch's place in proportion among others."""
    axes = [((torch.arange(n) + 0.5) * m / n).long() for n, m in zip(of, among, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def rescaled(at: Tensor, of: Grid, among: Grid, old_among: Grid) -> Tensor:
    """What was found among others at one scale, as a guess at the next: ``(3, *old_of)`` -> ``(3, *of)``."""
    old_of = at.shape[1:]
    place = spread(of, tuple(old_of))
    found = at[:, place[0], place[1], place[2]]
    out = []
    for axis in range(3):
        here = torch.arange(of[axis]).view([-1 if i == axis else 1 for i in range(3)])
        # As far from the nearest patch of the coarser scale as there, and with it from what that one found.
        aside = here + 0.5 - (place[axis] + 0.5) * of[axis] / old_of[axis]
        there = (found[axis] + 0.5) * among[axis] / old_among[axis] + aside - 0.5
        out.append(there.round().long().clamp(0, among[axis] - 1))
    return torch.stack(out)


def resized(video: Tensor, shape: Grid) -> Tensor:
    """``(C, T, H, W)`` of another size: means of areas where it becomes smaller, linear where larger."""
    smaller = [min(a, b) for a, b in zip(shape, video.shape[1:], strict=True)]
    out = video[None]
    if smaller != list(video.shape[1:]):
        out = F.interpolate(out, smaller, mode="area")
    if smaller != list(shape):
        out = F.interpolate(out, list(shape), mode="trilinear", align_corners=False)
    return out[0]
