"""A clip, or a stream of clips, to a file that is complete, checked and atomic, or not there at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.PngImagePlugin import PngInfo

from dyntex.clip import Clip
from dyntex.errors import DyntexError, UsageError
from dyntex.media.atomic import atomic, check_place
from dyntex.media.encode import BEST_QUALITY, GIF_MOST, RECIPES, WORST_QUALITY, encode, encode_gif, gif_times
from dyntex.media.footage import Image, Notice, ignore
from dyntex.media.read import Kind, kind_of, open_footage
from dyntex.media.stills import FPS_KEY
from dyntex.media.webp import encode_webp

FOLDER = ""  # the ending of a folder of PNGs
ENDINGS = (*RECIPES, ".gif", ".webp", ".npy")
FRAME = re.compile(r"\d{6,}\.png")
# Seconds by which the clip's length may differ on re-opening: a tick of the format's clock at each end.
LENGTH_SLACK, GIF_SLACK = Fraction(2, 1000), Fraction(2, 100)
DEFAULT_QUALITY = 17
NO_METADATA: Mapping[str, str] = {}


def check_writable(path: str | Path, *, overwrite: bool = False) -> None:
    """Everything that can be known to be wrong with an output before there is anything to write.

    Raises:
        UsageError: an ending that cannot be written, a missing or read-only parent folder, or something in the place.
    """
    target = Path(path)
    ending = _ending(path)
    if ending not in (*ENDINGS, FOLDER):
        raise UsageError(
            f"{path} cannot be written as {ending!r}: end it in {', '.join(ENDINGS)}, or in / for a folder of PNGs"
        )
    check_place(target, overwrite=overwrite)
    if not target.exists():
        return
    if ending != FOLDER:
        if target.is_dir():
            raise UsageError(f"{path} is a folder, not a file: choose another name")
    elif not target.is_dir() or not all(FRAME.fullmatch(file.name) for file in target.iterdir()):
        # Replacing a folder deletes what is in it.
        raise UsageError(f"{path} holds other things than numbered PNG frames: choose a new folder")


def write_clip(
    path: str | Path,
    clip: Clip,
    *,
    quality: int = DEFAULT_QUALITY,
    overwrite: bool = False,
    metadata: Mapping[str, str] = NO_METADATA,
    notice: Notice = ignore,
) -> None:
    """Write a clip; see :func:`write_stream`, of which this is the case of one chunk."""
    write_stream(
        path,
        [clip],
        n_frames=clip.n_frames,
        quality=quality,
        overwrite=overwrite,
        metadata=metadata,
        notice=notice,
    )


def write_stream(
    path: str | Path,
    chunks: Iterable[Clip],
    *,
    n_frames: int,
    quality: int = DEFAULT_QUALITY,
    overwrite: bool = False,
    metadata: Mapping[str, str] = NO_METADATA,
    notice: Notice = ignore,
) -> None:
    """Write clips of one size and rate end to end, in the memory of two of them.

    The file is written beside its place under a temporary name, re-opened, decoded and checked (frames, size, rate),
    and only then renamed; on any failure nothing is left of it and what was in its place stays.

    ======== ================================== ================================================================
    ending   what is written                    what to know
    ======== ================================== ================================================================
    .mp4     H.264 4:2:0, BT.709, faststart     an odd side is made even: its last row or column is repeated
    .webm    VP9 4:2:0, BT.709
    .mov     ProRes 422 HQ, 10 bits, BT.709     sides are made even, as in .mp4; ``quality`` has no effect
    .mkv     FFV1 in RGB                        lossless
    .webp    animated                           lossless; milliseconds a frame; no metadata
    .apng    animated                           lossless; no metadata
    .gif     256 colours a frame                centiseconds a frame, at least 2; no metadata
    .npy     (T,H,W,3) uint8                    lossless; no rate, no metadata
    / (none) a folder, 000000.png and so on     lossless; rate and metadata in each file's text chunks
    ======== ================================== ================================================================

    Args:
        path: its ending chooses the format.
        chunks: consumed once, and to the end.
        n_frames: how many frames the chunks have together.
        quality: H.264's constant rate factor, 1 (best) to 51; VP9's scale is mapped onto it.
        overwrite: replace what is there (a folder only if it holds nothing but numbered PNGs).
        metadata: words that go into the file, where its format has room for them.
        notice: called with a sentence where the format cannot hold what the clip has (a GIF's frame rate).

    Raises:
        UsageError: see :func:`check_writable`; a quality out of range.
        DyntexError: the disk is full, or what was written is not what should have been; whatever ``chunks`` raises.
    """
    check_writable(path, overwrite=overwrite)
    if not BEST_QUALITY <= quality <= WORST_QUALITY:
        raise UsageError(f"a quality of {quality} does not exist: choose {BEST_QUALITY} (best) to {WORST_QUALITY}")
    if n_frames < 1:
        raise UsageError(f"a clip of {n_frames} frames cannot be written: ask for at least 1")
    iterator = iter(chunks)
    first = next(iterator, None)
    if first is None:
        raise DyntexError(f"{path} was to have {n_frames} frames and none came: nothing was written")
    ending = _ending(path)
    if ending == ".gif":
        _say_gif_rate(n_frames, first.fps, notice)
    frames = _rgb(chain([first], iterator), like=first, n_frames=n_frames)
    with atomic(Path(path)) as temporary:
        _write(temporary, ending, frames, fps=first.fps, n_frames=n_frames, quality=quality, metadata=metadata)
        _check(temporary, ending, first, n_frames=n_frames, path=path)


def _ending(path: str | Path) -> str:
    return FOLDER if str(path).endswith("/") else Path(path).suffix.lower()


def _rgb(chunks: Iterable[Clip], *, like: Clip, n_frames: int) -> Iterator[Image]:
    """Each frame as ``(H, W, 3)`` uint8; the chunks are held to what was said of them."""
    if like.channels not in (1, 3):
        raise DyntexError(f"a clip of {like.channels} channels cannot be written: give one of 1 (grey) or 3 (RGB)")
    given = 0
    for chunk in chunks:
        if (chunk.channels, chunk.height, chunk.width, chunk.fps) != (like.channels, like.height, like.width, like.fps):
            raise DyntexError(
                f"the stream changes from {like.width}x{like.height} at {like.fps} to "
                f"{chunk.width}x{chunk.height} at {chunk.fps} after {given} frames: give chunks of one kind"
            )
        given += chunk.n_frames
        if given > n_frames:
            break
        for frame in chunk.to_uint8():
            yield np.repeat(frame, 3 // like.channels, axis=2)
    if given != n_frames:
        raise DyntexError(f"{n_frames} frames were to be written and {given} came: nothing was written")


def _write(
    path: Path,
    ending: str,
    frames: Iterator[Image],
    *,
    fps: Fraction,
    n_frames: int,
    quality: int,
    metadata: Mapping[str, str],
) -> None:
    match ending:
        case ".gif":
            encode_gif(path, frames, fps=fps, n_frames=n_frames)
        case ".webp":
            encode_webp(path, frames, fps=fps)
        case ".npy":
            _write_npy(path, frames, n_frames=n_frames)
        case "":
            _write_folder(path, frames, metadata={**metadata, FPS_KEY: str(fps)})
        case _:
            encode(path, frames, RECIPES[ending], fps=fps, quality=quality, metadata=metadata)


def _write_npy(path: Path, frames: Iterator[Image], *, n_frames: int) -> None:
    first = next(frames)
    header = {"descr": "|u1", "fortran_order": False, "shape": (n_frames, *first.shape)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for frame in chain([first], frames):
            file.write(frame.tobytes())


def _write_folder(path: Path, frames: Iterator[Image], *, metadata: Mapping[str, str]) -> None:
    path.mkdir()
    for i, frame in enumerate(frames):
        save_png(path / f"{i:06}.png", frame, metadata=metadata)


def save_png(path: Path, image: Image, *, metadata: Mapping[str, str] = NO_METADATA) -> None:
    """An ``(H, W, 3)`` image with text chunks, not atomically."""
    words = PngInfo()
    for key, value in metadata.items():
        words.add_itxt(key, value)
    PIL.Image.fromarray(image).save(path, format="PNG", pnginfo=words)


def _check(written: Path, ending: str, clip: Clip, *, n_frames: int, path: str | Path) -> None:
    """Decode what was written and compare its frames, size and rate with what should have been.

    Raises:
        DyntexError: they differ, or it cannot be decoded.
    """
    even = ending in RECIPES and RECIPES[ending].even
    want = (clip.height + clip.height % 2, clip.width + clip.width % 2) if even else (clip.height, clip.width)
    try:
        kind = kind_of(written)
        found = open_footage(written, kind, start=0, n_frames=None, notice=ignore)
        shapes = [frame.shape[:2] for frame in found.frames]
    except DyntexError as error:
        raise DyntexError(f"{path} was written but cannot be read back: nothing was kept; try again") from error
    if len(shapes) != n_frames or set(shapes) != {want}:
        raise DyntexError(
            f"{path} should have {n_frames} frames of {want[1]}x{want[0]} and came back with {len(shapes)} of "
            f"{sorted(set(shapes))}: nothing was kept; try another ending"
        )
    if kind is Kind.ARRAY or n_frames == 1:
        return  # neither has a rate
    asked, slack = (min(clip.fps, GIF_MOST), GIF_SLACK) if ending == ".gif" else (clip.fps, LENGTH_SLACK)
    if abs(1 / found.fps - 1 / asked) * (n_frames - 1) > slack:
        raise DyntexError(
            f"{path} should play at {asked} frames per second and came back with {found.fps}: "
            "nothing was kept; try another ending"
        )


def _say_gif_rate(n_frames: int, fps: Fraction, notice: Notice) -> None:
    times = gif_times(n_frames, fps)
    delays = sorted({after - before for before, after in pairwise(times)})
    if fps > GIF_MOST:
        notice(
            f"a GIF plays at most {GIF_MOST} frames a second, so {float(fps):.4g} became {GIF_MOST}: "
            ".webp, .apng and .mp4 keep the rate"
        )
    elif len(delays) > 1:
        notice(
            f"a GIF counts in hundredths of a second, so frames last {delays[0]} or {delays[-1]} of them, "
            f"{float(fps):.4g} a second on average: .webp, .apng and .mp4 keep the rate"
        )
