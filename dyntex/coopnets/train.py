"""Cooperative training: algorithm 1 of Xie et al. (TPAMI 2020), step by step.

The descriptor p(y) ~ exp(-U(y)), U = |y|^2 / 2 s^2 - f(y), and the generator y = g(z), z ~ N(0, I), train each other:
the generator starts the descriptor's Langevin chains, and learns from where they move its samples (MCMC teaching).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from dyntex.coopnets.inference import infer
from dyntex.coopnets.optimise import average, backward, rates, update
from dyntex.coopnets.ranks import ALONE, Ranks
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.revise import revise
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.windows import cut, draw_windows, motion
from dyntex.networks.generator import Generator


def train(
    state: TrainState,
    y_obs: Tensor,
    cond: Tensor,
    *,
    rng: torch.Generator,
    progress: Callable[[int], float] | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[StepInfo]:
    """Run the cooperative iterations, one record for each; mutates ``state``.

    Args:
        state: the networks, their optimisers and the replay buffer.
        y_obs: (N, C, T, H, W), the observed clips: one, or a set.
        cond: (N, K, T, H, W), their conditions.
        rng: on the clips' device.
        progress: share of the training that is done when this many iterations are; the loop ends at 1. By default
            iterations over ``config.optimisation.iterations``; a time budget is another such function.
        ranks: the processes that share the chains: all of them draw for all chains, and networks see ``mine``.
    """
    mine, whole = ranks.mine, ranks.whole
    config, sampling, optimisation = state.config, state.config.sampling, state.config.optimisation
    done = progress or (lambda iteration: iteration / optimisation.iterations)
    n_frames = config.data.window or y_obs.shape[2]
    real_motion = motion(y_obs)
    while (share := ranks.first(done(state.iteration))) < 1.0:
        state.gen.train()
        lr_des, lr_gen = (rate * state.step_scale for rate in rates(optimisation, share))
        windows = draw_windows(y_obs, n_frames, sampling.n_chains, rng=rng)
        y, c = cut(y_obs, windows, n_frames), cut(cond, windows, n_frames)  # (n, C, t, H, W), (n, K, t, H, W)
        if config.stabilisers.data_noise:  # paper: none
            y = y + config.stabilisers.data_noise * state.des.scale * _normal_like(y, rng)

        # G0 generate: z ~ N(0, I), y_gen = g(z)
        z = torch.randn((sampling.n_chains, *state.gen.latent_shape(n_frames)), generator=rng, device=y.device)
        chains = (windows * sampling.n_chains)[: sampling.n_chains]
        slots, recalled = state.replay.draw(sampling.n_chains, rng=rng)
        for b, chain in recalled.items():
            z[b], chains[b] = chain.z, chain.window
        c_gen = cut(cond, chains, n_frames)
        y_gen = state.gen(mine(z), mine(c_gen))[:, :, :n_frames]

        # D1 revise: y_rev = K Langevin steps on U from y_gen (replay, a departure: or from where a chain stood)
        start = whole(y_gen.detach().clone())
        for b, chain in recalled.items():
            start[b] = chain.y
        revised = revise(state.des, mine(start), mine(c_gen), config, rng=rng, step_scale=state.step_scale, ranks=ranks)
        y_rev = whole(revised)
        state.replay.store(slots, z, y_rev, chains)

        # G1 infer (optional, off in the paper's code): z_rev ~ p(z | y_rev), from z
        if sampling.n_steps_z:
            z_rev = infer(state.gen, mine(z), mine(y_rev), mine(c_gen), config, rng=rng, ranks=ranks)
            y_gen = state.gen(z_rev, mine(c_gen))[:, :, :n_frames]

        # D2 learn: ascend mean f(y_obs) - mean f(y_rev)
        f = state.des(torch.cat((mine(y), mine(y_rev))), torch.cat((mine(c), mine(c_gen))))
        f_obs, f_rev = f[: len(mine(y))].mean(), f[len(mine(y)) :].mean()
        backward(descriptor_loss(f_obs, f_rev), state.opt_des, ranks=ranks)
        des_grad = update(state.opt_des, lr_des)

        # G2 learn: descend |y_rev - g(z)|^2 / 2 gen_std^2
        gen_loss = loss = generator_loss(mine(y_rev), y_gen, optimisation.gen_std)
        if optimisation.regression_weight:  # paper: none
            mean_error = mean_loss(state.gen, y, c, optimisation.gen_std, rng=rng, ranks=ranks)
            loss = loss + optimisation.regression_weight * mean_error
        backward(loss, state.opt_gen, ranks=ranks)
        gen_grad = update(state.opt_gen, lr_gen)
        if state.ema is not None:
            average(state.ema, state.gen, min(config.stabilisers.ema, (1 + state.iteration) / (10 + state.iteration)))

        state.iteration += 1
        with torch.no_grad():
            f_obs, f_rev, gen_loss = ranks.mean(torch.stack((f_obs, f_rev, gen_loss)))
            energy = state.des.reference_energy(y_rev).mean() - f_rev
            spread = (y_rev[:1] - y[:1]).abs().mean()
            apart = (y_rev[1:] - y_rev[:-1]).abs().mean() if len(y_rev) > 1 else spread
            move = (y_rev - start).square().mean().sqrt()
            # One transfer from the device for all numbers.
            numbers = torch.stack((f_obs - f_rev, energy, gen_loss, move, des_grad, gen_grad))
            values = torch.cat((numbers, torch.stack((apart / spread, motion(y_rev) / real_motion)))).tolist()
        yield StepInfo(state.iteration, *values)


def descriptor_loss(f_obs: Tensor, f_rev: Tensor) -> Tensor:
    """D2: mean f(y_rev) - mean f(y_obs), whose gradient is minus the Monte Carlo one of the log-likelihood (eq. 5)."""
    return f_rev - f_obs


def generator_loss(y_rev: Tensor, y_gen: Tensor, gen_std: float) -> Tensor:
    """G2: |y_rev - g(z)|^2 / 2 gen_std^2 (equation 11). # paper: sum over pixels; here: mean, as in its code."""
    return (y_rev - y_gen).square().mean() / (2.0 * gen_std**2)


def mean_loss(
    gen: Generator, y: Tensor, cond: Tensor, gen_std: float, *, rng: torch.Generator, ranks: Ranks = ALONE
) -> Tensor:
    """How far the mean of the generator's clips is from that of the observed ones of the same conditions.

    The product of the residuals of two independent latents, whose expectation is |E_z g(z, c) - y|^2: it is least where
    E_z g(z, c) = E[y | c], and says nothing about how much the clips of a condition differ. (The square of one residual
    would make them all that mean.)

    Args:
        gen: the generator.
        y: (B, C, T, H, W), observed clips.
        cond: (B, K, T, H, W), their conditions.
        gen_std: sigma.
        rng: draws the latents, on the device of ``y``.
        ranks: of which each looks at its part of the clips.
    """
    z = torch.randn((2 * len(y), *gen.latent_shape(y.shape[2])), generator=rng, device=y.device)
    z, y, cond = torch.cat([ranks.mine(half) for half in z.chunk(2)]), ranks.mine(y), ranks.mine(cond)
    one, other = gen(z, torch.cat((cond, cond)))[:, :, : y.shape[2]].chunk(2)
    product: Tensor = (one - y) * (other - y)
    return product.mean() / (2.0 * gen_std**2)


def _normal_like(y: Tensor, rng: torch.Generator) -> Tensor:
    return torch.randn(y.shape, generator=rng, device=y.device)
