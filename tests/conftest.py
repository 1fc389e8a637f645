"""Fixtures that every test file shares."""

from __future__ import annotations

import os

# Before torch is imported here and in the commands that tests run: their tensors are tiny, and two threads that wait
# for each other on a core that something else uses take many times as long as one.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest
import torch

CLIPS = Path(os.environ.get("DYNTEX_CLIPS", Path(__file__).parents[2] / "shared" / "clips"))


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def clips_folder() -> Path:
    if not CLIPS.is_dir():
        pytest.skip(f"no folder of real clips at {CLIPS} (set DYNTEX_CLIPS)")
    return CLIPS
