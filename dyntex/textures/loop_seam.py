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
        step_percentile, acceleration_percentile: where these lie among the reference clip's own, 0 to 100; None where
            there was no clip to refer to.
        own_step_percentile, own_acceleration_percentile: where they lie among the other places of the result itself.
    """

    axis: str
    step: float
    acceleration: float
    step_percentile: float | None
    acceleration_percentile: float | None
    own_step_percentile: float
    own_acceleration_percentile: float

    @property
    def is_ordinary(self) -> bool:
        """Whether both lie between the 5th and the 95th percentile: the reference's, or else the result's own."""
        if self.step_percentile is None or self.acceleration_percentile is None:
            return self.is_like_its_own
        return _within(self.step_percentile, self.acceleration_percentile)

    @property
    def is_like_its_own(self) -> bool:
        """The same among the result's other places: false is a seam that one sees, however the result moves."""
        return _within(self.own_step_percentile, self.own_acceleration_percentile)


def seam(clip: Clip, reference: Clip | None, *, axis: str = "t") -> Seam:
    """Measure the seam of a clip.

    Args:
        clip: at least 3 frames (rows, columns) along the axis.
        reference: the real clip, at least 4 along the axis, of any length and size; None where it is not at hand.
        axis: one of ``AXES``.

    Raises:
        InputError: one of them is too short.
    """
    _check(clip, 3, axis)
    steps, accelerations = around(clip, axis=axis)
    step, acceleration = float(steps[-1]), float(accelerations[-1])
    own = percentile(step, steps[:-1]), percentile(acceleration, accelerations[:-1])
    if reference is None:
        return Seam(axis, step, acceleration, None, None, *own)
    _check(reference, 4, axis)
    real_steps, real_accelerations = along(reference, axis=axis)
    real = percentile(step, real_steps), percentile(acceleration, real_accelerations)
    return Seam(axis, step, acceleration, *real, *own)


def along(clip: Clip, *, axis: str = "t") -> tuple[Tensor, Tensor]:
    """The N-1 steps of N places, and the N-3 accelerations that surround those steps which have two of them."""
    y = clip.video.movedim(AXES[axis], 0)
    return _rms(y.diff(dim=0)), _pairs(_rms(y.diff(n=2, dim=0)))


def around(clip: Clip, *, axis: str = "t") -> tuple[Tensor, Tensor]:
    """The N steps and N accelerations of a clip taken as a circle of N places; the last of each is the seam's."""
    y = clip.video.movedim(AXES[axis], 0)
    step = y.roll(-1, 0) - y
    acceleration = _rms(step - step.roll(1, 0))  # at each place, between the steps that end and begin there
    return _rms(step), (acceleration + acceleration.roll(-1, 0)) / 2


def percentile(value: float, among: Tensor) -> float:
    """The share of ``among`` below ``value``, in percent; those equal to it count half."""
    below, equal = (among < value).sum(), (among == value).sum()
    return float(100.0 * (below + 0.5 * equal) / len(among))


def _within(*percentiles: float) -> bool:
    return all(ORDINARY[0] <= p <= ORDINARY[1] for p in percentiles)


def _rms(y: Tensor) -> Tensor:
    return y.flatten(1).square().mean(dim=1).sqrt()


def _pairs(accelerations: Tensor) -> Tensor:
    return (accelerations[1:] + accelerations[:-1]) / 2


def _check(clip: Clip, least: int, axis: str) -> None:
    places = clip.video.shape[AXES[axis]]
    if places < least:
        raise InputError(f"a seam along {axis} needs at least {least} places and the clip has {places}")
