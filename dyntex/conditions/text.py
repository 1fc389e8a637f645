"""Texts: sentences along the few directions of meaning in which a set's captions differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from dyntex.conditions.encoder import Encode, encode
from dyntex.conditions.volume import Shape, constant
from dyntex.errors import UsageError

CHANNELS = 24
NEGLIGIBLE = 1e-9
"""Share of the captions' variance below which a direction is rounding."""


@dataclass(frozen=True)
class Texts:
    """Sentences as conditions: an affine map of their embedding vectors, c = A (e - m).

    Attributes:
        mean: m, the mean vector of the training captions.
        axes: A, K rows: their principal directions, each divided by sqrt(its variance + the mean of all K variances).
            Divided by its own deviation alone, a direction in which only the wording differs would count as much as
            one of meaning, and other words for the same thing would lie far outside of the training captions.
    """

    mean: tuple[float, ...]
    axes: tuple[tuple[float, ...], ...]
    kind: Literal["text"] = "text"

    @classmethod
    def of(cls, captions: Sequence[str], *, channels: int = CHANNELS, encode: Encode = encode) -> Self:
        """The directions of a set's captions, at most ``channels`` of them.

        Raises:
            UsageError: a caption is empty, or all are the same.
            MissingDependencyError: the extra ``text`` is not installed.
        """
        vectors = _encoded(captions, encode)
        mean = vectors.mean(0)
        _, singular, directions = torch.linalg.svd(vectors - mean, full_matrices=False)
        variance = singular.square() / len(vectors)
        n = min(channels, int((variance > NEGLIGIBLE * vectors.square().sum(1).mean()).sum()))
        if n == 0:
            raise UsageError(f"all {len(captions)} captions are the same: describe what differs between the clips")
        spread = (variance[:n] + variance[:n].mean()).sqrt()
        axes = directions[:n] / spread[:, None]
        return cls(tuple(mean.tolist()), tuple(tuple(axis) for axis in axes.tolist()))

    @property
    def channels(self) -> int:
        """K."""
        return len(self.axes)

    def volume(self, texts: Sequence[str], shape: Shape, *, encode: Encode = encode) -> Tensor:
        """The condition channels of N sentences: (N, K, T, H, W).

        Raises:
            UsageError: one is empty.
            MissingDependencyError: the extra ``text`` is not installed.
        """
        mean, axes = (torch.tensor(values, dtype=torch.float64) for values in (self.mean, self.axes))
        return constant(((_encoded(texts, encode) - mean) @ axes.T).float(), shape)


def _encoded(texts: Sequence[str], encode: Encode) -> Tensor:
    for text in texts:
        if not text.strip():
            raise UsageError(f"the text {text!r} is empty: describe what to show, for example 'a tall red flame'")
    return encode(texts).double()
