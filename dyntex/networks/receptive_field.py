"""How far the networks reach in time: what must be at hand to make, or to revise, a stretch of a longer video.

Along time the networks are convolutions, so that a stretch can be made on its own, exactly as it is in the whole,
where all that it hears is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from dyntex.networks.architecture import FULL, DescriptorConfig, GeneratorConfig, Layer
from dyntex.networks.layers import margins


def latents_heard(config: GeneratorConfig, start: int, stop: int) -> tuple[int, int]:
    """The latent times [first, past) that frames [start, stop) of the paper's generator hear.

    They may lie before 0 or after the end, where there is nothing to hear. A generator that is given the latents from
    time i on makes the frames from :func:`frames_per_latent` times i on.
    """
    for layer in reversed(config.layers):
        kernel = int(layer.kernel[0])
        before, _ = _margins(layer, kernel)
        # Output o is made of stride * i + k = o + before, for every tap k.
        start = -((kernel - 1 - before - start) // layer.stride[0])
        stop = (stop - 1 + before) // layer.stride[0] + 1
    return start, stop


def frames_per_latent(config: GeneratorConfig) -> int:
    """By how many frames a latent time is later than the one before it."""
    return math.prod(layer.stride[0] for layer in config.layers)


def frames_scored(config: DescriptorConfig, n_frames: int) -> tuple[int, int]:
    """How many frames one term of the score f sees, at most, and by how many frames the terms step.

    The gradient of f at a frame hears the frames that are nearer than the former; a shift by the latter changes no
    term.

    Args:
        config: the descriptor.
        n_frames: the length that it was built for, which a FULL kernel spans.
    """
    spans, steps = [], []
    for head in config.heads:
        for end in head.ends:
            span, step = _chain((*head.layers, *end), head.pool[0], n_frames)
            spans.append(span)
            steps.append(step)
    return max(spans), math.lcm(*steps)


def fewest_frames(config: DescriptorConfig, n_frames: int) -> int:
    """The shortest clip that a descriptor built for ``n_frames`` can score, as far as FULL kernels say."""
    layers = [layer for head in config.heads for chain in (head.layers, *head.ends) for layer in chain]
    return n_frames if any(layer.kernel[0] == FULL for layer in layers) else 1


def _chain(layers: Iterable[Layer], pool: int, n_frames: int) -> tuple[int, int]:
    span, step, n = pool, pool, n_frames // pool
    for layer in layers:
        kernel = n if layer.kernel[0] == FULL else int(layer.kernel[0])
        before, after = _margins(layer, kernel)
        n = (n + before + after - kernel) // layer.stride[0] + 1
        span += (kernel - 1) * step
        step *= layer.stride[0]
    return span, step


def _margins(layer: Layer, kernel: int) -> tuple[int, int]:
    """What the layer adds (or, transposed, takes away) before and after in time."""
    return margins((kernel, 1, 1), (layer.stride[0], 1, 1), layer.padding)[0]
