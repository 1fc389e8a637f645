"""Which of several generators is taken: the one that a critic, fresh and of another shape than any descriptor that
learns, can least tell from the clip.

It keeps training honest inside the product. Untrained generators are among the candidates, so training is never worse
than not training, as far as the critic sees; and generators that only replay the clip, which no critic could tell from
it, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dyntex.coopnets.contrast import CROP, SMALL, contrast, convolutions, crops
from dyntex.networks.architecture import Layer, Precision
from dyntex.networks.descriptor import Descriptor
from dyntex.textures.novelty import novelty

ASKED = 192
"""Crops of each kind in the examination."""
LEARNT, EXAMINED = 5, 4
"""Samples of each candidate that the critic learns from, and others that it is asked about."""
NOVEL = 0.3
"""The novelty that a candidate needs, as a share of that of the clip's held frames."""
CRITIC = convolutions(
    Layer(24, (5, 4, 4), (1, 2, 2), padding="valid", activation="silu"),
    Layer(32, (3, 4, 4), (2, 2, 2), padding="valid", activation="silu"),
    Layer(32, (3, 3, 3), padding="valid", activation="silu"),
)
SMALL_CRITIC = convolutions(
    Layer(16, (3, 4, 4), (1, 2, 2), padding="valid", activation="silu"),
    Layer(16, (3, 3, 3), (2, 1, 1), padding="valid", activation="silu"),
)
"""Of small frames."""

Draw = Callable[[int], Tensor]
"""n -> n samples (n, C, T, H, W)."""


@dataclass(frozen=True)
class Judgement:
    """What the critic says of a candidate.

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
    precision: Precision = "fp32",
    rng: torch.Generator,
) -> list[Judgement]:
    """One critic learns to tell the clip from the samples of all candidates alike, and is asked about others of each.

    Args:
        candidates: their samples must not show the held frames.
        seen: (1, C, T, H, W), the clip without
        held: (1, C, T', H, W), its last frames. The critic does not learn from them, and is asked about them too.
        iterations: of the critic.
        precision: of its convolutions.
        rng: on the CPU.
    """
    learnt = [draw(LEARNT) for draw in candidates]
    examined = [draw(EXAMINED) for draw in candidates]
    shape = CRITIC if min(seen.shape[3:]) >= SMALL else SMALL_CRITIC
    critic = Descriptor(shape, (seen.shape[1], *CROP), rng=rng, precision=precision)
    critic.fit_reference(seen)
    adam = torch.optim.Adam(critic.parameters(), 1e-3, fused=True)
    with torch.enable_grad():
        for _ in range(iterations):
            loss, _ = contrast(critic, seen, learnt, rng=rng)
            adam.zero_grad()
            torch.autograd.backward(loss)
            adam.step()
    real = [seen, held] if held.shape[2] >= min(CROP[0], seen.shape[2]) else [seen]
    yardstick = novelty(held, seen[0])
    with torch.no_grad():
        answers = critic.local(crops(real, ASKED, rng)).mean((1, 2, 3))
        return [
            Judgement(
                auc(answers, critic.local(crops([samples], ASKED, rng)).mean((1, 2, 3))),
                novelty(samples, seen[0]) / max(yardstick, 1e-9),
            )
            for samples in examined
        ]


def best(judgements: Sequence[Judgement]) -> int:
    """Of the candidates that are new enough, the one with the lowest AUC; of none, the newest."""
    enough = [i for i, j in enumerate(judgements) if j.novelty >= NOVEL]
    if not enough:
        return max(range(len(judgements)), key=lambda i: judgements[i].novelty)
    return min(enough, key=lambda i: judgements[i].auc)


def auc(real: Tensor, made: Tensor) -> float:
    """The share of pairs in which the real one has the higher logit; ties count half."""
    differences = real[:, None] - made
    return float(((differences > 0).double() + (differences == 0).double() / 2).mean())
