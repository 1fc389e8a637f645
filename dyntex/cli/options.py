"""Words that several commands share: options, and what they mean."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dyntex.cli.process import answered
from dyntex.errors import UsageError
from dyntex.experiment.redact import without_folders

if TYPE_CHECKING:
    import torch

SCHEMA_VERSION = 1
MIN_SIDE = 8
MAX_SEED = 2**63 - 2  # the synthesis adds one, and PyTorch's generators take 63 bits

Source = Annotated[
    str,
    typer.Argument(
        help="A video, animation, image, folder of frames, .npy/.npz array, or example:NAME.", metavar="SOURCE"
    ),
]
# Words, not paths, which would lose the slash at the end of a folder's name.
Out = Annotated[
    str | None, typer.Option("--out", "-o", help="The video to write; its ending is its format.", metavar="PATH")
]
NeededOut = Annotated[
    str, typer.Option("--out", "-o", help="The video to write; its ending is its format.", metavar="PATH")
]
Seconds = Annotated[float | None, typer.Option(help="Length of the result in seconds, in place of --frames.")]
Size = Annotated[
    str | None, typer.Option(help="Frame size to learn and make: S for SxS, or HxW. By default the preset's.")
]
Start = Annotated[int, typer.Option(help="First frame of the source to learn from.")]
ClipFrames = Annotated[int | None, typer.Option(help="How many frames of the source to learn from.")]
Preset = Annotated[
    str | None,
    typer.Option(
        help="Networks and settings: fast (the default), fast-st, paper-fc64, paper-fc128, paper-st; image-texture for "
        "one image, image-set for a set of them, video-set for a set of clips.",
        show_default=False,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(help='Settings from a JSON file: {"preset": "fast", ...changes...}, or the config.json of a model.'),
]
Iterations = Annotated[int | None, typer.Option(help="Cooperative iterations; by default the preset's.")]
Budget = Annotated[float | None, typer.Option(help="Seconds to train, in place of --iterations.")]
Seed = Annotated[int, typer.Option(max=MAX_SEED, help="The same seed gives the same clip on the same type of device.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
RunDir = Annotated[Path | None, typer.Option(help="Folder of the run: settings, metrics, checkpoints, samples.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the run folder's last checkpoint.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is in the output's place.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notices.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the path.")]
Background = Annotated[
    str | None,
    typer.Option(help="What lies behind a transparent clip: a name or #rrggbb. Needed for .mp4.", metavar="COLOUR"),
]
Grid = Annotated[
    str | None, typer.Option(help="Rows and columns of a sprite sheet, for an output in .png.", metavar="ROWSxCOLUMNS")
]
Loop = Annotated[bool, typer.Option("--loop", help="The last frame leads into the first.")]
Tile = Annotated[
    str | None,
    typer.Option(help="The frame's ends meet: x (left and right), y (top and bottom) or xy.", metavar="x|y|xy"),
]
CheckpointEvery = Annotated[float, typer.Option(help="Seconds between checkpoints.")]


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
    _: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the versions of dyntex and its engines."
        ),
    ] = False,
) -> None:
    """What can be asked without a command."""


def parse_size(text: str | None) -> tuple[int, int] | None:
    """``"128"`` or ``"96x128"`` as (height, width)."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isdecimal() and MIN_SIDE <= int(part) <= 8192 for part in parts):
        raise UsageError(f"--size {text} is no size: give one side, like 128, or HxW, like 96x128 ({MIN_SIDE} to 8192)")
    return int(parts[0]), int(parts[-1])


def check_numbers(*, positive: Mapping[str, float | None] = {}, not_negative: Mapping[str, int | None] = {}) -> None:
    """Refuse numbers out of range; None is an option that was not given."""
    for name, value in positive.items():
        # Written so that NaN is refused too.
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} {value:g} is not positive: give a number above 0")
    for name, value in not_negative.items():
        if value is not None and value < 0:
            raise UsageError(f"{name} {value} is negative: give 0 or more")


def check_length(frames: int | None, seconds: float | None) -> None:
    """Refuse a length that cannot be, or that was given twice."""
    check_numbers(positive={"--frames": frames, "--seconds": seconds})
    if frames is not None and seconds is not None:
        raise UsageError(f"--frames {frames} and --seconds {seconds:g} exclude each other: give one of them")


def frames_asked(frames: int | None, seconds: float | None, fps: Fraction) -> int | None:
    """The length asked for: so many frames, or the nearest to so many seconds, but one at least; None for neither."""
    return frames if seconds is None else max(1, round(Fraction(seconds) * fps))


def check_method(name: str) -> None:
    """Refuse an unknown method."""
    from baselines import METHODS
    from dyntex.errors import suggest

    known = ("coop", *METHODS)
    if name not in known:
        raise UsageError(f"there is no method {name!r}{suggest(name, known)}; the methods are {', '.join(known)}")


def choose_device(name: str) -> torch.device:
    """The device of that name, where it is there; the process is set to compute on it at full speed."""
    import torch

    # Squared gradients of a large generator underflow, and a CPU takes fifty times as long for a denormal number.
    torch.set_flush_denormal(True)
    # Read at PyTorch's first allocation: large tensors in pages of 2 MiB, a fifth of the time to touch fresh memory.
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    kind = name.partition(":")[0]
    if kind not in there:
        raise UsageError(f"--device {name} is unknown: choose auto, cpu, cuda or mps")
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise UsageError(f"--device {name} is not on this machine: choose auto or cpu") from None
    return torch.device(name)


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Within, a signal to end is a wish to stop that the training asks for; a second Ctrl-C stops at once.

    A second SIGHUP or SIGTERM does not: a terminal that is closed sends two.
    """
    wished = False

    def wish(number: int, frame: FrameType | None) -> None:
        nonlocal wished
        if wished and number == signal.SIGINT:
            raise KeyboardInterrupt
        wished = True

    with answered(wish):
        yield lambda: wished
    if wished:
        # It came after the training had last asked.
        raise KeyboardInterrupt


def peak_rss_mb() -> float:
    """The process's largest resident memory so far, in MiB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Linux counts KiB, macOS bytes.
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def command_line() -> str:
    """The command as it was typed, but for the folders in it: a video that is sent on says nothing of this machine."""
    return shlex.join(["dyntex", *map(without_folders, sys.argv[1:])])


def print_json(data: dict[str, Any]) -> None:
    print(json.dumps(data))


def print_result(report: dict[str, Any], *, as_json: bool) -> None:
    """The result alone on stdout: the path that was written, or the whole report as one JSON object."""
    print(json.dumps(report) if as_json else report["output"])
