"""Checks of options that come before anything slow is imported or read.

A message names an option of the command line; the keyword of a Python function has the same name with underscores:
``--clip-frames`` is ``clip_frames``.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from dyntex.errors import UsageError

LONGEST = 10_000_000
"""Frames of a result: four and a half days at 25 a second."""
MIN_SIDE = 8
MAX_SIDE = 8192
MAX_SEED = 2**63 - 2


def check_numbers(*, positive: Mapping[str, float | None] = {}, not_negative: Mapping[str, int | None] = {}) -> None:
    """Refuse numbers out of range; None is an option that was not given.

    Raises:
        UsageError: one of ``positive`` is not a finite number above 0, or one of ``not_negative`` is below 0.
    """
    for name, value in positive.items():
        # Written so that NaN is refused too.
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} {value:g} is not positive: give a number above 0")
    for name, value in not_negative.items():
        if value is not None and value < 0:
            raise UsageError(f"{name} {value} is negative: give 0 or more")
        if value is not None and value > MAX_SEED:
            raise UsageError(f"{name} {value} is too large: give at most {MAX_SEED}")


def only_one(given: Mapping[str, object]) -> None:
    """Refuse options of which at most one may be given; None is one that was not.

    Raises:
        UsageError: two or more were.
    """
    names = [f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in given.items()
             if value is not None]  # fmt: skip
    if len(names) > 1:
        raise UsageError(f"use only one of {' and '.join(names)}")


def check_length(frames: int | None, seconds: float | None) -> None:
    """Refuse a length that is not positive, that was given twice, or that a disk would fill before it ends."""
    check_numbers(positive={"--frames": frames, "--seconds": seconds})
    only_one({"--frames": frames, "--seconds": seconds})
    for option, asked, most in (("--frames", frames, LONGEST), ("--seconds", seconds, LONGEST // 25)):
        if asked is not None and asked > most:
            raise UsageError(f"{option} {asked:.15g} is too long: give {most} or less, and join pieces of other seeds")


def check_interpolation(
    ends: tuple[int, int] | None, images: int | None, *, frames: int | None, seconds: float | None, loop: bool
) -> None:
    """Refuse a path between two images that has no length, or two lengths, or an end that is not a seed.

    Args:
        ends: the seeds of the images at both ends; None where no path is asked for.
        images: how many images there are, both ends among them.
        frames, seconds, loop: other lengths, which a path does not have.

    Raises:
        UsageError: it has.
    """
    if ends is None:
        if images is not None:
            raise UsageError(f"--images {images} needs --interpolate: for a longer result use --frames")
        return
    for end in ends:
        check_numbers(not_negative={"--interpolate": end})
    if images is None or images < 2:
        given = "" if images is None else f", not {images}"
        raise UsageError(f"--interpolate needs --images of at least 2{given}: the images at both ends are counted")
    for option, value in (("--frames", frames), ("--seconds", seconds), ("--loop", loop or None)):
        if value is not None:
            raise UsageError(f"use only one of --interpolate and {option}: --images {images} is the length")


def frames_asked(frames: int | None, seconds: float | None, fps: Fraction) -> int | None:
    """The frames asked for; of a length in seconds the nearest number, at least 1; None where neither is given."""
    return frames if seconds is None else max(1, round(Fraction(seconds) * fps))


def as_size(size: int | tuple[int, int] | None) -> tuple[int, int] | None:
    """A frame size as (height, width): one number is the side of a square.

    Raises:
        UsageError: a side is below 8 or above 8192 pixels.
    """
    if size is None:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in (height, width)):
        raise UsageError(f"--size {height}x{width} is out of range: sides have {MIN_SIDE} to {MAX_SIDE} pixels")
    return height, width
