"""The replay buffer: revised samples of earlier iterations, from which some chains go on.

A departure from the paper, whose chains all start at g(z). A chain that goes on has had many iterations' steps, while
each iteration pays for few (Du and Mordatch, "Implicit generation and modeling with energy-based models", 2019).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from dyntex.coopnets.config import ReplayConfig


@dataclass(frozen=True)
class Chain:
    """Where a chain stood.

    Attributes:
        z: (D, T', H', W'), the latent that began it.
        y: (C, T, H, W), its revised sample.
        window: which window's condition it has.
    """

    z: Tensor
    y: Tensor
    window: int


class Replay:
    """At most ``capacity`` chains; a new one takes a random place once all are taken.

    Args:
        config: how many chains, and how many go on.
        chains: those that there are already.
    """

    def __init__(self, config: ReplayConfig, chains: Iterable[Chain] = ()) -> None:
        self.config = config
        self.chains = list(chains)

    def draw(self, n: int, *, rng: torch.Generator) -> tuple[list[int], dict[int, Chain]]:
        """For each of ``n`` chains, the slot that will hold it, and for those that go on, where they stood."""
        slots: list[int] = []
        recalled: dict[int, Chain] = {}
        free = len(self.chains)
        for b in range(n if self.config.capacity else 0):
            go_on, pick = torch.rand(2, generator=rng, device=rng.device).tolist()
            if self.chains and go_on < self.config.reuse:
                slot = int(pick * len(self.chains))
                recalled[b] = self.chains[slot]
            elif free < self.config.capacity:
                slot, free = free, free + 1
            else:
                slot = int(pick * len(self.chains))
            slots.append(slot)
        return slots, recalled

    def store(self, slots: list[int], z: Tensor, y: Tensor, windows: list[int]) -> None:
        """Put the chains (B, ...) into the slots that :meth:`draw` gave."""
        for b, slot in enumerate(slots):
            self.chains[slot : slot + 1] = [Chain(z[b].clone(), y[b].clone(), windows[b])]
