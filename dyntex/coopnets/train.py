"""Cooperative training: the descriptor and the generator teach each other (Xie et al. 2020, algorithm 1)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.langevin import langevin
from dyntex.errors import InputError
from dyntex.networks.architecture import GaussianTextureConfig
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.generator import Generator
from dyntex.networks.layers import OPEN, Axes
from dyntex.networks.shot_noise import GaussianTextureGenerator

AnyGenerator = Generator | GaussianTextureGenerator


@dataclass(frozen=True)
class StepInfo:
    """What one iteration looked like; lengths are in pixel units of [-1, 1].

    Attributes:
        iteration: counted from 1.
        gap: mean f(y_obs) - mean f(y_rev): what the descriptor tells data from samples by; oscillates when healthy.
        energy: mean U(y_rev).
        gen_loss: mean squared distance of g(z) from the revised sample.
        move: root-mean-square distance that the Langevin dynamics moved the samples.
        des_grad, gen_grad: norms of the parameters' gradients.
        chain_difference: mean |difference| between chains, as a share of that between the first chain and the clip;
            0 when all chains are alike.
        frame_step: mean |frame-to-frame step| of the samples, as a share of the clip's; 0 when frozen, 1 when alive
            (and for stills).
    """

    iteration: int
    gap: float
    energy: float
    gen_loss: float
    move: float
    des_grad: float
    gen_grad: float
    chain_difference: float
    frame_step: float


class Teaching:
    """Everything that changes while the networks teach each other, so that it can be saved and continued.

    Args:
        config: the whole training.
        y_obs: (N, C, T, H, W), the observed clips, on the device to train on.
        rng: on that device; draws the initial weights.
        condition_channels: K.
    """

    def __init__(self, config: CoopConfig, y_obs: Tensor, *, rng: torch.Generator, condition_channels: int = 0) -> None:
        self.config = config
        self.condition_channels = condition_channels
        self.iteration = 0
        self.step_scale = 1.0
        self.des, self.gen = networks(config, y_obs, rng=rng, condition_channels=condition_channels)
        self.ema = copy.deepcopy(self.gen) if config.ema else None
        self.opt_des = _adam(self.des, config.lr_des, config.beta1)
        self.opt_gen = _adam(self.gen, config.lr_gen, config.beta1)
        # (z, y_rev, which window's condition it hears) of earlier chains, one chain each.
        self.memory: list[tuple[Tensor, Tensor, int]] = []

    @property
    def sampler(self) -> AnyGenerator:
        """The generator that synthesizes: the averaged one where there is one."""
        return self.gen if self.ema is None else self.ema

    def state(self, rng: torch.Generator) -> dict[str, Tensor]:
        """All of it as named tensors, the random state included: what it takes to go on as if never stopped.

        The tensors are the live ones where that is possible: copy them before the next iteration changes them.
        """
        state = {
            "iteration": torch.tensor(self.iteration),
            "step_scale": torch.tensor(self.step_scale, dtype=torch.float64),
            "rng": rng.get_state(),
            "memory.length": torch.tensor(len(self.memory)),
        }
        for name, net in self._networks().items():
            state |= {f"{name}.{key}": value for key, value in net.state_dict().items()}
        for name, optimiser in self._optimisers().items():
            state |= {f"{name}.{key}": value for key, value in _optimiser_state(optimiser)}
        for i, (z, y, place) in enumerate(self.memory):
            state |= {f"memory.{i}.z": z, f"memory.{i}.y": y, f"memory.{i}.place": torch.tensor(place)}
        return state

    def load(self, state: Mapping[str, Tensor], rng: torch.Generator) -> None:
        """Take over what :meth:`state` gave, bit for bit.

        Raises:
            InputError: a tensor is missing or of another shape; nothing was changed then.
        """
        self._check(state, rng)
        device = self.gen_device
        self.iteration = int(state["iteration"])
        self.step_scale = float(state["step_scale"])
        rng.set_state(state["rng"].cpu())
        for name, net in self._networks().items():
            net.load_state_dict(_under(state, name))
        for name, optimiser in self._optimisers().items():
            _load_optimiser(optimiser, _under(state, name))
        slots = range(int(state["memory.length"]))
        # Copies: the chains that go on write into the memory, never into what was loaded.
        kept = [[state[f"memory.{i}.{key}"] for key in ("z", "y", "place")] for i in slots]
        self.memory = [(z.to(device, copy=True), y.to(device, copy=True), int(place)) for z, y, place in kept]

    def _networks(self) -> dict[str, nn.Module]:
        nets: dict[str, nn.Module] = {"descriptor": self.des, "generator": self.gen}
        return nets if self.ema is None else nets | {"average": self.ema}

    def _optimisers(self) -> dict[str, torch.optim.Adam]:
        return {"optimiser.descriptor": self.opt_des, "optimiser.generator": self.opt_gen}

    @property
    def gen_device(self) -> torch.device:
        return next(self.gen.parameters()).device

    def _check(self, state: Mapping[str, Tensor], rng: torch.Generator) -> None:
        expected = {
            f"{name}.{key}": value for name, net in self._networks().items() for key, value in net.state_dict().items()
        }
        scalar = torch.zeros(())
        expected |= {"iteration": scalar, "step_scale": scalar, "memory.length": scalar, "rng": rng.get_state()}
        check_tensors(state, expected, "the checkpoint")
        if int(state["iteration"]) > 0:
            for name, optimiser in self._optimisers().items():
                for i, p in enumerate(_parameters(optimiser)):
                    slots = {"step": scalar, "exp_avg": p, "exp_avg_sq": p}
                    check_tensors(state, {f"{name}.{i}.{key}": value for key, value in slots.items()}, "the checkpoint")
        for i in range(int(state["memory.length"])):
            slot = dict.fromkeys((f"memory.{i}.z", f"memory.{i}.y")) | {f"memory.{i}.place": scalar}
            check_tensors(state, slot, "the checkpoint")


def check_tensors(state: Mapping[str, Tensor], expected: Mapping[str, Tensor | None], what: str) -> None:
    """Every expected tensor is there, with its shape (any shape where None is expected).

    Raises:
        InputError: the first that is not.
    """
    for key, value in expected.items():
        if key not in state:
            raise InputError(f"{what} lacks the tensor {key!r}: it belongs to another preset or is damaged")
        if value is not None and state[key].shape != value.shape:
            have, need = ("x".join(map(str, shape)) or "scalar" for shape in (state[key].shape, value.shape))
            raise InputError(
                f"{what} holds {key!r} as {have}, and this preset and size need {need}: "
                "use the preset and size it was made with"
            )


def _under(state: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key[len(name) + 1 :]: value for key, value in state.items() if key.startswith(name + ".")}


def _parameters(optimiser: torch.optim.Adam) -> list[Tensor]:
    return [p for group in optimiser.param_groups for p in group["params"]]


def _optimiser_state(optimiser: torch.optim.Adam) -> Iterator[tuple[str, Tensor]]:
    for i, parameter in enumerate(_parameters(optimiser)):
        for key, value in optimiser.state.get(parameter, {}).items():
            yield f"{i}.{key}", value


def _load_optimiser(optimiser: torch.optim.Adam, state: Mapping[str, Tensor]) -> None:
    optimiser.state.clear()
    for i, parameter in enumerate(_parameters(optimiser)):
        slots = _under(state, str(i))
        if slots:
            optimiser.state[parameter] = {key: value.to(parameter.device, copy=True) for key, value in slots.items()}


def _adam(net: nn.Module, rate: float, beta1: float) -> torch.optim.Adam:
    # Fused: one pass over 240 million parameters and their moments in place of seven.
    return torch.optim.Adam(net.parameters(), lr=rate, betas=(beta1, 0.999), fused=True)


def networks(
    config: CoopConfig, y_obs: Tensor, *, rng: torch.Generator, condition_channels: int = 0
) -> tuple[Descriptor, AnyGenerator]:
    """The two networks of a config, as they are before the first iteration, on the device of ``y_obs``."""
    _, channels, _, height, width = y_obs.shape
    n_frames = config.window or y_obs.shape[2]
    cpu = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=rng, device=rng.device)))
    seen = (channels + condition_channels, n_frames, height, width)
    des = Descriptor(config.descriptor, seen, rng=cpu, precision=config.precision)
    # On the meta device there are shapes and no numbers, and both fits give the shapes of what a checkpoint fills in.
    clip = y_obs if y_obs.is_meta else y_obs.cpu()
    des.fit_reference(clip)
    gen: AnyGenerator
    if isinstance(config.generator, GaussianTextureConfig):
        gen = GaussianTextureGenerator(config.generator, clip, rng=cpu, condition_channels=condition_channels)
    else:
        shape = (channels, n_frames, height, width)
        precision = config.precision
        gen = Generator(config.generator, shape, rng=cpu, condition_channels=condition_channels, precision=precision)
    return des.to(y_obs.device), gen.to(y_obs.device)


def teach(
    t: Teaching,
    y_obs: Tensor,
    cond: Tensor,
    *,
    rng: torch.Generator,
    progress: Callable[[int], float] | None = None,
) -> Iterator[StepInfo]:
    """Run the cooperative iterations, one record for each; mutates ``t``.

    Args:
        t: the networks and their optimisers.
        y_obs: (N, C, T, H, W), the observed clips: one, or a set.
        cond: (N, K, T, H, W), their conditions.
        rng: on the clip's device.
        progress: share of the training that is done when this many iterations are; the loop ends at 1. By default
            iterations over ``config.iterations``; a time budget is another such function.
    """
    config = t.config
    done = progress or (lambda iteration: iteration / config.iterations)
    n_frames = config.window or y_obs.shape[2]
    real_step = _motion(y_obs)
    while (share := done(t.iteration)) < 1.0:
        t.gen.train()
        _set_rates(t, share)
        places = _places(y_obs, n_frames, config.n_chains, rng)
        y_real, cond_real = (_windows(x, places, n_frames) for x in (y_obs, cond))
        if config.data_noise:
            noise = torch.randn(y_real.shape, generator=rng, device=y_real.device)
            y_real = y_real + config.data_noise * t.des.scale * noise

        # G0 generate: y_gen = g(z), z ~ N(0, I)
        z = torch.randn((config.n_chains, *t.gen.latent_shape(n_frames)), generator=rng, device=y_obs.device)
        heard = (places * config.n_chains)[: config.n_chains]
        slots, recalled = _recall(t, z, heard, rng)
        cond_chain = _windows(cond, heard, n_frames)
        y_gen = t.gen(z, cond_chain)[:, :, :n_frames]

        # D1 revise: y_rev = K Langevin steps of the descriptor from y_gen, or from where a recalled chain stood
        start = y_gen.detach().clone()
        for b, earlier in recalled.items():
            start[b] = earlier
        y_rev = revise(t.des, start, cond_chain, config, rng=rng, step_scale=t.step_scale)
        for b, slot in enumerate(slots):
            t.memory[slot : slot + 1] = [(z[b].clone(), y_rev[b].clone(), heard[b])]

        # G1 infer (optional): z moves to explain y_rev
        if config.n_steps_z:
            z = infer(t.gen, z, y_rev, cond_chain, config, rng=rng)
            y_gen = t.gen(z, cond_chain)[:, :, :n_frames]

        # D2 learn: ascend mean f(y_obs) - mean f(y_rev)
        f = t.des(torch.cat((y_real, y_rev)), torch.cat((cond_real, cond_chain)))
        f_real, f_rev = f[: len(y_real)].mean(), f[len(y_real) :].mean()
        t.opt_des.zero_grad()
        (f_rev - f_real).backward()
        des_grad = descend(t.opt_des, t.des, config.grad_limit)

        # G2 learn: descend |y_rev - g(z)|^2 / 2 gen_std^2
        gen_loss = (y_rev - y_gen).square().mean() / (2.0 * config.gen_std**2)
        lesson = gen_loss
        if config.regress:
            lesson = lesson + config.regress * off_mean(t.gen, y_real, cond_real, rng=rng) / (2.0 * config.gen_std**2)
        t.opt_gen.zero_grad()
        lesson.backward()
        gen_grad = descend(t.opt_gen, t.gen, config.grad_limit)
        if t.ema is not None:
            _average(t.ema, t.gen, min(config.ema, (1 + t.iteration) / (10 + t.iteration)))

        t.iteration += 1
        with torch.no_grad():
            energy = t.des.reference_energy(y_rev).mean() - f_rev
            spread = (y_rev[:1] - y_real[:1]).abs().mean()
            chains = (y_rev[1:] - y_rev[:-1]).abs().mean() if len(y_rev) > 1 else spread
            move = (y_rev - start).square().mean().sqrt()
            # One transfer from the device for all numbers.
            numbers = torch.stack((f_real - f_rev, energy, gen_loss, move, des_grad, gen_grad))
            ratios = torch.stack((chains / spread, _motion(y_rev) / real_step))
            values = torch.cat((numbers, ratios)).tolist()
        yield StepInfo(t.iteration, *values)


def _motion(y: Tensor) -> Tensor:
    """Mean absolute step from frame to frame, and a little, so that what stands still is as still as another such."""
    steps = (y[:, :, 1:] - y[:, :, :-1]).abs()
    return steps.sum() / max(1, steps.numel()) + 1e-6


def off_mean(gen: AnyGenerator, y: Tensor, cond: Tensor, *, rng: torch.Generator) -> Tensor:
    """How far the mean of the generator's clips is from that of the observed ones of the same conditions.

    The product of the residuals of two independent latents, whose expectation is |E_z g(z, c) - y|^2: it is least where
    E_z g(z, c) = E[y | c], and says nothing about how much the clips of a condition differ. (The square of one residual
    would have them all be that mean.)

    Args:
        gen: the generator.
        y: (B, C, T, H, W), observed clips.
        cond: (B, K, T, H, W), their conditions.
        rng: draws the latents, on the device of ``y``.
    """
    z = torch.randn((2 * len(y), *gen.latent_shape(y.shape[2])), generator=rng, device=y.device)
    one, other = gen(z, torch.cat((cond, cond)))[:, :, : y.shape[2]].chunk(2)
    product: Tensor = (one - y) * (other - y)
    return product.mean()


def revise(
    des: Descriptor,
    y: Tensor,
    cond: Tensor,
    config: CoopConfig,
    *,
    rng: torch.Generator,
    n_steps: int | None = None,
    step_scale: float = 1.0,
    periodic: Axes = OPEN,
    held: Tensor | None = None,
) -> Tensor:
    """D1: the descriptor's Langevin dynamics from ``y`` (B, C, T, H, W), as the config sets them.

    Args:
        des, y, config: what revises, what is revised, and how.
        cond: (B, K, T' + T, H, W), of the held frames too.
        rng: on the device of ``y``.
        n_steps, step_scale: K and a factor on the step, in place of the training's.
        periodic: axes of (T, H, W) along which the end leads into the beginning.
        held: (B, C, T', H, W), frames before ``y`` that the energy hears and that stay as they are.
    """

    still = des.frozen()

    def energy(y: Tensor) -> Tensor:
        whole = y if held is None else torch.cat((held, y), dim=2)
        return still.energy(whole, cond, periodic=periodic)

    return langevin(
        energy,
        y,
        n_steps=config.n_steps if n_steps is None else n_steps,
        step=config.step * step_scale,
        rng=rng,
        temperature=config.temperature,
        scale=des.scale,
        drift_limit=config.drift_limit,
    )


def infer(
    gen: AnyGenerator, z: Tensor, y_rev: Tensor, cond: Tensor, config: CoopConfig, *, rng: torch.Generator
) -> Tensor:
    """G1: Langevin dynamics of z on |z|^2/2 + |y_rev - g(z)|^2 / 2 gen_std^2 (equation 9), from the z that began it."""
    n_frames = y_rev.shape[2]

    def energy(z: Tensor) -> Tensor:
        error = (y_rev - gen(z, cond)[:, :, :n_frames]).square().flatten(1).sum(1)
        u: Tensor = 0.5 * z.square().flatten(1).sum(1) + error / (2.0 * config.gen_std**2)
        return u

    return langevin(energy, z, n_steps=config.n_steps_z, step=config.step_z, rng=rng)


def _recall(t: Teaching, z: Tensor, heard: list[int], rng: torch.Generator) -> tuple[list[int], dict[int, Tensor]]:
    """Memory slots of all chains, and where the chains that go on stood.

    Their old z, and the old place of their condition, replace the new ones in ``z`` and ``heard``.

    A chain that starts afresh is given the next free slot, or takes over a random one once the memory is full.
    """
    config = t.config
    slots: list[int] = []
    recalled: dict[int, Tensor] = {}
    free = len(t.memory)
    for b in range(len(z) if config.memory else 0):
        go_on, pick = torch.rand(2, generator=rng, device=rng.device).tolist()
        if t.memory and go_on < config.persistent:
            slot = int(pick * len(t.memory))
            z[b], recalled[b], heard[b] = t.memory[slot]
        elif free < config.memory:
            slot, free = free, free + 1
        else:
            slot = int(pick * len(t.memory))
        slots.append(slot)
    return slots, recalled


def _places(y: Tensor, n_frames: int, n: int, rng: torch.Generator) -> list[int]:
    """Where ``n`` random windows of the clips (N, C, T, H, W) begin; the only one, where all the clip is one."""
    n_places = len(y) * (y.shape[2] - n_frames + 1)
    return [0] if n_places == 1 else torch.randint(n_places, (n,), generator=rng, device=rng.device).tolist()


def _windows(x: Tensor, places: list[int], n_frames: int) -> Tensor:
    """Those windows, of the clips or of their conditions."""
    at = [divmod(place, x.shape[2] - n_frames + 1) for place in places]
    return torch.stack([x[i, :, start : start + n_frames] for i, start in at])


def _set_rates(t: Teaching, share: float) -> None:
    """Constant rates over the first half, then linearly down to ``lr_decay`` of them."""
    factor = 1.0 - (1.0 - t.config.lr_decay) * max(0.0, 2.0 * share - 1.0)
    lr_gen = t.config.lr_gen if share >= t.config.head_start else 0.0
    for optimiser, rate in ((t.opt_des, t.config.lr_des), (t.opt_gen, lr_gen)):
        for group in optimiser.param_groups:
            group["lr"] = rate * factor * t.step_scale


def descend(optimiser: torch.optim.Optimizer, net: nn.Module, limit: float = 0.0) -> Tensor:
    """One optimiser step by the gradients there are; returns their norm before it was clipped to ``limit``, if any."""
    norm: Tensor
    if limit:
        norm = nn.utils.clip_grad_norm_(net.parameters(), limit)
    else:  # clipping to infinity would multiply every gradient by one
        norm = torch.stack([p.grad.norm() for p in net.parameters() if p.grad is not None]).norm()
    optimiser.step()
    return norm


@torch.no_grad()
def _average(ema: nn.Module, net: nn.Module, decay: float) -> None:
    for a, b in zip(ema.state_dict().values(), net.state_dict().values(), strict=True):
        if a.is_floating_point():
            a.lerp_(b, 1.0 - decay)
