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
from torch import Tensor, nn

from dyntex.errors import InputError
from dyntex.networks.time_indices import AHEAD, Array, Field, Indices, Timetable
from dyntex.textures.windows import overlapping, smoothed, supports

CHUNK = 64
"""Frames that a stream renders at once."""
SMOOTHED = 9
"""Pixels a side over which the difference of two clips is averaged where one is cut into the other."""


@dataclass(frozen=True)
class SegmentFieldConfig:
    """Regions and segments.

    Attributes:
        regions: along each side of the frame, how many overlapping regions there are.
        length: frames of a segment, fewer where the clip is short.
        overlap: frames over which a segment is blended into the next.
        sharpness: of the borders between regions and between segments: 1 blends over half a region, more over less.
        sweeps: how often every segment of a window is drawn again, given its neighbours.
        front: 0: regions jump on their own, and blend into each other. More: they jump together, neighbours are at most
            so many frames of the clip apart, and between their centres the time index changes step by step.
    """

    regions: int = 3
    length: int = 16
    overlap: int = 6
    sharpness: float = 3.0
    sweeps: int = 4
    front: int = 0


class SegmentField(nn.Module):
    """g(z): white noise z -> time indices -> frames.

    The latent is (B, D, K, 1, 1), with K segments in time. Through the standard normal's distribution function it gives
    the uniform numbers by which the indices are drawn one after another, each given its neighbours (Gibbs sampling of
    a window of segments that moves on): the same z gives the same clip.

    Args:
        config: regions and segments.
        y_obs: (1, C, T, H, W), the observed clip; or a shape alone (on the meta device), where a file fills it in.

    Raises:
        InputError: the clip is too short.
    """

    frames: Tensor
    weights: Tensor
    nearness: Tensor

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
        self.register_buffer("nearness", torch.zeros(n * n, height, width))
        self.seam = nn.Parameter(torch.zeros(len(self.edges), T, T))
        self.jump = nn.Parameter(torch.zeros(n * n, T + 1, T + 1))
        if not y_obs.is_meta:
            self.frames.copy_(y_obs[0].transpose(0, 1))
            self.nearness.copy_(overlapping(height, width, n) ** 2)
            sharp = self.nearness**config.sharpness
            self.weights.copy_(sharp / sharp.sum(0))

    @property
    def trained(self) -> bool:
        """Whether its potentials are other than at first."""
        return bool(self.seam.any() or self.jump.any())

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
        offsets = np.arange(self.n_regions) * (0 if self.config.front else 7) % self.length
        if not loop:
            return Timetable(offsets, np.arange(n_latents + 1) * self.length)
        n = max(1, round(loop / self.length))
        return Timetable(offsets, np.array([round(k * loop / n) for k in range(n + 1)]), loop)

    @torch.no_grad()
    def render(self, tau: Field, start: int, stop: int) -> Tensor:
        """Frames [start, stop) of drawn time indices: (C, stop - start, H, W)."""
        return self._fronts(tau, start, stop) if self.config.front else self._blended(tau, start, stop)

    def _blended(self, tau: Field, start: int, stop: int) -> Tensor:
        """Every region blends into the next, and every segment into the one that follows."""
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

    def _fronts(self, tau: Field, start: int, stop: int) -> Tensor:
        """Time indices vary smoothly over the frame; a segment is cut into the next where the two differ least."""
        table = tau.table
        first, last = (int(table.segment(0, np.array([t]))[0]) for t in (start, stop - 1))
        y = torch.cat(
            [
                self._segment(tau, k, max(start, table.start(0, k)), min(stop, table.start(0, k + 1)))
                for k in range(first, last + 1)
            ],
            dim=1,
        )
        for k in range(first, last + 2):
            begin, end = table.start(0, k) - self.blend, table.start(0, k) + self.blend
            lo, hi = max(begin, start), min(end, stop)
            if lo < hi and tau.known(0, k - 1) >= 0 and tau.known(0, k) >= 0:
                before, after = (self._segment(tau, i, begin, end) for i in (k - 1, k))
                joined = torch.where(cut(before, after), after, before)
                y[:, lo - start : hi - start] = joined[:, lo - begin : hi - begin]
        return y

    def _segment(self, tau: Field, k: int, start: int, stop: int) -> Tensor:
        """Frames [start, stop) of segment k, (C, stop - start, H, W), and of what would come before and after it."""
        begin = tau.table.start(0, k)
        first = self.frames.new_tensor([tau.known(r, k) for r in range(self.n_regions)])
        shifts = torch.einsum("r,rhw->hw", first, self.nearness).round().long()
        t = torch.arange(start - begin, stop - begin, device=shifts.device)
        return self.at(t.view(-1, 1, 1) + shifts)

    def at(self, tau: Tensor) -> Tensor:
        """At every pixel the clip's frame of that index: (T, H, W) -> (C, T, H, W)."""
        index = tau[:, None].expand(-1, self.frames.shape[1], -1, -1)
        return self.frames.gather(0, index).transpose(0, 1)


def cut(before: Tensor, after: Tensor) -> Tensor:
    """Where ``after`` is to be shown so that it replaces ``before``, at every pixel at once and for good, when the two
    differ least about it: (..., C, T, H, W) -> bool (..., 1, T, H, W)."""
    cost = smoothed((before - after).square().sum(-4), SMOOTHED)
    first = cost.argmin(-3, keepdim=True)
    t = torch.arange(before.shape[-3], device=before.device).view(-1, 1, 1)
    return (t >= first).unsqueeze(-4)


def neighbours(n: int) -> list[tuple[int, int]]:
    """Pairs of regions that lie side by side, or one under the other, in an n x n grid in reading order."""
    right = [(i * n + j, i * n + j + 1) for i in range(n) for j in range(n - 1)]
    below = [(i * n + j, (i + 1) * n + j) for i in range(n - 1) for j in range(n)]
    return right + below
