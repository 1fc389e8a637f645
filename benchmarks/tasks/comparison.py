"""The comparison of methods: fit, draw, measure, beside the controls, on every clip and with every seed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import torch

from dyntex.benchmarks.data import MIN_TRAIN, Source, Split, eight_bits, named, split_of
from dyntex.benchmarks.methods import RANDOM, Fitted, can, check_method, controls_of, fit, is_neural, settings_of
from dyntex.benchmarks.metrics.psnr_ssim import SSIM_WINDOW
from dyntex.benchmarks.metrics.statistics.filters import MIN_SIDE
from dyntex.benchmarks.model_cache import trained
from dyntex.benchmarks.record import load_record, save_record
from dyntex.benchmarks.report.comparison_page import page
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.study import Cell, Results, Row, path_of, setting
from dyntex.benchmarks.tasks.cost import measure_speed
from dyntex.benchmarks.tasks.quality import TASKS, check_task, draw, draw_control, measure
from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.errors import UsageError
from dyntex.media import read_clip, write_clip

DRAWN = "drawn.json"
MODELS = "models"
LOSSLESS = ".mkv"


@dataclass(frozen=True)
class Comparison:
    """Methods against each other and against controls.

    A cell's folder holds its clips as lossless video, ``drawn.json`` (they are complete; what fitting told) and its
    row. What is measured is what was written, eight bits a pixel: a row can be made again without training.
    ``models/<method>/<clip>/<seed>/`` are the trained networks, for tasks that are asked for later.

    Attributes:
        clips: on which.
        tasks, methods: by name.
        size: side of the square frames.
        frames: T, the frames that methods are fitted on.
        seeds: how many, 0 to seeds - 1.
        iterations, budget: of the neural methods; None for the presets' own. A budget, in seconds, makes their rows
            depend on the machine.
        device: to train and synthesize the neural methods on.
        keep_models: whether to keep trained networks.
    """

    name: ClassVar[str] = "methods"

    clips: tuple[Source, ...] = setting(is_sources=True, quick=("example:ripples", "example:flame"))
    tasks: tuple[str, ...] = setting(TASKS, quick=tuple(task for task in TASKS if task != "critic"))
    methods: tuple[str, ...] = setting(("lds", "fft-lds", "hosvd", "kpcr", "fast"), quick=("lds", "hosvd", "fast"))
    size: int = setting(64, quick=32)
    frames: int = setting(64, quick=24)
    seeds: int = setting(3, quick=1)
    iterations: int | None = setting(None, quick=10)
    budget: float | None = None
    device: str = setting("cpu", is_kept=False)
    keep_models: bool = setting(True, is_kept=False)
    _last: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for task in self.tasks:
            check_task(task)
        for method in self.methods:
            check_method(method)
        for what, names in (("task", self.tasks), ("method", self.methods)):
            if not names or len(set(names)) < len(names):
                raise UsageError(f"the {what}s are {', '.join(names) or 'none'}: name at least one, each once")
        least = MIN_SIDE if {"statistics", "critic"} & set(self.tasks) else SSIM_WINDOW
        if self.size < least:
            raise UsageError(f"a size of {self.size} is too small for these tasks: choose {least} or more")
        if self.frames < MIN_TRAIN:
            raise UsageError(f"{self.frames} frames are too few to learn from: choose {MIN_TRAIN} or more")
        if self.seeds < 1:
            raise UsageError(f"{self.seeds} seeds measure nothing: choose 1 or more")
        if self.iterations is not None and self.iterations < 1:
            raise UsageError(f"{self.iterations} iterations train nothing: choose 1 or more")
        if self.budget is not None and not 0 < self.budget < float("inf"):
            raise UsageError(f"a budget of {self.budget:g} seconds trains nothing: choose a number above 0")
        if self.iterations is not None and self.budget is not None:
            raise UsageError(f"give {self.iterations} iterations or a budget of {self.budget:g} s, not both")

    def cells(self) -> Iterator[Cell]:
        """Those of one fit together; those of speed come last, singly, and take turns between the methods."""
        quality = [task for task in self.tasks if task != "speed"]
        digests = {source: source.digest() for source in self.clips}
        for source in self.clips:
            for seed in range(self.seeds):
                wanted = {task: controls_of(task, source) for task in quality}
                for control in dict.fromkeys(name for names in wanted.values() for name in names):
                    if seed == 0 or control in RANDOM:
                        tasks = [task for task in quality if control in wanted[task]]
                        yield from (self._cell(t, control, source, seed, digests[source], True) for t in tasks)
                for method in self.methods:
                    tasks = [task for task in quality if task != "extrapolation" or can(method, "predict")]
                    yield from (self._cell(t, method, source, seed, digests[source], False) for t in tasks)
        if "speed" in self.tasks:
            for source in self.clips:
                for seed in range(self.seeds):
                    yield from (self._cell("speed", m, source, seed, digests[source], False) for m in self.methods)

    def _cell(self, task: str, method: str, source: Source, seed: int, digest: str, control: bool) -> Cell:
        about = {"task": task, "method": method, "clip": source.name, "seed": seed, "control": control}
        known = method if control else settings_of(method, iterations=self.iterations, budget=self.budget)
        settings = {"clip": digest, "size": self.size, "frames": self.frames, "seed": seed, "method": known}
        fit_name = path_of(method, source.name, seed)
        group = f"speed/{fit_name}" if task == "speed" else fit_name
        return Cell(path_of(task, method, source.name, seed), about, settings, group, is_timed=task == "speed")

    def make(self, cell: Cell, out: Path) -> Row:
        source = named(self.clips, cell.about["clip"])
        split = split_of(source, cell.settings["clip"], size=self.size, n_frames=self.frames)
        task, method, seed = (cell.about[key] for key in ("task", "method", "seed"))
        if task == "speed":
            training = {"iterations": self.iterations, "budget": self.budget}
            return measure_speed(method, split.train, seed=seed, device=self.device, **training) | {
                "device": self.device
            }
        folder, control = cell.folder(out), cell.about["control"]
        about = load_record(folder / DRAWN, cell.settings) or self._draw(cell, split, out)
        clips = {
            stem: eight_bits(Clip(read_clip(folder / (stem + LOSSLESS)).video, split.train.fps))
            for stem in about.pop("clips")
        }
        found = measure(task, clips, split, control=method if control else None)
        frames = {"train_frames": split.train.n_frames, "heldout_frames": split.heldout.n_frames}
        return {**frames, **found, **about, **({"note": split.note} if split.note else {})}

    def _draw(self, cell: Cell, split: Split, out: Path) -> dict[str, Any]:
        """Draw the clips of a cell and keep them; their names, and what fitting told."""
        task, method, seed = (cell.about[key] for key in ("task", "method", "seed"))
        about: dict[str, Any] = {}
        if cell.about["control"]:
            drawn = draw_control(task, method, split, seed=seed)
        else:
            fitted, told = self._fitted(cell, split, out)
            drawn = draw(task, fitted, split, seed=seed, device=self.device, anchor=can(method, "anchor"))
            about = told | {"n_parameters": fitted.n_parameters}
        for stem, clip in drawn.items():
            write_clip(cell.folder(out) / (stem + LOSSLESS), clip, overwrite=True)
        about = {"clips": list(drawn), **about}
        save_record(cell.folder(out) / DRAWN, about, cell.settings)
        return about

    def _fitted(self, cell: Cell, split: Split, out: Path) -> tuple[Fitted, dict[str, Any]]:
        """The fitted method of a group of cells, and what fitting told: it is fitted once, and fails once."""
        if self._last.get("of") != (cell.group, cell.settings):
            try:
                made: Any = self._fit(cell, split, out)
            except Exception as error:
                made = error
            self._last.update(of=(cell.group, cell.settings), made=made)
        made = self._last["made"]
        if isinstance(made, Exception):
            raise made
        fitted, told = made
        return fitted, dict(told)

    def _fit(self, cell: Cell, split: Split, out: Path) -> tuple[Fitted, dict[str, Any]]:
        method, seed = cell.about["method"], cell.about["seed"]

        def train() -> Fitted:
            rng = torch.Generator(self.device).manual_seed(seed)
            return fit(method, split.train, rng=rng, iterations=self.iterations, budget=self.budget)

        if is_neural(method) and self.keep_models:
            place = out / MODELS / path_of(method, split.source.name, seed)
            model, about = trained(place, cell.settings, lambda: cast(CoopNets, train()), device=self.device)
            return model, about
        began = time.monotonic()
        return train(), {"fit_seconds": round(time.monotonic() - began, 3), "device": self.device}

    def page(self, results: Results) -> list[str | Table]:
        return page(results)
