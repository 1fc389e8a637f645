"""Images, animated images, and folders of frames, through Pillow (the reader that imageio itself uses for them)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
from PIL import ImageSequence

from dyntex.errors import InputError
from dyntex.media.footage import DEFAULT_FPS, Footage, Image, Notice, check_pixels, once, window
from dyntex.media.pictures import is_stream
from dyntex.media.pixels import premultiplied
from dyntex.media.results import without_results
from dyntex.media.still_levels import BROKEN, EXIF_ORIENTATION, damaged, to_rgb, white_of
from dyntex.media.timing import Timing, measure, resample, say_timing, steady

try:
    import pillow_heif
except ImportError:  # there is no wheel of it for this machine
    HEIF: tuple[str, ...] = ()
else:
    pillow_heif.register_heif_opener()
    HEIF = ("HEIF",)

# Named, because Pillow also takes MPEG video for one of its images, and guesses at formats that have no signature.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "PPM", "JPEG2000", *HEIF)
ONE_IMAGE = ("MPO", "HEIF")  # a phone's photo, behind which lie previews, gain maps, depths and other takes
TICKS = {"GIF": Fraction(1, 100), "PNG": Fraction(1, 120_000)}  # seconds; PNG's hold 1001/30000 and its like exactly
COMPOSED = {"GIF": "gif", "PNG": "apng"}  # FFmpeg's names of what it composes better
MILLISECOND = Fraction(1, 1000)
# Browsers show a GIF's frame that asks for 10 ms or less, and any other's that asks for none, for 100 ms.
SHORTEST, BROWSER_DELAY = 10, 100
FPS_KEY = "dyntex:fps"  # a text chunk in each PNG of a folder, which has no rate otherwise
NEW_SUBFILE_TYPE, PREVIEW_OR_MASK = 254, 0b101  # TIFF's tag of a page, and its bits of what is no frame


@contextmanager
def opened(path: Path) -> Iterator[PIL.Image.Image]:
    """An image whose header was read and found sane; no pixel is decoded yet.

    Raises:
        PIL.UnidentifiedImageError: not one of ``FORMATS``.
        InputError: damaged, or larger than is read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)  # check_pixels is our limit
            image = PIL.Image.open(path, formats=FORMATS)
    except PIL.UnidentifiedImageError:
        raise
    except PIL.Image.DecompressionBombError as error:
        raise InputError(f"{path} claims more pixels than are read: scale it down") from error
    except BROKEN as error:
        raise damaged(path, error) from error
    with image:
        check_pixels(path, *image.size)
        try:
            yield image
        except BROKEN as error:  # where tags, or the places of frames, are met later than they are opened
            raise damaged(path, error) from error


def tick_of(image: PIL.Image.Image) -> Fraction:
    """Seconds to which the durations of an image's frames are written."""
    return TICKS.get(image.format or "", MILLISECOND)


def upright_size(image: PIL.Image.Image) -> tuple[int, int]:
    """``(width, height)`` once it is turned by its EXIF tag; nothing is decoded."""
    # Pillow turns a TIFF itself, and says so from the beginning.
    sideways = image.format != "TIFF" and image.getexif().get(EXIF_ORIENTATION, 1) >= 5
    return image.size[::-1] if sideways else image.size


def is_image(path: Path) -> bool:
    """Whether Pillow knows the file's signature, and it is not one of many pictures end to end."""
    try:
        with opened(path):
            pass
    except PIL.UnidentifiedImageError:
        return False
    return not is_stream(path)


def frames_in(image: PIL.Image.Image) -> list[int]:
    """Which of the pictures in an image are its frames: all of an animation, one of a photo.

    An animated PNG may carry a still for old readers. A TIFF's previews and masks are no frames, nor are pages of
    another size than the largest.
    """
    if image.format in ONE_IMAGE:
        return [image.tell()]
    pages = list(range(getattr(image, "n_frames", 1)))
    if image.format != "TIFF" or len(pages) == 1:
        return pages[int(getattr(image, "default_image", False)) :]
    sizes = {}
    for page in pages:
        image.seek(page)
        tags: Any = getattr(image, "tag_v2", {})
        if not int(tags.get(NEW_SUBFILE_TYPE, 0)) & PREVIEW_OR_MASK:
            sizes[page] = image.size
    image.seek(0)
    if not sizes:
        return [0]
    largest = max(sizes.values(), key=lambda size: size[0] * size[1])
    return [page for page, size in sizes.items() if size == largest]


def footage(path: Path, *, start: int, n_frames: int | None, notice: Notice) -> Footage:
    """Frames of one image (T = 1, 25 frames per second), or of an animated one at its own rate."""
    notice = once(notice)
    times = frame_times(path)
    timing = timing_of(path, times)
    say_timing(timing, notice)
    _say_left_out(path, notice)
    return Footage(timing.fps, window(_animation(path, times, timing, notice), start, n_frames, name=path))


def _say_left_out(path: Path, notice: Notice) -> None:
    with opened(path) as image:
        held, taken = getattr(image, "n_frames", 1), len(frames_in(image))
        if held > taken + int(getattr(image, "default_image", False)):
            what = "one is the photo" if image.format in ONE_IMAGE else f"{taken} are frames"
            notice(f"the file holds {held} pictures, of which {what}; previews and the like are left out")


def _animation(path: Path, times: list[int], timing: Timing, notice: Notice) -> Iterator[Image]:
    with opened(path) as image:
        tick = tick_of(image)
        composer = COMPOSED.get(image.format or "") if len(times) > 1 else None
        frames = _composed(path, composer) if composer else _pages(image, notice)
        if timing.uniform:
            yield from frames
        else:
            timed = steady(_timed(path, times, frames), timing.fps, tick=tick)
            yield from resample(timed, timing.fps, tick=tick)


def _timed(path: Path, times: list[int], frames: Iterator[Image]) -> Iterator[tuple[int, Image]]:
    try:
        yield from zip(times, frames, strict=True)
    except ValueError as error:
        raise damaged(path, error) from error


def _pages(image: PIL.Image.Image, notice: Notice) -> Iterator[Image]:
    pages = frames_in(image)
    white, sentence = None, ""
    if image.format == "TIFF":
        with opened(Path(getattr(image, "filename", ""))) as again:  # a page that was decoded forgets how it lies
            white, sentence = white_of(_each(again, pages))
    if white is not None:
        notice(sentence)
    for page in _each(image, pages):
        yield to_rgb(page, white=white, notice=notice)


def _each(image: PIL.Image.Image, pages: list[int]) -> Iterator[PIL.Image.Image]:
    path = Path(getattr(image, "filename", "the image"))
    for page in pages:
        try:
            if image.tell() != page:
                image.seek(page)
        except BROKEN as error:
            raise damaged(path, error) from error
        yield image


def _composed(path: Path, kind: str) -> Iterator[Image]:
    """Frames by FFmpeg, which clears, keeps and restores what lies below as browsers do; Pillow does not."""
    try:
        with av.open(f"file:{path}", format=kind) as container:
            for frame in container.decode(video=0):
                deep = max(component.bits for component in frame.format.components) > 8
                rgba = frame.to_ndarray(format="rgba64le" if deep else "rgba")
                opaque = int(rgba[..., 3].min()) == np.iinfo(rgba.dtype).max
                yield rgba[..., :3] if opaque else premultiplied(rgba)
    except av.FFmpegError as error:
        raise damaged(path, error) from error


def frame_times(path: Path) -> list[int]:
    """When each frame of an image begins, in its format's ticks. Decodes it: a format's header does not say.

    Raises:
        InputError: a frame cannot be decoded.
    """
    with opened(path) as image:
        tick = tick_of(image)
        times, now = [], Fraction(0)
        pages = set(frames_in(image))
        try:
            for i, frame in enumerate(ImageSequence.Iterator(image)):
                if i not in pages:
                    continue
                if len(pages) > 1:
                    frame.load()  # WebP knows a frame's duration only then
                times.append(round(now / tick))
                duration = Fraction(frame.info.get("duration", 0)).limit_denominator(100_000)
                shortest = SHORTEST if image.format == "GIF" else 0
                now += (duration if duration > shortest else BROWSER_DELAY) * MILLISECOND
        except BROKEN as error:
            raise damaged(path, error) from error
    return times


def timing_of(path: Path, times: list[int]) -> Timing:
    """The constant rate of an image; a stack of TIFF pages has none and gets the default."""
    with opened(path) as image:
        if image.format == "TIFF":
            return Timing(DEFAULT_FPS, uniform=True)
        return measure(times, tick=tick_of(image))


def natural(path: Path) -> list[tuple[int, int, str]]:
    """A sort key by which 2.png comes before 10.png."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]


def frames_of(folder: Path) -> list[Path]:
    """The images of a folder in natural order; hidden files and other kinds are passed over.

    Raises:
        InputError: it has none.
    """
    PIL.Image.init()
    known = {ending for ending, kind in PIL.Image.registered_extensions().items() if kind in FORMATS}
    files = [file for file in folder.iterdir() if not file.name.startswith(".")]
    paths = sorted((file for file in without_results(files) if file.suffix.lower() in known), key=natural)
    if not paths:
        raise InputError(f"{folder} is a folder with no images in it: give a folder of frames, such as 0.png, 1.png")
    return paths


def folder_fps(first: Path) -> Fraction:
    """The rate that ``dyntex`` noted in the frames it wrote, else 25."""
    with _frame(first) as image:
        noted = str(image.info.get(FPS_KEY, ""))
    return Fraction(noted) if re.fullmatch(r"[1-9]\d*(/[1-9]\d*)?", noted) else DEFAULT_FPS


def folder_footage(folder: Path, *, start: int, n_frames: int | None, notice: Notice) -> Footage:
    """The images of a folder as frames, in natural order (their first frames, where they are animated)."""
    notice = once(notice)
    paths = frames_of(folder)
    wanted = window(paths, start, n_frames, name=folder)
    return Footage(folder_fps(paths[0]), _folder(wanted, paths, notice))


def _folder(wanted: Iterator[Path], paths: list[Path], notice: Notice) -> Iterator[Image]:
    first = paths[0]
    with _frame(first) as image:
        size = upright_size(image)
        deep = white_of([image])[0] is not None
    # One white for all: that of each frame's own levels would flicker.
    white, sentence = white_of(_first_pages(paths)) if deep else (None, "")
    if white is not None:
        notice(sentence)
    for path in wanted:
        with _frame(path) as image:
            frame = to_rgb(image, white=white, notice=notice)
        if frame.shape[1::-1] != size:
            raise InputError(
                f"{path} is {frame.shape[1]}x{frame.shape[0]} pixels and {first.name} is {size[0]}x{size[1]}: "
                "give a folder of frames of one size"
            )
        yield frame


def _first_pages(paths: list[Path]) -> Iterator[PIL.Image.Image]:
    for path in paths:
        with _frame(path) as image:
            yield image


@contextmanager
def _frame(path: Path) -> Iterator[PIL.Image.Image]:
    try:
        with opened(path) as image:
            yield image
    except PIL.UnidentifiedImageError as error:
        raise damaged(path, ValueError("its ending says image, its content does not")) from error
