"""Which pixels of a clip are missing: a mask from a picture, a video, an array, or a colour painted over the damage.

A mask is a boolean ``(T, H, W)`` tensor, true where the pixel is missing, in all channels at once.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError
from dyntex.media import read_clip
from dyntex.media.paths import place_of

KEY = re.compile(r"#[0-9a-fA-F]{6}")
KEY_TOLERANCE = 40
"""Levels of 255 by which each channel may miss the key: lossy video changes a painted colour, most at its edges."""
ARRAYS = (".npy", ".npz")
GREY_TOLERANCE = 12
"""Levels of 255 by which lossy colours of a grey picture differ."""
FAINT, FEW = 16, 32
"""Levels by which black and white may be missed in a picture of more than so many shades."""


def is_key(source: str) -> bool:
    """Whether a mask is given as a colour, ``#rrggbb``."""
    return KEY.fullmatch(source) is not None


def read_mask(source: str, clip: Clip, *, grow: int = 0) -> Tensor:
    """The missing pixels of a clip.

    Args:
        source: an image, for all frames alike; a video or folder with a frame for each of the clip's, missing where
            :func:`marked` says; an ``.npy`` or ``.npz`` of
            (H,W) or (T,H,W) (the array named ``mask``, or the only one), missing where it is not 0; or a colour key
            ``#rrggbb``, missing where every channel is within ``KEY_TOLERANCE`` levels of it.
        clip: what is damaged; the mask must be of its size and length.
        grow: pixels by which every missing region is widened, against edges that a mask leaves standing.

    Returns:
        (T, H, W), bool.

    Raises:
        InputError: the mask cannot be read, is of another size or length, or marks nothing or everything.
    """
    if is_key(source):
        missing = keyed(clip, source)
    elif place_of(source).suffix.lower() in ARRAYS:
        missing = read_array(place_of(source))
    else:
        # One frame more than the clip has, so that a mask that is too long is noticed.
        missing = marked(read_clip(source, n_frames=clip.n_frames + 1), name=source)
    if missing.shape[1:] != (clip.height, clip.width):
        raise InputError(
            f"the mask {source} has {missing.shape[2]}x{missing.shape[1]} pixels and the clip {clip.width}x"
            f"{clip.height}: give one of the clip's size"
        )
    if len(missing) not in (1, clip.n_frames):
        raise InputError(
            f"the mask {source} has {_frames(len(missing), clip.n_frames)} and the clip has {clip.n_frames}: "
            "give as many, or one for all"
        )
    missing = grown(missing, grow).expand(clip.n_frames, -1, -1).contiguous()
    check_mask(missing, name=f"the mask {source}")
    return missing


def marked(mask: Clip, *, name: str) -> Tensor:
    """Where a mask that was read as pictures marks its pixels: (T, H, W), bool.

    Wherever it is not black: labels, objects by colours, 0 and 1. But grey with mid-tones, as soft edges and lossy
    files have them, marks what is brighter than mid-grey.

    Raises:
        InputError: it is grey with mid-tones, none of them bright: what it marks is not clear.
    """
    levels = (mask.video[:3] + 1.0) * 127.5
    top = levels.amax(0)
    shades = torch.unique(top)
    few = len(shades) <= FEW and float(shades[0]) == 0.0  # as labels are, of which 0 is none; of 16 bits, 1 is a 257th
    # Lossy colours are off by a few levels where grey was meant.
    if bool((top - levels.amin(0) > GREY_TOLERANCE).any()):
        return top > (0.0 if few else FAINT)
    is_bright = float(shades[-1]) > 127.5
    has_mid_tones = bool(((shades > FAINT) & (shades < 255.0 - FAINT)).any())
    if few and not (is_bright and has_mid_tones):
        return top > 0.0
    if is_bright:
        return levels.mean(0) > 127.5
    raise InputError(
        f"the mask {name} is dark grey in {len(shades)} shades, none brighter than mid-grey: save it as a black and "
        "white PNG"
    )


def check_mask(missing: Tensor, *, name: str = "the mask") -> None:
    """Whether there is something to recover, and something to recover it from.

    Raises:
        InputError: no pixel is missing, or all are.
    """
    if not bool(missing.any()):
        raise InputError(f"{name} marks no pixel as missing: there is nothing to recover")
    if bool(missing.all()):
        raise InputError(f"{name} marks every pixel as missing: nothing is left to learn from")


def grown(missing: Tensor, n_pixels: int) -> Tensor:
    """Widened by ``n_pixels`` in every direction of the frame: (T, H, W) -> the same.

    Raises:
        UsageError: fewer than 0 pixels.
    """
    if n_pixels < 0:
        raise UsageError(f"a mask cannot grow by {n_pixels} pixels: give 0 or more")
    if n_pixels == 0:
        return missing
    return F.max_pool2d(missing[:, None].float(), 2 * n_pixels + 1, stride=1, padding=n_pixels)[:, 0] > 0.0


def keyed(clip: Clip, key: str) -> Tensor:
    """Where a clip has the colour ``#rrggbb``: (T, H, W), bool. A grey clip is compared channel by channel too."""
    colour = torch.tensor([int(key[i : i + 2], 16) for i in (1, 3, 5)], dtype=torch.float32)
    levels = (clip.video[:3] + 1.0) * 127.5
    missing: Tensor = ((levels - colour.view(3, 1, 1, 1)).abs() <= KEY_TOLERANCE).all(0)
    return missing


def read_array(path: Path) -> Tensor:
    """A mask from an ``.npy`` or ``.npz``, of whatever size and length: (T, H, W), of one frame for an (H, W) array.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        array = loaded if isinstance(loaded, np.ndarray) else _member(path, loaded)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"the mask {path} cannot be read ({reason}): save it as a (T,H,W) or (H,W) array") from error
    if array.ndim not in (2, 3) or array.dtype.kind not in "bui":
        raise InputError(
            f"the mask {path} holds a {array.shape} {array.dtype} array: save it as (T,H,W) or (H,W), integers or bool"
        )
    frames = array[None] if array.ndim == 2 else array
    return torch.from_numpy(np.ascontiguousarray(frames != 0))


def _member(path: Path, archive: np.lib.npyio.NpzFile) -> np.ndarray:
    with archive:
        names = archive.files
        if "mask" not in names and len(names) != 1:
            held = ", ".join(names) or "nothing"
            raise InputError(f"the mask {path} holds {held}: name the array 'mask'")
        array: np.ndarray = archive["mask" if "mask" in names else names[0]]
        return array


def _frames(n: int, n_clip: int) -> str:
    return "more frames" if n > n_clip else f"{n} frames"
