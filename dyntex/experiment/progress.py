"""Progress messages of the library, and how long each stage took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dyntex.clip import Clip
    from dyntex.coopnets.record import StepInfo

STAGES = ("read", "rehearse", "fit", "synthesize", "write", "report")


class Progress(Protocol):
    """Receives progress messages; the command line prints them, :class:`Silent` drops them."""

    def say(self, sentence: str) -> None:
        """A sentence on what is happening."""
        ...

    def training(self, info: StepInfo, share: float) -> None:
        """One training iteration is done, and with it this share of the training, from 0 to 1."""
        ...

    def interruptible(self) -> AbstractContextManager[Callable[[], bool]]:
        """Entered around a training; the function it gives is asked after every iteration whether to stop and save."""
        ...


class Silent:
    """Drops all messages; Ctrl-C raises KeyboardInterrupt at once."""

    def say(self, sentence: str) -> None:
        pass

    def training(self, info: StepInfo, share: float) -> None:
        pass

    def interruptible(self) -> AbstractContextManager[Callable[[], bool]]:
        return nullcontext(lambda: False)


SILENT = Silent()


@dataclass
class Stopwatch:
    """Wall time by stage.

    Attributes:
        began: when the work did, by the monotonic clock.
        seconds: by stage.
        chunks: what each chunk of the synthesis took, in seconds.
        first_frame: seconds from the beginning until there was one.
    """

    began: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    chunks: list[float] = field(default_factory=list)
    first_frame: float | None = None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Count what happens within as this stage."""
        clock = time.monotonic()
        yield
        self.seconds[stage] = round(time.monotonic() - clock, 3)

    def timed_chunks(self, chunks: Iterator[Clip]) -> Iterator[Clip]:
        """Pass chunks on, and count the time that making them took as ``synthesize``."""
        while True:
            clock = time.monotonic()
            chunk = next(chunks, None)
            if chunk is None:
                return
            now = time.monotonic()
            self.chunks.append(now - clock)
            self.seconds["synthesize"] = round(sum(self.chunks), 3)
            if self.first_frame is None:
                self.first_frame = round(now - self.began, 3)
            yield chunk

    def spent(self) -> float:
        """Seconds since the work began."""
        return time.monotonic() - self.began

    def table(self) -> dict[str, float]:
        """The seconds by stage, and the total so far."""
        return self.seconds | {"total": round(self.spent(), 3)}
