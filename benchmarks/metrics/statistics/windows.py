"""Do samples differ from one another, and from the training clip? Answers from nearest windows of a few frames.

Nothing here is part of the score: a clip that is copied scores well, and only these numbers expose it.

A window is ``FRAMES`` consecutive frames averaged down to ``SIDE x SIDE`` blocks. Consecutive frames, so that shuffled
training frames are not found in the training clip; small blocks, so that noise on a copy cannot pass for novelty. The
distance between windows is Euclidean. A shifted, mirrored or slowed copy is not found.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip
from dyntex.errors import InputError

FRAMES = 8
SIDE = 16


def copy_distance(sample: Clip, train: Clip, heldout: Clip) -> float:
    """Mean distance of the sample's windows to the nearest training window, over that of the held-out windows.

    0 for any replay of training windows, about 1 for a fresh stretch of the same process. A blurred or averaged clip
    is nearer to everything than a real one, so values somewhat under 1 mean dullness before they mean copying.

    Raises:
        InputError: the clips differ in channels or size, are shorter than a window, or the held-out segment repeats
            the training segment exactly.
    """
    _check([sample, train, heldout])
    pool = _windows(train.video)
    return _mean_nearest(_windows(sample.video), pool) / _positive(_mean_nearest(_windows(heldout.video), pool))


def diversity(samples: Sequence[Clip], train: Clip, heldout: Clip) -> float:
    """Mean nearest-window distance from sample to sample, over the same quantity between the two real segments.

    0 when all samples replay one stretch of video, whatever their phase; about 1 when they differ as two stretches of
    the real process do. All clips are cut to the shortest, because a longer clip offers more windows to be near to;
    of the real segments the first and the last frames are kept, so that their common border makes them no nearer than
    it must.

    Raises:
        InputError: as for :func:`copy_distance`, or there are fewer than two samples.
    """
    if len(samples) < 2:
        raise InputError(f"diversity is between samples and {len(samples)} was given: draw at least 2")
    _check([*samples, train, heldout])
    n = min(clip.n_frames for clip in [*samples, train, heldout])
    first, last = _windows(train.video[:, :n]), _windows(heldout.video[:, -n:])
    real = (_mean_nearest(first, last) + _mean_nearest(last, first)) / 2
    drawn = [_windows(sample.video[:, :n]) for sample in samples]
    between = [_mean_nearest(a, b) for a, b in permutations(drawn, 2)]
    return sum(between) / len(between) / _positive(real)


def _windows(video: Tensor) -> Tensor:
    """All windows of ``(C, T, H, W)``: ``(T - FRAMES + 1, values)``."""
    small = F.adaptive_avg_pool2d(video, SIDE)  # (C, T, SIDE, SIDE)
    return small.unfold(1, FRAMES, 1).movedim(1, 0).flatten(1)


def _mean_nearest(queries: Tensor, pool: Tensor) -> float:
    # The mode that subtracts before it squares: a replay is at distance 0 exactly.
    distances = torch.cdist(queries, pool, compute_mode="donot_use_mm_for_euclid_dist")
    return float(distances.min(dim=1).values.mean())


def _positive(real: float) -> float:
    if real == 0.0:
        raise InputError("the held-out segment repeats the training segment exactly: novelty cannot be measured on it")
    return real


def _check(clips: Sequence[Clip]) -> None:
    for clip in clips:
        if (clip.channels, clip.height, clip.width) != (clips[0].channels, clips[0].height, clips[0].width):
            raise InputError(
                f"windows are compared pixel by pixel, but the clips are {tuple(clips[0].video.shape)} and "
                f"{tuple(clip.video.shape)}: bring them to one size"
            )
        if clip.n_frames < FRAMES:
            raise InputError(f"a clip has {clip.n_frames} frames and a window has {FRAMES}: use a longer clip")
