"""Names of files: which one is meant, how long they may be, and those of what lies beside a result."""

from __future__ import annotations

import os
from pathlib import Path

from dyntex.errors import UsageError

NAME_MAX = 255  # bytes, where the system does not say


def place_of(source: str | Path) -> Path:
    """The file or folder that is meant: the one of that very name, else the one in the home that ``~`` stands for."""
    path = Path(source)
    if not str(source).startswith("~") or os.path.lexists(path):
        return path
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path


def check_name(target: Path) -> None:
    """Whether a name can be that of a file where it is to be.

    Raises:
        UsageError: it, or the whole path, is longer than the file system takes, or holds a zero byte.
    """
    if "\0" in str(target):
        raise UsageError(f"{str(target)!r} holds a zero byte, which no name can: choose another name")
    n_bytes, most = len(os.fsencode(target.name)), name_max(target.absolute().parent)
    if n_bytes > most:
        raise UsageError(f"{target} cannot be written: its name has {n_bytes} bytes and can have {most}; shorten it")
    try:
        target.lstat()
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    except OSError as error:
        raise UsageError(f"{target} cannot be written ({error.strerror}): choose another place") from error


def name_max(folder: Path) -> int:
    """The most bytes of a name in a folder."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (OSError, ValueError, AttributeError):  # not there, not said, or Windows
        return NAME_MAX


def named(folder: Path, stem: str, ending: str) -> Path:
    """A place in a folder; the stem is cut where the name would be longer than the file system takes."""
    most = name_max(folder.absolute())
    while stem and len(os.fsencode(stem + ending)) > most:
        stem = stem[:-1]
    return folder / (stem + ending)
