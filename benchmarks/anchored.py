"""CoopNets under the contract that the tasks ask of a baseline: anchored at observed frames, and predicting.

A generator has no state to start from, so the latent that explains the observed frames is inferred; see
``benchmarks.inference``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.inference import infer
from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.train import revise

ANCHOR_FRAMES = 4
"""Frames that an anchored synthesis may see: one step of the latent of the paper's generators, whose stride is 4."""

MARGIN = 8
"""Frames after the anchor whose latents are inferred with it and thrown away, because they too shape its pictures."""


@dataclass(frozen=True)
class Anchored:
    """Fitted CoopNets that can start from observed frames.

    Attributes:
        model: the networks.
    """

    model: CoopNets

    @property
    def n_parameters(self) -> int:
        """How many numbers the two networks consist of, those that were fitted in closed form included."""
        nets = (self.model.des, self.model.gen)
        return sum(value.numel() for net in nets for value in net.state_dict().values())

    def synthesize(self, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None) -> Clip:
        """A new clip; with an ``anchor``, one that begins like its first :data:`ANCHOR_FRAMES` frames.

        The anchored clip is g(z), its first latents inferred and the others drawn from N(0, I), revised by the
        descriptor as every sample is.
        """
        if anchor is None:
            return self.model.synthesize(n_frames, rng=rng)
        gen, config = self.model.gen, self.model.config
        n_seen = min(ANCHOR_FRAMES, n_frames, anchor.n_frames)
        z = torch.randn((1, *gen.latent_shape(n_frames)), generator=rng, device=rng.device)
        head = self._infer(anchor.segment(0, n_seen), n_seen + MARGIN)
        n_held = min(gen.latent_shape(n_seen)[1], z.shape[2])
        z[:, :, :n_held] = head[:, :, :n_held]
        y = self._generate(z, n_frames)
        y = revise(self.model.des, y, self._nothing(n_frames), config, rng=rng)
        return Clip(y[0].clamp(-1.0, 1.0).cpu(), self.model.fps)

    def predict(self, clip: Clip, n_frames: int) -> Clip:
        """The ``n_frames`` frames after ``clip``: g of the latent of all of ``clip``, continued by its mean, 0.

        The descriptor does not revise it: its noise would only add to the error of what is meant as a best guess.
        """
        total = clip.n_frames + n_frames
        y = self._generate(self._infer(clip, total), total)
        return Clip(y[0, :, clip.n_frames :].clamp(-1.0, 1.0).cpu(), self.model.fps)

    def _infer(self, seen: Clip, n_frames: int) -> Tensor:
        """The most probable z of ``n_frames`` frames of which the first are ``seen``."""
        device = next(self.model.gen.parameters()).device
        gen_std = self.model.config.gen_std
        return infer(self.model.gen, seen.video[None].to(device), n_frames=n_frames, gen_std=gen_std)

    @torch.no_grad()
    def _generate(self, z: Tensor, n_frames: int) -> Tensor:
        y: Tensor = self.model.gen(z, self._nothing(n_frames))
        return y[:, :, :n_frames]

    def _nothing(self, n_frames: int) -> Tensor:
        device = next(self.model.gen.parameters()).device
        return torch.zeros(1, 0, n_frames, *self.model.shape[2:], device=device)
