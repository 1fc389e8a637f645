"""Each frame by itself: Telea, "An Image Inpainting Technique Based on the Fast Marching Method", 2004."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from dyntex.inpainting.interpolation import interpolate, spread

RADIUS = 5
"""Pixels around each that it is filled from."""


def telea(y: Tensor, missing: Tensor) -> Tensor:
    """Fill (C, T, H, W) frame by frame and channel by channel, as bytes; whole frames, which it cannot, in time."""
    filled = interpolate(y, missing).clone()
    for t, hole in enumerate(missing):
        if bool(hole.all()) or not bool(hole.any()):
            continue
        # OpenCV's gradients reach into the hole: it must not hold what is not to be seen.
        neutral = spread(y[:, t], ~hole)
        frame = ((neutral + 1.0) * 127.5).round().clamp(0.0, 255.0).to(torch.uint8).numpy()
        mask = hole.to(torch.uint8).numpy()
        done = np.stack([cv2.inpaint(channel, mask, RADIUS, cv2.INPAINT_TELEA) for channel in frame])
        filled[:, t] = torch.where(hole, torch.from_numpy(done).float() / 127.5 - 1.0, y[:, t])
    return filled
