"""A result of the page in every format, with its settings, and nothing left beside it."""

from __future__ import annotations

import zipfile
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from dyntex.clip import Clip
from dyntex.media import probe, read_clip, write_clip
from dyntex.media.formats import FORMATS
from dyntex.ui.formats import CHUNK, convert_file, grid_for


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: torch.Generator) -> Clip:
    monkeypatch.chdir(tmp_path)
    n_frames = CHUNK + 6  # two pieces
    clip = Clip(torch.rand((3, n_frames, 16, 24), generator=rng) * 2 - 1, Fraction(25))
    write_clip("result.mkv", clip, metadata={"comment": "how it was made"})
    return clip


@pytest.mark.parametrize("ending", [ending for ending in FORMATS if ending not in (".mkv", ".png", "")])
def test_every_format_has_all_frames(master: Clip, ending: str) -> None:
    name = convert_file("result.mkv", ending)
    assert name == f"output{ending}"
    found = read_clip(name)
    assert found.video.shape == master.video.shape
    if FORMATS[ending].lossless:
        # Rounded to ten bits and from there to eight, a level may become the next one.
        levels = (found.video - master.video).abs() * 127.5
        assert levels.max() < 1.0
        assert levels.mean() < 0.3  # of one rounding it is a quarter
    if ending in (".mp4", ".webm", ".mov"):
        assert "how it was made" in str(probe(name).metadata)
    assert sorted(path.name for path in Path().iterdir()) == sorted(["result.mkv", name])


def test_frames_and_sprite_sheets_come_in_one_file(master: Clip) -> None:
    with zipfile.ZipFile(convert_file("result.mkv", "")) as packed:
        assert sum(name.endswith(".png") for name in packed.namelist()) == master.n_frames
    with zipfile.ZipFile(convert_file("result.mkv", ".png")) as packed:
        assert sorted(packed.namelist()) == ["output.json", "output.png"]
    assert sorted(path.name for path in Path().iterdir()) == ["output.zip", "result.mkv"]


@pytest.mark.parametrize(("n", "grid"), [(64, (8, 8)), (70, (7, 10)), (13, (1, 13)), (1, (1, 1)), (12, (3, 4))])
def test_a_grid_holds_all_frames_and_is_nearly_square(n: int, grid: tuple[int, int]) -> None:
    assert grid_for(n) == grid
