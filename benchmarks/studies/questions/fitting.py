"""Training by each trainer, and drawing samples from what was trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from dyntex.benchmarks.studies.questions.nets import Encoder
from dyntex.benchmarks.studies.questions.trainers import (
    Progress,
    adversarial,
    descriptor_alone,
    generator_alone,
    noise,
    variational,
)
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.observe import no_condition
from dyntex.coopnets.revise import revise
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.train import train


class Trainer(StrEnum):
    """How the two networks are trained."""

    COOP = "cooperative"
    REPLAY = "cooperative with replay"
    """Most chains go on from where earlier ones ended, with the latents that began them."""
    DESCRIPTOR = "descriptor alone"
    GENERATOR = "generator alone"
    VAE = "VAE"
    GAN = "GAN"


TOGETHER = (Trainer.COOP, Trainer.REPLAY)
COMPARED = (*TOGETHER, Trainer.GAN)
"""The trainers that are compared where modes are counted."""
N_CHAINS = 512
N_CLIP_CHAINS = 4
"""Persistent chains of the descriptor alone: of images, and of whole clips."""
BATCH = 64


@dataclass(frozen=True)
class Fitted:
    """Networks that were trained by one of the trainers.

    Attributes:
        t: the networks, the generator in evaluation mode.
        draw: (n, n_frames, rng) -> samples (n, C, n_frames, H, W) in [-1, 1].
    """

    t: TrainState
    draw: Callable[[int, int, torch.Generator], Tensor]


def fit(
    trainer: Trainer,
    y_obs: Tensor,
    config: CoopConfig,
    *,
    rng: torch.Generator,
    progress: Progress,
    on_step: Callable[[TrainState], None] = lambda _: None,
) -> Fitted:
    """Train the networks of ``config`` from clips or images (N, C, T, H, W), by one trainer.

    Args:
        trainer, y_obs, config: how, from what, and with which networks and settings.
        rng: all randomness.
        progress: as in :func:`dyntex.coopnets.train.train`.
        on_step: is shown every iteration's networks.
    """
    t = TrainState(config, y_obs, rng=rng)
    n, T = config.sampling.n_chains, y_obs.shape[2]
    chains = y_obs[:0]
    match trainer:
        case Trainer.COOP | Trainer.REPLAY:
            steps: Iterator[object] = train(t, y_obs, no_condition(y_obs), rng=rng, progress=progress)
        case Trainer.DESCRIPTOR:
            # A chain is as long as a clip, so that it need not grow when samples are wanted; an iteration has so many
            # fewer of them.
            chains = noise(t, (N_CHAINS if config.data.window == T else N_CLIP_CHAINS, *y_obs.shape[1:]), rng=rng)
            at_once = max(1, n * config.data.window // T)
            steps = descriptor_alone(t, y_obs, chains, n=at_once, rng=rng, progress=progress)
        case Trainer.GENERATOR:
            n_windows = len(y_obs) * (T - config.data.window + 1)
            latents = torch.randn((n_windows, *t.gen.latent_shape(config.data.window)), generator=rng)
            steps = generator_alone(t, y_obs, latents, rng=rng, progress=progress)
        case Trainer.VAE:
            _, channels, _, height, width = y_obs.shape
            encoder = Encoder(config, (channels, height, width), rng=rng)
            steps = variational(t, y_obs, encoder, rng=rng, progress=progress)
        case Trainer.GAN:
            steps = adversarial(t, y_obs, rng=rng, progress=progress)
    for _ in steps:
        on_step(t)
    t.gen.eval()

    def draw(n: int, n_frames: int, rng: torch.Generator) -> Tensor:
        if trainer is Trainer.DESCRIPTOR:
            picked = torch.randperm(len(chains), generator=rng)[:n]
            return revised(t, chains[picked, :, :n_frames], rng=rng)
        made = generated(t, n, n_frames, rng=rng)
        return revised(t, made, rng=rng) if trainer in TOGETHER else made

    return Fitted(t, draw)


def generated(t: TrainState, n: int, n_frames: int, *, rng: torch.Generator) -> Tensor:
    """y_gen by ancestral sampling: (n, C, n_frames, H, W). Leaves the generator in evaluation mode."""
    t.gen.eval()
    with torch.no_grad():
        z = torch.randn((n, *t.gen.latent_shape(n_frames)), generator=rng)
        return torch.cat([t.gen(part, part[:, :0])[:, :, :n_frames] for part in torch.split(z, BATCH)])


def revised(
    t: TrainState, y: Tensor, *, rng: torch.Generator, n_steps: int | None = None, config: CoopConfig | None = None
) -> Tensor:
    """y_rev: K Langevin steps from y (n, C, T, H, W), by default as many as in training; clamped to [-1, 1]."""
    config = config or t.config
    parts = [
        revise(t.des, part, no_condition(part), config, rng=rng, n_steps=n_steps) for part in torch.split(y, BATCH)
    ]
    return torch.cat(parts).clamp(-1.0, 1.0)
