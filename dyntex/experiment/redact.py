"""Removes folder names from paths: a run folder and a video that are shared must not name folders of this machine."""

from __future__ import annotations

import os
from pathlib import Path


def without_folders(word: str) -> str:
    """``--out=/home/me/fire.mp4`` as ``--out=fire.mp4``; what is no path stays as it is."""
    option, equals, value = word.partition("=") if word.startswith("--") and "=" in word else ("", "", word)
    name = Path(value).name + "/" * value.endswith("/") if "/" in value else value
    return option + equals + printable(name)


def printable(name: str) -> str:
    """A name as UTF-8 can hold it: of one in another encoding, bytes that it has no letters for as ``\\xff``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def seen_from(folder: Path, place: str) -> str:
    """A path inside a folder as seen from there; any other by its name."""
    path = Path(place).absolute()
    return path.relative_to(folder.absolute()).as_posix() if path.is_relative_to(folder.absolute()) else path.name
