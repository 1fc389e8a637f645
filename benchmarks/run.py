"""The sweep: fit, draw, measure, keep; and go on where it was killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.cells import ROW, WHOLE, Cell, Row, Settings, Shard, groups
from benchmarks.conditioned import Conditioned
from benchmarks.data import Ground, Source, eight_bits, prepare
from benchmarks.kept import keep, recall
from benchmarks.methods import Fitted, fit, is_neural, neural_config
from benchmarks.results import RESULTS, claim, collect
from benchmarks.speed import measure_speed
from benchmarks.tasks import draw, draw_control, measure
from dyntex.clip import Clip
from dyntex.coopnets.checkpoint import load_json, save_json
from dyntex.errors import DyntexError, InputError
from dyntex.media import read_clip, write_clip

DRAWN = "drawn.json"
MODELS = "models"
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
    ``models/<method>/<clip>/<seed>/`` are the trained networks, for tasks that are asked for later.

    Attributes:
        settings: what to do.
        sources: on which clips.
        out: the folder.
        shard: the part to do here.
        keep_models: whether to keep trained networks.
        command: the words that began it, for the record.
        on_row: told of every row, of how many are done, and of how many there are.
    """

    settings: Settings
    sources: Sequence[Source]
    out: Path
    shard: Shard = WHOLE
    keep_models: bool = True
    command: str = ""
    on_row: OnRow = ignore
    _ground: Ground | None = field(default=None, init=False)

    def run(self) -> dict[str, Any]:
        """Do what is still to do; returns, and writes, the results.

        Raises:
            UsageError: the folder holds a benchmark whose rows would not compare; nothing was changed.
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

    def _fit(self, cell: Cell) -> tuple[Fitted, dict[str, Any]]:
        """The fitted method, and what fitting it told; networks that were trained before are not trained again."""
        clip, s = self._ground_of(cell.source).train, self.settings
        place = self.out / MODELS / cell.method / cell.source.name / str(cell.seed)
        if is_neural(cell.method):
            known = recall(place, clip, neural_config(cell.method, iterations=s.iterations), device=s.device)
            if known is not None:
                return known
        began = time.monotonic()
        rng = torch.Generator(s.device).manual_seed(cell.seed)
        fitted = fit(cell.method, clip, rng=rng, iterations=s.iterations, budget=s.budget)
        about = {"fit_seconds": round(time.monotonic() - began, 3), "device": s.device}
        if isinstance(fitted, Conditioned) and self.keep_models:
            keep(place, fitted, clip, about)
        return fitted, about

    def _draw(self, cell: Cell, fitted: tuple[Fitted, dict[str, Any]] | None) -> None:
        ground, about = self._ground_of(cell.source), {}
        if fitted is None:
            drawn = draw_control(cell.task, cell.method, ground, seed=cell.seed)
        else:
            method, told = fitted
            drawn = draw(cell.task, method, ground, seed=cell.seed, device=self.settings.device)
            about = told | {"n_parameters": method.n_parameters}
        folder = cell.folder(self.out)
        folder.mkdir(parents=True, exist_ok=True)
        for stem, clip in drawn.items():
            write_clip(folder / (stem + LOSSLESS), clip, overwrite=True)
        save_json(folder / DRAWN, {"clips": list(drawn), **about})

    def _measure(self, cell: Cell) -> dict[str, Any]:
        ground = self._ground_of(cell.source)
        about = load_json(cell.folder(self.out) / DRAWN)
        clips = {
            stem: eight_bits(Clip(read_clip(cell.folder(self.out) / (stem + LOSSLESS)).video, ground.train.fps))
            for stem in about.pop("clips")
        }
        found = measure(cell.task, clips, ground, control=cell.method if cell.control else None)
        note = {"note": ground.note} if ground.note else {}
        frames = {"train_frames": ground.train.n_frames, "heldout_frames": ground.heldout.n_frames}
        return {**frames, **found, **about, **note}

    def _speed(self, cell: Cell) -> dict[str, Any]:
        s, clip = self.settings, self._ground_of(cell.source).train
        training = {"iterations": s.iterations, "budget": s.budget}
        return measure_speed(cell.method, clip, seed=cell.seed, device=s.device, **training) | {"device": s.device}
