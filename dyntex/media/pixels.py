"""Between a clip's floats and a file's levels: depth, and alpha.

A clip's colours are premultiplied by alpha; files hold them straight, as WebM, ProRes 4444, PNG and WebP all define it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import PIL.ImageColor
import torch

from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.media.footage import Image

Colour = tuple[int, int, int]  # 0 to 255
OPAQUE = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
UNIT = 65535 // 255  # 257: an 8-bit level in 16 bits, exactly


def parse_colour(text: str) -> Colour:
    """A colour by its CSS name or as ``#rrggbb``.

    Raises:
        UsageError: neither.
    """
    try:
        red, green, blue, *_ = PIL.ImageColor.getrgb(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a colour: give a name such as black, or #rrggbb") from None
    return red, green, blue


def premultiplied(rgba: Image) -> Image:
    """``(H, W, 4)`` with straight alpha to the same with colours multiplied by it.

    An opaque image stays as it is; another is given back in 16 bits, from which :func:`levels` finds every 8-bit
    colour again: the rounding, half of 1/65535, is at most 0.496 of a level of colour where alpha is 1/255.
    """
    top = OPAQUE[rgba.dtype]
    if int(rgba[..., 3].min()) == top:
        return rgba
    colour, alpha = rgba[..., :3].astype(np.uint32), rgba[..., 3:].astype(np.uint32)  # 65535^2 + 32767 is below 2^32
    scale = 65535 // top
    product = (colour * alpha * scale + top // 2) // top
    return np.concatenate([product, alpha * scale], axis=2).astype(np.uint16)


def stacked(frames: list[Image]) -> Image:
    """Frames of one size to ``(T, H, W, C)`` of as many bits as the deepest, without alpha where all are opaque.

    An alpha of 254/255 is opaque: lossy codecs make it of 255, and no eye sees it.
    """
    clear = any(frame.shape[2] == 4 and int(frame[..., 3].min()) / OPAQUE[frame.dtype] < 254 / 255 for frame in frames)
    deep = any(frame.dtype == np.uint16 for frame in frames)
    return np.stack([_as(frame, channels=4 if clear else 3, deep=deep) for frame in frames])


def _as(frame: Image, *, channels: int, deep: bool) -> Image:
    if deep and frame.dtype == np.uint8:
        frame = frame.astype(np.uint16) * np.uint16(UNIT)
    if frame.shape[2] >= channels:
        return frame[..., :channels]
    return np.pad(frame, ((0, 0), (0, 0), (0, 1)), constant_values=OPAQUE[frame.dtype])


def levels(clip: Clip, *, bits: int) -> Iterator[Image]:
    """Each frame of a clip as a file holds it: rounded to ``bits``, alpha straight, grey as RGB.

    ``(H, W, 3 or 4)`` uint8 for 8 bits; uint16 for 9 to 16, the levels spread over all of it as swscale spreads them,
    so that its conversion to a format of so many bits is exact.
    """
    top = 2**bits - 1
    for frame in clip.video.unbind(1):
        unit = (frame.permute(1, 2, 0).numpy() + np.float32(1)) / np.float32(2)
        rounded = np.rint(unit * np.float32(top))
        if clip.channels == 1:
            rounded = rounded.repeat(3, axis=2)
        elif clip.channels == 4:
            # By the rounded alpha: what is seen is their product, and it stays what was meant.
            alpha = rounded[..., 3:]
            straight = np.rint(unit[..., :3].astype(np.float64) * top * top / np.maximum(alpha, 1)).clip(0, top)
            rounded[..., :3] = np.where(alpha > 0, straight, 0)
        if bits == 8:
            yield rounded.astype(np.uint8)
        else:
            whole = rounded.astype(np.uint32)
            yield (whole << (16 - bits) | whole >> (2 * bits - 16)).astype(np.uint16)


def flatten(clip: Clip, background: Colour) -> Clip:
    """A clip over a colour, and so without alpha; one that has none is given back as it is."""
    if clip.channels != 4:
        return clip
    colour = torch.tensor(background, dtype=torch.float32).div(127.5).sub(1.0).view(3, 1, 1, 1)
    clear = clip.video[3:].sub(1.0).div(-2.0)  # 1 - alpha
    # (p + 1) / 2 + (1 - alpha) (b + 1) / 2, on the scale of [-1, 1].
    return Clip((clip.video[:3] + clear * (colour + 1.0)).clamp_(-1.0, 1.0), clip.fps)


def flattened(chunks: Iterable[Clip], background: Colour | None) -> Iterator[Clip]:
    """Each clip over a colour, where one is given."""
    for chunk in chunks:
        yield chunk if background is None else flatten(chunk, background)


def bled(rgba: Image) -> Image:
    """``(H, W, 4)`` with straight alpha, in which what is clear has the colour of the nearest pixel that is not.

    It is not seen, but whatever interpolates colours without looking at alpha (4:2:0 video, a codec's transform, a
    game engine's texture filter) mixes it into the edge, where the black that it would be else is seen.
    """
    clear = rgba[..., 3] == 0
    if not clear.any() or clear.all():
        return rgba
    _, label = cv2.distanceTransformWithLabels(
        clear.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    nearest = np.zeros(label.max() + 1, np.int64)
    nearest[label[~clear]] = np.flatnonzero(~clear)
    colour = rgba[..., :3].reshape(-1, 3)[nearest[label]]
    return np.concatenate([colour, rgba[..., 3:]], axis=2)
