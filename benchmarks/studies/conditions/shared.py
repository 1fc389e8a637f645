"""What the parts of the study share: models that are trained once and kept, and what is found of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dyntex.benchmarks.cpu_budget import CpuBudget
from dyntex.benchmarks.model_cache import trained
from dyntex.benchmarks.report.sheet import frames_of, write_sheet
from dyntex.clip import Clip
from dyntex.conditions import Condition, to_json
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets

TableData = tuple[list[str], list[list[str]]]
"""Header and rows."""


@dataclass(frozen=True)
class Setup:
    """Where a part of the study lies, and how much it may cost.

    Attributes:
        folder: of its models and its picture.
        seconds: of the processor, for each model.
        size: side of the clips' frames.
        window: frames of a sample.
        n_samples: of each model for each condition.
        quick: whether a small part of everything will do, to see that it runs.
        seed: of all randomness.
    """

    folder: Path
    seconds: float = 600.0
    size: int = 32
    window: int = 16
    n_samples: int = 4
    quick: bool = False
    seed: int = 0

    def rng(self, offset: int = 0) -> torch.Generator:
        return torch.Generator().manual_seed(1000 * self.seed + offset)


@dataclass(frozen=True)
class Found:
    """What a study found.

    Attributes:
        title, about: what was asked, and how; Markdown.
        tables: by heading.
        notes: numbers in words.
    """

    title: str
    about: str
    tables: dict[str, TableData]
    notes: list[str]


def trained_model(
    folder: Path,
    clips: Sequence[Clip],
    config: CoopConfig,
    *,
    setup: Setup,
    cond: Tensor | None = None,
    condition: Condition | None = None,
    share: float = 1.0,
) -> CoopNets:
    """The model in a folder, or one that is trained now, for a share of the seconds, and kept there."""
    seconds = share * setup.seconds
    learned = hashlib.sha256()
    for tensor in (*(clip.video for clip in clips), *([] if cond is None else [cond])):
        learned.update(tensor.contiguous().numpy().tobytes())

    def train() -> CoopNets:
        return CoopNets.fit(
            clips,
            config,
            rng=setup.rng(),
            cond=cond,
            condition=None if condition is None else to_json(condition),
            progress=CpuBudget(seconds).share,
        )

    settings = {"config": config, "seconds": seconds, "seed": setup.seed, "learned": learned.hexdigest()}
    model, _ = trained(folder, settings, train)
    return model


def write_clips(path: Path, rows: Sequence[Sequence[Clip]], *, n_frames: int = 4) -> None:
    """A sheet of clips side by side, each as a few of its frames."""
    write_sheet(path, [[frame for clip in row for frame in frames_of(clip, n_frames)] for row in rows])
