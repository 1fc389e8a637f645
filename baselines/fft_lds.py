"""FFT-LDS: a linear dynamical system of the frames' significant Fourier coefficients.

Abraham, Camps, Sznaier, "Dynamic Texture with Fourier Descriptors", Texture 2005. Frames that cost C*H*W numbers a
state in LDS cost two numbers (real and imaginary part) a significant frequency.
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
)
from dyntex.clip import Clip
from dyntex.textures.linear import LinearLaw, fit_law


@dataclass(frozen=True)
class FFTLDSConfig:
    """How large the model is.

    Attributes:
        n: number of states. ``None`` takes as many as there are singular values of at least a tenth of the largest
            (the paper's rule), but at most a third of the frames and at most 50, so that it cannot memorise the clip.
        n_noise: noise components; ``None`` keeps all n.
        power: a frequency is significant in a frame if it is one of the strongest that together hold this share of
            the frame's power (mean frame removed); the model keeps every frequency that is significant in any frame.
    """

    n: int | None = None
    n_noise: int | None = None
    power: float = 0.95


@dataclass(frozen=True)
class FFTLDS(LinearVideo):
    """A fitted linear dynamical system in the Fourier domain.

    Attributes:
        law: the law of the states.
        C: ``(2F, n)`` float32 with orthonormal columns: the principal components of [Re; Im] of the F kept frequencies.
        keep: ``(C, H, W//2+1)`` bool, with F true entries: the frequencies of the half-plane that the model keeps.
        mean: ``(C, H, W)`` float32, the mean frame.
        fps: frames per second.
    """

    law: LinearLaw
    C: Tensor
    keep: Tensor
    mean: Tensor
    fps: Fraction

    @classmethod
    def fit(cls, clip: Clip, config: FFTLDSConfig = FFTLDSConfig(), *, rng: torch.Generator) -> Self:
        """Fit to one clip, in closed form.

        Args:
            clip: at least 3 frames.
            config: the model's size.
            rng: not needed; every method is fitted with one.

        Raises:
            InputError: the clip is too short.
            UsageError: more states or noise components were asked for than there are, or the share is none.
        """
        require_training_frames(clip, "fft-lds")
        T = clip.n_frames
        mean = clip.video.mean(dim=1)
        F = _spectra(clip, mean)
        keep = _with_mirror_images(
            _significant(F.abs().square().flatten(1), require_share(config.power, "power")).view(F.shape[1:]),
            clip.width,
        )
        U, s, Vh = torch.linalg.svd(_descriptors(F, keep).mT, full_matrices=False)
        if config.n is None:
            n = max(1, min(int((s >= s[0] / 10).sum()), order_cap(T)))
        else:
            n = require_rank(config.n, min(T - 1, len(U)), "states")
        n_noise = None if config.n_noise is None else require_rank(config.n_noise, n, "noise components")
        law = fit_law(s[:n, None] * Vh[:n], n_noise=n_noise)
        return cls(law, U[:, :n].float().contiguous(), keep, mean, clip.fps)

    @property
    def n_parameters(self) -> int:
        """How many numbers the model consists of: A, B, C, the mean, and the index of each kept frequency."""
        return self.law.A.numel() + self.law.B.numel() + self.C.numel() + self.mean.numel() + int(self.keep.sum())

    def states(self, clip: Clip) -> Tensor:
        """``(T, n)`` float64: the frames' coordinates along the columns of C."""
        require_size(clip, *self.mean.shape)
        return _descriptors(_spectra(clip, self.mean), self.keep) @ self.C.double()  # (T, n)

    def render(self, X: Tensor) -> Clip:
        """States ``(T, n)`` as frames, clamped to [-1, 1]."""
        real, imaginary = (X.float() @ self.C.mT).chunk(2, dim=1)  # (T, F) each
        F = torch.zeros(len(X), *self.keep.shape, dtype=torch.complex64)
        F[:, self.keep] = torch.complex(real, imaginary)
        height, width = self.mean.shape[1:]
        frames = torch.fft.irfft2(F / _weights(width).float(), s=(height, width), norm="ortho") + self.mean
        return Clip(frames.transpose(0, 1).clamp(-1.0, 1.0).contiguous(), self.fps)


def _weights(width: int) -> Tensor:
    """``(W//2+1,)``: sqrt(2) for the columns of the half-plane that stand for two, so that power is the pixels' power.

    A real image's spectrum is given by half of it. The columns of horizontal frequency 0 and (if W is even) W/2 are
    their own mirror images and count once.
    """
    weights = torch.full((width // 2 + 1,), 2.0, dtype=torch.float64).sqrt()
    weights[0] = 1.0
    if width % 2 == 0:
        weights[-1] = 1.0
    return weights


def _spectra(clip: Clip, mean: Tensor) -> Tensor:
    """``(T, C, H, W//2+1)`` complex128: each frame, less the mean, by an isometric transform (Parseval)."""
    frames = (clip.video - mean[:, None]).transpose(0, 1).double()
    F: Tensor = torch.fft.rfft2(frames, norm="ortho") * _weights(clip.width)
    return F


def _significant(power: Tensor, share: float) -> Tensor:
    """``(F,)`` bool from ``(T, F)``: the union over frames of the fewest frequencies that hold ``share`` of it."""
    ordered, order = power.sort(dim=1, descending=True)
    held_by_stronger = ordered.cumsum(dim=1) - ordered
    chosen = held_by_stronger < share * ordered.sum(dim=1, keepdim=True)
    keep = torch.zeros_like(chosen).scatter(1, order, chosen).any(dim=0)
    if not keep.any():  # a still clip has no power anywhere: keep one frequency, so that there is a (zero) state
        keep[0] = True
    return keep


def _with_mirror_images(keep: Tensor, width: int) -> Tensor:
    """``keep`` ``(C, H, W//2+1)`` with each frequency's mirror image where its column holds both.

    Both have the same power, so the rule may cut between them; one alone is not the spectrum of a real image.
    """
    height = keep.shape[1]
    mirrored = keep[:, (-torch.arange(height)) % height]
    both = (_weights(width) == 1.0).expand_as(keep)
    return keep | (mirrored & both)


def _descriptors(F: Tensor, keep: Tensor) -> Tensor:
    """``(T, 2F)``: [Re; Im] of the kept frequencies."""
    kept = F[:, keep]
    return torch.cat([kept.real, kept.imag], dim=1)
