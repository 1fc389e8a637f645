"""Progress on stderr: a live bar in a terminal, plain lines elsewhere, nothing when quiet."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from dyntex.coopnets.train import StepInfo

LINE_EVERY = 10.0
"""Seconds between plain lines."""


class Teller:
    """Says what is happening."""

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
        self.bar.update(self.task, completed=share, description="teaching", words=words, visible=True)
        if not self.live and not self.quiet and (now - self.last_line > LINE_EVERY or share >= 1.0):
            gained = share - self.share
            left = f"{(now - self.began) / gained * (1.0 - share):.0f} s left" if gained > 0.0 else "time left unknown"
            self.say(f"teaching {share:4.0%}: {words}, {left}")
            self.last_line = now


def _speed(per_second: float) -> str:
    if per_second == 0.0:
        return "measuring the speed"
    return f"{per_second:.1f} a second" if per_second >= 1.0 else f"{1.0 / per_second:.1f} s each"
