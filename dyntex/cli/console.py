"""Progress on stderr: a live bar in a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dyntex.cli.process import answered
from dyntex.experiment.redact import without_folders

if TYPE_CHECKING:
    from dyntex.coopnets.record import StepInfo

LINE_EVERY = 10.0
"""Seconds between plain lines."""


class ConsoleProgress:
    """Prints the library's progress messages (:class:`dyntex.experiment.progress.Progress`)."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.console = Console(stderr=True, highlight=False, emoji=False)
        self.live = sys.stderr.isatty() and not quiet
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[words]}"),
            console=self.console,
            disable=not self.live,
        )
        self.task = self.bar.add_task("", total=1.0, words="", visible=False)
        self.began = self.last_line = time.monotonic()
        self.first, self.share = 0, 0.0

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def say(self, sentence: str) -> None:
        """A sentence on what is happening."""
        if not self.quiet:
            self.console.print(sentence, markup=False, soft_wrap=True)

    def training(self, info: StepInfo, share: float) -> None:
        """One iteration is done."""
        now = time.monotonic()
        if self.first == 0:
            # A resumed run begins in the middle: speed and time left are those of this run.
            self.first, self.share, self.began = info.iteration, share, now
        speed = (info.iteration - self.first) / (now - self.began) if now > self.began else 0.0
        words = f"iteration {info.iteration}, energy gap {info.gap:.3g}, {_speed(speed)}"
        self.bar.update(self.task, completed=share, description="training", words=words, visible=True)
        if not self.live and not self.quiet and (now - self.last_line > LINE_EVERY or share >= 1.0):
            gained = share - self.share
            left = f"{(now - self.began) / gained * (1.0 - share):.0f} s left" if gained > 0.0 else "time left unknown"
            self.say(f"training {share:4.0%}: {words}, {left}")
            self.last_line = now

    @contextmanager
    def interruptible(self) -> Iterator[Callable[[], bool]]:
        """Within, a signal to end asks the training to stop and save; a second Ctrl-C stops at once.

        A second SIGHUP or SIGTERM does not: a terminal that is closed sends two.
        """
        asked = False

        def ask(number: int, frame: FrameType | None) -> None:
            nonlocal asked
            if asked and number == signal.SIGINT:
                raise KeyboardInterrupt
            asked = True

        with answered(ask):
            yield lambda: asked
        if asked:
            # It came after the training had last asked.
            raise KeyboardInterrupt


def command_line() -> str:
    """The command as it was typed, with file names in place of paths: a video that is shared names no folder."""
    return shlex.join(["dyntex", *map(without_folders, sys.argv[1:])])


def _speed(per_second: float) -> str:
    if per_second == 0.0:
        return "measuring the speed"
    return f"{per_second:.1f} a second" if per_second >= 1.0 else f"{1.0 / per_second:.1f} s each"
