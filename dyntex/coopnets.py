"""CoopNets, the method: fitted to a clip, it synthesizes more of it. Saved, it is a folder of two files."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from dyntex.checkpoint import CONFIG, MODEL, load_json, load_tensors, make_folder, save_json, save_tensors
from dyntex.clip import Clip, concatenate
from dyntex.config import CoopConfig, from_json, to_json
from dyntex.coop import AnyGenerator, StepInfo, Teaching, check_tensors, networks
from dyntex.descriptor import Descriptor
from dyntex.errors import InputError, UsageError
from dyntex.guard import guarded
from dyntex.layers import OPEN, Axes
from dyntex.presets import FAST
from dyntex.streaming import stream

SCHEMA_VERSION = 1


def ignore(_: Any) -> None:
    """The listener that does not listen."""


@dataclass(frozen=True)
class CoopNets:
    """A descriptor and a generator that taught each other on one clip.

    Attributes:
        config: what they were built and taught with.
        des, gen: the networks, in evaluation mode.
        shape: (C, T, H, W) of the clip.
        fps: its rate.
        iterations: how many they were taught.
    """

    config: CoopConfig
    des: Descriptor
    gen: AnyGenerator
    shape: tuple[int, int, int, int]
    fps: Fraction
    iterations: int

    @classmethod
    def fit(
        cls,
        clip: Clip,
        config: CoopConfig = FAST,
        *,
        rng: torch.Generator,
        on_step: Callable[[StepInfo], None] = ignore,
        notice: Callable[[str], None] = ignore,
        progress: Callable[[int], float] | None = None,
    ) -> Self:
        """Train on a clip, on the device of ``rng``.

        Args:
            clip: the observed clip, of the size that the preset makes.
            config: the networks and the training.
            rng: all randomness; the same seed gives the same networks on the same type of device.
            on_step: told of every iteration.
            notice: told a sentence when the watchdog acts.
            progress: as in :func:`dyntex.coop.teach`; a time budget, for example.

        Raises:
            InputError, UsageError: the clip is too short or of a size that the preset cannot make.
            DivergedError: training ran away, also with smaller steps.
        """
        check_clip(clip, config)
        y_obs = clip.video[None].to(rng.device)
        t = Teaching(config, y_obs, rng=rng)
        kept: dict[str, Tensor] = {}

        def keep() -> None:
            kept.update({key: value.clone() for key, value in t.state(rng).items()})

        steps = guarded(
            t,
            y_obs,
            nothing(y_obs),
            rng=rng,
            keep=keep,
            go_back=lambda: t.load(kept, rng),
            keep_now=lambda info: info.iteration % 50 == 0,
            notice=notice,
            progress=progress,
        )
        for info in steps:
            on_step(info)
        return cls.from_teaching(t, clip)

    @classmethod
    def from_teaching(cls, t: Teaching, clip: Clip) -> Self:
        """The networks as they are now, copied out of a training."""
        des, gen = copy.deepcopy(t.des).eval(), copy.deepcopy(t.sampler).eval()
        channels, n_frames, height, width = clip.video.shape
        return cls(t.config, des, gen, (channels, n_frames, height, width), clip.fps, t.iteration)

    def energy(self, y: Tensor) -> Tensor:
        """U of clips (B, C, T, H, W) -> (B,); low where they look like the training clip."""
        return self.des.energy(y, nothing(y))

    def synthesize(
        self, n_frames: int, *, rng: torch.Generator, n_steps: int | None = None, periodic: Axes = OPEN
    ) -> Clip:
        """A new clip: y_gen = g(z) revised by ``n_steps`` of Langevin dynamics (by default as many as in training).

        Args:
            n_frames: its length.
            rng: on the networks' device; z and the Langevin noise.
            n_steps: K; 0 is the generator alone.
            periodic: axes of (T, H, W) along which the end leads into the beginning.

        Raises:
            UsageError: ``n_frames`` is not positive.
        """
        return concatenate(self.stream(n_frames, rng=rng, n_steps=n_steps, periodic=periodic))

    def stream(
        self, n_frames: int, *, rng: torch.Generator, n_steps: int | None = None, periodic: Axes = OPEN
    ) -> Iterator[Clip]:
        """What :meth:`synthesize` gives, in chunks, in constant memory; a loop in time comes in one piece."""
        if n_frames < 1:
            raise UsageError(f"{n_frames} frames were asked for; ask for at least 1")
        chunks = stream(
            self.des, self.gen, self.config, n_frames, shape=self.shape, rng=rng, n_steps=n_steps, periodic=periodic
        )
        return (Clip(y[0].clamp(-1.0, 1.0).cpu(), self.fps) for y in chunks)

    def save(self, folder: Path) -> None:
        """Write ``model.safetensors`` and ``config.json``.

        The parameters are named ``descriptor.*`` and ``generator.*``, and what was fitted or averaged rather than
        learnt ``buffers.descriptor.*`` and ``buffers.generator.*``.
        """
        make_folder(folder)
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
            "config": to_json(self.config),
        }
        save_json(folder / CONFIG, about)

    @classmethod
    def load(cls, folder: Path, *, device: str | torch.device = "cpu") -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the folder is no model, or its files are damaged or do not belong together.
        """
        about = load_json(folder / CONFIG)
        keys = {"schema_version", "shape", "fps", "iterations", "config"}
        if not isinstance(about, dict) or about.get("schema_version") != SCHEMA_VERSION or not keys <= about.keys():
            raise InputError(f"{folder / CONFIG} is not the config of a dyntex model of version {SCHEMA_VERSION}")
        config = from_json(about["config"], where=str(folder / CONFIG))
        channels, n_frames, height, width = about["shape"]
        blank = torch.empty(1, channels, n_frames, height, width, device="meta")
        with torch.device("meta"):
            des, gen = networks(config, blank, rng=torch.Generator())
        tensors = load_tensors(folder / MODEL)
        for name, net in (("descriptor", des), ("generator", gen)):
            _fill(net, name, tensors, str(folder / MODEL))
        return cls(
            config,
            des.to(device).eval(),
            gen.to(device).eval(),
            (channels, n_frames, height, width),
            Fraction(about["fps"]),
            about["iterations"],
        )


def _fill(net: torch.nn.Module, name: str, tensors: Mapping[str, Tensor], what: str) -> None:
    parameters: dict[str, Tensor] = {f"{name}.{key}": value for key, value in net.named_parameters()}
    buffers = {f"buffers.{name}.{key}": value for key, value in net.named_buffers()}
    check_tensors(tensors, parameters | buffers, what)
    state = {key.removeprefix(f"{name}."): tensors[key] for key in parameters}
    state |= {key.removeprefix(f"buffers.{name}."): tensors[key] for key in buffers}
    net.load_state_dict(state, assign=True)


def nothing(y: Tensor) -> Tensor:
    """The condition that says nothing: (B, C, T, H, W) -> (B, 0, T, H, W)."""
    return y[:, :0]


def check_clip(clip: Clip, config: CoopConfig) -> None:
    """Whether a preset can learn from a clip.

    Raises:
        InputError: the clip has too few frames.
    """
    if clip.n_frames < max(config.min_frames, config.window):
        raise InputError(
            f"the clip has {clip.n_frames} frame{'s' * (clip.n_frames != 1)}; preset {config.preset!r} needs at least "
            f"{max(config.min_frames, config.window)}"
        )
