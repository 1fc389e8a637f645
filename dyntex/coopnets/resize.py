"""A trained model that makes frames of another size, or frames whose ends meet.

A convolutional model makes any size that its strides divide. One that knows its clip pixel by pixel makes other frames
from the clip's pieces in a new layout (:mod:`dyntex.textures.quilting`).
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F

from dyntex.clip import Clip
from dyntex.coopnets.capabilities import capabilities
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.errors import UsageError
from dyntex.textures.stationarity import spatial

COMPARED = 64
"""Pixels a side at which parts of a frame are compared: the thresholds of dyntex.textures.stationarity hold there."""


def check_space(config: CoopConfig, asked: str) -> None:
    """Refuse tiles and other sizes where the networks know what belongs where in the frame.

    Args:
        config: the model's.
        asked: the words that need this, ``--tile x`` for example.

    Raises:
        UsageError: they do.
    """
    capabilities(config).require(
        "resize",
        asked=asked,
        method=f"preset {config.preset!r}",
        instead="for a texture that is stationary in space (see dyntex info) train preset 'fast-st'; else train "
        "at the size you want",
    )


def check_stationary(clip: Clip, asked: str) -> None:
    """Refuse to lay out anew what is not alike all over the frame.

    Raises:
        UsageError: it is not; the message gives the numbers.
    """
    size = (min(COMPARED, clip.height), min(COMPARED, clip.width))
    found = spatial(Clip(F.adaptive_avg_pool2d(clip.video, size), clip.fps))
    if not found.is_stationary:
        raise UsageError(
            f"{asked} needs a texture that is stationary in space, and parts of this frame differ by factors of "
            f"{found.motion:.1f} in motion, {found.swing:.1f} in range and {found.detail:.1f} in detail, and by "
            f"{found.brightness:.1f} standard deviations in brightness: learn from a part of the frame that is, or "
            "leave this out and train at the size you want"
        )


def resized(model: CoopNets, height: int, width: int, *, rng: torch.Generator, tile: bool = False) -> CoopNets:
    """The same weights, making frames of another size.

    Args:
        model: any whose config :func:`check_space` accepts.
        height, width: what is wanted.
        rng: places the pieces of the clip, where the model keeps its pixels.
        tile: whether the frame's ends are to meet, which asks for this at the learnt size as well.

    Raises:
        UsageError: the networks know what belongs where, their strides do not divide the size, it is too small to lay
            pieces in, or the texture is not alike all over the frame.
    """
    channels, n_frames, *learnt = model.shape
    config, same = model.config, [height, width] == learnt
    if same and not tile:
        return model
    asked = "--tile" if same else f"--size {height}x{width}, other than the learnt {learnt[0]}x{learnt[1]},"
    check_space(config, asked)
    m = config.data.multiple
    if height % m or width % m or min(height, width) < m:
        near = "x".join(str(max(1, round(side / m)) * m) for side in (height, width))
        raise UsageError(f"preset {config.preset!r} needs sides that are multiples of {m}: choose --size {near}")
    clip = model.gen.clip()
    if clip is not None:
        check_stationary(Clip(clip.clamp(-1.0, 1.0).cpu(), model.fps), asked)
    layout = model.gen.layout(height, width, rng=rng)
    if same and layout is None:
        return model  # its padding tiles
    gen = model.gen.resized(height, width, layout, tile=tile)
    des = model.des.resized(height, width, layout)
    return dataclasses.replace(
        model,
        config=config.replaced(generator=gen.config),
        des=des.eval(),
        gen=gen.eval(),
        shape=(channels, n_frames, height, width),
    )
