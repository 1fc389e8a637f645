"""How far a free sample is from the real process, when it is not expected to align with any frame of it.

Eleven distances that need no trained network, four of them of single frames or their edges (``appearance``, ``layout``,
``colour``, ``edges``) and seven of time (``motion``, ``direction``, ``burstiness``, ``spectrum``, ``autocorrelation``,
``change``, ``flicker``); a score that divides each by the distance from real to real, and a z-score over blocks; and,
beside it, ``diversity`` and ``copy_distance``. The
protocol and the formulae are in ``docs/benchmark.md``.
"""

from dyntex.benchmarks.metrics.statistics.judge import STATISTICS, Score, Yardstick, calibrate, distances, score
from dyntex.benchmarks.metrics.statistics.windows import copy_distance, diversity

__all__ = ["STATISTICS", "Score", "Yardstick", "calibrate", "copy_distance", "distances", "diversity", "score"]
