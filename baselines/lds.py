"""LDS: frames are a linear picture of a few states, which follow a linear law driven by noise.

Doretto, Chiuso, Wu, Soatto, "Dynamic Textures", IJCV 51(2), 2003:

    x_{t+1} = A x_t + B e_t,    y_t = C x_t + mean,    e_t ~ N(0, I).

A caution: where motion is slow against the clip's length, least squares knows little of the stationary law (see
``dyntex.textures.linear.fit_law``). Of 64 frames of fire it keeps 106 % of the variance in its subspace, of a falling
fountain 46 %, of a slow sea 6 %: a free synthesis of those is too calm, an anchored one calms down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Self

import torch
from torch import Tensor

from dyntex.baselines.common import (
    LinearVideo,
    as_columns,
    from_rows,
    order_cap,
    require_rank,
    require_share,
    require_size,
    require_training_frames,
    smallest_rank,
)
from dyntex.clip import Clip
from dyntex.textures.linear import LinearLaw, fit_law


@dataclass(frozen=True)
class LDSConfig:
    """How large the model is.

    Attributes:
        n: number of states. ``None`` takes the fewest that hold ``variance`` of the pixels' variance over time, but at
            most a third of the frames and at most 50, so that the model cannot memorise the clip.
        n_noise: noise components; ``None`` keeps all n.
        variance: the share of variance that the rule for ``n`` asks for.
        noise: how strongly B e drives the states. "fitted": with the covariance of the residuals, as the paper has it.
            "unscaled": sqrt(T - 1) times as strongly, as in demos that forget to divide by it. "none": not at all, as
            in others; then what is anchored decays to the mean frame, and there is no free synthesis but that frame.
            The last two are handicaps, for comparison with published numbers.
    """

    n: int | None = None
    n_noise: int | None = None
    variance: float = 0.95
    noise: Literal["fitted", "unscaled", "none"] = "fitted"


@dataclass(frozen=True)
class LDS(LinearVideo):
    """A fitted linear dynamical system.

    Attributes:
        law: the law of the states.
        C: ``(C*H*W, n)`` float32 with orthonormal columns: the principal components of the frames over time.
        mean: ``(C, H, W)`` float32, the mean frame.
        fps: frames per second.
    """

    law: LinearLaw
    C: Tensor
    mean: Tensor
    fps: Fraction

    @classmethod
    def fit(cls, clip: Clip, config: LDSConfig = LDSConfig(), *, rng: torch.Generator) -> Self:
        """Fit to one clip, in closed form: with Y - mean = U S V', C is U's first n columns and X = S V' the states.

        Args:
            clip: at least 3 frames.
            config: the model's size.
            rng: not needed; every method is fitted with one.

        Raises:
            InputError: the clip is too short.
            UsageError: more states or noise components were asked for than there are, or the share is none.
        """
        require_training_frames(clip, "lds")
        T = clip.n_frames
        mean = clip.video.mean(dim=1)
        Y = as_columns(clip, mean)
        U, s, Vh = torch.linalg.svd(Y, full_matrices=False)
        if config.n is None:
            n = min(smallest_rank(s, require_share(config.variance, "variance")), order_cap(T))
        else:
            n = require_rank(config.n, min(T - 1, len(Y)), "states")
        n_noise = None if config.n_noise is None else require_rank(config.n_noise, n, "noise components")
        law = fit_law(s[:n, None] * Vh[:n], n_noise=n_noise)
        gain = {"fitted": 1.0, "unscaled": math.sqrt(T - 1), "none": 0.0}[config.noise]
        law = LinearLaw(law.A, gain * law.B)
        return cls(law, U[:, :n].float().contiguous(), mean, clip.fps)

    @property
    def n_parameters(self) -> int:
        """How many numbers the model consists of: A, B, C and the mean."""
        return self.law.A.numel() + self.law.B.numel() + self.C.numel() + self.mean.numel()

    def states(self, clip: Clip) -> Tensor:
        """``(T, n)`` float64: the frames' coordinates along the columns of C."""
        require_size(clip, *self.mean.shape)
        return as_columns(clip, self.mean).mT @ self.C.double()  # (T, n)

    def render(self, X: Tensor) -> Clip:
        """States ``(T, n)`` as frames, clamped to [-1, 1]."""
        frames = X.float() @ self.C.mT + self.mean.flatten()  # (T, C*H*W)
        return from_rows(frames, self.mean, self.fps)
