"""Sketches: lines one pixel wide. A model is trained with the edges of clips, and sampled with a drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from dyntex.clip import Clip
from dyntex.conditions.volume import Shape
from dyntex.errors import InputError

SMOOTHING = 1 / 64
"""Standard deviation of the Gaussian before the gradient, as a share of the frame's shorter side; 1 pixel at least."""
STRONG = 0.9
"""Quantile of the clip's gradients that begins an edge; half of it continues one."""
FAINT = 2 / 255
"""Change of brightness a pixel, of black to white, below which noise and compression would be drawn."""
INK = 1 / 8
"""Least difference of a line from the background, as a share of the largest possible."""

LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709


@dataclass(frozen=True)
class Sketches:
    """Drawings as conditions: the proximity of the lines, at K = ``len(scales)`` scales.

    A line one pixel wide is 0 at most of the pixels that it is to influence, and almost vanishes in a layer that
    averages it to a coarse grid.

    Attributes:
        scales: standard deviations, in pixels, of the Gaussians by which the lines are blurred in space.
    """

    kind: Literal["sketch"] = "sketch"
    scales: tuple[float, ...] = (1.0, 2.0, 4.0)

    @property
    def channels(self) -> int:
        return len(self.scales)

    def proximity(self, lines: Tensor) -> Tensor:
        """How near lines (N, 1, T, H, W) are, (N, K, T, H, W): about 1 on a long straight line, 0 far from all."""
        blurred = [
            # A line of unit width blurred by a Gaussian stands 1/(sigma sqrt(2 pi)) high.
            math.sqrt(2.0 * math.pi) * scale * ndimage.gaussian_filter(lines.numpy(), (0, 0, 0, scale, scale))
            for scale in self.scales
        ]
        return torch.from_numpy(np.concatenate(blurred, axis=1)).float()

    def volume(self, drawing: Clip, shape: Shape, *, name: str = "the sketch") -> Tensor:
        """The condition channels of a drawing, (1, K, T, H, W); see :func:`lines`."""
        return self.proximity(lines(drawing, name=name, shape=shape)).expand(-1, -1, shape[0], -1, -1)


def lines(drawing: Clip, shape: Shape, *, name: str = "the sketch") -> Tensor:
    """The lines of a drawing, thinned to a pixel: (1, 1, T, H, W), 1 on them and 0 elsewhere, where T may be 1.

    The background is the drawing's most common colour (the median of each channel, alpha among them), so that dark
    lines on white, light lines on black and coloured lines on transparency are all read; a line is what differs from
    it by more than half of the largest difference. A filled area is thinned too: draw its outline.

    Args:
        drawing: one still, or a frame for each of T.
        shape: (T, H, W) of what the model is to make.
        name: of the drawing, for messages.

    Raises:
        InputError: the drawing is of another size or length, or blank.
    """
    T, H, W = shape
    if (drawing.height, drawing.width) != (H, W):
        raise InputError(
            f"{name} has {drawing.width}x{drawing.height} pixels and the model makes {W}x{H}: "
            f"scale the drawing to {W}x{H}"
        )
    if drawing.n_frames not in (1, T):
        raise InputError(
            f"{name} has {drawing.n_frames} frames and {T} were asked for: give one still drawing, or {T} frames"
        )
    paper = drawing.video.flatten(1).median(1).values.view(-1, 1, 1, 1)
    ink = (drawing.video - paper).abs().amax(0)  # (T, H, W), 2 from black to white
    darkest = float(ink.max())
    if darkest < 2.0 * INK:
        raise InputError(f"{name} is blank: draw lines that differ from the background")
    return _thinned((ink > darkest / 2.0).numpy())


def edges(clip: Clip) -> Tensor:
    """The edges of a clip as a sketch, (1, 1, T, H, W): 1 on the edges, which are a pixel wide, 0 elsewhere.

    Edges of brightness by Canny's rule ("A computational approach to edge detection", 1986): ridges of the gradient of
    the smoothed frame that somewhere exceed one threshold and everywhere another. Both are the clip's own and the same
    for all of its frames, so that what stands still is drawn alike in each, however the rest of the frame changes.
    The row of pixels along the border has no ridge and no edge.
    """
    weights = torch.tensor(LUMA if clip.channels >= 3 else (1.0,))
    luma = torch.einsum("c,cthw->thw", weights, clip.video[: len(weights)]).double().add(1.0).div(2.0).numpy()
    sigma = max(1.0, SMOOTHING * min(clip.height, clip.width))
    smooth = [ndimage.gaussian_filter(frame, sigma, mode="nearest") for frame in luma]
    # As Canny's code measures it: Sobel's filter adds up 8 differences.
    steepness = [np.hypot(ndimage.sobel(frame, axis=0), ndimage.sobel(frame, axis=1)) for frame in smooth]
    high = max(float(np.quantile(steepness, STRONG)), 8.0 * FAINT)
    return _thinned(np.stack([_canny(frame, high / 2.0, high) for frame in smooth]))


def _canny(frame: NDArray[np.float64], low: float, high: float) -> NDArray[np.bool_]:
    from skimage.feature import canny  # here and below: half a second that only sketches should cost

    found: NDArray[np.bool_] = canny(frame, sigma=0.0, low_threshold=low, high_threshold=high, mode="nearest")
    return found


def _thinned(lines: NDArray[np.bool_]) -> Tensor:
    """(T, H, W), bool -> (1, 1, T, H, W), float32: the skeleton of each frame (Zhang and Suen, 1984)."""
    from skimage.morphology import skeletonize

    thin = np.stack([skeletonize(frame) for frame in lines])
    return torch.from_numpy(thin)[None, None].float()
