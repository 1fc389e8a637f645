"""The current page of an image to RGB: upright, of all its bits, in sRGB."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image
import tifffile
from PIL import ImageOps

from dyntex.errors import InputError
from dyntex.media.footage import Image, Notice, ignore
from dyntex.media.light import gamma_to_srgb, profile_to_srgb
from dyntex.media.pixels import premultiplied

# What goes wrong in an image is said in one line of ours; OpenCV would print its own, past any --quiet.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

# What Pillow and tifffile raise at a file that is not what it says.
BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    TypeError,
    LookupError,
    ArithmeticError,
    struct.error,
    zlib.error,
    PIL.Image.DecompressionBombError,
)
EXIF_ORIENTATION = 0x0112  # the tag; its values 5 to 8 lie on a side
MIRRORED_COLUMNS, MIRRORED_ROWS = (2, 3, 6, 7), (3, 4, 7, 8)  # once those that lie on a side are transposed
DEEP = re.compile(r"(RGB|RGBA|LA);16[BLN]")  # Pillow's names of the stored pixels that it cuts to 8 bits
BITS_PER_SAMPLE, SAMPLE_FORMAT = 258, 339  # TIFF's tags
UNSIGNED = 1
NARROW = (8, 10, 12)  # bits that cameras store in 16


def damaged(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split()) or type(error).__name__
    return InputError(f"{path} cannot be decoded ({reason}): the image is damaged or cut short")


def to_rgb(image: PIL.Image.Image, *, white: int | None = None, notice: Notice = ignore) -> Image:
    """The current page as RGB, upright by its EXIF tag, in 16 bits where it has so many.

    Where it has transparency there are four channels, the colours premultiplied.

    Args:
        image: of Pillow's.
        white: the level of a 16-bit page that is white; None for 65535.
        notice: called with a sentence where colours are converted.

    Raises:
        InputError: pixels whose white nobody knows: floating point, or integers of 32 bits.
    """
    path = Path(getattr(image, "filename", "the image"))
    try:
        _check_white(image, path)
        if (deep := _deep(image)) is not None:
            if "icc_profile" not in image.info:
                return _premultiplied(gamma_to_srgb(image, _scaled(deep, white)))
            notice("the image has a colour profile, for which its 16 bits are read as 8")
        turned = ImageOps.exif_transpose(image)
        if turned.mode.startswith("I"):  # 16-bit grey; Pillow's own convert() would clip it at 255
            grey = np.asarray(turned).clip(0, 65535).astype(np.uint16)
            return gamma_to_srgb(image, _scaled(np.repeat(grey[..., None], 3, axis=2), white))
        turned = profile_to_srgb(turned, notice)
        mode = "RGBA" if turned.has_transparency_data else "RGB"
        return _premultiplied(gamma_to_srgb(image, np.array(turned.convert(mode))))
    except BROKEN as error:
        raise damaged(path, error) from error


def _check_white(image: PIL.Image.Image, path: Path) -> None:
    if image.mode == "F":
        raise InputError(f"{path} has floating-point pixels, which have no agreed white: convert it to 8 or 16 bits")
    tags: Any = getattr(image, "tag_v2", {})
    if image.mode.startswith("I") and max(tags.get(BITS_PER_SAMPLE, (16,))) > 16:
        raise InputError(f"{path} has integers of 32 bits, which have no agreed white: convert it to 16 bits")
    if image.mode.startswith("I") and max(tags.get(SAMPLE_FORMAT, (UNSIGNED,))) > UNSIGNED:
        raise InputError(f"{path} has signed integers, which have no agreed black: convert it to unsigned 16 bits")


def _premultiplied(rgb: Image) -> Image:
    return premultiplied(rgb) if rgb.shape[2] == 4 else rgb


def _scaled(levels: Image, white: int | None) -> Image:
    if white is None:
        return levels
    top = np.minimum(levels.astype(np.uint32), white)
    return ((top * 65535 + white // 2) // white).astype(np.uint16)


def _deep(image: PIL.Image.Image) -> Image | None:
    """A page of 16 bits and several channels, of which Pillow keeps the upper 8; None for any other.

    (H, W, 3 or 4) uint16, upright, alpha straight.
    """
    if not is_deep(image):
        return None
    orientation = image.getexif().get(EXIF_ORIENTATION, 1)  # which Pillow forgets when it has turned a TIFF
    image.load()  # for Pillow's word on damage: others pass over some of it
    pixels = _tiff(image) if image.format == "TIFF" else _decoded(image)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3 or pixels.shape[2] not in (3, 4):
        return None
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows = slice(None, None, -1 if orientation in MIRRORED_ROWS else 1)
    columns = slice(None, None, -1 if orientation in MIRRORED_COLUMNS else 1)
    return np.ascontiguousarray(pixels[rows, columns])


def is_deep(image: PIL.Image.Image) -> bool:
    """Whether the current page has 16 bits in several channels."""
    tiles = getattr(image, "tile", None) or [(None, None, None, "")]
    stored = tiles[0][3]
    kind = stored[0] if isinstance(stored, tuple) else stored
    if image.format == "TIFF" and image.mode in ("RGB", "RGBA"):
        return set(getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, ())) == {16}
    # A colour key among 16 bits is Pillow's to understand.
    return DEEP.fullmatch(str(kind)) is not None and "transparency" not in image.info


def _decoded(image: PIL.Image.Image) -> Image | None:
    # From the bytes, because OpenCV does not open every name.
    held = np.fromfile(getattr(image, "filename", ""), np.uint8)
    pixels: npt.NDArray[Any] | None = cv2.imdecode(held, cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.ndim != 3 or pixels.dtype != np.uint16:
        return None
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _tiff(image: PIL.Image.Image) -> Image | None:
    name = getattr(image, "filename", "")
    try:
        with tifffile.TiffFile(name) as file:
            page = file.pages[image.tell()]
            pixels: npt.NDArray[Any] = page.asarray()
            return np.moveaxis(pixels, 0, -1) if page.axes.startswith("S") else pixels
    except (*BROKEN, tifffile.TiffFileError):
        pass  # a compression that tifffile leaves to another package, and FFmpeg knows
    if image.tell():
        return None
    try:
        with av.open(f"file:{name}", format="tiff_pipe") as container:
            frame = next(container.decode(video=0))
            alpha = any(component.is_alpha for component in frame.format.components)
            stored: Image = frame.to_ndarray(format="rgba64le" if alpha else "rgb48le")
            return stored
    except (av.FFmpegError, StopIteration, IndexError, ValueError):
        return None


def white_of(pages: list[PIL.Image.Image] | Any) -> tuple[int | None, str]:
    """What is white in 16-bit TIFF pages, and a sentence where it is not 65535.

    Cameras store 10 or 12 bits in 16 and say so nowhere; levels that nowhere go beyond those are taken for them.
    """
    top = 0
    for page in pages:
        if page.format != "TIFF" or not (page.mode.startswith("I;16") or is_deep(page)):
            return None, ""
        deep = _deep(page)
        levels = np.asarray(page) if deep is None else deep
        top = max(top, int(levels.max()))
        if top >= 2 ** NARROW[-1]:
            return None, ""
    bits = next(n for n in NARROW if top < 2**n)
    if not top:
        return None, ""
    return 2**bits - 1, (
        f"the 16-bit levels go up to {top} alone, so they are taken for {bits} bits, of which {2**bits - 1} is white"
    )
