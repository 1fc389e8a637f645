"""The tool's own results, which are passed over where they lie among the frames or the clips of a source."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

SHEET, SIDE, RUN = ".sheet.png", ".side.mp4", ".run"  # what lies beside a result, named after it


def without_results(entries: Iterable[Path]) -> list[Path]:
    """Files and folders of one folder without what the tool made there, whatever name it was given.

    What lies beside a result tells it: ``fire.mp4`` is one where ``fire.run`` is the folder of a run, or both previews
    are there.
    """
    held = list(entries)
    names = {entry.name for entry in held}
    made = {entry.name.removesuffix(RUN) for entry in held if entry.name.endswith(RUN) and _is_run(entry)}
    made |= {
        name.removesuffix(SHEET)
        for name in names
        if name.endswith(SHEET) and f"{name.removesuffix(SHEET)}{SIDE}" in names
    }
    return [entry for entry in held if not _is_result(entry, made)]


def _is_run(folder: Path) -> bool:
    return (folder / "config.json").is_file() and (folder / "env.json").is_file()


def _is_result(entry: Path, made: set[str]) -> bool:
    if entry.name.endswith((SHEET, SIDE)):
        return True
    return bool({entry.name, entry.stem, entry.name.removesuffix(RUN)} & made)
