"""CoopNets, the method: fitted to a clip, it synthesizes more of it. Saved, it is a folder of two files."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from dyntex.clip import Clip, concatenate
from dyntex.coopnets.capabilities import capabilities
from dyntex.coopnets.checkpoint import CONFIG, MODEL, load_about, load_tensors, make_folder, save_json, save_tensors
from dyntex.coopnets.config import CoopConfig, from_json, to_json
from dyntex.coopnets.inference import posterior_mode
from dyntex.coopnets.observe import no_condition, observe
from dyntex.coopnets.presets import FAST
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.revise import revise
from dyntex.coopnets.state import TrainState, check_tensors, networks
from dyntex.coopnets.stream import stream
from dyntex.coopnets.watchdog import watched
from dyntex.errors import InputError, UsageError
from dyntex.method import Capabilities
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.generator import Generator
from dyntex.networks.layers import OPEN, Axes
from dyntex.runtime import full_speed

SCHEMA_VERSION = 2


ANCHOR_FRAMES = 4
"""Frames of an anchor that are used: one latent time of the paper's generators, whose stride is 4."""


def ignore(_: Any) -> None:
    """A callback that does nothing."""


@dataclass(frozen=True)
class CoopNets:
    """A descriptor and a generator, trained together on one clip or on a set of them.

    Attributes:
        config: what they were built and trained with.
        des, gen: the networks, in evaluation mode.
        shape: (C, T, H, W) of a clip.
        fps: its rate.
        iterations: how many they were trained for.
        condition_channels: K; 0 for a model without conditions.
        condition: what they mean, as JSON; nothing here reads it.
    """

    config: CoopConfig
    des: Descriptor
    gen: Generator
    shape: tuple[int, int, int, int]
    fps: Fraction
    iterations: int
    condition_channels: int = 0
    condition: Any = None

    @classmethod
    def capabilities(cls, config: CoopConfig = FAST) -> Capabilities:
        """What the networks of that config can do."""
        return capabilities(config)

    @property
    def n_parameters(self) -> int:
        """How many numbers the two networks consist of, those that were fitted in closed form included."""
        return sum(value.numel() for net in (self.des, self.gen) for value in net.state_dict().values())

    @classmethod
    def fit(
        cls,
        clips: Clip | Sequence[Clip],
        config: CoopConfig = FAST,
        *,
        rng: torch.Generator,
        cond: Tensor | None = None,
        condition: Any = None,
        on_step: Callable[[StepInfo], None] = ignore,
        notice: Callable[[str], None] = ignore,
        progress: Callable[[int], float] | None = None,
    ) -> Self:
        """Train on a clip, or on a set of them, on the device of ``rng``.

        Args:
            clips: what was observed, of the size that the preset makes, and of one size, length and rate.
            config: the networks and the training.
            rng: all randomness; the same seed gives the same networks on the same type of device.
            cond: (N, K, T, H, W), the clips' conditions; by default they have none.
            condition: what these mean, as JSON, to be saved with the model.
            on_step: called with the record of every iteration.
            notice: called with a sentence when the watchdog acts.
            progress: as in :func:`dyntex.coopnets.train.train`; a time budget, for example.

        Raises:
            InputError, UsageError: a clip is too short, of a size that the preset cannot make, or unlike the others.
            DivergedError: training diverged, also with smaller steps.
        """
        y_obs, cond = (part.to(rng.device) for part in observe(clips, config, cond))
        state = TrainState(config, y_obs, rng=rng, condition_channels=cond.shape[1])
        kept: dict[str, Tensor] = {}

        def keep() -> None:
            kept.update({key: value.clone() for key, value in state.state(rng).items()})

        steps = watched(
            state,
            y_obs,
            cond,
            rng=rng,
            keep=keep,
            go_back=lambda: state.load(kept, rng),
            keep_now=lambda info: info.iteration % 50 == 0,
            notice=notice,
            progress=progress,
        )
        with full_speed():
            for info in steps:
                on_step(info)
        return cls.from_state(state, clips, condition=condition)

    @classmethod
    def from_state(cls, state: TrainState, clips: Clip | Sequence[Clip], *, condition: Any = None) -> Self:
        """The networks as they are now, copied out of a training, for frames as large as the clips'."""
        first = clips if isinstance(clips, Clip) else clips[0]
        channels, n_frames, height, width = first.video.shape
        shape, k = (channels, n_frames, height, width), state.condition_channels
        des, gen = copy.deepcopy(state.des), copy.deepcopy(state.sampler)
        if state.config.data.crop:
            trained = des.state_dict(), gen.state_dict()
            des, gen = _blank(state.config, shape, k)
            des.load_state_dict(trained[0], assign=True)
            gen.load_state_dict(trained[1], assign=True)
        return cls(state.config, des.eval(), gen.eval(), shape, first.fps, state.iteration, k, condition)

    def energy(self, y: Tensor, cond: Tensor | None = None) -> Tensor:
        """U of clips (B, C, T, H, W), given their conditions, -> (B,); low where they look like what was learnt."""
        return self.des.energy(y, no_condition(y) if cond is None else cond)

    def synthesize(
        self,
        n_frames: int,
        *,
        rng: torch.Generator,
        anchor: Clip | None = None,
        loop: bool = False,
        cond: Tensor | None = None,
        n_steps: int | None = None,
        periodic: Axes = OPEN,
    ) -> Clip:
        """All frames of :meth:`stream` as one clip."""
        return concatenate(
            self.stream(n_frames, rng=rng, anchor=anchor, loop=loop, cond=cond, n_steps=n_steps, periodic=periodic)
        )

    def stream(
        self,
        n_frames: int,
        *,
        rng: torch.Generator,
        anchor: Clip | None = None,
        loop: bool = False,
        cond: Tensor | None = None,
        n_steps: int | None = None,
        periodic: Axes = OPEN,
    ) -> Iterator[Clip]:
        """A new clip, y_gen = g(z) revised by the descriptor, in chunks and in constant memory; a loop in one piece.

        Args:
            n_frames: its length.
            rng: on the networks' device; z and the Langevin noise.
            anchor: begin like the first :data:`ANCHOR_FRAMES` frames of this clip: their latents are inferred and the
                later ones drawn from N(0, I). In one piece, and for models without conditions.
            loop: whether the last frame leads into the first; the same as ``periodic`` along T.
            cond: (1, K, T, H, W), the condition; its last frame is repeated. None where the model has none.
            n_steps: K, Langevin steps; 0 is the generator alone, None as many as in training.
            periodic: axes of (T, H, W) along which the end leads into the beginning.

        Raises:
            UsageError: ``n_frames`` is not positive, the condition is not of the model's kind, or an anchor was given
                together with a loop or a condition.
            InputError: the anchor's frames are of another size.
        """
        if n_frames < 1:
            raise UsageError(f"{n_frames} frames were asked for; ask for at least 1")
        height, width = self.shape[2:]
        periodic = (periodic[0] or loop, *periodic[1:])
        if anchor is not None:
            if any(periodic) or self.condition_channels:
                raise UsageError("an anchor was given with a loop, a tile or a condition: leave one of them out")
            return iter((self._anchored(anchor, n_frames, rng=rng, n_steps=n_steps),))
        cond = torch.zeros(1, 0, 1, height, width) if cond is None else cond
        if (len(cond), cond.shape[1], *cond.shape[3:]) != (1, self.condition_channels, height, width):
            raise UsageError(
                f"the model's condition is 1x{self.condition_channels}xTx{height}x{width} numbers, not "
                f"{'x'.join(map(str, cond.shape))}"
            )
        chunks = stream(
            self.des,
            self.gen,
            self.config,
            n_frames,
            shape=self.shape,
            rng=rng,
            cond=cond.to(rng.device),
            n_steps=n_steps,
            periodic=periodic,
        )
        return (self._clip(y) for y in chunks)

    def predict(self, clip: Clip, n_frames: int) -> Clip:
        """The ``n_frames`` frames after ``clip``: g of the latent of all of ``clip``, continued by its mean, 0.

        The descriptor does not revise it: its noise would only add to the error of what is meant as a best guess.

        Raises:
            InputError: the clip's frames are of another size.
        """
        total = clip.n_frames + n_frames
        z = self._inferred(clip, total, torch.zeros)
        return self._clip(self._generate(z, total)[:, :, clip.n_frames :])

    def _anchored(self, anchor: Clip, n_frames: int, *, rng: torch.Generator, n_steps: int | None) -> Clip:
        seen = anchor.segment(0, min(ANCHOR_FRAMES, n_frames, anchor.n_frames))
        z = self._inferred(seen, n_frames, lambda shape, device: torch.randn(shape, generator=rng, device=device))
        y = self._generate(z, n_frames)
        return self._clip(revise(self.des, y, no_condition(y), self.config, rng=rng, n_steps=n_steps))

    def _inferred(self, seen: Clip, n_frames: int, draw: Callable[..., Tensor]) -> Tensor:
        """A latent of ``n_frames`` frames that begin with ``seen``; ``draw`` gives what these do not say."""
        if (seen.channels, seen.height, seen.width) != (self.shape[0], *self.shape[2:]):
            raise InputError(
                f"frames are {seen.channels}x{seen.height}x{seen.width}, but the model was fitted on "
                f"{self.shape[0]}x{self.shape[2]}x{self.shape[3]}: resize them"
            )
        device = next(self.gen.parameters()).device
        z = draw((1, *self.gen.latent_shape(n_frames)), device=device)
        mode = posterior_mode(self.gen, seen.video[None].to(device), gen_std=self.config.optimisation.gen_std)
        # Later latents that the seen frames depend on are inferred with the others, and drawn: they are another's too.
        n_held = min(self.gen.latent_shape(seen.n_frames)[1], z.shape[2])
        z[:, :, :n_held] = mode[:, :, :n_held]
        return z

    @torch.no_grad()
    def _generate(self, z: Tensor, n_frames: int) -> Tensor:
        y: Tensor = self.gen(z, z.new_zeros(1, 0, n_frames, *self.shape[2:]))
        return y[:, :, :n_frames]

    def _clip(self, y: Tensor) -> Clip:
        return Clip(y[0].clamp(-1.0, 1.0).cpu(), self.fps)

    def save(self, folder: str | Path) -> None:
        """Write ``model.safetensors`` and ``config.json``.

        The parameters are named ``descriptor.*`` and ``generator.*``, and what was fitted or averaged rather than
        learnt ``buffers.descriptor.*`` and ``buffers.generator.*``.
        """
        folder = make_folder(Path(folder))
        tensors: dict[str, Tensor] = {}
        for name, net in (("descriptor", self.des), ("generator", self.gen)):
            tensors |= {f"{name}.{key}": value for key, value in net.named_parameters()}
            tensors |= {f"buffers.{name}.{key}": value for key, value in net.named_buffers()}
        save_tensors(folder / MODEL, tensors)
        about = {
            "schema_version": SCHEMA_VERSION,
            "shape": list(self.shape),
            "fps": str(self.fps),
            "iterations": self.iterations,
            "condition_channels": self.condition_channels,
            "condition": self.condition,
            "config": to_json(self.config),
        }
        save_json(folder / CONFIG, about)

    @classmethod
    def load(cls, folder: str | Path, *, device: str | torch.device = "cpu") -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the folder is no model, or its files are damaged or do not belong together.
        """
        folder = Path(folder)
        keys = {"shape", "fps", "iterations", "condition_channels", "condition", "config"}
        about = load_about(folder, version=SCHEMA_VERSION, keys=keys)
        config = from_json(about["config"], where=str(folder / CONFIG))
        channels, n_frames, height, width = about["shape"]
        shape = (channels, n_frames, height, width)
        k = about["condition_channels"]
        des, gen = _blank(config, shape, k)
        tensors = load_tensors(folder / MODEL)
        for name, net in (("descriptor", des), ("generator", gen)):
            _fill(net, name, tensors, str(folder / MODEL))
        return cls(
            config,
            des.to(device).eval(),
            gen.to(device).eval(),
            shape,
            Fraction(about["fps"]),
            about["iterations"],
            k,
            about["condition"],
        )


def _fill(net: torch.nn.Module, name: str, tensors: Mapping[str, Tensor], what: str) -> None:
    parameters: dict[str, Tensor] = {f"{name}.{key}": value for key, value in net.named_parameters()}
    buffers = {f"buffers.{name}.{key}": value for key, value in net.named_buffers()}
    check_tensors(tensors, parameters | buffers, what)
    state = {key.removeprefix(f"{name}."): tensors[key] for key in parameters}
    state |= {key.removeprefix(f"buffers.{name}."): tensors[key] for key in buffers}
    net.load_state_dict(state, assign=True)


def _blank(config: CoopConfig, shape: tuple[int, ...], condition_channels: int) -> tuple[Descriptor, Generator]:
    """The networks for clips of that shape (C, T, H, W), without numbers."""
    with torch.device("meta"):
        return networks(config, torch.empty(1, *shape), rng=torch.Generator(), condition_channels=condition_channels)
