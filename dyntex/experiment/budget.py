"""How much time a command may take, and how much of it is left for the training."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import QUALITIES
from dyntex.errors import UsageError
from dyntex.experiment.checks import only_one
from dyntex.experiment.output import Output
from dyntex.experiment.progress import SILENT
from dyntex.media import sheet, side_by_side, write_clip, write_png
from dyntex.media.atomic import scratch_folder
from dyntex.media.formats import ending_of


def seconds_allowed(quality: str | None, *, budget: float | None, iterations: int | None) -> float | None:
    """The budget in seconds, given as a number or as the name of a quality; None for no limit.

    Raises:
        UsageError: more than one of the three is given, or there is no such quality.
    """

    if quality is None:
        return budget
    only_one({"--quality": quality, "--budget": budget, "--iterations": iterations})
    if quality not in QUALITIES:
        raise UsageError(f"--quality {quality} is unknown: choose {', '.join(QUALITIES)}")
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
    """Estimate the seconds that making and writing ``n_frames`` will take: make one chunk, write it, discard it.

    Args:
        model: the networks, trained or not.
        clip: the original, which previews show beside the result.
        output: where and how the result will be written.
        n_frames, periodic: as :meth:`CoopNets.stream` takes them.
        rng: on the networks' device.
    """
    began = time.monotonic()
    chunks = model.stream(n_frames, rng=rng, periodic=periodic)
    part = next(chunks)
    seconds = time.monotonic() - began
    if part.n_frames < n_frames:
        # Later chunks also depend on the frames before them.
        began = time.monotonic()
        later = next(chunks)
        seconds += (time.monotonic() - began) / later.n_frames * (n_frames - part.n_frames)

    if output.grid:  # takes no fewer frames than fill it
        part = replace(part, video=part.video.repeat(1, -(-n_frames // part.n_frames), 1, 1)[:, :n_frames])
    with scratch_folder() as folder:
        began = time.monotonic()
        elsewhere = replace(output, word=str(folder / f"rehearsal{ending_of(output.word)}"))
        elsewhere.write(iter([part]), n_frames=part.n_frames, settings={}, progress=SILENT)
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
    """What a Langevin step costs: the time that a chunk took beyond the time that it takes without any.

    Args:
        model: the networks.
        chunk_seconds: what the first chunk of a synthesis took.
        n_frames: how many frames it has.
        n_steps, periodic, cond: as that synthesis had them.
        rng: on the networks' device.

    Returns:
        steps, seconds_per_step and the frames that these are for; None where no step was made.
    """
    steps = model.config.sampling.n_steps if n_steps is None else n_steps
    if not steps:
        return None
    began = time.monotonic()
    next(model.stream(n_frames, rng=rng, cond=cond, n_steps=0, periodic=periodic))
    each = max(0.0, chunk_seconds - (time.monotonic() - began)) / steps
    return {"steps": steps, "seconds_per_step": round(each, 4), "frames": n_frames}
