"""Settings of the closed-form textures, as values: nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class ShotNoiseConfig:
    """A shot-noise texture; see :mod:`dyntex.textures.shot_noise`.

    Attributes:
        regions: along each side of the frame, how many overlapping regions have a noise of their own.
        sparsity: s of the noise exp(s z) - 1: 0 is Gaussian noise, in which all of the clip's frames are mixed at all
            times; the larger s, the fewer frames make up most of each new one.
        fade: share of the clip over which its ends are faded.
        levels: knots of the curve that gives each pixel its distribution.
        smooth: share of the frame's shorter side over which neighbours' curves are averaged, since a short clip says
            little about one pixel's; 0 leaves each its own.
        colours: knots of the curve from brightness to colour.
    """

    regions: int = 3
    sparsity: float = 2.0
    fade: float = 1.0
    levels: int = 8
    smooth: float = 1 / 16
    colours: int = 16

    def fitting(self, n_frames: int) -> ShotNoiseConfig:
        """The same with no more levels than frames: of fewer frames, each is a level of its own."""
        return replace(self, levels=min(self.levels, n_frames))
