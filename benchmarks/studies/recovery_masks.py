"""The masks of the literature on recovery, and masks of other origin."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import Tensor

from dyntex.errors import InputError
from dyntex.inpainting.masks import check_mask, read_array

SIDE = 8
"""Blocks along a side of the frame: 16 pixels of 128."""
SQUARE = 40 / 128
"""Side of the moving square, as a share of the frame's."""
BLOCKS = (50, 60, 70)
NAMES = (*(f"blocks-{percent}" for percent in BLOCKS), "middle-third", "square")


def masks(shape: tuple[int, int, int], *, rng: torch.Generator) -> dict[str, Tensor]:
    """The literature's masks (Xie et al., arXiv 1812.10587), by name.

    ``blocks-N``: of a grid of 8 by 8 blocks, N % chosen anew for each frame. ``middle-third``: of the frames, all of
    them. ``square``: across the frame once from left to right, and twice up and down.

    Args:
        shape: (T, H, W) of the clips.
        rng: draws the blocks.
    """
    T, H, W = shape
    made = {}
    for percent in BLOCKS:
        chosen = torch.rand(T, SIDE * SIDE, generator=rng).argsort(1) < round(percent / 100 * SIDE * SIDE)
        rows, columns = (torch.arange(n) * SIDE // n for n in (H, W))
        made[f"blocks-{percent}"] = chosen.view(T, SIDE, SIDE)[:, rows][:, :, columns]
    third = torch.zeros(shape, dtype=torch.bool)
    third[T // 3 : T - T // 3] = True
    made["middle-third"] = third
    square = torch.zeros(shape, dtype=torch.bool)
    height, width = round(SQUARE * H), round(SQUARE * W)
    for t in range(T):
        phase = t / max(1, T - 1)
        top = round((H - height) * (0.5 - 0.5 * math.cos(4 * math.pi * phase)))
        left = round((W - width) * phase)
        square[t, top : top + height, left : left + width] = True
    made["square"] = square
    return made


def shipped_mask(path: Path, shape: tuple[int, int, int]) -> Tensor:
    """A mask from an ``.npz``, its last T frames (an object enters late), thinned to the size (T, H, W).

    Raises:
        InputError: it cannot be read, is shorter than the clip, or its sides are no multiples of the clip's.
    """
    mask = read_array(path)
    T, H, W = shape
    if len(mask) < T or mask.shape[1] % H or mask.shape[2] % W:
        raise InputError(f"{path} is a mask of {tuple(mask.shape)} and the clips are {shape}: leave it out")
    thinned = mask[-T:, :: mask.shape[1] // H, :: mask.shape[2] // W].contiguous()
    check_mask(thinned, name=str(path))
    return thinned
