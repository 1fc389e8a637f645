"""What the baselines share: what they ask of their input, the rank rule, and how a linear law becomes video."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Protocol

import torch
from torch import Tensor

from dyntex.clip import Clip, concatenate
from dyntex.errors import InputError, UsageError
from dyntex.method import Capabilities
from dyntex.textures.linear import CHUNK, LinearLaw

CLOSED_FORM = Capabilities(
    lacks={
        "tile": "it knows each pixel by its place in the frame",
        "resize": "it knows each pixel by its place in the frame",
        "sets": "it is fitted to one clip",
    }
)
"""What a method can do that describes whole frames of one clip by a linear law."""

MAX_ORDER = 50  # the literature's largest (Doretto et al. 2003 use 10 to 50 states)


def require_training_frames(clip: Clip, method: str, *, at_least: int = 3) -> None:
    """Raise InputError if a clip is too short to learn a motion from (two transitions, so a residual, take three)."""
    if clip.n_frames < at_least:
        raise InputError(f"clip has {clip.n_frames} frames; {method} needs at least {at_least}: give it a longer clip")


def require_length(n_frames: int) -> None:
    """Raise UsageError if that many frames cannot be made."""
    if n_frames < 1:
        raise UsageError(f"{n_frames} frames were asked for; ask for at least 1")


def require_size(clip: Clip, channels: int, height: int, width: int) -> None:
    """Raise InputError if a clip's frames are not of the size that the model was fitted on."""
    if (clip.channels, clip.height, clip.width) != (channels, height, width):
        raise InputError(
            f"frames are {clip.channels}x{clip.height}x{clip.width}, but the model was fitted on "
            f"{channels}x{height}x{width}: resize them"
        )


def require_rank(rank: int, limit: int, what: str) -> int:
    """``rank`` itself; UsageError if it is not within 1 and ``limit``."""
    if not 1 <= rank <= limit:
        raise UsageError(f"{rank} {what} were asked of a clip that has between 1 and {limit}: choose one of those")
    return rank


def require_share(share: float, name: str) -> float:
    """``share`` itself; UsageError if it is not above 0 and at most 1."""
    if not 0 < share <= 1:
        raise UsageError(f"{name} is {share:g}; it is a share, above 0 and at most 1: 0.95 asks for 95 %")
    return share


def order_cap(n_frames: int) -> int:
    """The largest order that a rule may choose: a third of the frames, and at most 50.

    n states have n^2 numbers in A to learn from n (T-1) equations. At n = T-1 the fit is exact whatever the clip, so
    the residual is zero and the model replays what it saw; a third leaves each row of A three equations an unknown.
    """
    return max(1, min(MAX_ORDER, n_frames // 3))


def smallest_rank(singular_values: Tensor, share: float) -> int:
    """The least r whose r largest singular values (descending) hold ``share`` of the sum of all squares; at least 1."""
    energy = singular_values.double().square().cumsum(0)
    # energy < share * total counts the ranks that fall short; rounding may put the last one short of share = 1.
    return min(len(energy), 1 + int((energy < share * energy[-1]).sum()))


class LinearModel(Protocol):
    """A linear law of motion, and a picture of its states."""

    @property
    def law(self) -> LinearLaw: ...

    def states(self, clip: Clip) -> Tensor:
        """``(T, n)`` float64: the states whose pictures are nearest to a clip's frames."""
        ...

    def render(self, X: Tensor) -> Clip:
        """States ``(T, n)`` as frames, clamped to [-1, 1]."""
        ...


class LinearVideo:
    """What a :class:`LinearModel` makes of its law: the baselines' contract, for those that have one."""

    @classmethod
    def capabilities(cls, config: Any = None) -> Capabilities:
        """All but tiles, other sizes and sets of clips."""
        return CLOSED_FORM

    def synthesize(
        self: LinearModel, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None, loop: bool = False
    ) -> Clip:
        """All frames of :meth:`stream` as one clip."""
        return concatenate(LinearVideo.stream(self, n_frames, rng=rng, anchor=anchor, loop=loop))

    def stream(
        self: LinearModel, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None, loop: bool = False
    ) -> Iterator[Clip]:
        """``n_frames`` new frames in chunks, in constant memory (of a loop, the states are kept).

        Args:
            n_frames: how many.
            rng: the source of the noise.
            anchor: start from the state of this clip's first frame, which then is the first frame as the model sees
                it. ``None`` draws the first state from the stationary law.
            loop: whether the last frame leads into the first, as :meth:`dyntex.textures.linear.LinearLaw.loop` says.
        """
        require_length(n_frames)
        x0 = None if anchor is None else self.states(anchor)[0]
        if loop:
            path = self.law.loop(n_frames, rng=rng, x0=x0)
            return (self.render(X) for X in torch.split(path, CHUNK))
        return (self.render(X) for X in self.law.stream(n_frames, rng=rng, x0=x0))

    def predict(self: LinearModel, clip: Clip, n_frames: int) -> Clip:
        """The expected ``n_frames`` frames that follow ``clip``: of the states A^k x, x the state of its last frame."""
        require_length(n_frames)
        return self.render(self.law.forecast(self.states(clip)[-1], n_frames))

    def reconstruct(self: LinearModel, clip: Clip) -> Clip:
        """``clip`` as the model can show it: the pictures of its states, with nothing of the law of motion."""
        return self.render(self.states(clip))


def as_columns(clip: Clip, mean: Tensor) -> Tensor:
    """``(C*H*W, T)`` float64: each frame, less the mean frame ``(C, H, W)``, as a column."""
    return (clip.video - mean[:, None]).transpose(0, 1).flatten(1).mT.double()


def from_rows(frames: Tensor, like: Tensor, fps: Fraction) -> Clip:
    """Rows ``(T, C*H*W)`` float32 as a clip of frames of the shape of ``like`` ``(C, H, W)``, clamped to [-1, 1]."""
    video = frames.view(len(frames), *like.shape).transpose(0, 1)  # (C, T, H, W)
    return Clip(video.clamp(-1.0, 1.0).contiguous(), fps)


def blocks(n_frames: int, length: int = CHUNK) -> Iterator[range]:
    """The numbers of ``n_frames`` frames, cut into chunks of ``length``; UsageError, at once, if there are none."""
    require_length(n_frames)
    return (range(start, min(start + length, n_frames)) for start in range(0, n_frames, length))
