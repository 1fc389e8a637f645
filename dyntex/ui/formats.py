"""A result in another format, and in pieces."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator

from dyntex.clip import Clip
from dyntex.media import probe, read_clip, write_stream

GREY = (128, 128, 128)
"""Shown behind what is transparent."""
CHUNK = 64
"""Frames in memory at a time."""


def convert_file(source: str, ending: str, *, background: tuple[int, int, int] | None = None) -> str:
    """The name of a new file in this folder; of a folder of frames its ``.zip``."""
    seen = probe(source)
    n_frames = seen.n_frames or 1
    out = f"output{ending}" if ending else "frames/"
    grid = grid_for(n_frames) if ending == ".png" and n_frames > 1 else None
    comment = next((value for key, value in seen.metadata.items() if key.lower() == "comment"), "")
    write_stream(
        out,
        chunks_of(source, n_frames),
        n_frames=n_frames,
        overwrite=True,
        metadata={"comment": comment} if comment else {},
        background=background,
        grid=grid,
        pixel_aspect=seen.pixel_aspect,
    )
    if ending:
        return out
    shutil.make_archive("output", "zip", "frames")
    shutil.rmtree("frames")
    return "output.zip"


def chunks_of(source: str, n_frames: int) -> Iterator[Clip]:
    """A file's frames, a few at a time."""
    for start in range(0, n_frames, CHUNK):
        yield read_clip(source, start=start, n_frames=min(CHUNK, n_frames - start))


def grid_for(n_frames: int) -> tuple[int, int]:
    """Rows and columns that hold so many frames exactly, as nearly square as they can be."""
    rows = next(rows for rows in range(math.isqrt(n_frames), 0, -1) if n_frames % rows == 0)
    return rows, n_frames // rows
