"""Pictures of motion that stand still: sections of a clip along time, and a loop that is played again and again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from dyntex.clip import Clip
from dyntex.media import flatten
from dyntex.media.footage import Image

GREY = (128, 128, 128)  # under what is transparent, as on the contact sheet
GAP = 3  # clear pixels between the parts
MARK = 4  # rows of the marks over a strip, the last of them clear


def sections(clip: Clip) -> Image:
    """The middle frame with both of its sections through time, each continuing the lines that it was cut along.

    At the right the middle column, time to the right; below the middle row, time downwards.

    Returns:
        ``(H + GAP + T, W + GAP + T, 4)`` uint8, clear between and beside the three.
    """
    frames = _shown(clip)  # (T, H, W, 3)
    T, H, W, _ = frames.shape
    canvas = np.zeros((H + GAP + T, W + GAP + T, 4), np.uint8)
    _paint(canvas, frames[T // 2], top=0, left=0)
    _paint(canvas, frames[:, :, W // 2].transpose(1, 0, 2), top=0, left=W + GAP)
    _paint(canvas, frames[:, H // 2], top=H + GAP, left=0)
    return canvas


def strip(clip: Clip, *, marks: tuple[int, ...] = ()) -> Image:
    """The middle column, time to the right, under marks at the beginnings of some frames.

    Returns:
        ``(MARK + H, T, 4)`` uint8.
    """
    frames = _shown(clip)
    T, H, W, _ = frames.shape
    canvas = np.zeros((MARK + H, T, 4), np.uint8)
    _paint(canvas, frames[:, :, W // 2].transpose(1, 0, 2), top=MARK, left=0)
    canvas[: MARK - 1, list(marks)] = (*GREY, 255)
    return canvas


def repeated(loop: Clip, *, times: int, most: int) -> tuple[Clip, tuple[int, ...]]:
    """A loop played so many times in a row; of one that would have more than ``most`` frames, its seam alone.

    Returns:
        the clip, and the frames at which the loop begins again. The seam alone is the loop's last frames and its
        first, ``most`` in all.
    """
    T = loop.n_frames
    if T * times <= most:
        order, seams = torch.arange(T * times) % T, tuple(range(T, T * times, T))
    else:
        before = min(T, most // 2)
        order, seams = torch.arange(-before, min(T, most - before)) % T, (before,)
    return replace(loop, video=loop.video[:, order]), seams


def _shown(clip: Clip) -> Image:
    frames = flatten(clip, GREY).to_uint8()
    return np.repeat(frames, 3 // frames.shape[3], axis=3)


def _paint(canvas: Image, picture: Image, *, top: int, left: int) -> None:
    part = canvas[top : top + picture.shape[0], left : left + picture.shape[1]]
    part[..., :3], part[..., 3] = picture, 255
