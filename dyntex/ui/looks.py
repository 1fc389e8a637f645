"""The short tasks: look at a clip, measure what a method costs, write a result in another format."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch

from dyntex.clip import Clip
from dyntex.coopnets.presets import FAST, PRESETS
from dyntex.errors import InputError
from dyntex.experiment.describe import describe
from dyntex.experiment.estimate import estimate
from dyntex.experiment.memory import peak_rss_mb
from dyntex.experiment.methods import COOP, METHODS
from dyntex.experiment.settings import choose_size
from dyntex.inpainting import recover as fill
from dyntex.media import flatten, probe, read_clip, write_clip, write_png, write_stream
from dyntex.random_streams import generator
from dyntex.runtime import choose_device, full_speed
from dyntex.ui.tasks import Task
from dyntex.ui.worker import Report

GREY = (128, 128, 128)
SHOWN_SIDE, SHOWN_FRAMES = 480, 300
"""The longer side in pixels and the length of the copy of a clip that the page plays."""
MOST_PIXELS = 8192 * 4320
MOST_SECONDS = 3600.0
TRIAL_SIDES = (32, 64)
"""Sizes at which a method is tried; from the two follows what any size takes."""
CHUNK = 64


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


def measure(task: Task, report: Report) -> dict[str, Any]:
    """Seconds and memory of a method for a clip of some length, measured by running it.

    Of cooperative training an iteration is measured at its size. Any other method, and a recovery, is run at two small
    sizes; its seconds and memory grow with the number of pixels, so that two numbers each give them for any size.
    """
    request = task.request
    n_frames = request["n_frames"]
    if request.get("method") == COOP:
        height, width = request["size"]
        config = PRESETS[request["preset"]]
        cost = estimate(config, (3, n_frames, height, width), device=choose_device("auto"))
        return {"problem": cost.problem, "seconds": cost.seconds, "mib": cost.peak_bytes / 2**20}
    start = time.time() - psutil.Process().create_time()
    points = []
    for side in TRIAL_SIDES:
        clip = read_clip(request["source"], size=side, n_frames=n_frames)
        clip = Clip(clip.video[:3], clip.fps)
        tried = _tried(request["method"], clip) if "method" in request else _filled(request, clip)
        points.append((side * side, *tried))
    (small, *first), (large, *second) = points
    slopes = [max(0.0, (b - a) / (large - small)) for a, b in zip(first, second, strict=True)]
    return {"start": start, "pixels": large, "n_frames": n_frames, "at": second, "per_pixel": slopes}


def _tried(method: str, clip: Clip) -> tuple[float, float, float]:
    """Seconds of fitting and of making as many frames again, and the process's MiB after it."""
    rng = generator(0, "measure", torch.device("cpu"))
    with full_speed():
        began = time.monotonic()
        fitted = METHODS[method].fit(clip, rng=rng)
        middle = time.monotonic()
        for _ in fitted.stream(clip.n_frames, rng=rng):
            pass
        return middle - began, time.monotonic() - middle, peak_rss_mb()


def _filled(request: dict[str, Any], clip: Clip) -> tuple[float, float, float]:
    """The same of a recovery, which makes nothing: of a square in the middle, of the share that is asked for."""
    missing = torch.zeros(clip.video.shape[1:], dtype=torch.bool)
    side = max(1, round(clip.width * request["share"] ** 0.5))
    first = (clip.width - side) // 2
    missing[:, first : first + side, first : first + side] = True
    with full_speed():
        began = time.monotonic()
        fill(clip, missing, method=request["fill"], rng=generator(0, "measure", torch.device("cpu")))
        return time.monotonic() - began, 0.0, peak_rss_mb()


def convert(task: Task, report: Report) -> dict[str, Any]:
    """Write a job's lossless result in another format: ``output`` and its ending."""
    source, ending, background = (task.request[key] for key in ("source", "ending", "background"))
    return {"file": convert_file(source, ending, background=background)}


def convert_file(source: str, ending: str, *, background: tuple[int, int, int] | None = None) -> str:
    """The name of a new file in this folder; of a folder of frames its ``.zip``."""
    seen = probe(source)
    n_frames = seen.n_frames or 1
    out = f"output{ending}" if ending else "frames/"
    grid = grid_for(n_frames) if ending == ".png" and n_frames > 1 else None
    comment = next((value for key, value in seen.metadata.items() if key.lower() == "comment"), "")
    write_stream(
        out,
        chunks_of(source, n_frames),
        n_frames=n_frames,
        overwrite=True,
        metadata={"comment": comment} if comment else {},
        background=background,
        grid=grid,
        pixel_aspect=seen.pixel_aspect,
    )
    if ending:
        return out
    shutil.make_archive("output", "zip", "frames")
    shutil.rmtree("frames")
    return "output.zip"


def chunks_of(source: str, n_frames: int) -> Iterator[Clip]:
    """A file's frames, a few at a time."""
    for start in range(0, n_frames, CHUNK):
        yield read_clip(source, start=start, n_frames=min(CHUNK, n_frames - start))


def grid_for(n_frames: int) -> tuple[int, int]:
    """Rows and columns that hold so many frames exactly, as nearly square as they can be."""
    rows = next(rows for rows in range(math.isqrt(n_frames), 0, -1) if n_frames % rows == 0)
    return rows, n_frames // rows
