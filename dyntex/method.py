"""What every method is, neural or classical: fitted to a clip, it synthesizes more of it, and says what it can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

import torch

from dyntex.clip import Clip, concatenate
from dyntex.errors import UsageError

Feature = Literal["loop", "tile", "resize", "sets", "anchor", "predict"]
"""What may be asked of a method.

loop: the last frame leads into the first. tile: left meets right, or top meets bottom. resize: frames of a size other
than the learnt one. sets: learn from several clips. anchor: begin like a given clip. predict: the frames expected next.
"""


@dataclass(frozen=True)
class Capabilities:
    """What a method can do.

    Attributes:
        lacks: what it cannot do, each with the reason, a clause that follows "because".
        min_frames: the shortest clip that it can be fitted to.
        replays: whether its frames are frames of the clip, or pieces of them: a copy scores well by any measure of
            likeness, so tables mark such methods.
        loop_step: a loop's length is a multiple of this.
        min_loop: the shortest loop, in frames.
    """

    lacks: Mapping[Feature, str] = field(default_factory=dict)
    min_frames: int = 3
    replays: bool = False
    loop_step: int = 1
    min_loop: int = 3

    def supports(self, feature: Feature) -> bool:
        """Whether the method can do it."""
        return feature not in self.lacks

    def require(self, feature: Feature, *, asked: str, method: str, instead: str = "") -> None:
        """Refuse what the method cannot do.

        Args:
            feature: what it has to do.
            asked: the words that asked for it, ``--loop`` for example.
            method: its name.
            instead: the remedy, an imperative.

        Raises:
            UsageError: it cannot; the message gives the reason and the remedy.
        """
        if feature in self.lacks:
            remedy = f": {instead}" if instead else ""
            raise UsageError(f"{asked} is not possible with {method}, because {self.lacks[feature]}{remedy}")

    def require_loop(self, n_frames: int, *, method: str) -> None:
        """Refuse a loop of a length that the method cannot close.

        Raises:
            UsageError: it is too short, or no multiple of the step; the message names lengths that are possible.
        """
        least = -(-self.min_loop // self.loop_step) * self.loop_step
        if n_frames < least:
            raise UsageError(f"a loop of {n_frames} frames is too short for {method}: ask for at least {least} frames")
        if n_frames % self.loop_step:
            lower = n_frames // self.loop_step * self.loop_step
            raise UsageError(
                f"{method} makes loops of multiples of {self.loop_step} frames, not {n_frames}: ask for {lower} or "
                f"{lower + self.loop_step}"
            )


class Synthesizer(Protocol):
    """Anything that synthesizes clips: a method, or a control that a method is compared with.

    ``stream`` yields the same frames as ``synthesize`` for the same ``rng`` state, in chunks, in constant memory.
    Neither touches the global random state; the same seed gives the same clip on the same type of device.
    """

    @classmethod
    def fit(cls, clip: Clip, config: Any = ..., *, rng: torch.Generator) -> Self: ...

    def synthesize(self, n_frames: int, *, rng: torch.Generator) -> Clip: ...

    def stream(self, n_frames: int, *, rng: torch.Generator) -> Iterator[Clip]: ...


class Method(Protocol):
    """A method. ``fit`` returns a fitted one: nothing exists half-fitted. Who inherits from it has ``synthesize``.

    What :meth:`capabilities` lacks is refused: an argument that asks for it raises UsageError.
    """

    @classmethod
    def capabilities(cls, config: Any = ...) -> Capabilities:
        """What it can do with that config (by default, its default config)."""
        ...

    @classmethod
    def fit(cls, clip: Clip, config: Any = ..., *, rng: torch.Generator) -> Self: ...

    @property
    def n_parameters(self) -> int:
        """How many numbers the fitted method consists of."""
        ...

    def synthesize(
        self, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None, loop: bool = False
    ) -> Clip:
        """All frames of :meth:`stream` as one clip."""
        return concatenate(self.stream(n_frames, rng=rng, anchor=anchor, loop=loop))

    def stream(
        self, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None, loop: bool = False
    ) -> Iterator[Clip]:
        """``n_frames`` new frames in chunks.

        Args:
            n_frames: how many.
            rng: the source of all randomness.
            anchor: begin like this clip's first frames.
            loop: whether the last frame leads into the first.
        """
        ...

    def predict(self, clip: Clip, n_frames: int) -> Clip:
        """The ``n_frames`` frames to be expected after ``clip``."""
        ...
