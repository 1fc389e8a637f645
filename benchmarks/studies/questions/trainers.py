"""The same two networks trained in many ways: together, each alone, as a VAE and as a GAN.

All begin at the same weights, draw the same windows of the same data and descend with Adam; each is an iterator that
yields the iteration and ends when ``progress`` is 1, as :func:`dyntex.coopnets.train.train` does, and mutates what it
is given.

Shapes: y_obs (N, C, T, H, W); windows are ``config.data.window`` frames long.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.benchmarks.studies.questions.nets import Encoder
from dyntex.coopnets.inference import infer
from dyntex.coopnets.observe import no_condition
from dyntex.coopnets.optimise import backward, update
from dyntex.coopnets.revise import revise
from dyntex.coopnets.state import TrainState
from dyntex.networks.generator import Generator

Progress = Callable[[int], float]


def windows(y_obs: Tensor, n_frames: int, n: int, *, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """``n`` random windows (n, C, n_frames, H, W), and which of the N (T - n_frames + 1) there are they are, (n,)."""
    starts = y_obs.shape[2] - n_frames + 1
    which = torch.randint(len(y_obs) * starts, (n,), generator=rng)
    cut = [y_obs[i // starts, :, i % starts : i % starts + n_frames] for i in which.tolist()]
    return torch.stack(cut), which


def descriptor_alone(
    t: TrainState, y_obs: Tensor, chains: Tensor, *, n: int, rng: torch.Generator, progress: Progress
) -> Iterator[int]:
    """Maximum likelihood with persistent chains (Xie et al. 2016; Xie, Zhu, Wu 2017 for video): no generator.

    Args:
        t: of which the descriptor learns.
        y_obs: what it learns from.
        chains: (M, C, T', H, W), all chains there are; n of them go on in each iteration, in place.
        n: chains, and observed windows of T' frames, of one iteration.
        rng, progress: as in :func:`dyntex.coopnets.train.train`.
    """
    config, des = t.config, t.des
    while progress(t.iteration) < 1.0:
        y_real, _ = windows(y_obs, chains.shape[2], n, rng=rng)
        picked = torch.randperm(len(chains), generator=rng)[:n]
        y_rev = revise(des, chains[picked], no_condition(y_real), config, rng=rng)
        chains[picked] = y_rev
        loss = des(y_rev, no_condition(y_rev)).mean() - des(y_real, no_condition(y_real)).mean()
        _learn(loss, t.opt_des)
        t.iteration += 1
        yield t.iteration


def noise(t: TrainState, shape: tuple[int, ...], *, rng: torch.Generator) -> Tensor:
    """Samples of the reference distribution q, where the descriptor's chains start: (B, C, T, H, W)."""
    return t.des.ref_mean + t.des.ref_std * torch.randn(shape, generator=rng)


def generator_alone(
    t: TrainState, y_obs: Tensor, latents: Tensor, *, rng: torch.Generator, progress: Progress
) -> Iterator[int]:
    """Alternating back-propagation (Han, Lu, Zhu, Wu 2017): infer z of what is observed by Langevin, then learn g.

    Args:
        t: of which the generator learns.
        y_obs: what it learns from.
        latents: (N (T - window + 1), D, T', H', W'), the z of every window, which go on from where they were, in place.
        rng, progress: as in :func:`dyntex.coopnets.train.train`.
    """
    config, gen = t.config, t.gen
    while progress(t.iteration) < 1.0:
        y, which = windows(y_obs, config.data.window, config.sampling.n_chains, rng=rng)
        latents[which] = z = infer(gen, latents[which], y, no_condition(y), config, rng=rng)
        loss = _misfit(gen, z, y, config.optimisation.gen_std).mean()
        _learn(loss, t.opt_gen)
        t.iteration += 1
        yield t.iteration


def variational(
    t: TrainState, y_obs: Tensor, encoder: Encoder, *, rng: torch.Generator, progress: Progress
) -> Iterator[int]:
    """A VAE (Kingma, Welling 2014) whose decoder is the generator and whose encoder is the descriptor's trunk."""
    config = t.config
    opt = torch.optim.Adam(
        encoder.parameters(), lr=config.optimisation.lr_gen, betas=(config.optimisation.beta1, 0.999)
    )
    while progress(t.iteration) < 1.0:
        y, _ = windows(y_obs, config.data.window, config.sampling.n_chains, rng=rng)
        loss = negative_elbo(t.gen, encoder, y, gen_std=config.optimisation.gen_std, rng=rng)
        _learn(loss, t.opt_gen, opt)
        t.iteration += 1
        yield t.iteration


def negative_elbo(
    gen: Generator,
    encode: Callable[[Tensor], tuple[Tensor, Tensor]],
    y: Tensor,
    *,
    gen_std: float,
    rng: torch.Generator,
) -> Tensor:
    """E_q |y - g(z)|^2 / 2 sigma^2 + KL(q(z|y) | N(0, I)), less the constant of p(y|z): one draw of z, mean over y."""
    mean, log_var = encode(y)
    z = mean + (0.5 * log_var).exp() * torch.randn(mean.shape, generator=rng)
    divergence = 0.5 * (mean.square() + log_var.exp() - 1.0 - log_var).flatten(1).sum(1)
    return (_misfit(gen, z, y, gen_std) + divergence).mean()


def adversarial(t: TrainState, y_obs: Tensor, *, rng: torch.Generator, progress: Progress) -> Iterator[int]:
    """A GAN (Goodfellow et al. 2014) with the non-saturating loss: the discriminator's logit is the descriptor's f."""
    config, des, gen = t.config, t.des, t.gen
    while progress(t.iteration) < 1.0:
        y, _ = windows(y_obs, config.data.window, config.sampling.n_chains, rng=rng)
        z = torch.randn((len(y), *gen.latent_shape(config.data.window)), generator=rng)
        fake = gen(z, no_condition(y))[:, :, : config.data.window]
        told_apart = (
            F.softplus(-des(y, no_condition(y))).mean() + F.softplus(des(fake.detach(), no_condition(y))).mean()
        )
        _learn(told_apart, t.opt_des)
        _learn(F.softplus(-des(fake, no_condition(y))).mean(), t.opt_gen)
        t.iteration += 1
        yield t.iteration


def _misfit(gen: Generator, z: Tensor, y: Tensor, gen_std: float) -> Tensor:
    """-log p(y | z) but for its constant: (B,)."""
    made = gen(z, no_condition(y))[:, :, : y.shape[2]]
    error: Tensor = (y - made).square().flatten(1).sum(1) / (2.0 * gen_std**2)
    return error


def _learn(loss: Tensor, *optimisers: torch.optim.Adam) -> None:
    backward(loss, *optimisers)
    for optimiser in optimisers:
        update(optimiser)
