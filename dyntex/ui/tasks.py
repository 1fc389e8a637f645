"""A task: a folder that says what is to be done and how far it is. What a page or a server forgets is still there.

``request.json`` is written once, ``status.json`` is replaced by whoever works on the task, and ``lock`` is held by the
process that does: a task that says it runs and whose lock is free has died.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

State = Literal["waiting", "running", "done", "failed", "stopped"]
ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Task:
    """One task's folder."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def request(self) -> dict[str, Any]:
        """What was asked; empty where the folder is damaged."""
        return read_json(self.folder / "request.json")

    @property
    def status(self) -> dict[str, Any]:
        """``state`` and what belongs to it; a new task waits."""
        return {"state": "waiting"} | read_json(self.folder / "status.json")

    @property
    def state(self) -> State:
        state: State = self.status["state"]
        return state

    def update(self, **status: Any) -> None:
        """Replace the status."""
        write_json(self.folder / "status.json", status)

    @property
    def cancelled(self) -> bool:
        """Whether a person, rather than the end of the server, stopped it."""
        return (self.folder / "cancelled").exists()

    def cancel(self, wanted: bool) -> None:
        mark = self.folder / "cancelled"
        mark.touch() if wanted else mark.unlink(missing_ok=True)

    def worker(self) -> int | None:
        """The process that works on it now, whoever started it."""
        try:
            with (self.folder / "lock").open("r+") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return int(file.read())
        except (OSError, ValueError):
            pass
        return None

    @contextmanager
    def held(self) -> Iterator[bool]:
        """Within, this process is the task's worker; False where another is."""
        with (self.folder / "lock").open("a+") as file:
            if not _locked(file):
                yield False
                return
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield True

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Tasks:
    """The tasks of one kind, each a folder with a random name in a folder of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True, mode=0o700)

    def __iter__(self) -> Iterator[Task]:
        """All, the oldest first."""
        found = [Task(self.root / name) for name in os.listdir(self.root) if ID.fullmatch(name)]
        dated = [(task.request.get("created", 0.0), task.id, task) for task in found]
        return (task for _, _, task in sorted(dated))

    def get(self, name: str) -> Task | None:
        """The task of that id; None where there is none, whatever the name is: it is looked up, not opened."""
        if not ID.fullmatch(name) or name not in os.listdir(self.root):
            return None
        return Task(self.root / name)

    def add(self, request: dict[str, Any], *, made: Path | None = None) -> Task:
        """A new task.

        Args:
            request: what is to be done.
            made: a folder of :meth:`draft` with what belongs to it.
        """
        draft = made or self.draft()
        write_json(draft / "request.json", request | {"created": time.time()})
        place = self.root / secrets.token_hex(8)
        draft.rename(place)
        return Task(place)

    def draft(self) -> Path:
        """A folder for what becomes a task when it is complete."""
        folder = self.root / f"draft-{secrets.token_hex(8)}"
        folder.mkdir(mode=0o700)
        return folder

    def sweep(self) -> None:
        """Remove drafts that a server left when it was killed."""
        for folder in self.root.glob("draft-*"):
            shutil.rmtree(folder, ignore_errors=True)


def read_json(path: Path) -> dict[str, Any]:
    """An object that was written by :func:`write_json`; empty where there is none, or no such thing."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace a file by another at once, so that whoever reads it reads one of the two."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(json.dumps(data), encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
