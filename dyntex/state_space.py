"""A generator that contains a linear dynamic texture and bends it.

x_{t+1} = A x_t + B e_t and y_t = mean + C x_t (Doretto et al. 2003) are fitted to the observed clip; a convolutional
residual, which starts at zero, is what cooperative training teaches. At iteration 0 it is the LDS exactly: a stationary
start, any length, motion of the right speed, and nothing to learn about what stands still.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.config import StateSpaceConfig
from dyntex.errors import UsageError
from dyntex.layers import OPEN, Axes, Conv, ConvTranspose, FullFrameConvTranspose, initialise
from dyntex.linear import LinearLaw, match_law


class StateSpaceGenerator(nn.Module):
    """g_alpha over the innovations of a linear system.

    The latent z is (B, D, T, 1, 1): its first n channels drive the states (z_0 through the stationary covariance's
    square root), the others are white noise that only the residual sees.

    Args:
        config: the number of states, the noise and the residual's layers.
        y_obs: (1, C, T, H, W), the observed clip that the linear part is fitted to; or a shape alone (a tensor on the
            meta device), when a checkpoint will fill in the fit.
        rng: draws the residual's initial weights.

    Raises:
        UsageError: the frame's sides are no multiples of the patch.
    """

    mean: Tensor
    C: Tensor
    A: Tensor
    B: Tensor
    P_sqrt: Tensor

    def __init__(
        self, config: StateSpaceConfig, y_obs: Tensor, *, rng: torch.Generator, condition_channels: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        _, channels, n_frames, height, width = y_obs.shape
        p = config.patch
        if height % p or width % p:
            raise UsageError(f"{height}x{width} frames are no multiples of {p} pixels, which this preset needs")
        self.frame = (channels, height, width)
        n = max(1, min(config.n_states, n_frames // 3))
        self.n_states = n
        self.register_buffer("mean", torch.zeros(channels, height, width))
        self.register_buffer("C", torch.zeros(n, channels, height, width))
        for name in ("A", "B", "P_sqrt"):
            self.register_buffer(name, torch.zeros(n, n))
        if not y_obs.is_meta:
            self._fit(y_obs[0])

        depth, wide = config.noise[0], config.width
        grid = (height // p, width // p)
        self.unfold = Conv(channels, wide, kernel=(1, 2 * p, 2 * p), stride=(1, p, p))
        self.from_state = FullFrameConvTranspose(n + condition_channels, wide, kernel=(3, *grid), padding=(1, 0, 0))
        self.from_noise = Conv(depth, wide, kernel=(1, 1, 1))
        self.blocks = nn.ModuleList(Conv(wide, wide, kernel=(3, 3, 3)) for _ in range(config.blocks))
        # Twice as wide as its stride: every pixel is made by four patches, so the patches leave no grid.
        self.to_pixels = ConvTranspose(wide, channels, kernel=(1, 2 * p, 2 * p), stride=(1, p, p))
        initialise(self, 0.0, rng)
        with torch.no_grad():
            self.to_pixels.weight.zero_()

    def _fit(self, y: Tensor) -> None:
        """Fit mean, C and the law of the whitened states to (C, T, H, W)."""
        n_frames = y.shape[1]
        frames = y.transpose(0, 1).reshape(n_frames, -1).double()  # (T, C*H*W)
        mean = frames.mean(0)
        # The T x T Gram matrix has the same singular vectors as the tall matrix of frames, at a fraction of the cost.
        variances, V = torch.linalg.eigh((frames - mean) @ (frames - mean).T)
        s = variances[-self.n_states :].flip(0).clamp_min(1e-12).sqrt()
        V = V[:, -self.n_states :].flip(1)  # (T, n), orthonormal columns
        X = (V * n_frames**0.5).T  # (n, T), unit variance
        C = ((frames - mean).T @ V / s) * (s / n_frames**0.5)  # (C*H*W, n)
        law = match_law(X)
        values, vectors = torch.linalg.eigh(law.stationary_covariance())
        self.mean.copy_(mean.view(self.frame))
        self.C.copy_(C.T.reshape(self.C.shape))
        self.A.copy_(law.A)
        self.B[:, : law.B.shape[1]].copy_(law.B)
        self.P_sqrt.copy_(vectors * values.clamp_min(0.0).sqrt() @ vectors.T)

    @property
    def law(self) -> LinearLaw:
        return LinearLaw(self.A.double().cpu(), self.B.double().cpu())

    def latent_shape(self, n_frames: int) -> tuple[int, ...]:
        """(D, T, 1, 1)."""
        depth, height, width = self.config.noise
        return (self.n_states + depth * height * width, n_frames, 1, 1)

    def states(self, e: Tensor, x: Tensor | None = None) -> Tensor:
        """x_t, driven by e: (B, n, T) -> (B, n, T), from the stationary law or going on after state ``x`` (B, n)."""
        path = []
        for t in range(e.shape[2]):
            x = e[:, :, t] @ self.P_sqrt.T if x is None else x @ self.A.T + e[:, :, t] @ self.B.T
            path.append(x)
        return torch.stack(path, dim=2)

    def forward(self, z: Tensor, cond: Tensor, *, periodic: Axes = OPEN) -> Tensor:
        """(B, D, T, 1, 1), (B, K, T, H, W) -> (B, C, T, H, W)."""
        x = self.states(z[:, : self.n_states, :, 0, 0])
        return self.decode(x, z[:, self.n_states :], cond, periodic=periodic)

    def decode(self, x: Tensor, noise: Tensor, cond: Tensor, *, periodic: Axes = OPEN) -> Tensor:
        """States (B, n, T) and white noise (B, d*h*w, T, 1, 1) -> frames (B, C, T, H, W)."""
        batch, n, n_frames = x.shape
        linear = torch.einsum("bnt,nchw->bcthw", x, self.C)
        y = self.mean[:, None] + linear

        state = x.view(batch, n, n_frames, 1, 1)
        if cond.shape[1]:
            state = torch.cat((state, F.adaptive_avg_pool3d(cond, (n_frames, 1, 1))), dim=1)
        h = self.unfold(y, periodic) + self.from_state(state, periodic)
        grid = noise.view(batch, *self.config.noise, n_frames).movedim(-1, 2)  # (B, d, T, h, w)
        h = h + self.from_noise(F.interpolate(grid, size=h.shape[2:], mode="nearest"))
        for block in self.blocks:
            h = h + block(F.silu(h), periodic)
        residual: Tensor = self.to_pixels(F.silu(h), periodic)
        return y + residual
