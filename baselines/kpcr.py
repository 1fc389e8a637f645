"""KPCR: the next frame is a nonlinear function of this one, by regression on its kernel principal components.

You et al., "Kernel Learning for Dynamic Texture Synthesis", IEEE TIP 25(10), 2016: the kernel
k(a, b) = exp(-|a - b|^2 / h) with h = 50, and 50 kernel principal components. Departures, each for a reason:

* h is the median squared distance between two training frames. The paper's 50 depends on the unit of a pixel and on
  the number of pixels: between two 128x128 RGB frames in [-1, 1] it gives kernel values of e^-11 to e^-148 (medians
  of six real clips), so that every frame resembles itself alone.
* At most a third of the frames as components: 50 of 64 frames memorise.
* Each step adds Gaussian noise of the regression residual's covariance, as in LDS: y_{t+1} = f(y_t) + B e_t. Fed back
  as they are, predictions fall silent: three of the six clips stood still after 100 frames.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import torch
from torch import Tensor

from dyntex.baselines.common import (
    CLOSED_FORM,
    as_columns,
    blocks,
    from_rows,
    order_cap,
    require_length,
    require_rank,
    require_size,
    require_training_frames,
)
from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.method import Capabilities, Method

NO_LOOP = "its law is not linear, and cannot be conditioned to close"


@dataclass(frozen=True)
class KPCRConfig:
    """The kernel and the model's size.

    Attributes:
        n_components: kernel principal components. ``None`` takes a third of the frames and at most 50, so that the
            model cannot memorise the clip.
        bandwidth: h, in squared pixel units summed over a frame. ``None`` takes the median of |a - b|^2 over the pairs
            of training frames. Far above it, f becomes the linear regression on the leading principal components.
        n_noise: noise components; ``None`` keeps all.
        burn_in: frames that are run and thrown away before the first frame of a free synthesis, because this law's
            stationary distribution has no closed form.
    """

    n_components: int | None = None
    bandwidth: float | None = None
    n_noise: int | None = None
    burn_in: int = 100


@dataclass(frozen=True)
class KPCR(Method):
    """A fitted kernel regression, in the coordinates of the training frames' span (which loses nothing).

    f is bounded: a kernel value is at most 1, and far from all training frames f is one fixed frame. So no synthesis
    runs away, and there are no poles to move.

    Attributes:
        X: ``(T, r)`` float64, the training frames; r <= T-1.
        bandwidth: h.
        k_mean: ``(T,)`` the mean of each row of the training frames' kernel matrix, which centres the kernel.
        W: ``(T, r)`` f(x) = centred k(X, x)' W.
        B: ``(r, n_v)`` the square root of the noise's covariance.
        basis: ``(C*H*W, r)`` float32 with orthonormal columns.
        mean: ``(C, H, W)`` float32, the mean frame.
        burn_in: see :class:`KPCRConfig`.
        fps: frames per second.
    """

    X: Tensor
    bandwidth: float
    k_mean: Tensor
    W: Tensor
    B: Tensor
    basis: Tensor
    mean: Tensor
    burn_in: int
    fps: Fraction

    @classmethod
    def capabilities(cls, config: Any = None) -> Capabilities:
        """All but loops, tiles, other sizes and sets of clips."""
        return Capabilities({**CLOSED_FORM.lacks, "loop": NO_LOOP})

    @classmethod
    def fit(cls, clip: Clip, config: KPCRConfig = KPCRConfig(), *, rng: torch.Generator) -> Self:
        """Fit to one clip, in closed form.

        With K the kernel matrix of the frames, centred on both sides, = V L V': the scores are Z = V sqrt(L); the
        regression of the next frame on them is Z1^+ X2; and a new frame's scores are its centred kernel values times
        V / sqrt(L).

        Args:
            clip: at least 3 frames.
            config: the kernel and the size.
            rng: not needed; every method is fitted with one.

        Raises:
            InputError: the clip is too short.
            UsageError: the bandwidth is not positive, the burn-in negative, or a number of components impossible.
        """
        require_training_frames(clip, "kpcr")
        T = clip.n_frames
        mean = clip.video.mean(dim=1)
        U, s, Vh = torch.linalg.svd(as_columns(clip, mean), full_matrices=False)
        r = min(T - 1, len(s))
        X = (s[:r, None] * Vh[:r]).mT
        q = order_cap(T) if config.n_components is None else require_rank(config.n_components, T - 1, "components")
        h = _median_squared_distance(X) if config.bandwidth is None else config.bandwidth
        if not h > 0:  # so that NaN, too, is refused
            raise UsageError(f"the kernel's bandwidth is {h:g}; it must be positive")
        n_noise = None if config.n_noise is None else require_rank(config.n_noise, r, "noise components")
        if config.burn_in < 0:
            raise UsageError(f"burn_in is {config.burn_in}; throw away 0 frames or more")

        K = _kernel(X, X, h)
        k_mean = K.mean(dim=1)
        values, vectors = torch.linalg.eigh(_centre(K, k_mean))
        values, vectors = values.flip(0)[:q], vectors.flip(1)[:, :q]
        # Directions without variance (in a still clip, all) get no score, rather than rounding errors scaled up.
        scale = torch.where(values > 1e-14 * T, values, torch.inf).rsqrt()
        Z = vectors * (values * scale)
        regression = torch.linalg.lstsq(Z[:-1], X[1:], driver="gelsd").solution  # (q, r)
        residual = (X[1:] - Z[:-1] @ regression).mT
        U_v, s_v, _ = torch.linalg.svd(residual, full_matrices=False)
        B = (U_v * (s_v / (T - 1) ** 0.5))[:, :n_noise]
        W = (vectors * scale) @ regression
        return cls(X, h, k_mean, W, B, U[:, :r].float().contiguous(), mean, config.burn_in, clip.fps)

    @property
    def n_parameters(self) -> int:
        """How many numbers the model consists of; most are the training frames, which a kernel method keeps."""
        return sum(tensor.numel() for tensor in (self.X, self.k_mean, self.W, self.B, self.basis, self.mean)) + 1

    def stream(
        self, n_frames: int, *, rng: torch.Generator, anchor: Clip | None = None, loop: bool = False
    ) -> Iterator[Clip]:
        """``n_frames`` new frames in chunks, in constant memory, clamped to [-1, 1].

        There is no loop: f is not linear, so the law conditioned to close has no closed form; and the noise has no
        power along the components that regression fits exactly, so that moving it along f's derivatives closed only
        half of the paths tried on thirteen real clips.

        Args:
            n_frames: how many.
            rng: the source of the noise.
            anchor: start from this clip's first frame (as far as the training frames span it); ``None`` starts from the
                mean frame and throws ``burn_in`` frames away.
            loop: refused.

        Raises:
            UsageError: a loop was asked for.
        """
        if loop:
            self.capabilities().require("loop", asked="a loop", method="kpcr")
        chunks = blocks(n_frames)
        x0 = None if anchor is None else self._coordinates(anchor)[0]
        return self._stream(chunks, rng, x0)

    def predict(self, clip: Clip, n_frames: int) -> Clip:
        """f applied 1, 2, ... ``n_frames`` times to the last frame of ``clip``.

        The first is the expected next frame. The later ones are not quite expectations, since f is not linear.
        """
        require_length(n_frames)
        x, states = self._coordinates(clip)[-1], []
        for _ in range(n_frames):
            x = self._next(x)
            states.append(x)
        return self._render(torch.stack(states))

    def _stream(self, chunks: Iterator[range], rng: torch.Generator, x0: Tensor | None) -> Iterator[Clip]:
        x = self._first(rng) if x0 is None else x0
        for block in chunks:
            states = []
            for t in block:
                x = x if t == 0 else self._next(x) + self.B @ self._noise(rng)
                states.append(x)
            yield self._render(torch.stack(states))

    def _first(self, rng: torch.Generator) -> Tensor:
        x = torch.zeros_like(self.X[0])
        for _ in range(self.burn_in):
            x = self._next(x) + self.B @ self._noise(rng)
        return x

    def _noise(self, rng: torch.Generator) -> Tensor:
        return torch.randn(self.B.shape[1], generator=rng, device=rng.device, dtype=torch.float64).cpu()

    def _next(self, x: Tensor) -> Tensor:
        k = _kernel(x[None], self.X, self.bandwidth)
        return (_centre(k, self.k_mean) @ self.W)[0]

    def _coordinates(self, clip: Clip) -> Tensor:
        require_size(clip, *self.mean.shape)
        return as_columns(clip, self.mean).mT @ self.basis.double()  # (T, r)

    def _render(self, X: Tensor) -> Clip:
        frames = X.float() @ self.basis.mT + self.mean.flatten()  # (T, C*H*W)
        return from_rows(frames, self.mean, self.fps)


def _kernel(X: Tensor, Y: Tensor, bandwidth: float) -> Tensor:
    """``(m, n)`` from ``(m, r)`` and ``(n, r)``: exp(-|x - y|^2 / h)."""
    return torch.exp(-(X[:, None] - Y[None]).square().sum(dim=-1) / bandwidth)


def _centre(k: Tensor, k_mean: Tensor) -> Tensor:
    """Rows of kernel values ``(m, T)`` after the training frames' mean is taken off in feature space, on both sides."""
    return k - k.mean(dim=1, keepdim=True) - k_mean + k_mean.mean()


def _median_squared_distance(X: Tensor) -> float:
    median = float(torch.pdist(X).square().median())
    return median if median > 0 else 1.0  # frames that are all alike have no scale, and need none
