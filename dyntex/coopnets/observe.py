"""What the networks are trained on: clips as one tensor, checked against the config."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.capabilities import capabilities
from dyntex.coopnets.config import CoopConfig
from dyntex.errors import InputError


def no_condition(y: Tensor) -> Tensor:
    """No condition, K = 0: (B, C, T, H, W) -> (B, 0, T, H, W)."""
    return y[:, :0]


def observe(clips: Clip | Sequence[Clip], config: CoopConfig, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The observed clips as tensors: y_obs (N, C, T, H, W) and its conditions (N, K, T, H, W).

    A config with a crop learns from that square of the frames, at all places half its side apart.

    Raises:
        InputError: there is no clip, one is too short or unlike the first, or the conditions do not fit them.
        UsageError: the config learns from one clip alone.
    """
    clips = [clips] if isinstance(clips, Clip) else list(clips)
    if not clips:
        raise InputError("there is no clip to learn from")
    if len(clips) > 1:
        check_set(config, f"a set of {len(clips)}")
    for i, clip in enumerate(clips, start=1):
        check_clip(clip, config)
        if clip.video.shape != clips[0].video.shape:
            have, first = ("x".join(map(str, c.video.shape)) for c in (clip, clips[0]))
            raise InputError(f"clip {i} of the set is {have} (CxTxHxW) and the first is {first}: give them one size")
    y_obs = torch.stack([clip.video for clip in clips])
    cond = no_condition(y_obs) if cond is None else cond
    if (len(cond), *cond.shape[2:]) != (len(y_obs), *y_obs.shape[2:]):
        have, need = ("x".join(map(str, (len(v), *v.shape[2:]))) for v in (cond, y_obs))
        raise InputError(f"the conditions are for {have} pixels (NxTxHxW) and the clips have {need}")
    return (crops(y_obs, config.data.crop), crops(cond, config.data.crop)) if config.data.crop else (y_obs, cond)


def crops(y: Tensor, side: int) -> Tensor:
    """Squares of the frames, side/2 apart: (N, C, T, H, W) -> (N*P, C, T, side, side); smaller frames whole."""
    sides = [min(side, n) for n in y.shape[3:]]
    step = max(1, side // 2)
    cut = y.unfold(3, sides[0], step).unfold(4, sides[1], step)  # (N, C, T, P, P', side, side)
    return cut.movedim((3, 4), (1, 2)).flatten(0, 2)


def check_set(config: CoopConfig, what: str) -> None:
    """Whether a preset can learn from several clips, ``what`` says which.

    Raises:
        UsageError: it cannot.
    """
    capabilities(config).require(
        "sets", asked=what, method=f"preset {config.preset!r}", instead="choose video-set, or name one clip"
    )


def check_clip(clip: Clip, config: CoopConfig) -> None:
    """Whether a preset can learn from a clip.

    Raises:
        InputError: the clip has too few frames.
    """
    if clip.n_frames < config.least_frames:
        raise InputError(
            f"the clip has {clip.n_frames} frame{'s' * (clip.n_frames != 1)}; preset {config.preset!r} needs at least "
            f"{config.least_frames}"
        )
