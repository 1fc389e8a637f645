"""Images, animated images, and folders of frames, through Pillow (the reader that imageio itself uses for them)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
from PIL import ImageOps, ImageSequence

from dyntex.errors import InputError
from dyntex.media.footage import DEFAULT_FPS, Footage, Image, Notice, check_pixels, window
from dyntex.media.pixels import premultiplied
from dyntex.media.timing import Timing, measure, resample

# Named, because Pillow also takes MPEG video for one of its images, and guesses at formats that have no signature.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "AVIF", "TIFF", "BMP", "PPM", "JPEG2000")
TICKS = {"GIF": Fraction(1, 100), "PNG": Fraction(1, 120_000)}  # seconds; PNG's hold 1001/30000 and its like exactly
MILLISECOND = Fraction(1, 1000)
EXIF_ORIENTATION = 0x0112  # the tag; its values 5 to 8 lie on a side
MIRRORED_COLUMNS, MIRRORED_ROWS = (2, 3, 6, 7), (3, 4, 7, 8)  # once those that lie on a side are transposed
DEEP = re.compile(r"(RGB|RGBA|LA);16[BLN]")  # Pillow's names of the stored pixels that it cuts to 8 bits
# Browsers show a GIF's frame that asks for 10 ms or less, and any other's that asks for none, for 100 ms.
SHORTEST, BROWSER_DELAY = 10, 100
FPS_KEY = "dyntex:fps"  # a text chunk in each PNG of a folder, which has no rate otherwise


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
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(path, error) from error
    with image:
        check_pixels(path, *image.size)
        yield image


def damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be decoded ({' '.join(str(error).split())}): the image is damaged or cut short")


def tick_of(image: PIL.Image.Image) -> Fraction:
    """Seconds to which the durations of an image's frames are written."""
    return TICKS.get(image.format or "", MILLISECOND)


def upright_size(image: PIL.Image.Image) -> tuple[int, int]:
    """``(width, height)`` once it is turned by its EXIF tag; nothing is decoded."""
    sideways = image.getexif().get(EXIF_ORIENTATION, 1) >= 5
    return image.size[::-1] if sideways else image.size


def is_image(path: Path) -> bool:
    """Whether Pillow knows the file's signature."""
    try:
        with opened(path):
            return True
    except PIL.UnidentifiedImageError:
        return False


def to_rgb(image: PIL.Image.Image) -> Image:
    """The current frame as RGB, upright by its EXIF tag, in 16 bits where it has so many.

    Where it has transparency there are four channels, the colours premultiplied.

    Raises:
        InputError: floating-point pixels, whose white nobody knows.
    """
    path = Path(getattr(image, "filename", "the image"))
    try:
        if (deep := _deep(image, path)) is not None:
            return deep
        turned = ImageOps.exif_transpose(image)
        if turned.mode == "F":
            raise InputError(f"{path} has floating-point pixels, which have no agreed white: convert it to 8 bits")
        if turned.mode.startswith("I"):  # 16-bit grey; Pillow's own convert() would clip it at 255
            grey = np.asarray(turned).clip(0, 65535).astype(np.uint16)
            return np.repeat(grey[..., None], 3, axis=2)
        if turned.has_transparency_data:
            return premultiplied(np.asarray(turned.convert("RGBA")))
        return np.array(turned.convert("RGB"))
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise damaged(path, error) from error


def _deep(image: PIL.Image.Image, path: Path) -> Image | None:
    """A still of 16 bits and several channels, of which Pillow keeps the upper 8; None for any other."""
    tiles = getattr(image, "tile", None) or [(None, None, None, "")]
    stored = tiles[0][3]
    kind = stored[0] if isinstance(stored, tuple) else stored
    if getattr(image, "n_frames", 1) > 1 or not DEEP.fullmatch(str(kind)) or "transparency" in image.info:
        return None  # a colour key among 16 bits is Pillow's to understand
    image.load()  # for Pillow's word on damage: OpenCV passes over some of it
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    orientation = image.getexif().get(EXIF_ORIENTATION, 1)
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in MIRRORED_ROWS else 1)
    columns = slice(None, None, -1 if orientation in MIRRORED_COLUMNS else 1)
    upright = pixels[rows, columns, [2, 1, 0, 3][: pixels.shape[2]]]
    return premultiplied(upright) if upright.shape[2] == 4 else upright


def footage(path: Path, *, start: int, n_frames: int | None, notice: Notice) -> Footage:
    """Frames of one image (T = 1, 25 frames per second), or of an animated one at its own rate."""
    times = frame_times(path)
    timing = timing_of(path, times)
    if not timing.uniform:
        notice(f"the frame rate varies; frames were resampled to a constant {float(timing.fps):.4g} per second")
    return Footage(timing.fps, window(_animation(path, times, timing), start, n_frames, name=path))


def _animation(path: Path, times: list[int], timing: Timing) -> Iterator[Image]:
    with opened(path) as image:
        # An animated PNG may carry a still for old readers, which is no frame of the animation.
        frames = (
            to_rgb(frame)
            for i, frame in enumerate(ImageSequence.Iterator(image))
            if i >= int(getattr(image, "default_image", False))
        )
        if timing.uniform:
            yield from frames
        else:
            yield from resample(zip(times, frames, strict=True), timing.fps, tick=tick_of(image))


def frame_times(path: Path) -> list[int]:
    """When each frame of an image begins, in its format's ticks. Decodes it: a format's header does not say.

    Raises:
        InputError: a frame cannot be decoded.
    """
    with opened(path) as image:
        tick = tick_of(image)
        times, now = [], Fraction(0)
        try:
            for i, frame in enumerate(ImageSequence.Iterator(image)):
                if i < int(getattr(image, "default_image", False)):
                    continue
                if getattr(image, "n_frames", 1) > 1:
                    frame.load()  # WebP knows a frame's duration only then
                times.append(round(now / tick))
                duration = Fraction(frame.info.get("duration", 0)).limit_denominator(100_000)
                shortest = SHORTEST if image.format == "GIF" else 0
                now += (duration if duration > shortest else BROWSER_DELAY) * MILLISECOND
        except (OSError, SyntaxError, ValueError, EOFError) as error:
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
    files = (file for file in folder.iterdir() if file.suffix.lower() in known and not file.name.startswith("."))
    paths = sorted(files, key=natural)
    if not paths:
        raise InputError(f"{folder} is a folder with no images in it: give a folder of frames, such as 0.png, 1.png")
    return paths


def folder_fps(first: Path) -> Fraction:
    """The rate that ``dyntex`` noted in the frames it wrote, else 25."""
    with _frame(first) as image:
        noted = str(image.info.get(FPS_KEY, ""))
    return Fraction(noted) if re.fullmatch(r"[1-9]\d*(/[1-9]\d*)?", noted) else DEFAULT_FPS


def folder_footage(folder: Path, *, start: int, n_frames: int | None, notice: Notice) -> Footage:
    """The images of a folder as frames, in natural order (their first frames, where they are animated).

    ``notice`` is not called: nothing is done to them.
    """
    paths = frames_of(folder)
    wanted = window(paths, start, n_frames, name=folder)
    return Footage(folder_fps(paths[0]), _folder(wanted, paths[0]))


def _folder(paths: Iterator[Path], first: Path) -> Iterator[Image]:
    with _frame(first) as image:
        size = upright_size(image)
    for path in paths:
        with _frame(path) as image:
            frame = to_rgb(image)
        if frame.shape[1::-1] != size:
            raise InputError(
                f"{path} is {frame.shape[1]}x{frame.shape[0]} pixels and {first.name} is {size[0]}x{size[1]}: "
                "give a folder of frames of one size"
            )
        yield frame


@contextmanager
def _frame(path: Path) -> Iterator[PIL.Image.Image]:
    try:
        with opened(path) as image:
            yield image
    except PIL.UnidentifiedImageError as error:
        raise damaged(path, ValueError("its ending says image, its content does not")) from error
