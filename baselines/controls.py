"""Controls: what every table must show beside the methods, because a metric that prefers one of these measures nothing.

The fitted ones are used like a method (``dyntex.method.Synthesizer``). The real ones are plain functions of a clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from dyntex.baselines.common import blocks
from dyntex.clip import Clip, concatenate
from dyntex.textures.transitions import frame_distances, jump_costs


@dataclass(frozen=True)
class NoConfig:
    """A control has nothing to choose."""


@dataclass(frozen=True)
class MeanFrame:
    """The mean frame, standing still: the best guess under squared error that knows nothing of time.

    An independent sample differs from the truth by twice the variance, the mean by once: it beats every honest
    method by 3 dB of PSNR.
    """

    frame: Clip

    @classmethod
    def fit(cls, clip: Clip, config: NoConfig = NoConfig(), *, rng: torch.Generator) -> Self:
        return cls(Clip(clip.video.mean(dim=1, keepdim=True), clip.fps))

    def synthesize(self, n_frames: int, *, rng: torch.Generator) -> Clip:
        return concatenate(self.stream(n_frames, rng=rng))

    def stream(self, n_frames: int, *, rng: torch.Generator) -> Iterator[Clip]:
        return _replay(self.frame, n_frames)

    def predict(self, clip: Clip, n_frames: int) -> Clip:
        """The mean of the training frames, whatever ``clip`` is."""
        return concatenate(_replay(self.frame, n_frames))


@dataclass(frozen=True)
class WhiteNoise:
    """Every pixel drawn anew in every frame, with its own mean and standard deviation over time, and no correlation.

    Clamping to [-1, 1] takes a little off the variance of pixels near black or white.

    Attributes:
        mean: ``(C, 1, H, W)``.
        std: ``(C, 1, H, W)``, of T-1 degrees of freedom.
        like: a frame, for the rate.
    """

    mean: Tensor
    std: Tensor
    like: Clip

    @classmethod
    def fit(cls, clip: Clip, config: NoConfig = NoConfig(), *, rng: torch.Generator) -> Self:
        T = clip.n_frames
        mean = clip.video.mean(dim=1, keepdim=True)
        variance = (clip.video - mean).square().sum(dim=1, keepdim=True) / max(1, T - 1)
        return cls(mean, variance.sqrt(), clip.segment(0, 1))

    def synthesize(self, n_frames: int, *, rng: torch.Generator) -> Clip:
        return concatenate(self.stream(n_frames, rng=rng))

    def stream(self, n_frames: int, *, rng: torch.Generator) -> Iterator[Clip]:
        return (self._draw(len(block), rng) for block in blocks(n_frames))

    def _draw(self, n_frames: int, rng: torch.Generator) -> Clip:
        C, _, H, W = self.mean.shape
        noise = torch.randn((C, n_frames, H, W), generator=rng, device=rng.device).cpu()
        return Clip((self.mean + self.std * noise).clamp(-1.0, 1.0), self.like.fps)


@dataclass(frozen=True)
class ShuffledFrames:
    """The training frames in random order: perfect pictures, no motion. Each pass through them is a new permutation."""

    clip: Clip

    @classmethod
    def fit(cls, clip: Clip, config: NoConfig = NoConfig(), *, rng: torch.Generator) -> Self:
        return cls(clip)

    def synthesize(self, n_frames: int, *, rng: torch.Generator) -> Clip:
        return concatenate(self.stream(n_frames, rng=rng))

    def stream(self, n_frames: int, *, rng: torch.Generator) -> Iterator[Clip]:
        T = self.clip.n_frames
        orders = (torch.randperm(T, generator=rng, device=rng.device).cpu()[: len(b)] for b in blocks(n_frames, T))
        return (Clip(self.clip.video[:, order], self.clip.fps) for order in orders)


@dataclass(frozen=True)
class Copy:
    """The training clip, over and over: perfect in everything but that nothing is new."""

    clip: Clip

    @classmethod
    def fit(cls, clip: Clip, config: NoConfig = NoConfig(), *, rng: torch.Generator) -> Self:
        return cls(clip)

    def synthesize(self, n_frames: int, *, rng: torch.Generator) -> Clip:
        return concatenate(self.stream(n_frames, rng=rng))

    def stream(self, n_frames: int, *, rng: torch.Generator) -> Iterator[Clip]:
        return _replay(self.clip, n_frames)


@dataclass(frozen=True)
class Replay:
    """Whole training frames in runs, from good cut to good cut: a plain video texture, and the floor of every score.

    Whatever learns from these frames could at least do this, so a number in which a method is behind is a defect, and
    one that does not tell this from a method says nothing of what is new. After a run of 8 to 24 frames (at most half
    the clip) the video is cut where it is seen least: the cut is drawn from the cheapest twentieth of those within
    reach (8 at least), by the costs of :func:`dyntex.textures.transitions.jump_costs`. No blending, no look ahead:
    ``video-texture`` has both.

    Attributes:
        clip: the training frames.
        costs: ``(T, T)``, of showing frame b after frame a.
    """

    clip: Clip
    costs: Tensor

    @classmethod
    def fit(cls, clip: Clip, config: NoConfig = NoConfig(), *, rng: torch.Generator) -> Self:
        return cls(clip, jump_costs(frame_distances(clip)))

    def synthesize(self, n_frames: int, *, rng: torch.Generator) -> Clip:
        return concatenate(self.stream(n_frames, rng=rng))

    def stream(self, n_frames: int, *, rng: torch.Generator) -> Iterator[Clip]:
        chunks = blocks(n_frames)
        return self._stream(chunks, rng)

    def _stream(self, chunks: Iterable[range], rng: torch.Generator) -> Iterator[Clip]:
        order = self._order(rng)
        return (Clip(self.clip.video[:, [next(order) for _ in chunk]], self.clip.fps) for chunk in chunks)

    def _order(self, rng: torch.Generator) -> Iterator[int]:
        """The numbers of the training frames to show, without end."""
        T = self.clip.n_frames
        shortest, longest = max(1, min(8, T // 2)), max(1, min(24, T // 2))

        def draw(n: int) -> int:
            return int(torch.randint(n, (1,), generator=rng, device=rng.device))

        start = draw(T)  # in the middle of a run, maybe
        while True:
            ends = range(min(start + shortest, T) - 1, min(start + longest, T))
            # A new run starts where it can last, and not where the video would just have gone on, or nearly so.
            pairs = [(a, b) for a in ends for b in range(T - shortest + 1) if abs(b - a - 1) > 2]
            cuts = sorted((cost, a, b) for a, b in pairs if (cost := float(self.costs[a, b])) < float("inf"))
            best = min(len(cuts), max(8, len(cuts) // 20))
            _, end, following = cuts[draw(best)] if cuts else (0.0, T - 1, 0)
            yield from range(start, end + 1)
            start = following


def reversed_real(clip: Clip) -> Clip:
    """The real clip backwards: each frame perfect, each spectrum right, and motion the wrong way."""
    return Clip(clip.video.flip(1), clip.fps)


def repeat_last(clip: Clip, n_frames: int) -> Clip:
    """The last frame, standing still: the forecast to beat at short horizons."""
    return concatenate(_replay(clip.segment(clip.n_frames - 1, 1), n_frames))


def _replay(clip: Clip, n_frames: int) -> Iterator[Clip]:
    T = clip.n_frames
    return (Clip(clip.video[:, torch.tensor(block) % T], clip.fps) for block in blocks(n_frames))
