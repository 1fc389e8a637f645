"""What the studies of the conditions share: models that are taught once and kept, and what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.clock import Clock
from dyntex.clip import Clip
from dyntex.conditions import Condition, to_json
from dyntex.coopnets.checkpoint import CONFIG, load_json, save_json
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.errors import UsageError
from dyntex.media import write_png

Table = tuple[list[str], list[list[str]]]
"""Header and rows."""

SETTINGS = "settings.json"
FOUND = "found.json"


@dataclass(frozen=True)
class Effort:
    """How much a study may cost.

    Attributes:
        folder: what is finished is kept in it and not done again.
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

    def settings(self) -> dict[str, Any]:
        return {k: getattr(self, k) for k in ("seconds", "size", "window", "n_samples", "quick", "seed")}


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
    tables: dict[str, Table]
    notes: list[str]


def open_folder(effort: Effort) -> None:
    """Make the folder, or take up one that was begun with the same settings.

    Raises:
        UsageError: it was begun with others.
    """
    effort.folder.mkdir(parents=True, exist_ok=True)
    place = effort.folder / SETTINGS
    if place.exists() and load_json(place) != effort.settings():
        raise UsageError(f"{effort.folder} holds results with other settings ({load_json(place)}): name another folder")
    save_json(place, effort.settings())


def recall(folder: Path) -> Found | None:
    """What a study found earlier, or None."""
    if not (folder / FOUND).exists():
        return None
    data = load_json(folder / FOUND)
    tables = {name: (header, rows) for name, (header, rows) in data["tables"].items()}
    return Found(data["title"], data["about"], tables, data["notes"])


def keep(folder: Path, found: Found) -> None:
    folder.mkdir(exist_ok=True)
    save_json(folder / FOUND, vars(found))


def taught(
    folder: Path,
    clips: Sequence[Clip],
    config: CoopConfig,
    *,
    effort: Effort,
    cond: Tensor | None = None,
    condition: Condition | None = None,
    share: float = 1.0,
) -> CoopNets:
    """The model in a folder, or one that is taught now, for a share of the seconds, and kept there."""
    if (folder / CONFIG).exists():
        return CoopNets.load(folder)
    model = CoopNets.fit(
        clips,
        config,
        rng=effort.rng(),
        cond=cond,
        condition=None if condition is None else to_json(condition),
        progress=Clock(share * effort.seconds).share,
    )
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder)
    return model


def write_sheet(path: Path, rows: Sequence[Sequence[Clip]], *, n_columns: int = 4, zoom: int = 2) -> None:
    """Clips side by side, each as a few of its frames; rows are padded with white."""
    lines = []
    for row in rows:
        tiles = []
        for clip in row:
            chosen = np.linspace(0, clip.n_frames - 1, min(n_columns, clip.n_frames)).round().astype(int)
            frames = clip.to_uint8()[chosen]
            tiles.append(np.concatenate([*frames.repeat(3 // frames.shape[3], axis=3)], axis=1))
        lines.append(np.concatenate([np.pad(t, ((1, 1), (1, 3), (0, 0)), constant_values=255) for t in tiles], axis=1))
    width = max(line.shape[1] for line in lines)
    padded = [np.pad(li, ((0, 0), (0, width - li.shape[1]), (0, 0)), constant_values=255) for li in lines]
    image = np.concatenate(padded).repeat(zoom, axis=0).repeat(zoom, axis=1)
    write_png(path, image, overwrite=True)
