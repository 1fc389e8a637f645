"""What a clip or a model is, and what training on a clip would cost on this machine."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from dyntex.clip import Clip
from dyntex.conditions import Labels, from_json
from dyntex.coopnets.checkpoint import MODEL
from dyntex.coopnets.presets import FAST, PRESETS, preset
from dyntex.coopnets.segments import Segments
from dyntex.dataclass_json import to_json
from dyntex.experiment.checks import check_numbers
from dyntex.experiment.estimate import estimate
from dyntex.experiment.progress import SILENT, Progress
from dyntex.experiment.segments import verdict
from dyntex.experiment.session import SCHEMA_VERSION
from dyntex.experiment.settings import choose_size, load_model, model_of
from dyntex.media import probe, read_clip
from dyntex.runtime import choose_device
from dyntex.textures.recommend import recommend
from dyntex.textures.stationarity import already_loops, spatial

EXAMINED = 600
"""Frames of a clip that are examined, at 64x64: 30 MB."""


def describe(
    source: str | Path,
    *,
    only: str | None = None,
    measure: bool = True,
    clip_frames: int | None = None,
    device: str = "auto",
    progress: Progress = SILENT,
) -> dict[str, Any]:
    """What a clip or a model folder is: what ``dyntex info`` prints.

    Args:
        source: a clip, as for ``synthesize``, or a model folder.
        only: measure the cost of this preset only; by default of every preset.
        measure: for a clip, measure what training on it costs, by running a few steps in processes of their own.
        clip_frames: frames to train on, for the measurement; by default each preset's.
        device: to measure on.
        progress: receives progress messages.

    Returns:
        of a clip: size, length, rate, whether it is stationary in space, whether it loops, ``recommended``, the method
        expected to be best and the numbers it goes by, and ``cost``, a row for each preset (seconds, MiB); of a model:
        its preset, iterations, shape, condition and numbers of parameters.

    Raises:
        InputError: the clip or the model cannot be read.
        UsageError: there is no such preset.
    """
    check_numbers(positive={"--clip-frames": clip_frames})
    source = str(source)
    if os.path.isfile(model_of(Path(source)) / MODEL):
        about = _model(Path(source))
    else:
        about = _clip(source)
        if measure:
            about["cost"] = _cost(source, only, clip_frames, device, progress)
    return {"schema_version": SCHEMA_VERSION, "source": source, **about}


def _clip(source: str) -> dict[str, Any]:
    about = asdict(probe(source))
    about["fps"] = None if about["fps"] is None else float(about["fps"])
    about["pixel_aspect"] = float(about["pixel_aspect"])
    return about | _kind(source, about["n_frames"])


def _kind(source: str, n_frames: int | None) -> dict[str, Any]:
    """Whether the clip is stationary in space and whether it loops already, from at most ``EXAMINED`` frames.

    Of a longer source the beginning is examined, and whether it loops is not known.
    """
    if n_frames == 1:
        return {}
    clip = read_clip(source, size=64, n_frames=EXAMINED)
    found = spatial(clip)
    whole = n_frames is not None and n_frames <= EXAMINED
    return {
        "stationary_in_space": found.is_stationary,
        "spatial": {key: round(value, 2) for key, value in asdict(found).items()},
        "loops_already": already_loops(clip) if whole else None,
        "recommended": _recommended(clip),
    }


def _recommended(clip: Clip) -> dict[str, Any]:
    """The method that is expected to be best, and the numbers it goes by, from the frames that would be learnt."""
    found = recommend(clip.segment(0, min(clip.n_frames, FAST.data.n_frames)))
    return {key: round(value, 2) if isinstance(value, float) else value for key, value in asdict(found).items()}


def _model(folder: Path) -> dict[str, Any]:
    model = load_model(folder, device=torch.device("cpu"))
    if isinstance(model, Segments):
        return _segments(model)
    channels, n_frames, height, width = model.shape
    return {
        "kind": "model",
        "preset": model.config.preset,
        "iterations": model.iterations,
        "channels": channels,
        "n_frames": n_frames,
        "height": height,
        "width": width,
        "fps": float(model.fps),
        **_condition(model.condition),
        "parameters": {
            "descriptor": sum(p.numel() for p in model.des.parameters()),
            "generator": sum(p.numel() for p in model.gen.parameters()),
        },
    }


def _segments(model: Segments) -> dict[str, Any]:
    channels, n_frames, height, width = model.shape
    return {
        "kind": "model",
        "method": "segments",
        "generator": model.kind,
        "candidates": [to_json(candidate) for candidate in model.candidates],
        "taken": model.taken,
        "decision": verdict(model),
        "channels": channels,
        "n_frames": n_frames,
        "height": height,
        "width": width,
        "fps": float(model.fps),
        "condition": None,
        "parameters": {"generator": model.n_parameters},
    }


def _condition(data: Any) -> dict[str, Any]:
    """The kind of condition that a model was trained with, and its labels."""
    if data is None:
        return {"condition": None}
    condition = from_json(data)
    return {"condition": condition.kind} | ({"labels": condition.names} if isinstance(condition, Labels) else {})


def _cost(
    source: str, only: str | None, clip_frames: int | None, device: str, progress: Progress
) -> list[dict[str, Any]]:
    presets = PRESETS.values() if only is None else [preset(only)]
    chosen = choose_device(device)
    about = probe(source)
    rows = []
    for config in presets:
        height, width = choose_size(source, config)
        n_frames = min(clip_frames or config.data.n_frames, about.n_frames or config.data.n_frames)
        if n_frames < config.least_frames:
            rows.append({"preset": config.preset, "problem": f"the clip has {n_frames} frames"})
            continue
        progress.say(f"measuring a step of {config.preset} at {width}x{height}")
        cost = estimate(config, (3, n_frames, height, width), device=chosen)
        row: dict[str, Any] = {"preset": config.preset, "size": [height, width], "n_frames": n_frames}
        if cost.problem:
            row["problem"] = cost.problem
        else:
            row |= {
                "seconds_per_iteration": round(cost.seconds, 3),
                "iterations": config.optimisation.iterations,
                "training_seconds": round(cost.seconds * config.optimisation.iterations, 1),
                "peak_rss_mb": round(cost.peak_bytes / 2**20, 1),
            }
        rows.append(row)
    return rows
