"""What every kind of source is turned into before it becomes a clip: a rate and a lazy stream of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from dyntex.errors import InputError

# (H, W, C): 3 is RGB, 4 RGB and alpha. uint8, or uint16 where 8 bits would lose something; the largest level is white.
Image = npt.NDArray[np.unsignedinteger[Any]]
Notice = Callable[[str], None]
Item = TypeVar("Item")

DEFAULT_FPS = Fraction(25)  # of what carries no rate: one image, an array, a folder of foreign frames
MAX_PIXELS = 2**27  # of one frame, 16384 x 8192: the header is believed up to here and not decoded beyond
MAX_SIDE = 2**16


def ignore(sentence: str) -> None:
    """The notice that nobody reads."""


@dataclass(frozen=True)
class Footage:
    """An opened source.

    Attributes:
        fps: frames per second of ``frames``.
        frames: lazy; each is upright, RGB, or RGB premultiplied by alpha, and alpha. Nothing is decoded until it is
            iterated, and nothing past the last frame taken (but for a decoder's own look-ahead).
        pixel_aspect: width of a pixel over its height, after rotation; not 1 for anamorphic video.
    """

    fps: Fraction
    frames: Iterator[Image]
    pixel_aspect: Fraction = Fraction(1)


def check_pixels(name: object, width: int, height: int) -> None:
    """Refuse a frame that only a decompression bomb or a damaged header would claim, before it is decoded.

    Raises:
        InputError: a frame of ``width`` x ``height`` is empty or has more than ``MAX_PIXELS`` pixels.
    """
    if min(width, height) < 1:
        raise InputError(f"{name} has frames of {width}x{height} pixels in its header: the file is damaged")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise InputError(
            f"{name} claims frames of {width}x{height} pixels, over the limit of {MAX_PIXELS:,}: scale it down"
        )


def window(frames: Iterable[Item], start: int, n_frames: int | None, *, name: object) -> Iterator[Item]:
    """Items ``start`` to ``start + n_frames``, or to the end where there are fewer or ``n_frames`` is None.

    Raises:
        InputError: there are ``start`` items or fewer, or none.
    """
    counted = 0
    taken = False
    stop = None if n_frames is None else start + n_frames
    for counted, item in enumerate(islice(frames, stop), 1):
        if counted > start:
            taken = True
            yield item
    if counted == 0:
        raise InputError(f"{name} has no frame that can be decoded: it is damaged or cut short")
    if not taken:
        raise InputError(
            f"{name} has {counted} frames, so it cannot be read from frame {start}: choose a smaller start"
        )


def once(notice: Notice) -> Notice:
    """A notice that says each sentence the first time only, however many frames ask for it."""
    said: set[str] = set()

    def say(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            notice(sentence)

    return say
