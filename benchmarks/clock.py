"""The time that a training may take, on a processor that others use too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Clock:
    """A budget in seconds of the processor, so that a machine that others use changes no number; looks are free."""

    seconds: float
    began: float = field(default_factory=time.process_time)

    def share(self, _: int) -> float:
        """Of the budget, what is gone; as ``progress`` of :func:`dyntex.coopnets.train.teach`."""
        return self.elapsed / self.seconds

    @property
    def elapsed(self) -> float:
        return time.process_time() - self.began

    @contextmanager
    def stopped(self) -> Iterator[None]:
        before = time.process_time()
        yield
        self.began += time.process_time() - before
