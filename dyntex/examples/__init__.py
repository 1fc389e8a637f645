"""Procedural textures with a known law: demos that need no files, and split truth for benchmarks."""

from __future__ import annotations

import difflib
from fractions import Fraction
from itertools import islice

import numpy as np
import torch

from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError
from dyntex.examples import clouds, flag, flame, ocean, ripples, smoke
from dyntex.examples.example import Example, Size

__all__ = ["EXAMPLES", "Example", "make"]

EXAMPLES: dict[str, Example] = {
    module.EXAMPLE.name: module.EXAMPLE for module in (ocean, smoke, flame, ripples, clouds, flag)
}


def make(
    name: str,
    *,
    size: int | tuple[int, int] = 128,
    n_frames: int = 120,
    fps: Fraction = Fraction(25),
    seed: int = 0,
    **parameters: float,
) -> Clip:
    """A fresh sample of an example.

    The same arguments give the same clip bit for bit, another ``seed`` an independent one. More frames continue the
    same clip, and another ``size`` of the same shape samples the same scene more finely or coarsely.

    Args:
        name: a key of :data:`EXAMPLES`.
        size: pixels of the frame's sides, or (height, width).
        n_frames: frames; the texture is stationary from the first.
        fps: frames per second: how often the scene is sampled, not how fast it moves.
        seed: which sample.
        parameters: knobs of the example by name; its ``parameters`` documents their ranges and defaults.

    Returns:
        an RGB :class:`Clip`, ``(3, n_frames, H, W)``.

    Raises:
        InputError: no example has that name.
        UsageError: a size, number of frames, rate, seed or parameter that cannot be.
    """
    if name not in EXAMPLES:
        near = difflib.get_close_matches(name, EXAMPLES, n=1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise InputError(f"there is no example '{name}': {hint}choose one of {', '.join(EXAMPLES)}")
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 8 or max(height, width) > 8 * min(height, width):
        raise UsageError(f"an example's sides are 8 pixels or more and at most 1:8; this is {height}x{width}")
    if n_frames < 1 or fps <= 0 or seed < 0:
        raise UsageError(
            f"an example has 1 frame or more, a positive rate and a seed of 0 or more; "
            f"this is n_frames={n_frames}, fps={fps}, seed={seed}"
        )
    example = EXAMPLES[name]
    scene = example.frames(
        example.configure(**parameters), Size(height, width), fps=fps, rng=np.random.default_rng(seed)
    )
    video = np.empty((3, n_frames, height, width), dtype=np.float32)
    for t, frame in enumerate(islice(scene, n_frames)):
        video[:, t] = 2.0 * frame.transpose(2, 0, 1) - 1.0
    return Clip(torch.from_numpy(video), fps)
