"""Completion by a trained model of clips like the damaged one (Xie et al. 2020, section 6: "recovery").

Both networks are asked, the generator first: which of the clips that it can make has the seen pixels? Its answer fills
the hole, shifted smoothly to meet what surrounds it, and the descriptor revises that.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.inference import posterior_energy
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.observe import check_clip, no_condition
from dyntex.coopnets.revise import revise
from dyntex.coopnets.stream import stretch
from dyntex.errors import InputError, UsageError
from dyntex.inpainting import check_fits, finished
from dyntex.inpainting.interpolation import spread

RESTARTS = 4
"""Latents that the search begins from: g is not linear, and the way down from one of them may end too high."""
SEARCH = 100
"""Steps of that search,"""
RATE = 0.1
"""and the first step's size, of latents whose standard deviation is 1."""


def complete(
    model: CoopNets, damaged: Clip, missing: Tensor, *, rng: torch.Generator, cond: Tensor | None = None
) -> Clip:
    """Fill in the missing pixels with what the model makes of the seen ones; those come back to the bit.

    The result is the likeliest completion and not a sample: the descriptor's dynamics run at temperature 0, for as many
    steps as in training, where they started from g(z) as they do here.

    Args:
        model: of clips like this one, and of its size; its weights stay as they are.
        damaged: what it holds at missing pixels is not looked at.
        missing: (T, H, W), bool.
        rng: on the networks' device; the latents that the search begins from.
        cond: (1, K, T or 1, H, W), the condition of the clip; None for a model without conditions.

    Raises:
        InputError: the clip is of another size than the model's, or too short for it, or the mask does not fit.
        UsageError: the condition is not of the model's kind.
    """
    _check(model, damaged, cond)
    check_fits(missing, damaged)
    hole = missing[None, None].to(rng.device)
    seen = damaged.video[None].to(rng.device).masked_fill(hole, 0.0)
    given = no_condition(seen) if cond is None else stretch(cond.to(rng.device), 0, damaged.n_frames)
    y = torch.where(hole, fitted_in(explained(model, seen, hole, given, rng=rng), seen, hole), seen)
    y = revise(
        model.des,
        y,
        given,
        model.config,
        rng=rng,
        temperature=0.0,
        project=lambda y: torch.where(hole, y.clamp(-1.0, 1.0), seen),
    )
    return finished(y[0].cpu(), damaged, missing)


def explained(
    model: CoopNets,
    seen: Tensor,
    hole: Tensor,
    cond: Tensor,
    *,
    rng: torch.Generator,
    n_restarts: int = RESTARTS,
    n_steps: int = SEARCH,
) -> Tensor:
    """g at the likeliest z given the seen pixels, (1, C, T, H, W): the mode of equation 9 with a mask.

    It descends U(z) = |z|^2 / 2 + |seen - g(z)|^2 / 2 gen_std^2, the error summed where nothing is missing. Adam, since
    the curvature of U grows with the number of seen pixels, and no one Langevin step suits clips of all sizes; it goes
    coordinate by coordinate, so that the restarts do not see each other.

    Args:
        model: whose generator is asked.
        seen: (1, C, T, H, W).
        hole: (1, 1, T, H, W), bool.
        cond: (1, K, T, H, W).
        rng: on their device; draws the z to begin from.
        n_restarts: how many; the one that ends lowest wins.
        n_steps: of the descent; their size falls to 0 along half a cosine.
    """
    n_frames = seen.shape[2]
    z = torch.randn((n_restarts, *model.gen.latent_shape(n_frames)), generator=rng, device=rng.device)
    cond = cond.expand(n_restarts, -1, -1, -1, -1)

    energy = posterior_energy(model.gen, seen, cond, gen_std=model.config.optimisation.gen_std, missing=hole)
    optimiser = torch.optim.Adam([z], lr=RATE)
    for step in range(n_steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1.0 + math.cos(math.pi * step / n_steps))
        with torch.enable_grad():
            (z.grad,) = torch.autograd.grad(energy(z.requires_grad_(True)).sum(), z)
        optimiser.step()
    with torch.no_grad():
        best = int(energy(z).argmin())
        y: Tensor = model.gen(z, cond)
        return y[best : best + 1, :, :n_frames]


def fitted_in(y: Tensor, seen: Tensor, hole: Tensor) -> Tensor:
    """Shifted, in every frame, by what is wrong at the seen pixels, spread smoothly into the hole.

    A model of few clips misses most in what is smooth (how bright, how lit), and that is seen beside the hole.

    Args:
        y, seen: (1, C, T, H, W).
        hole: (1, 1, T, H, W), bool.
    """
    wrong = (seen - y).unbind(2)
    known = (~hole[0, 0]).unbind(0)
    return y + torch.stack([spread(w, k) for w, k in zip(wrong, known, strict=True)], dim=2)


def _check(model: CoopNets, damaged: Clip, cond: Tensor | None) -> None:
    channels, _, height, width = model.shape
    if (damaged.channels, damaged.height, damaged.width) != (channels, height, width):
        raise InputError(
            f"the clip has {damaged.channels} channels of {damaged.width}x{damaged.height} pixels and the model makes "
            f"{channels} of {width}x{height}: give it a clip of its own kind, or another model"
        )
    check_clip(damaged, model.config)
    given = (1, 0, 1, height, width) if cond is None else tuple(cond.shape)
    if given not in [(1, model.condition_channels, n, height, width) for n in (1, damaged.n_frames)]:
        raise UsageError(
            f"the model's condition is 1x{model.condition_channels}x{damaged.n_frames}x{height}x{width} numbers, not "
            f"{'x'.join(map(str, given))}"
        )
