"""The harness of every experiment: cells -> rows on disk -> page.

A study is a frozen dataclass: its fields say what is asked. It lists its cells, makes the row of one, and writes the
page of all. This module does the rest: the folder, what is done already, shards, failures, results and page.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

from dyntex.benchmarks.configuration import CONFIG, claim, config_of, setting, study_of
from dyntex.benchmarks.record import load_record, save_record
from dyntex.benchmarks.report.markdown import Table, render
from dyntex.coopnets.checkpoint import load_json, save_json
from dyntex.errors import DyntexError, InputError, MissingDependencyError, UsageError
from dyntex.experiment.run import environment
from dyntex.runtime import full_speed

__all__ = ["Cell", "Results", "Row", "Shard", "Study", "ok_rows", "path_of", "run", "setting"]

SCHEMA_VERSION = 2
RESULTS, ROW, PAGE = "results.json", "row.json", "page.md"

Row = dict[str, Any]
Results = dict[str, Any]
"""``config`` (what is asked), ``command``, ``versions``, ``machine``, ``complete``; ``rows``, in the cells' order."""


@dataclass(frozen=True)
class Cell:
    """One row to be made.

    Attributes:
        path: its folder inside that of the study; unique.
        about: what it is of, by which the page finds its row: a clip, a method, a seed ...
        settings: all that its numbers depend on. If one of them changes, its row is made again.
        group: neighbours of one group share work, a fitted model for example, and stay in one shard.
        is_timed: its row is of time, and on a cluster nothing of the study runs beside it.
    """

    path: str
    about: Mapping[str, Any]
    settings: Mapping[str, Any]
    group: str = ""
    is_timed: bool = False

    def folder(self, out: Path) -> Path:
        return out / self.path

    def row(self, out: Path) -> Row | None:
        """Its row, also a failed one; None if it is to be made yet, or was made with other settings."""
        return load_record(self.folder(out) / ROW, self.settings)


class Study(Protocol):
    """An experiment: a frozen dataclass.

    Its fields are what is asked, and its folder's ``config.json``. A folder may grow: by entries of fields that are
    tuples, and by ``seeds``. In all other fields its rows have to agree.
    """

    name: ClassVar[str]

    def cells(self) -> Iterable[Cell]: ...

    def make(self, cell: Cell, out: Path) -> Row:
        """The numbers of a cell; files go into its folder, and what outlives it elsewhere in ``out``."""
        ...

    def page(self, results: Results) -> list[str | Table]:
        """Paragraphs of Markdown and tables, of the rows that there are."""
        ...


def path_of(*names: object) -> str:
    """A cell's path from names, each a folder."""
    return "/".join("".join(c if c.isalnum() or c in "-_.+ " else "-" for c in str(name)) for name in names)


@dataclass(frozen=True)
class Shard:
    """The i-th of n parts of a study: every n-th group of cells, so that no model is fitted twice."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From ``"i/n"``, counted from 1.

        Raises:
            UsageError: it is no such thing.
        """
        parts = text.split("/")
        if len(parts) == 2 and all(part.isascii() and part.isdecimal() for part in parts):
            index, count = int(parts[0]), int(parts[1])
            if 1 <= index <= count:
                return cls(index, count)
        raise UsageError(f"--shard {text} is no part of a whole: write i/n, like 1/4, with i from 1 to n")

    def of(self, cells: Iterable[Cell]) -> list[Cell]:
        """The cells of this part."""
        return [cell for group in groups_of(cells)[self.index - 1 :: self.count] for cell in group]


def groups_of(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Neighbours that share work, together."""
    return [list(group) for _, group in groupby(cells, key=lambda cell: cell.group or cell.path)]


WHOLE = Shard()
OnRow = Callable[[Row, int, int], None]


def ignore(row: Row, done: int, total: int) -> None:
    """The listener that does nothing."""


def one_by_one(study: Study, cells: Iterable[Cell], out: Path) -> Iterator[Row]:
    """The rows of cells, of which those that are missing or failed are made, here and in order."""
    with full_speed():
        for cell in cells:
            row = cell.row(out)
            yield row if row is not None and row["status"] == "ok" else _make(study, cell, out)


Rows = Callable[[Study, Sequence[Cell], Path], Iterator[Row]]
"""What makes rows as :func:`one_by_one` does, in any order: :func:`dyntex.benchmarks.cluster.on_workers` has others."""


def run(
    study: Study,
    out: Path,
    *,
    shard: Shard = WHOLE,
    command: str = "",
    on_row: OnRow = ignore,
    rows: Rows = one_by_one,
) -> Results:
    """Make the rows that the folder does not hold yet, and write its results and its page.

    Rows are written one by one, each whole or not at all: what was killed goes on where it was. A row that failed says
    why, and is tried again the next time.

    Args:
        study: what is asked.
        out: the folder, made if need be.
        shard: the part to do.
        command: the words that began it, for the record.
        on_row: is told of every row, of how many are done, and of how many there are.
        rows: makes them.

    Raises:
        UsageError: the folder holds something else, or rows that would not compare; nothing was changed.
        MissingDependencyError: a row needs a package that is not installed.
        InputError: no row could be made; the error names the first reason.
    """
    whole = study_of(type(study), claim(type(study), config_of(study, command), out), like=study)
    mine = shard.of(study.cells())
    for done, row in enumerate(rows(study, mine, out), start=1):
        on_row(row, done, len(mine))
    results = finish(whole, out)
    reasons = [row["reason"] for row in results["rows"] if row["status"] == "failed"]
    if len(reasons) == len(results["rows"]) > 0:
        raise InputError(f"nothing could be run: {reasons[0]}")
    return results


def _make(study: Study, cell: Cell, out: Path) -> Row:
    began = time.monotonic()
    cell.folder(out).mkdir(parents=True, exist_ok=True)
    try:
        row = {"status": "ok", **study.make(cell, out)}
    except MissingDependencyError:
        raise
    except Exception as error:
        reason = str(error) if isinstance(error, DyntexError) else f"{type(error).__name__}: {error}"
        row = {"status": "failed", "reason": " ".join(reason.split())}
    return _keep(cell, {**cell.about, "seconds": round(time.monotonic() - began, 3), **row}, out)


def failed(cells: Iterable[Cell], out: Path, reason: str) -> Iterator[Row]:
    """The rows of cells that nothing could make: those that are there, and failures of this reason for the rest."""
    for cell in cells:
        row = cell.row(out)
        gone = {**cell.about, "seconds": None, "status": "failed", "reason": reason}
        yield row if row is not None and row["status"] == "ok" else _keep(cell, gone, out)


def _keep(cell: Cell, row: Row, out: Path) -> Row:
    """The row as it is read again."""
    save_record(cell.folder(out) / ROW, row, cell.settings)
    kept = cell.row(out)
    assert kept is not None
    return kept


def finish(study: Study, out: Path) -> Results:
    """Write ``results.json`` and the page of the rows that a folder holds."""
    results = collect(study, out)
    write(study, results, out)
    return results


def collect(study: Study, out: Path) -> Results:
    """The results of a folder so far, its rows in the order of the cells, whenever they were made."""
    config = load_json(out / CONFIG)
    found = [cell.row(out) for cell in study.cells()]
    rows = [row for row in found if row is not None]
    about = environment()
    machine = {key: about[key] for key in ("platform", "processor_threads", "memory_bytes")}
    return {
        "schema_version": SCHEMA_VERSION,
        "study": study.name,
        "config": {key: value for key, value in config.items() if key not in ("study", "commands")},
        "command": "; ".join(config["commands"]),
        "versions": {key: value for key, value in about.items() if key not in {*machine, "command"}},
        "machine": machine | {"processor": _processor(), "accelerator": _accelerator(rows)},
        "complete": None not in found,
        "rows": rows,
    }


def write(study: Study, results: Results, out: Path) -> None:
    """Write the results and the page."""
    save_json(out / RESULTS, results)
    (out / PAGE).write_text(page_of(study, results), encoding="utf-8")


def ok_rows(results: Results) -> list[Row]:
    """The rows that did not fail."""
    return [row for row in results["rows"] if row["status"] == "ok"]


def page_of(study: Study, results: Results) -> str:
    """The page in Markdown, with the failures last."""
    failed = [row for row in results["rows"] if row["status"] == "failed"]
    return render([*study.page(results), *failures(failed)])


def failures(rows: Sequence[Row]) -> list[str]:
    """A paragraph on the rows that failed, if any did."""
    listed = [f"* {name_of(row)}: {row['reason']}" for row in rows]
    return ["Failed, and left out above:\n\n" + "\n".join(listed)] if listed else []


def name_of(row: Row) -> str:
    """What a row is of, in a line."""
    about = [f"seed {value}" if key == "seed" else str(value) for key, value in row.items() if key in NAMES]
    return ", ".join(about)


NAMES = ("task", "dataset", "trainer", "part", "model", "method", "clip", "mask", "real", "preset", "seed")
"""Columns that name a row."""


def _processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _accelerator(rows: Sequence[Row]) -> str | None:
    """The name of what the rows were computed on, if this machine has one."""
    on_cuda = any(str(row.get("device", "")).startswith("cuda") for row in rows)
    return torch.cuda.get_device_name() if on_cuda and torch.cuda.is_available() else None
