"""What a run folder is left with at the end: copies of what was made, and the report."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dyntex.cli import options
from dyntex.cli.progress import Teller

if TYPE_CHECKING:
    from dyntex.clip import Clip

OUTPUT = "output"
"""The folder within a run's that holds the result and its previews."""


def clear(run_folder: Path) -> None:
    """Remove what an earlier run left, before another begins: a failed run must not lie beside another's report."""
    from dyntex.experiment.report import REPORT

    (run_folder / REPORT).unlink(missing_ok=True)
    if (run_folder / OUTPUT).is_dir():
        shutil.rmtree(run_folder / OUTPUT)


def take_away(
    folder: Path,
    result: Mapping[str, Any],
    *,
    settings: Mapping[str, Any],
    original: Clip,
    made: Clip,
    loop: bool,
    teller: Teller,
) -> str | None:
    """Leave the result, its previews and the report in the run folder.

    The result is written and checked by now, so whatever goes wrong here is said and does not fail the command.

    Args:
        folder: of the run.
        result: the object that ``--json`` prints; without a model, that of a baseline.
        settings: what the result depends on, as its metadata has it.
        original, made, loop: as :func:`dyntex.experiment.report.write_report` takes them.

    Returns:
        the report's path, or None if there is none.
    """
    from dyntex.experiment.report import Facts, write_report

    try:
        kept = {key: _kept(Path(result[key]), folder / OUTPUT) for key in ("output", "sheet", "side_by_side")}
        facts = Facts(
            title=Path(result["output"]).stem,
            summary=(
                f"{result['frames']} frames of {result['width']}x{result['height']} at {result['fps']:g} a second, "
                f"made by {_maker(result)} that learnt from {original.n_frames} frames of {settings['source']}."
            ),
            command=options.command_line(),
            settings=settings,
            seconds=result["seconds"],
            seams=result["seam"],
            scores=result.get("scores", {}),
            outputs=tuple(kept.values()),
            more=_more(result["model"], folder, seed=settings["seed"] + 1),
        )
        path = write_report(
            folder, facts, original=original, made=made, side=kept["side_by_side"], sheet=kept["sheet"], loop=loop
        )
    except Exception as error:
        teller.say(f"the report could not be made ({type(error).__name__}: {error}); all else is in its place")
        return None
    teller.say(f"all that can be sent on is in {folder}; begin with {path.name}")
    return str(path)


def _maker(result: Mapping[str, Any]) -> str:
    return "a model" if result["model"] else f"the baseline {result['preset']}"


def _more(model: str | None, folder: Path, *, seed: int) -> str:
    """The command for another video of the model; none where there is no model."""
    if model is None:
        return ""
    return shlex.join(["dyntex", "sample", _from_beside(Path(model), folder), "-o", "more.mp4", "--seed", str(seed)])


def _kept(made: Path, folder: Path) -> Path:
    """A file or a folder of frames under its own name in another folder, in no second room on the disk if possible."""
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
    """The model's name as seen from the folder that holds the run's: nothing of the machine."""
    inside = model.absolute().is_relative_to(run_folder.absolute())
    return str(Path(run_folder.name) / model.relative_to(run_folder)) if inside else model.name
