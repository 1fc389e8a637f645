"""Cooperative training in the space of time indices, for a segment field.

The four steps of algorithm 1 (Xie et al. 2020), and the space that each works in:

* **G0, D1**: the revised samples are drawn by Gibbs sampling of the time indices under the energy that is learnt so
  far. A chain in pixels would leave what looks real within a few steps; a chain over indices cannot, whatever the
  descriptor says. (Sampling in the latent space of a strong generator: Xiao et al., "VAEBM", ICLR 2021; Pang et al.,
  "Learning latent space energy-based prior model", NeurIPS 2020.)
* **D2**: the descriptor learns to tell crops of the clip from crops of the samples, with the logistic loss. At its
  optimum its logit is log p(clip) - log p(samples), so its scale means something.
* **G2**: the generator's log-potentials take over that difference: S <- S + eta f, with f the logit where two regions
  show frames a and b side by side, and J likewise at jumps. With eta = 1 and independent crops the samples would then
  be distributed as the clip (Tu, "Learning generative models via discriminative approaches", CVPR 2007). So the
  generator alone reproduces what the chains would do, and no chain runs at synthesis.

The last frames of the clip are kept from all of it: the samples that the descriptor learns from do not show them. By
them eta is chosen: the least with which the samples' mean logit meets theirs, and no more than novelty allows.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dyntex.coopnets.contrast import CROP, NOISE, SMALL, SMALL_SHAPE, contrast, convolutions
from dyntex.coopnets.optimise import backward
from dyntex.coopnets.potentials import jump_logits, seam_logits
from dyntex.networks.architecture import Layer, Precision
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.segment_field import SegmentField
from dyntex.runtime import fast_precision
from dyntex.textures.novelty import novelty

STEPS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Values of eta that are tried, the least first. Beyond 1 a step asks for more than the descriptor has seen."""
TRIED = 4
"""Samples by which one is judged."""

DESCRIPTOR = convolutions(
    Layer(32, (3, 5, 5), (1, 2, 2), padding="valid", activation="silu"),
    Layer(48, (3, 3, 3), (2, 2, 2), padding="valid", activation="silu"),
    Layer(48, (3, 3, 3), padding="valid", activation="silu"),
)
"""Its terms see 9 frames of 17x17 pixels."""


@dataclass(frozen=True)
class TiltConfig:
    """The training of a segment field.

    Attributes:
        iterations: updates of the descriptor; 0 leaves the field untrained.
        every: updates between two steps of the potentials.
        n_chains: samples that the descriptor learns from at a time.
        lr_des: Adam's learning rate.
        data_noise: noise on both kinds of crops, in [-1, 1].
        novelty: the share of the untrained samples' novelty that must be left.
        precision: of the convolutions.
    """

    iterations: int = 900
    every: int = 300
    n_chains: int = 6
    lr_des: float = 1e-3
    data_noise: float = NOISE
    novelty: float = 0.75
    precision: Precision = field(default_factory=fast_precision)


@dataclass(frozen=True)
class TiltInfo:
    """One update.

    Attributes:
        iteration: counted from 1.
        gap: mean logit of the clip's crops less that of the samples'.
        change: mean square by which the potentials changed after it; 0 where they did not.
    """

    iteration: int
    gap: float
    change: float


def held_frames(n_frames: int) -> int:
    """How many of a clip's last frames are kept from the training."""
    return n_frames // 5


def tilt(gen: SegmentField, y_obs: Tensor, config: TiltConfig, *, rng: torch.Generator) -> Iterator[TiltInfo]:
    """Train the potentials of ``gen`` in place; a record for each update of the descriptor.

    Args:
        gen: its generator.
        y_obs: (1, C, T, H, W), the observed clip.
        config: the training.
        rng: on the clip's device.
    """
    cpu = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=rng, device=rng.device)))
    _, channels, T, height, width = y_obs.shape
    seen = y_obs[:, :, : T - held_frames(T)]
    shape = DESCRIPTOR if min(height, width) >= SMALL else SMALL_SHAPE
    des = Descriptor(shape, (channels, T, height, width), rng=cpu, precision=config.precision)
    des.fit_reference(seen)
    adam = torch.optim.Adam(des.parameters(), config.lr_des, fused=True)
    y_rev = draw(gen, config.n_chains, seen.shape[2], rng=rng)
    for iteration in range(1, config.iterations + 1):
        # D2: the descriptor learns to tell the clip from the samples
        loss, gap = contrast(des, seen, y_rev, noise=config.data_noise, rng=rng)
        backward(loss, adam)
        adam.step()
        change = 0.0
        if iteration % config.every == 0:
            change = take_step(des, gen, y_obs, config, rng=rng)  # G2
            y_rev = draw(gen, config.n_chains, seen.shape[2], rng=rng)  # G0, D1
        yield TiltInfo(iteration, gap, change)


@torch.no_grad()
def draw(gen: SegmentField, n: int, n_frames: int, *, rng: torch.Generator) -> Tensor:
    """``n`` samples of so many frames that show only the first ``n_frames`` of the clip: (n, C, n_frames, H, W)."""
    z = torch.randn((n, *gen.latent_shape(n_frames)), generator=rng, device=rng.device)
    y: Tensor = gen.shortened(n_frames)(z)
    return y[:, :, :n_frames]


@torch.no_grad()
def take_step(des: Descriptor, gen: SegmentField, y_obs: Tensor, config: TiltConfig, *, rng: torch.Generator) -> float:
    """G2: add the descriptor's logits to the generator's potentials, as far as that is for the better.

    Returns:
        The mean square by which they changed; 0 where the step was not taken.
    """
    n_seen = y_obs.shape[2] - held_frames(y_obs.shape[2])
    seen, held = y_obs[:, :, :n_seen], y_obs[:, :, n_seen:]
    seams, jumps = seam_logits(des, gen), jump_logits(des, gen)
    # Of the clip's two parts, the one that the descriptor likes less: a young one overrates what it has seen.
    parts = [part for part in (seen, held) if part.shape[2] >= CROP[0]]
    aim = min(float(des.local(part).mean()) for part in parts)
    untrained = copy.deepcopy(gen)
    untrained.seam.zero_()
    untrained.jump.zero_()
    least = config.novelty * novelty(draw(untrained, TRIED, n_seen, rng=rng), seen[0])

    best = None
    for eta in STEPS:
        trial = copy.deepcopy(gen)
        trial.seam.add_(seams, alpha=eta)
        trial.jump.add_(jumps, alpha=eta)
        samples = draw(trial, TRIED, n_seen, rng=rng)
        if novelty(samples, seen[0]) < least:
            break
        best = trial
        if float(des.local(samples).mean()) >= aim:
            break
    if best is None:
        return 0.0
    change = torch.cat([(best.seam - gen.seam).flatten(), (best.jump - gen.jump).flatten()])
    gen.seam.copy_(best.seam)
    gen.jump.copy_(best.jump)
    return float(change.square().mean())
