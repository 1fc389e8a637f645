"""The latent that explains observed frames: the mode of its posterior.

It is argmin over z of U(z) = |z|^2 / 2 + |y - g(z)|^2 / 2 sigma^2 on the observed frames (Xie et al. 2020, equation 9,
at temperature 0), found by L-BFGS, whose line search needs no step size that would suit one generator and not another.

A texture stirred by Gaussian noise is nearly linear in it: a linear map, then a monotone curve for each pixel. So its
search begins at the mode of the linear model of the unbent frames, which is one ridge regression, and moves in
coordinates in which that model's U is equally steep in all directions: a few steps then get as far as sixty from
nothing. Sparse noise has no such model, and a start from one that was fitted all the same was no better than nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dyntex.coopnets.train import AnyGenerator
from dyntex.networks.shot_noise import GaussianTextureGenerator

STEPS = 60
"""Iterations of L-BFGS from nothing."""

STEPS_FROM_MODE = 8
"""Iterations from the mode of the linear model."""

STEPS_SPARSE = 30
"""Iterations from nothing where the noise is sparse."""

FAR = 3.0
"""No pixel is taken for more than so many standard deviations of the Gaussian: beyond, the curves say nothing."""


Turn = Callable[[Tensor], Tensor]
AS_IT_IS: Turn = torch.nn.Identity()


def infer(gen: AnyGenerator, seen: Tensor, *, n_frames: int, gen_std: float) -> Tensor:
    """The most probable z of ``n_frames`` frames of which the first are ``seen``; what they do not say is 0.

    Args:
        gen: g_alpha, without conditions.
        seen: (1, C, S, H, W), S <= ``n_frames``.
        n_frames: of the clip whose latent it is.
        gen_std: sigma.

    Returns:
        z, of ``gen.latent_shape(n_frames)``, with a leading 1.
    """
    z = seen.new_zeros((1, *gen.latent_shape(n_frames)))
    if isinstance(gen, GaussianTextureGenerator):
        # The seen frames do not hear later noise (but through the residual's three frames), so none is made of it.
        n_seen = seen.shape[2]
        n_heard = gen.latent_shape(n_seen)[1]
        start, turn, steps = z[:, :, :n_heard], AS_IT_IS, STEPS_SPARSE
        if not gen.config.bursts:
            (start, turn), steps = linear_mode(gen, seen, gen_std=gen_std), STEPS_FROM_MODE
        z[:, :, :n_heard] = descend(gen, seen, start, turn, n_frames=n_seen, gen_std=gen_std, steps=steps)
        return z
    return descend(gen, seen, z, AS_IT_IS, n_frames=n_frames, gen_std=gen_std, steps=STEPS)


def descend(
    gen: AnyGenerator, seen: Tensor, start: Tensor, turn: Turn, *, n_frames: int, gen_std: float, steps: int
) -> Tensor:
    """L-BFGS on U(start + turn(w)) from w = 0; returns z."""
    cond = seen.new_zeros((1, 0, n_frames, *seen.shape[3:]))
    w = torch.zeros_like(start, requires_grad=True)
    optimiser = torch.optim.LBFGS([w], max_iter=steps, line_search_fn="strong_wolfe")

    def energy() -> Tensor:
        z = start + turn(w)
        error = (seen - gen(z, cond)[:, :, : seen.shape[2]]).square().sum()
        u: Tensor = 0.5 * z.square().sum() + error / (2.0 * gen_std**2)
        (w.grad,) = torch.autograd.grad(u, w)
        return u.detach()

    with torch.enable_grad():
        optimiser.step(energy)  # type: ignore[no-untyped-call]
    return (start + turn(w)).detach()


@torch.no_grad()
def linear_mode(gen: GaussianTextureGenerator, seen: Tensor, *, gen_std: float) -> tuple[Tensor, Turn]:
    """The mode of a Gaussian texture's linear model, and coordinates around it in which that model's U is round.

    With M the stirring, u the unbent frames and D a pixel's spread over sigma (how far a unit of the Gaussian moves the
    picture), U(e) is |e|^2 / 2 + |D (u - M e)|^2 / 2, its Hessian H = 1 + M' D^2 M, and its mode H^-1 M' D^2 u.

    Args:
        gen: the generator.
        seen: (1, C, S, H, W).
        gen_std: sigma.

    Returns:
        z of S frames, and the map w -> L'^-1 w, where H = L L', of what stirs; the residual's noise stays as it is.
    """
    R, taps, S = len(gen.regions), gen.taps, seen.shape[2]
    times = S + taps - 1
    D = (gen.spread / gen_std).flatten()
    # Frame t hears e_t ... e_{t+taps-1}, the earliest through the last deviation.
    M = (gen.regions[:, None, None] * gen.deviations.flip(0)).view(R * taps, -1) * D  # (R taps, C H W)
    u = unbend(gen, gen.unpaint(seen))[0].transpose(0, 1).flatten(1) * D  # (S, C H W)
    gram = (M @ M.T).double().view(R, taps, R, taps)
    heard = (u @ M.T).double().view(S, R, taps)

    H = torch.eye(R * times, dtype=torch.float64, device=seen.device).view(R, times, R, times)
    b = H.new_zeros(R, times)
    for t in range(S):
        H[:, t : t + taps, :, t : t + taps] += gram
        b[:, t : t + taps] += heard[t]
    L = torch.linalg.cholesky(H.view(R * times, -1))
    start = seen.new_zeros((1, *gen.latent_shape(S)))
    start[0, :R, :, 0, 0] = torch.cholesky_solve(b.view(-1, 1), L).view(R, times).to(start.dtype)
    upper = L.T.to(start.dtype)

    def turn(w: Tensor) -> Tensor:
        e = torch.linalg.solve_triangular(upper, w[0, :R].reshape(-1, 1), upper=True)
        return torch.cat((e.view(1, R, times, 1, 1), w[:, R:]), dim=1)

    return start, turn


def unbend(gen: GaussianTextureGenerator, y: Tensor) -> Tensor:
    """The inverse of ``gen.bend``, (B, C, T, H, W) -> the same, within :data:`FAR`."""
    at, levels = gen.stirred_levels.unsqueeze(2), gen.levels.unsqueeze(2)
    v = (y - gen.mean[:, None]) / gen.spread[:, None]
    rises = levels[1:] - levels[:-1]
    # Where neighbouring levels coincide any value between theirs is as good.
    runs = (at[1:] - at[:-1]) / rises.clamp_min(1e-4)
    g = at[0] + (v - levels[0]).clamp_max(0.0) * runs[0]
    for rise, run, level in zip(rises, runs, levels[:-1], strict=True):
        g = g + torch.minimum((v - level).clamp_min(0.0), rise) * run
    g = g + (v - levels[-1]).clamp_min(0.0) * runs[-1]
    return g.clamp(-FAR, FAR)
