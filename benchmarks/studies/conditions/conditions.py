"""Whether models do what labels, sketches and texts say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from dyntex.benchmarks.data import Source
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.studies.conditions import labels, sketches, texts
from dyntex.benchmarks.studies.conditions.shared import Found, Setup
from dyntex.benchmarks.studies.questions.digits import check_digits, read_digits
from dyntex.benchmarks.studies.questions.nets import DIGITS
from dyntex.benchmarks.study import Cell, Results, Row, ok_rows, path_of, setting
from dyntex.coopnets.presets import preset
from dyntex.errors import UsageError, suggest

CLIPS = preset("video-set")
PARTS = ("digits", "textures", "sketch", "text")


@dataclass(frozen=True)
class Conditions:
    """One model, or a few, for each kind of condition.

    Attributes:
        clips: of the labelled textures.
        parts: which of :data:`PARTS`.
        seconds: of the processor, for each model.
        size: side of the clips' frames.
        seed: of all randomness.
        window: frames of a sample.
        n_samples: of each model for each condition.
        quick: whether a small part of everything will do, to see that it runs.
    """

    name: ClassVar[str] = "conditions"

    clips: tuple[Source, ...] = setting(is_sources=True, quick=("example:ripples", "example:flame"))
    parts: tuple[str, ...] = PARTS
    seconds: float = setting(600.0, quick=1.0)
    size: int = 32
    seed: int = 0
    window: int = 16
    n_samples: int = setting(4, quick=2)
    quick: bool = setting(False, quick=True)

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in PARTS:
                raise UsageError(f"there is no part {part!r}{suggest(part, PARTS)}; the parts are {', '.join(PARTS)}")
        if "digits" in self.parts:
            check_digits()

    def cells(self) -> Iterator[Cell]:
        names = ("seconds", "size", "seed", "window", "n_samples", "quick")
        common = {name: getattr(self, name) for name in names}
        for part in self.parts:
            own: dict[str, Any] = {"config": DIGITS if part == "digits" else CLIPS}
            if part == "textures":
                own["clips"] = {source.name: source.digest() for source in self.clips}
            yield Cell(path_of(part), {"part": part}, {**common, **own})

    def make(self, cell: Cell, out: Path) -> Row:
        """What was found; the models, and a picture of samples, lie in the cell's folder."""
        setup = Setup(cell.folder(out), self.seconds, self.size, self.window, self.n_samples, self.quick, self.seed)
        match cell.about["part"]:
            case "digits":
                data = read_digits(rng=setup.rng(97), steps=100 if self.quick else 1500)
                found = labels.digits(setup, DIGITS, data)
            case "textures":
                found = labels.textures(setup, CLIPS, self.clips)
            case "sketch":
                found = sketches.study(setup, CLIPS)
            case _:
                found = texts.study(setup, CLIPS)
        return vars(found)

    def page(self, results: Results) -> list[str | Table]:
        seconds = results["config"]["seconds"]
        parts: list[str | Table] = [
            "# Conditions",
            f"Made by `{results['command']}`: {seconds:.0f} seconds of one processor core for each model.",
        ]
        for row in ok_rows(results):
            found = Found(**{name: row[name] for name in ("title", "about", "tables", "notes")})
            parts += [f"## {found.title}", found.about]
            for heading, (header, rows) in found.tables.items():
                parts += [f"### {heading}", Table(header, rows, shown=9)]
            parts += found.notes
        return parts
