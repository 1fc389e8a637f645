"""Filling in what is missing of a clip: a hole, an object that should not be there, lost frames."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError
from dyntex.inpainting.blend import blend
from dyntex.inpainting.interpolation import interpolate, median
from dyntex.inpainting.kalman import smooth
from dyntex.inpainting.kriging import krige
from dyntex.inpainting.masks import check_mask
from dyntex.inpainting.telea import telea
from dyntex.inpainting.tiles import in_tiles

Fill = Callable[[Tensor, Tensor, torch.Generator], Tensor]

METHODS: dict[str, Fill] = {
    "blend": lambda y, missing, rng: in_tiles(y, missing, lambda y, missing: blend(y, missing, rng=rng)),
    "kriging": lambda y, missing, rng: in_tiles(y, missing, krige),
    "texture": lambda y, missing, rng: in_tiles(y, missing, lambda y, missing: krige(y, missing, rng=rng)),
    "lds": lambda y, missing, rng: smooth(y, missing),
    "interpolate": lambda y, missing, rng: interpolate(y, missing),
    "median": lambda y, missing, rng: torch.where(missing, median(y, missing), y),
    "telea": lambda y, missing, rng: telea(y, missing),
}
"""By name: from (C, T, H, W), the missing pixels (T, H, W) and the source of randomness to the filled video."""
DEFAULT = "blend"


def recover(damaged: Clip, missing: Tensor, *, rng: torch.Generator, method: str = DEFAULT) -> Clip:
    """Fill in the missing pixels of a clip; the others come back to the bit.

    ============= ==============================================================================================
    blend         kriging, lds, interpolate and median, weighted by how they do on pixels of this clip that were hidden
    kriging       the conditional mean of a Gaussian texture, from all seen pixels around in space and time
    texture       a draw from that Gaussian texture: a larger error, but as much motion
    lds           the Kalman smoother of a linear dynamical system
    interpolate   linear in time between the pixel's nearest seen values
    median        of the pixel's seen values
    telea         OpenCV's inpainting, frame by frame
    ============= ==============================================================================================

    Cooperative training on the damaged clip is :func:`dyntex.inpainting.by_training.cooperate`; completion by a model
    of clips like it, :func:`dyntex.inpainting.with_model.complete`.

    Args:
        damaged: of any size and length; what it holds at missing pixels is not looked at.
        missing: (T, H, W), bool.
        rng: on the CPU; only ``blend`` and ``texture`` draw from it.
        method: one of :data:`METHODS`.

    Raises:
        InputError: the mask is of another shape, or marks nothing or everything.
        UsageError: there is no such method.
    """
    if method not in METHODS:
        raise UsageError(f"there is no recovery method {method!r}: choose one of {', '.join(METHODS)}")
    check_fits(missing, damaged)
    return finished(METHODS[method](damaged.video, missing, rng), damaged, missing)


def check_fits(missing: Tensor, damaged: Clip) -> None:
    """Whether a mask is one of that clip, with something to recover and something to recover it from.

    Raises:
        InputError: it is of another shape or type, or marks nothing or everything.
    """
    if missing.shape != damaged.video.shape[1:] or missing.dtype != torch.bool:
        raise InputError(
            f"the mask is a {tuple(missing.shape)} {missing.dtype} tensor and the clip's frames are "
            f"{tuple(damaged.video.shape[1:])}: give a boolean one of that shape"
        )
    check_mask(missing)


def finished(video: Tensor, damaged: Clip, missing: Tensor) -> Clip:
    """The filled video as a clip: in range, and its seen pixels those of the damaged one."""
    video = video.clamp(-1.0, 1.0)
    if damaged.channels == 4:
        # Colours are premultiplied: none may exceed alpha.
        video = torch.cat((torch.minimum(video[:3], video[3:]), video[3:]))
    return Clip(torch.where(missing, video, damaged.video), damaged.fps)
