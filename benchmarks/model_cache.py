"""Trained networks that outlive a kill: what took an hour is done once, also when another task is asked for later."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dyntex.benchmarks.record import load_record, save_record
from dyntex.coopnets.model import CoopNets
from dyntex.errors import DyntexError

FITTED = "fitted.json"
"""Beside a model, written last: the settings it was trained with, and what training told."""


def recall(folder: Path, settings: Mapping[str, Any], *, device: str = "cpu") -> tuple[CoopNets, dict[str, Any]] | None:
    """The networks in a folder and what training them told; None unless they were trained with these settings.

    Whatever cannot be read counts as not there: training again puts it right.
    """
    about = load_record(folder / FITTED, settings)
    if about is not None:
        with suppress(DyntexError):
            return CoopNets.load(folder, device=device), about
    return None


def keep(folder: Path, model: CoopNets, settings: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Save networks with what training them told.

    A disk that is too full for them costs a later run the training, but not this one its rows.
    """
    with suppress(DyntexError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FITTED).unlink(missing_ok=True)  # a kill while saving must not leave the old word beside a new model
        model.save(folder)
        save_record(folder / FITTED, about, settings)


def trained(
    folder: Path, settings: Mapping[str, Any], train: Callable[[], CoopNets], *, device: str = "cpu"
) -> tuple[CoopNets, dict[str, Any]]:
    """The networks in a folder, or those that ``train`` makes now, and what training them told.

    Args:
        folder: of the networks.
        settings: all that they depend on.
        train: makes them.
        device: they are on.
    """
    known = recall(folder, settings, device=device)
    if known is None:
        began = time.monotonic()
        model = train()
        known = model, {"fit_seconds": round(time.monotonic() - began, 3), "device": device}
        keep(folder, *(known[0], settings, known[1]))
    return known
