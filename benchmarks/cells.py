"""A sweep as a list of cells, one folder each: what there is to do, and what is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.data import MIN_TRAIN, Source
from benchmarks.methods import RANDOM, check_method, controls_of
from benchmarks.metrics import SSIM_WINDOW
from benchmarks.metrics.statistics.filters import MIN_SIDE
from benchmarks.tasks import check_task
from dyntex.coopnets.checkpoint import load_json
from dyntex.errors import UsageError

Row = dict[str, Any]

TIMINGS = ("seconds", "fit_seconds", "frames_per_second", "peak_mb", "base_mb")
"""What another run of the same cell may give another value of; everything else in a row is determined."""

ROW = "row.json"


@dataclass(frozen=True)
class Settings:
    """What the numbers of a sweep depend on, besides the clips.

    Attributes:
        tasks, methods: by name.
        size: side of the square frames.
        frames: T, the frames that methods are fitted on.
        seeds: how many, 0 to seeds - 1.
        iterations, budget: of the neural methods; None for the presets' own. A budget, in seconds, makes their rows
            depend on the machine.
        device: to train and synthesize the neural methods on.
    """

    tasks: tuple[str, ...]
    methods: tuple[str, ...]
    size: int = 64
    frames: int = 64
    seeds: int = 3
    iterations: int | None = None
    budget: float | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        for task in self.tasks:
            check_task(task)
        for method in self.methods:
            check_method(method)
        for what, names in (("task", self.tasks), ("method", self.methods)):
            if not names or len(set(names)) < len(names):
                raise UsageError(f"the {what}s are {', '.join(names) or 'none'}: name at least one, each once")
        least = MIN_SIDE if "statistics" in self.tasks else SSIM_WINDOW
        if self.size < least:
            raise UsageError(f"a size of {self.size} is too small for these tasks: choose {least} or more")
        if self.frames < MIN_TRAIN:
            raise UsageError(f"{self.frames} frames are too few to learn from: choose {MIN_TRAIN} or more")
        if self.seeds < 1:
            raise UsageError(f"{self.seeds} seeds measure nothing: choose 1 or more")
        if self.iterations is not None and self.iterations < 1:
            raise UsageError(f"{self.iterations} iterations teach nothing: choose 1 or more")
        if self.budget is not None and not 0 < self.budget < float("inf"):
            raise UsageError(f"a budget of {self.budget:g} seconds teaches nothing: choose a number above 0")
        if self.iterations is not None and self.budget is not None:
            raise UsageError(f"{self.iterations} iterations and a budget of {self.budget:g} s exclude each other")

    def to_json(self, sources: Sequence[Source]) -> dict[str, Any]:
        """With the clips, what ``config.json`` holds; the device is the rows'.

        Clips are known by content, so that folders may move.
        """
        data = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        del data["device"]
        return data | {"clips": {source.name: source.digest() for source in sources}}


@dataclass(frozen=True)
class Cell:
    """One row to be.

    Attributes:
        method: a method's name, or a control's.
    """

    task: str
    method: str
    source: Source
    seed: int
    control: bool

    def folder(self, root: Path) -> Path:
        return root / self.task / self.method / self.source.name / str(self.seed)

    def blank(self) -> Row:
        return {
            "task": self.task,
            "method": self.method,
            "clip": self.source.name,
            "seed": self.seed,
            "control": self.control,
        }

    def finished(self, root: Path) -> Row | None:
        """Its row, unless it is still to be made or failed."""
        row = read_row(self.folder(root))
        return row if row is not None and row.get("status") == "ok" else None


def read_row(folder: Path) -> Row | None:
    """The row in a cell's folder, failed ones included."""
    return load_json(folder / ROW) if (folder / ROW).exists() else None


def groups(settings: Settings, sources: Sequence[Source]) -> Iterator[tuple[Cell, ...]]:
    """All cells, those of one fit together; those of speed come last, singly, and take turns between the methods."""
    quality = [task for task in settings.tasks if task != "speed"]
    for source in sources:
        for seed in range(settings.seeds):
            wanted = {task: controls_of(task, source) for task in quality}
            for control in dict.fromkeys(name for names in wanted.values() for name in names):
                if seed == 0 or control in RANDOM:
                    yield tuple(Cell(t, control, source, seed, True) for t in quality if control in wanted[t])
            for method in settings.methods if quality else ():
                yield tuple(Cell(task, method, source, seed, False) for task in quality)
    if "speed" in settings.tasks:
        for source in sources:
            for seed in range(settings.seeds):
                for method in settings.methods:
                    yield (Cell("speed", method, source, seed, False),)


@dataclass(frozen=True)
class Shard:
    """The i-th of n parts of a sweep: every n-th group of cells (so that no model is fitted twice)."""

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

    def of(self, items: Sequence[tuple[Cell, ...]]) -> Sequence[tuple[Cell, ...]]:
        return items[self.index - 1 :: self.count]


WHOLE = Shard()
