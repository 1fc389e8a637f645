"""The methods by name, neural and classical, with one face; and the controls of each task."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

import torch

from dyntex.baselines import METHODS
from dyntex.baselines.controls import Copy, MeanFrame, Replay, ShuffledFrames, WhiteNoise, repeat_last, reversed_real
from dyntex.benchmarks.data import Source, Split, fresh_sample, has_known_law
from dyntex.clip import Clip
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import PRESETS
from dyntex.errors import UsageError, suggest
from dyntex.method import Capabilities, Feature, Synthesizer

COOP = "coop"
"""Another name of the preset ``fast``."""


class Fitted(Protocol):
    """What the tasks ask of a fitted method."""

    @property
    def n_parameters(self) -> int: ...

    def synthesize(
        self, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None, loop: bool = False
    ) -> Clip: ...

    def predict(self, clip: Clip, n_frames: int) -> Clip: ...


def known_methods() -> tuple[str, ...]:
    return (*METHODS, COOP, *PRESETS)


def check_method(name: str) -> None:
    """Raise UsageError, with the nearest name, if there is no method of that name."""
    if name not in known_methods():
        raise UsageError(
            f"there is no method {name!r}{suggest(name, known_methods())}; the methods are {', '.join(known_methods())}"
        )


def is_neural(name: str) -> bool:
    return name not in METHODS


def neural_config(name: str, *, iterations: int | None) -> CoopConfig:
    """The preset that a method's name means, with so many iterations in place of its own."""
    config = PRESETS["fast" if name == COOP else name]
    return config if iterations is None else config.replaced(iterations=iterations)


def capabilities_of(name: str) -> Capabilities:
    """What a method can do."""
    if is_neural(name):
        return CoopNets.capabilities(neural_config(name, iterations=None))
    return METHODS[name].capabilities()


def can(name: str, feature: Feature) -> bool:
    """Whether a method has a feature."""
    return capabilities_of(name).supports(feature)


def replays(name: str) -> bool:
    """Whether a method shows frames that it has learned, so that all but the copy distance may praise it."""
    return name in METHODS and METHODS[name].capabilities().replays


def settings_of(name: str, *, iterations: int | None, budget: float | None) -> dict[str, Any]:
    """What the numbers of a method depend on, besides the clip and the seed."""
    if not is_neural(name):
        return {"name": name, "config": inspect.signature(METHODS[name].fit).parameters["config"].default}
    return {"config": neural_config(name, iterations=iterations), "budget": budget}


def fit(
    name: str,
    clip: Clip,
    *,
    rng: torch.Generator,
    iterations: int | None = None,
    budget: float | None = None,
) -> Fitted:
    """Fit a method to a clip.

    Args:
        name: one of :func:`known_methods`.
        clip: the training segment.
        rng: on the device to train on.
        iterations: of a neural method; None for the preset's.
        budget: seconds to train a neural method, in place of iterations.

    Raises:
        UsageError: there is no such method, or the preset cannot make frames of this size.
        InputError: the clip is too short for it.
        DivergedError: training ran away.
    """
    check_method(name)
    if not is_neural(name):
        return cast(Fitted, METHODS[name].fit(clip, rng=rng))
    config = neural_config(name, iterations=iterations)
    side, data = (clip.height, clip.width), config.data
    if (data.fixed_size and side != (data.size, data.size)) or any(n % data.multiple for n in side):
        able = f"{data.size}x{data.size}" if data.fixed_size else f"sides that are multiples of {data.multiple}"
        raise UsageError(f"preset {config.preset!r} makes frames of {able}, not {clip.height}x{clip.width}")
    began = time.monotonic()
    progress = None if budget is None else lambda _: (time.monotonic() - began) / budget
    return CoopNets.fit(clip, config, rng=rng, progress=progress)


# What a control shows in a task: (split, n_frames, rng) -> clip.
Control = Callable[[Split, int, torch.Generator], Clip]


def _synthesized(kind: type[Synthesizer]) -> Control:
    return lambda split, n_frames, rng: kind.fit(split.train, rng=rng).synthesize(n_frames, rng=rng)


def _fresh(split: Split, n_frames: int, rng: torch.Generator) -> Clip:
    return fresh_sample(split, seed=int(torch.randint(2**20, (1,), generator=rng))).segment(0, n_frames)


CONTROLS: dict[str, Control] = {
    "later-real": lambda split, n_frames, rng: split.heldout.segment(0, min(n_frames, split.heldout.n_frames)),
    "fresh-sample": _fresh,
    "replay": _synthesized(Replay),
    "reversed-real": lambda split, n_frames, rng: reversed_real(split.train).segment(0, n_frames),
    "copy": _synthesized(Copy),
    "mean-frame": _synthesized(MeanFrame),
    "shuffled-frames": _synthesized(ShuffledFrames),
    "white-noise": _synthesized(WhiteNoise),
    "repeat-last": lambda split, n_frames, rng: repeat_last(split.train, n_frames),
}

RANDOM = ("white-noise", "shuffled-frames", "replay", "fresh-sample")
"""The controls that another seed changes; the others have one cell a clip."""

TASK_CONTROLS: dict[str, tuple[str, ...]] = {
    "paper": ("later-real", "reversed-real", "copy", "mean-frame", "shuffled-frames", "white-noise"),
    "statistics": tuple(name for name in CONTROLS if name != "repeat-last"),
    "critic": ("later-real", "fresh-sample", "replay"),
    "extrapolation": ("repeat-last", "mean-frame"),
    "speed": (),
}


def controls_of(task: str, source: Source) -> tuple[str, ...]:
    """The controls that are rows of a task for a clip: a fresh sample exists only where the law is known."""
    return tuple(c for c in TASK_CONTROLS[task] if c != "fresh-sample" or has_known_law(source))
