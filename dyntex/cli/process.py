"""What surrounds a command: signals that ask it to end, standard streams that are closed, words of libraries."""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TextIO

Handler = Callable[[int, FrameType | None], Any]

# Windows has no SIGHUP, which is what a terminal that is closed sends.
ENDING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
READER_GONE = 128 + 13
"""The exit code of a program that SIGPIPE ended, as shells give it: whoever read stdout went away."""


@contextmanager
def answered(handler: Handler) -> Iterator[None]:
    """Within, what asks a process to end is answered by ``handler``.

    A shell starts what runs in the background deaf to SIGINT, and who sends it one all the same means it. nohup makes a
    command deaf to SIGHUP because it is to go on, so that is respected.
    """
    before = {number: signal.getsignal(number) for number in ENDING}
    numbers = [number for number in ENDING if number == signal.SIGINT or before[number] != signal.SIG_IGN]
    for number in numbers:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, before[number])


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, on whose way out temporary files are removed.

    A terminal that is closed sends SIGHUP twice (the kernel and the shell), a system that goes down SIGTERM and SIGHUP:
    the second must not interrupt the removing. Another Ctrl-C may.
    """
    for other in ENDING:
        if other != signal.SIGINT:
            signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


class StdoutError(Exception):
    """What was to be printed on stdout could not be."""

    def __init__(self, error: OSError) -> None:
        reason = f"stdout cannot be written ({error.strerror}); what was made is in its place"
        super().__init__("" if isinstance(error, BrokenPipeError) else reason)
        self.exit_code = READER_GONE if isinstance(error, BrokenPipeError) else 1


class Lenient(io.TextIOBase):
    """A stream for progress and notices: where it cannot be written, because its terminal is closed or its disk full,
    nothing is said and the work goes on.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def failed(self, error: OSError) -> None:
        """What to do about it; the stream writes to nowhere by now."""

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        except OSError as error:
            silence(self.stream)
            self.failed(error)
            return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError as error:
            silence(self.stream)
            self.failed(error)

    def isatty(self) -> bool:
        return not self.stream.closed and self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self.stream.encoding or "utf-8"


class Strict(Lenient):
    """The stream for results: where it cannot be written, StdoutError is raised."""

    def failed(self, error: OSError) -> None:
        raise StdoutError(error) from error


def silence(stream: TextIO) -> None:
    """Send what a stream still holds to nowhere: Python flushes it at its exit, and fails with what could not be."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        stream.flush()
    except (OSError, ValueError):
        pass


def _nowhere() -> TextIO:
    return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8")


@contextmanager
def standard_streams() -> Iterator[None]:
    """Within, stdin, stdout and stderr are there; stderr never fails, and stdout with StdoutError.

    Where one of the three is closed, the next file that is opened would have its number, and whatever a library says
    would be written into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the least free number, which is this one
    before = sys.stdout, sys.stderr
    # Python's own are None where they were closed when it started.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # a file's name is any bytes, and is printed as it is
    sys.stdout, sys.stderr = Strict(sys.stdout or _nowhere()), Lenient(sys.stderr or _nowhere())
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def is_first_rank() -> bool:
    """Whether this is the process that speaks, of those that torchrun started, or the only one."""
    return "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Within, Python's warnings are not printed: they are for programmers, and stderr is for one line a fault."""
    with warnings.catch_warnings():
        if not os.environ.get("DYNTEX_DEBUG"):
            warnings.simplefilter("ignore")
        yield
