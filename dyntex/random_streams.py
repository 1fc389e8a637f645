"""Independent streams of random numbers, split from one seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from dyntex.errors import UsageError

if TYPE_CHECKING:
    import torch

Purpose = Literal["train", "synthesize", "rehearse", "layout", "preview", "measure", "score", "fill"]
"""What draws: training; synthesis; the timing run before a budgeted training; where the pieces of a larger frame lie;
previews while training; the timing of a Langevin step; the controls of a score; inpainting."""


def generator(seed: int, purpose: Purpose, device: str | torch.device = "cpu") -> torch.Generator:
    """The stream of one purpose: independent of those of other purposes and of other seeds.

    The seed and the purpose go through numpy's ``SeedSequence`` together, so that ``generator(s, "train")`` and
    ``generator(s + 1, "synthesize")`` have nothing in common. PyTorch's generators use 32 bits of the seed they are
    given, so that two streams are equal by chance once in 4 billion pairs.

    Raises:
        UsageError: the seed is negative.
    """
    import torch

    if seed < 0:
        raise UsageError(f"seed {seed} is negative: give 0 or more")
    sequence = np.random.SeedSequence(seed, spawn_key=tuple(purpose.encode()))
    return torch.Generator(device).manual_seed(int(sequence.generate_state(1)[0]))
