"""Which of several generators is taken: the one that a critic can least tell from the clip, a fresh one of another
shape than the descriptors that learn (but on small frames).

It keeps training honest inside the product. An untrained generator is among the candidates and is kept unless another
is clearly better; generators that only replay the clip, which no critic could tell from it, are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dyntex.coopnets.contrast import CROP, SMALL, SMALL_SHAPE, contrast, convolutions, crops
from dyntex.coopnets.optimise import backward
from dyntex.networks.architecture import Layer, Precision
from dyntex.networks.descriptor import Descriptor
from dyntex.textures.novelty import novelty

ASKED = 192
"""Crops of each kind in the examination."""
LEARNT, EXAMINED = 6, 4
"""Samples of a candidate that its critic learns from, and others that it is asked about."""
MARGIN = 0.1
"""By so much an AUC has to be lower to count: as much as two fresh critics of one generator may differ."""
NOVEL = 0.45
"""The novelty that a candidate needs, as a share of that of the clip's held frames."""
CRITIC = convolutions(
    Layer(24, (5, 4, 4), (1, 2, 2), padding="valid", activation="silu"),
    Layer(32, (3, 4, 4), (2, 2, 2), padding="valid", activation="silu"),
    Layer(32, (3, 3, 3), padding="valid", activation="silu"),
)

Draw = Callable[[int], Tensor]
"""n -> n samples (n, C, T, H, W)."""


@dataclass(frozen=True)
class Judgement:
    """What its critic says of a candidate.

    Attributes:
        auc: the probability that a crop of the clip gets a higher logit than one of its samples: .5 where the critic
            cannot tell them.
        novelty: of its samples, over that of the clip's held frames.
    """

    auc: float
    novelty: float


def judge(
    candidates: Sequence[Draw],
    seen: Tensor,
    held: Tensor,
    *,
    iterations: int,
    seconds: float | None = None,
    precision: Precision = "fp32",
    rng: torch.Generator,
) -> list[Judgement]:
    """For every candidate a critic learns to tell the clip from its samples, and is asked about others of it.

    All critics begin with the same weights and see the same crops of the clip: they differ in the samples alone.

    Args:
        candidates: their samples must not show the held frames.
        seen: (1, C, T, H, W), the clip without
        held: (1, C, T', H, W), its last frames. No critic learns from them; half of the questions are about them.
        iterations: of each critic.
        seconds: for all critics to learn, at most.
        precision: of their convolutions.
        rng: on the CPU.
    """
    shape = CRITIC if min(seen.shape[3:]) >= SMALL else SMALL_SHAPE
    yardstick = novelty(held, seen[0])
    real = [seen, held] if held.shape[2] >= min(CROP[0], seen.shape[2]) else [seen]
    seed = int(torch.randint(2**31, (1,), generator=rng))
    found = []
    for draw in candidates:
        learnt, examined = draw(LEARNT), draw(EXAMINED)
        common = torch.Generator().manual_seed(seed)
        critic = Descriptor(shape, (seen.shape[1], *CROP), rng=common, precision=precision)
        critic.fit_reference(seen)
        adam = torch.optim.Adam(critic.parameters(), 1e-3, fused=True)
        began = time.monotonic()
        with torch.enable_grad():
            for _ in range(iterations):
                if seconds is not None and time.monotonic() - began > seconds / len(candidates):
                    break
                loss, _ = contrast(critic, seen, learnt, rng=common)
                backward(loss, adam)
                adam.step()
        with torch.no_grad():
            answers = [critic.local(crops(ys, ASKED, common)).mean((1, 2, 3)) for ys in (real, [examined])]
        found.append(Judgement(auc(*answers), novelty(examined, seen[0]) / max(yardstick, 1e-9)))
    return found


def best(judgements: Sequence[Judgement], *, incumbent: int | None = None) -> int:
    """Of the candidates that are new enough, the one with the lowest AUC; of none, the newest.

    Args:
        judgements: of the candidates.
        incumbent: the one that is taken unless another's AUC is lower by :data:`MARGIN`.
    """
    enough = [i for i, j in enumerate(judgements) if j.novelty >= NOVEL]
    if not enough:
        return max(range(len(judgements)), key=lambda i: judgements[i].novelty)
    lowest = min(enough, key=lambda i: judgements[i].auc)
    if incumbent in enough and judgements[lowest].auc > judgements[incumbent].auc - MARGIN:
        return incumbent
    return lowest


def auc(real: Tensor, made: Tensor) -> float:
    """The share of pairs in which the real one has the higher logit; ties count half."""
    differences = real[:, None] - made
    return float(((differences > 0).double() + (differences == 0).double() / 2).mean())
