"""How much time a command may take, ``--quality`` and ``--budget``, and how much of it is not for the training."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dyntex.errors import UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dyntex.cli.output import Output
    from dyntex.clip import Clip
    from dyntex.coopnets.model import CoopNets

Quality = Annotated[
    Literal["draft", "standard", "high"] | None,
    typer.Option(help="A budget of 1, 5 or 30 minutes: draft, standard or high.", show_default=False),
]
Budget = Annotated[
    float | None, typer.Option(help="Seconds for the whole command, of which training gets what the rest leaves.")
]


def seconds_allowed(quality: str | None, *, budget: float | None, iterations: int | None) -> float | None:
    """The budget that was asked for in one way or the other; None for none."""
    from dyntex.coopnets.presets import QUALITIES

    if quality is None:
        return budget
    for option, value in (("--budget", budget), ("--iterations", iterations)):
        if value is not None:
            raise UsageError(f"--quality {quality} and {option} {value:g} exclude each other: give one of them")
    return QUALITIES[quality]


def rehearse(
    model: CoopNets,
    clip: Clip,
    output: Output,
    *,
    n_frames: int,
    rng: torch.Generator,
    periodic: tuple[bool, bool, bool],
) -> float:
    """The seconds that it will take to make and write ``n_frames``: a chunk of them is, and thrown away.

    Args:
        model: the networks, taught or not.
        clip: the original, which previews show beside the result.
        output: where and how the result will be written.
        n_frames, periodic: as :meth:`CoopNets.stream` takes them.
        rng: on the networks' device.
    """
    from dyntex.cli.progress import Teller
    from dyntex.media import sheet, side_by_side, write_clip, write_png
    from dyntex.media.atomic import scratch_folder
    from dyntex.media.formats import ending_of

    began = time.monotonic()
    chunks = model.stream(n_frames, rng=rng, periodic=periodic)
    part = next(chunks)
    seconds = time.monotonic() - began
    if part.n_frames < n_frames:
        # Later chunks hear the frames before them, which the first cannot.
        began = time.monotonic()
        later = next(chunks)
        seconds += (time.monotonic() - began) / later.n_frames * (n_frames - part.n_frames)

    if output.grid:  # takes no fewer frames than fill it
        part = replace(part, video=part.video.repeat(1, -(-n_frames // part.n_frames), 1, 1)[:, :n_frames])
    with scratch_folder() as folder:
        began = time.monotonic()
        elsewhere = replace(output, word=str(folder / f"rehearsal{ending_of(output.word)}"))
        elsewhere.write(iter([part]), n_frames=part.n_frames, settings={}, teller=Teller(quiet=True))
        seconds += (time.monotonic() - began) / part.n_frames * n_frames
        began = time.monotonic()
        shown = part.segment(0, min(clip.n_frames, part.n_frames))
        write_png(folder / "sheet.png", sheet(clip, shown), overwrite=True)
        write_clip(folder / "side.mp4", side_by_side(clip, shown), overwrite=True)
        return seconds + time.monotonic() - began


def revision_cost(
    model: CoopNets,
    chunk_seconds: float,
    *,
    n_frames: int,
    n_steps: int | None,
    rng: torch.Generator,
    periodic: tuple[bool, bool, bool],
    cond: Tensor | None = None,
) -> dict[str, Any] | None:
    """What a Langevin step costs: what a chunk took beyond what it takes without any.

    Args:
        model: the networks.
        chunk_seconds: what the first chunk of a synthesis took.
        n_frames: how many frames it has.
        n_steps, periodic, cond: as that synthesis had them.
        rng: on the networks' device.

    Returns:
        steps, seconds_per_step and the frames that these are for; None where nothing was revised.
    """
    steps = model.config.n_steps if n_steps is None else n_steps
    if not steps:
        return None
    began = time.monotonic()
    next(model.stream(n_frames, rng=rng, cond=cond, n_steps=0, periodic=periodic))
    each = max(0.0, chunk_seconds - (time.monotonic() - began)) / steps
    return {"steps": steps, "seconds_per_step": round(each, 4), "frames": n_frames}
