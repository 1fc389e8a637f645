"""Video texture: the clip's own frames in another order, by jumps that are hard to see.

Schödl, Szeliski, Salesin, Essa, "Video Textures", SIGGRAPH 2000: costs of jumps (:mod:`dyntex.textures.transitions`),
a chain over the frames (:mod:`dyntex.baselines.frame_chain`), loops of exact length
(:mod:`dyntex.baselines.frame_loops`); and at each jump the regions of the picture change over one by one
(:mod:`dyntex.baselines.changeover`). Nothing is new but the order: between the jumps every picture is one of the
clip's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain as chained
from typing import Any, Self

import torch
from torch import Tensor

from dyntex.baselines.changeover import change_over
from dyntex.baselines.common import (
    CLOSED_FORM,
    blocks,
    require_length,
    require_share,
    require_size,
    require_training_frames,
)
from dyntex.baselines.frame_chain import FrameChain, Jumps, frame_chain
from dyntex.baselines.frame_loops import GOES_ON, closed_walk, walk
from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.method import Capabilities, Method
from dyntex.textures.transitions import frame_distances, jump_costs, memory, typical_step


@dataclass(frozen=True)
class VideoTextureConfig:
    """How often it jumps, and how.

    Attributes:
        window: pictures in which the video changes over at a jump. ``None`` takes twice the clip's memory
            (:func:`dyntex.textures.transitions.memory`), from 8 to 24, but at most a quarter of the clip.
        mean_run: pictures from jump to jump, on average, as far as good jumps allow; more where the best are worse than
            a step of the clip. ``None`` takes a third of the clip.
        half_width: of the binomial filter over time, in frames: 1 or 2 in the paper.
        discount: of the cost of a jump one picture later.
        power: to which the cost of a jump is raised; above 1, several good ones are better than a bad one.
        coverage: jumps are allowed, from the cheapest on, until the chain can come back to this share of the frames
            that all good jumps together can come back to.
    """

    window: int | None = None
    mean_run: float | None = None
    half_width: int = 2
    discount: float = 0.99
    power: float = 2.0
    coverage: float = 0.9


@dataclass(frozen=True)
class VideoTexture(Method):
    """A fitted video texture.

    Attributes:
        video: ``(C, T, H, W)``, the training frames.
        costs: ``(T, T)`` float64 of showing frame b after frame a, in steps of the clip.
        chain: over the frames.
        half: half a window.
        fade: pictures in which a pixel changes over.
        power: to which costs are raised.
        fps: frames per second.
    """

    video: Tensor
    costs: Tensor
    chain: FrameChain
    half: int
    fade: int
    power: float
    fps: Fraction

    @classmethod
    def capabilities(cls, config: Any = None) -> Capabilities:
        """All but tiles, other sizes and sets of clips; and it replays."""
        return Capabilities(CLOSED_FORM.lacks, replays=True)

    @classmethod
    def fit(cls, clip: Clip, config: VideoTextureConfig = VideoTextureConfig(), *, rng: torch.Generator) -> Self:
        """Measure all jumps of a clip, and keep the good ones.

        Args:
            clip: at least 3 frames.
            config: how often to jump, and how.
            rng: not needed; every method is fitted with one.

        Raises:
            InputError: the clip is too short.
            UsageError: a number of the config is out of its range.
        """
        require_training_frames(clip, "video-texture")
        T = clip.n_frames
        if config.window is not None and config.window < 2:
            raise UsageError(f"a window of {config.window} pictures was asked for: take 2 or more")
        if config.half_width < 1:
            raise UsageError(f"half_width is {config.half_width}; the filter has 1 frame or more on either side")
        if config.mean_run is not None and not config.mean_run > 0:
            raise UsageError(f"mean_run is {config.mean_run:g}; a jump follows the last by more than 0 pictures")
        if not 0 < config.discount < 1:
            raise UsageError(f"discount is {config.discount:g}; it lies between 0 and 1: 0.99 looks 100 pictures ahead")
        distances = frame_distances(clip)
        lag = memory(distances)
        window = max(2, min(max(8, 2 * lag), 24, T // 4)) if config.window is None else config.window
        costs = jump_costs(distances, half_width=config.half_width) / typical_step(distances)
        chain = frame_chain(
            costs,
            half=window // 2,
            mean_run=T / 3 if config.mean_run is None else config.mean_run,
            discount=config.discount,
            power=config.power,
            coverage=require_share(config.coverage, "coverage"),
            most=16,
        )
        return cls(clip.video.clone(), costs, chain, window // 2, max(1, lag // 2), config.power, clip.fps)

    @property
    def n_parameters(self) -> int:
        """How many numbers the model consists of: the frames, which it keeps, and the jumps."""
        return self.video.numel() + 4 * len(self.chain.jumps)

    def stream(
        self, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None, loop: bool = False
    ) -> Iterator[Clip]:
        """``n_frames`` frames in chunks, in constant memory (of a loop, the order of the frames is kept).

        Args:
            n_frames: how many.
            rng: draws the jumps.
            anchor: start at the training frame that is nearest to this clip's first. ``None`` draws it.
            loop: whether the last frame leads into the first: the cheapest way through the chain that ends where it
                began, its costs changed a little by chance (:func:`dyntex.baselines.frame_loops.closed_walk`).
        """
        chunks = blocks(n_frames)
        first = None if anchor is None else int(self.nearest(anchor)[0])
        if loop:
            jumps, shown = closed_walk(
                self.chain, self.costs, n_frames, half=self.half, power=self.power, first=first, rng=rng
            )
            return (self.render(jumps, shown[part.start : part.stop]) for part in chunks)
        return self._stream(chunks, first, rng)

    def predict(self, clip: Clip, n_frames: int) -> Clip:
        """The expected ``n_frames`` frames that follow the training frame nearest to the last one of ``clip``.

        Far ahead it is the mean over all that may be shown, and no frame of the clip.
        """
        require_length(n_frames)
        state = int(self.nearest(clip)[-1])
        chain, jumps = self.chain, self.chain.jumps
        decided = torch.zeros(n_frames + 1, self.video.shape[1], dtype=torch.float64)  # at a time, in a state
        begun = torch.zeros(n_frames + 1, len(jumps), dtype=torch.float64)
        decided[0, state] = 1.0
        for t in range(n_frames):
            begun[t] = decided[t, jumps.start] * chain.p_jump
            decided[t + 1, 1:] += (decided[t] * chain.p_on)[:-1]
            landing = t + jumps.duration
            there = landing <= n_frames
            decided.index_put_((landing[there], jumps.land[there]), begun[t][there], accumulate=True)
        # What is decided at time t from having landed there was shown by the window.
        shown = torch.zeros(n_frames, self.video.shape[1], dtype=torch.float64)
        shown[:, 1:] = (decided[:-1] * chain.p_on)[:, :-1]
        out = torch.einsum("nt,cthw->cnhw", shown.float(), self.video)
        for e in (begun.sum(dim=0) > 0).nonzero().flatten().tolist():
            pictures = self._window(jumps, e)
            for k in range(min(pictures.shape[1], n_frames)):
                mass = begun[: n_frames - k, e].float()
                out[:, k:] += mass.view(1, -1, 1, 1) * pictures[:, k : k + 1]
        return Clip(out.clamp(-1.0, 1.0), self.fps)

    def _stream(self, chunks: Iterator[range], first: int | None, rng: torch.Generator) -> Iterator[Clip]:
        places = chained.from_iterable(shown for _, shown in walk(self.chain, first=first, rng=rng))
        for part in chunks:
            yield self.render(self.chain.jumps, torch.tensor([next(places) for _ in part]))

    def render(self, jumps: Jumps, shown: Tensor) -> Clip:
        """The pictures of ``(n, 2)`` places: a jump and a picture of its window, or :data:`GOES_ON` and a frame."""
        out = self.video.new_empty(self.video.shape[0], len(shown), *self.video.shape[2:])
        plain = shown[:, 0] == GOES_ON
        out[:, plain] = self.video[:, shown[plain, 1]]
        for e in sorted(set(shown[~plain, 0].tolist())):
            here = shown[:, 0] == e
            out[:, here] = self._window(jumps, e)[:, shown[here, 1]]
        return Clip(out, self.fps)

    def _window(self, jumps: Jumps, e: int) -> Tensor:
        """``(C, w, H, W)``: the pictures of a jump."""
        start, new, n = int(jumps.start[e]), int(jumps.new[e]), int(jumps.duration[e])
        last = self.video.shape[1] - 1
        if start == last:  # a cut: there is nothing to change over from
            return self.video[:, new : new + n]
        k = torch.arange(-1, n + 1)
        old, following = (self.video[:, (first + k).clamp(0, last)] for first in (start + 1, new))
        return change_over(old, following, fade=self.fade)

    def nearest(self, clip: Clip) -> Tensor:
        """(T,) the training frame nearest to each frame of a clip."""
        C, _, H, W = self.video.shape
        require_size(clip, C, H, W)
        mine, theirs = (y.transpose(0, 1).flatten(1).double() for y in (self.video, clip.video))
        return torch.cdist(theirs, mine).argmin(dim=1)
