"""From one image of a model to another through its latents (Xie et al. 2020, section 6: "interpolation")."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.revise import revise
from dyntex.coopnets.stream import CHUNK, stretch
from dyntex.errors import UsageError
from dyntex.networks.layers import OPEN, Axes


def check_images(model: CoopNets) -> None:
    """Whether each frame of a model is an image of its own, made from a latent of its own.

    Raises:
        UsageError: its frames depend on each other: it makes videos, and not images.
    """
    if (model.gen.frames_per_latent, model.gen.latents_seen(0, 1)) != (1, (0, 1)):
        raise UsageError(
            f"images can be interpolated, and preset {model.config.preset!r} makes videos: train one of images, such "
            "as image-set"
        )


def interpolate(
    model: CoopNets,
    ends: tuple[Tensor, Tensor],
    n_frames: int,
    *,
    rng: torch.Generator,
    cond: Tensor | None = None,
    n_steps: int | None = None,
    periodic: Axes = OPEN,
) -> Iterator[Clip]:
    """The images on the way from one latent to another, as the frames of a clip, in chunks.

    Departure from the paper, which goes along the chord (1 - t) z_A + t z_B: that is too short midway (|z|^2 falls to
    half of what the generator was trained on). Here it is the arc cos(a) z_A + sin(a) z_B, for a from 0 to pi / 2, on
    which every z is drawn from N(0, I) where both ends are.

    Args:
        model: of images; see :func:`check_images`.
        ends: z_A and z_B, each (1, D, 1, H', W') as :func:`latent` draws it; the first frame and the last.
        n_frames: two at least.
        rng: on the networks' device; the Langevin noise.
        cond, n_steps, periodic: as :meth:`dyntex.coopnets.model.CoopNets.synthesize` has them.

    Raises:
        UsageError: the model makes videos, or there are fewer frames than ends.
    """
    check_images(model)
    if n_frames < 2:
        raise UsageError(f"there are two ends, and {n_frames} steps: ask for at least 2")
    return _walk(model, ends, n_frames, rng, cond, n_steps, periodic)


def latent(model: CoopNets, *, rng: torch.Generator) -> Tensor:
    """The z of one image, (1, D, 1, H', W'): that of the first which :meth:`CoopNets.synthesize` makes with ``rng``."""
    return torch.randn((1, *model.gen.latent_shape(1)), generator=rng, device=rng.device)


def _walk(
    model: CoopNets,
    ends: tuple[Tensor, Tensor],
    n_frames: int,
    rng: torch.Generator,
    cond: Tensor | None,
    n_steps: int | None,
    periodic: Axes,
) -> Iterator[Clip]:
    given = ends[0].new_zeros(1, 0, 1, *model.shape[2:]) if cond is None else cond.to(rng.device)
    angles = torch.linspace(0.0, math.pi / 2, n_frames, device=rng.device)
    for start in range(0, n_frames, CHUNK):
        stop = min(start + CHUNK, n_frames)
        a = angles[start:stop].view(1, 1, -1, 1, 1)
        c = stretch(given, start, stop)
        with torch.no_grad():
            y_gen = model.gen(a.cos() * ends[0] + a.sin() * ends[1], c, periodic=periodic)
        y_rev = revise(model.des, y_gen, c, model.config, rng=rng, n_steps=n_steps, periodic=periodic)
        yield Clip(y_rev[0].clamp(-1.0, 1.0).cpu(), model.fps)
