"""The sweep: fit, draw, measure, keep; go on where it was killed; and the results of all of it in one file."""

from __future__ import annotations

import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.cells import ROW, TIMINGS, WHOLE, Cell, Row, Settings, Shard, groups, read_row
from benchmarks.data import Ground, Source, prepare
from benchmarks.methods import Fitted, fit
from benchmarks.speed import measure_speed
from benchmarks.tasks import draw, draw_control, measure
from dyntex.checkpoint import load_json, save_json
from dyntex.clip import Clip
from dyntex.errors import DyntexError, InputError, UsageError
from dyntex.media import read_clip, write_clip
from dyntex.run import environment

SCHEMA_VERSION = 1
CONFIG = "config.json"
RESULTS = "results.json"
DRAWN = "drawn.json"
LOSSLESS = ".mkv"

OnRow = Callable[[Row, int, int], None]


def ignore(row: Row, done: int, total: int) -> None:
    """The listener that does not listen."""


@dataclass
class Sweep:
    """A benchmark in a folder.

    The folder holds ``config.json``, ``results.json`` and ``<task>/<method>/<clip>/<seed>/`` with the cell's clips as
    lossless video, ``drawn.json`` (they are complete; what fitting told) and ``row.json`` (they are measured). What is
    measured is what was written, eight bits a pixel: a row can be made again from its folder, without training.

    Attributes:
        settings: what to do.
        sources: on which clips.
        out: the folder.
        shard: the part to do here.
        command: the words that began it, for the record.
        on_row: told of every row, of how many are done, and of how many there are.
    """

    settings: Settings
    sources: Sequence[Source]
    out: Path
    shard: Shard = WHOLE
    command: str = ""
    on_row: OnRow = ignore
    _ground: Ground | None = field(default=None, init=False)

    def run(self) -> dict[str, Any]:
        """Do what is still to do; returns, and writes, the results.

        Raises:
            UsageError: the folder holds a benchmark of another configuration; nothing was changed.
            InputError: no cell could be run; the rows say why, and the first reason is the error's.
        """
        claim(self.out, self.settings.to_json(self.sources))
        mine = self.shard.of(list(groups(self.settings, self.sources)))
        total, done = sum(map(len, mine)), 0
        for cells in mine:
            fresh = [cell for cell in cells if cell.finished(self.out) is None]
            made = dict(zip(fresh, self._make(fresh), strict=True)) if fresh else {}
            for cell in cells:
                done += 1
                row = made.get(cell) or cell.finished(self.out)
                assert row is not None
                self.on_row(row, done, total)
        results = collect(self.out, command=self.command)
        save_json(self.out / RESULTS, results)
        reasons = [row["reason"] for row in results["rows"] if row["status"] == "failed"]
        if len(reasons) == len(results["rows"]) > 0:
            raise InputError(f"nothing could be run: {reasons[0]}")
        return results

    def _make(self, cells: Sequence[Cell]) -> list[Row]:
        """The rows of cells that share one fit; all clips are drawn and kept before any is measured."""
        if cells[0].task == "speed":
            return [self._row(cells[0], self._speed)]
        undrawn = [cell for cell in cells if not (cell.folder(self.out) / DRAWN).exists()]
        try:
            fitted = self._fit(undrawn[0]) if undrawn and not undrawn[0].control else None
        except Exception as error:
            return [self._fail(cell, error) for cell in cells]
        failed = {}
        for cell in undrawn:
            try:
                self._draw(cell, fitted)
            except Exception as error:
                failed[cell] = self._fail(cell, error)
        return [failed.get(cell) or self._row(cell, self._measure) for cell in cells]

    def _row(self, cell: Cell, work: Callable[[Cell], dict[str, Any]]) -> Row:
        began = time.monotonic()
        try:
            row = cell.blank() | {"status": "ok"} | work(cell)
        except Exception as error:
            return self._fail(cell, error)
        return self._keep(cell, row | {"seconds": round(time.monotonic() - began, 3)})

    def _fail(self, cell: Cell, error: Exception) -> Row:
        reason = str(error) if isinstance(error, DyntexError) else f"{type(error).__name__}: {error}"
        return self._keep(cell, cell.blank() | {"status": "failed", "reason": " ".join(reason.split()), "seconds": 0.0})

    def _keep(self, cell: Cell, row: Row) -> Row:
        folder = cell.folder(self.out)
        folder.mkdir(parents=True, exist_ok=True)
        save_json(folder / ROW, row)
        return row

    def _ground_of(self, source: Source) -> Ground:
        if self._ground is None or self._ground.source != source:
            self._ground = prepare(source, size=self.settings.size, n_frames=self.settings.frames)
        return self._ground

    def _fit(self, cell: Cell) -> tuple[Fitted, float]:
        """The fitted method and the seconds it took."""
        ground, s = self._ground_of(cell.source), self.settings
        began = time.monotonic()
        rng = torch.Generator(s.device).manual_seed(cell.seed)
        fitted = fit(cell.method, ground.train, rng=rng, iterations=s.iterations, budget=s.budget)
        return fitted, round(time.monotonic() - began, 3)

    def _draw(self, cell: Cell, fitted: tuple[Fitted, float] | None) -> None:
        ground, about = self._ground_of(cell.source), {}
        if fitted is None:
            drawn = draw_control(cell.task, cell.method, ground, seed=cell.seed)
        else:
            method, seconds = fitted
            drawn = draw(cell.task, method, ground, seed=cell.seed, device=self.settings.device)
            about = {"fit_seconds": seconds, "n_parameters": method.n_parameters}
        folder = cell.folder(self.out)
        folder.mkdir(parents=True, exist_ok=True)
        for stem, clip in drawn.items():
            write_clip(folder / (stem + LOSSLESS), clip, overwrite=True)
        save_json(folder / DRAWN, {"clips": list(drawn), **about})

    def _measure(self, cell: Cell) -> dict[str, Any]:
        ground = self._ground_of(cell.source)
        about = load_json(cell.folder(self.out) / DRAWN)
        clips = {
            stem: Clip(read_clip(cell.folder(self.out) / (stem + LOSSLESS)).video, ground.train.fps)
            for stem in about.pop("clips")
        }
        found = measure(cell.task, clips, ground, control=cell.method if cell.control else None)
        note = {"note": ground.note} if ground.note else {}
        frames = {"train_frames": ground.train.n_frames, "heldout_frames": ground.heldout.n_frames}
        return {**frames, **found, **about, **note}

    def _speed(self, cell: Cell) -> dict[str, Any]:
        s = self.settings
        return measure_speed(
            cell.method,
            cell.source,
            size=s.size,
            n_frames=s.frames,
            seed=cell.seed,
            device=s.device,
            iterations=s.iterations,
            budget=s.budget,
        )


def claim(out: Path, config: dict[str, Any]) -> None:
    """Make the folder a benchmark's of this configuration, or find that it is.

    Raises:
        UsageError: it is another's, or something else is in it, or it cannot be made. Nothing was changed.
    """
    if (out / CONFIG).exists():
        held = load_json(out / CONFIG)
        if held != config:
            keys = config.keys() | (held.keys() if isinstance(held, dict) else set())
            other = [key for key in sorted(keys) if not isinstance(held, dict) or held.get(key) != config.get(key)]
            raise UsageError(
                f"{out} holds a benchmark of another configuration ({', '.join(other)} differ): "
                "name another folder with -o, or ask for the same"
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is no benchmark's folder: name another with -o")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {out} cannot be made ({error.strerror}): name another with -o") from error
    save_json(out / CONFIG, config)


def collect(out: Path, *, command: str) -> dict[str, Any]:
    """The results so far of a benchmark's folder, its rows in the order of the cells, whenever they were made."""
    config = load_json(out / CONFIG)
    settings, sources = _from_json(config, out)
    found = [read_row(cell.folder(out)) for group in groups(settings, sources) for cell in group]
    about = environment()
    machine = {key: about[key] for key in ("platform", "processor_threads", "memory_bytes")}
    return {
        "schema_version": SCHEMA_VERSION,
        "config": config,
        "command": command,
        "versions": {key: value for key, value in about.items() if key not in {*machine, "command"}},
        "machine": machine | {"processor": _processor(), "accelerator": _accelerator(settings.device)},
        "complete": None not in found,
        "rows": [row for row in found if row is not None],
    }


def load_results(folder: Path) -> dict[str, Any]:
    """What ``results.json`` of a benchmark's folder holds.

    Raises:
        InputError: it is missing, or no such thing.
    """
    results = load_json(folder / RESULTS)
    if not isinstance(results, dict) or results.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"{folder / RESULTS} is not the results of a benchmark of version {SCHEMA_VERSION}")
    return results


def merge(folders: Sequence[Path], out: Path) -> dict[str, Any]:
    """Bring the cells of several folders (shards, machines) together in one, and write their results.

    Of a cell that several have, the first that is not a failure is taken.

    Raises:
        InputError: a folder holds no benchmark.
        UsageError: their configurations differ, or ``out`` holds another.
    """
    loaded = [load_results(folder) for folder in folders]
    config = loaded[0]["config"]
    for folder, results in zip(folders, loaded, strict=True):
        if results["config"] != config:
            raise UsageError(f"{folder} and {folders[0]} hold benchmarks of different configurations: merge equal ones")
    settings, sources = _from_json(config, folders[0])
    claim(out, config)
    for cell in (cell for group in groups(settings, sources) for cell in group):
        for folder in folders:
            if cell.finished(out) is None and read_row(cell.folder(folder)) is not None and folder != out:
                shutil.copytree(cell.folder(folder), cell.folder(out), dirs_exist_ok=True)
    machines = [results["machine"] for results in loaded]
    same = all(machine == machines[0] for machine in machines)
    about = {"versions": loaded[0]["versions"], "machine": machines[0] if same else {"several": machines}}
    merged = collect(out, command=loaded[0]["command"]) | about
    save_json(out / RESULTS, merged)
    return merged


def without_timings(results: dict[str, Any]) -> dict[str, Any]:
    """Results less what two runs of one sweep may differ in: the rest is equal, on one machine, bit for bit."""
    rows = [{key: value for key, value in row.items() if key not in TIMINGS} for row in results["rows"]]
    return results | {"rows": rows}


def _from_json(config: Any, folder: Path) -> tuple[Settings, list[Source]]:
    try:
        words: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        # An example's digest is its name; other clips' are of no use but to tell them apart, and need no place here.
        sources = [Source(name, digest) for name, digest in words.pop("clips").items()]
        return Settings(**words), sources
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} is not the configuration of a benchmark: {error}") from error


def _processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _accelerator(device: str) -> str | None:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else None
