"""The method ``segments``: a generator that puts the clip's own frames together anew, taught what goes with what.

There are three kinds of it: regions that play segments of their own (:mod:`dyntex.networks.segment_field`), time fronts
through segments that all regions play together (the same), and, untrained, frames mixed by sparse noise
(:mod:`dyntex.textures.shot_noise`). Water is best mixed, fires are best put together, and what moves as a whole, a
flag, may only be bent in time. Cooperative training teaches the first two; a critic that it never saw decides.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.checkpoint import CONFIG, MODEL, load_about, load_tensors, make_folder, save_json, save_tensors
from dyntex.coopnets.selection import Judgement, best, judge
from dyntex.coopnets.state import check_tensors
from dyntex.coopnets.tilting import TiltConfig, TiltInfo, draw, held_frames, tilt
from dyntex.dataclass_json import from_json, to_json
from dyntex.errors import InputError, UsageError
from dyntex.method import Capabilities, Method
from dyntex.networks.segment_field import SegmentField, SegmentFieldConfig
from dyntex.runtime import full_speed
from dyntex.textures.config import ShotNoiseConfig
from dyntex.textures.shot_noise import ShotNoise

LEAST_SECONDS = 20.0
"""In less, nothing is trained."""
TRAINING_SHARE = 0.6
"""Of the seconds; the rest is for the decision."""
SCHEMA_VERSION = 1
"""Of ``config.json``."""
MIN_FRAMES = 16
MIN_SIDE = 12
PLACES = "its regions have their places in the frame"
NO_STATE = "its segments are not inferred from frames"


Kind = Literal["segments", "fronts", "shot-noise"]


@dataclass(frozen=True)
class SegmentsConfig:
    """The generators, one of which is taken, and their training.

    Attributes:
        fields: regions that play segments, or time fronts. The first is taken where nothing is trained.
        shot_noise: frames mixed by noise, or None to leave them out.
        training: of each field.
        judged: iterations of the critics that decide.
        side: pixels of the shorter side of the frames that are learnt from; larger ones are reduced to it.
    """

    fields: tuple[SegmentFieldConfig, ...] = (SegmentFieldConfig(), SegmentFieldConfig(regions=2, front=4))
    shot_noise: ShotNoiseConfig | None = dataclasses.field(default_factory=ShotNoiseConfig)
    training: TiltConfig = dataclasses.field(default_factory=TiltConfig)
    judged: int = 900
    side: int = 64


DEFAULT = SegmentsConfig()


@dataclass(frozen=True)
class Candidate:
    """A generator, and what the critic said of it.

    Attributes:
        kind: what it is.
        trained: whether its potentials were learnt.
        judgement: by samples that learnt from all but the clip's last frames.
    """

    kind: Kind
    trained: bool
    judgement: Judgement


@dataclass(frozen=True)
class Segments(Method):
    """A fitted generator.

    Attributes:
        gen: the one that was taken.
        fps: frames per second.
        candidates: all that were judged; empty where nothing was to decide.
        taken: its place among them.
    """

    gen: SegmentField | ShotNoise
    fps: Fraction
    candidates: tuple[Candidate, ...] = ()
    taken: int = 0

    @classmethod
    def capabilities(cls, config: SegmentsConfig = DEFAULT) -> Capabilities:
        """Loops; what it shows are pieces of the clip's frames."""
        return Capabilities(
            {
                "tile": PLACES,
                "resize": PLACES,
                "sets": "it plays segments of one clip",
                "anchor": NO_STATE,
                "predict": NO_STATE,
            },
            min_frames=MIN_FRAMES,
            replays=True,
        )

    @classmethod
    def fit(
        cls,
        clip: Clip,
        config: SegmentsConfig = DEFAULT,
        *,
        rng: torch.Generator,
        seconds: float | None = None,
        on_step: Callable[[TiltInfo], None] = lambda _info: None,
    ) -> Segments:
        """Train on a clip, on the processor.

        Args:
            clip: at least 16 frames of 12x12 pixels.
            config: the generators and their training.
            rng: all randomness.
            seconds: for all of it, nearly; by default as many as it takes.
            on_step: told of every update of a descriptor.

        Raises:
            InputError: the clip is too short, or its frames are too small.
        """
        if clip.n_frames < MIN_FRAMES:
            raise InputError(
                f"clip has {clip.n_frames} frames; segments needs at least {MIN_FRAMES}: give it a longer clip"
            )
        if min(clip.height, clip.width) < MIN_SIDE:
            raise InputError(
                f"frames are {clip.height}x{clip.width}; segments needs {MIN_SIDE} pixels a side: use a larger size"
            )
        training = SegmentsTraining(clip, config, rng=rng)
        began, longest = time.monotonic(), 0.0

        def spent() -> float:
            return time.monotonic() - began

        with full_speed():
            n_steps = config.training.iterations // config.training.every
            if seconds is not None and seconds < LEAST_SECONDS:
                n_steps = 0
            for _ in range(n_steps):
                start = spent()
                if seconds is not None and start + longest > TRAINING_SHARE * seconds:
                    break
                training.step(on_step)
                longest = max(longest, spent() - start)
            return training.decide(seconds=None if seconds is None else seconds - spent())

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(C, T, H, W) of the clip that it was fitted to."""
        if isinstance(self.gen, SegmentField):
            T, channels, height, width = self.gen.frames.shape
            return channels, T, height, width
        channels, height, width = self.gen.mean.shape
        return channels, self.gen.taps, height, width

    @property
    def kind(self) -> Kind:
        """What the generator is."""
        return _described(self.gen)[0]

    @property
    def n_parameters(self) -> int:
        """How many numbers the model consists of: the clip's frames, and the potentials that are learnt."""
        return sum(t.numel() for t in (*self.gen.buffers(), *self.gen.parameters()))

    def stream(
        self, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None, loop: bool = False
    ) -> Iterator[Clip]:
        """``n_frames`` new frames in chunks.

        Args:
            n_frames: how many.
            rng: the source of all randomness.
            anchor: refused.
            loop: whether the last frame leads into the first.

        Raises:
            UsageError: an anchor was given, ``n_frames`` is not positive, or the loop is shorter than 3 frames.
        """
        if n_frames < 1:
            raise UsageError(f"{n_frames} frames were asked for; ask for at least 1")
        if anchor is not None:
            self.capabilities().require("anchor", asked="an anchor", method="segments")
        if loop:
            self.capabilities().require_loop(n_frames, method="segments")
        return (Clip(y[0].clamp(-1.0, 1.0), self.fps) for y in self.gen.stream(n_frames, rng=rng, loop=loop))

    def predict(self, clip: Clip, n_frames: int) -> Clip:
        """Refused.

        Raises:
            UsageError: always.
        """
        self.capabilities().require("predict", asked="a prediction", method="segments")
        raise AssertionError("the requirement above is never met")

    def save(self, folder: str | Path) -> None:
        """Write ``model.safetensors`` and ``config.json``."""
        folder = make_folder(Path(folder))
        save_tensors(folder / MODEL, self.gen.state_dict())
        about = {
            "schema_version": SCHEMA_VERSION,
            "method": "segments",
            "shape": list(self.shape),
            "fps": str(self.fps),
            "kind": self.kind,
            "config": to_json(self.gen.config),
            "candidates": to_json(self.candidates),
            "taken": self.taken,
        }
        save_json(folder / CONFIG, about)

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the folder is no such model, or its files are damaged or do not belong together.
        """
        folder = Path(folder)
        keys = {"shape", "fps", "kind", "config", "candidates", "taken"}
        about = load_about(folder, version=SCHEMA_VERSION, keys=keys)
        where = str(folder / CONFIG)
        channels, n_frames, height, width = about["shape"]
        gen: SegmentField | ShotNoise
        with torch.device("meta"):
            if about["kind"] == "shot-noise":
                config = from_json(about["config"], ShotNoiseConfig, where=where)
                gen = ShotNoise(config, torch.empty(channels, n_frames, height, width))
            else:
                field = from_json(about["config"], SegmentFieldConfig, where=where)
                gen = SegmentField(field, torch.empty(1, channels, n_frames, height, width))
        tensors = load_tensors(folder / MODEL)
        check_tensors(tensors, gen.state_dict(), str(folder / MODEL))
        gen.load_state_dict(tensors, assign=True)
        candidates = tuple(from_json(each, Candidate, where=where) for each in about["candidates"])
        return cls(gen.eval(), Fraction(about["fps"]), candidates, about["taken"])


class SegmentsTraining:
    """All generators of a config in training.

    Args:
        clip: see :meth:`Segments.fit`.
        config: the generators and their training.
        rng: all randomness, on any device.
    """

    def __init__(self, clip: Clip, config: SegmentsConfig, *, rng: torch.Generator) -> None:
        self.clip, self.config = clip, config
        self.rng = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=rng, device=rng.device)))
        # Which frames go together is seen on small ones as well, and a large clip takes no longer to learn.
        self.y_obs = reduced(clip.video, config.side)[None]
        self.fields = [SegmentField(field, self.y_obs) for field in config.fields]
        self._trainings = [tilt(gen, self.y_obs, config.training, rng=self.rng) for gen in self.fields]

    def step(self, on_step: Callable[[TiltInfo], None] = lambda _info: None) -> None:
        """``config.training.every`` updates of every descriptor, and a step of the potentials that it teaches."""
        for training in self._trainings:
            for info in islice(training, self.config.training.every):
                on_step(info)

    def decide(self, *, seconds: float | None = None) -> Segments:
        """The method with the generator that a critic can least tell from the clip.

        Args:
            seconds: for the critic, at most.
        """
        if not any(gen.trained for gen in self.fields):
            return Segments(self.full(self.fields[0]), self.clip.fps)
        n_seen = self.clip.n_frames - held_frames(self.clip.n_frames)
        seen, held = self.y_obs[:, :, :n_seen], self.y_obs[:, :, n_seen:]
        gens: list[SegmentField | ShotNoise] = [*self.fields]
        if self.config.shot_noise is not None:
            # Its samples show all frames that it was fitted to.
            gens.append(ShotNoise(self.config.shot_noise.fitting(n_seen), seen[0]))
        judgements = judge(
            [_draws(gen, n_seen, self.rng) for gen in gens],
            seen,
            held,
            iterations=self.config.judged,
            seconds=seconds,
            precision=self.config.training.precision,
            rng=self.rng,
        )
        candidates = [Candidate(*_described(gen), judgement) for gen, judgement in zip(gens, judgements, strict=True)]
        # Mixed frames, which nothing tears, unless another is clearly better.
        taken = best(judgements, incumbent=len(gens) - 1 if self.config.shot_noise is not None else None)
        return Segments(self.full(gens[taken]), self.clip.fps, tuple(candidates), taken)

    def full(self, gen: SegmentField | ShotNoise) -> SegmentField | ShotNoise:
        """The same with all of the clip's frames, at their size."""
        if isinstance(gen, ShotNoise):
            assert self.config.shot_noise is not None
            return ShotNoise(self.config.shot_noise.fitting(self.clip.n_frames), self.clip.video).eval()
        other = SegmentField(gen.config, self.clip.video[None])
        other.load_state_dict({name: value.clone() for name, value in gen.named_parameters()}, strict=False)
        return other.eval()


def reduced(video: Tensor, side: int) -> Tensor:
    """A video (C, T, H, W) with its shorter side at most ``side``, each pixel the mean of those that it stands for."""
    height, width = video.shape[2:]
    factor = min(height, width) / side
    if factor <= 1.0:
        return video
    size = (max(1, round(height / factor)), max(1, round(width / factor)))
    return F.interpolate(video.transpose(0, 1), size, mode="area").transpose(0, 1)


def _described(gen: SegmentField | ShotNoise) -> tuple[Kind, bool]:
    if isinstance(gen, ShotNoise):
        return "shot-noise", False
    return "fronts" if gen.config.front else "segments", gen.trained


def _draws(gen: SegmentField | ShotNoise, n_frames: int, rng: torch.Generator) -> Callable[[int], Tensor]:
    """Samples of a generator that show only the clip's first ``n_frames`` frames, and are as long."""

    def samples(n: int) -> Tensor:
        if isinstance(gen, SegmentField):
            return draw(gen, n, n_frames, rng=rng)
        return torch.cat([torch.cat([*gen.stream(n_frames, rng=rng)], dim=2) for _ in range(n)])

    return samples
