"""Which untrained method suits a clip: whether its frames can be mixed, and whether it comes back to what it was.

Three kinds of clip want three methods. Where many parts move on their own (a fire, falling water, straw), mixing the
clip's frames gives what it might have shown as well: shot noise. What moves as a whole (a lamp that switches, a flag, a
sunshade that turns) is torn or doubled by mixing. If it comes back to what it was, its own frames in another order are
hard to beat: a video texture. If it does not, a jump would be seen, and is made good with the clip's own patches: patch
nearest neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip
from dyntex.errors import InputError
from dyntex.textures.transitions import LEVEL, frame_distances, jump_costs, memory

SIDE = 48
"""The clip is looked at with its longer side reduced to so many pixels, since patches of 5 are to show its shapes."""
PATCH = 5
PARTS = 4
"""The clip is cut along time into so many parts, each of which is compared with the others."""
MIXED = 3
"""Frames of a mix."""
KEPT, TRIED = 12_000, 1_500
"""Patches that are compared with, and that are compared."""
HARMLESS = 2.2
"""Mixes are what the clip might have shown if their patches are at most so many times as far from it as its own are."""
NEAR = 0.5
"""A jump that costs at most this share of the distance of any two frames is a return."""
LEAST = 16
"""Frames without which nothing can be said."""

Advice = Literal["shot-noise", "video-texture", "patch-nn"]


@dataclass(frozen=True)
class Recommendation:
    """A method, and what it goes by.

    Attributes:
        method: its name on the command line.
        mixing: how far patches of mixed frames are from the clip's, over how far its own patches of other times are
            (mean squares): about 1 where mixing makes nothing foreign. None where that cannot be told.
        return_cost: what a jump to another time costs where it is cheap, over the distance of any two frames: 0 where
            the clip comes back exactly, about 1 where it never does. None where that cannot be told.
        reason: in words.
    """

    method: Advice
    mixing: float | None
    return_cost: float | None
    reason: str


def recommend(clip: Clip) -> Recommendation:
    """The method without training that is expected to be best for a clip.

    Args:
        clip: at least 2 frames.

    Raises:
        InputError: it has one frame.
    """
    if clip.n_frames < 2:
        raise InputError("a method is recommended for clips that move; this one has 1 frame: give it a longer clip")
    distances = frame_distances(clip)
    overall = float(distances.square().sum() / (clip.n_frames * (clip.n_frames - 1))) ** 0.5
    if overall < LEVEL / 10:
        return Recommendation("video-texture", None, None, "nothing moves, and nothing has to be learnt")
    if clip.n_frames < LEAST:
        reason = f"{clip.n_frames} frames are too few to learn from, and are shown in another order"
        return Recommendation("video-texture", None, None, reason)
    mixing, cost = foreignness_of_mixes(clip), return_cost(distances) / overall
    if mixing <= HARMLESS:
        return Recommendation("shot-noise", mixing, cost, "many parts move on their own, and can be mixed anew")
    if cost <= NEAR:
        reason = "it moves as a whole and comes back to what it was, so that its frames can be shown in another order"
        return Recommendation("video-texture", mixing, cost, reason)
    reason = "it moves as a whole and does not come back to what it was, so that jumps need its patches to be hidden"
    return Recommendation("patch-nn", mixing, cost, reason)


def foreignness_of_mixes(clip: Clip) -> float:
    """How far patches of mixed frames are from a clip's own, over how far its patches of other times are.

    The clip is cut into four along time. Patches of each part, and patches of mixes of the other three parts' frames,
    are compared with the nearest of those three parts. A mix is the mean frame and a sum of three deviations from it,
    with random weights whose squares sum up to 1, as any linear model makes them.

    Measured on 64 and 120 frames: a lamp 2.4 and 3.0, a turning sunshade 3.0 and 4.5, the example ``flag`` 2.9 and 4.4;
    the example ``flame`` 1.9 and 2.0, a fire 1.4, falls, straw, waves, steam and crowds .6 to 1.5.

    Args:
        clip: at least 4 frames.
    """
    rng = torch.Generator().manual_seed(0)  # a measurement, the same for every seed
    video = clip.video
    factor = max(clip.height, clip.width) / SIDE
    if factor > 1:
        size = [max(1, round(side / factor)) for side in (clip.height, clip.width)]
        video = F.interpolate(video.transpose(0, 1), size, mode="area").transpose(0, 1)
    own = foreign = 0.0
    for part in torch.tensor_split(torch.arange(clip.n_frames), PARTS):
        outside = torch.ones(clip.n_frames, dtype=torch.bool)
        outside[part] = False
        known = video[:, outside]
        mean, n = known.mean(dim=1, keepdim=True), known.shape[1]
        which = torch.stack([torch.randperm(n, generator=rng)[:MIXED] for _ in range(n)])
        weights = F.normalize(torch.randn(which.shape, generator=rng), dim=1)
        mixes = (mean + torch.einsum("nk,cnkhw->cnhw", weights, (known - mean)[:, which])).clamp(-1.0, 1.0)
        kept = _patches(known, KEPT, rng)
        own += float(torch.cdist(_patches(video[:, part], TRIED, rng), kept).amin(dim=1).square().mean())
        foreign += float(torch.cdist(_patches(mixes, TRIED, rng), kept).amin(dim=1).square().mean())
    return foreign / max(own, 1e-12)


def return_cost(distances: Tensor) -> float:
    """What a jump costs where it is cheap: the lower quartile, over frames, of the least cost of a jump from each.

    Args:
        distances: ``(T, T)`` of frames. Jumps within twice the clip's memory do not count: there it has not changed.
    """
    T = len(distances)
    frame = torch.arange(T)
    far = (frame - frame[:, None] - 1).abs() > min(max(8, 2 * memory(distances)), T // 4)
    least = torch.where(far, jump_costs(distances), torch.inf).amin(dim=1)
    return float(least[torch.isfinite(least)].quantile(0.25))


def _patches(video: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """(n, C py px) patches of single frames, drawn at random."""
    sides = (min(PATCH, n) for n in video.shape[2:])
    cut = video.unfold(2, next(sides), 1).unfold(3, next(sides), 1)  # (C, T, H', W', py, px)
    T, H, W = cut.shape[1:4]
    at = torch.randint(T * H * W, (n,), generator=rng)
    return cut[:, at // (H * W), at // W % H, at % W].transpose(0, 1).flatten(1)
