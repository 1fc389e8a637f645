"""What the page asks for, checked before it becomes a task, and the command line that does the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyntex.coopnets.presets import PRESETS, QUALITIES
from dyntex.errors import UsageError
from dyntex.experiment.boundaries import Boundaries
from dyntex.experiment.checks import check_length, check_numbers
from dyntex.experiment.methods import COOP, METHODS, check_method
from dyntex.experiment.settings import choose_config
from dyntex.inpainting import METHODS as FILLERS
from dyntex.media.formats import FORMATS
from dyntex.ui.painting import check_strokes

MOST_FRAMES = 20_000
"""Of a result made on the page."""
UNSAFE = re.compile(r"[^\w .()+-]+")


class Asked:
    """A page's answers, read one by one: each a value of the kind that is expected, or UsageError."""

    def __init__(self, data: Any) -> None:
        if not isinstance(data, Mapping):
            raise UsageError("the request is not an object")
        self.data = data

    def number(self, name: str, most: int) -> int | None:
        value = self.data.get(name)
        if value is None or value == "":
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            raise UsageError(f"{name} {str(value)[:40]!r} is not a number from 0 to {most}")
        return value

    def flag(self, name: str) -> bool:
        value = self.data.get(name, False)
        if not isinstance(value, bool):
            raise UsageError(f"{name} is neither true nor false")
        return value

    def word(self, name: str, known: Any, default: str = "") -> str:
        value = self.data.get(name, default)
        if value not in (known := list(known)):
            raise UsageError(f"{name} {str(value)[:40]!r} is unknown: choose one of {', '.join(map(str, known))}")
        return str(value)

    def size(self) -> list[int] | None:
        value = self.data.get("size")
        if value is None:
            return None
        if not (isinstance(value, list) and len(value) == 2 and all(type(side) is int for side in value)):
            raise UsageError("size is not a height and a width in pixels")
        if not all(8 <= side <= 8192 for side in value):
            raise UsageError(f"size {value[0]}x{value[1]} is out of range: sides have 8 to 8192 pixels")
        return value

    def ending(self) -> str:
        return self.word("format", FORMATS, ".mp4")


def synthesis(data: Any, *, clip: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A request to synthesize, from what the page sent.

    Args:
        data: the form.
        clip: what ``dyntex info`` says of the clip.
        name: the clip's, as the person knows it.

    Raises:
        UsageError: a value cannot be, or the method cannot do what is asked.
    """
    asked = Asked(data)
    method = asked.word("method", ["auto", *METHODS], "auto")
    tile = asked.word("tile", ["", "x", "y", "xy"])
    if method == "auto":
        method = COOP if tile else recommended(clip)
    options: dict[str, Any] = {
        "method": method,
        "frames": asked.number("frames", MOST_FRAMES),
        "loop": asked.flag("loop"),
        "tile": tile,
        "size": asked.size(),
        "start": asked.number("start", 10**7) or 0,
        "clip_frames": asked.number("clip_frames", 10**5),
        "seed": asked.number("seed", 2**53 - 1) or 0,
        "score": asked.flag("score"),
    }
    if method == COOP:
        options["preset"] = asked.word("preset", ["", *PRESETS]) or None
        options["quality"] = asked.word("quality", ["", *QUALITIES]) or None
    if len(options["tile"]) and method == COOP and not options["preset"] and clip.get("stationary_in_space"):
        options["preset"] = "fast-st"
    ending = asked.ending()
    if clip.get("n_frames") == 1 and ending == ".mp4":
        ending = ".png"
    if clip.get("has_alpha") and not FORMATS[ending].alpha:
        options["background"] = "white"
    check_synthesis(options)
    return {
        "kind": "synthesize",
        "options": {key: value for key, value in options.items() if value not in (None, "", False)},
        "ending": ending,
        "command": command("synthesize", [name], f"{stem(name)}-synthesis{ending or '/'}", options),
    }


def check_synthesis(options: Mapping[str, Any]) -> None:
    """Refuse at once what the command would refuse."""
    check_length(options["frames"], None)
    check_numbers(positive={"--clip-frames": options["clip_frames"]})
    size = options["size"]
    ends, method = Boundaries(options["loop"], options["tile"]), options["method"]
    check_method(method)
    config = None
    if method == COOP:
        config = choose_config(
            options["preset"],
            size=None if size is None else (size[0], size[1]),
            iterations=None,
            budget=None,
            clip_frames=options["clip_frames"],
        )
        ends.check(config)
    else:
        ends.check_method(method)
    if options["frames"] is not None:
        ends.check_length(options["frames"], config)


def recommended(clip: Mapping[str, Any]) -> str:
    """The method without training that ``dyntex info`` names."""
    return str((clip.get("recommended") or {}).get("method", COOP))


def sampling(data: Any, *, of: Mapping[str, Any], job: str, name: str) -> dict[str, Any]:
    """A request for more from the model of an earlier job, as long and as wide as its result."""
    asked = Asked(data)
    before = of["options"]
    options = {key: before[key] for key in ("frames", "loop", "tile", "background") if key in before}
    options["seed"] = asked.number("seed", 2**53 - 1) or 0
    ending = asked.word("format", FORMATS, of["ending"])
    out = f"{stem(name)}-{options['seed']}{ending or '/'}"
    return {
        "kind": "sample",
        "of": job,
        "options": options,
        "ending": ending,
        "command": command("sample", [f"{stem(name)}-synthesis.run/model"], out, options),
    }


def recovery(data: Any, *, name: str, clip: Mapping[str, Any]) -> dict[str, Any]:
    """A request to fill in what was painted over."""
    asked = Asked(data)
    options: dict[str, Any] = {
        "method": asked.word("method", FILLERS, "blend"),
        "grow": asked.number("grow", 64) or 0,
        "seed": asked.number("seed", 2**53 - 1) or 0,
    }
    ending = asked.ending()
    if clip.get("has_alpha") and not FORMATS[ending].alpha:
        options["background"] = "white"
    strokes = check_strokes(data.get("strokes"))
    out = f"{stem(name)}-recovered{ending or '/'}"
    return {
        "kind": "recover",
        "options": options,
        "ending": ending,
        "strokes": strokes,
        "command": command("recover", [name, "--mask", f"{stem(name)}-mask.npz"], out, options),
    }


def command(verb: str, words: list[str], out: str, options: Mapping[str, Any]) -> str:
    """The command line that does what a request does."""
    line = ["dyntex", verb, *words, "-o", out]
    for key, value in options.items():
        option = "--" + key.replace("_", "-")
        if value is True:
            line.append(option)
        elif key == "size" and value:
            line += [option, f"{value[0]}x{value[1]}"]
        elif value not in (None, "", False) and not (key in ("start", "grow") and value == 0):
            line += [option, str(value)]
    return shlex.join(line)


def stem(name: str) -> str:
    """What names of results begin with: of ``fire.mp4`` or ``example:fire`` it is ``fire``."""
    return Path(name.removeprefix("example:")).stem or "clip"


def clean_name(name: str) -> str:
    """A file's name as it is shown and offered for downloads: never a path, and never opened."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return UNSAFE.sub("_", last).strip(" .-")[:80] or "clip"
