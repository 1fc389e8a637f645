"""A larger picture from a small one, and one whose ends meet: its pieces, laid where they fit their neighbours.

Image quilting (Efros and Freeman, "Image quilting for texture synthesis and transfer", 2001) on a torus: square pieces
of the picture are laid in rows that overlap, each taken from where it differs little from what already lies there, and
cut along the path where it differs least. The last row and the last column overlap with the first as well, so that the
result can be repeated without a seam, however large it is and whatever its size.

A picture has as many channels as one likes. For a video these are the frames: pieces that agree in all of them agree
in how they move, and what stands still keeps standing still. Only a plan of what lies where is returned, which then
lays anything that is known pixel by pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 0.1
"""A piece may fit worse than the best one by this share, so that chance has a choice."""
FEATHER = 2
"""Standard deviation, in pixels, of the blend along a cut: texture that moves across a hard cut would show it."""
COMPONENTS = 8
"""Principal components of the channels that tell pieces apart."""


@dataclass(frozen=True)
class Piece:
    """A square piece.

    Attributes:
        top, left: where it was taken.
        rows, columns: (side,), where it lies; they wrap around.
        weight: (side, side), its share of each pixel.
    """

    top: int
    left: int
    rows: Tensor
    columns: Tensor
    weight: Tensor


@dataclass(frozen=True)
class Quilt:
    """What lies where.

    Attributes:
        height, width: of the result.
        pieces: whose shares add up to 1 at every pixel.
    """

    height: int
    width: int
    pieces: tuple[Piece, ...]

    def lay(self, picture: Tensor) -> Tensor:
        """Anything of the small picture's size, (..., h, w), as the plan has it: (..., H, W)."""
        out = picture.new_zeros(*picture.shape[:-2], self.height, self.width)
        for p in self.pieces:
            n = len(p.rows)
            taken = picture[..., p.top : p.top + n, p.left : p.left + n]
            out[..., p.rows[:, None], p.columns] += p.weight.to(picture) * taken
        return out


def smallest(height: int, width: int) -> int:
    """The least side of a quilt of a height x width picture, which is that of a piece."""
    return min(height, width) // 2


def quilt(picture: Tensor, height: int, width: int, *, rng: torch.Generator) -> Quilt:
    """Plan a quilt.

    Args:
        picture: (C, h, w), what pieces are compared by: a squared difference counts the same in every channel.
        height, width: of the result, at least :func:`smallest` each.
        rng: on the CPU; draws among the pieces that fit.
    """
    seen = components(picture, COMPONENTS)
    _, h, w = seen.shape
    side = smallest(h, w)
    places = [_starts(n, side) for n in (height, width)]
    inside = torch.arange(side)
    canvas = seen.new_zeros(len(seen), height, width)
    owner = torch.full((height, width), -1)
    found: list[tuple[int, int, Tensor, Tensor]] = []
    for i, y in enumerate(places[0]):
        for j, x in enumerate(places[1]):
            rows, columns = (inside + y) % height, (inside + x) % width
            there, known = canvas[:, rows][:, :, columns], owner[rows][:, columns] >= 0
            top, left = _fitting(seen, there, known, rng)
            piece = seen[:, top : top + side, left : left + side]
            # How far it overlaps with what lies above, below (around the torus), to the left and to the right.
            above, below = _overlaps(places[0], i, side, height)
            before, after = _overlaps(places[1], j, side, width)
            error = (piece - there).square().sum(0)
            across = _beyond_cut(error, before) & _beyond_cut(error.flip(1), after).flip(1)
            down = _beyond_cut(error.T, above).T & _beyond_cut(error.T.flip(1), below).flip(1).T
            mine = (across & down) | ~known
            into = torch.where(mine)
            canvas[:, rows[into[0]], columns[into[1]]] = piece[:, mine]
            owner[rows[into[0]], columns[into[1]]] = len(found)
            found.append((top, left, rows, columns))
    return Quilt(height, width, _feathered(found, owner))


def components(picture: Tensor, n: int) -> Tensor:
    """The channels' n principal components (fewer if there are fewer), which keep most of every squared difference of
    pixels: (C, h, w) -> (n, h, w)."""
    centred = picture.flatten(1) - picture.flatten(1).mean(1, keepdim=True)
    _, vectors = torch.linalg.eigh(centred @ centred.T)
    seen: Tensor = vectors[:, -n:].T @ centred
    return seen.view(-1, *picture.shape[1:])


def _starts(length: int, side: int) -> list[int]:
    """Where pieces begin along a circle: evenly, overlapping by 3/8 of a piece or more, and by half at most."""
    n = max(2, -(-length * 8 // (side * 5)))
    return [i * length // n for i in range(n)]


def _overlaps(starts: list[int], i: int, side: int, length: int) -> tuple[int, int]:
    """How many pixels of piece i the piece before it covers, and the first one if it is the last."""
    before = starts[i - 1] + side - starts[i] if i else 0
    return before, starts[i] + side - length if i == len(starts) - 1 else 0


def _fitting(seen: Tensor, there: Tensor, known: Tensor, rng: torch.Generator) -> tuple[int, int]:
    """Top and left of a piece that fits what is known there."""
    _, h, w = seen.shape
    side = len(known)
    if known.any():
        # |piece - there|^2 where it is known, for every piece at once: correlations, by their spectra.
        f, g, k = (torch.fft.rfft2(a, s=(h, w)) for a in (seen, there * known, known.to(seen)))
        power = torch.fft.rfft2(seen.square().sum(0))
        error = torch.fft.irfft2(power * k.conj() - 2 * (f * g.conj()).sum(0), s=(h, w))
        error = (error[: h - side + 1, : w - side + 1] + (there * known).square().sum()).clamp_min(0.0)
        good = (error <= error.min() * (1 + TOLERANCE)).nonzero()
    else:
        good = torch.ones(h - side + 1, w - side + 1).nonzero()
    top, left = good[int(torch.randint(len(good), (1,), generator=rng))].tolist()
    return top, left


def _beyond_cut(error: Tensor, overlap: int) -> Tensor:
    """Whether a pixel lies on the cut through the first ``overlap`` columns, or right of it: (n, m) -> (n, m)."""
    if not overlap:
        return torch.ones_like(error, dtype=torch.bool)
    return torch.arange(error.shape[1]) >= cheapest_path(error[:, :overlap])[:, None]


def cheapest_path(cost: Tensor) -> Tensor:
    """The column in every row of a path from the top to the bottom of least total cost, one step aside a row at most:
    (n, m) -> (n,)."""
    total = [cost[0]]
    for row in cost[1:]:
        around = F.pad(total[-1], (1, 1), value=float("inf")).unfold(0, 3, 1)
        total.append(row + around.min(1).values)
    path = [int(total[-1].argmin())]
    for row in total[-2::-1]:
        low = max(0, path[-1] - 1)
        path.append(low + int(row[low : path[-1] + 2].argmin()))
    return torch.tensor(path[::-1])


def _feathered(found: list[tuple[int, int, Tensor, Tensor]], owner: Tensor) -> tuple[Piece, ...]:
    """The pieces with their shares: 1 inside the cuts and 0 outside, blurred, and 0 at the pieces' own edges."""
    side = len(found[0][2])
    reach = torch.arange(-3.0 * FEATHER, 3.0 * FEATHER + 1)
    taps = torch.exp(-reach.square() / (2 * FEATHER**2))
    inside = torch.arange(side)
    edge = (torch.minimum(inside + 1, side - inside) / (2.0 * FEATHER)).clamp_max(1.0)
    total = torch.zeros(owner.shape)
    pieces = []
    for k, (top, left, rows, columns) in enumerate(found):
        share = (owner[rows][:, columns] == k).float()[None, None]
        share = F.conv2d(share, taps.view(1, 1, -1, 1), padding=(len(taps) // 2, 0))
        share = F.conv2d(share, taps.view(1, 1, 1, -1), padding=(0, len(taps) // 2))[0, 0] * edge[:, None] * edge
        total[rows[:, None], columns] += share
        pieces.append(Piece(top, left, rows, columns, share))
    return tuple(Piece(p.top, p.left, p.rows, p.columns, p.weight / total[p.rows[:, None], p.columns]) for p in pieces)
