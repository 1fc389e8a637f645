"""A result in another format, and in pieces."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

from dyntex.clip import Clip
from dyntex.media import probe, read_clip, write_stream

GREY = (128, 128, 128)
"""Shown behind what is transparent."""
CHUNK = 64
"""Frames in memory at a time."""


def convert_file(source: str, ending: str, *, background: tuple[int, int, int] | None = None) -> str:
    """The name of a new file in this folder; of a folder of frames, or a sprite sheet with its JSON, a ``.zip``."""
    seen = probe(source)
    n_frames = seen.n_frames or 1
    grid = grid_for(n_frames) if ending == ".png" and n_frames > 1 else None
    folder = Path("packed" if grid else "packed/frames" if not ending else ".")
    folder.parent.mkdir(exist_ok=True)
    if grid:
        folder.mkdir(exist_ok=True)
    out = str(folder / f"output{ending}") if ending else f"{folder}/"
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
    if ending and grid is None:
        return out
    shutil.make_archive("output", "zip", "packed")
    shutil.rmtree("packed")
    return "output.zip"


def chunks_of(source: str, n_frames: int) -> Iterator[Clip]:
    """A file's frames, a few at a time."""
    for start in range(0, n_frames, CHUNK):
        yield read_clip(source, start=start, n_frames=min(CHUNK, n_frames - start))


def grid_for(n_frames: int) -> tuple[int, int]:
    """Rows and columns that hold so many frames exactly, as nearly square as they can be."""
    rows = next(rows for rows in range(math.isqrt(n_frames), 0, -1) if n_frames % rows == 0)
    return rows, n_frames // rows
