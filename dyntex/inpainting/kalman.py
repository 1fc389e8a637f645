"""Missing pixels by a linear dynamical system: the Kalman smoother estimates them from the pixels that are there.

x_{t+1} = A x_t + B e_t, y_t = C x_t + mean (Doretto et al. 2003). Frames with holes are frames with fewer measurements.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dyntex.inpainting.interpolation import interpolate
from dyntex.textures.linear import LinearLaw, fit_law

MAX_STATES = 5
"""More fit a short clip with holes better and fill it worse (docs/results/recovery.md)."""


def smooth(y: Tensor, missing: Tensor, *, n_rounds: int = 2) -> Tensor:
    """Fill by interpolation, then again and again fit the system to the filled clip and fill from its smoother.

    That is the expectation-maximisation of Shumway and Stoffer (1982) with the fit of Doretto et al. in place of the
    maximisation, without the states' posterior covariance.

    Args:
        y: (C, T, H, W); what it holds at missing pixels is not looked at.
        missing: (T, H, W), bool.
        n_rounds: fits.

    Returns:
        (C, T, H, W), not clamped; seen pixels as they are.
    """
    filled = interpolate(y, missing)
    T = y.shape[1]
    n = min(MAX_STATES, T // 3)
    if n < 1:
        return filled
    seen = (~missing).expand_as(y).transpose(0, 1).flatten(1)  # (T, D)
    for _ in range(n_rounds):
        frames = filled.transpose(0, 1).flatten(1)  # (T, D)
        mean = frames.mean(0)
        U, s, Vh = torch.linalg.svd(frames - mean, full_matrices=False)
        X, C = (U[:, :n] * s[:n]).double(), Vh[:n].mT  # (T, n), (D, n)
        residual = (frames - mean - X.float() @ C.mT)[seen]
        variance = float(residual.double().square().mean()) + 1e-6
        states = smoothed_states(fit_law(X.mT), C, frames - mean, seen, variance=variance, start=X.mT @ X / T)
        estimate = (states.float() @ C.mT + mean).view(T, *y[:, 0].shape).transpose(0, 1)
        filled = torch.where(missing, estimate, y)
    return filled


def smoothed_states(
    law: LinearLaw, C: Tensor, frames: Tensor, seen: Tensor, *, variance: float, start: Tensor
) -> Tensor:
    """The expected states given all that is seen, (T, n): Kalman's filter forwards, Rauch-Tung-Striebel backwards.

    Args:
        law: of the states.
        C: (D, n), the states' pictures.
        frames: (T, D), less their mean.
        seen: (T, D), bool.
        variance: of each pixel's noise.
        start: (n, n), the covariance of the first state, whose mean is 0.
    """
    A, Q = law.A, law.B @ law.B.mT
    eye = torch.eye(len(A), dtype=A.dtype)
    x, P = A.new_zeros(len(A)), start
    ahead: list[tuple[Tensor, Tensor]] = []  # what was foretold of each frame
    filtered: list[tuple[Tensor, Tensor]] = []
    for frame, known in zip(frames, seen, strict=True):
        C_seen = C[known]
        ahead.append((x, P))
        # In information form: n x n, however many pixels are seen.
        information = (C_seen.mT @ C_seen).double() / variance
        P = torch.linalg.solve(eye + P @ information, P)
        P = (P + P.mT) / 2
        x = x + P @ ((C_seen.mT @ frame[known]).double() / variance - information @ x)
        filtered.append((x, P))
        x, P = A @ x, A @ P @ A.mT + Q
    states = [filtered[-1][0]]
    for t in range(len(frames) - 2, -1, -1):
        x, P = filtered[t]
        x_ahead, P_ahead = ahead[t + 1]
        # Least squares, because a still clip's P_ahead is singular.
        G = torch.linalg.lstsq(P_ahead, A @ P, driver="gelsd").solution.mT
        states.append(x + G @ (states[-1] - x_ahead))
    return torch.stack(states[::-1])
