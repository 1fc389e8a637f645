"""Makers of the small files that the media tests read: everything is generated, nothing is stored."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image

from dyntex.media import read_clip

RED = (200, 40, 30)  # a saturated colour: BT.601 and BT.709 disagree on it by 13 levels
QUADRANTS = np.zeros((16, 24, 3), np.uint8)  # red, green over blue, white
QUADRANTS[:8, :12], QUADRANTS[:8, 12:] = (255, 0, 0), (0, 255, 0)
QUADRANTS[8:, :12], QUADRANTS[8:, 12:] = (0, 0, 255), (255, 255, 255)
KR_KB = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722)}  # ITU-R BT.601 and BT.709, luma of red and of blue


def noise(n_frames: int = 6, height: int = 20, width: int = 28, *, seed: int = 0) -> np.ndarray:
    """(T, H, W, 3) uint8 that no lossy step, shift or reordering leaves as it is."""
    return np.random.default_rng(seed).integers(0, 256, (n_frames, height, width, 3), dtype=np.uint8)


def levels(n_frames: int, *, height: int = 16, width: int = 16, step: int = 1) -> np.ndarray:
    """Flat grey frames whose level tells which frame it is: frame k is k * step everywhere."""
    return np.broadcast_to(
        (np.arange(n_frames) * step).astype(np.uint8)[:, None, None, None], (n_frames, height, width, 3)
    )


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    codec: str = "ffv1",
    pixels: str = "bgr0",
    source: str = "rgb24",
    fps: Fraction | int = 25,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    options: Mapping[str, str] | None = None,
    muxing: Mapping[str, str] | None = None,
    prepare: Callable[[av.video.stream.VideoStream], None] = lambda stream: None,
) -> Path:
    """A video by PyAV alone. ``times`` are presentation times in units of ``time_base`` (one frame each by default)."""
    time_base = time_base or 1 / Fraction(fps)
    with av.open(str(path), "w", options=dict(muxing or {})) as container:
        stream = container.add_stream(codec, rate=fps, options=dict(options or {}))
        first = av.VideoFrame.from_ndarray(np.ascontiguousarray(frames[0]), format=source)
        stream.width, stream.height, stream.pix_fmt = first.width, first.height, pixels
        stream.codec_context.time_base = time_base
        prepare(stream)
        for i, array in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format=source)
            frame.pts, frame.time_base = i if times is None else times[i], time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def to_yuv(rgb: Sequence[float], *, matrix: str, full: bool, bits: int = 8) -> tuple[float, float, float]:
    """One colour by the formulas of ITU-R BT.601/709, in floating point: Y, Cb, Cr as an encoder would round them."""
    kr, kb = KR_KB[matrix]
    r, g, b = (value / 255 for value in rgb)
    y = kr * r + (1 - kr - kb) * g + kb * b
    cb, cr = (b - y) / (2 * (1 - kb)), (r - y) / (2 * (1 - kr))
    unit = 2 ** (bits - 8)
    if full:
        top = 2**bits - 1
        return top * y, 128 * unit + top * cb, 128 * unit + top * cr
    return unit * (16 + 219 * y), unit * (128 + 224 * cb), unit * (128 + 224 * cr)


def yuv420(
    colour: Sequence[float], *, matrix: str, full: bool, height: int = 48, width: int = 64, bits: int = 8
) -> np.ndarray:
    """A flat picture of one colour, as PyAV's array of planes (H * 3/2, W)."""
    y, cb, cr = (round(value) for value in to_yuv(colour, matrix=matrix, full=full, bits=bits))
    planes = np.empty((height * 3 // 2, width), np.uint8 if bits == 8 else np.uint16)
    planes[:height] = y
    planes[height : height * 5 // 4] = cb
    planes[height * 5 // 4 :] = cr
    return planes


def notices(source: Path, **options: Any) -> tuple[np.ndarray, list[str]]:
    """Frames as (T, H, W, C) levels of 255, and what was said."""
    said: list[str] = []
    clip = read_clip(source, notice=said.append, **options)
    return (clip.video.permute(1, 2, 3, 0).numpy() + 1) * 127.5, said


def encoded(frame: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(frame).save(buffer, kind)
    return buffer.getvalue()
