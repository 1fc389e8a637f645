"""How long a job will take and how much memory it needs, from measurements on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from dyntex.coopnets.presets import PRESETS, QUALITIES
from dyntex.experiment.methods import COOP
from dyntex.ui.tasks import Task
from dyntex.ui.workshop import Workshop

DEFAULT_FRAMES = 64


@dataclass(frozen=True)
class Expectation:
    """What a job will take.

    Attributes:
        seconds: from its beginning to its end; None while it is being measured.
        mib: the largest resident memory; None likewise.
        free_mib: what this machine has left now.
        measuring: whether the measurement still runs.
        problem: why the job cannot be done, in a sentence.
    """

    seconds: float | None
    mib: float | None
    free_mib: float
    measuring: bool = False
    problem: str = ""


def expectation(shop: Workshop, clip: Task, request: Mapping[str, Any]) -> Expectation:
    """What a synthesis of a clip will take. The first question about a method starts its measurement."""
    options = request["options"]
    about = clip.status["facts"]
    free = psutil.virtual_memory().available / 2**20
    if about.get("n_frames") == 1:
        return Expectation(QUALITIES.get(options.get("quality", "")), None, free)
    learnt = options.get("clip_frames") or DEFAULT_FRAMES
    learnt = min(learnt, max(1, (about.get("n_frames") or learnt) - options.get("start", 0)))
    size = options.get("size") or about["default_size"]
    made = options.get("frames") or learnt
    method = options["method"]
    source = clip.request["source"]
    asked = {"kind": "measure", "method": method, "source": source, "clip": clip.id, "n_frames": learnt}
    if method == COOP:
        asked |= {"size": size}
    file = None if source.startswith("example:") else clip.folder / source
    task = shop.once(shop.measures, asked, source=file)
    status = task.status
    if status["state"] in ("waiting", "running"):
        return Expectation(None, None, free, measuring=True)
    facts = status.get("facts", {})
    problem = status.get("error", "") or facts.get("problem", "")
    if status["state"] != "done" or problem:
        return Expectation(None, None, free, problem=problem)
    if method == COOP:
        return _training(facts, options, free)
    return _untrained(facts, pixels=size[0] * size[1], more=made / facts["n_frames"], free=free)


def _training(facts: Mapping[str, Any], options: Mapping[str, Any], free: float) -> Expectation:
    """A quality is a promise of seconds; without one the preset's iterations take what they take."""
    config = PRESETS[options.get("preset") or "fast"]
    whole = facts["seconds"] * config.optimisation.iterations
    return Expectation(QUALITIES.get(options.get("quality", ""), whole), facts["mib"], free)


def _untrained(facts: Mapping[str, Any], *, pixels: int, more: float, free: float) -> Expectation:
    """Seconds and memory of a method that was tried at a small size.

    Args:
        facts: what :func:`dyntex.ui.looks.measure` found.
        pixels: of a frame.
        more: the length of the result over that of the trial.
        free: MiB.
    """
    beyond = pixels - facts["pixels"]
    fit, make, mib = (max(0.0, at + slope * beyond) for at, slope in zip(facts["at"], facts["per_pixel"], strict=True))
    return Expectation(fit + make * more, mib, free)
