"""Putting a file or a folder in its place whole, or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import secrets
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import psutil

from dyntex.errors import DyntexError, UsageError
from dyntex.media.paths import check_name

HOST = f"{zlib.crc32(platform.node().encode()):08x}"  # a folder may be shared with machines that have other processes
OURS = re.compile(rf"\.dyntex\.{HOST}\.(\d+)\.[0-9a-z_]{{8}}(\.[0-9a-z]+)?")


def check_place(target: Path, *, overwrite: bool) -> None:
    """Whether something may be put in a place, whatever its ending.

    Raises:
        UsageError: its name or path is longer than the file system takes, its parent folder is missing or read-only, or
            it exists and may not be overwritten.
    """
    check_name(target)
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
    # A name with the real ending, by which readers choose; of one length, however long the other is; and not
    # tempfile's, whose file only its owner may read.
    sweep(path.parent)
    temporary = path.with_name(f"{_mark()}{secrets.token_hex(4)}{_short(path.suffix)}")
    try:
        yield temporary
        _replace(temporary, path)
    except (OSError, av.FFmpegError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        reason = "the disk is full: free some space" if full else f"{getattr(error, 'strerror', None) or error}"
        raise DyntexError(f"{path} could not be written ({reason})") from error
    finally:
        _remove(temporary)


def sweep(folder: Path) -> None:
    """Remove the temporary files and folders that processes of ours left in a folder when they were killed."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        found = OURS.fullmatch(name)
        if found and not _runs(int(found[1])):
            _remove(folder / name)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what is thrown away, where the system has such; of killed processes none stays for long."""
    sweep(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_mark()) as folder:
        yield Path(folder)


def _mark() -> str:
    return f".dyntex.{HOST}.{os.getpid()}."


def _short(ending: str) -> str:
    return ending.lower() if re.fullmatch(r"\.[0-9a-zA-Z]{1,8}", ending) else ""


def _runs(process: int) -> bool:
    try:
        return bool(psutil.Process(process).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _replace(temporary: Path, path: Path) -> None:
    if not path.is_dir():
        os.replace(temporary, path)
        return
    # A folder cannot be renamed onto a full one: the old one steps aside, and comes back if the new one cannot come.
    aside = temporary.with_name(f"{temporary.name}.dyntex.old")  # which is never swept
    path.rename(aside)
    try:
        temporary.rename(path)
    except OSError:
        aside.rename(path)
        raise
    _remove(aside)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
