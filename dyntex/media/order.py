"""What is to be written, and how large and how deep it will be in the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from dyntex.media.encode import RECIPES, Recipe, recipe_for
from dyntex.media.grid import Grid, sheet_size


@dataclass(frozen=True)
class Order:
    """One output of :func:`dyntex.media.write_stream`, which checked it.

    Attributes:
        ending: which chooses the format.
        size: (H, W) of a frame.
        alpha: whether frames have a fourth channel in the file.
        quality, loop, grid, metadata, pixel_aspect: as :func:`dyntex.media.write_stream` takes them.
    """

    ending: str
    fps: Fraction
    n_frames: int
    size: tuple[int, int]
    alpha: bool
    quality: int
    loop: bool = True
    grid: Grid | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    pixel_aspect: Fraction = Fraction(1)

    @property
    def recipe(self) -> Recipe | None:
        """None where FFmpeg has no part in it."""
        return recipe_for(self.ending, alpha=self.alpha, loop=self.loop) if self.ending in RECIPES else None

    @property
    def bits(self) -> int:
        """Of each channel that is handed to an encoder."""
        return self.recipe.bits if self.recipe else 8

    @property
    def pictures(self) -> tuple[int, int, int]:
        """How many pictures will be in the file, and their height and width."""
        if self.grid:
            return (1, *sheet_size(self.grid, self.size))
        height, width = self.size
        if self.recipe and self.recipe.even:
            return self.n_frames, height + height % 2, width + width % 2
        return self.n_frames, height, width
