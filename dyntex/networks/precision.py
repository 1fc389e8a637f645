"""Which precision a machine multiplies fastest in, found out by trying."""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F

from dyntex.networks.architecture import Precision

GAIN = 1.3
"""bf16 has to be this much faster to be worth its rounding; less is within what a busy machine's timing scatters."""


def choose_precision(device: torch.device) -> tuple[Precision, str]:
    """The precision for that device, and a sentence that says why, from a 5x5 convolution timed in both.

    Takes milliseconds, or a tenth of a second where bf16 is emulated.
    """
    seconds = {dtype: _seconds(dtype, device) for dtype in (torch.float32, torch.bfloat16)}
    gain = seconds[torch.float32] / seconds[torch.bfloat16]
    chosen: Precision = "bf16" if gain > GAIN else "fp32"
    pace = f"{gain:.1f} times as fast" if gain >= 1.0 else f"{1.0 / gain:.1f} times as slow"
    return chosen, f"precision {chosen}: here a convolution is {pace} in bf16 as in fp32"


def _seconds(dtype: torch.dtype, device: torch.device) -> float:
    """The faster of two convolutions, after one that also sets up."""
    frames = 1 if device.type == "cpu" else 256  # a GPU has to be filled before it shows what it can do
    x = torch.ones((frames, 16, 32, 32), dtype=dtype, device=device)
    weight = torch.ones((32, 16, 5, 5), dtype=dtype, device=device)
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        F.conv2d(x, weight).sum().item()  # the number waits for the device
        best = min(best, time.perf_counter() - began)
    return best
