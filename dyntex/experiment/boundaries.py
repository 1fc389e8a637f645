"""Loops and tiles: along which axes a video continues from its end to its beginning, and how well it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from dyntex.clip import Clip
from dyntex.coopnets.capabilities import capabilities
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.resize import check_space, check_stationary, resized
from dyntex.errors import UsageError
from dyntex.experiment.methods import COOP, METHODS
from dyntex.experiment.progress import Progress
from dyntex.textures.loop_seam import Seam, seam
from dyntex.textures.stationarity import already_loops


@dataclass(frozen=True)
class Boundaries:
    """Which ends of a video meet.

    Attributes:
        loop: the last frame leads into the first.
        tile: ``"x"`` (left meets right), ``"y"`` (top meets bottom), ``"xy"``, or ``""``.

    Raises:
        UsageError: ``tile`` is none of these.
    """

    loop: bool = False
    tile: str = ""

    def __post_init__(self) -> None:
        if self.tile not in ("", "x", "y", "xy"):
            raise UsageError(f"--tile {self.tile} is not a direction: give x (left-right), y (top-bottom) or xy")

    @property
    def periodic(self) -> tuple[bool, bool, bool]:
        """As the networks take it: (T, H, W)."""
        return (self.loop, "y" in self.tile, "x" in self.tile)

    def check(self, config: CoopConfig) -> None:
        """Refuse tiles that the networks of a config cannot make."""
        if self.tile:
            check_space(config, f"--tile {self.tile}")

    def check_clip(self, clip: Clip, config: CoopConfig) -> None:
        """Refuse, before training, to tile a texture that is not stationary in space."""
        if self.tile and config.generator.keeps_pixels:
            check_stationary(clip, f"--tile {self.tile}")

    def resized(self, model: CoopNets, size: tuple[int, int] | None, *, rng: torch.Generator) -> CoopNets:
        """The model for frames of that size (None: the size it was trained at) whose ends can meet."""
        return resized(model, *(size or model.shape[2:]), rng=rng, tile=bool(self.tile))

    def check_method(self, method: str) -> None:
        """Refuse what a method other than cooperative training cannot do."""
        able = METHODS[method].capabilities()
        if self.tile:
            name = f"--method {method}"
            able.require("tile", asked=f"--tile {self.tile}", method=name, instead="use --preset fast-st")
        if self.loop:
            others = {name: other for name, other in METHODS.items() if name != COOP}
            looping = [name for name, other in others.items() if other.capabilities().supports("loop")]
            instead = f"use {', '.join(looping)}, or coop"
            able.require("loop", asked="--loop", method=f"--method {method}", instead=instead)

    def check_length(self, n_frames: int, config: CoopConfig | None) -> None:
        """Refuse a loop that is too short, or of a length that cannot be closed. No config: a linear baseline's."""
        if self.loop and config is not None:
            capabilities(config).require_loop(n_frames, method=f"preset {config.preset!r}")
        if self.loop and n_frames < 3:
            raise UsageError(f"--loop of {n_frames} frames has no motion to close: ask for at least 3 frames")

    def settings(self) -> dict[str, Any]:
        """For the result's metadata: what was asked."""
        return ({"loop": True} if self.loop else {}) | ({"tile": self.tile} if self.tile else {})

    def measure(self, made: Clip, real: Clip | None, progress: Progress) -> dict[str, dict[str, Any]]:
        """The seams of a result by axis (t, x, y), as :class:`dyntex.textures.loop_seam.Seam` has their fields."""
        found = {axis: seam(made, real, axis=axis) for axis in ("t" if self.loop else "") + self.tile}
        for axis, s in found.items():
            where = {"t": "from the last frame to the first", "x": "from right to left", "y": "from bottom to top"}
            among = "" if s.step_percentile is None else f"{s.step_percentile:.0f} of the clip's steps and "
            accelerations = "" if s.acceleration_percentile is None else f"{s.acceleration_percentile:.0f} and "
            progress.say(
                f"the step {where[axis]} is at percentile {among}{s.own_step_percentile:.0f} of the result's own, the "
                f"acceleration at {accelerations}{s.own_acceleration_percentile:.0f}: {_verdict(s)}"
            )
        return {axis: {key: _rounded(v) for key, v in asdict(s).items() if key != "axis"} for axis, s in found.items()}


def _verdict(seam: Seam) -> str:
    if seam.is_ordinary:
        return "like any other"
    if seam.is_like_its_own:
        return "like the result's others, which move unlike the clip"
    return "NOT like the others (5 to 95 is ordinary): try another --seed, or a longer loop"


def say_if_looping(clip: Clip, source: str, progress: Progress) -> None:
    """Report that a clip loops already, if it does."""
    if already_loops(clip):
        progress.say(f"the {clip.n_frames} frames of {source} already loop: the last leads into the first")


def keep_ends(chunks: Iterator[Clip], parts: list[Clip], n_frames: int) -> Iterator[Clip]:
    """Pass chunks on; keep in ``parts`` the first ones, until they hold ``n_frames``, and the last one.

    They are what previews show and what the seam is measured on. Where chunks between them are left out, two frames
    that are not neighbours stand side by side, which is one step among many.
    """
    held = 0
    last = None
    for chunk in chunks:
        last = chunk
        if held < n_frames:
            parts.append(chunk)
            held, last = held + chunk.n_frames, None
        yield chunk
    if last is not None:
        parts.append(last)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
