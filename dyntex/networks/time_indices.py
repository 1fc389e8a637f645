"""Which frame of the clip a region shows when: time indices, drawn segment after segment by their potentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from dyntex.networks.segment_field import SegmentField

AHEAD = 3
"""Segments of a region that are drawn together, of which the first is then settled."""
FORBIDDEN = -1e9
"""A log-potential without a chance."""

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Timetable:
    """When regions jump: region r plays its segment k in frames [start(r, k), start(r, k + 1)).

    Attributes:
        offsets: (R,), by how many frames each region is ahead of the first.
        bounds: (K + 1,), where the segments of a region without offset begin and end.
        period: length of a loop, after which all comes again; 0 for an open clip.
    """

    offsets: Indices
    bounds: Indices
    period: int = 0

    @property
    def n_segments(self) -> int:
        return len(self.bounds) - 1

    def start(self, region: int, segment: int) -> int:
        around, k = divmod(segment, self.n_segments) if self.period else (0, segment)
        return int(self.bounds[k]) + around * self.period - int(self.offsets[region])

    def segment(self, region: int, frames: Indices) -> Indices:
        """Which segment the region plays in each frame; in a loop, counted on beyond its end."""
        t = frames + self.offsets[region]
        around, t = np.divmod(t, self.period) if self.period else (0, t)
        found: Indices = np.searchsorted(self.bounds, t, side="right") - 1 + around * self.n_segments
        return found


class Field:
    """Time indices, drawn segment after segment.

    Args:
        gen: whose potentials and clip they are.
        table: when the regions jump.
    """

    def __init__(self, gen: SegmentField, table: Timetable) -> None:
        self.gen, self.table = gen, table
        self.first = gen.first_frames(int(np.diff(table.bounds).max()))
        self.n_drawn = 0
        self.chosen: Indices = np.full((gen.n_regions, table.n_segments), -1)
        seam = np.pad(gen.seam.detach().cpu().double().numpy(), ((0, 0), (1, 0), (1, 0)))
        # Sums along diagonals: what two segments that play side by side are worth is a difference of two of them.
        for i in range(1, seam.shape[1]):
            seam[:, i, 1:] += seam[:, i - 1, :-1]
        self.jump: Array = gen.jump.detach().cpu().double().numpy()
        self.beside: list[list[tuple[int, Array]]] = [[] for _ in range(gen.n_regions)]
        for (a, b), s in zip(gen.edges, seam, strict=True):
            self.beside[a].append((b, s))
            self.beside[b].append((a, s.T))

    def draw(self, u: Array) -> None:
        """Settle the next K segments of every region by uniform numbers (R, sweeps, AHEAD, K); of a loop, all, twice.

        Those that follow are drawn along, so that a segment suits what comes after it and not only what came before.
        """
        n = self.table.n_segments
        for k in range(u.shape[3]):
            for sweep, ahead, r in np.ndindex(u.shape[1], AHEAD, self.gen.n_regions):
                at = self.n_drawn + k + ahead
                if self.table.period or at < n:
                    self.chosen[r, at % n] = self._pick(r, at % n, u[r, sweep, ahead, k])
        self.n_drawn += u.shape[3]

    def _pick(self, r: int, k: int, u: float) -> int:
        """The first frame of a segment, from its distribution given what is known of its neighbours."""
        logits = self.log_potential(r, k)
        mass = np.exp(logits - logits.max()).cumsum()
        return int(self.first[min(np.searchsorted(mass, u * mass[-1], side="right"), len(mass) - 1)])

    def log_potential(self, r: int, k: int) -> Array:
        """For every first frame, the log-potential of segment k of region r with its known neighbours."""
        start, stop = self.table.start(r, k), self.table.start(r, k + 1)
        total = np.zeros(len(self.first))
        for b, sums in self.beside[r]:
            for other in (k - 1, k, k + 1):
                chosen = self.known(b, other)
                if chosen < 0:
                    continue
                begins = self.table.start(b, other)
                lo, hi = max(start, begins), min(stop, self.table.start(b, other + 1))
                if lo < hi:
                    mine, theirs = self.first + lo - start, chosen + lo - begins
                    total += sums[mine + hi - lo, theirs + hi - lo] - sums[mine, theirs]
        total /= self.gen.length
        jump = self.jump[r]
        if self.gen.config.front:
            beside = [chosen for b, _ in self.beside[r] if (chosen := self.known(b, k)) >= 0]
            for chosen in beside:
                total[np.abs(self.first - chosen) > self.gen.config.front] = FORBIDDEN
            if not beside:
                jump = self.jump.sum(0)  # the others will follow
        before, after = self.known(r, k - 1), self.known(r, k + 1)
        if before >= 0 and not (self.table.period and self.table.n_segments == 1):
            total += jump[before + start - self.table.start(r, k - 1), self.first]
        if after >= 0 and not (self.table.period and self.table.n_segments == 1):
            total += jump[self.first + stop - start, after]
        if self.table.period and self.table.n_segments == 1:
            total += jump[self.first + stop - start, self.first]
        return total

    def known(self, r: int, k: int) -> int:
        """The first frame of a segment, or -1 where it is not drawn yet."""
        if self.table.period:
            return int(self.chosen[r, k % self.table.n_segments])
        return int(self.chosen[r, k]) if 0 <= k < self.table.n_segments else -1

    def played(self, r: int, t: Indices) -> tuple[Indices, Indices, Array]:
        """Of region r at times t: the frame shown, the frame blended with it near a jump, and that one's share."""
        gen, table = self.gen, self.table
        k = table.segment(r, t)
        now, other, share = np.zeros_like(t), np.zeros_like(t), np.zeros(len(t))
        for i, (time, segment) in enumerate(zip(t.tolist(), k.tolist(), strict=True)):
            start, stop = table.start(r, segment), table.start(r, segment + 1)
            now[i] = self.known(r, segment) + time - start
            into = time + 0.5 - start  # frames since the last jump, to the middle of this one
            left = stop - time - 0.5
            near = segment - 1 if into < left else segment + 1
            chosen = self.known(r, near)
            if min(into, left) < gen.blend and chosen >= 0:
                other[i] = chosen + time - table.start(r, near)
                # From one half at the jump itself to nothing; as sharp as the borders of regions are.
                linear = (gen.blend - min(into, left)) / (2 * gen.blend)
                a, b = linear**gen.config.sharpness, (1 - linear) ** gen.config.sharpness
                share[i] = a / (a + b)
        return now, other, share
