"""Starts a process for each task, one at a time in each lane, and notices when one ends."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dyntex.ui.tasks import Task

EVERY = 0.2
"""Seconds between looks."""
GRACE = 60.0
"""Seconds that a worker has to save what it did."""
log = logging.getLogger("dyntex.ui")


@dataclass
class Lane:
    """Tasks that wait for each other.

    Attributes:
        tasks: all of them, in the order in which they are to be done.
        n_workers: how many are done at a time.
        seconds: that each may take; None for no limit.
    """

    tasks: Callable[[], Iterable[Task]]
    n_workers: int = 1
    seconds: float | None = None
    running: dict[str, tuple[subprocess.Popen[bytes] | None, float]] = field(default_factory=dict)


class Queue:
    """Lanes, and the thread that looks after them."""

    def __init__(self, *lanes: Lane) -> None:
        self.lanes = lanes
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Take up what an earlier server left: what ran goes on, what it stopped waits again."""
        for lane in self.lanes:
            for task in lane.tasks():
                state = task.state
                if state in ("running", "stopped") and task.worker() is None and not task.cancelled:
                    task.update(state="waiting")
        self.thread.start()

    def stop(self) -> None:
        """Ask all workers to save and end. Those that take longer go on, and the next server finds them."""
        self.ending.set()
        if self.thread.is_alive():
            self.thread.join()
        workers = [worker for lane in self.lanes for worker, _ in lane.running.values() if worker is not None]
        for process in workers:
            process.terminate()
        for lane in self.lanes:
            for name, (worker, _) in lane.running.items():
                if worker is None:
                    interrupt(Task(Path(name)))
        until = time.monotonic() + GRACE
        for process in workers:
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("process %d is still saving", process.pid)

    def _run(self) -> None:
        said = ""
        while not self.ending.wait(EVERY):
            for lane in self.lanes:
                try:
                    self._look(lane)
                except OSError as error:  # a disk that is full for a moment must not end the queue
                    if str(error) != said:
                        log.warning("the queue waits: %s", error)
                    said = str(error)

    def _look(self, lane: Lane) -> None:
        tasks = {str(task.folder): task for task in lane.tasks()}
        for name, (worker, began) in list(lane.running.items()):
            task = tasks.get(name)
            if worker is not None and worker.poll() is not None:
                del lane.running[name]
                if task is not None and task.state == "running":
                    task.update(state="failed", error=_last_words(worker.returncode))
            elif task is None or (lane.seconds is not None and time.monotonic() - began > lane.seconds):
                if worker is not None:
                    worker.kill()
                    worker.wait()
                del lane.running[name]
                if task is not None:
                    task.update(state="failed", error=f"this took longer than {lane.seconds:.0f} s and was ended")
            elif worker is None and task.worker() is None:
                del lane.running[name]
                if task.state == "running":
                    task.update(state="failed", error=_last_words(-signal.SIGKILL))
        for name, task in tasks.items():
            if name in lane.running:
                continue
            state = task.state
            if state == "running":
                lane.running[name] = (None, time.monotonic())
            elif state == "waiting" and len(lane.running) < lane.n_workers:
                task.update(state="running", began=time.time())
                lane.running[name] = (begin(task), time.monotonic())


def begin(task: Task) -> subprocess.Popen[bytes]:
    """Start a task's worker, in a session of its own: the Ctrl-C that ends the server is not for it."""
    with (task.folder / "log.txt").open("ab") as words:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "dyntex.ui.worker", str(task.folder)],
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,
            cwd=task.folder,
        )


def interrupt(task: Task) -> None:
    """Ask a task's worker, if it has one, to save and end."""
    process = task.worker()
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGTERM)


def _last_words(code: int) -> str:
    if code == -signal.SIGKILL:
        return "the system ended the process, most often because memory ran out: choose a smaller size"
    return f"the process ended without a word (code {code}); log.txt in its folder may say why"
