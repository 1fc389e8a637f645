"""The statistics score: how far a result is from the real process, beside controls; lower is better, 1 is real."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError
from dyntex.media import flatten, read_clip
from dyntex.method import Synthesizer

if TYPE_CHECKING:
    from dyntex.benchmarks.metrics.statistics import Yardstick

BLACK = (0, 0, 0)  # behind a transparent clip, as in the benchmark


@dataclass(frozen=True)
class Scorer:
    """Scores results against a clip and the frames that follow it, which no method has seen.

    Attributes:
        learnt: the clip that was learnt, rounded to 8 bits, on black.
        held_out: the frames after it, in the same way.
        yardstick: the distance between real frames and real frames, in each statistic.
    """

    learnt: Clip
    held_out: Clip
    yardstick: Yardstick

    @classmethod
    def of(cls, learnt: Clip, held_out: Clip) -> Scorer:
        """Measure how far real frames are from real frames.

        Args:
            learnt: the clip that a method was fitted to.
            held_out: other frames of the same scene, best as many as ``learnt`` has.

        Raises:
            InputError: there are too few frames, or they are too small, or of different sizes.
        """
        from dyntex.benchmarks.metrics.statistics import calibrate

        seen = _as_measured(learnt)
        unseen = _as_measured(held_out)
        return cls(seen, unseen, calibrate(seen, unseen))

    @classmethod
    def for_source(cls, clip: Clip, source: str | Path | Clip, *, start: int, n_frames: int) -> Scorer:
        """Read the frames that follow the learnt ones, as many again where there are, and measure.

        Args:
            clip: the learnt frames.
            source: where they come from.
            start: the first of them.
            n_frames: how long the result will be.

        Raises:
            UsageError: the result will be shorter than the clip, so that their statistics cannot be compared.
            InputError: too few frames follow, or the frames are too small.
        """
        cls.check_length(clip, n_frames)
        after, size = start + clip.n_frames, (clip.height, clip.width)
        try:
            if isinstance(source, Clip):
                held_out = source.segment(after, min(clip.n_frames, source.n_frames - after))
            else:
                held_out = read_clip(source, size=size, start=after, n_frames=clip.n_frames)
            return cls.of(clip, held_out)
        except InputError as error:
            name = "the clip" if isinstance(source, Clip) else source
            raise InputError(
                f"--score needs frames of {name} that are not learnt, from {after} on, and cannot use them "
                f"({error}): learn from fewer frames with --clip-frames, choose another --size, or leave out --score"
            ) from error

    @staticmethod
    def check_length(clip: Clip, n_frames: int) -> None:
        """Refuse a result that is shorter than the clip."""
        if n_frames < clip.n_frames:
            raise UsageError(
                f"--score compares results as long as the clip, and {n_frames} frames are fewer than its "
                f"{clip.n_frames}: make more, or learn from fewer with --clip-frames"
            )

    def score(self, made: Clip) -> float:
        """The score of the first frames of a result: 1 as far as real is from real; lower is better."""
        return float(self.yardstick.score(_as_measured(made.segment(0, self.learnt.n_frames))).value)

    def copy_distance(self, made: Clip) -> float | None:
        """How new the first frames of a result are: 0 for a replay, about 1 for a fresh stretch of the process.

        A replay has a good score; no score says anything without this. None where the held-out frames repeat the learnt
        ones exactly, so that nothing could be new.
        """
        from dyntex.benchmarks.metrics.statistics import copy_distance

        first = _as_measured(made.segment(0, self.learnt.n_frames))
        try:
            return round(copy_distance(first, self.learnt, self.held_out), 4)
        except InputError:
            return None

    def with_controls(self, made: Clip, *, rng: torch.Generator) -> dict[str, float]:
        """The score of the result, as ``"result"``, and of the controls, by name.

        The clip itself scores about 1: more where it drifts, less where its two segments happen to be alike.

        Args:
            made: at least as long as the clip.
            rng: the controls' noise.
        """
        from dyntex.baselines.controls import Copy, MeanFrame, Replay, ShuffledFrames, WhiteNoise, reversed_real

        n, clip = self.learnt.n_frames, self.learnt
        controls: dict[str, Synthesizer] = {
            "the clip itself": Copy.fit(clip, rng=rng),
            "its frames, cut and replayed": Replay.fit(clip, rng=rng),
            "its frames shuffled": ShuffledFrames.fit(clip, rng=rng),
            "its mean frame": MeanFrame.fit(clip, rng=rng),
            "white noise of its pixels' spread": WhiteNoise.fit(clip, rng=rng),
        }
        shown = {"result": made, "the clip backwards": reversed_real(clip)}
        shown |= {name: control.synthesize(n, rng=rng) for name, control in controls.items()}
        return {name: round(self.score(sample), 4) for name, sample in shown.items()}


def score(made: Clip, *, learnt: Clip, held_out: Clip) -> float:
    """How far a result is from the real process, in eleven statistics of images and motion.

    Args:
        made: the result, at least as long as ``learnt``.
        learnt: the clip that the method was fitted to.
        held_out: frames of the same scene that the method has not seen, best as many as ``learnt`` has.

    Returns:
        1 where it is as far from the held-out frames as real frames are from real ones; lower is better.

    Raises:
        UsageError: ``made`` is shorter than ``learnt``.
        InputError: there are too few frames, or they are too small, or of different sizes.
    """
    Scorer.check_length(learnt, made.n_frames)
    return Scorer.of(learnt, held_out).score(made)


def _as_measured(clip: Clip) -> Clip:
    from dyntex.benchmarks.data import eight_bits

    return eight_bits(flatten(clip, BLACK))
