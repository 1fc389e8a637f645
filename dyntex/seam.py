"""How well a clip's end leads into its beginning: the step across the seam, among the steps of a real clip.

Along time the step from frame t to the next is the root mean square of y_{t+1} - y_t, and the acceleration that of
y_{t+1} - 2 y_t + y_{t-1}. A loop's seam, from the last frame to the first, has one step and two accelerations that
straddle it. They are judged by their place among all the steps, and all the pairs of consecutive accelerations, of the
clip that the texture was learnt from: at the 50th percentile the seam is the most ordinary place there is, above the
95th it is a jump, below the 5th a halt. Along the rows and columns of a frame the same is said of a tile.

One place drawn at random from a real clip lies between the 5th and the 95th percentile nine times in ten.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dyntex.clip import Clip
from dyntex.errors import InputError

AXES = {"t": 1, "y": 2, "x": 3}
"""The axes of a clip's (C, T, H, W) along which its end can lead into its beginning."""
ORDINARY = (5.0, 95.0)
"""Percentiles between which a seam is like other places."""


@dataclass(frozen=True)
class Seam:
    """One seam, measured.

    Attributes:
        axis: t, y or x.
        step: across the seam, root mean square in units of [-1, 1].
        acceleration: across the seam, likewise; the mean of the two that straddle it.
        step_percentile, acceleration_percentile: where these lie among the reference clip's own, 0 to 100.
        own_step_percentile, own_acceleration_percentile: where they lie among the other places of the result itself.
    """

    axis: str
    step: float
    acceleration: float
    step_percentile: float
    acceleration_percentile: float
    own_step_percentile: float
    own_acceleration_percentile: float

    @property
    def is_ordinary(self) -> bool:
        """Whether both lie between the reference's 5th and 95th percentile."""
        low, high = ORDINARY
        return all(low <= p <= high for p in (self.step_percentile, self.acceleration_percentile))


def seam(clip: Clip, reference: Clip, *, axis: str = "t") -> Seam:
    """Measure the seam of a clip.

    Args:
        clip: at least 3 frames (rows, columns) along the axis.
        reference: the real clip, at least 4 along the axis; of any length and size.
        axis: one of ``AXES``.

    Raises:
        InputError: one of them is too short.
    """
    for what, least in ((clip, 3), (reference, 4)):
        if what.video.shape[AXES[axis]] < least:
            raise InputError(
                f"a seam along {axis} needs at least {least} places and the clip has {what.video.shape[AXES[axis]]}"
            )
    steps, accelerations = around(clip, axis=axis)
    real_steps, real_accelerations = along(reference, axis=axis)
    step, acceleration = float(steps[-1]), float(accelerations[-1])
    return Seam(
        axis,
        step,
        acceleration,
        percentile(step, real_steps),
        percentile(acceleration, real_accelerations),
        percentile(step, steps[:-1]),
        percentile(acceleration, accelerations[:-1]),
    )


def along(clip: Clip, *, axis: str = "t") -> tuple[Tensor, Tensor]:
    """The N-1 steps of N places, and the N-3 accelerations that surround those steps which have two of them."""
    y = clip.video.movedim(AXES[axis], 0)
    return _rms(y.diff(dim=0)), _pairs(_rms(y.diff(n=2, dim=0)))


def around(clip: Clip, *, axis: str = "t") -> tuple[Tensor, Tensor]:
    """The N steps and N accelerations of a clip taken as a circle of N places; the last of each is the seam's."""
    y = clip.video.movedim(AXES[axis], 0)
    step = y.roll(-1, 0) - y
    bend = _rms(step - step.roll(1, 0))  # at each place, between the steps that end and begin there
    return _rms(step), (bend + bend.roll(-1, 0)) / 2


def percentile(value: float, among: Tensor) -> float:
    """The share of ``among`` below ``value``, in percent; those equal to it count half."""
    below, equal = (among < value).sum(), (among == value).sum()
    return float(100.0 * (below + 0.5 * equal) / len(among))


def _rms(y: Tensor) -> Tensor:
    return y.flatten(1).square().mean(dim=1).sqrt()


def _pairs(bends: Tensor) -> Tensor:
    return (bends[1:] + bends[:-1]) / 2
