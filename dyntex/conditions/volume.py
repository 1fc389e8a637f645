"""The shape that every kind of condition has."""

from __future__ import annotations

from torch import Tensor

Shape = tuple[int, int, int]
"""(T, H, W) of the clips that a volume goes with."""


def constant(vectors: Tensor, shape: Shape) -> Tensor:
    """A vector repeated at all places and times: (N, K) -> (N, K, T, H, W), a view that takes no memory."""
    n, channels = vectors.shape
    return vectors[:, :, None, None, None].expand(n, channels, *shape)
