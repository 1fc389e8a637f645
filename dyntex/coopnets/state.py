"""The state of a training: the networks, their optimisers and the replay buffer, as named tensors."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.optimise import adam
from dyntex.coopnets.replay import Chain, Replay
from dyntex.errors import InputError
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.generator import Generator


class TrainState:
    """Everything that changes during training, so that it can be saved and continued.

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
        self.ema = copy.deepcopy(self.gen) if config.stabilisers.ema else None
        self.opt_des = adam(self.des, config.optimisation.lr_des, config.optimisation.beta1)
        self.opt_gen = adam(self.gen, config.optimisation.lr_gen, config.optimisation.beta1)
        self.replay = Replay(config.replay)

    @property
    def sampler(self) -> Generator:
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
            "replay.length": torch.tensor(len(self.replay.chains)),
        }
        for name, net in self._networks().items():
            state |= {f"{name}.{key}": value for key, value in net.state_dict().items()}
        for name, optimiser in self._optimisers().items():
            state |= {f"{name}.{key}": value for key, value in _optimiser_state(optimiser)}
        for i, chain in enumerate(self.replay.chains):
            window = torch.tensor(chain.window)
            state |= {f"replay.{i}.z": chain.z, f"replay.{i}.y": chain.y, f"replay.{i}.window": window}
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
        # Copies: the chains that go on write into the buffer, never into what was loaded.
        held = [
            [state[f"replay.{i}.{key}"] for key in ("z", "y", "window")] for i in range(int(state["replay.length"]))
        ]
        chains = (Chain(z.to(device, copy=True), y.to(device, copy=True), int(window)) for z, y, window in held)
        self.replay = Replay(self.config.replay, chains)

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
        expected |= {"iteration": scalar, "step_scale": scalar, "replay.length": scalar, "rng": rng.get_state()}
        check_tensors(state, expected, "the checkpoint")
        if int(state["iteration"]) > 0:
            for name, optimiser in self._optimisers().items():
                for i, p in enumerate(_parameters(optimiser)):
                    slots = {"step": scalar, "exp_avg": p, "exp_avg_sq": p}
                    check_tensors(state, {f"{name}.{i}.{key}": value for key, value in slots.items()}, "the checkpoint")
        for i in range(int(state["replay.length"])):
            slot = dict.fromkeys((f"replay.{i}.z", f"replay.{i}.y")) | {f"replay.{i}.window": scalar}
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


def networks(
    config: CoopConfig, y_obs: Tensor, *, rng: torch.Generator, condition_channels: int = 0
) -> tuple[Descriptor, Generator]:
    """The two networks of a config, as they are before the first iteration, on the device of ``y_obs``."""
    _, channels, _, height, width = y_obs.shape
    n_frames = config.data.window or y_obs.shape[2]
    cpu = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=rng, device=rng.device)))
    seen = (channels + condition_channels, n_frames, height, width)
    des = Descriptor(config.descriptor, seen, rng=cpu, precision=config.precision)
    # On the meta device there are shapes and no numbers, and both fits give the shapes of what a checkpoint fills in.
    clip = y_obs if y_obs.is_meta else y_obs.cpu()
    des.fit_reference(clip)
    gen = config.generator.build(
        clip, n_frames, rng=cpu, condition_channels=condition_channels, precision=config.precision
    )
    return des.to(y_obs.device), gen.to(y_obs.device)
