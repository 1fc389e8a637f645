"""The time that a training may take, on a processor that others use too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class CpuBudget:
    """Seconds of the processor, so that a machine that others use changes no number.

    They begin with the first question, which a training asks when all is ready.

    Attributes:
        seconds: how many; 0 are over at once.
    """

    seconds: float
    _began: float | None = None

    def share(self, _: int) -> float:
        """Of the budget, what is gone: the ``progress`` of a training."""
        return self.elapsed / self.seconds if self.seconds else 1.0

    @property
    def elapsed(self) -> float:
        if self._began is None:
            self._began = time.process_time()
        return time.process_time() - self._began

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Within, time does not count: looks are free."""
        self.elapsed  # noqa: B018 (it begins the budget)
        before = time.process_time()
        yield
        assert self._began is not None
        self._began += time.process_time() - before
