"""The command line, called in this process as a shell would call it."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from dyntex.cli import main

# The shortest thing that is a training: sixteen frames of sixteen pixels, twice.
TINY = ("--size", "16", "--clip-frames", "16", "--iterations", "2")


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def dyntex(*words: object) -> Outcome:
    """``dyntex words...``: its exit code and what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with patch.object(sys, "argv", ["dyntex", *map(str, words)]), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as exit:
            code = exit.code if isinstance(exit.code, int) else 1
    return Outcome(code, out.getvalue(), err.getvalue())


def done(*words: object) -> Outcome:
    """A command that has to succeed."""
    outcome = dyntex(*words)
    assert outcome.code == 0, outcome.err
    return outcome


def tree(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, with what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
