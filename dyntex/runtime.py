"""Settings that make the process compute at full speed; ``fit``, ``synthesize`` and training runs apply them.

Two settings, and one that is left alone:

* Denormal numbers count as zero while networks train (:func:`full_speed`, restored afterwards). Squared gradients of a
  large generator underflow, and a CPU takes fifty times as long for a denormal number.
* The process keeps the memory that it frees (:func:`keep_freed_memory`, once, for the life of the process). Set
  ``DYNTEX_KEEP_MALLOC=1`` to leave the C library's allocator as it is.
* The number of threads is PyTorch's: ``OMP_NUM_THREADS`` or :func:`torch.set_num_threads` set it, dyntex never does.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch

from dyntex.errors import UsageError

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # malloc.h of the GNU C library
NEVER = 2**31 - 1
FENV_BYTES = 256  # more than any platform's fenv_t
DENORMAL = 1e-39


@contextmanager
def full_speed() -> Iterator[None]:
    """Within, denormal numbers count as zero in every thread that computes, and freed memory is kept for reuse."""
    keep_freed_memory()
    before = _flushes_denormals()
    _flush_denormals(True)
    try:
        yield
    finally:
        _flush_denormals(before)


@functools.cache
def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, for what it allocates next.

    A Langevin step of ``paper-fc128`` allocates a gigabyte and frees it again. By default each large block goes back to
    the system, and the pages of the next one are found and zeroed anew, which takes as long as the arithmetic on them.

    For the GNU C library; nothing happens where there is another, which has its own ways, nor where
    ``DYNTEX_KEEP_MALLOC`` is set.
    """
    if os.environ.get("DYNTEX_KEEP_MALLOC"):
        return
    # Read at PyTorch's first allocation: large tensors in pages of 2 MiB, a fifth of the time to touch fresh memory.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, NEVER)


@functools.cache
def fast_precision() -> Literal["fp32", "bf16"]:
    """The precision in which small convolutions are fastest on this processor: bf16 where it multiplies matrices of it
    (AMX: 2 to 3 times as fast, MEASURED), else float32 (with AVX512 alone bf16 is no faster)."""
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return "bf16" if has_amx is not None and has_amx() else "fp32"


def choose_device(name: str | torch.device = "auto") -> torch.device:
    """The device of that name: ``"auto"`` is a CUDA device where there is one, else the CPU.

    Raises:
        UsageError: there is no such device, here or at all.
    """
    name = str(name)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name.partition(":")[0] not in ("cpu", "cuda", "mps"):
        raise UsageError(f"--device {name} is unknown: choose auto, cpu, cuda or mps")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise UsageError(f"--device {name} is not on this machine: choose auto or cpu") from None
    return torch.device(name)


def _flushes_denormals() -> bool:
    return float(torch.tensor(DENORMAL) * 0.5) == 0.0


def _flush_denormals(wanted: bool) -> None:
    """For the calling thread, and for the workers that PyTorch has started by now; later ones inherit it.

    PyTorch sets the calling thread alone. Its workers are those of the GNU OpenMP library where it was built with that,
    whose parallel region then hands this thread's floating-point environment to each of them.
    """
    torch.set_flush_denormal(wanted)
    library = _gomp()
    if library is None or torch.get_num_threads() == 1:
        return
    libm = ctypes.CDLL("libm.so.6")
    environment = ctypes.create_string_buffer(FENV_BYTES)
    libm.fegetenv(environment)
    library.GOMP_parallel(
        ctypes.cast(libm.fesetenv, ctypes.c_void_p),
        ctypes.cast(environment, ctypes.c_void_p),
        ctypes.c_uint(torch.get_num_threads()),
        ctypes.c_uint(0),
    )


@functools.cache
def _gomp() -> ctypes.CDLL | None:
    """PyTorch's own copy of the GNU OpenMP library, or None where it has another."""
    if sys.platform != "linux":
        return None
    copies = list(Path(torch.__file__).parent.glob("lib/libgomp*.so*"))
    return ctypes.CDLL(str(copies[0])) if len(copies) == 1 else None
