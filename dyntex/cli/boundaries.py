"""``--loop`` and ``--tile``: the axes along which the end leads into the beginning, and how well it does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from dyntex.cli.progress import Teller
from dyntex.errors import UsageError

if TYPE_CHECKING:
    import torch

    from dyntex.clip import Clip
    from dyntex.coopnets.config import CoopConfig
    from dyntex.coopnets.model import CoopNets
    from dyntex.textures.loop_seam import Seam

LAYOUT = 10
"""Added to the seed, for what lies where in a frame that was laid anew."""


@dataclass(frozen=True)
class Ends:
    """Which ends meet.

    Attributes:
        loop: the last frame and the first.
        tile: ``x`` (left and right), ``y`` (top and bottom), ``xy`` or nothing.
    """

    loop: bool
    tile: str

    @classmethod
    def of(cls, loop: bool, tile: str | None) -> Ends:
        """From the command's words; UsageError if --tile is none of them."""
        if tile not in (None, "x", "y", "xy"):
            raise UsageError(f"--tile {tile} is no direction: give x (left and right), y (top and bottom) or xy")
        return cls(loop, tile or "")

    @property
    def periodic(self) -> tuple[bool, bool, bool]:
        """As the networks take it: (T, H, W)."""
        return (self.loop, "y" in self.tile, "x" in self.tile)

    def check(self, config: CoopConfig) -> None:
        """Refuse what the networks of a config cannot tile."""
        if self.tile:
            from dyntex.coopnets.capabilities import check_space

            check_space(config, f"--tile {self.tile}")

    def check_clip(self, clip: Clip, config: CoopConfig) -> None:
        """Refuse, before anything is learnt, to tile what is not alike all over the frame."""
        from dyntex.coopnets.capabilities import check_stationary, is_quilted

        if self.tile and is_quilted(config):
            check_stationary(clip, f"--tile {self.tile}")

    def shaped(self, model: CoopNets, size: tuple[int, int] | None, *, rng: torch.Generator) -> CoopNets:
        """The model that makes frames of that size (None: those it was taught) whose ends can meet."""
        from dyntex.coopnets.capabilities import resized

        return resized(model, *(size or model.shape[2:]), rng=rng, tile=bool(self.tile))

    def check_baseline(self, method: str) -> None:
        """Refuse what a baseline cannot do."""
        from baselines import METHODS

        able = METHODS[method].capabilities()
        if self.tile:
            name = f"--method {method}"
            able.require("tile", asked=f"--tile {self.tile}", method=name, instead="use --preset fast-st")
        if self.loop:
            looping = [name for name, other in METHODS.items() if other.capabilities().supports("loop")]
            instead = f"use {', '.join(looping)}, or coop"
            able.require("loop", asked="--loop", method=f"--method {method}", instead=instead)

    def check_length(self, n_frames: int, config: CoopConfig | None) -> None:
        """Refuse a loop that is too short, or of a length that cannot be closed. No config: a linear baseline's."""
        if self.loop and config is not None:
            from dyntex.coopnets.capabilities import check_loop

            check_loop(config, n_frames)
        if self.loop and n_frames < 3:
            raise UsageError(f"--loop of {n_frames} frames has no motion to close: ask for at least 3 frames")

    def settings(self) -> dict[str, Any]:
        """For the result's metadata: what was asked."""
        return ({"loop": True} if self.loop else {}) | ({"tile": self.tile} if self.tile else {})

    def measure(self, made: Clip, real: Clip | None, teller: Teller) -> dict[str, dict[str, Any]]:
        """The seams of a result by axis, said and returned for ``--json``; no axis, no seam."""
        from dyntex.textures.loop_seam import seam

        found = {axis: seam(made, real, axis=axis) for axis in ("t" if self.loop else "") + self.tile}
        for axis, s in found.items():
            where = {"t": "from the last frame to the first", "x": "from right to left", "y": "from bottom to top"}
            among = "" if s.step_percentile is None else f"{s.step_percentile:.0f} of the clip's steps and "
            bends = "" if s.acceleration_percentile is None else f"{s.acceleration_percentile:.0f} and "
            teller.say(
                f"the step {where[axis]} is at percentile {among}{s.own_step_percentile:.0f} of the result's own, the "
                f"acceleration at {bends}{s.own_acceleration_percentile:.0f}: {_verdict(s)}"
            )
        return {axis: {key: _rounded(v) for key, v in asdict(s).items() if key != "axis"} for axis, s in found.items()}


def _verdict(seam: Seam) -> str:
    if seam.is_ordinary:
        return "like any other"
    if seam.is_like_its_own:
        return "like the result's others, which move unlike the clip"
    return "NOT like the others (5 to 95 is ordinary)"


def say_if_looping(clip: Clip, source: str, teller: Teller) -> None:
    """Say that a clip loops as it is, if it does."""
    from dyntex.textures.stationarity import already_loops

    if already_loops(clip):
        teller.say(f"the {clip.n_frames} frames of {source} already loop: their last leads into their first")


def kept(chunks: Iterator[Clip], parts: list[Clip], n_frames: int) -> Iterator[Clip]:
    """Pass chunks on; the first ones that hold ``n_frames``, and the last, are kept in ``parts``.

    They are what is shown and what the seam is measured by. Where something between is left out, two frames that are
    no neighbours stand side by side, which is one step among many.
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
