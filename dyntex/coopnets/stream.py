"""Synthesis of any length in constant memory: one chunk after another, without a seam.

The generator's latents are white in time, so they are drawn as they are needed and dropped when no frame depends on
them any more: the frames are those that one long pass would give. The Langevin revision of a chunk sees, on its left,
the frames that were already given away, held as they are, and on its right as many frames of the future as the
descriptor's gradient depends on, which are revised with it and then made anew as a part of the next chunk.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.revise import revise
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.generator import Generator
from dyntex.networks.layers import OPEN, Axes
from dyntex.networks.receptive_field import fewest_frames, frames_scored

CHUNK = 64
"""Frames of a chunk, at least; what is not longer is made in one piece."""


def stream(
    des: Descriptor,
    gen: Generator,
    config: CoopConfig,
    n_frames: int,
    *,
    shape: tuple[int, int, int, int],
    rng: torch.Generator,
    cond: Tensor,
    n_steps: int | None = None,
    periodic: Axes = OPEN,
) -> Iterator[Tensor]:
    """y_rev in chunks (1, C, t, H, W), not clamped, ``n_frames`` in all.

    Args:
        des, gen, config: the fitted networks and their settings.
        n_frames: how many.
        shape: (C, T, H, W) of the clip that they were fitted to.
        rng: on the networks' device; z and the Langevin noise.
        cond: (1, K, ``n_frames`` or 1, H, W), on the same device; its last frame lasts.
        n_steps: K; 0 is the generator alone, None as many as in training.
        periodic: axes of (T, H, W) along which the end leads into the beginning. A loop is made in one piece, since
            every frame of it is near the end.
    """
    steps = config.sampling.n_steps if n_steps is None else n_steps
    learnt = config.data.window or shape[1]
    # What is too short for the descriptor to score is the beginning of something longer.
    least = max(config.data.min_frames, fewest_frames(config.descriptor, learnt))
    span, stride = frames_scored(config.descriptor, learnt)
    chunk = _up(CHUNK, stride)
    frames = _Frames(gen, cond, rng, periodic)

    def revised(y: Tensor, held: Tensor, start: int) -> Tensor:
        c = stretch(cond, start - held.shape[2], start + y.shape[2])
        return revise(des, y, c, config, rng=rng, n_steps=n_steps, periodic=periodic, held=held)

    if n_frames <= chunk or periodic[0]:
        y = frames.alone(max(n_frames, least))
        yield revised(y, y[:, :, :0], 0)[:, :, :n_frames]
        return

    # The past begins where the descriptor's strides do.
    past, future = (_up(span - 1, stride), span - 1) if steps else (0, 0)
    held = torch.empty((1, shape[0], 0, *shape[2:]), device=rng.device)
    for start in range(0, n_frames, chunk):
        stop = min(start + chunk, n_frames)
        y = revised(frames.between(start, max(stop + future, start - held.shape[2] + least)), held, start)
        yield y[:, :, : stop - start]
        known = torch.cat((held, y[:, :, :chunk]), dim=2)
        held = known[:, :, max(0, known.shape[2] - past) :]


class _Frames:
    """y_gen = g(z), stretch by stretch, each not before the last."""

    def __init__(self, gen: Generator, cond: Tensor, rng: torch.Generator, periodic: Axes) -> None:
        self.gen, self.cond, self.rng, self.periodic = gen, cond, rng, periodic
        self.z = self._draw(0)
        self.first = 0  # the time of the first latent in z

    def alone(self, n_frames: int) -> Tensor:
        """A video of that length and no more: its ends are the generator's own, or meet."""
        n_latents = self.gen.latents_of_loop(n_frames) if self.periodic[0] else self.gen.latent_shape(n_frames)[1]
        return self._make(self._draw(n_latents), 0, n_frames)

    def between(self, start: int, stop: int) -> Tensor:
        """Frames [start, stop) of a video without an end."""
        first, past = self.gen.latents_seen(start, stop)
        first, step = max(first, 0), self.gen.frames_per_latent
        missing = past - self.first - self.z.shape[2]
        self.z = torch.cat((self.z[:, :, first - self.first :], self._draw(missing)), dim=2)
        self.first = first
        return self._make(self.z, first * step, stop)[:, :, start - first * step :]

    def _draw(self, n: int) -> Tensor:
        channels, _, *grid = self.gen.latent_shape(1)
        return torch.randn((1, channels, n, *grid), generator=self.rng, device=self.rng.device)

    def _make(self, z: Tensor, first: int, stop: int) -> Tensor:
        """Frames [first, stop) from latents whose first frame is ``first``."""
        with torch.no_grad():
            c = stretch(self.cond, first, first + self.gen.n_frames(z.shape[2]))
            y: Tensor = self.gen(z, c, periodic=self.periodic)
        return y[:, :, : stop - first]


def stretch(cond: Tensor, start: int, stop: int) -> Tensor:
    """Frames [start, stop) of a condition (1, K, T, H, W) whose last frame lasts."""
    known = cond[:, :, min(start, cond.shape[2] - 1) : stop]
    missing = stop - start - known.shape[2]
    return torch.cat((known, cond[:, :, -1:].expand(-1, -1, missing, -1, -1)), dim=2) if missing else known


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
