"""Shot noise: the clip's own frames, mixed by sparse noise in overlapping regions. Closed form; nothing is trained.

The model and its sources are in :mod:`dyntex.textures.shot_noise`. It is also what the preset ``fast`` starts from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import torch

from dyntex.baselines.common import require_length, require_training_frames
from dyntex.clip import Clip
from dyntex.method import Capabilities, Method
from dyntex.textures.config import ShotNoiseConfig
from dyntex.textures.shot_noise import ShotNoise

PLACES = "it knows each pixel by its place in the frame"
DEFAULT = ShotNoiseConfig()
NO_STATE = "its noise is not inferred from frames"


@dataclass(frozen=True)
class ShotNoiseMethod(Method):
    """A fitted shot-noise texture.

    Attributes:
        texture: the closed form.
        fps: frames per second.
    """

    texture: ShotNoise
    fps: Fraction

    @classmethod
    def capabilities(cls, config: ShotNoiseConfig = DEFAULT) -> Capabilities:
        """Loops of any length; neither anchors nor predictions, which need the noise that made given frames."""
        return Capabilities(
            {
                "tile": PLACES,
                "resize": PLACES,
                "sets": "it mixes the frames of one clip",
                "anchor": NO_STATE,
                "predict": NO_STATE,
            },
        )

    @classmethod
    def fit(cls, clip: Clip, config: ShotNoiseConfig = DEFAULT, *, rng: torch.Generator) -> Self:
        """Fit to one clip.

        Args:
            clip: at least 3 frames; of fewer than ``config.levels``, each is a level of its own.
            config: the regions, the noise and the curves.
            rng: not needed; every method is fitted with one.

        Raises:
            InputError: the clip is too short.
        """
        require_training_frames(clip, "shot-noise")
        return cls(ShotNoise(config.fitting(clip.n_frames), clip.video).eval(), clip.fps)

    @property
    def n_parameters(self) -> int:
        """How many numbers the model consists of; most are the clip's frames."""
        return sum(buffer.numel() for buffer in self.texture.buffers())

    def stream(
        self, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None, loop: bool = False
    ) -> Iterator[Clip]:
        """``n_frames`` new frames in chunks, in constant memory; a loop comes in one piece.

        Args:
            n_frames: how many.
            rng: the source of the noise.
            anchor: refused.
            loop: whether the last frame leads into the first.

        Raises:
            UsageError: an anchor was given, or ``n_frames`` is not positive.
        """
        require_length(n_frames)
        if anchor is not None:
            self.capabilities().require("anchor", asked="an anchor", method="shot-noise")
        frames = self.texture.stream(n_frames, rng=rng, loop=loop)
        return (Clip(y[0].clamp(-1.0, 1.0).contiguous(), self.fps) for y in frames)

    def predict(self, clip: Clip, n_frames: int) -> Clip:
        """Refused.

        Raises:
            UsageError: always.
        """
        self.capabilities().require("predict", asked="a prediction", method="shot-noise")
        raise AssertionError("the requirement above is never met")
