"""Cooperative training on a damaged clip, as Xie, Zhu and Wu (arXiv 1606.00972) train their descriptor on one.

Each iteration the descriptor's Langevin dynamics revise the missing pixels, with the seen ones held where they are, and
then both networks learn from the clip so completed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.langevin import langevin
from dyntex.coopnets.model import check_clip, ignore, nothing
from dyntex.coopnets.presets import FAST
from dyntex.coopnets.train import StepInfo, Teaching, teach
from dyntex.errors import DivergedError
from dyntex.inpainting import finished, recover

LAST_STEPS = 10


def cooperate(
    damaged: Clip,
    missing: Tensor,
    config: CoopConfig = FAST,
    *,
    rng: torch.Generator,
    on_step: Callable[[StepInfo], None] = ignore,
    progress: Callable[[int], float] | None = None,
) -> Clip:
    """Recover by training, from where :func:`dyntex.inpainting.recover` ends.

    The noise of the missing pixels falls to 0 with the training and the last steps go downhill: what is asked for is
    the likeliest completion (and the smallest error), not a sample of all.

    Args:
        damaged: at least ``config.min_frames`` frames.
        missing: (T, H, W), bool.
        config: the networks and the training.
        rng: all randomness, on the device to train on.
        on_step, progress: as in :meth:`dyntex.coopnets.model.CoopNets.fit`.

    Raises:
        InputError: the mask does not fit the clip or leaves nothing to do, or the clip is too short.
        UsageError: the preset cannot make frames of this size.
        DivergedError: the training ran away.
    """
    check_clip(damaged, config)
    seed = int(torch.randint(2**31, (1,), generator=rng, device=rng.device))
    start = recover(damaged, missing, rng=torch.Generator().manual_seed(seed))
    y_obs = padded(start.video[None], config.multiple).to(rng.device)
    hole = padded(missing[None, None].float(), config.multiple).to(rng.device) > 0.0
    held = y_obs.clone()
    cond = nothing(y_obs)
    t = Teaching(config, y_obs, rng=rng)
    done = progress or (lambda iteration: iteration / config.iterations)

    def revised(n_steps: int, temperature: float) -> Tensor:
        still = t.des.frozen()
        return langevin(
            lambda y: still.energy(y, cond),
            y_obs,
            n_steps=n_steps,
            step=config.step,
            rng=rng,
            temperature=temperature,
            scale=t.des.scale,
            drift_limit=config.drift_limit,
            project=lambda y: torch.where(hole, y.clamp(-1.0, 1.0), held),
        )

    for info in teach(t, y_obs, cond, rng=rng, progress=done):
        on_step(info)
        y_obs.copy_(revised(config.n_steps, config.temperature * max(0.0, 1.0 - done(t.iteration))))
    video = revised(LAST_STEPS, 0.0)[0, :, :, : damaged.height, : damaged.width].cpu()
    if not bool(video.isfinite().all()):
        raise DivergedError(f"the training diverged within {t.iteration} iterations: try another seed, or method blend")
    return finished(video, damaged, missing)


def padded(y: Tensor, multiple: int) -> Tensor:
    """(B, C, T, H, W) with its last rows and columns repeated until the sides are multiples."""
    *_, height, width = y.shape
    return F.pad(y, (0, -width % multiple, 0, -height % multiple, 0, 0), mode="replicate")
