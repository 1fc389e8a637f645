"""How far a model's video may reach: the loops that it can close, the tiles, and the frames larger than it was taught.

What can be asked is read off the settings, so that it is refused before anything is trained. A convolutional model
makes frames of any size. One that stirs the clip knows every pixel of it, and makes other frames from a clip whose
pieces were laid anew (:mod:`dyntex.textures.quilting`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.train import networks
from dyntex.errors import UsageError
from dyntex.networks.architecture import FULL, GaussianTextureConfig, GeneratorConfig
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.receptive_field import fewest_frames, frames_per_latent
from dyntex.networks.shot_noise import GaussianTextureGenerator, fade, overlapping, smoothed
from dyntex.textures.quilting import Quilt, quilt, smallest
from dyntex.textures.stationarity import spatial

COMPARED = 64
"""Pixels a side at which parts of a frame are compared: the thresholds of dyntex.textures.stationarity hold there."""
SLOW = 0.4
"""Brightness and liveliness that vary over this share of the frame belong to the place, and not to the texture."""


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
    return (
        isinstance(config.generator, GeneratorConfig)
        and min(config.generator.latent[1:]) > 1
        and config.descriptor.reference == "white"
        and not _spans_the_frame(config)
    )


def is_quilted(config: CoopConfig) -> bool:
    """Whether all that the networks know of places is said pixel by pixel, so that it can be laid anew."""
    return isinstance(config.generator, GaussianTextureConfig) and not _spans_the_frame(config)


def check_space(config: CoopConfig, what: str) -> None:
    """Whether a model knows a texture apart from where it lies in the frame.

    Args:
        config: the model's.
        what: what was asked that needs this, ``--tile x`` for example.

    Raises:
        UsageError: the model's parts span the frame, and know what belongs where.
    """
    if not (is_convolutional(config) or is_quilted(config)):
        raise UsageError(
            f"{what} cannot be made by preset {config.preset!r}, which learns what belongs where in the frame: for a "
            "texture that is alike all over it (see dyntex info) train preset 'fast-st'; else train at the size you "
            "want"
        )


def check_stationary(clip: Clip, what: str) -> None:
    """Whether a texture is alike all over the frame, so that its pieces can be laid anew.

    Raises:
        UsageError: it is not; the message gives the numbers.
    """
    size = (min(COMPARED, clip.height), min(COMPARED, clip.width))
    found = spatial(Clip(F.adaptive_avg_pool2d(clip.video, size), clip.fps))
    if not found.is_stationary:
        raise UsageError(
            f"{what} cannot be made of a texture that is not alike all over the frame: its parts differ in motion by "
            f"a factor of {found.motion:.1f}, in swing {found.swing:.1f}, in detail {found.detail:.1f} and in "
            f"brightness by {found.brightness:.1f} standard deviations: learn from a part of the frame that is, or "
            "leave this out and train at the size you want"
        )


def resized(model: CoopNets, height: int, width: int, *, rng: torch.Generator, tile: bool = False) -> CoopNets:
    """The same weights, making frames of another size.

    Args:
        model: any whose config :func:`check_space` accepts.
        height, width: what is wanted.
        rng: draws what lies where, if the model's clip is laid anew.
        tile: whether the frame's ends are to meet, which asks for this at the taught size as well.

    Raises:
        UsageError: the networks span the frame, their strides do not divide the size, it is too small to lay pieces
            in, or the texture is not alike all over the frame.
    """
    channels, n_frames, *taught = model.shape
    config, same = model.config, [height, width] == taught
    what = f"--size {height}x{width} beyond the {taught[0]}x{taught[1]} that was taught" if not same else "--tile"
    if same and not tile:
        return model
    check_space(config, what)
    m = config.multiple
    if height % m or width % m or min(height, width) < m:
        near = "x".join(str(max(1, round(side / m)) * m) for side in (height, width))
        raise UsageError(f"--size {height}x{width} is no multiple of {m}, as preset {config.preset!r} needs: {near} is")
    if isinstance(model.gen, GaussianTextureGenerator):
        check_stationary(Clip(_remembered(model.gen).clamp(-1.0, 1.0).cpu(), model.fps), what)
        stirred = _grown(model.gen.config, taught, (height, width), tile=tile)
        config = dataclasses.replace(config, generator=stirred)
        states = _laid_anew(model.des, model.gen, stirred, (height, width), rng=rng)
    elif same:
        return model  # its padding tiles
    else:
        states = model.des.state_dict(), model.gen.state_dict()
    shape = (channels, n_frames, height, width)
    with torch.device("meta"):
        blank, k = torch.empty(1, *shape), model.condition_channels
        des, gen = networks(config, blank, rng=torch.Generator(), condition_channels=k)
    des.load_state_dict(states[0], assign=True)
    gen.load_state_dict(states[1], assign=True)
    return dataclasses.replace(model, config=config, des=des.eval(), gen=gen.eval(), shape=shape)


def _spans_the_frame(config: CoopConfig) -> bool:
    chains = [chain for head in config.descriptor.heads for chain in (head.layers, *head.ends)]
    return any(FULL in layer.kernel[1:] for chain in chains for layer in chain)


def _remembered(gen: GaussianTextureGenerator) -> Tensor:
    """The clip that is stirred, nearly: (C, T, H, W)."""
    window = fade(gen.taps, gen.config.fade).to(gen.mean).view(-1, 1, 1, 1)
    frames = gen.mean + gen.spread * gen.deviations * math.sqrt(gen.taps) / window
    return gen.paint(frames.transpose(0, 1)[None])[0]


def _grown(
    config: GaussianTextureConfig, taught: Sequence[int], wanted: Sequence[int], *, tile: bool
) -> GaussianTextureConfig:
    """As many more regions and noises as the frame is larger; a tile's first and last regions are stirred as one."""
    ratios = [new / old for new, old in zip(wanted, taught, strict=True)]
    channels, *grid = config.noise
    rows, columns = (max(1, round(n * ratio)) for n, ratio in zip(grid, ratios, strict=True))
    regions = math.ceil(config.regions * max(ratios)) + tile
    return dataclasses.replace(config, regions=regions, noise=(channels, rows, columns))


def _laid_anew(
    des: Descriptor,
    gen: GaussianTextureGenerator,
    grown: GaussianTextureConfig,
    size: tuple[int, int],
    *,
    rng: torch.Generator,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The networks' tensors for a clip whose pieces lie elsewhere."""
    device, side = rng.device, smallest(*gen.mean.shape[1:])
    if min(size) < side:
        raise UsageError(
            f"--size {size[0]}x{size[1]} is too small to lay pieces of {side} pixels in: ask for {side} or more"
        )
    des_state, gen_state = ({k: v.cpu() for k, v in net.state_dict().items()} for net in (des, gen))
    mean, spread = _without_slow_mean(gen_state["mean"]), _without_slow_scale(gen_state["spread"])
    # The mean frame and the deviations, whose squared differences add up to those of the clip's frames, per frame.
    video = torch.cat((mean[None], gen_state["deviations"] * spread)).flatten(0, 1)
    cpu = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=rng, device=device)))
    plan = quilt(video, *size, rng=cpu)

    by_pixel = ("room", "deviations", "stirred_levels", "levels", "bounds")
    gen_state |= {key: plan.lay(gen_state[key]) for key in by_pixel}
    gen_state |= {"mean": plan.lay(mean), "spread": plan.lay(spread), "regions": overlapping(*size, grown.regions)}
    # Where two pieces are blended their sum is quieter than either.
    power = gen_state["deviations"].square().sum(0)
    gen_state["deviations"] = gen_state["deviations"] / power.sqrt().clamp_min(1e-6)
    gen_state["place"] = _by_patch(plan, gen_state["place"], gen.config.patch)
    if des.config.reference == "pixel":
        des_state["ref_mean"] = plan.lay(_without_slow_mean(des_state["ref_mean"]))
        des_state["ref_std"] = plan.lay(_without_slow_scale(des_state["ref_std"]))
    des_laid, gen_laid = ({k: v.to(device) for k, v in state.items()} for state in (des_state, gen_state))
    return des_laid, gen_laid


def _by_patch(plan: Quilt, place: Tensor, patch: int) -> Tensor:
    """What is known by patch, (D, 1, h, w) -> (D, 1, H, W)."""
    pixels = place.repeat_interleave(patch, dim=2).repeat_interleave(patch, dim=3)
    return F.avg_pool2d(plan.lay(pixels), patch)


def _without_slow_mean(field: Tensor) -> Tensor:
    """(..., C, h, w) less its local mean, and with its whole one: a shadow in a corner is not laid elsewhere."""
    return field - _slow(field) + field.mean((-1, -2), keepdim=True)


def _without_slow_scale(field: Tensor) -> Tensor:
    """Standard deviations (..., C, h, w) over their local root mean square, times the whole one."""
    power = field.square()
    return field * (power.mean((-1, -2), keepdim=True) / _slow(power)).sqrt()


def _slow(field: Tensor) -> Tensor:
    return smoothed(field, 2 * round(SLOW / 2 * min(field.shape[-2:])) + 1)
