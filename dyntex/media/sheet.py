"""Pictures for the eye: a contact sheet, and the original beside the result."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.media.atomic import atomic, check_place
from dyntex.media.footage import Image
from dyntex.media.pixels import flatten
from dyntex.media.plain import save_png

GAP = 2  # pixels between frames
ROW_GAP = 8  # between original and synthesis
WHITE = 255
GREY = (128, 128, 128)  # under what is transparent
BESIDE_GAP = 4  # even, so that two even halves stay even, as 4:2:0 video wants


def sheet(original: Clip, synthesis: Clip, *, n_columns: int = 8) -> Image:
    """Evenly spaced frames of the original over as many of the synthesis: ``(H', W', 3)`` uint8.

    The first and the last frame are always among them; a clip with fewer than ``n_columns`` frames shows each once.
    Frames are not scaled: a larger synthesis makes a larger row. What is transparent is shown on mid-grey.

    Raises:
        UsageError: fewer than one column.
    """
    if n_columns < 1:
        raise UsageError(f"a sheet of {n_columns} columns is empty: ask for at least 1")
    rows = [_row(clip, n_columns) for clip in (original, synthesis)]
    width = max(row.shape[1] for row in rows)
    top, bottom = (_pad(row, row.shape[0], width) for row in rows)
    return np.concatenate([top, np.full((ROW_GAP, width, 3), WHITE, np.uint8), bottom])


def _row(clip: Clip, n_columns: int) -> Image:
    n = min(n_columns, clip.n_frames)
    chosen = np.linspace(0, clip.n_frames - 1, n).round().astype(int).tolist()
    frames = flatten(Clip(clip.video[:, chosen], clip.fps), GREY).to_uint8()
    frames = np.repeat(frames, 3 // frames.shape[3], axis=3)
    gap = np.full((clip.height, GAP, 3), WHITE, np.uint8)
    return np.concatenate([piece for frame in frames for piece in (frame, gap)][:-1], axis=1)


def _pad(image: Image, height: int, width: int) -> Image:
    missing = ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0))
    return np.pad(image, missing, constant_values=WHITE)


def side_by_side(original: Clip, synthesis: Clip) -> Clip:
    """The original at the left, repeated or cut to the synthesis' length, and the synthesis at the right.

    Frame k stands beside frame k, at the synthesis' rate; a lower one is centred on mid-grey, the gap's colour too, on
    which is shown what is transparent.
    """
    original, synthesis = flatten(original, GREY), flatten(synthesis, GREY)
    cycle = torch.arange(synthesis.n_frames) % original.n_frames
    height = max(original.height, synthesis.height)
    width = original.width + BESIDE_GAP + synthesis.width
    video = torch.zeros(3, synthesis.n_frames, height, width)
    _place(video, original.video[:, cycle], left=0)
    _place(video, synthesis.video, left=original.width + BESIDE_GAP)
    return Clip(video, synthesis.fps)


def _place(canvas: torch.Tensor, video: torch.Tensor, *, left: int) -> None:
    top = (canvas.shape[2] - video.shape[2]) // 2
    canvas[:, :, top : top + video.shape[2], left : left + video.shape[3]] = video  # grey broadcasts to RGB


def write_png(path: str | Path, image: Image, *, overwrite: bool = False) -> None:
    """Write an ``(H, W, 3)`` or ``(H, W, 4)`` uint8 image, atomically.

    Raises:
        UsageError: the parent folder is missing or read-only, or the file exists and ``overwrite`` is false.
        DyntexError: the disk is full or refuses.
    """
    check_place(Path(path), overwrite=overwrite)
    with atomic(Path(path)) as temporary:
        save_png(temporary, image)
