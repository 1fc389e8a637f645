"""``metrics.jsonl``: a line for every iteration, each exactly once, however often training went back or was killed."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, fields
from pathlib import Path

from dyntex.coopnets.record import StepInfo
from dyntex.errors import DyntexError


def append(path: Path, info: StepInfo, *, seconds: float) -> None:
    """Add an iteration that ended after so many seconds of training.

    The line is handed to the system at once: a checkpoint that is saved after it never knows more than the log,
    and a process that is killed in between loses nothing.

    Raises:
        DyntexError: the disk is full or refuses.
    """
    line = json.dumps(asdict(info) | {"seconds": round(seconds, 3)}) + "\n"
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
    except OSError as error:
        raise DyntexError(f"cannot write {path} ({error.strerror}): free some space and --resume") from error


def rewind(path: Path, iteration: int) -> tuple[list[StepInfo], float]:
    """Drop what comes after an iteration, and a line that a crash cut short.

    Returns:
        the records that stay, and the seconds of training that they took.
    """
    names = [field.name for field in fields(StepInfo)]
    records: list[StepInfo] = []
    seconds = 0.0
    end = 0
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    for line in lines:
        try:
            data = json.loads(line)
            record = StepInfo(**{name: data[name] for name in names})
            if not line.endswith(b"\n") or record.iteration > iteration:
                break
            seconds = float(data["seconds"])
        except (ValueError, KeyError, TypeError):
            break
        records.append(record)
        end += len(line)
    if lines:
        # Cut in place: a rewritten file could be lost half-way.
        os.truncate(path, end)
    return records, seconds
