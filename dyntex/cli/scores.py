"""``--score``: the statistics score of a result, beside the controls, against frames that were not learnt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dyntex.errors import InputError, UsageError

if TYPE_CHECKING:
    import torch

    from benchmarks.metrics.statistics import Yardstick
    from dyntex.clip import Clip
    from dyntex.method import Synthesizer

BLACK = (0, 0, 0)  # behind what is transparent, as in the benchmark


@dataclass(frozen=True)
class Judge:
    """What a result will be held against, measured before anything is learnt.

    Attributes:
        learnt: the clip, in the eight bits and on the black in which all are measured.
        yardstick: how far the frames after it are from it.
    """

    learnt: Clip
    yardstick: Yardstick

    @classmethod
    def of(cls, clip: Clip, source: str, *, start: int, n_frames: int) -> Judge:
        """Read what follows the learnt frames, as many again where there are, and measure it.

        Raises:
            UsageError: the result will be shorter than the clip, and a statistic of fewer frames is not comparable.
            InputError: too few frames follow, or the frames are too small.
        """
        from benchmarks.metrics.statistics import calibrate
        from dyntex.media import read_clip

        if n_frames < clip.n_frames:
            raise UsageError(
                f"--score compares results as long as the clip, and {n_frames} frames are fewer than its "
                f"{clip.n_frames}: make more, or learn from fewer with --clip-frames"
            )
        after, size = start + clip.n_frames, (clip.height, clip.width)
        try:
            heldout = read_clip(source, size=size, start=after, n_frames=clip.n_frames)
            learnt = _as_measured(clip)
            return cls(learnt, calibrate(learnt, _as_measured(heldout)))
        except InputError as error:
            raise InputError(
                f"--score judges by what follows frame {after} of {source}, and cannot ({error}): learn from fewer "
                "frames with --clip-frames, choose another --size, or leave --score out"
            ) from error

    def scores(self, made: Clip, *, rng: torch.Generator) -> dict[str, float]:
        """The score of the result's beginning and those of the controls, by name; lower is better.

        The clip itself has 1, which is what 1 means, or a little less where its stretches differ by less than rounding.
        """
        from baselines.controls import Copy, MeanFrame, ShuffledFrames, WhiteNoise, reversed_real

        n, clip = self.learnt.n_frames, self.learnt
        controls: dict[str, Synthesizer] = {
            "the clip itself": Copy.fit(clip, rng=rng),
            "its frames shuffled": ShuffledFrames.fit(clip, rng=rng),
            "its mean frame": MeanFrame.fit(clip, rng=rng),
            "white noise of its pixels' spread": WhiteNoise.fit(clip, rng=rng),
        }
        shown = {"result": made.segment(0, n), "the clip backwards": reversed_real(clip)}
        shown |= {name: control.synthesize(n, rng=rng) for name, control in controls.items()}
        return {name: round(self.yardstick.score(_as_measured(sample)).value, 4) for name, sample in shown.items()}


def _as_measured(clip: Clip) -> Clip:
    from benchmarks.data import eight_bits
    from dyntex.media import flatten

    return eight_bits(flatten(clip, BLACK))
