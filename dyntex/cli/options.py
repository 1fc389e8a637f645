"""The options that several commands share."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from dyntex.errors import UsageError
from dyntex.experiment.checks import MAX_SIDE, MIN_SIDE

Source = Annotated[
    str,
    typer.Argument(
        help="A video, animation, image, folder of frames, .npy/.npz array, or example:NAME.", metavar="SOURCE"
    ),
]
# Strings, not paths, which would lose the slash at the end of a folder's name.
Out = Annotated[
    str | None,
    typer.Option("--out", "-o", help="The video to write. Its ending is its format.", metavar="PATH"),
]
NeededOut = Annotated[
    str, typer.Option("--out", "-o", help="The video to write. Its ending is its format.", metavar="PATH")
]
Frames = Annotated[
    int | None, typer.Option(help="Length of the result in frames. By default as many as were learned from.")
]
Seconds = Annotated[float | None, typer.Option(help="Length of the result in seconds, in place of --frames.")]
Size = Annotated[
    str | None,
    typer.Option(
        help="Frame size in pixels, of what is learned and made: S for SxS, or HxW, height first (720x1280 is wide).",
        show_default="the preset's, or less for a small source",
    ),
]
Start = Annotated[int, typer.Option(help="First frame of the source to learn from.")]
ClipFrames = Annotated[int | None, typer.Option(help="Number of frames to learn from.", show_default="the preset's")]
Preset = Annotated[
    str | None,
    typer.Option(
        help="Networks and settings: fast, fast-st, paper-fc64, paper-fc128, paper-st; image-texture for one image, "
        "image-set for a set of images, video-set for a set of clips.",
        show_default="fast; for an image or a set what suits it",
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(help='Settings from a JSON file: {"preset": "fast", ...changes...}, or the config.json of a model.'),
]
Iterations = Annotated[int | None, typer.Option(help="Training iterations.", show_default="the preset's")]
Budget = Annotated[
    float | None,
    typer.Option(help="Seconds for the whole command, in place of --iterations. Training gets what the rest leaves."),
]
Quality = Annotated[
    Literal["draft", "standard", "high"] | None,
    typer.Option(help="A budget of 1 (draft), 5 (standard) or 30 minutes (high).", show_default=False),
]
Precision = Annotated[
    Literal["fp32", "bf16", "auto"] | None,
    typer.Option(help="Of the convolutions. auto measures which is faster here.", show_default="the preset's, fp32"),
]
Seed = Annotated[int, typer.Option(help="The same seed gives the same result on the same type of device.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
RunDir = Annotated[
    Path | None,
    typer.Option(help="Run folder: settings, metrics, checkpoints, samples.", show_default="OUT.run"),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint in the run folder.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier output, model or run.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print no progress and no notices.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else, on stdout.")]
Background = Annotated[
    str | None,
    typer.Option(help="Colour behind a transparent clip: a name or #rrggbb. Needed for .mp4.", metavar="COLOUR"),
]
Grid = Annotated[
    str | None, typer.Option(help="Write a sprite sheet (.png) with so many rows and columns.", metavar="ROWSxCOLUMNS")
]
Loop = Annotated[bool, typer.Option("--loop", help="Make a loop: the last frame leads into the first.")]
Tile = Annotated[
    str | None,
    typer.Option(help="Make a tile: x (left meets right), y (top meets bottom) or xy (both).", metavar="x|y|xy"),
]
CheckpointEvery = Annotated[float, typer.Option(help="Seconds between checkpoints, at least.")]
Label = Annotated[
    str | None, typer.Option("--label", help="Class to show, for a model trained with --labels.", metavar="NAME")
]
Text = Annotated[
    str | None,
    typer.Option(
        "--text", help="Sentence that describes what to show, for a model trained with --captions.", metavar="WORDS"
    ),
]
Sketch = Annotated[
    str | None,
    typer.Option(
        "--sketch",
        help="Drawing to follow, for a model trained with --sketch: an image, or a video or folder with a drawing for "
        "each frame.",
        metavar="FILE",
    ),
]


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        import av

        from dyntex import __version__

        # What is installed, as its own record says: importing torch to ask it takes two seconds.
        torch = version("torch")
        print(f"dyntex {__version__} (torch {torch}, av {av.__version__}, FFmpeg {av.ffmpeg_version_info})")
        raise typer.Exit


def version(
    context: typer.Context,
    _: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=_print_version,
            help="Print the versions of dyntex, torch and FFmpeg.",
        ),
    ] = False,
) -> None:
    """Options without a command, and what holds for every command."""
    command = context.invoked_subcommand
    if command != "train" and "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("WORLD_SIZE", "1") != "1":
        raise UsageError(f"torchrun shares a training between processes, and {command} is none: use `dyntex train`")


def parse_size(text: str | None) -> tuple[int, int] | None:
    """``"128"`` or ``"96x128"`` as (height, width)."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and MIN_SIDE <= int(part) <= MAX_SIDE for part in parts):
        raise UsageError(
            f"--size {text} is not a size: give S or HxW, like 128 or 96x128 ({MIN_SIDE} to {MAX_SIDE} pixels)"
        )
    return int(parts[0]), int(parts[-1])


def renamed(old: str, new: str) -> Any:
    """A hidden option that was renamed; using it is an error that gives the new name."""

    def refuse(value: str | None) -> None:
        if value is not None:
            raise UsageError(f"{old} was renamed: use {new}")

    return typer.Option(old, hidden=True, callback=refuse)


def print_json(data: dict[str, Any]) -> None:
    print(json.dumps(data))


def print_result(facts: dict[str, Any], *, as_json: bool) -> None:
    """The result alone on stdout: the path that was written, or all facts as one JSON object."""
    print(json.dumps(facts) if as_json else facts["output"])
