"""Sheets of samples: what is where."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import torch

from dyntex.benchmarks.report.sheet import frames_of, write_sheet
from dyntex.clip import Clip


def test_frames_stand_in_their_row_and_column_and_the_rest_is_white(tmp_path: Path):
    black, grey, red = torch.full((1, 4, 6), -1.0), torch.zeros(1, 4, 6), torch.tensor([1.0, -1.0, -1.0])
    rows = [[black, grey], [red.view(3, 1, 1).expand(3, 4, 6)]]
    write_sheet(tmp_path / "a.png", rows, zoom=3)
    pixels = np.array(PIL.Image.open(tmp_path / "a.png"))
    assert pixels.shape == (3 * 2 * 6, 3 * 2 * 8, 3)  # a white pixel around each
    tiles = pixels[::3, ::3].reshape(2, 6, 2, 8, 3).swapaxes(1, 2)
    for tile, colour in ((tiles[0, 0], (0, 0, 0)), (tiles[0, 1], (128, 128, 128)), (tiles[1, 0], (255, 0, 0))):
        assert (tile[1:-1, 1:-1] == colour).all()
        assert (tile[0] == 255).all()
        assert (tile[:, -1] == 255).all()
    assert (tiles[1, 1] == 255).all()
    assert (pixels[:3, :3] == pixels[0, 0]).all()


def test_frames_are_evenly_spaced_with_both_ends():
    clip = Clip(torch.linspace(-1, 1, 9).view(1, 9, 1, 1).expand(3, 9, 2, 2).contiguous(), Fraction(25))
    assert [float(frame[0, 0, 0]) for frame in frames_of(clip, 3)] == [-1.0, 0.0, 1.0]
    assert len(frames_of(clip, 20)) == 9
