"""The harness of every experiment: cells -> rows on disk -> page.

A study is a frozen dataclass: its fields say what is asked. It lists its cells, makes the row of one, and writes the
page of all. This module does the rest: the folder, what is done already, shards, failures, results and page.
"""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch

from benchmarks.data import Source
from benchmarks.record import load_record, save_record
from benchmarks.report.markdown import Table, render
from dyntex.coopnets.checkpoint import load_json, save_json
from dyntex.errors import DyntexError, InputError, MissingDependencyError, UsageError
from dyntex.experiment.run import environment
from dyntex.runtime import full_speed

SCHEMA_VERSION = 2
CONFIG, RESULTS, ROW, PAGE = "config.json", "results.json", "row.json", "page.md"

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
    """

    path: str
    about: Mapping[str, Any]
    settings: Mapping[str, Any]
    group: str = ""

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


def setting(
    default: Any = dataclasses.MISSING,
    *,
    quick: Any = dataclasses.MISSING,
    is_kept: bool = True,
    is_sources: bool = False,
) -> Any:
    """A field of a study.

    Args:
        default: where nothing is asked.
        quick: its value for a look at the whole in a minute; of clips, the words for them.
        is_kept: whether it is asked for in ``config.json``; if not, it says how the work is done, and no number
            depends on it.
        is_sources: whether it holds clips, or other files, which are known by their content.
    """
    return field(default=default, metadata={"quick": quick, "is_kept": is_kept, "is_sources": is_sources})


def quick_of(kind: type[Study]) -> dict[str, Any]:
    """The fields that make a study quick."""
    found = {f.name: f.metadata.get("quick", dataclasses.MISSING) for f in dataclasses.fields(kind)}  # type: ignore[arg-type]
    return {name: value for name, value in found.items() if value is not dataclasses.MISSING}


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
        groups = [list(group) for _, group in groupby(cells, key=lambda cell: cell.group or cell.path)]
        return [cell for group in groups[self.index - 1 :: self.count] for cell in group]


WHOLE = Shard()
OnRow = Callable[[Row, int, int], None]


def ignore(row: Row, done: int, total: int) -> None:
    """The listener that does nothing."""


def run(study: Study, out: Path, *, shard: Shard = WHOLE, command: str = "", on_row: OnRow = ignore) -> Results:
    """Make the rows that the folder does not hold yet, and write its results and its page.

    Rows are written one by one, each whole or not at all: what was killed goes on where it was. A row that failed says
    why, and is tried again the next time.

    Args:
        study: what is asked.
        out: the folder, made if need be.
        shard: the part to do.
        command: the words that began it, for the record.
        on_row: is told of every row, of how many are done, and of how many there are.

    Raises:
        UsageError: the folder holds something else, or rows that would not compare; nothing was changed.
        MissingDependencyError: a row needs a package that is not installed.
        InputError: no row could be made; the error names the first reason.
    """
    whole = study_of(type(study), claim(type(study), config_of(study, command), out), like=study)
    mine = shard.of(study.cells())
    with full_speed():
        for done, cell in enumerate(mine, start=1):
            row = cell.row(out)
            if row is None or row["status"] != "ok":
                row = _make(study, cell, out)
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
    row = {**cell.about, "seconds": round(time.monotonic() - began, 3), **row}
    save_record(cell.folder(out) / ROW, row, cell.settings)
    kept = cell.row(out)
    assert kept is not None
    return kept


def finish(study: Study, out: Path) -> Results:
    """Write ``results.json`` and the page of the rows that a folder holds, in the order of the cells."""
    config = load_json(out / CONFIG)
    found = [cell.row(out) for cell in study.cells()]
    rows = [row for row in found if row is not None]
    about = environment()
    machine = {key: about[key] for key in ("platform", "processor_threads", "memory_bytes")}
    results: Results = {
        "schema_version": SCHEMA_VERSION,
        "study": study.name,
        "config": {key: value for key, value in config.items() if key not in ("study", "commands")},
        "command": "; ".join(config["commands"]),
        "versions": {key: value for key, value in about.items() if key not in {*machine, "command"}},
        "machine": machine | {"processor": _processor(), "accelerator": _accelerator(rows)},
        "complete": None not in found,
        "rows": rows,
    }
    write(study, results, out)
    return results


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


def load_results(folder: Path) -> Results:
    """What ``results.json`` of a folder holds.

    Raises:
        InputError: it is missing, or no such thing.
    """
    results = load_json(folder / RESULTS)
    if not isinstance(results, dict) or results.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"{folder / RESULTS} is not the results of a benchmark of version {SCHEMA_VERSION}")
    return results


# What a folder is about.


def config_of(study: Study, command: str) -> dict[str, Any]:
    """What a study's ``config.json`` holds. Clips are known by their content, so that files may move."""
    commands = [command] if command else []
    values = {f.name: _plain(f, getattr(study, f.name)) for f in _fields(study)}
    return {"study": study.name, "commands": commands} | values


def _fields(study: Any) -> list[dataclasses.Field[Any]]:
    """The fields of a study, or of its class, that say what is asked."""
    return [f for f in dataclasses.fields(study) if f.init and f.metadata.get("is_kept", True)]


def _plain(f: dataclasses.Field[Any], value: Any) -> Any:
    if f.metadata.get("is_sources"):
        return {source.name: source.digest() for source in value}
    return list(value) if isinstance(value, tuple) else value


def study_of(kind: type[Study], config: Mapping[str, Any], *, like: Study | None = None) -> Study:
    """The study that a ``config.json`` is of; its clips have names and digests, and cannot be read.

    What no configuration holds is as in the study ``like``.

    Raises:
        InputError: it is of no such study.
    """

    def value(kept: Any) -> Any:
        if isinstance(kept, dict):
            return tuple(Source(name, digest, sha256=digest) for name, digest in kept.items())
        return tuple(kept) if isinstance(kept, list) else kept

    known = {f.name for f in _fields(kind)}
    values = {key: value(kept) for key, kept in config.items() if key in known}
    try:
        return kind(**values) if like is None else dataclasses.replace(like, **values)  # type: ignore[type-var]
    except TypeError as error:
        raise InputError(f"this is no configuration of the study {kind.name}: {error}") from error


def claim(kind: type[Study], asked: dict[str, Any], out: Path) -> dict[str, Any]:
    """Make the folder a study's of this configuration, or widen the one that it holds; returns all that it is about.

    Raises:
        UsageError: its rows would not compare with the new ones, or something else is in it, or it cannot be made.
            Nothing was changed.
    """
    if (out / CONFIG).exists():
        held = load_json(out / CONFIG)
        wide = widen(kind, held, asked, f"{out} holds a benchmark of another configuration")
        if wide != held:
            save_json(out / CONFIG, wide)
        return wide
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is no benchmark's folder: name another with -o")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {out} cannot be made ({error.strerror}): name another with -o") from error
    save_json(out / CONFIG, asked)
    return asked


def widen(kind: type[Study], held: Any, asked: dict[str, Any], problem: str) -> dict[str, Any]:
    """One configuration for two: the entries of either, the held ones first, and the greater number of seeds.

    Raises:
        UsageError: they are of two studies, differ in what all rows share, or mean two clips by one name; the message
            begins with ``problem``.
    """
    name = held.get("study") if isinstance(held, dict) else None
    if name != asked["study"]:
        raise UsageError(f"{problem} (study is {name}, not {asked['study']}): name another folder with -o")
    # A field that is newer than the folder had its default there.
    defaults = {f.name: _plain(f, f.default) for f in _fields(kind) if f.default is not dataclasses.MISSING}
    wide, differ = dict(held), []
    for key, value in asked.items():
        before = held.get(key, defaults.get(key))
        if isinstance(value, dict):
            others = [name for name in before if before[name] != value.get(name, before[name])]
            differ += [f"{key.removesuffix('s')} {name} has other content" for name in others]
            wide[key] = before | value
        elif isinstance(value, list):
            wide[key] = list(dict.fromkeys((*before, *value)))
        elif key == "seeds":
            wide[key] = max(before, value)
        else:
            differ += [f"{key} is {before}, not {value}"] if before != value else []
            wide[key] = value
    if differ:
        raise UsageError(f"{problem} ({'; '.join(differ)}): name another folder with -o, or ask for the same")
    return wide


def _processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _accelerator(rows: Sequence[Row]) -> str | None:
    """The name of what the rows were computed on, if this machine has one."""
    on_cuda = any(str(row.get("device", "")).startswith("cuda") for row in rows)
    return torch.cuda.get_device_name() if on_cuda and torch.cuda.is_available() else None
