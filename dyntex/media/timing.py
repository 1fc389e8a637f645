"""From presentation times to a constant frame rate.

A clip has one rate, files have a time for every frame. Where those times are a uniform grid, up to the rounding of
the container's clock and the jitter of a camera's, frames pass through one to one; else they are resampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np

from dyntex.media.footage import DEFAULT_FPS

Frame = TypeVar("Frame")

# Rates that a rounded clock cannot express and that are meant where it comes close; whole ones are tried first.
WHOLE = tuple(Fraction(rate) for rate in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 100, 120))
NTSC = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 60, 120))


@dataclass(frozen=True)
class Timing:
    """The constant rate of a source, and whether its frames already have it.

    Attributes:
        fps: frames per second.
        uniform: frame k is shown at k / fps after the first, to within half an interval.
    """

    fps: Fraction
    uniform: bool


def measure(ticks: Sequence[int], *, tick: Fraction, stated: Sequence[Fraction | None] = ()) -> Timing:
    """The rate at which frames at these times are shown.

    Args:
        ticks: presentation times, in any order, in units of ``tick``.
        tick: seconds.
        stated: rates that the file claims, the most trusted first; taken where the times agree with them.

    The rate of an irregular source is that of its ordinary intervals, so that a dropped frame leaves a repeated
    frame and no other trace, but at most twice the average: a burst must not set the pace of a slow clip.
    """
    claims = [rate for rate in stated if rate]
    times = np.unique(np.asarray(ticks, dtype=np.int64))
    if len(times) < 2:
        return Timing(claims[0] if claims else DEFAULT_FPS, uniform=True)
    gaps = np.diff(times)
    typical = float(np.median(gaps))
    ordinary = gaps[(gaps > typical / 2) & (gaps < typical * 1.5)]
    interval = Fraction(int(ordinary.sum()), len(ordinary)) if len(ordinary) else Fraction(typical)
    drift = float(np.abs(times - times[0] - np.arange(len(times)) * float(interval)).max())
    uniform = drift < interval / 2

    # Within an unbroken run the errors of its times cancel, but for those of its two ends.
    jitter = max(1.0, float(np.abs(ordinary - float(interval)).max(initial=0.0)))
    runs = 1 + len(gaps) - len(ordinary)
    slack = Fraction(jitter) * runs / max(1, len(ordinary))
    fps = _meant(interval * tick, slack * tick, claims, exact=jitter == 1.0 and len(set(ordinary.tolist())) == 1)
    if not uniform:
        span = Fraction(int(times[-1] - times[0])) * tick
        fps = min(fps, 2 * (len(times) - 1) / span)
    return Timing(fps, uniform)


def _meant(interval: Fraction, slack: Fraction, claims: Sequence[Fraction], *, exact: bool) -> Fraction:
    """The rate whose interval was measured, in seconds, to within ``slack``."""

    def error(rate: Fraction) -> Fraction:
        return abs(1 / rate - interval)

    measured = [1 / interval] if exact else []
    for rate in (*claims, *measured, *sorted(WHOLE, key=error), *sorted(NTSC, key=error)):
        if error(rate) <= slack:
            return rate
    return (1 / interval).limit_denominator(1001)


def resample(frames: Iterable[tuple[int, Frame]], fps: Fraction, *, tick: Fraction) -> Iterator[Frame]:
    """Frames in order of presentation to a constant rate, by holding each until the next is due.

    Output k is the last frame shown at or before k / fps after the first one. Times jitter, so a frame that is late
    by less than a quarter of an interval counts as on time; without that, jitter would repeat one and skip the next.
    """
    step = 1 / (fps * tick)
    late = max(Fraction(1), step / 4)
    k = 0
    origin: int | None = None
    for (time, frame), due in _with_next(frames, last_for=step):
        origin = time if origin is None else origin
        while origin + k * step < due - late:
            yield frame
            k += 1


def _with_next(
    frames: Iterable[tuple[int, Frame]], *, last_for: Fraction
) -> Iterator[tuple[tuple[int, Frame], Fraction]]:
    """Each timed frame with the time of the next; the last is shown for ``last_for``."""
    held: tuple[int, Frame] | None = None
    for item in frames:
        if held is not None:
            yield held, Fraction(item[0])
        held = item
    if held is not None:
        yield held, held[0] + last_for
