"""The page of larger frames: what is scored is what the page says."""

from __future__ import annotations

import statistics
from pathlib import Path

import numpy as np
import pytest
import torch

from dyntex.benchmarks.data import find_clips, split_clip
from dyntex.benchmarks.report.markdown import render
from dyntex.benchmarks.studies.tiles import Tiles, measure, page
from dyntex.benchmarks.study import run
from dyntex.errors import InputError


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 frames of 32x32 that drift and change, alike all over."""
    rng = np.random.default_rng(0)
    state, frames = rng.normal(size=(32, 32, 3)), []
    for _ in range(48):
        state = 0.8 * np.roll(state, 1, axis=1) + 0.6 * rng.normal(size=state.shape)
        frames.append(state)
    path = tmp_path_factory.mktemp("tiles") / "noise.npy"
    np.save(path, (128 + 25 * np.stack(frames)).clip(0, 255).astype(np.uint8))
    return path


def test_parts_of_a_larger_frame_are_of_the_law_of_a_tile(noise: Path):
    split = split_clip(find_clips([str(noise)])[0], size=32, n_frames=24)
    found = measure(split, grown=2, n_parts=3, iterations=1)
    assert len(set(found["parts"])) == 3  # of different places
    # Of noise that is stationary in space nothing is in its place: parts and tiles are equally far. Frames are a little
    # nearer, because what 24 frames happened to show is learned with its place.
    parts = statistics.geometric_mean(found["parts"])
    assert parts == pytest.approx(found["tile"], rel=0.15)
    assert 0.6 * parts < found["placed"] < 1.1 * parts
    assert list(found["seams"]) == ["t", "y", "x"]
    assert all(0 <= p <= 100 for pair in found["seams"].values() for p in pair)


def test_the_page_tells_means_and_ratios():
    seams = {"t": (10.0, 20.0), "y": (30.0, 40.0), "x": (50.0, 60.0)}
    row = {"clip": "noise", "placed": 1.5, "tile": 2.0, "parts": [1.0, 4.0], "real": 1.75, "seams": seams}
    text = render(page([row], {"size": 32, "grown": 3, "parts": 2, "iterations": 1}, command="dyntex"))
    assert "| noise | 1.50 | 2.00 | 2.00 (1.00 to 4.00) | 1.00 | 1.75 |" in text
    assert "| noise | 10 / 20 | 30 / 40 | 50 / 60 |" in text
    assert "| parts of 96x96 |" in text
    assert "Made by `dyntex`" in text


def test_what_is_not_alike_has_no_page(tmp_path: Path):
    video = torch.full((32, 32, 32, 3), 128, dtype=torch.uint8).numpy().copy()
    video[:, :8] = np.random.default_rng(0).integers(0, 255, (32, 8, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "half.npy", video)
    study = Tiles(tuple(find_clips([str(tmp_path / "half.npy")])), size=32, frames=16, grown=2, parts=1, iterations=1)
    with pytest.raises(InputError, match="needs a texture that is stationary in space"):
        run(study, tmp_path / "out")
