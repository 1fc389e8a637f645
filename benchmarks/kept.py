"""Trained networks that outlive a kill: what took an hour is done once, also when another task is asked for later."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.conditioned import Conditioned
from dyntex.clip import Clip
from dyntex.coopnets.checkpoint import load_json, save_json
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.errors import DyntexError

FITTED = "fitted.json"
"""Beside a model, written last: of which clip it is, and what fitting told."""


def recall(folder: Path, clip: Clip, config: CoopConfig, *, device: str) -> tuple[Conditioned, dict[str, Any]] | None:
    """The networks in a folder and what fitting them told; None unless they were fitted to this very clip and config.

    Whatever cannot be read counts as not there: fitting again puts it right.
    """
    with suppress(DyntexError):
        about = load_json(folder / FITTED)
        model = CoopNets.load(folder, device=device)
        if about.pop("clip_sha256") == _digest(clip) and model.config == config:
            return Conditioned(model), about
    return None


def keep(folder: Path, fitted: Conditioned, clip: Clip, about: dict[str, Any]) -> None:
    """Save networks with what fitting them told.

    A disk that is too full for them costs a later sweep the training, but not this one its rows.
    """
    with suppress(DyntexError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FITTED).unlink(missing_ok=True)  # a kill while saving must not leave the old word beside a new model
        fitted.model.save(folder)
        save_json(folder / FITTED, about | {"clip_sha256": _digest(clip)})


def _digest(clip: Clip) -> str:
    return hashlib.sha256(clip.video.contiguous().numpy().tobytes()).hexdigest()
