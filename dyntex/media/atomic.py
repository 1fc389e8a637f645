"""Putting a file or a folder in its place whole, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

from dyntex.errors import DyntexError, UsageError


def check_place(target: Path, *, overwrite: bool) -> None:
    """Whether something may be put in a place, whatever its ending.

    Raises:
        UsageError: its parent folder is missing or read-only, or it exists and may not be overwritten.
    """
    parent = target.absolute().parent
    if not parent.is_dir():
        raise UsageError(f"{target} cannot be written because {parent} is not a folder: make it first")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"{target} cannot be written because {parent} is read-only: choose another folder")
    if target.exists() and not overwrite:
        raise UsageError(f"{target} exists: choose another name or pass --overwrite")


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary name in ``path``'s folder, renamed to ``path`` at the end or removed on any failure.

    Raises:
        DyntexError: the disk is full or refuses.
    """
    # A name with the real ending, by which readers choose, and not tempfile's, whose file only its owner may read.
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        _replace(temporary, path)
    except (OSError, av.FFmpegError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full: free some space" if full else f"{getattr(error, 'strerror', None) or error}"
        raise DyntexError(f"{path} could not be written ({reason})") from error
    finally:
        _remove(temporary)


def _replace(temporary: Path, path: Path) -> None:
    if not path.is_dir():
        os.replace(temporary, path)
        return
    # A folder cannot be renamed onto a full one: the old one steps aside, and comes back if the new one cannot come.
    aside = temporary.with_suffix(".old")
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
