"""A file from a browser to the disk: as long as it is allowed to be, under a random name, whole or not at all."""

from __future__ import annotations

import asyncio
import errno
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

from dyntex.errors import DyntexError, InputError

SUFFIXES = frozenset(
    f".{word}"
    for words in (
        "mp4 m4v mov mkv webm avi mpg mpeg mts m2ts ts wmv flv ogv 3gp mxf y4m gif apng png webp avif",
        "jpg jpeg bmp tif tiff heic heif npy npz",
    )
    for word in words.split()
)
"""Endings that a file keeps; any other is dropped, and what the file is is told by its content."""
SPARE = 64 * 2**20
"""Bytes of the disk that an upload leaves free."""
HEAD = 4096
PLAYLISTS = (b"#extm3u", b"ffconcat", b"<mpd", b"<compositionplaylist")


class TooLargeError(InputError):
    """More bytes than are taken."""


class NoSpaceError(DyntexError):
    """The disk is full."""


def place_for(folder: Path, name: str) -> Path:
    """Where an upload of that name goes: of the name, only a known ending is kept."""
    suffix = Path(name).suffix.lower()
    return folder / f"source{suffix if suffix in SUFFIXES else ''}"


async def receive(chunks: AsyncIterator[bytes], place: Path, *, declared: int | None, most: int, seconds: float) -> int:
    """Write what a browser sends.

    Args:
        chunks: of the body.
        place: of the file, whose folder the caller removes on any failure.
        declared: the number of bytes that the browser announced.
        most: the number of bytes that are taken.
        seconds: that it may take.

    Returns:
        the number of bytes.

    Raises:
        TooLargeError: there are more.
        NoSpaceError: the disk is full, or would be.
        InputError: it took longer, or it is text.
    """
    limit = f"at most {most / 2**20:.0f} MiB are taken (dyntex ui --max-upload): cut the clip"
    if declared is not None and declared > most:
        raise TooLargeError(f"the file has {declared / 2**20:.0f} MiB, and {limit}")
    if declared is not None and declared + SPARE > shutil.disk_usage(place.parent).free:
        raise NoSpaceError(f"the disk has no room for {declared / 2**20:.0f} MiB: free some space")
    n_bytes, until = 0, time.monotonic() + seconds
    try:
        async with asyncio.timeout(seconds):
            with place.open("xb") as file:
                async for chunk in chunks:
                    n_bytes += len(chunk)
                    if time.monotonic() > until:  # no pause between chunks in which to be interrupted
                        raise TimeoutError
                    if n_bytes > most:
                        raise TooLargeError(f"the file is too large: {limit}")
                    file.write(chunk)
    except TimeoutError as error:
        raise InputError(f"the upload took longer than {seconds:.0f} s: use a smaller file") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpaceError("the disk is full: free some space") from error
        raise
    check_binary(place)
    return n_bytes


def check_binary(place: Path) -> None:
    """Refuse text: a playlist that is named like a video can name other files of this machine.

    Raises:
        InputError: it is text, or empty.
    """
    with place.open("rb") as file:
        head = file.read(HEAD)
    if not head:
        raise InputError("the file is empty: choose another")
    text = head.startswith((b"\xff\xfe", b"\xfe\xff")) or (b"\0" not in head and _is_text(head))
    if text or any(mark in head.lower() for mark in PLAYLISTS):
        raise InputError("the file is text, not video: choose a video, an animation or an image")


def _is_text(head: bytes) -> bool:
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(head) - 4  # a letter that the end cut through
    return True
