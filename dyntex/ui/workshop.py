"""The clips and the jobs of one folder, and what the page may do with them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dyntex.errors import InputError, UsageError
from dyntex.ui import queue
from dyntex.ui.queue import Lane, Queue
from dyntex.ui.tasks import Task, Tasks

SHORT_SECONDS = 300.0
"""That looking at a clip, or writing it in another format, may take."""
MEASURE_SECONDS = 900.0


class Workshop:
    """A folder of clips and jobs, with the queue that works on them.

    Args:
        folder: made if it is not there; only its owner can look into it.
        n_workers: jobs that are done at a time.

    Raises:
        UsageError: the folder cannot be made or written, or another server works in it.
    """

    def __init__(self, folder: Path, *, n_workers: int = 1) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.lock = (folder / "server.lock").open("a")
            self.clips, self.jobs = Tasks(folder / "clips"), Tasks(folder / "jobs")
            self.measures, self.copies = Tasks(folder / "measures"), Tasks(folder / "copies")
        except OSError as error:
            raise UsageError(
                f"the folder {folder} cannot be used ({error.strerror}): name another with --folder"
            ) from error
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another dyntex ui works in {folder}: name another folder with --folder") from None
        self.folder = folder
        for kind in (self.clips, self.jobs, self.measures, self.copies):
            kind.sweep()
        self.queue = Queue(
            Lane(lambda: self.jobs, n_workers),
            Lane(self._short, seconds=SHORT_SECONDS),
            Lane(lambda: self.measures, seconds=MEASURE_SECONDS),
        )

    def _short(self) -> Iterator[Task]:
        for kind in (self.clips, self.copies):
            yield from kind

    def clip(self, name: Any) -> Task:
        """A clip that has been looked at.

        Raises:
            InputError: there is none of that id, or it could not be read.
        """
        task = self.clips.get(str(name))
        if task is None:
            raise InputError("that clip is no longer here: choose another")
        if task.state != "done":
            raise InputError("the clip is still being looked at, or could not be read")
        return task

    def job(self, name: str) -> Task:
        task = self.jobs.get(name)
        if task is None:
            raise InputError("that job is no longer here")
        return task

    def add_example(self, name: str) -> Task:
        """A procedural clip as the source; asked for twice, it is the same one."""
        source = f"example:{name}"
        for task in self.clips:
            if task.request.get("source") == source and task.state != "failed":
                return task
        return self.clips.add({"kind": "examine", "source": source, "name": source})

    def add_job(self, request: dict[str, Any], *, clip: Task | None) -> Task:
        """A job, with a link to its clip: it needs nothing else to go on after the clip was removed."""
        draft = self.jobs.draft()
        try:
            if clip is not None:
                source = clip.request["source"]
                request = request | {"source": source, "clip": clip.id, "name": clip.request["name"]}
                if not source.startswith("example:"):
                    _link(clip.folder / source, draft / source)
                if (clip.folder / "poster.png").exists():
                    _link(clip.folder / "poster.png", draft / "poster.png")
            return self.jobs.add(request, made=draft)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise UsageError(f"the job cannot be written ({error.strerror}): free some space") from error

    def cancel(self, task: Task) -> None:
        """Stop a job: one that trains saves first, and can be continued."""
        if task.state not in ("waiting", "running"):
            return
        task.cancel(True)
        if task.worker() is None and task.state == "waiting":
            task.update(state="stopped", error="")
        queue.interrupt(task)

    def resume(self, task: Task) -> None:
        """Let a job that ended early go on from where it was."""
        if task.state in ("stopped", "failed") and task.worker() is None:
            task.cancel(False)
            task.update(state="waiting")

    def remove(self, task: Task) -> None:
        """Delete a task that nobody works on, with all that it made."""
        if task.worker() is not None:
            raise UsageError("it is being worked on: cancel it first")
        task.remove()

    def once(self, tasks: Tasks, asked: Mapping[str, Any], *, more: Mapping[str, Any], source: Path | None) -> Task:
        """The short task of what is asked: the one that is there, or a new one.

        Args:
            tasks: among which it is.
            asked: what tells it from others.
            more: what a new one needs beside that.
            source: its file.
        """
        key = hashlib.sha256(repr(sorted(asked.items())).encode()).hexdigest()
        for task in tasks:
            if task.request.get("key") == key:
                return task
        draft = tasks.draft()
        if source is not None:
            _link(source, draft / source.name)
        return tasks.add({**asked, **more, "key": key}, made=draft)


def _link(made: Path, place: Path) -> None:
    try:
        os.link(made, place)
    except OSError:  # another disk, or one without links
        shutil.copy2(made, place)
