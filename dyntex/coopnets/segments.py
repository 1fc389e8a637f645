"""The method ``segments``: regions play segments of the clip, and cooperative training teaches them to agree."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import torch

from dyntex.clip import Clip, concatenate
from dyntex.coopnets.tilting import TiltConfig, TiltInfo, tilt
from dyntex.errors import InputError, UsageError
from dyntex.method import Capabilities
from dyntex.networks.segment_field import SegmentField, SegmentFieldConfig
from dyntex.runtime import full_speed

MIN_FRAMES = 16
MIN_SIDE = 12
PLACES = "its regions have their places in the frame"
NO_STATE = "its segments are not inferred from frames"


@dataclass(frozen=True)
class SegmentsConfig:
    """The field and its training."""

    field: SegmentFieldConfig = dataclasses.field(default_factory=SegmentFieldConfig)
    training: TiltConfig = dataclasses.field(default_factory=TiltConfig)


DEFAULT = SegmentsConfig()


@dataclass(frozen=True)
class Segments:
    """A fitted segment field; see :mod:`dyntex.networks.segment_field` and :mod:`dyntex.coopnets.tilting`.

    Attributes:
        gen: the field.
        fps: frames per second.
    """

    gen: SegmentField
    fps: Fraction

    @classmethod
    def capabilities(cls, config: SegmentsConfig = DEFAULT) -> Capabilities:
        """Loops; what it shows are pieces of the clip's frames."""
        return Capabilities(
            {
                "tile": PLACES,
                "resize": PLACES,
                "sets": "it plays segments of one clip",
                "anchor": NO_STATE,
                "predict": NO_STATE,
            },
            min_frames=MIN_FRAMES,
            replays=True,
        )

    @classmethod
    def fit(
        cls,
        clip: Clip,
        config: SegmentsConfig = DEFAULT,
        *,
        rng: torch.Generator,
        on_step: Callable[[TiltInfo], None] = lambda _info: None,
    ) -> Self:
        """Train on a clip, on the processor.

        Args:
            clip: at least 16 frames of 12x12 pixels.
            config: the field and its training.
            rng: all randomness.
            on_step: told of every update of the descriptor.

        Raises:
            InputError: the clip is too short, or its frames are too small.
        """
        if clip.n_frames < MIN_FRAMES:
            raise InputError(
                f"clip has {clip.n_frames} frames; segments needs at least {MIN_FRAMES}: give it a longer clip"
            )
        if min(clip.height, clip.width) < MIN_SIDE:
            raise InputError(
                f"frames are {clip.height}x{clip.width}; segments needs {MIN_SIDE} pixels a side: use a larger size"
            )
        y_obs = clip.video[None]
        gen = SegmentField(config.field, y_obs)
        cpu = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=rng, device=rng.device)))
        with full_speed():
            for info in tilt(gen, y_obs, config.training, rng=cpu):
                on_step(info)
        return cls(gen.eval(), clip.fps)

    @property
    def n_parameters(self) -> int:
        """How many numbers the model consists of: the clip's frames, and the potentials that are learnt."""
        return sum(t.numel() for t in (*self.gen.buffers(), *self.gen.parameters()))

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
            anchor: refused.
            loop: whether the last frame leads into the first.

        Raises:
            UsageError: an anchor was given, ``n_frames`` is not positive, or the loop is shorter than 3 frames.
        """
        if n_frames < 1:
            raise UsageError(f"{n_frames} frames were asked for; ask for at least 1")
        if anchor is not None:
            self.capabilities().require("anchor", asked="an anchor", method="segments")
        if loop:
            self.capabilities().require_loop(n_frames, method="segments")
        return (Clip(y[0].clamp(-1.0, 1.0), self.fps) for y in self.gen.stream(n_frames, rng=rng, loop=loop))

    def predict(self, clip: Clip, n_frames: int) -> Clip:
        """Refused.

        Raises:
            UsageError: always.
        """
        self.capabilities().require("predict", asked="a prediction", method="segments")
        raise AssertionError("the requirement above is never met")
