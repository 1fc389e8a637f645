"""How long a job will take and how much memory it needs, from measurements on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from dyntex.coopnets.presets import PRESETS, QUALITIES
from dyntex.experiment.methods import COOP
from dyntex.ui.painting import share_of
from dyntex.ui.tasks import Task
from dyntex.ui.workshop import Workshop

DEFAULT_FRAMES = 64
"""That are learnt where nothing is said."""
SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
"""Of the pixels that are missing: a recovery is measured for the next larger one."""
TRIED_FRAMES = 32
"""Of a recovery."""


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
    """What a synthesis or a recovery of a clip will take.

    The first question about a method starts its measurement, which is kept: a method is measured once on a machine for
    each length, cooperative training for each size, too.
    """
    about = clip.status["facts"]
    free = psutil.virtual_memory().available / 2**20
    options = request["options"]
    if about.get("n_frames") == 1:
        return Expectation(QUALITIES.get(options.get("quality", "")), None, free)
    if request["kind"] == "recover":
        return _recovery(shop, clip, request, free)
    learnt = options.get("clip_frames") or DEFAULT_FRAMES
    learnt = min(learnt, max(1, (about.get("n_frames") or learnt) - options.get("start", 0)))
    size = options.get("size") or about["default_size"]
    asked: dict[str, Any] = {"method": options["method"], "n_frames": learnt}
    if options["method"] == COOP:
        asked |= {"size": size, "preset": options.get("preset") or "fast"}
    facts = _measured(shop, clip, asked, free)
    if isinstance(facts, Expectation):
        return facts
    if options["method"] == COOP:
        return _training(facts, options, free)
    more = (options.get("frames") or learnt) / facts["n_frames"]
    return extrapolated(facts, pixels=size[0] * size[1], fits=1.0, makes=more, free=free)


def _recovery(shop: Workshop, clip: Task, request: Mapping[str, Any], free: float) -> Expectation:
    about = clip.status["facts"]
    height, width, n_frames = about["height"], about["width"], about.get("n_frames") or TRIED_FRAMES
    share = share_of(request["strokes"], (n_frames, height, width))
    near = next((step for step in SHARES if step >= share), SHARES[-1])
    asked = {"fill": request["options"]["method"], "share": near, "n_frames": min(n_frames, TRIED_FRAMES)}
    facts = _measured(shop, clip, asked, free)
    if isinstance(facts, Expectation):
        return facts
    times = n_frames / facts["n_frames"]
    return extrapolated(facts, pixels=round(height * width * times), fits=1.0, makes=0.0, free=free)


def _measured(shop: Workshop, clip: Task, asked: Mapping[str, Any], free: float) -> dict[str, Any] | Expectation:
    """What a measurement found, or that it still runs, or failed."""
    place = None if clip.request["source"].startswith("example:") else clip.folder / clip.request["source"]
    more = {"kind": "measure", "source": clip.request["source"]}
    task = shop.once(shop.measures, asked, more=more, source=place)
    status = task.status
    if status["state"] in ("waiting", "running"):
        return Expectation(None, None, free, measuring=True)
    facts: dict[str, Any] = status.get("facts", {})
    problem = status.get("error", "") or facts.get("problem", "")
    if status["state"] == "done" and not problem:
        return facts
    task.remove()  # another clip, or another day, may do better
    return Expectation(None, None, free, problem=problem)


def _training(facts: Mapping[str, Any], options: Mapping[str, Any], free: float) -> Expectation:
    """A quality is a promise of seconds; without one the preset's iterations take what they take."""
    config = PRESETS[options.get("preset") or "fast"]
    whole = facts["seconds"] * config.optimisation.iterations
    return Expectation(QUALITIES.get(options.get("quality", ""), whole), facts["mib"], free)


def extrapolated(facts: Mapping[str, Any], *, pixels: int, fits: float, makes: float, free: float) -> Expectation:
    """Seconds and memory of what was tried at two small sizes: both grow with the number of pixels.

    Args:
        facts: what :func:`dyntex.ui.measure.measure` found, ``start`` among it, the seconds until a process can begin.
        pixels: of a frame, or as many times as many as there are more frames than in the trial.
        fits, makes: how many times what was done in the trial is done.
        free: MiB.
    """
    beyond = pixels - facts["pixels"]
    fit, make, mib = (max(0.0, at + slope * beyond) for at, slope in zip(facts["at"], facts["per_pixel"], strict=True))
    return Expectation(facts["start"] + fit * fits + make * makes, mib, free)
