"""p(z | y), the latent that explains observed frames: its energy once, and the three ways in which it is used.

    U(z) = |z|^2 / 2 + |y - g(z)|^2 / 2 sigma^2        (Xie et al. 2020, equation 9)

G1 samples it by Langevin dynamics. A synthesis that begins like a given clip takes its mode. Inpainting takes the mode
given the pixels that are not missing (:mod:`dyntex.inpainting.with_model`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.langevin import langevin
from dyntex.coopnets.ranks import ALONE, Ranks
from dyntex.networks.generator import Generator

STEPS = 60
"""Iterations of L-BFGS; its line search needs no step size that would suit one generator and not another."""


def posterior_energy(
    gen: Generator, y: Tensor, cond: Tensor, *, gen_std: float, missing: Tensor | None = None
) -> Callable[[Tensor], Tensor]:
    """U of latents (B, D, T', H', W') -> (B,), given frames.

    Args:
        gen: g_alpha.
        y: (B or 1, C, T, H, W), the frames; the generator may make more, which are not compared.
        cond: (B, K, T, H, W).
        gen_std: sigma.
        missing: broadcastable to ``y``, bool: pixels that are not compared.
    """

    still = gen.frozen()

    def energy(z: Tensor) -> Tensor:
        error = y - still(z, cond)[:, :, : y.shape[2]]
        if missing is not None:
            error = error.masked_fill(missing, 0.0)
        u: Tensor = 0.5 * z.square().flatten(1).sum(1) + error.square().flatten(1).sum(1) / (2.0 * gen_std**2)
        return u

    return energy


def infer(
    gen: Generator,
    z: Tensor,
    y: Tensor,
    cond: Tensor,
    config: CoopConfig,
    *,
    rng: torch.Generator,
    ranks: Ranks = ALONE,
) -> Tensor:
    """G1: Langevin dynamics of z on its posterior, from the z that began the chain: (B, D, T', H', W') -> the same."""
    u = posterior_energy(gen, y, cond, gen_std=config.optimisation.gen_std)
    return langevin(u, z, n_steps=config.sampling.n_steps_z, step=config.sampling.step_z, rng=rng, normal=ranks.normal)


def posterior_mode(gen: Generator, y: Tensor, *, gen_std: float, steps: int = STEPS) -> Tensor:
    """The most probable latents of frames, all those that the frames depend on.

    Args:
        gen: g_alpha, without conditions.
        y: (1, C, T, H, W).
        gen_std: sigma.
        steps: of L-BFGS, from z = 0, the prior's mode.

    Returns:
        (1, D, T', H', W'), the latents from time 0 on.
    """
    n_frames = y.shape[2]
    _, past = gen.latents_seen(0, n_frames)
    depth, shortest, *grid = gen.latent_shape(n_frames)
    z = y.new_zeros((1, depth, max(past, shortest), *grid)).requires_grad_(True)
    cond = y.new_zeros((1, 0, gen.n_frames(z.shape[2]), *y.shape[3:]))
    u = posterior_energy(gen, y, cond, gen_std=gen_std)
    optimiser = torch.optim.LBFGS([z], max_iter=steps, line_search_fn="strong_wolfe")

    def energy() -> Tensor:
        value = u(z).sum()
        (z.grad,) = torch.autograd.grad(value, z)
        return value.detach()

    with torch.enable_grad():
        optimiser.step(energy)  # type: ignore[no-untyped-call]
    return z.detach()
