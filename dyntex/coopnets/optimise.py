"""D2 and G2's descent: Adam, its rates over the training, and the averaged generator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dyntex.coopnets.config import OptimisationConfig
from dyntex.coopnets.ranks import ALONE, Ranks


def adam(net: nn.Module, rate: float, beta1: float) -> torch.optim.Adam:
    """Adam as the paper sets it."""
    # Fused: one pass over 240 million parameters and their moments in place of seven.
    return torch.optim.Adam(net.parameters(), lr=rate, betas=(beta1, 0.999), fused=True)


def rates(config: OptimisationConfig, share: float) -> tuple[float, float]:
    """The learning rates of descriptor and generator when this share of the training is done.

    Constant over the first half, then linearly down to ``lr_decay`` of them. The generator's is 0 in the head start.
    """
    factor = 1.0 - (1.0 - config.lr_decay) * max(0.0, 2.0 * share - 1.0)
    return config.lr_des * factor, (config.lr_gen if share >= config.head_start else 0.0) * factor


def backward(loss: Tensor, *optimisers: torch.optim.Optimizer, ranks: Ranks = ALONE) -> None:
    """Gradients of ``loss``, or of its mean over ranks, in place of the earlier ones."""
    for optimiser in optimisers:
        optimiser.zero_grad()
    torch.autograd.backward(loss)
    for optimiser in optimisers:
        ranks.average(_parameters(optimiser))


def update(optimiser: torch.optim.Optimizer, rate: float | None = None) -> Tensor:
    """One step with that learning rate (None: the one it has); returns the norm of the gradient."""
    for group in optimiser.param_groups:
        group["lr"] = group["lr"] if rate is None else rate
    norm: Tensor = torch.stack([p.grad.norm() for p in _parameters(optimiser) if p.grad is not None]).norm()
    optimiser.step()
    return norm


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimiser.param_groups for p in group["params"]]


@torch.no_grad()
def average(ema: nn.Module, net: nn.Module, decay: float) -> None:
    """Move each number of ``ema`` towards that of ``net`` by 1 - ``decay`` of their difference."""
    for a, b in zip(ema.state_dict().values(), net.state_dict().values(), strict=True):
        if a.is_floating_point():
            a.lerp_(b, 1.0 - decay)
