"""Any source that shows a moving texture, to a clip."""

from __future__ import annotations

import stat
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError
from dyntex.media import arrays, stills, video
from dyntex.media.footage import Footage, Image, Notice, ignore
from dyntex.media.paths import place_of
from dyntex.media.pixels import stacked
from dyntex.media.resize import Size, fit, sides

EXAMPLE = "example:"
FEWEST = 8  # frames from which on it is worth saying that they mostly stand still


class Kind(StrEnum):
    """What a source is."""

    VIDEO = "video"
    IMAGE = "image"  # still or animated
    FOLDER = "folder"
    ARRAY = "array"
    EXAMPLE = "example"


def kind_of(source: str | Path) -> Kind:
    """What a source is, by its content where that can tell.

    Raises:
        InputError: there is nothing of that name, or it is empty, or no regular file.
    """
    if str(source).startswith(EXAMPLE):
        return Kind.EXAMPLE
    path = place_of(source)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        where = ", and what comes through a pipe is saved to a file first" if str(source) == "-" else ""
        raise InputError(
            f"{source} does not exist: give a video, an image, a folder of frames, an array or example:NAME{where}"
        ) from None
    except (OSError, ValueError) as error:  # ValueError: a zero byte
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{source} cannot be opened ({reason}): check its name and its permissions") from error
    if stat.S_ISDIR(mode):
        return Kind.FOLDER
    if not stat.S_ISREG(mode):
        raise InputError(f"{source} is neither a file nor a folder: save it to a file first")
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise InputError(f"{source} cannot be opened ({error.strerror}): check its permissions") from error
    if empty:
        raise InputError(f"{source} is empty (0 bytes): export or download it again")
    if path.suffix.lower() in {".npy", ".npz"}:
        return Kind.ARRAY
    return Kind.IMAGE if stills.is_image(path) or video.is_picture(path) else Kind.VIDEO


def read_clip(
    source: str | Path,
    *,
    size: Size | None = None,
    start: int = 0,
    n_frames: int | None = None,
    notice: Notice = ignore,
) -> Clip:
    """Read a clip of three channels, or of four where something in it is transparent.

    A fourth channel is alpha, by which the others are multiplied (:class:`Clip`): resized so, what is clear lends its
    colour to nothing. Sources of 10 bits and more are read in 16.

    Frames are decoded by presentation time, turned upright, converted to RGB by the matrix and range that they are
    tagged with (untagged: BT.709 from 720 lines or 1280 columns on, BT.601 below), and resized one by one as they are
    decoded: the memory needed is that of the small frames asked for, however long and large the source is. A source
    of varying rate is resampled to a constant one; one of constant rate passes through frame by frame.

    Args:
        source: a video of any kind that FFmpeg reads; an image (T = 1) or an animated GIF, PNG, WebP or AVIF; a
            folder of frames, in natural order; ``.npy`` or ``.npz`` of (T,H,W,C) or (T,H,W) uint8;
            ``example:NAME`` or ``example:NAME?seed=3``, whose other words are the example's parameters. What has no
            rate of its own gets 25 frames per second.
        size: side of a square, or (H, W): centre crop to its aspect, then area resize. None keeps the source's size.
        start: first frame, counted at the clip's constant rate.
        n_frames: at most so many frames; None reads to the end.
        notice: called with a sentence for each thing done that the user may want to know.

    Raises:
        InputError: the source is missing, damaged, cut short before the frames asked for, or holds no pictures.
        UsageError: a size, start or number of frames that makes no sense.
    """
    target = None if size is None else sides(size)
    if start < 0:
        raise UsageError(f"start {start} is before the first frame: give 0 or more")
    if n_frames is not None and n_frames < 1:
        raise UsageError(f"a clip of {n_frames} frames is empty: ask for at least 1")
    kind = kind_of(source)
    if kind is Kind.EXAMPLE:
        return _example(str(source), target=target, start=start, n_frames=n_frames)
    found = open_footage(place_of(source), kind, start=start, n_frames=n_frames, notice=notice)
    frames = []
    for frame in found.frames:
        frames.append(frame if target is None else fit(frame, target, pixel_aspect=found.pixel_aspect))
        if frames[-1].shape[:2] != frames[0].shape[:2]:
            (h, w), (h0, w0) = frames[-1].shape[:2], frames[0].shape[:2]
            raise InputError(
                f"{source} changes size from {w0}x{h0} to {w}x{h} at frame {start + len(frames) - 1}: choose a size"
            )
    _say_repeats(frames, source, notice)
    clip = Clip.from_levels(stacked(frames), found.fps)
    if clip.channels == 4:
        notice("the source has transparency, which is kept as a fourth channel")
    return clip


def _say_repeats(frames: list[Image], source: str | Path, notice: Notice) -> None:
    """Say it where a clip mostly stands still: a rate that is too high for what it shows, a slide show, a pause."""
    pairs = list(pairwise(frames))
    repeats = sum(np.array_equal(before, after) for before, after in pairs)
    if len(frames) >= FEWEST and repeats > len(pairs) / 2:
        notice(
            f"{repeats} of the {len(frames)} frames of {source} are the same as the one before, so that little moves: "
            "choose others with --start and --clip-frames, or export the clip at the rate at which it moves"
        )


def open_footage(path: Path, kind: Kind, *, start: int, n_frames: int | None, notice: Notice) -> Footage:
    """A source that is a file or a folder, ready to be iterated."""
    openers = {
        Kind.VIDEO: video.footage,
        Kind.IMAGE: stills.footage if kind is Kind.IMAGE and stills.is_image(path) else video.footage,
        Kind.FOLDER: stills.folder_footage,
        Kind.ARRAY: arrays.footage,
    }
    return openers[kind](path, start=start, n_frames=n_frames, notice=notice)


def _example(source: str, *, target: tuple[int, int] | None, start: int, n_frames: int | None) -> Clip:
    """``example:NAME?seed=3&knob=0.5``, made on the spot."""
    from dyntex import examples  # here, because nothing else that is read needs its scipy

    name, _, query = source.removeprefix(EXAMPLE).partition("?")
    words = dict(parse_qsl(query, keep_blank_values=True))
    try:
        seed = int(words.pop("seed", "0"))
        given: dict[str, Any] = {word: float(value) for word, value in words.items()}
    except ValueError as error:
        raise UsageError(f"{source!r} holds a value that is not a number: write example:{name}?seed=3") from error
    if taken := given.keys() & {"size", "n_frames"}:
        raise UsageError(f"{source!r} sets {taken.pop()}, which has an option of its own: leave it out here")
    if target is not None:
        given["size"] = target
    if n_frames is not None:
        given["n_frames"] = start + n_frames
    clip = examples.make(name, seed=seed, **given)
    if start >= clip.n_frames:
        raise InputError(f"{source} has {clip.n_frames} frames, none of them {start}: choose a smaller start")
    return clip.segment(start, clip.n_frames - start)
