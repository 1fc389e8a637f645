"""``dyntex info``: what a clip or a model is, and what learning it would cost here."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from dyntex.cli import choices, options

LOOKED_AT = 600
"""Frames, at 64x64: 30 MB."""


def info(
    source: Annotated[
        str, typer.Argument(help="A clip (as for synthesize) or a model folder.", metavar="SOURCE|MODEL")
    ],
    preset: Annotated[str | None, typer.Option(help="Measure the cost of this preset only.")] = None,
    measure: Annotated[bool, typer.Option(help="Measure the cost of training, by running a few steps.")] = True,
    clip_frames: options.ClipFrames = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Say what SOURCE is; for a clip, also the memory and time that learning it takes on this machine."""
    options.check_numbers(positive={"--clip-frames": clip_frames})
    if os.path.isfile(Path(source) / "model.safetensors"):
        about = _model(Path(source))
    else:
        about = _clip(source)
        if measure:
            about["cost"] = _cost(source, preset, clip_frames, device, quiet=quiet)
    about = {"schema_version": options.SCHEMA_VERSION, "source": source, **about}
    if as_json:
        options.print_json(about)
    else:
        _show(about)


def _clip(source: str) -> dict[str, Any]:
    from dyntex.media import probe

    about = asdict(probe(source))
    about["fps"] = None if about["fps"] is None else float(about["fps"])
    return about | _kind(source, about["n_frames"])


def _kind(source: str, n_frames: int | None) -> dict[str, Any]:
    """Whether the clip is stationary in space and whether it loops already, from at most ``LOOKED_AT`` frames.

    A longer source is looked at from its beginning, and whether its far end leads there is not said.
    """
    from dyntex.media import read_clip
    from dyntex.textures.stationarity import already_loops, spatial

    if n_frames == 1:
        return {}
    clip = read_clip(source, size=64, n_frames=LOOKED_AT)
    found = spatial(clip)
    whole = n_frames is not None and n_frames <= LOOKED_AT
    return {
        "stationary_in_space": found.is_stationary,
        "spatial": {key: round(value, 2) for key, value in asdict(found).items()},
        "loops_already": already_loops(clip) if whole else None,
    }


def _model(folder: Path) -> dict[str, Any]:
    import torch

    model = choices.load_model(folder, device=torch.device("cpu"))
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


def _condition(data: Any) -> dict[str, Any]:
    """What a model has to be told, and which labels it knows."""
    from dyntex.conditions import Labels, from_json

    if data is None:
        return {"condition": None}
    condition = from_json(data)
    return {"condition": condition.kind} | ({"labels": condition.names} if isinstance(condition, Labels) else {})


def _cost(source: str, only: str | None, clip_frames: int | None, device: str, *, quiet: bool) -> list[dict[str, Any]]:
    from dyntex.cli.progress import Teller
    from dyntex.coopnets.presets import PRESETS, preset
    from dyntex.experiment.estimate import estimate
    from dyntex.media import probe

    presets = PRESETS.values() if only is None else [preset(only)]
    chosen = options.choose_device(device)
    teller = Teller(quiet=quiet)
    about = probe(source)
    rows = []
    for config in presets:
        height, width = choices.choose_size(source, config)
        n_frames = min(clip_frames or config.n_frames, about.n_frames or config.n_frames)
        if n_frames < config.least_frames:
            rows.append({"preset": config.preset, "problem": f"the clip has {n_frames} frames"})
            continue
        teller.say(f"measuring a step of {config.preset} at {width}x{height}")
        cost = estimate(config, (3, n_frames, height, width), device=chosen)
        row: dict[str, Any] = {"preset": config.preset, "size": [height, width], "n_frames": n_frames}
        if cost.problem:
            row["problem"] = cost.problem
        else:
            row |= {
                "seconds_per_iteration": round(cost.seconds, 3),
                "iterations": config.iterations,
                "training_seconds": round(cost.seconds * config.iterations, 1),
                "peak_rss_mb": round(cost.peak_bytes / 2**20, 1),
            }
        rows.append(row)
    return rows


def _show(about: dict[str, Any]) -> None:
    for key, value in about.items():
        if key == "spatial":
            print(
                "parts of the frame: motion differs by a factor of {motion}, swing {swing}, detail {detail}; "
                "brightness by {brightness} standard deviations".format(**value)
            )
        elif key not in ("cost", "schema_version") and value not in ("", None, {}):
            print(f"{key.replace('_', ' ')}: {', '.join(value) if isinstance(value, tuple) else value}")
    for row in about.get("cost", []):
        if "problem" in row:
            print(f"{row['preset']:12} cannot: {row['problem']}")
        else:
            print(
                f"{row['preset']:12} {row['iterations']} iterations of {row['seconds_per_iteration']:.2f} s: "
                f"{_duration(row['training_seconds'])}, {row['peak_rss_mb'] / 1024:.1f} GiB"
            )


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
