"""The process that does one task: ``python -m dyntex.ui.worker FOLDER``. What it reports is the task's status."""

from __future__ import annotations

import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from dyntex.errors import DyntexError, StoppedError
from dyntex.ui.tasks import Task

if TYPE_CHECKING:
    from dyntex.coopnets.record import StepInfo

EVERY = 0.5
"""Seconds between reports of a training."""
SENTENCES = 40
UNTRUSTED = 6 * 2**30
"""Bytes of address space of a process that looks at an upload: a file of a few kilobytes can ask for any size."""


class Report:
    """The progress of a task (:class:`dyntex.experiment.progress.Progress`), as its status."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.began = time.time()
        self.sentences: list[str] = []
        self.training_now: dict[str, Any] = {}
        self.first: tuple[float, float] | None = None
        self.last = 0.0
        self.asked = False
        self.saves = True  # until the work begins, and while a training runs: a signal is then a wish

    def write(self) -> None:
        self.last = time.monotonic()
        self.task.update(state="running", began=self.began, said=self.sentences, **self.training_now)

    def say(self, sentence: str) -> None:
        self.sentences = [*self.sentences, self.clean(sentence)][-SENTENCES:]
        self.write()

    def training(self, info: StepInfo, share: float) -> None:
        now = time.monotonic()
        if self.first is None:  # a resumed training begins in the middle
            self.first = now, share
        began, before = self.first
        left = (now - began) / (share - before) * (1.0 - share) if share > before else None
        self.training_now = {"share": share, "iteration": info.iteration, "gap": info.gap, "left": left}
        if now - self.last > EVERY or share >= 1.0:
            self.write()

    @contextmanager
    def interruptible(self) -> Iterator[Callable[[], bool]]:
        self.saves = True
        try:
            yield lambda: self.asked
        finally:
            self.saves = False
            self.training_now = {}
        if self.asked:  # after the training had last looked
            raise KeyboardInterrupt

    def interrupt(self, number: int, frame: FrameType | None) -> None:
        """Answer a signal: a training saves, anything else ends at once."""
        self.asked = True
        if not self.saves:
            raise KeyboardInterrupt

    def clean(self, words: str) -> str:
        """Without the names of folders, and with the clip's as its owner knows it."""
        request = self.task.request
        words = words.replace(f"{self.task.folder}/", "")
        source = request.get("source", "")
        if source.startswith("source"):  # which is the name of an upload on the disk
            words = words.replace(source, request.get("name", source))
        return " ".join(words.split())

    def end(self, state: str, **status: Any) -> None:
        self.task.update(state=state, began=self.began, ended=time.time(), said=self.sentences, **status)


def work(task: Task, report: Report) -> None:
    """Do a task, and leave in its status how it ended."""
    try:
        report.saves = False
        if report.asked or task.cancelled:
            raise KeyboardInterrupt
        report.write()
        facts = _doer(task.request.get("kind"))(task, report)
        report.end("done", facts=facts)
    except (KeyboardInterrupt, StoppedError) as error:
        report.end("stopped", error=report.clean(str(error)))
    except DyntexError as error:
        report.end("failed", error=report.clean(str(error)), code=error.exit_code)
    except Exception as error:
        from dyntex.experiment.memory import is_out_of_memory

        if is_out_of_memory(error):
            report.end("failed", error="memory ran out: choose fewer frames or a smaller size", code=4)
        else:
            report.end("failed", error=report.clean(f"internal error: {type(error).__name__}: {error}"), code=1)
            raise


def _doer(kind: Any) -> Callable[[Task, Report], dict[str, Any]]:
    from dyntex.ui import jobs, looks, measure

    doers: dict[Any, Callable[[Task, Report], dict[str, Any]]] = {
        "examine": looks.examine,
        "measure": measure.measure,
        "convert": looks.convert,
        "synthesize": jobs.synthesize,
        "sample": jobs.sample,
        "recover": jobs.recover,
    }
    return doers[kind]


def main() -> None:
    task = Task(Path(sys.argv[1]))
    report = Report(task)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, report.interrupt)
    warnings.simplefilter("ignore")
    with task.held() as ours:
        if ours:
            if task.request.get("kind") == "examine":
                resource.setrlimit(resource.RLIMIT_AS, (UNTRUSTED, UNTRUSTED))
            work(task, report)


if __name__ == "__main__":
    main()
