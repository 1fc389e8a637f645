"""Presentation times to a constant rate, against rates that are known and a brute-force resampler."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from dyntex.media.timing import measure, resample, steady

MS = Fraction(1, 1000)
NTSC = Fraction(30000, 1001)


def rounded(fps: Fraction, n: int, tick: Fraction) -> list[int]:
    return [round(k / fps / tick) for k in range(n)]


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(25), Fraction(30), Fraction(24000, 1001), NTSC, Fraction(60)])
@pytest.mark.parametrize("n", [3, 12, 5000])
def test_stated_rate_survives_a_clock_of_milliseconds(fps: Fraction, n: int) -> None:
    timing = measure(rounded(fps, n, MS), tick=MS, stated=(fps,))
    assert timing.uniform
    assert timing.fps == fps


def test_stated_rate_is_finer_than_one_interval() -> None:
    assert measure([0, 33], tick=MS, stated=(NTSC,)).fps == NTSC  # not 1000/33


def test_unstated_rate_is_found_behind_a_rounded_clock() -> None:
    # Hundredths of a second, as in a GIF: 30 frames a second come as intervals of 3, 3 and 4.
    tick = Fraction(1, 100)
    assert measure(rounded(Fraction(30), 12, tick), tick=tick).fps == 30
    assert measure([0, 3, 6, 9, 12, 15], tick=tick).fps == Fraction(100, 3)  # equal intervals are believed
    assert measure([0, 4, 8, 12], tick=tick).fps == 25
    assert measure(rounded(Fraction(24), 48, tick), tick=tick).fps == 24


def test_stated_rate_is_overruled_by_the_times() -> None:
    # 64 frames at 30 in 1/15360 s; 29.98 is off by 20 ticks at the last of them.
    ticks = [512 * k for k in range(64)]
    assert measure(ticks, tick=Fraction(1, 15360), stated=(Fraction(2998, 100), None)).fps == 30


def test_jitter_of_a_third_of_an_interval_is_uniform() -> None:
    gen = np.random.default_rng(0)
    ticks = [round(k * 1000 / 30 + gen.uniform(-5, 5)) for k in range(100)]  # intervals vary by up to 10 of 33 ms
    timing = measure(ticks, tick=MS, stated=(Fraction(30),))
    assert timing.uniform
    assert timing.fps == 30


def test_one_dropped_frame_is_not_uniform_and_keeps_the_nominal_rate() -> None:
    ticks = [40 * k for k in range(200) if k != 100]
    timing = measure(ticks, tick=MS)
    assert not timing.uniform
    assert timing.fps == 25  # the average is 24.87


def test_slow_change_of_rate_is_not_uniform() -> None:
    # No interval is 1.5 times the median, yet after 60 frames at 24 and 60 at 30 a single grid is off by 13 frames.
    ticks = np.cumsum([0, *[1000 / 24] * 60, *[1000 / 30] * 60]).round().astype(int).tolist()
    assert not measure(ticks, tick=MS).uniform


def test_a_burst_does_not_set_the_pace() -> None:
    ticks = [*range(500, 520), *range(1500, 11500, 1000)]  # 20 frames in 20 ms, then one a second
    timing = measure(ticks, tick=MS)
    assert abs(timing.fps - 1) < 0.01
    assert measure([*range(0, 400, 40), *range(10_000, 11_000, 40)], tick=MS).fps == 25  # the most usual gap
    assert measure(range(100), tick=MS).fps == 1000  # no burst, but a camera


def test_too_few_times_leave_the_stated_rate_or_25() -> None:
    assert measure([7], tick=MS, stated=(None, NTSC)).fps == NTSC
    assert measure([], tick=MS).fps == 25


def test_order_and_repeats_do_not_matter() -> None:
    assert measure([80, 0, 40, 40, 160, 120], tick=MS) == measure([0, 40, 80, 120, 160], tick=MS)


def test_resample_holds_each_frame_until_the_next_is_due() -> None:
    # 25 frames a second in milliseconds, frames 3 and 4 dropped.
    times = [0, 40, 80, 200, 240]
    assert list(resample(zip(times, "abcde", strict=True), Fraction(25), tick=MS)) == list("abcccde")


def test_resample_forgives_a_quarter_of_an_interval_and_no_more() -> None:
    late = [(0, "a"), (49, "b"), (80, "c")]  # due at 40, 9 ms late: less than 10
    assert list(resample(late, Fraction(25), tick=MS)) == list("abc")
    later = [(0, "a"), (52, "b"), (80, "c")]
    assert list(resample(later, Fraction(25), tick=MS)) == list("aac")


@pytest.mark.parametrize("seed", range(8))
def test_resample_agrees_with_brute_force(seed: int) -> None:
    gen = np.random.default_rng(seed)
    times = (np.cumsum(gen.integers(1, 120, 50)) + 1000).tolist()
    fps = Fraction(int(gen.integers(5, 70)))
    step = 1000 / fps
    late = max(Fraction(1), step / 4)
    count = next(k for k in range(10**6) if times[0] + k * step >= times[-1] + step - late)
    expected = [max(i for i, t in enumerate(times) if t <= times[0] + k * step + late) for k in range(count)]
    assert list(resample(zip(times, range(50), strict=True), fps, tick=MS)) == expected


def test_resample_of_a_uniform_source_changes_nothing() -> None:
    times = rounded(NTSC, 500, MS)
    assert list(resample(zip(times, range(500), strict=True), NTSC, tick=MS)) == list(range(500))


# ---------------------------------------------------------------------------------------------- pauses and the like


def seen(ticks: list[int], tick: Fraction = MS) -> tuple[Fraction, list[int]]:
    """The rate of frames at those times, and which of them come out."""
    timing = measure(ticks, tick=tick)
    if timing.uniform:
        return timing.fps, list(range(len(ticks)))
    timed = steady(zip(ticks, range(len(ticks)), strict=True), timing.fps, tick=tick)
    return timing.fps, list(resample(timed, timing.fps, tick=tick))


@pytest.mark.parametrize("at", [1, 2, 30, 62, 63])
@pytest.mark.parametrize("pause", [400, 10_000, 10**7])
def test_a_pause_leaves_the_rate_and_every_frame_once(at: int, pause: int) -> None:
    ticks = [40 * k + (pause if k >= at else 0) for k in range(64)]
    assert seen(ticks) == (25, list(range(64)))
    timing = measure(ticks, tick=MS)
    assert timing.pauses == 1
    assert timing.paused == pytest.approx((pause + 40) / 1000)


def test_many_pauses_of_a_clip_that_also_drops_a_frame() -> None:
    ticks = [40 * k + 7000 * (k // 10) for k in range(64) if k != 33]
    fps, frames = seen(ticks)
    assert fps == 25
    assert frames == sorted([*range(63), 32])  # the one before is held


def test_the_gap_after_a_pause_counts_with_it() -> None:
    assert seen([0, 10_000, 10_080, 10_120, 10_160, 10_200]) == (25, list(range(6)))
    assert seen([0, 40, 10_000, 10_080, 10_120, 10_160, 10_200, 10_280]) == (25, [0, 1, 2, 3, 4, 5, 6, 6, 7])


@pytest.mark.parametrize(
    ("pattern", "tick", "fps"),
    [
        ((2, 3), Fraction(1001, 60_000), Fraction(24000, 1001)),  # film in fields, 2 and 3 of them
        ((2, 3, 3, 2), Fraction(1001, 60_000), Fraction(24000, 1001)),
        ((1, 1, 1, 2), Fraction(1, 30), Fraction(24)),  # the fifth frame of telecine was left out
        ((2, 3, 2, 3, 2), Fraction(1, 60), Fraction(25)),
        ((33, 50), MS, None),
        ((*[1] * 23, 2), Fraction(1, 25), Fraction(24)),
    ],
)
def test_telecine_is_one_rate_and_every_frame_once(
    pattern: tuple[int, ...], tick: Fraction, fps: Fraction | None
) -> None:
    ticks = np.cumsum([0, *pattern * 8]).tolist()
    found, frames = seen(ticks, tick)
    assert found == (fps or found)
    assert abs(float(found) / (len(pattern) / float(sum(pattern) * tick)) - 1) < 0.005
    assert frames == list(range(len(ticks)))


def test_a_clock_that_starts_anew_or_wraps_or_is_damaged_is_steadied() -> None:
    anew = [*range(0, 400, 40), *range(0, 400, 40)]
    wrapped = [2**33 - 80, 2**33 - 40, 0, 40, 80]
    damaged = [0, 40, 999_999_999, 120, 160]
    for times in (anew, wrapped, damaged):
        timed = steady(zip(times, range(len(times)), strict=True), Fraction(25), tick=MS)
        assert [time - times[0] for time, _ in timed] == [40 * k for k in range(len(times))]
