"""What a training would cost on this machine: measured on real iterations, in a process of its own."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context

import torch

from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.observe import no_condition
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.train import train
from dyntex.errors import DyntexError
from dyntex.experiment.memory import check_memory, is_out_of_memory, peak_rss_bytes
from dyntex.runtime import full_speed

SEED = 0


@dataclass(frozen=True)
class Estimate:
    """Measured cost.

    Attributes:
        seconds: of one iteration, with the preset's number of Langevin steps.
        peak_bytes: largest resident memory of the process.
        problem: why it cannot be, in a sentence; then the numbers are 0.
    """

    seconds: float = 0.0
    peak_bytes: int = 0
    problem: str = ""


def estimate(config: CoopConfig, shape: tuple[int, int, int, int], *, device: torch.device) -> Estimate:
    """Run a few short iterations on noise of ``shape`` (C, T, H, W) and extrapolate to whole ones.

    A process of its own has a peak memory of its own, and may be killed for it without harm.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(_measure, config, shape, str(device)).result()
        except BrokenProcessPool:
            return Estimate(problem="the process that tried it was killed: it does not fit in memory")


def _measure(config: CoopConfig, shape: tuple[int, int, int, int], device: str) -> Estimate:
    with full_speed():
        return _measured(config, shape, device)


def _measured(config: CoopConfig, shape: tuple[int, int, int, int], device: str) -> Estimate:
    rng = torch.Generator(device).manual_seed(SEED)
    y_obs = torch.rand((1, *shape), generator=rng, device=device) * 2.0 - 1.0
    try:
        t = TrainState(config, y_obs, rng=rng)
        check_memory((t.des, t.gen), rng.device)
        _iteration(t, y_obs, rng, n_steps=1)  # the first one also allocates
        one, three = (_iteration(t, y_obs, rng, n_steps=k) for k in (1, 3))
    except DyntexError as error:
        return Estimate(problem=str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return Estimate(problem="memory ran out")
    each = max(0.0, (three - one) / 2.0)
    return Estimate(seconds=one + (config.sampling.n_steps - 1) * each, peak_bytes=peak_rss_bytes())


def _iteration(t: TrainState, y_obs: torch.Tensor, rng: torch.Generator, *, n_steps: int) -> float:
    t.config = t.config.replaced(n_steps=n_steps)
    start = time.perf_counter()
    next(train(t, y_obs, no_condition(y_obs), rng=rng, progress=lambda _: 0.0))
    return time.perf_counter() - start
