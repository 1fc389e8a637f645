"""Labels: classes, one-hot encoded, a channel for each class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
from torch import Tensor

from dyntex.conditions.volume import Shape, constant
from dyntex.errors import UsageError, suggest


@dataclass(frozen=True)
class Labels:
    """The labels that a model was trained with.

    Attributes:
        names: in the order of their channels.
    """

    names: tuple[str, ...]
    kind: Literal["label"] = "label"

    @classmethod
    def of(cls, labels: Iterable[str]) -> Self:
        """The distinct labels of a set, in alphabetical order whatever the order of its clips."""
        return cls(tuple(sorted(set(labels))))

    @property
    def channels(self) -> int:
        """K: a channel for each label."""
        return len(self.names)

    def volume(self, labels: Sequence[str], shape: Shape) -> Tensor:
        """Their channels, one-hot: N labels -> (N, K, T, H, W).

        Raises:
            UsageError: one of them is not known; the message suggests the nearest and lists all.
        """
        for label in labels:
            if label not in self.names:
                near = suggest(label, self.names)
                raise UsageError(f"there is no label {label!r}{near}; the labels are {', '.join(self.names)}")
        known = torch.tensor([[float(label == name) for name in self.names] for label in labels])
        return constant(known.view(len(labels), self.channels), shape)
