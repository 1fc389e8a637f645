"""The short tasks: look at a clip, write a result in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dyntex.coopnets.presets import FAST
from dyntex.errors import InputError
from dyntex.experiment.describe import describe
from dyntex.experiment.settings import choose_size
from dyntex.media import flatten, probe, read_clip, write_clip, write_png
from dyntex.ui.formats import GREY, convert_file
from dyntex.ui.tasks import Task
from dyntex.ui.worker import Report

SHOWN_SIDE, SHOWN_FRAMES = 480, 300
"""The longer side in pixels and the length of the copy of a clip that the page plays."""
MOST_PIXELS = 8192 * 4320
MOST_SECONDS = 3600.0


def examine(task: Task, report: Report) -> dict[str, Any]:
    """What ``dyntex info`` says of a clip, its poster and a small copy that every browser plays."""
    source = task.request["source"]
    seen = probe(source)
    if seen.width * seen.height > MOST_PIXELS:
        raise InputError(f"frames of {seen.width}x{seen.height} are too large for the page: use at most 8192x4320")
    if (seen.duration or 0.0) > MOST_SECONDS:
        raise InputError(f"{seen.duration:.0f} s are too long for the page: cut the clip to an hour or less")
    report.say("looking at the clip")
    factor = min(1.0, SHOWN_SIDE / max(seen.height, seen.width))
    size = tuple(max(8, round(side * factor / 2) * 2) for side in (seen.height, seen.width))
    n_frames = min(SHOWN_FRAMES, seen.n_frames or SHOWN_FRAMES)
    clip = flatten(read_clip(source, size=(size[0], size[1]), n_frames=n_frames), GREY)
    write_png("poster.png", clip.to_uint8()[0], overwrite=True)
    if clip.n_frames > 1:
        write_clip("shown.mp4", clip, overwrite=True)
    about = describe(source, measure=False)
    height, width = choose_size(source, FAST)
    return about | {
        "duration": seen.duration,
        "shown_frames": clip.n_frames,
        "default_size": [height, width],
        "bytes": 0 if source.startswith("example:") else Path(source).stat().st_size,
    }


def convert(task: Task, report: Report) -> dict[str, Any]:
    """Write a job's lossless result in another format: ``output`` and its ending."""
    source, ending, background = (task.request[key] for key in ("source", "ending", "background"))
    return {"file": convert_file(source, ending, background=background)}
