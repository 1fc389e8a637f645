"""A task as the page shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dyntex.ui.tasks import Task

JOB_FILES = (
    "poster.png", "original.mp4", "result.mp4", "result.png", "slices-original.png", "slices-result.png", "seam.png",
    "mask.npz",
)  # fmt: skip
"""What a job makes, by name; nothing else of its folder is ever sent."""
LIVE = ("share", "iteration", "gap", "left")


def shown_clip(task: Task) -> dict[str, Any]:
    status = task.status
    return {
        "id": task.id,
        "name": task.request.get("name", "clip"),
        "state": status["state"],
        "error": status.get("error", ""),
        "facts": status.get("facts"),
        "poster": (task.folder / "poster.png").is_file(),
    }


def shown_job(task: Task) -> dict[str, Any]:
    request, status = task.request, task.status
    preview = preview_of(task)
    return {
        "id": task.id,
        **{key: request.get(key) for key in ("kind", "name", "clip", "of", "options", "ending", "command", "created")},
        **{key: status.get(key) for key in ("state", "error", "facts", "began", "ended", *LIVE)},
        "said": status.get("said", []),
        "saved": any((task.folder / "result.run" / "checkpoints").glob("*")),
        "preview": None if preview is None else preview.stem,
        "files": [name for name in JOB_FILES if (task.folder / name).is_file()],
    }


def preview_of(task: Task) -> Path | None:
    """The last picture that a training left: the original above, the result so far below."""
    return max((task.folder / "result.run" / "samples").glob("*.png"), default=None)
