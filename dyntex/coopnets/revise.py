"""D1, revision: the descriptor's Langevin dynamics. The only place where the sampler meets a descriptor's settings."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.langevin import identity, langevin
from dyntex.coopnets.ranks import ALONE, Ranks
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.layers import OPEN, Axes


def revise(
    des: Descriptor,
    y: Tensor,
    cond: Tensor,
    config: CoopConfig,
    *,
    rng: torch.Generator,
    n_steps: int | None = None,
    step_scale: float = 1.0,
    temperature: float | None = None,
    periodic: Axes = OPEN,
    held: Tensor | None = None,
    project: Callable[[Tensor], Tensor] = identity,
    ranks: Ranks = ALONE,
) -> Tensor:
    """The descriptor's Langevin dynamics (equation 3) from ``y``, (B, C, T, H, W) -> the same.

    Args:
        des, y, config: what revises, what is revised, and how.
        cond: (B, K, T' + T, H, W), of the held frames too.
        rng: on the device of ``y``.
        n_steps, temperature: in place of the training's.
        step_scale: a factor on the step.
        periodic: axes of (T, H, W) along which the end leads into the beginning.
        held: (B, C, T', H, W), frames before ``y`` that the energy sees and that stay as they are.
        project: applied after every step; known pixels are held where they are by it.
        ranks: by whom the chains are shared; ``y`` and ``cond`` are this one's.
    """
    frozen = des.frozen()

    def energy(y: Tensor) -> Tensor:
        whole = y if held is None else torch.cat((held, y), dim=2)
        return frozen.energy(whole, cond, periodic=periodic)

    sampling = config.sampling
    return langevin(
        energy,
        y,
        n_steps=sampling.n_steps if n_steps is None else n_steps,
        step=sampling.step * step_scale,
        rng=rng,
        temperature=sampling.temperature if temperature is None else temperature,
        scale=des.scale,
        drift_limit=config.stabilisers.drift_limit,
        project=project,
        normal=ranks.normal,
    )
