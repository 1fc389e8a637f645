"""What kind of texture a clip is: the same everywhere in the frame, or not; a loop already, or not.

Both are said from the clip's own statistics, with the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip
from dyntex.errors import InputError

PARTS = 4
"""The frame is compared in 4x4 parts."""
OUTLYING = 1 / 8
"""At either end this share of the parts may differ as it likes: the sun's glitter in a corner of a sea."""
LIKE_CONTRAST = 3.5
"""Parts whose motion, swing or detail differ by less than this factor count as alike."""
LIKE_BRIGHTNESS = 1.5
"""Likewise, of their mean brightness, in standard deviations of the clip."""
LEVEL = 2 / 255
"""Half a grey level: amplitudes below it are rounding."""

LIKE_STEP = 1.15
"""A step that is so many times its neighbours is nothing that anyone sees."""
BY_CHANCE = 0.1
"""A clip loops only if at most this share of its other cuts would pass for its seam."""


@dataclass(frozen=True)
class Spatial:
    """How far the parts of the frame differ, the outlying ones at either end left out.

    Attributes:
        motion: the largest part's frame-to-frame change over the smallest part's (root mean squares).
        swing: likewise, of the standard deviation over time.
        detail: likewise, of the pixel-to-pixel differences within a frame.
        brightness: largest less smallest mean, in standard deviations of the clip over space and time.
    """

    motion: float
    swing: float
    detail: float
    brightness: float

    @property
    def is_stationary(self) -> bool:
        """Whether the texture is of one kind all over the frame, so that it could be continued beyond it."""
        return max(self.motion, self.swing, self.detail) <= LIKE_CONTRAST and self.brightness <= LIKE_BRIGHTNESS


def spatial(clip: Clip) -> Spatial:
    """Compare the parts of a clip's frame.

    The thresholds were set between thirteen real clips, at 64x64: straw, a sea and a crowd, which one would continue
    beyond the frame, have contrasts up to 2.2, 3.3 and 1.6; boats, fires, falls, kettles and traffic from 4.2 on. A
    camera that pans over a scene shows all parts alike, too (1.9): this is about the frame and not about time.

    Raises:
        InputError: the clip has fewer than 2 frames or 8 pixels a side.
    """
    y = clip.video
    if clip.n_frames < 2 or min(clip.height, clip.width) < 2 * PARTS:
        raise InputError(
            f"parts of a frame are compared in clips of 2 frames and {2 * PARTS}x{2 * PARTS} pixels or more; "
            f"this one has {clip.n_frames} of {clip.width}x{clip.height}"
        )
    across, down = y.diff(dim=3).square(), y.diff(dim=2).square()
    means = _by_part(y.mean(1))
    deviation = float(y.std(correction=0))
    return Spatial(
        motion=_contrast(_by_part(y.diff(dim=1).square().mean(1))),
        swing=_contrast(_by_part(y.var(1, correction=0))),
        detail=_contrast(_by_part(across.mean(1)) + _by_part(down.mean(1))),
        brightness=_range(means) / deviation if deviation > 0 else 0.0,
    )


def already_loops(clip: Clip) -> bool:
    """Whether a clip's last frame leads into its first as its own frames lead into one another, and not by chance.

    The step across the seam is divided by the mean of the two beside it, which makes it blind to how lively the clip
    is there, and must not exceed the 95th percentile of this ratio along the clip (or 1.15). Nor may cuts from any
    frame back to any earlier one pass this test in more than one of ten cases: in a fire that forgets within a frame
    every cut is as good as a seam, and whether it loops cannot be decided.
    """
    if clip.n_frames < 8:
        return False
    frames = clip.video.transpose(0, 1).flatten(1).double()
    frames = frames - frames.mean(dim=0)
    jumps = torch.cdist(frames, frames)
    step = jumps.diagonal(1).clamp_min(LEVEL * frames.shape[1] ** 0.5 / 100)  # stills divide by something
    limit = max(LIKE_STEP, float((step[1:-1] / ((step[:-2] + step[2:]) / 2)).quantile(0.95)))
    if float(jumps[-1, 0] / ((step[-1] + step[0]) / 2)) > limit:
        return False
    last, first = torch.tril_indices(clip.n_frames, clip.n_frames, offset=-2)
    inside = (first > 0) & (last < clip.n_frames - 1)
    last, first = last[inside], first[inside]
    cuts = jumps[last, first] / ((step[last - 1] + step[first]) / 2)
    return float((cuts <= limit).double().mean()) <= BY_CHANCE


def _by_part(picture: Tensor) -> Tensor:
    """``(C, H, W)`` -> the 16 parts' means, over colours as well."""
    return F.adaptive_avg_pool2d(picture, PARTS).mean(0).flatten()


def _contrast(power: Tensor) -> float:
    """The ratio of the largest amplitude to the smallest, from mean squares."""
    return float(2.0 ** _range(power.sqrt().clamp_min(LEVEL).log2()))


def _range(values: Tensor) -> float:
    low, high = values.quantile(torch.tensor([OUTLYING, 1 - OUTLYING]))
    return float(high - low)
