"""HOSVD: the clip as a Tucker tensor, whose temporal factor is set in motion.

Costantini, Sbaiz, Süsstrunk, "Higher Order SVD Analysis for Dynamic Texture Synthesis", IEEE TIP 17(1), 2008.
Compressing rows, columns and colours as well as time costs a fraction of LDS's parameters at nearly the same picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import torch
from torch import Tensor

from dyntex.baselines.common import (
    LinearVideo,
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
class HOSVDConfig:
    """The ranks of the Tucker tensor.

    Attributes:
        r_space: r_H = r_W, rows and columns (each at most H and W). ``None`` takes the fewest that hold
            ``space_variance`` in both, which leaves the picture's detail to the temporal rank.
        r_time: r_T, the number of states. ``None`` takes the fewest that hold ``time_variance``, but at most a third
            of the frames and at most 50, so that the model cannot memorise the clip.
        r_colour: r_C; ``None`` keeps all channels (the paper's 3).
        space_variance: the share of variance that the rule for ``r_space`` asks for.
        time_variance: the share of variance that the rule for ``r_time`` asks for.
        centred: whether the mean frame is subtracted first, as the paper does. Public codes leave it out: the tensor's
            first temporal component then is the mean frame, the law of motion takes it for a motion, and nearly all
            of the rules' "variance" is its. A handicap, for comparison with published numbers; give it ``r_time``.
    """

    r_space: int | None = None
    r_time: int | None = None
    r_colour: int | None = None
    space_variance: float = 0.99
    time_variance: float = 0.95
    centred: bool = True


@dataclass(frozen=True)
class HOSVD(LinearVideo):
    """A fitted tensor: frame = mean + core x_T state x_C U_C x_H U_H x_W U_W.

    Attributes:
        law: the law of the states, which are the rows of the temporal factor U_T.
        core: ``(r_T, r_C, r_H, r_W)`` float32.
        U_C: ``(C, r_C)`` float32 with orthonormal columns, and so the next two.
        U_H: ``(H, r_H)``.
        U_W: ``(W, r_W)``.
        mean: ``(C, H, W)`` float32, the mean frame; zero where the config has it so.
        fps: frames per second.
    """

    law: LinearLaw
    core: Tensor
    U_C: Tensor
    U_H: Tensor
    U_W: Tensor
    mean: Tensor
    fps: Fraction

    @classmethod
    def fit(cls, clip: Clip, config: HOSVDConfig = HOSVDConfig(), *, rng: torch.Generator) -> Self:
        """Fit to one clip, in closed form: each factor holds the leading eigenvectors of its mode's Gram matrix.

        Args:
            clip: at least 3 frames.
            config: the ranks.
            rng: not needed; every method is fitted with one.

        Raises:
            InputError: the clip is too short.
            UsageError: a rank is larger than the clip allows, or a share is none.
        """
        require_training_frames(clip, "hosvd")
        mean = clip.video.mean(dim=1) if config.centred else torch.zeros_like(clip.video[:, 0])
        D = _centred(clip, mean)  # (T, C, H, W)
        (U_T, s_T), (U_C, _), (U_H, s_H), (U_W, s_W) = (_mode(D, axis) for axis in range(4))
        T, C, H, W = D.shape
        if config.r_time is None:
            r_T = min(smallest_rank(s_T, require_share(config.time_variance, "time_variance")), order_cap(T))
        else:
            r_T = require_rank(config.r_time, T - config.centred, "temporal components")
        if config.r_space is None:
            share = require_share(config.space_variance, "space_variance")
            r_S = max(smallest_rank(s, share) for s in (s_H, s_W))
        else:
            r_S = require_rank(config.r_space, max(H, W), "rows and columns")
        r_C = C if config.r_colour is None else require_rank(config.r_colour, C, "colours")
        U_T, U_C, U_H, U_W = U_T[:, :r_T], U_C[:, :r_C], U_H[:, :r_S], U_W[:, :r_S]
        core = torch.einsum("tchw,ta,cb,hi,wj->abij", D, U_T, U_C, U_H, U_W)
        return cls(fit_law(U_T.mT), core.float(), U_C.float(), U_H.float(), U_W.float(), mean, clip.fps)

    @property
    def n_parameters(self) -> int:
        """How many numbers the model consists of: A, B, the core, the factors of space and colour, and the mean."""
        tensors = (self.law.A, self.law.B, self.core, self.U_C, self.U_H, self.U_W, self.mean)
        return sum(tensor.numel() for tensor in tensors)

    def states(self, clip: Clip) -> Tensor:
        """``(T, r_T)``: the states whose pictures are nearest to the frames."""
        require_size(clip, *self.mean.shape)
        D = _centred(clip, self.mean)
        U_C, U_H, U_W = self.U_C.double(), self.U_H.double(), self.U_W.double()
        compressed = torch.einsum("tchw,cb,hi,wj->tbij", D, U_C, U_H, U_W).flatten(1)
        # Least squares and not a product: cutting space and colour leaves the core's slices not quite orthogonal.
        states: Tensor = compressed @ torch.linalg.pinv(self.core.double().flatten(1))
        return states

    def render(self, X: Tensor) -> Clip:
        """States ``(T, n)`` as frames, clamped to [-1, 1]."""
        compressed = torch.einsum("ta,abij->tbij", X.float(), self.core)
        frames = torch.einsum("tbij,cb,hi,wj->tchw", compressed, self.U_C, self.U_H, self.U_W) + self.mean
        return Clip(frames.transpose(0, 1).clamp(-1.0, 1.0).contiguous(), self.fps)


def _centred(clip: Clip, mean: Tensor) -> Tensor:
    """``(T, C, H, W)`` float64: the frames less the mean."""
    return (clip.video - mean[:, None]).transpose(0, 1).double()


def _mode(D: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The left singular vectors and values, largest first, of a tensor unfolded along an axis.

    By eigh of the small Gram matrix, 50 times faster than an iterated Tucker decomposition at the same error: what is
    lost is the precision of singular values below 1e-8 of the largest, which no rule keeps.
    """
    unfolded = D.movedim(axis, 0).flatten(1)
    values, vectors = torch.linalg.eigh(unfolded @ unfolded.mT)
    return vectors.flip(1), values.flip(0).clamp_min(0.0).sqrt()
