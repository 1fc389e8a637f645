"""Fixtures that every test file shares."""

from __future__ import annotations

import os
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
