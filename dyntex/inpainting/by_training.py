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
from dyntex.coopnets.model import ignore
from dyntex.coopnets.observe import check_clip, no_condition
from dyntex.coopnets.presets import FAST
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.revise import revise
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.watchdog import watched
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
    notice: Callable[[str], None] = ignore,
    progress: Callable[[int], float] | None = None,
) -> Clip:
    """Recover by training, from where :func:`dyntex.inpainting.recover` ends.

    The noise of the missing pixels falls to 0 with the training and the last steps go downhill: what is asked for is
    the likeliest completion (and the smallest error), not a sample of all.

    Args:
        damaged: at least ``config.data.min_frames`` frames.
        missing: (T, H, W), bool.
        config: the networks and the training.
        rng: all randomness, on the device to train on.
        on_step, notice, progress: as in :meth:`dyntex.coopnets.model.CoopNets.fit`.

    Raises:
        InputError: the mask does not fit the clip or leaves nothing to do, or the clip is too short.
        UsageError: the preset cannot make frames of this size.
        DivergedError: the training diverged.
    """
    check_clip(damaged, config)
    seed = int(torch.randint(2**31, (1,), generator=rng, device=rng.device))
    start = recover(damaged, missing, rng=torch.Generator().manual_seed(seed))
    y_obs = padded(start.video[None], config.data.multiple).to(rng.device)
    hole = padded(missing[None, None].float(), config.data.multiple).to(rng.device) > 0.0
    seen, cond = y_obs.clone(), no_condition(y_obs)
    state = TrainState(config, y_obs, rng=rng)
    done = progress or (lambda iteration: iteration / config.optimisation.iterations)
    kept: dict[str, Tensor] = {}

    def completed(n_steps: int, temperature: float) -> Tensor:
        return revise(
            state.des,
            y_obs,
            cond,
            config,
            rng=rng,
            n_steps=n_steps,
            step_scale=state.step_scale,
            temperature=temperature,
            project=lambda y: torch.where(hole, y.clamp(-1.0, 1.0), seen),
        )

    def keep() -> None:
        kept.update({key: value.clone() for key, value in state.state(rng).items()} | {"y_obs": y_obs.clone()})

    def go_back() -> None:
        state.load(kept, rng)
        y_obs.copy_(kept["y_obs"])

    steps = watched(
        state,
        y_obs,
        cond,
        rng=rng,
        keep=keep,
        go_back=go_back,
        keep_now=lambda info: info.iteration % 50 == 0,
        notice=notice,
        progress=done,
    )
    for info in steps:
        on_step(info)
        temperature = config.sampling.temperature * max(0.0, 1.0 - done(state.iteration))
        y_obs.copy_(completed(config.sampling.n_steps, temperature))
    video = completed(LAST_STEPS, 0.0)[0, :, :, : damaged.height, : damaged.width].cpu()
    if not bool(video.isfinite().all()):
        raise DivergedError(
            f"the training diverged within {state.iteration} iterations: try another --seed, or --method blend"
        )
    return finished(video, damaged, missing)


def padded(y: Tensor, multiple: int) -> Tensor:
    """(B, C, T, H, W) with its last rows and columns repeated until the sides are multiples."""
    *_, height, width = y.shape
    return F.pad(y, (0, -width % multiple, 0, -height % multiple, 0, 0), mode="replicate")
