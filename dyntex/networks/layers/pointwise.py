"""What acts on one position at a time: normalisation and activations."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Shared(Protocol):
    """Processes that have equal parts of a batch (:class:`dyntex.coopnets.ranks.Ranks`)."""

    @property
    def count(self) -> int: ...

    def mean(self, x: Tensor) -> Tensor:
        """The mean over processes, differentiable."""
        ...


class ShiftNorm(nn.Module):
    """Batch normalisation over (B, T, H, W) with a learnt shift and no learnt scale, as the paper's code has it.

    Departure: the reference normalises by the batch at test time too, so its sample depends on its neighbours and on
    its length; here the running mean and variance serve once training is over.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-3, momentum: float = 0.05) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps = eps
        self.momentum = momentum
        self.shared: Shared | None = None
        """By whom the batch is shared, where each of several processes has a part of it."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> the same shape."""
        if self.training and self.shared is not None:
            return self._by_all(x.float(), self.shared).to(x.dtype)
        # As a batch of frames, which is what the memory of a transposed convolution's output holds: nothing is copied.
        frames = x.transpose(1, 2)
        y = F.batch_norm(
            frames.flatten(0, 1),
            self.running_mean,
            self.running_var,
            weight=None,
            bias=self.shift,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )
        return y.view(frames.shape).transpose(1, 2)

    def _by_all(self, x: Tensor, shared: Shared) -> Tensor:
        """The same, by the mean and the variance of the whole batch."""
        mean = shared.mean(x.mean((0, 2, 3, 4)))
        centred = x - mean.view(-1, 1, 1, 1)
        var = shared.mean(centred.square().mean((0, 2, 3, 4)))
        with torch.no_grad():
            n = shared.count * x.numel() / x.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (n / (n - 1)), self.momentum)
        return centred * (var + self.eps).rsqrt().view(-1, 1, 1, 1) + self.shift.view(-1, 1, 1, 1)


def activate(x: Tensor, activation: str) -> Tensor:
    match activation:
        case "relu":
            return F.relu(x)
        case "leaky_relu":
            return F.leaky_relu(x, 0.2)
        case "silu":
            return F.silu(x)
        case "tanh":
            return torch.tanh(x)
        case _:
            return x
