"""A clip, or a stream of clips, to a file that is complete, checked and atomic, or not there at all."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain, pairwise
from pathlib import Path

from dyntex.clip import Clip
from dyntex.errors import DyntexError, UsageError
from dyntex.media.atlas import describe
from dyntex.media.atomic import atomic
from dyntex.media.encode import BEST_QUALITY, GIF_MOST, WORST_QUALITY, encode, encode_gif, gif_times, recipe_for
from dyntex.media.footage import Image, Notice, ignore
from dyntex.media.formats import FORMATS, check_fits, check_writable, ending_of
from dyntex.media.grid import Grid, draw_grid, json_of
from dyntex.media.labels import exif, label_gif, label_png
from dyntex.media.order import Order
from dyntex.media.pixels import Colour, flattened, levels
from dyntex.media.plain import NO_METADATA, save_png, write_folder, write_npy
from dyntex.media.read import Kind, kind_of, open_footage
from dyntex.media.stills import FPS_KEY
from dyntex.media.webp import encode_webp

# Seconds by which the clip's length may differ on re-opening: a tick of the format's clock at each end.
LENGTH_SLACK, GIF_SLACK = Fraction(2, 1000), Fraction(2, 100)
ASPECT_SLACK = Fraction(1, 100)  # some formats have the size that is shown, in whole pixels
DEFAULT_QUALITY = 17


def write_clip(
    path: str | Path,
    clip: Clip,
    *,
    quality: int = DEFAULT_QUALITY,
    overwrite: bool = False,
    metadata: Mapping[str, str] = NO_METADATA,
    background: Colour | None = None,
    loop: bool = True,
    grid: Grid | None = None,
    pixel_aspect: Fraction = Fraction(1),
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
        background=background,
        loop=loop,
        grid=grid,
        pixel_aspect=pixel_aspect,
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
    background: Colour | None = None,
    loop: bool = True,
    grid: Grid | None = None,
    pixel_aspect: Fraction = Fraction(1),
    notice: Notice = ignore,
) -> None:
    """Write clips of one size and rate end to end, in the memory of two of them.

    The file is written beside its place under a temporary name, re-opened, decoded and checked (frames, size, rate,
    alpha), and only then renamed; on any failure nothing is left of it and what was in its place stays.

    ======== ================================== ================================================================
    ending   what is written                    what to know
    ======== ================================== ================================================================
    .mp4     H.264 4:2:0, BT.709, faststart     an odd side is made even: its last row or column is repeated
    .webm    VP9 4:2:0, BT.709, alpha
    .mov     ProRes 422 HQ, BT.709; with alpha  10 bits; sides are made even, as in .mp4; ``quality`` has no effect
             4444
    .mkv     FFV1 in RGB, alpha                 lossless, 10 bits
    .webp    animated, alpha                    lossless; milliseconds a frame
    .apng    animated, alpha                    lossless
    .gif     256 colours a frame                centiseconds a frame, at least 2; transparent or not
    .png     one image, or a sprite sheet,      lossless; a sheet is held in memory, and its JSON beside it has rate
             alpha                              and metadata
    .npy     (T,H,W,3 or 4) uint8               lossless; straight alpha; no rate, no metadata
    / (none) a folder, 000000.png and so on     lossless, alpha; rate and metadata in each file's text chunks
    ======== ================================== ================================================================

    Args:
        path: its ending chooses the format.
        chunks: consumed once, and to the end.
        n_frames: how many frames the chunks have together.
        quality: H.264's constant rate factor, 1 (best) to 51; VP9's scale is mapped onto it.
        overwrite: replace what is there (a folder only if it holds nothing but numbered PNGs).
        metadata: text for the file's metadata, where its format has any.
        background: what lies behind a clip with alpha, which then is written without; needed where the format has none.
        loop: whether players are asked to repeat it, where the format can ask (GIF, WebP, PNG).
        grid: rows and columns of a sprite sheet.
        pixel_aspect: width of a pixel over its height, for players; a notice says so where the format cannot store it.
        notice: called with a sentence where the format cannot hold what the clip has (a GIF's frame rate).

    Raises:
        UsageError: see :func:`check_writable` and :func:`check_fits`; a quality out of range.
        DyntexError: the disk is full, or what was written is not what should have been; whatever ``chunks`` raises.
    """
    check_writable(path, overwrite=overwrite, grid=grid, still=n_frames == 1)
    if not BEST_QUALITY <= quality <= WORST_QUALITY:
        raise UsageError(f"a quality of {quality} does not exist: choose {BEST_QUALITY} (best) to {WORST_QUALITY}")
    if n_frames < 1:
        raise UsageError(f"a clip of {n_frames} frames cannot be written: ask for at least 1")
    iterator = iter(chunks)
    first = next(iterator, None)
    if first is None:
        raise DyntexError(f"{path} was to have {n_frames} frames and none came: nothing was written")
    size = first.height, first.width
    check_fits(
        path, channels=first.channels, n_frames=n_frames, size=size, fps=first.fps, background=background, grid=grid
    )
    ending = ending_of(path)
    alpha = first.channels == 4 and background is None
    if ending == ".gif":
        _say_gif_rate(n_frames, first.fps, notice)
        if alpha:
            notice("a GIF's pixels are transparent or opaque, so alpha was cut at one half: .webp and .apng keep it")
    if pixel_aspect != 1 and not FORMATS[ending].aspect:
        wide = ", ".join(name for name, kind in FORMATS.items() if kind.aspect)
        notice(
            f"pixels are {float(pixel_aspect):.4g} times as wide as high, which {ending or 'a folder'} cannot "
            f"store, so that the result looks squeezed: {wide} can"
        )
    order = Order(
        ending=ending,
        fps=first.fps,
        n_frames=n_frames,
        size=size,
        alpha=alpha,
        quality=quality,
        loop=loop,
        grid=grid,
        metadata=metadata,
        pixel_aspect=pixel_aspect if FORMATS[ending].aspect else Fraction(1),
    )
    held = _held(chain([first], iterator), like=first, n_frames=n_frames)
    frames = chain.from_iterable(levels(chunk, bits=order.bits) for chunk in flattened(held, background))
    with ExitStack() as places:
        if grid is not None:  # entered first, so that the JSON comes to its place after its image
            about = json.dumps(describe(Path(path), order, grid=grid), indent=1)
            places.enter_context(atomic(json_of(Path(path)))).write_text(about + "\n", encoding="utf-8")
        temporary = places.enter_context(atomic(Path(path)))
        _write(temporary, frames, order)
        _check(temporary, order, path=path)


def _held(chunks: Iterable[Clip], *, like: Clip, n_frames: int) -> Iterator[Clip]:
    """The chunks, held to what was said of them."""
    if like.channels not in (1, 3, 4):
        raise DyntexError(
            f"a clip of {like.channels} channels cannot be written: give one of 1 (grey), 3 (RGB) or 4 (RGB and alpha)"
        )
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
        yield chunk
    if given != n_frames:
        raise DyntexError(f"{n_frames} frames were to be written and {given} came: nothing was written")


def _write(path: Path, frames: Iterator[Image], order: Order) -> None:
    match order.ending:
        case ".gif":
            encode_gif(path, frames, fps=order.fps, n_frames=order.n_frames, loop=order.loop)
            label_gif(path, order.metadata)
        case ".webp":
            encode_webp(path, frames, fps=order.fps, loop=order.loop, exif=exif(order.metadata))
        case ".npy":
            write_npy(path, frames, n_frames=order.n_frames)
        case ".png":
            (picture,) = [draw_grid(frames, grid=order.grid)] if order.grid else frames
            save_png(path, picture, metadata=order.metadata)
        case "":
            write_folder(path, frames, metadata={**order.metadata, FPS_KEY: str(order.fps)})
        case _:
            recipe = recipe_for(order.ending, alpha=order.alpha, loop=order.loop)
            encode(
                path,
                frames,
                recipe,
                fps=order.fps,
                quality=order.quality,
                metadata=order.metadata,
                pixel_aspect=order.pixel_aspect,
            )
    if order.ending == ".apng":
        label_png(path, order.metadata)


def _check(written: Path, order: Order, *, path: str | Path) -> None:
    """Decode what was written and compare its frames, size, rate and alpha with what should have been.

    Raises:
        DyntexError: they differ, or it cannot be decoded.
    """
    n_frames, height, width = order.pictures
    try:
        kind = kind_of(written)
        found = open_footage(written, kind, start=0, n_frames=None, notice=ignore)
        shapes = [frame.shape for frame in found.frames]
    except DyntexError as error:
        raise DyntexError(f"{path} was written but cannot be read back: nothing was kept; try again") from error
    if len(shapes) != n_frames or {shape[:2] for shape in shapes} != {(height, width)}:
        raise DyntexError(
            f"{path} should have {n_frames} frames of {width}x{height} and came back with {len(shapes)} of "
            f"{sorted(set(shapes))}: nothing was kept; try another ending"
        )
    # A GIF's frame that is nowhere clear has no alpha.
    if order.alpha and order.ending != ".gif" and {shape[2] for shape in shapes} != {4}:
        raise DyntexError(f"{path} came back without its transparency: nothing was kept; try another ending")
    if abs(found.pixel_aspect / order.pixel_aspect - 1) > ASPECT_SLACK:
        raise DyntexError(
            f"{path} should have pixels {order.pixel_aspect} times as wide as high and came back with "
            f"{found.pixel_aspect}: nothing was kept; try another ending"
        )
    if kind is Kind.ARRAY or n_frames == 1:
        return  # neither has a rate
    asked, slack = (min(order.fps, GIF_MOST), GIF_SLACK) if order.ending == ".gif" else (order.fps, LENGTH_SLACK)
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
