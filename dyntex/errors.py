"""Every failure a user can cause or meet, each with the exit code that the command line returns for it.

A message is one sentence that names the value and the remedy. Library code raises these; only ``dyntex.cli``
turns them into a line on stderr and an exit code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DyntexError(Exception):
    """Base of all errors that dyntex raises on purpose (exit code 1)."""

    exit_code = 1


class UsageError(DyntexError):
    """The request is wrong: an option's value, a file ending that cannot be written (exit code 2)."""

    exit_code = 2


class InputError(DyntexError):
    """The input is wrong: a file that is missing, broken, too short or too small (exit code 3)."""

    exit_code = 3


class MemoryLimitError(DyntexError):
    """The machine has too little memory for the request (exit code 4)."""

    exit_code = 4


class DivergedError(DyntexError):
    """Training diverged, and rolling back did not help (exit code 5)."""

    exit_code = 5


class MissingDependencyError(DyntexError):
    """An optional package is not installed (exit code 6)."""

    exit_code = 6


class StoppedError(DyntexError):
    """The user stopped the run; the training so far is saved (exit code 130)."""

    exit_code = 130


def suggest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
