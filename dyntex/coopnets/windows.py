"""Windows of observed clips, one iteration's share of them."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_windows(y: Tensor, n_frames: int, n: int, *, rng: torch.Generator) -> list[int]:
    """``n`` random windows of clips (N, C, T, H, W), by number; the only one, where a clip is one window."""
    total = len(y) * (y.shape[2] - n_frames + 1)
    return [0] if total == 1 else torch.randint(total, (n,), generator=rng, device=rng.device).tolist()


def cut(x: Tensor, windows: list[int], n_frames: int) -> Tensor:
    """Those windows of the clips or of their conditions: (N, C, T, H, W) -> (n, C, n_frames, H, W)."""
    at = [divmod(window, x.shape[2] - n_frames + 1) for window in windows]
    return torch.stack([x[i, :, start : start + n_frames] for i, start in at])


def motion(y: Tensor) -> Tensor:
    """Mean absolute step from frame to frame, and a little, so that what stands still is as still as another such."""
    steps = (y[:, :, 1:] - y[:, :, :-1]).abs()
    return steps.sum() / max(1, steps.numel()) + 1e-6
