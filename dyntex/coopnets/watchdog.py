"""The watchdog: training that diverged is rolled back and continues with a smaller step."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

import torch
from torch import Tensor

from dyntex.coopnets.ranks import ALONE, Ranks
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.train import train
from dyntex.errors import DivergedError

MAX_ROLLBACKS = 3
SHRINK = 0.5
"""Factor on the Langevin step and both learning rates at every rollback."""


def watched(
    state: TrainState,
    y_obs: Tensor,
    cond: Tensor,
    *,
    rng: torch.Generator,
    keep: Callable[[], None],
    go_back: Callable[[], None],
    keep_now: Callable[[StepInfo], bool],
    notice: Callable[[str], None],
    progress: Callable[[int], float] | None = None,
    past: Iterable[StepInfo] = (),
    ranks: Ranks = ALONE,
) -> Iterator[StepInfo]:
    """:func:`dyntex.coopnets.train.train` under a watchdog, which yields the healthy iterations.

    After a rollback the iterations that follow the kept state come a second time.

    Args:
        state, y_obs, cond, rng, progress, ranks: as for ``train``.
        keep: save the state of ``state`` and ``rng`` as the last good one; called once before the first iteration.
        go_back: restore it.
        keep_now: whether to keep the state after this iteration, asked when its record has been used.
        notice: called with a sentence at each rollback.
        past: records of the iterations before, so that a resumed training is watched as if never stopped.

    Raises:
        DivergedError: it diverged again after the last rollback; the state is the last good one.
    """
    watch = Watch(past)
    keep()
    for info in train(state, y_obs, cond, rng=rng, progress=progress, ranks=ranks):
        trouble = watch.trouble(info)
        if trouble is None:
            yield info
            if keep_now(info):
                keep()
            continue
        step_scale = state.step_scale
        go_back()
        watch.forget(state.iteration)
        if step_scale <= SHRINK**MAX_ROLLBACKS:
            raise DivergedError(
                f"training diverged at iteration {info.iteration} ({trouble}), also with {step_scale:g} of the step; "
                f"the last good state, of iteration {state.iteration}, is kept: try smaller learning rates or another "
                "seed"
            )
        state.step_scale = step_scale * SHRINK
        keep()  # with the new scale: whoever is killed now and resumes has no more rollbacks than the others
        notice(
            f"iteration {info.iteration} diverged ({trouble}): back to iteration {state.iteration}, "
            f"with {state.step_scale:g} of the step"
        )


class Watch:
    """Distinguishes an iteration that diverged from one with strong motion.

    Energies of 1e7 are natural with the paper's settings, so the gap and the gradient's norm are compared with their
    own recent medians and not with a constant; what is not finite, or has left the range of pixels, needs no history.
    """

    def __init__(self, past: Iterable[StepInfo] = (), *, window: int = 50, factor: float = 1e3) -> None:
        self.past = list(past)
        self.window = window
        self.factor = factor

    def trouble(self, info: StepInfo) -> str | None:
        """What is wrong with an iteration, in a few words, or None."""
        for name, value in asdict(info).items():
            if not math.isfinite(value):
                return f"{name} is {value}"
        if info.move > 1.0:
            return f"the samples moved by {info.move:.3g}, half the range of a pixel"
        recent = self.past[-self.window :]
        gaps, grads = [abs(record.gap) for record in recent], [record.des_grad for record in recent]
        for name, value, usual in (("energy gap", abs(info.gap), gaps), ("gradient", info.des_grad, grads)):
            if len(usual) == self.window and value > self.factor * statistics.median(usual):
                return f"the {name} is {value:.3g}, {self.factor:g} times its recent median"
        self.past.append(info)
        return None

    def forget(self, iteration: int) -> None:
        """Drop the records after an iteration."""
        self.past = [record for record in self.past if record.iteration <= iteration]
