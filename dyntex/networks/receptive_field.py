"""Which latents a frame depends on, and which frames a score depends on: along time the networks are convolutions.

So a stretch of a longer video can be made or revised on its own, exactly as it is in the whole, where all that it
depends on is at hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dyntex.networks.architecture import FULL, DescriptorConfig, Layer


def latents_seen(layers: Sequence[Layer], start: int, stop: int) -> tuple[int, int]:
    """The latent times [first, past) that frames [start, stop) of transposed convolutions depend on.

    They may lie before 0 or after the end, where there is nothing to see.
    """
    for layer in reversed(layers):
        kernel, stride = int(layer.kernel[0]), layer.stride[0]
        before, _ = layer.margins(0)
        # Output o is made of stride * i + k = o + before, for every tap k.
        start = -((kernel - 1 - before - start) // stride)
        stop = (stop - 1 + before) // stride + 1
    return start, stop


def frames_scored(config: DescriptorConfig, n_frames: int) -> tuple[int, int]:
    """How many frames one term of the score f depends on, at most, and by how many frames the terms step.

    The gradient of f at a frame depends on the frames that are nearer than the former; a shift by the latter changes no
    term.

    Args:
        config: the descriptor.
        n_frames: the length that it was built for, which a FULL kernel spans.
    """
    found = [_span(layers, pool, n_frames) for pool, layers in config.chains]
    return max(span for span, _ in found), math.lcm(*(step for _, step in found))


def fewest_frames(config: DescriptorConfig, n_frames: int) -> int:
    """The shortest clip that a descriptor built for ``n_frames`` can score, as far as FULL kernels say."""
    full = any(layer.kernel[0] == FULL for _, layers in config.chains for layer in layers)
    return n_frames if full else 1


def _span(layers: Sequence[Layer], pool: int, n_frames: int) -> tuple[int, int]:
    span, step, n = pool, pool, n_frames // pool
    for layer in layers:
        filled = layer.filled((n, 1, 1))
        n = filled.length(n, 0)
        span += (int(filled.kernel[0]) - 1) * step
        step *= layer.stride[0]
    return span, step
