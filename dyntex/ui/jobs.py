"""The long tasks, which are the commands: a video is synthesized, sampled or recovered, and made ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dyntex.clip import Clip, concatenate
from dyntex.coopnets.checkpoint import Checkpoints
from dyntex.experiment.progress import Progress
from dyntex.experiment.recovery import recover as recover_clip
from dyntex.experiment.report.slices import sections
from dyntex.experiment.sampling import sample as sample_model
from dyntex.experiment.synthesis import synthesize as synthesize_clip
from dyntex.media import flatten, read_clip, write_clip, write_png, write_stream
from dyntex.ui.formats import GREY, chunks_of, convert_file
from dyntex.ui.painting import mask_of
from dyntex.ui.tasks import Task, read_json
from dyntex.ui.worker import Report

MASTER = "result.mkv"
"""The result without loss: FFV1, whose colours have 10 bits. Every other file is made from it."""
RUN = "result.run"
SAVE_EVERY = 10.0
"""Seconds between checkpoints, and so between pictures of a training."""
SECTION_FRAMES = 192
AROUND = 12
"""Frames before a loop's seam that the page shows, and as many after it."""
SEAM_SIDE = 256
KEPT = ("output", "sheet", "side_by_side", "report", "model", "schema_version")
"""Facts that name files, which the page knows."""


def synthesize(task: Task, report: Report) -> dict[str, Any]:
    """``dyntex synthesize``. Where an earlier try left a checkpoint, it goes on from there."""
    request = task.request
    result = synthesize_clip(
        request["source"],
        MASTER,
        **_with_size(request["options"]),
        run_dir=RUN,
        checkpoint_every=SAVE_EVERY,
        resume=bool(Checkpoints(Path(RUN) / "checkpoints")),
        overwrite=True,
        progress=report,
        command=request["command"],
    )
    facts = result.facts
    options = request["options"]
    original = read_clip(
        request["source"],
        size=(facts["height"], facts["width"]),
        start=options.get("start", 0),
        n_frames=options.get("clip_frames") or _learnt(),
    )
    return finished(request, report, facts, original)


def sample(task: Task, report: Report) -> dict[str, Any]:
    """``dyntex sample``: more from the model of an earlier job."""
    request = task.request
    model = task.folder.parent / request["of"] / RUN / "model"
    result = sample_model(
        model,
        MASTER,
        **_with_size(request["options"]),
        overwrite=True,
        progress=report,
        command=request["command"],
    )
    original = read_clip(task.folder.parent / request["of"] / "original.mp4")
    return finished(request, report, result.facts, original)


def recover(task: Task, report: Report) -> dict[str, Any]:
    """``dyntex recover`` with the mask that was painted on the page."""
    request = task.request
    clip = read_clip(request["source"])
    np.savez_compressed("mask.npz", mask=mask_of(request["strokes"], clip))
    result = recover_clip(
        request["source"],
        "mask.npz",
        MASTER,
        **request["options"],
        overwrite=True,
        progress=report,
        command=request["command"],
    )
    return finished(request, report, result.facts, clip)


def _with_size(options: dict[str, Any]) -> dict[str, Any]:
    return options | ({"size": tuple(options["size"])} if options.get("size") else {})


def _learnt() -> int | None:
    """The number of frames that the run in this folder learnt."""
    shape = read_json(Path(RUN) / "config.json").get("shape")
    return shape[1] if shape else None


def finished(request: Mapping[str, Any], report: Progress, facts: dict[str, Any], original: Clip) -> dict[str, Any]:
    """Make what the page shows, and the file in the format that was asked for."""
    report.say("making the result ready to be shown")
    n_frames = facts["frames"]
    original = flatten(original, GREY)
    first = flatten(read_clip(MASTER, n_frames=min(n_frames, SECTION_FRAMES)), GREY)
    if n_frames == 1:
        write_png("result.png", first.to_uint8()[0], overwrite=True)
    else:
        write_clip("original.mp4", original, overwrite=True)
        _play(n_frames)
        n = min(original.n_frames, first.n_frames)
        write_png("slices-original.png", sections(original.segment(0, n)), overwrite=True)
        write_png("slices-result.png", sections(first.segment(0, n)), overwrite=True)
    if request["options"].get("loop"):
        _around_the_seam(n_frames)
    ending = request["ending"]
    if ending != ".mkv":
        background = (255, 255, 255) if ending == ".mp4" else None
        facts = facts | {"file": convert_file(MASTER, ending, background=background)}
    return {key: value for key, value in facts.items() if key not in KEPT} | {
        "has_model": (Path(RUN) / "model").is_dir(),
        "original_frames": original.n_frames,
        "original_size": [original.height, original.width],
    }


def _play(n_frames: int) -> None:
    """The result as every browser plays it, on grey where it is transparent."""
    chunks = (flatten(chunk, GREY) for chunk in chunks_of(MASTER, n_frames))
    write_stream("result.mp4", chunks, n_frames=n_frames, overwrite=True)


def _around_the_seam(n_frames: int) -> None:
    """The last frames of a loop and its first, side by side in one picture."""
    n = min(AROUND, n_frames // 2)
    ends = (read_clip(MASTER, start=n_frames - n, n_frames=n), read_clip(MASTER, n_frames=n))
    clip = flatten(concatenate(ends), GREY)
    factor = max(1, -(-max(clip.height, clip.width) // SEAM_SIDE))
    frames = clip.to_uint8()[:, ::factor, ::factor]
    write_png("seam.png", np.concatenate(list(frames), axis=1), overwrite=True)
