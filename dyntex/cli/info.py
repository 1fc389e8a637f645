"""``dyntex info``: what a clip or a model is, and what training on it would cost on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dyntex.cli import options
from dyntex.cli.console import ConsoleProgress
from dyntex.experiment.checks import check_numbers

USUAL = (("mirrored", False), ("pixel_aspect", 1.0))
"""What is not worth a line."""


def info(
    source: Annotated[
        str, typer.Argument(help="A clip (as for synthesize) or a model folder.", metavar="SOURCE|MODEL")
    ],
    preset: Annotated[str | None, typer.Option(help="Measure the cost of this preset only.")] = None,
    measure: Annotated[bool, typer.Option(help="Run a few steps of each preset to measure its cost.")] = True,
    clip_frames: options.ClipFrames = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Describe SOURCE. For a clip, also measure how much memory and time training on it takes on this machine."""
    check_numbers(positive={"--clip-frames": clip_frames})
    from dyntex.experiment.describe import describe

    with ConsoleProgress(quiet=quiet) as progress:
        about = describe(
            source, only=preset, measure=measure, clip_frames=clip_frames, device=device, progress=progress
        )
    if as_json:
        options.print_json(about)
    else:
        _show(about)


def _show(about: dict[str, Any]) -> None:
    for key, value in about.items():
        if key == "spatial":
            print(
                "parts of the frame: motion differs by a factor of {motion}, swing {swing}, detail {detail}; "
                "brightness by {brightness} standard deviations".format(**value)
            )
        elif key == "recommended":
            print(f"recommended: the default; without training --method {value['method']}: {value['reason']}")
            if value["mixing"] is not None:
                print(
                    "mixed frames are {mixing} times as foreign to the clip as its own; a jump costs {return_cost} of "
                    "the distance of any two frames".format(**value)
                )
        elif (
            key not in ("cost", "schema_version", "candidates", "taken")
            and value not in ("", None, {})
            and (key, value) not in USUAL
        ):
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
