"""NumPy files: ``(T, H, W, C)`` or ``(T, H, W)`` uint8, read frame by frame and never unpickled."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from dyntex.errors import InputError
from dyntex.media.footage import DEFAULT_FPS, Footage, Image, Notice, check_pixels, window
from dyntex.media.pixels import premultiplied

Shape = tuple[int, int, int, int]  # (T, H, W, C)
WANTED = "save frames as a (T,H,W,3), (T,H,W,4) or (T,H,W) uint8 array"


@contextmanager
def opened(path: Path) -> Iterator[tuple[Shape, IO[bytes]]]:
    """The array's shape and its file, at the first byte of the first frame.

    An ``.npz`` gives its only array of frames, or the one named ``frames`` or ``video`` where there are several.

    Raises:
        InputError: not a NumPy file, or one without an array of frames.
    """
    try:
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive)) as file:
                yield _header(path, file), file
        else:
            with path.open("rb") as file:
                yield _header(path, file), file
    except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} cannot be read as a NumPy file ({reason}): {WANTED}") from error


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    usable = []
    for name in archive.namelist():
        with archive.open(name) as file:
            try:
                _header(path, file)
            except (InputError, ValueError):
                continue
        usable.append(name)
    named = [name for name in usable if name in {"frames.npy", "video.npy"}]
    if len(usable) == 1 or len(named) == 1:
        return (named or usable)[0]
    held = ", ".join(name.removesuffix(".npy") for name in archive.namelist()) or "nothing"
    raise InputError(f"{path} holds {held}, of which {len(usable)} can be a clip: {WANTED} named 'frames'")


def _header(path: Path, file: IO[bytes]) -> Shape:
    """The shape of an array of frames, from the header alone."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(file)
    if dtype != np.uint8 or len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3, 4)):
        raise InputError(f"{path} holds a {shape} {dtype} array: {WANTED}")
    if by_columns:
        raise InputError(f"{path} holds an array in Fortran order: save it again after np.ascontiguousarray")
    if shape[0] < 1:
        raise InputError(f"{path} holds an array of no frames: {WANTED}")
    check_pixels(path, shape[2], shape[1])
    return shape[0], shape[1], shape[2], shape[3] if len(shape) == 4 else 1


def footage(path: Path, *, start: int, n_frames: int | None, notice: Notice) -> Footage:
    """Frames of a NumPy file, at 25 frames per second (it carries no rate); four channels are RGB and straight alpha.

    ``notice`` is not called: an array has nothing to say that its reader may not know.
    """
    with opened(path):
        pass  # so that a file of another kind is refused now, not at its first frame
    return Footage(DEFAULT_FPS, window(_frames(path), start, n_frames, name=path))


def _frames(path: Path) -> Iterator[Image]:
    with opened(path) as ((n_frames, *size), file):
        n_bytes = int(np.prod(size))
        for i in range(n_frames):
            data = file.read(n_bytes)
            if len(data) < n_bytes:
                raise InputError(f"{path} is cut short: it has {i} of the {n_frames} frames that it promises")
            frame = np.frombuffer(data, np.uint8).reshape(size)
            yield premultiplied(frame) if size[2] == 4 else np.repeat(frame, 3 // size[2], axis=2)
