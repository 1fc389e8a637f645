"""One decoded video frame to RGB, by the matrix and range that its tags, or the customs of players, say."""

from __future__ import annotations

from dataclasses import dataclass

import av
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from dyntex.errors import InputError
from dyntex.media.display import STRAIGHT, display_of
from dyntex.media.footage import Image, Notice
from dyntex.media.light import is_float, linear_to_rgb
from dyntex.media.pixels import premultiplied

# Measured: without the full-chroma and accurate-rounding flags, swscale is off by a level or two of 255.
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP

# ITU-T H.273 matrix coefficients, table 4 (the tag in a file) -> the name to print, swscale's matrix.
MATRICES = {
    1: ("bt709", Colorspace.ITU709),
    4: ("fcc", Colorspace.FCC),
    5: ("bt470bg", Colorspace.ITU601),
    6: ("smpte170m", Colorspace.ITU601),
    7: ("smpte240m", Colorspace.SMPTE240M),
    9: ("bt2020nc", Colorspace.BT2020),
    10: ("bt2020c", Colorspace.BT2020),
}
PACKED = {8: ("rgb24", "rgba"), 16: ("rgb48le", "rgba64le")}  # by bits; without and with alpha
UNTAGGED = (0, 2, 3)  # 0 says RGB: on a YUV frame it is a tag left over
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
WIDE = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}  # table 2
HD_HEIGHT, HD_WIDTH = 720, 1280


def has_alpha(pixels: av.VideoFormat) -> bool:
    return any(component.is_alpha for component in pixels.components)


def depth(pixels: av.VideoFormat) -> int:
    """Bits of the finest channel."""
    bits: int = max(component.bits for component in pixels.components)
    return bits


def matrix(frame: av.VideoFrame) -> tuple[str, Colorspace]:
    """The name and the matrix of a frame; untagged, BT.709 for HD and BT.601 below, as players assume.

    Raises:
        InputError: a matrix that is not converted (YCgCo, ICtCp and the like).
    """
    if frame.format.is_rgb or frame.format.name.startswith("pal"):
        return "rgb", Colorspace.ITU709
    if frame.colorspace in UNTAGGED:
        # Width too: a letterboxed HD film has fewer lines.
        return MATRICES[1 if frame.height >= HD_HEIGHT or frame.width >= HD_WIDTH else 6]
    if frame.colorspace not in MATRICES:
        raise InputError(f"the colour matrix {frame.colorspace} (ITU-T H.273) is not read: convert the video to BT.709")
    return MATRICES[frame.colorspace]


def is_full_range(frame: av.VideoFrame) -> bool:
    """Whether 0 is black and 255 white (RGB and grey unless tagged, and ``yuvj`` formats), or 16 and 235."""
    name: str = frame.format.name
    if frame.format.is_rgb or name.startswith(("yuvj", "pal")):
        return True
    if frame.color_range == ColorRange.UNSPECIFIED:
        return name.startswith(("gray", "ya", "mono"))
    return bool(frame.color_range == ColorRange.JPEG)


def is_tagged(frame: av.VideoFrame) -> bool:
    """Whether the matrix is the file's own word and not the custom's."""
    return matrix(frame)[0] == "rgb" or frame.colorspace not in UNTAGGED


@dataclass(frozen=True)
class Shown:
    """How the frames of a stream are displayed: what the container says of all of them.

    Attributes:
        crop: pixels to be cut off: top, bottom, left, right, of the frame as it is decoded.
    """

    crop: tuple[int, int, int, int] = (0, 0, 0, 0)

    def cut(self, image: Image) -> Image:
        """(H, W, C) as decoded, without what is not to be seen; a crop that leaves nothing is none."""
        height, width = image.shape[:2]
        top, bottom, left, right = self.crop
        if top + bottom >= height or left + right >= width:
            return image
        return image[top : height - bottom, left : width - right]


WHOLE = Shown()


def to_rgb(frame: av.VideoFrame, notice: Notice, shown: Shown = WHOLE) -> Image:
    """A decoded frame of any pixel format to RGB as it is displayed, in 16 bits where it has more than 8.

    Where the format has alpha there are four channels, the colours premultiplied. A file's alpha is taken for straight,
    as all formats that are written here have it; FFmpeg knows of no other in what it reads, but for OpenEXR's.
    """
    _say(frame, notice)
    display = display_of(frame)
    if display.skew > STRAIGHT:
        notice(f"the file asks for a turn by {display.skew} degrees beside a quarter, which is not made")
    rgb = linear_to_rgb(frame, notice) if is_float(frame.format) else _converted(frame)
    return display.apply(shown.cut(rgb))


def _converted(frame: av.VideoFrame) -> Image:
    alpha, bits = has_alpha(frame.format), depth(frame.format)
    rgb: Image = frame.reformat(
        format=PACKED[16 if bits > 8 else 8][alpha],
        src_colorspace=matrix(frame)[1],
        src_color_range=ColorRange.JPEG if is_full_range(frame) else ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=EXACT,
        threads=1,  # measured at 1280x720: a second thread makes it slower
    ).to_ndarray()
    if not alpha:
        return rgb
    if bits > 8:  # swscale shifts the alpha of YUV up, so that ProRes 4444 were nowhere opaque; spread it
        rgb[..., 3] |= rgb[..., 3] >> bits
    return premultiplied(rgb)


def _say(frame: av.VideoFrame, notice: Notice) -> None:
    if frame.color_trc in HDR_TRANSFERS:
        notice(f"the video is HDR ({HDR_TRANSFERS[frame.color_trc]}); read as it is, without tone mapping")
    elif frame.color_primaries in WIDE:
        notice(f"the video has {WIDE[frame.color_primaries]} primaries; its colours are taken for BT.709's")
    if frame.interlaced_frame:
        notice("the video is interlaced, and is read without deinterlacing")
