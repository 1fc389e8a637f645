"""Which precision a machine trains a config fastest in, found out by trying."""

from __future__ import annotations

import time
from typing import Final

import torch

from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.revise import revise
from dyntex.networks.architecture import Precision
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.generator import Generator

GAIN = 1.3
"""bf16 has to be this much faster to be worth its rounding; less is within what a busy machine's timing scatters."""

COLOURS = 3

ROUNDS = 3
"""At most, where the first leaves it open."""

LIGHT: Final = 0.01
"""Weights and pixels of the timed networks: any number but what a processor takes longer for, as it does for 1e-40."""


def choose_precision(config: CoopConfig, device: torch.device) -> tuple[Precision, str]:
    """The precision for a config on that device, and a sentence that says why, from its own layers timed in both.

    What is timed is what a training repeats: Langevin steps of the descriptor, and a pass of a convolutional generator
    there and back, at the config's size. One layer alone would not do: processors with bf16 products of large matrices
    and no bf16 convolutions exist, and which of them a config needs differs. It takes a fraction of a second for
    ``fast`` and about three iterations for the paper's presets.
    """
    nets = _networks(config, device)
    best: dict[Precision, float] = {"fp32": float("inf"), "bf16": float("inf")}
    for i in range(1 + ROUNDS):
        seconds = {precision: _seconds(config, *nets, precision) for precision in best}
        if i:  # the first round also sets up
            best = {precision: min(value, seconds[precision]) for precision, value in best.items()}
            if not 1.0 < best["fp32"] / best["bf16"] < GAIN**2:
                break
    gain = best["fp32"] / best["bf16"]
    chosen: Precision = "bf16" if gain > GAIN else "fp32"
    pace = f"{gain:.1f} times as fast" if gain >= 1.0 else f"{1.0 / gain:.1f} times as slow"
    return chosen, f"precision {chosen}: here the layers of {config.preset} are {pace} in bf16 as in fp32"


def _networks(config: CoopConfig, device: torch.device) -> tuple[Descriptor, Generator | None, int]:
    n_frames = config.data.window or config.data.n_frames
    shape = (COLOURS, n_frames, config.data.size, config.data.size)
    rng = torch.Generator()
    with torch.device("meta"):
        des = Descriptor(config.descriptor, shape, rng=rng)
        blank = torch.empty(1, *shape)
        # A generator that keeps pixels computes in float32 whatever the precision.
        gen = None if config.generator.keeps_pixels else config.generator.build(blank, n_frames, rng=rng)
    for net in (des, gen):
        if net is not None:
            net.to_empty(device=device)
            for value in (*net.parameters(), *net.buffers()):
                torch.nn.init.constant_(value, LIGHT)
    return des, gen, n_frames


def _seconds(config: CoopConfig, des: Descriptor, gen: Generator | None, n_frames: int, precision: Precision) -> float:
    """Of the share of an iteration that multiplies."""
    device = next(des.parameters()).device
    rng = torch.Generator(device)
    shape = (config.sampling.n_chains, COLOURS, n_frames, config.data.size, config.data.size)
    y = torch.full(shape, LIGHT, device=device)
    des.precision = precision
    clock = time.perf_counter
    began = clock()
    n_steps = max(1, min(3, config.sampling.n_steps))
    revise(des, y, y[:, :0], config, rng=rng, n_steps=n_steps).sum().item()  # the number waits for the device
    seconds = (clock() - began) * config.sampling.n_steps / n_steps
    if gen is not None:
        gen.precision = precision
        z = torch.full((config.sampling.n_chains, *gen.latent_shape(n_frames)), LIGHT, device=device)
        began = clock()
        gen(z, y[:, :0]).square().mean().backward()
        sum(float(p.grad.flatten()[0]) for p in gen.parameters() if p.grad is not None)
        gen.zero_grad()
        seconds += clock() - began
    return seconds
