"""A network as a sampler needs it, whose weights do not change."""

from __future__ import annotations

import copy
from typing import TypeVar

import torch
from torch import nn

from dyntex.networks.architecture import Precision

Net = TypeVar("Net", bound=nn.Module)


def frozen(net: Net, precision: Precision) -> Net:
    """The same function: its weights take no gradient, and are rounded once and not at every use.

    Weights that need no rounding, and buffers, are the network's own. A gradient to the input alone would not do:
    autograd asks a layer with a gradient of its own for that of its weights too, wherever they could take one.
    """
    memo: dict[int, object] = {id(buffer): buffer for buffer in net.buffers()}
    for p in net.parameters():
        rounds = precision == "bf16" and p.ndim > 1  # what is added, layers round as they use it
        memo[id(p)] = nn.Parameter(p.detach().to(torch.bfloat16) if rounds else p.detach(), requires_grad=False)
    return copy.deepcopy(net, memo)
