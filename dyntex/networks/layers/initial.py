"""Initial weights."""

from __future__ import annotations

import math

import torch
from torch import nn

from dyntex.networks.layers.convolution import Conv, ConvTranspose
from dyntex.networks.layers.full_frame import FullFrameConv, FullFrameConvTranspose


def initialise(module: nn.Module, std: float, rng: torch.Generator, *, gain: float = 1.0) -> None:
    """N(0, (gain std)^2) weights and zero biases; ``std`` = 0 takes 1/sqrt(fan-in) layer by layer.

    The fan-in counts the weights of one output channel. In a full-frame transposed layer a pixel depends on only one
    H*W-th of them, so the power of what such a layer makes is that much less at the start.
    """
    for layer in module.modules():
        if isinstance(layer, Conv | FullFrameConv | ConvTranspose | FullFrameConvTranspose):
            if layer.weight.is_meta:  # a shape, to be filled in from a file; drawing for it loads a compiler
                continue
            transposed = isinstance(layer, ConvTranspose | FullFrameConvTranspose)
            strides = layer.stride if isinstance(layer.stride, tuple) else (layer.stride,)
            # Each output of a transposed layer is reached by one tap in `stride` along every axis.
            fan_in = layer.weight.numel() / layer.bias.numel() / (math.prod(strides) if transposed else 1)
            scale = gain * (std if std > 0.0 else 1.0 / math.sqrt(fan_in))
            with torch.no_grad():
                noise = torch.randn(layer.weight.shape, generator=rng, device=layer.weight.device)
                layer.weight.copy_(noise.mul_(scale))
                layer.bias.zero_()
