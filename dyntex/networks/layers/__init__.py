"""Convolutions over (T, H, W) as the products that the machine is fastest at, and what goes between them.

Shapes: B batch, C and O channels in and out, T frames, HxW pixels, k taps in time. Every convolution here pads (or
crops) explicitly and then runs "valid", so zero padding and periodic padding are one code path. Tensors have their axes
in the order (B, C, T, H, W); in memory they may lie frame by frame, which is how the next layer reads them.
"""

from dyntex.networks.layers.conditions import beside
from dyntex.networks.layers.convolution import Conv, ConvTranspose
from dyntex.networks.layers.full_frame import FullFrameConv, FullFrameConvTranspose
from dyntex.networks.layers.initial import initialise
from dyntex.networks.layers.margins import OPEN, Axes, Margins, fold, margins, pad
from dyntex.networks.layers.pointwise import ShiftNorm, activate

__all__ = [
    "OPEN",
    "Axes",
    "Conv",
    "ConvTranspose",
    "FullFrameConv",
    "FullFrameConvTranspose",
    "Margins",
    "ShiftNorm",
    "activate",
    "beside",
    "fold",
    "initialise",
    "margins",
    "pad",
]
