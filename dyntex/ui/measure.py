"""What a method costs, measured by running it: an iteration of a training, or whole jobs at two small sizes."""

from __future__ import annotations

import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from dyntex.coopnets.presets import PRESETS
from dyntex.experiment.estimate import estimate
from dyntex.experiment.memory import peak_rss_mb
from dyntex.experiment.methods import COOP
from dyntex.experiment.progress import SILENT
from dyntex.experiment.synthesis import synthesize
from dyntex.inpainting import recover as fill
from dyntex.media import read_clip, write_clip
from dyntex.random_streams import generator
from dyntex.runtime import choose_device, full_speed
from dyntex.ui.jobs import MASTER, finished
from dyntex.ui.tasks import Task
from dyntex.ui.worker import Report

SIDES = (32, 96)
"""Sizes at which a method is tried; from the two follows what any size takes."""
Point = tuple[float, float, float]
"""Seconds of fitting, seconds of making and writing, MiB."""


def measure(task: Task, report: Report) -> dict[str, Any]:
    """Seconds and memory of a method for a clip of some length.

    Of cooperative training an iteration is measured at its size. Any other method, and a recovery, is run at two small
    sizes; its seconds and memory grow with the number of pixels, so that two numbers each give them for any size. Each
    size has a process of its own, whose memory is that of the method alone.
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
    for side in SIDES:
        clip = read_clip(request["source"], size=side, n_frames=n_frames)
        np.save("trial.npy", clip.to_uint8()[..., :3])
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            done = pool.submit(_filled if "fill" in request else _made, request, f"trial-{side}").result()
        points.append((side * side, *done))
        shutil.rmtree(f"trial-{side}")
    (small, *first), (large, *second) = points
    slopes = [max(0.0, (b - a) / (large - small)) for a, b in zip(first, second, strict=True)]
    return {"start": start, "pixels": large, "n_frames": n_frames, "at": second, "per_pixel": slopes}


def _made(request: dict[str, Any], folder: str) -> Point:
    """A job from its beginning to its end: as many frames as were learnt."""
    began = time.monotonic()
    clip = read_clip("trial.npy")
    Path(folder).mkdir(exist_ok=True)
    os.chdir(folder)
    facts = synthesize(clip, MASTER, method=request["method"], overwrite=True).facts
    finished({"options": {}, "ending": ".mp4"}, SILENT, facts, clip)
    fit = facts["seconds"]["fit"]
    return fit, time.monotonic() - began - fit, peak_rss_mb()


def _filled(request: dict[str, Any], folder: str) -> Point:
    """A square in the middle filled in, of the share that is asked for."""
    clip = read_clip("trial.npy")
    missing = torch.zeros(clip.video.shape[1:], dtype=torch.bool)
    side = max(1, round(clip.width * request["share"] ** 0.5))
    first = (clip.width - side) // 2
    missing[:, first : first + side, first : first + side] = True
    Path(folder).mkdir(exist_ok=True)
    os.chdir(folder)
    with full_speed():
        began = time.monotonic()
        whole = fill(clip, missing, method=request["fill"], rng=generator(0, "measure", torch.device("cpu")))
        write_clip(MASTER, whole, overwrite=True)
        facts = {"frames": whole.n_frames}
        finished({"options": {}, "ending": ".mp4"}, SILENT, facts, clip)
        return time.monotonic() - began, 0.0, peak_rss_mb()
