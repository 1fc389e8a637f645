"""What a command works with: the settings from a preset or a file, the size for a source, a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dyntex.cli.options import MIN_SIDE, check_numbers
from dyntex.errors import InputError, UsageError

if TYPE_CHECKING:
    import torch

    from dyntex.coopnets.config import CoopConfig
    from dyntex.coopnets.model import CoopNets

DEFAULT_PRESET = "fast"


def choose_config(
    name: str | None,
    *,
    size: tuple[int, int] | None,
    iterations: int | None,
    budget: float | None,
    clip_frames: int | None = None,
    file: Path | None = None,
) -> CoopConfig:
    """The preset, or the file's settings, with the command's changes."""
    from dataclasses import replace

    from dyntex.coopnets.presets import preset

    check_numbers(positive={"--iterations": iterations, "--budget": budget})
    if iterations is not None and budget is not None:
        raise UsageError(f"--iterations {iterations} and --budget {budget:g} exclude each other: give one of them")
    if name is not None and file is not None:
        raise UsageError(f"--preset {name} and --config {file} exclude each other: name the preset in the file")
    config = preset(name or DEFAULT_PRESET) if file is None else load_config(file)
    if size is not None and config.fixed_size and size != (config.size, config.size):
        raise UsageError(
            f"--size {size[0]}x{size[1]} cannot be made by preset {config.preset!r}, which makes "
            f"{config.size}x{config.size}: choose that size, or preset 'fast'"
        )
    if size is not None and any(side % config.multiple for side in size):
        near = "x".join(str(max(1, round(side / config.multiple)) * config.multiple) for side in size)
        raise UsageError(
            f"--size {size[0]}x{size[1]} cannot be made by preset {config.preset!r}, whose sides are multiples "
            f"of {config.multiple}: choose {near}"
        )
    least = config.least_frames
    if clip_frames is not None and clip_frames < least:
        raise UsageError(f"--clip-frames {clip_frames} is too few for preset {config.preset!r}: give at least {least}")
    return config if iterations is None else replace(config, iterations=iterations)


def load_config(path: Path) -> CoopConfig:
    """Settings from a JSON file: a whole config, changes to the preset that it names, or a model's ``config.json``.

    Raises:
        UsageError: it cannot be read, or holds an unknown key or a value that cannot be.
    """
    from dyntex.coopnets.checkpoint import load_json
    from dyntex.coopnets.config import from_json, to_json
    from dyntex.coopnets.presets import PRESETS

    try:
        data = load_json(path)
    except InputError as error:
        raise UsageError(f"--config: {error}") from error
    if isinstance(data, dict) and "config" in data:
        data = data["config"]
    if isinstance(data, dict) and data.get("preset") in PRESETS:
        data = to_json(PRESETS[data["preset"]]) | data
    config: CoopConfig = from_json(data, where=str(path))
    for key in ("size", "multiple", "n_frames", "min_frames", "n_chains", "iterations"):
        if getattr(config, key) < 1:
            raise UsageError(f"{path}.{key} is {getattr(config, key)}: give 1 or more")
    return config


def load_model(folder: Path, *, device: torch.device) -> CoopNets:
    """A model folder, which is an input: whatever is wrong with it is the input's fault.

    Raises:
        InputError: it is no model, or its files are damaged or do not belong together.
    """
    from dyntex.coopnets.model import CoopNets

    if not os.path.isdir(folder):
        raise InputError(f"{folder} is no model folder: give one that train or synthesize saved")
    try:
        return CoopNets.load(folder, device=device)
    except UsageError as error:
        raise InputError(f"{error}: the model was made by another version or changed by hand") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}/config.json is damaged ({type(error).__name__}: {error}): train again") from error


def choose_size(source: str, config: CoopConfig) -> tuple[int, int]:
    """The size to learn at when none was asked for: the preset's, or less where the source itself is smaller."""
    from dyntex.media import probe

    if source.startswith("example:"):  # drawn at any size
        return config.size, config.size
    about = probe(source)
    side = min(about.height, about.width)
    if not config.fixed_size:
        side = max(config.multiple, min(config.size, side // config.multiple * config.multiple))
        return side, side
    return config.size, config.size


def check_source(source: str) -> None:
    """Refuse, before anything is decoded, a source that is not there or too small to show a texture."""
    from dyntex.media import probe

    if source.startswith("example:"):
        return
    about = probe(source)
    if min(about.height, about.width) < MIN_SIDE:
        raise InputError(
            f"{source} has {about.width}x{about.height} pixels, and the shorter side needs {MIN_SIDE}: "
            "take a larger clip"
        )
