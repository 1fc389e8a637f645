"""Pictures of many samples at once, for the eye."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip
from dyntex.media import write_png


def write_sheet(path: Path, rows: Sequence[Sequence[Tensor]], *, zoom: int = 2) -> None:
    """Write frames side by side, and row under row, on white.

    Args:
        path: of the .png.
        rows: of frames (C, H, W) in [-1, 1], all of one size, of one colour or three.
        zoom: how large a pixel is shown.
    """
    width = max(map(len, rows))
    lines = []
    for row in rows:
        tiles = [F.pad(frame.expand(3, -1, -1), (1, 1, 1, 1), value=1.0) for frame in row]
        tiles += [torch.ones_like(tiles[0])] * (width - len(tiles))
        lines.append(torch.cat(tiles, dim=2))
    levels = torch.cat(lines, dim=1).clamp(-1.0, 1.0).add(1.0).mul(127.5).round().to(torch.uint8)
    pixels = levels.repeat_interleave(zoom, 1).repeat_interleave(zoom, 2).permute(1, 2, 0)
    write_png(path, pixels.numpy(), overwrite=True)


def frames_of(clip: Clip, n: int) -> list[Tensor]:
    """``n`` evenly spaced frames of a clip, the first and the last among them; all of one that has fewer."""
    chosen = torch.linspace(0, clip.n_frames - 1, min(n, clip.n_frames)).round().long()
    return list(clip.video[:, chosen].unbind(1))
