"""The settings of a training: a preset or a file, with changes; the frame size for a source; a saved model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from dyntex.coopnets.checkpoint import CONFIG, load_json
from dyntex.coopnets.config import GROUPS, CoopConfig, from_json, to_json
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import PRESETS, preset
from dyntex.coopnets.segments import Segments
from dyntex.errors import InputError, UsageError
from dyntex.experiment.checks import MIN_SIDE, check_numbers, only_one
from dyntex.media import probe

DEFAULT_PRESET = "fast"

MODEL_FOLDER = "model"
"""Where a run folder holds its model."""
POSITIVE = (
    ("data", "size"),
    ("data", "multiple"),
    ("data", "n_frames"),
    ("data", "min_frames"),
    ("sampling", "n_chains"),
    ("optimisation", "iterations"),
)
"""Settings of a config file that have to be 1 or more."""


def choose_config(
    name: str | None,
    *,
    size: tuple[int, int] | None,
    iterations: int | None,
    budget: float | None,
    clip_frames: int | None = None,
    config: CoopConfig | str | Path | None = None,
) -> CoopConfig:
    """A preset, or the settings of a file, with changes.

    Args:
        name: the preset's; by default ``"fast"``, or what the file names.
        size: (height, width) of the frames, which is checked against what the preset makes.
        iterations: how many to train for, in place of the preset's.
        budget: seconds, which are not part of the settings; no ``iterations`` beside them.
        clip_frames: frames to learn from, which are checked against what the preset needs.
        config: settings, or a JSON file of them, as :func:`load_config` reads it, in place of a preset.

    Raises:
        UsageError: a value is out of range, two exclude each other, or the preset cannot make that size.
    """
    check_numbers(positive={"--iterations": iterations, "--budget": budget})
    only_one({"--iterations": iterations, "--budget": budget})
    if name is not None and config is not None:
        raise UsageError(f"use only one of --preset {name} and --config {config}: the file can name the preset")
    if config is None:
        config = preset(name or DEFAULT_PRESET)
    elif isinstance(config, str | Path):
        config = load_config(Path(config))
    if size is not None and config.data.fixed_size and size != (config.data.size, config.data.size):
        raise UsageError(
            f"preset {config.preset!r} makes frames of {config.data.size}x{config.data.size}, not "
            f"--size {size[0]}x{size[1]}: choose that size, or preset 'fast'"
        )
    if size is not None and any(side % config.data.multiple for side in size):
        near = "x".join(str(max(1, round(side / config.data.multiple)) * config.data.multiple) for side in size)
        raise UsageError(
            f"preset {config.preset!r} makes frames whose sides are multiples of {config.data.multiple}, not "
            f"--size {size[0]}x{size[1]}: choose {near}"
        )
    least = config.least_frames
    if clip_frames is not None and clip_frames < least:
        raise UsageError(f"--clip-frames {clip_frames} is too few for preset {config.preset!r}: give at least {least}")
    return config if iterations is None else config.replaced(iterations=iterations)


def load_config(path: Path) -> CoopConfig:
    """Settings from a JSON file: a whole config, changes to the preset that it names, or a model's ``config.json``.

    Raises:
        UsageError: it cannot be read, or holds an unknown key or a value that cannot be.
    """
    try:
        data = load_json(path)
    except InputError as error:
        raise UsageError(f"--config: {error}") from error
    if isinstance(data, dict) and "config" in data:
        data = data["config"]
    if isinstance(data, dict) and data.get("preset") in PRESETS:
        data = merged(to_json(PRESETS[data["preset"]]), data)
    config: CoopConfig = from_json(data, where=str(path))
    for group, key in POSITIVE:
        value = getattr(getattr(config, group), key)
        if value < 1:
            raise UsageError(f"{path}.{group}.{key} is {value}: give 1 or more")
    return config


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """``base`` with changes: a group of settings keeps those that are not changed, anything else is taken whole."""
    kept = {key: base[key] for key in GROUPS if isinstance(changes.get(key), dict)}
    return base | changes | {key: value | changes[key] for key, value in kept.items()}


def model_of(folder: Path) -> Path:
    """The model folder inside a run folder, or the folder itself."""
    inside = folder / MODEL_FOLDER
    return inside if os.path.isfile(inside / CONFIG) else folder  # False, not an error, for names that are too long


def load_model(folder: Path, *, device: torch.device) -> CoopNets | Segments:
    """The model that a folder holds, as ``save`` wrote it.

    Raises:
        InputError: the folder holds no model, or its files are damaged or do not belong together.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{folder} is not a model folder: give one that train or synthesize saved")
    folder = model_of(folder)
    try:
        about = load_json(folder / CONFIG)
        if isinstance(about, dict) and about.get("method") == "segments":
            return Segments.load(folder)
        return CoopNets.load(folder, device=device)
    except UsageError as error:
        raise InputError(f"{error}: the model was made by another version or changed by hand") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}/config.json is damaged ({type(error).__name__}: {error}): train again") from error


def choose_size(source: str, config: CoopConfig) -> tuple[int, int]:
    """(height, width) to learn at by default: the preset's, or less where the source itself is smaller."""
    if source.startswith("example:"):  # drawn at any size
        return config.data.size, config.data.size
    about = probe(source)
    side = min(about.height, about.width)
    if not config.data.fixed_size:
        side = max(config.data.multiple, min(config.data.size, side // config.data.multiple * config.data.multiple))
        return side, side
    return config.data.size, config.data.size


def check_source(source: str) -> None:
    """Refuse, before anything is decoded, a source that is missing or too small to show a texture.

    Raises:
        InputError: it is.
    """
    if source.startswith("example:"):
        return
    about = probe(source)
    if min(about.height, about.width) < MIN_SIDE:
        raise InputError(
            f"{source} has {about.width}x{about.height} pixels; the shorter side needs at least {MIN_SIDE}: "
            "use a larger clip"
        )
