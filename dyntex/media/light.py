"""Linear light and colour profiles of stills, brought to sRGB, which is what a clip's levels are."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import ImageCms

from dyntex.media.footage import Image, Notice

Floats = npt.NDArray[np.floating[Any]]
SRGB_GAMMA = 0.45455  # what a PNG's gAMA chunk says of sRGB
SLACK = 0.05


def srgb(linear: Floats) -> Floats:
    """Linear light in [0, 1] to sRGB's levels in [0, 1] (IEC 61966-2-1)."""
    light = np.clip(linear, 0.0, 1.0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def is_float(pixels: av.VideoFormat) -> bool:
    return "f16" in pixels.name or "f32" in pixels.name


def linear_to_rgb(frame: av.VideoFrame, notice: Notice) -> Image:
    """A frame of floating point (OpenEXR, Radiance, PFM), which is linear light, to (H, W, 3 or 4) uint16.

    What is brighter than 1 is white. OpenEXR's colours are premultiplied, in light; a clip's are in levels.
    """
    notice("the picture is linear light, shown by the sRGB curve; what is brighter than 1 is white")
    planar = frame.format.name.startswith("gbr")
    wanted = ("gbrapf32le" if "gbrap" in frame.format.name else "gbrpf32le") if planar else "grayf32le"
    values = (frame if frame.format.name == wanted else frame.reformat(format=wanted)).to_ndarray()
    values = np.nan_to_num(np.atleast_3d(values).astype(np.float64), posinf=1.0, neginf=0.0)
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    if values.shape[2] == 4:
        alpha = np.clip(values[..., 3:], 0.0, 1.0)
        colour = srgb(values[..., :3] / np.maximum(alpha, 1e-6)) * alpha
        values = np.concatenate([colour, alpha], axis=2)
    else:
        values = srgb(values)
    levels: Image = np.rint(values * 65535).astype(np.uint16)
    return levels


def gamma_to_srgb(image: PIL.Image.Image, rgb: Image) -> Image:
    """(H, W, 3 or 4) of a PNG whose gAMA chunk says another curve than sRGB's, by its curve; any other as it is."""
    gamma = image.info.get("gamma")
    if not isinstance(gamma, float) or gamma <= 0 or abs(gamma / SRGB_GAMMA - 1) < SLACK:
        return rgb
    if "srgb" in image.info or "icc_profile" in image.info:
        return rgb
    top = np.iinfo(rgb.dtype).max
    curve = np.rint(srgb((np.arange(top + 1) / top) ** (1 / gamma)) * top).astype(rgb.dtype)
    return np.concatenate([curve[rgb[..., :3]], rgb[..., 3:]], axis=2)


def profile_to_srgb(image: PIL.Image.Image, notice: Notice) -> PIL.Image.Image:
    """An image with a colour profile as RGB, or RGB and alpha, in sRGB; one without as it is.

    A profile that cannot be read, or changes nothing, is passed over.
    """
    held = image.info.get("icc_profile")
    if not held:
        return image
    alpha = image.convert("RGBA").getchannel("A") if image.has_transparency_data else None
    mode = image.mode if image.mode in ("L", "CMYK") else "RGB"
    plain = image if image.mode == mode else image.convert(mode)
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(held))
        transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
        name = ImageCms.getProfileDescription(profile).strip()
        if mode != "CMYK" and _changes_nothing(transform, mode):
            return image
        converted = ImageCms.applyTransform(plain, transform)
    except (ImageCms.PyCMSError, OSError, ValueError):
        notice("the image has a colour profile that cannot be read, and is taken for sRGB")
        return image
    if converted is None:
        return image
    notice(f"the colours were converted from {name or 'a colour profile'} to sRGB")
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _changes_nothing(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform leaves a cube of colours as it is, to a level of rounding."""
    steps = np.linspace(0, 255, 9).astype(np.uint8)
    cube = steps[:, None] if mode == "L" else np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    before = PIL.Image.fromarray(cube.reshape(1, -1) if mode == "L" else cube[None])
    after = ImageCms.applyTransform(before, transform)
    if after is None:
        return True
    difference = np.asarray(after).astype(int) - np.asarray(before.convert("RGB")).astype(int)
    return int(np.abs(difference).max()) <= 2
