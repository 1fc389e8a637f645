"""Memory: running out of it, foreseen where it can be and recognised where it happens; and how much was used."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import psutil
import torch
from torch import nn

from dyntex.errors import MemoryLimitError

MESSAGES = ("can't allocate memory", "not enough memory", "out of memory")
"""What PyTorch's allocators say where they raise a plain RuntimeError."""


def check_memory(nets: tuple[nn.Module, ...], device: torch.device) -> None:
    """Gradients and Adam's two moments come on top of the weights that are already there.

    Raises:
        MemoryLimitError: they would not fit.
    """
    need = 12 * sum(p.numel() for net in nets for p in net.parameters())
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if need > free:
        raise MemoryLimitError(
            f"training needs {need / 2**30:.1f} GiB more memory, and {free / 2**30:.1f} GiB are free: choose a smaller "
            "preset or size"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error is one of the several ways in which Python and PyTorch say that memory ran out."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error) for message in MESSAGES)


def peak_rss_bytes() -> int:
    """The process's largest resident memory so far.

    On Linux from /proc, because there ``ru_maxrss`` of a new process starts from that of the one that began it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def peak_rss_mb() -> float:
    """The process's largest resident memory so far, in MiB."""
    return round(peak_rss_bytes() / 2**20, 1)
