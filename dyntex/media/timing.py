"""From presentation times to a constant frame rate.

A clip has one rate, files have a time for every frame. Where those times are a uniform grid, up to the rounding of
the container's clock and the jitter of a camera's, frames pass through one to one; else they are resampled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dyntex.media.footage import DEFAULT_FPS, Notice

Frame = TypeVar("Frame")
Gaps = npt.NDArray[np.int64]

PAUSE = 8  # intervals; shorter gaps are frames that were dropped, for which the one before is held
ALIKE = 1.6  # telecine's gaps of 2 and 3 fields, in a rounded clock
FASTEST = 300  # frames a second
SAME = 0.15  # the share by which gaps that are meant to be the same differ, in a rounded clock
LONGEST_PATTERN = 25  # gaps: one frame in 25 was left out

# Rates that a rounded clock cannot express and that are meant where it comes close; whole ones are tried first.
WHOLE = tuple(Fraction(rate) for rate in (10, 12, 15, 20, 24, 25, 30, 48, 50, 60, 100, 120))
NTSC = tuple(Fraction(rate * 1000, 1001) for rate in (24, 30, 60, 120))


@dataclass(frozen=True)
class Timing:
    """The constant rate of a source, and whether its frames already have it.

    Attributes:
        fps: frames per second.
        uniform: frame k is shown at k / fps after the first, to within half an interval, but for pauses.
        pauses: how many gaps are longer than ``PAUSE`` intervals; they are left out.
        paused: seconds of the longest.
    """

    fps: Fraction
    uniform: bool
    pauses: int = 0
    paused: float = 0.0


def measure(ticks: Sequence[int], *, tick: Fraction, stated: Sequence[Fraction | None] = ()) -> Timing:
    """The rate at which frames at these times are shown.

    Args:
        ticks: presentation times, in any order, in units of ``tick``.
        tick: seconds.
        stated: rates that the file claims, the most trusted first; taken where the times agree with them.

    The most usual gap decides, not the span: a pause is no slower rate, a dropped frame leaves a repeated frame and no
    other trace. Gaps that alternate by a pattern, as those of telecine do, are of one rate.
    """
    claims = [rate for rate in stated if rate]
    times = np.unique(np.asarray(ticks, dtype=np.int64))
    if len(times) < 2:
        return Timing(claims[0] if claims else DEFAULT_FPS, uniform=True)
    gaps = np.diff(times)
    ordinary = _ordinary(gaps, tick)
    interval = Fraction(int(ordinary.sum()), len(ordinary))
    long = gaps > PAUSE * float(interval)
    pauses, paused = int(long.sum()), float(gaps[long].max(initial=0) * tick)
    # Beside a pause a writer's times are often unsettled: the gap after it counts with it.
    left_out = long | (np.concatenate([[False], long[:-1]]) & (gaps > 1.5 * float(interval)))
    shown = np.where(left_out, float(interval), gaps)
    uniform = _drift(shown, float(interval)) < interval / 2
    if not uniform and (pattern := _pattern(gaps[~left_out])) is not None:
        fps = _meant(pattern * tick, tick, claims, exact=False)
        return Timing(fps, True, pauses, paused)

    # Within an unbroken run the errors of its times cancel, but for those of its two ends.
    jitter = max(1.0, float(np.abs(ordinary - float(interval)).max(initial=0.0)))
    runs = 1 + len(gaps) - len(ordinary)
    slack = Fraction(jitter) * runs / max(1, len(ordinary))
    fps = _meant(interval * tick, slack * tick, claims, exact=jitter == 1.0 and len(set(ordinary.tolist())) == 1)
    return Timing(fps, uniform, pauses, paused)


def say_timing(timing: Timing, notice: Notice) -> None:
    """What is done about times that are not those of a constant rate."""
    if timing.pauses:
        longest = (
            f"{timing.paused:.3g} s" if timing.pauses == 1 else f"{timing.pauses}, the longest of {timing.paused:.3g} s"
        )
        notice(f"the file pauses ({longest}), which is left out: frames are {float(timing.fps):.4g} per second")
    if not timing.uniform:
        notice(f"the frame rate varies; frames were resampled to a constant {float(timing.fps):.4g} per second")


def _ordinary(gaps: Gaps, tick: Fraction) -> Gaps:
    """The gaps near the most usual length, the mean of as many as possible of which none is ``ALIKE`` times another.

    Gaps of more than ``FASTEST`` frames a second are those of a burst, unless nearly all are.
    """
    slow = gaps[gaps.astype(float) * float(tick) >= 1 / FASTEST]
    ordered = np.sort(slow if len(slow) > len(gaps) / 10 else gaps)
    ends = np.searchsorted(ordered, ordered * ALIKE, side="right")
    begin = int((ends - np.arange(len(ordered))).argmax())
    usual = float(ordered[begin : ends[begin]].mean())
    return gaps[(gaps > usual / 2) & (gaps < usual * 1.5)]


def _drift(gaps: npt.NDArray[np.floating[Any]], interval: float) -> float:
    """By how much, at most, times miss a uniform grid."""
    times = np.concatenate([[0.0], np.cumsum(gaps)])
    return float(np.abs(times - np.arange(len(times)) * interval).max())


def _pattern(gaps: Gaps) -> Fraction | None:
    """The mean gap of a pattern that repeats: 1 1 1 2 is 24 frames a second in the times of 30. None for no pattern."""
    if (np.abs(gaps - np.median(gaps)) <= SAME * np.median(gaps)).mean() > 1 - 1 / (LONGEST_PATTERN + 1):
        return None  # a gap that is another by chance
    for length in range(2, min(LONGEST_PATTERN, len(gaps) // 3) + 1):
        same = np.abs(gaps[length:] - gaps[:-length]) <= SAME * gaps[length:]
        if same.mean() < 0.95:
            continue
        whole = gaps[: len(gaps) // length * length]
        interval = Fraction(int(whole.sum()), len(whole))
        if _drift(gaps.astype(float), float(interval)) < interval:
            return interval
    return None


def _meant(interval: Fraction, slack: Fraction, claims: Sequence[Fraction], *, exact: bool) -> Fraction:
    """The rate whose interval was measured, in seconds, to within ``slack``."""

    def error(rate: Fraction) -> Fraction:
        return abs(1 / rate - interval)

    measured = [rate for rate in (*WHOLE, *NTSC) if not error(rate)] + [1 / interval] * exact
    for rate in (*claims, *measured, *sorted(WHOLE, key=error), *sorted(NTSC, key=error)):
        if error(rate) <= slack:
            return rate
    return (1 / interval).limit_denominator(1001)


def steady(frames: Iterable[tuple[int, Frame]], fps: Fraction, *, tick: Fraction) -> Iterator[tuple[int, Frame]]:
    """Frames in order of presentation with times that go on: a pause, a jump back or a damaged time is one interval.

    Their clock may start anew, where files were joined, or wrap around.
    """
    step = 1 / (fps * tick)
    shift = Fraction(0)
    before: int | None = None
    paused = False
    for time, frame in frames:
        if before is not None:
            gap = time - before
            unsettled = paused and gap > 1.5 * step
            paused = not 0 < gap <= PAUSE * step
            if paused or unsettled:
                shift += step - gap
        before = time
        yield round(time + shift), frame


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
