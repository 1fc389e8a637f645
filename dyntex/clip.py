"""The value that flows through everything: a clip of video (an image is a clip with one frame)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np
import torch
from torch import Tensor

from dyntex.errors import InputError


@dataclass(frozen=True)
class Clip:
    """A dynamic texture in memory.

    Attributes:
        video: ``(C, T, H, W)`` float32 on the CPU, in [-1, 1]. One affine map for the whole clip: 0 is mid-grey
            in every frame. (The field's public code stretches each frame to its own extremes, which destroys
            brightness dynamics.) C is 1 (grey), 3 (RGB) or 4: RGB premultiplied by alpha, then alpha, which is -1 where
            nothing is to be seen. Premultiplied, because only so do averages of pixels (resizing, blurring, learning)
            have the colour that is seen (Porter and Duff, "Compositing digital images", 1984).
        fps: frames per second, exact: 30000/1001 stays 30000/1001.

    Raises:
        InputError: the tensor is not of that shape, type or range, or the rate is not positive.
    """

    video: Tensor
    fps: Fraction

    def __post_init__(self) -> None:
        v = self.video
        if v.ndim != 4 or v.dtype != torch.float32 or v.device.type != "cpu":
            raise InputError(
                f"a clip is a (C,T,H,W) float32 tensor on the CPU; this is {tuple(v.shape)} {v.dtype} on {v.device}"
            )
        if min(v.shape) < 1:
            raise InputError(f"a clip needs at least one channel, frame and pixel; this one is {tuple(v.shape)}")
        if self.fps <= 0:
            raise InputError(f"a clip's frame rate is positive; this is {self.fps}")
        low, high = (float(x) for x in torch.aminmax(v))
        # One test for both: a comparison with NaN is false.
        if not (low >= -1.0 and high <= 1.0):
            raise InputError(f"a clip's values lie in [-1, 1]; these lie in [{low:g}, {high:g}]: clamp or rescale them")

    @property
    def channels(self) -> int:
        return int(self.video.shape[0])

    @property
    def n_frames(self) -> int:
        return int(self.video.shape[1])

    @property
    def height(self) -> int:
        return int(self.video.shape[2])

    @property
    def width(self) -> int:
        return int(self.video.shape[3])

    def segment(self, start: int, n_frames: int) -> Clip:
        """Frames ``start`` to ``start + n_frames`` as a clip of its own (a view, not a copy).

        Raises:
            InputError: the clip does not have all of those frames.
        """
        if start < 0 or n_frames < 1 or start + n_frames > self.n_frames:
            raise InputError(
                f"frames {start} to {start + n_frames} were asked of a clip that has frames 0 to {self.n_frames}"
            )
        return Clip(self.video[:, start : start + n_frames], self.fps)

    @classmethod
    def from_uint8(cls, frames: np.ndarray, fps: Fraction) -> Self:
        """From ``(T, H, W, C)`` uint8: 0 becomes -1 and 255 becomes 1."""
        if frames.dtype != np.uint8:
            raise InputError(f"frames are a (T,H,W,C) uint8 array; this is {frames.shape} {frames.dtype}")
        return cls.from_levels(frames, fps)

    @classmethod
    def from_levels(cls, frames: np.ndarray, fps: Fraction) -> Self:
        """From ``(T, H, W, C)`` uint8 or uint16: 0 becomes -1 and the type's largest level, 255 or 65535, becomes 1."""
        if frames.ndim != 4 or frames.dtype not in (np.uint8, np.uint16):
            raise InputError(f"frames are a (T,H,W,C) uint8 or uint16 array; this is {frames.shape} {frames.dtype}")
        video = torch.from_numpy(np.ascontiguousarray(frames.transpose(3, 0, 1, 2))).to(torch.float32)
        return cls(video.div_(np.iinfo(frames.dtype).max / 2).sub_(1.0).clamp_(-1.0, 1.0), fps)

    def to_uint8(self) -> np.ndarray:
        """``(T, H, W, C)`` uint8, the exact inverse of :meth:`from_uint8`."""
        return frames_to_uint8(self.video)


def frames_to_uint8(video: Tensor) -> np.ndarray:
    """``(C, T, H, W)`` in [-1, 1] to ``(T, H, W, C)`` uint8, rounding to the nearest level."""
    levels = video.detach().cpu().add(1.0).mul_(127.5).round_().clamp_(0.0, 255.0).to(torch.uint8)
    return np.ascontiguousarray(levels.permute(1, 2, 3, 0).numpy())


def concatenate(chunks: Iterable[Clip]) -> Clip:
    """Clips of one size and rate, end to end."""
    parts = list(chunks)
    return Clip(torch.cat([part.video for part in parts], dim=1), parts[0].fps)
