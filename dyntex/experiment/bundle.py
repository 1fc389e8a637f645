"""The end of a run: copies of the result and the report go into the run folder, so that it can be shared."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dyntex.clip import Clip
from dyntex.experiment.progress import Progress
from dyntex.experiment.report import REPORT, ReportFacts, write_report

OUTPUT = "output"
"""The subfolder of a run folder that holds the result and its previews."""


def remove_bundle(run_folder: Path) -> None:
    """Remove the report and the copies of an earlier run, so that a run that fails does not keep another's report."""
    (run_folder / REPORT).unlink(missing_ok=True)
    if (run_folder / OUTPUT).is_dir():
        shutil.rmtree(run_folder / OUTPUT)


def finish_bundle(
    folder: Path,
    result: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    original: Clip,
    made: Clip,
    loop: bool,
    command: str,
    progress: Progress,
) -> str | None:
    """Put the result, its previews and the report into the run folder.

    The result is written and checked by now, so an error here becomes a notice and does not fail the command.

    Args:
        folder: of the run.
        result: the object that ``--json`` prints; without a model, that of a baseline.
        settings: what the result depends on, as its metadata has it.
        command: the command line, or the call, that made it.
        original, made, loop: as :func:`dyntex.experiment.report.write_report` takes them.

    Returns:
        the report's path, or None if there is none.
    """
    try:
        kept = {key: copy_into(Path(result[key]), folder / OUTPUT) for key in ("output", "sheet", "side_by_side")}
        facts = ReportFacts(
            title=Path(result["output"]).stem,
            summary=(
                f"{result['frames']} frames of {result['width']}x{result['height']} at {result['fps']:g} a second, "
                f"made by {_maker(result)} that learnt from {original.n_frames} frames of {settings['source']}."
            ),
            command=command,
            settings=settings,
            seconds=result["seconds"],
            seams=result["seam"],
            scores=result.get("scores", {}),
            copy_distance=result.get("copy_distance"),
            outputs=tuple(kept.values()),
            more=_more(result["model"], folder, seed=settings["seed"] + 1),
        )
        path = write_report(
            folder, facts, original=original, made=made, side=kept["side_by_side"], sheet=kept["sheet"], loop=loop
        )
    except Exception as error:
        progress.say(f"the report could not be made ({type(error).__name__}: {error}); the result is complete")
        return None
    progress.say(f"to share the result, share the folder {folder}; open {path.name} first")
    return str(path)


def _maker(result: Mapping[str, Any]) -> str:
    return "a model" if result["model"] else f"the baseline {result['preset']}"


def _more(model: str | None, folder: Path, *, seed: int) -> str:
    """The command that makes another video from the model; empty where there is no model."""
    if model is None:
        return ""
    return shlex.join(["dyntex", "sample", _from_beside(Path(model), folder), "-o", "more.mp4", "--seed", str(seed)])


def copy_into(made: Path, folder: Path) -> Path:
    """A file or a folder of frames under its own name in another folder: hard links where the disk has them."""
    folder.mkdir(exist_ok=True)
    place = folder / made.name
    if place.is_dir():
        shutil.rmtree(place)
    if made.is_dir():
        shutil.copytree(made, place, copy_function=_link)
    else:
        place.unlink(missing_ok=True)
        _link(made, place)
    return place


def _link(made: str | Path, place: str | Path) -> None:
    try:
        os.link(made, place)
    except OSError:  # another disk, or one without links
        shutil.copy2(made, place)


def _from_beside(model: Path, run_folder: Path) -> str:
    """The model's path as seen from the parent of the run folder: no other folder of the machine is named."""
    inside = model.absolute().is_relative_to(run_folder.absolute())
    return str(Path(run_folder.name) / model.relative_to(run_folder)) if inside else model.name
