"""From numbers to pictures: palettes, hues, and resampling to the size asked for."""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np

from dyntex.examples.example import Array, Size


def turn_hue(rgb: tuple[float, float, float], turn: float) -> Array:
    """An RGB colour in [0, 1] with its hue turned by ``turn`` of the colour wheel; 0 leaves it as it is."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*rgb)
    return np.array(colorsys.hls_to_rgb((hue + turn) % 1.0, lightness, saturation))


def turn_step(rgb: tuple[float, float, float], step: tuple[float, float, float], turn: float) -> Array:
    """What the step from ``rgb`` to ``rgb + step`` becomes when both colours are turned."""
    r, g, b = (c + d for c, d in zip(rgb, step, strict=True))
    return turn_hue((r, g, b), turn) - turn_hue(rgb, turn)


def gradient(value: Array, stops: list[tuple[float, Array]]) -> Array:
    """``(...)`` to ``(..., 3)``: colours interpolated linearly between ``(value, colour)`` stops, constant beyond."""
    at = [position for position, _ in stops]
    return np.stack([np.interp(value, at, [colour[c] for _, colour in stops]) for c in range(3)], axis=-1)


def resample(frame: Array, size: Size) -> Array:
    """``(h, w, 3)`` to ``(H, W, 3)``: linear interpolation where it grows, its antialiased twin where it shrinks."""
    rows, columns = _weights(frame.shape[0], size.height), _weights(frame.shape[1], size.width)
    return np.asarray(np.einsum("Hh,hwc,Ww->HWc", rows, frame, columns, optimize=True))


@lru_cache(maxsize=32)
def _weights(n_in: int, n_out: int) -> Array:
    """``(n_out, n_in)``, rows that sum to one: a triangle as wide as the coarser of the two pixels."""
    ratio = n_in / n_out
    centre = (np.arange(n_out) + 0.5) * ratio - 0.5
    reach = max(1.0, ratio)
    distance = abs(np.clip(centre, 0, n_in - 1)[:, None] - np.arange(n_in)[None, :])
    weights = np.maximum(0.0, 1.0 - distance / reach)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
