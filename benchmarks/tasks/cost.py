"""What a method costs: each measurement in a fresh process, so that its peak memory is its own."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from fractions import Fraction
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dyntex.benchmarks.methods import fit
from dyntex.clip import Clip
from dyntex.errors import MemoryLimitError
from dyntex.experiment.memory import peak_rss_bytes


def measure_speed(method: str, clip: Clip, *, seed: int, device: str, **training: Any) -> dict[str, Any]:
    """Fit and synthesize once in a process of its own.

    Args:
        method: one of ``known_methods``.
        clip: what to fit it to, in eight bits.
        seed: of the fit.
        device: to compute on.
        training: ``iterations`` and ``budget`` of a neural method.

    Returns:
        ``fit_seconds``; ``frames_per_second`` of synthesizing as many frames as were learnt from, the second of two
        times, since the first also pays for what is set up once; ``peak_mb``, the process's largest resident memory in
        MiB, with ``base_mb``, that before fitting (the interpreter, torch and the clip); ``n_parameters``.

    Raises:
        MemoryLimitError: the process was killed, which is how a full machine says so.
        DyntexError: whatever fitting raises.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            # As an array: handing a tensor to another process is a matter of shared memory and file descriptors.
            work = pool.submit(
                _measure, method, clip.to_uint8(), clip.fps, seed, device, torch.get_num_threads(), training
            )
            return work.result()
        except BrokenProcessPool as error:
            raise MemoryLimitError(
                f"the process that measured {method} was killed: free memory or lower size"
            ) from error


def _measure(
    method: str,
    frames: NDArray[np.uint8],
    fps: Fraction,
    seed: int,
    device: str,
    n_threads: int,
    training: dict[str, Any],
) -> dict[str, Any]:
    torch.set_num_threads(n_threads)
    train = Clip.from_uint8(frames, fps)
    rng = torch.Generator(device).manual_seed(seed)
    base = peak_rss_bytes()
    began = time.perf_counter()
    fitted = fit(method, train, rng=rng, **training)
    fit_seconds = time.perf_counter() - began
    for _ in range(2):
        began = time.perf_counter()
        fitted.synthesize(train.n_frames, rng=rng)
        seconds = time.perf_counter() - began
    return {
        "fit_seconds": fit_seconds,
        "frames_per_second": train.n_frames / seconds,
        "peak_mb": peak_rss_bytes() / 2**20,
        "base_mb": base / 2**20,
        "n_parameters": fitted.n_parameters,
    }
