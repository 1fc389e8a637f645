"""A generator in which each region of the frame plays segments of the clip, and learns which of them go together.

The frame is divided into overlapping regions. Region r shows the clip's frame tau_r(t) at time t; it plays forward,
tau_r(t + 1) = tau_r(t) + 1, but every few frames it may jump. Neighbours jump at different times, to different frames:
everything that is seen is real, but their combination is new. The time indices are a Markov random field,

    p(tau) ~ exp( sum over neighbours r, r' and times t of S_rr'(tau_r(t), tau_r'(t)) / L
                  + sum over jumps of region r of J_r(a, b) ),

where L is the length of a segment, S the *seam* and J the *jump* log-potentials: what it is worth that two neighbours
show frames a and b side by side, or that one region goes from frame a to frame b. They start at 0, where all segments
are independent and uniform, and are what cooperative training learns (:mod:`dyntex.coopnets.tilting`).

Kwatra et al., "Graphcut textures", SIGGRAPH 2003, and Schödl et al., "Video textures", SIGGRAPH 2000, choose seams and
jumps by the difference of pixels; here a descriptor says which of them can be seen.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dyntex.errors import InputError
from dyntex.textures.windows import overlapping, supports

CHUNK = 64
"""Frames that a stream renders at once."""
AHEAD = 3
"""Segments of a region that are drawn together, of which the first is then settled."""

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class SegmentFieldConfig:
    """Regions and segments.

    Attributes:
        regions: along each side of the frame, how many overlapping regions there are.
        length: frames of a segment, fewer where the clip is short.
        overlap: frames over which a segment is blended into the next.
        sharpness: of the borders between regions and between segments: 1 blends over half a region, more over less.
        sweeps: how often every segment of a window is drawn again, given its neighbours.
    """

    regions: int = 3
    length: int = 16
    overlap: int = 6
    sharpness: float = 3.0
    sweeps: int = 4


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


class SegmentField(nn.Module):
    """g(z): white noise z -> time indices -> frames.

    The latent is (B, D, K, 1, 1), with K segments in time. Through the standard normal's distribution function it gives
    the uniform numbers by which the indices are drawn one after another, each given its neighbours (Gibbs sampling of
    a window of segments that moves on): the same z gives the same clip.

    Args:
        config: regions and segments.
        y_obs: (1, C, T, H, W), the observed clip.

    Raises:
        InputError: the clip is too short.
    """

    frames: Tensor
    weights: Tensor

    def __init__(self, config: SegmentFieldConfig, y_obs: Tensor) -> None:
        super().__init__()
        _, channels, T, height, width = y_obs.shape
        if T < 12:
            raise InputError(f"{T} frames are too few to cut into segments: give at least 12")
        self.config = config
        # A short clip is cut into shorter segments, so that each still has a choice of places to begin at.
        self.length = min(config.length, T // 4)
        self.blend = min(config.overlap, self.length) // 2
        n = config.regions
        self.n_regions = n * n
        self.edges = neighbours(n)
        self.shown = 0  # frames that segments are taken from; 0 for all
        self.register_buffer("frames", torch.zeros(T, channels, height, width))
        self.register_buffer("weights", torch.zeros(n * n, height, width))
        self.seam = nn.Parameter(torch.zeros(len(self.edges), T, T))
        self.jump = nn.Parameter(torch.zeros(n * n, T + 1, T + 1))
        self.frames.copy_(y_obs[0].transpose(0, 1))
        sharp = overlapping(height, width, n) ** (2 * config.sharpness)
        self.weights.copy_(sharp / sharp.sum(0))

    def first_frames(self, longest: int) -> Indices:
        """The frames that segments of at most that length may begin at: all of them, with the blends at both ends, lies
        in the clip."""
        return np.arange(self.blend, (self.shown or len(self.frames)) - longest - self.blend + 1)

    def shortened(self, n_frames: int) -> SegmentField:
        """The same generator, its segments from the first ``n_frames`` of the clip alone; it shares its tensors."""
        other = copy.copy(self)
        other.shown = max(n_frames, self.length + 2 * self.blend)
        return other

    def latent_shape(self, n_frames: int) -> tuple[int, ...]:
        """(D, K, 1, 1)."""
        return (self.n_regions * self.config.sweeps * AHEAD, math.ceil(n_frames / self.length) + 1 + AHEAD, 1, 1)

    def n_frames(self, latent_frames: int) -> int:
        """How many frames a latent of that length gives."""
        return (latent_frames - 1 - AHEAD) * self.length

    def latents_of_loop(self, n_frames: int) -> int:
        """The length of the latent of a loop, which is drawn in two rounds."""
        return 2 * max(1, round(n_frames / self.length))

    def forward(self, z: Tensor, *, loop: int = 0) -> Tensor:
        """(B, D, K, 1, 1) -> (B, C, T, H, W); ``loop`` is the length of a loop, 0 for an open clip."""
        n_frames = loop or self.n_frames(z.shape[2])
        u = torch.special.ndtr(z[..., 0, 0].double()).cpu().numpy()
        clips = []
        for sample in u:
            numbers = sample.reshape(self.n_regions, self.config.sweeps, AHEAD, -1)
            table = self.timetable(numbers.shape[3], loop=loop)
            tau = Field(self, table)
            tau.draw(numbers)
            clips.append(self.render(tau, 0, n_frames))
        return torch.stack(clips)

    def stream(self, n_frames: int, *, rng: torch.Generator, loop: bool = False) -> Iterator[Tensor]:
        """Frames in chunks (1, C, t, H, W); what is kept of the past are time indices."""
        channels, n_latents, *_ = self.latent_shape(n_frames)
        if loop:
            n_latents = self.latents_of_loop(n_frames)
        table = self.timetable(n_latents, loop=n_frames if loop else 0)
        tau = Field(self, table)

        def numbers(n: int) -> Array:
            z = torch.randn((channels, n), generator=rng, device=rng.device, dtype=torch.float64)
            uniform: Array = torch.special.ndtr(z).cpu().numpy()
            return uniform.reshape(self.n_regions, self.config.sweeps, AHEAD, n)

        if loop:
            tau.draw(numbers(n_latents))
        for start in range(0, n_frames, CHUNK):
            stop = min(start + CHUNK, n_frames)
            if not loop:
                known = tau.n_drawn
                tau.draw(numbers(math.ceil(stop / self.length) + 2 - known))
            yield self.render(tau, start, stop)[None]

    def timetable(self, n_latents: int, *, loop: int = 0) -> Timetable:
        """When the regions jump, in a clip of that many latents, or in a loop of so many frames."""
        # Neighbours jump at times that differ: seven is prime to segments of 16, and no two of 9 regions coincide.
        offsets = np.arange(self.n_regions) * 7 % self.length
        if not loop:
            return Timetable(offsets, np.arange(n_latents + 1) * self.length)
        n = max(1, round(loop / self.length))
        return Timetable(offsets, np.array([round(k * loop / n) for k in range(n + 1)]), loop)

    @torch.no_grad()
    def render(self, tau: Field, start: int, stop: int) -> Tensor:
        """Frames [start, stop) of drawn time indices: (C, stop - start, H, W)."""
        _, channels, height, width = self.frames.shape
        t = np.arange(start, stop)
        y = self.frames.new_zeros(len(t), channels, height, width)
        n = self.config.regions
        spans = [(rows, columns) for rows in supports(height, n) for columns in supports(width, n)]
        for r, (rows, columns) in enumerate(spans):
            part = self.frames[:, :, rows, columns]
            now, other, share = tau.played(r, t)
            shown = part[torch.from_numpy(now)]
            blended = np.flatnonzero(share)
            if len(blended):
                weight = torch.from_numpy(share[blended]).to(shown).view(-1, 1, 1, 1)
                shown[blended] = shown[blended].lerp(part[torch.from_numpy(other[blended])], weight)
            y[:, :, rows, columns] += self.weights[r, rows, columns] * shown
        return y.transpose(0, 1)


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
                chosen = self._known(b, other)
                if chosen < 0:
                    continue
                begins = self.table.start(b, other)
                lo, hi = max(start, begins), min(stop, self.table.start(b, other + 1))
                if lo < hi:
                    mine, theirs = self.first + lo - start, chosen + lo - begins
                    total += sums[mine + hi - lo, theirs + hi - lo] - sums[mine, theirs]
        total /= self.gen.length
        before, after = self._known(r, k - 1), self._known(r, k + 1)
        if before >= 0 and not (self.table.period and self.table.n_segments == 1):
            total += self.jump[r, before + start - self.table.start(r, k - 1), self.first]
        if after >= 0 and not (self.table.period and self.table.n_segments == 1):
            total += self.jump[r, self.first + stop - start, after]
        if self.table.period and self.table.n_segments == 1:
            total += self.jump[r, self.first + stop - start, self.first]
        return total

    def _known(self, r: int, k: int) -> int:
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
            now[i] = self._known(r, segment) + time - start
            into = time + 0.5 - start  # frames since the last jump, to the middle of this one
            left = stop - time - 0.5
            near = segment - 1 if into < left else segment + 1
            chosen = self._known(r, near)
            if min(into, left) < gen.blend and chosen >= 0:
                other[i] = chosen + time - table.start(r, near)
                # From one half at the jump itself to nothing; as sharp as the borders of regions are.
                linear = (gen.blend - min(into, left)) / (2 * gen.blend)
                a, b = linear**gen.config.sharpness, (1 - linear) ** gen.config.sharpness
                share[i] = a / (a + b)
        return now, other, share


def neighbours(n: int) -> list[tuple[int, int]]:
    """Pairs of regions that lie side by side, or one under the other, in an n x n grid in reading order."""
    right = [(i * n + j, i * n + j + 1) for i in range(n) for j in range(n - 1)]
    below = [(i * n + j, (i + 1) * n + j) for i in range(n - 1) for j in range(n)]
    return right + below
