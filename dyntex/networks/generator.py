"""What a generator is: y = g(z) + noise, z ~ N(0, I) (Xie et al. 2020, equation 6). A new kind is one file.

Training, sampling, inference, streaming, loops and other sizes use this interface and nothing else: none of them asks
which kind of generator it holds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from dyntex.networks.architecture import Precision
from dyntex.networks.frozen import frozen
from dyntex.networks.layers import OPEN, Axes


class Layout(Protocol):
    """Where each pixel of a frame of another size was in the learnt one.

    Attributes:
        height, width: of the other frame.
    """

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    def lay(self, picture: Tensor) -> Tensor:
        """(..., h, w), known pixel by pixel -> (..., H, W)."""
        ...


class Generator(nn.Module, ABC):
    """g_alpha, convolutional in time: a longer latent z, (B, D, T', H', W'), gives a longer clip.

    Attributes:
        config: how it was built; ``config.build(...)`` builds another.
        frames_per_latent: by how many frames a latent time is later than the one before it.
        precision: of its convolutions, where they can be rounded.
    """

    config: Any
    frames_per_latent: int
    precision: Precision = "fp32"

    @abstractmethod
    def forward(self, z: Tensor, cond: Tensor, *, periodic: Axes = OPEN) -> Tensor:
        """(B, D, T', H', W'), (B, K, T, H, W) -> (B, C, T, H, W), where T may exceed what was asked of the latent.

        Along a periodic axis the end leads into the beginning.
        """

    def frozen(self) -> Self:
        """The same g for an inference of z; see :func:`dyntex.networks.frozen.frozen`."""
        return frozen(self, self.precision)

    @abstractmethod
    def latent_shape(self, n_frames: int) -> tuple[int, ...]:
        """(D, T', H', W') of the shortest latent that gives at least ``n_frames`` frames."""

    @abstractmethod
    def n_frames(self, latent_frames: int) -> int:
        """How many frames a latent of that length gives."""

    @abstractmethod
    def latents_of_loop(self, n_frames: int) -> int:
        """The length T' of the latent of a loop."""

    @abstractmethod
    def latents_seen(self, start: int, stop: int) -> tuple[int, int]:
        """The latent times [first, past) that frames [start, stop) depend on; some may be before 0 or after the end.

        Given the latents from time i on, the generator makes the frames from ``i * frames_per_latent`` on.
        """

    @abstractmethod
    def layout(self, height: int, width: int, *, rng: torch.Generator) -> Layout | None:
        """How frames of another size are laid out; None where every place is alike to the networks.

        Raises:
            UsageError: that size cannot be made.
        """

    @abstractmethod
    def clip(self) -> Tensor | None:
        """What it knows of the learnt clip pixel by pixel, (C, T, H, W), or None if that is nothing."""

    @abstractmethod
    def resized(self, height: int, width: int, layout: Layout | None, *, tile: bool) -> Self:
        """The same weights, making frames of another size.

        Args:
            height, width: of the frames.
            layout: from :meth:`layout`.
            tile: whether the frame's ends are to meet.
        """
