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
from dyntex.coopnets.checkpoint import CONFIG, MODEL, load_json, load_tensors, make_folder, save_json, save_tensors
from dyntex.coopnets.config import CoopConfig, from_json, to_json
from dyntex.coopnets.presets import FAST
from dyntex.coopnets.stream import stream
from dyntex.coopnets.train import AnyGenerator, StepInfo, Teaching, check_tensors, networks
from dyntex.coopnets.watchdog import guarded
from dyntex.errors import InputError, UsageError
from dyntex.networks.architecture import GaussianTextureConfig
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.layers import OPEN, Axes
from dyntex.runtime import full_speed

SCHEMA_VERSION = 1


def ignore(_: Any) -> None:
    """The listener that does not listen."""


@dataclass(frozen=True)
class CoopNets:
    """A descriptor and a generator that taught each other on one clip, or on a set of them.

    Attributes:
        config: what they were built and taught with.
        des, gen: the networks, in evaluation mode.
        shape: (C, T, H, W) of a clip.
        fps: its rate.
        iterations: how many they were taught.
        condition_channels: K; 0 for a model without conditions.
        condition: what they mean, as JSON; nothing here reads it.
    """

    config: CoopConfig
    des: Descriptor
    gen: AnyGenerator
    shape: tuple[int, int, int, int]
    fps: Fraction
    iterations: int
    condition_channels: int = 0
    condition: Any = None

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
            on_step: told of every iteration.
            notice: told a sentence when the watchdog acts.
            progress: as in :func:`dyntex.coopnets.train.teach`; a time budget, for example.

        Raises:
            InputError, UsageError: a clip is too short, of a size that the preset cannot make, or unlike the others.
            DivergedError: training ran away, also with smaller steps.
        """
        y_obs, cond = (part.to(rng.device) for part in observe(clips, config, cond))
        t = Teaching(config, y_obs, rng=rng, condition_channels=cond.shape[1])
        kept: dict[str, Tensor] = {}

        def keep() -> None:
            kept.update({key: value.clone() for key, value in t.state(rng).items()})

        steps = guarded(
            t,
            y_obs,
            cond,
            rng=rng,
            keep=keep,
            go_back=lambda: t.load(kept, rng),
            keep_now=lambda info: info.iteration % 50 == 0,
            notice=notice,
            progress=progress,
        )
        with full_speed():
            for info in steps:
                on_step(info)
        return cls.from_teaching(t, clips, condition=condition)

    @classmethod
    def from_teaching(cls, t: Teaching, clips: Clip | Sequence[Clip], *, condition: Any = None) -> Self:
        """The networks as they are now, copied out of a training, for frames as large as the clips'."""
        first = clips if isinstance(clips, Clip) else clips[0]
        channels, n_frames, height, width = first.video.shape
        shape, k = (channels, n_frames, height, width), t.condition_channels
        des, gen = copy.deepcopy(t.des), copy.deepcopy(t.sampler)
        if t.config.crop:
            taught = des.state_dict(), gen.state_dict()
            des, gen = _blank(t.config, shape, k)
            des.load_state_dict(taught[0], assign=True)
            gen.load_state_dict(taught[1], assign=True)
        return cls(t.config, des.eval(), gen.eval(), shape, first.fps, t.iteration, k, condition)

    def energy(self, y: Tensor, cond: Tensor | None = None) -> Tensor:
        """U of clips (B, C, T, H, W), given their conditions, -> (B,); low where they look like what was learnt."""
        return self.des.energy(y, nothing(y) if cond is None else cond)

    def synthesize(
        self,
        n_frames: int,
        *,
        rng: torch.Generator,
        cond: Tensor | None = None,
        n_steps: int | None = None,
        periodic: Axes = OPEN,
    ) -> Clip:
        """A new clip: y_gen = g(z) revised by ``n_steps`` of Langevin dynamics (by default as many as in training).

        Args:
            n_frames: its length.
            rng: on the networks' device; z and the Langevin noise.
            cond: (1, K, T, H, W), the condition; its last frame lasts. None where the model has none.
            n_steps: K; 0 is the generator alone.
            periodic: axes of (T, H, W) along which the end leads into the beginning.

        Raises:
            UsageError: ``n_frames`` is not positive, or the condition is not of the model's kind.
        """
        return concatenate(self.stream(n_frames, rng=rng, cond=cond, n_steps=n_steps, periodic=periodic))

    def stream(
        self,
        n_frames: int,
        *,
        rng: torch.Generator,
        cond: Tensor | None = None,
        n_steps: int | None = None,
        periodic: Axes = OPEN,
    ) -> Iterator[Clip]:
        """What :meth:`synthesize` gives, in chunks, in constant memory; a loop in time comes in one piece."""
        if n_frames < 1:
            raise UsageError(f"{n_frames} frames were asked for; ask for at least 1")
        height, width = self.shape[2:]
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
        return (Clip(y[0].clamp(-1.0, 1.0).cpu(), self.fps) for y in chunks)

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
        about = load_json(folder / CONFIG)
        keys = {"schema_version", "shape", "fps", "iterations", "config"}
        if not isinstance(about, dict) or about.get("schema_version") != SCHEMA_VERSION or not keys <= about.keys():
            raise InputError(f"{folder / CONFIG} is not the config of a dyntex model of version {SCHEMA_VERSION}")
        config = from_json(about["config"], where=str(folder / CONFIG))
        channels, n_frames, height, width = about["shape"]
        shape = (channels, n_frames, height, width)
        k = about.get("condition_channels", 0)  # which the first models did not have
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
            about.get("condition"),
        )


def _fill(net: torch.nn.Module, name: str, tensors: Mapping[str, Tensor], what: str) -> None:
    parameters: dict[str, Tensor] = {f"{name}.{key}": value for key, value in net.named_parameters()}
    buffers = {f"buffers.{name}.{key}": value for key, value in net.named_buffers()}
    check_tensors(tensors, parameters | buffers, what)
    state = {key.removeprefix(f"{name}."): tensors[key] for key in parameters}
    state |= {key.removeprefix(f"buffers.{name}."): tensors[key] for key in buffers}
    net.load_state_dict(state, assign=True)


def _blank(config: CoopConfig, shape: tuple[int, ...], condition_channels: int) -> tuple[Descriptor, AnyGenerator]:
    """The networks for clips of that shape (C, T, H, W), without numbers."""
    with torch.device("meta"):
        return networks(config, torch.empty(1, *shape), rng=torch.Generator(), condition_channels=condition_channels)


def nothing(y: Tensor) -> Tensor:
    """The condition that says nothing: (B, C, T, H, W) -> (B, 0, T, H, W)."""
    return y[:, :0]


def observe(clips: Clip | Sequence[Clip], config: CoopConfig, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What the networks are taught with: y_obs (N, C, T, H, W) and its conditions (N, K, T, H, W).

    A config with a crop learns from that square of the frames, at all places half its side apart.

    Raises:
        InputError: there is no clip, one is too short or unlike the first, or the conditions do not fit them.
        UsageError: the config learns from one clip alone.
    """
    clips = [clips] if isinstance(clips, Clip) else list(clips)
    if not clips:
        raise InputError("there is no clip to learn from")
    if len(clips) > 1:
        check_set(config, f"a set of {len(clips)}")
    for i, clip in enumerate(clips, start=1):
        check_clip(clip, config)
        if clip.video.shape != clips[0].video.shape:
            have, first = ("x".join(map(str, c.video.shape)) for c in (clip, clips[0]))
            raise InputError(f"clip {i} of the set is {have} (CxTxHxW) and the first is {first}: give them one size")
    y_obs = torch.stack([clip.video for clip in clips])
    cond = nothing(y_obs) if cond is None else cond
    if (len(cond), *cond.shape[2:]) != (len(y_obs), *y_obs.shape[2:]):
        have, need = ("x".join(map(str, (len(v), *v.shape[2:]))) for v in (cond, y_obs))
        raise InputError(f"the conditions are for {have} pixels (NxTxHxW) and the clips have {need}")
    return (crops(y_obs, config.crop), crops(cond, config.crop)) if config.crop else (y_obs, cond)


def crops(y: Tensor, side: int) -> Tensor:
    """Squares of the frames, side/2 apart: (N, C, T, H, W) -> (N*P, C, T, side, side); smaller frames whole."""
    sides = [min(side, n) for n in y.shape[3:]]
    step = max(1, side // 2)
    cut = y.unfold(3, sides[0], step).unfold(4, sides[1], step)  # (N, C, T, P, P', side, side)
    return cut.movedim((3, 4), (1, 2)).flatten(0, 2)


def check_set(config: CoopConfig, what: str) -> None:
    """Whether a preset can learn from several clips, ``what`` says which.

    Raises:
        UsageError: it cannot.
    """
    if isinstance(config.generator, GaussianTextureConfig):
        raise UsageError(
            f"preset {config.preset!r} stirs one clip and cannot learn {what}: choose video-set, or name one clip"
        )


def check_clip(clip: Clip, config: CoopConfig) -> None:
    """Whether a preset can learn from a clip.

    Raises:
        InputError: the clip has too few frames.
    """
    if clip.n_frames < config.least_frames:
        raise InputError(
            f"the clip has {clip.n_frames} frame{'s' * (clip.n_frames != 1)}; preset {config.preset!r} needs at least "
            f"{config.least_frames}"
        )
