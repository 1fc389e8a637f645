"""How far a model's video may reach: the loops that it can close, the tiles, and the frames larger than it was taught.

What can be asked is read off the settings, so that it is refused before anything is trained.
"""

from __future__ import annotations

import dataclasses
import math

import torch

from dyntex.config import FULL, CoopConfig, GeneratorConfig
from dyntex.coop import networks
from dyntex.coopnets import CoopNets
from dyntex.errors import UsageError
from dyntex.reach import fewest_frames, frames_per_latent


def check_loop(config: CoopConfig, n_frames: int) -> None:
    """Whether a loop of that length is exact.

    A shorter one than the descriptor can score would be the beginning of something longer, and not a loop; and a
    convolutional generator's circle of latents makes a whole number of their strides.

    Raises:
        UsageError: it is not; the message names lengths that are.
    """
    least = max(config.min_frames, fewest_frames(config.descriptor, config.window or config.n_frames))
    step = frames_per_latent(config.generator) if isinstance(config.generator, GeneratorConfig) else 1
    least = math.ceil(least / step) * step
    if n_frames < least:
        raise UsageError(
            f"a loop of {n_frames} frames is shorter than preset {config.preset!r} reaches in time: ask for at least "
            f"{least} frames"
        )
    if n_frames % step:
        raise UsageError(
            f"a loop of {n_frames} frames cannot be closed by preset {config.preset!r}, whose latents are {step} "
            f"frames apart: ask for {n_frames // step * step} or {(n_frames // step + 1) * step} frames"
        )


def is_convolutional(config: CoopConfig) -> bool:
    """Whether every part of the networks treats all places of the frame alike."""
    kernels = [
        layer.kernel for head in config.descriptor.heads for chain in (head.layers, *head.ends) for layer in chain
    ]
    return (
        isinstance(config.generator, GeneratorConfig)
        and min(config.generator.latent[1:]) > 1
        and config.descriptor.reference == "white"
        and not any(FULL in kernel[1:] for kernel in kernels)
    )


def check_space(config: CoopConfig, what: str) -> None:
    """Whether a model knows a texture apart from where it lies in the frame.

    Args:
        config: the model's.
        what: what was asked that needs this, ``--tile x`` for example.

    Raises:
        UsageError: the model's parts span the frame, and know what belongs where.
    """
    if not is_convolutional(config):
        raise UsageError(
            f"{what} cannot be made by preset {config.preset!r}, which learns what belongs where in the frame: for a "
            "texture that is alike all over it (see dyntex info) train preset 'paper-st'; else train at the size you "
            "want"
        )


def resized(model: CoopNets, height: int, width: int) -> CoopNets:
    """The same weights, making frames of another size.

    Raises:
        UsageError: the networks span the frame, or their strides do not divide the size.
    """
    channels, n_frames, *taught = model.shape
    if [height, width] == taught:
        return model
    check_space(model.config, f"--size {height}x{width} beyond the {taught[0]}x{taught[1]} that was taught")
    m = model.config.multiple
    if height % m or width % m or min(height, width) < m:
        near = "x".join(str(max(1, round(side / m)) * m) for side in (height, width))
        raise UsageError(
            f"--size {height}x{width} is no multiple of {m}, as preset {model.config.preset!r} needs: {near} is"
        )
    shape = (channels, n_frames, height, width)
    with torch.device("meta"):
        des, gen = networks(model.config, torch.empty(1, *shape), rng=torch.Generator())
    des.load_state_dict(model.des.state_dict(), assign=True)
    gen.load_state_dict(model.gen.state_dict(), assign=True)
    return dataclasses.replace(model, des=des.eval(), gen=gen.eval(), shape=shape)
