"""The one MCMC kernel of the project: Langevin dynamics over any energy."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

Energy = Callable[[Tensor], Tensor]
"""(B, ...) -> (B,); low is good. The only sign convention in the project."""


def identity(y: Tensor) -> Tensor:
    return y


def standard_normal(y: Tensor, rng: torch.Generator) -> Tensor:
    """N(0, I) like ``y``."""
    return torch.randn(y.shape, generator=rng, device=y.device, dtype=y.dtype)


def langevin(
    energy: Energy,
    y: Tensor,
    *,
    n_steps: int,
    step: float,
    rng: torch.Generator,
    temperature: float = 1.0,
    scale: Tensor | float = 1.0,
    drift_limit: float = 0.0,
    project: Callable[[Tensor], Tensor] = identity,
    normal: Callable[[Tensor, torch.Generator], Tensor] = standard_normal,
) -> Tensor:
    """Samples revised by ``n_steps`` of (preconditioned) Langevin dynamics.

    y <- P( y - step^2/2 scale^2 dU/dy + step scale sqrt(temperature) N(0, I) ), the Euler-Maruyama step of the
    diffusion that leaves exp(-U / temperature) invariant; with scale = 1 it is equation 3 of Xie et al. (2020).
    The noise follows from the step: no setting can make the two disagree.

    Args:
        energy: U, differentiable, one number for each sample: chains do not see each other.
        y: (B, ...) start; it is not modified, and no gradient flows back to it.
        n_steps: K >= 0; 0 returns the start.
        step: delta, in units of ``scale``.
        rng: on the device of ``y``.
        temperature: 0 is gradient descent.
        scale: square root of a diagonal preconditioner, broadcastable to ``y``.
        drift_limit: largest root-mean-square of one chain's gradient move; 0 for none. A departure from the
            invariant law wherever it acts: it bounds what a young descriptor can do to its chains.
        project: P, applied after every step: a clamp, or known pixels held where they are.
        normal: draws the noise like ``y``; a process with a part of the chains draws that of all, and keeps its own.

    Returns:
        (B, ...), detached.
    """
    y = y.detach()
    half = 0.5 * step * step
    noise_scale = step * math.sqrt(temperature)
    for _ in range(n_steps):
        y.requires_grad_(True)
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(energy(y).sum(), y)
        with torch.no_grad():
            drift = gradient * (-half * scale * scale)
            if drift_limit > 0.0:
                rms = drift.square().flatten(1).mean(1).sqrt()
                factor = (drift_limit / rms.clamp_min(1e-12)).clamp_max(1.0)
                drift *= factor.view(-1, *[1] * (y.ndim - 1))
            y = drift.add_(y)
            if noise_scale > 0.0:
                y += normal(y, rng) * (noise_scale * scale)
            y = project(y)
    return y.detach()
