"""What acts on one position at a time: normalisation and activations."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> the same shape."""
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
