"""What each part of ``fast`` is worth: the preset with one part left out at a time, beside LDS; and what training adds.

``python -m benchmarks.ablation --clips CLIPS... --out fast.md`` writes the page, and beside it ``fast.json`` with every
cell that is finished: what was killed goes on there, and a cell of other settings is made anew. Seconds are those of
the processor, so that a machine that others use changes no number; run it with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from baselines import METHODS
from benchmarks.data import Ground, Source, find_clips, prepare
from benchmarks.summary import grid
from benchmarks.tasks import SAMPLES, measure, rng_for
from dyntex.coopnets.checkpoint import load_json, save_json
from dyntex.coopnets.config import CoopConfig, to_json
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import FAST

LDS = "LDS"
WHOLE = "fast, untaught"


def without(**changes: Any) -> CoopConfig:
    """``fast`` with other settings of its generator."""
    return replace(FAST, generator=replace(FAST.generator, **changes))


PARTS: dict[str, CoopConfig] = {
    WHOLE: FAST,
    "Gaussian noise in place of sparse": without(bursts=0.0, fade=0.5),
    "one region in place of 3x3": without(regions=1),
    "no curves: a line for each pixel": without(levels=2),
    "no ramp: colours on a line": without(colours=2),
    "curves of single pixels": without(smooth=0.0),
}
"""One part of the preset left out at a time, by what stands in its place."""

Numbers = dict[str, float]
"""``score``, ``diversity`` and ``copy_distance`` of the samples, as the benchmark's statistics task has them."""


@dataclass(frozen=True)
class Cell:
    """One model of one clip.

    Attributes:
        row: what it is called.
        source: the clip.
        config: None for LDS.
        seconds: of training; None for the config's iterations, 0 for none.
    """

    row: str
    source: Source
    config: CoopConfig | None
    seconds: float | None = 0.0

    @property
    def key(self) -> str:
        return f"{self.row} / {self.source.name}"

    def digest(self, ground: Ground) -> str:
        """Of everything that its numbers depend on."""
        video = hashlib.sha256(ground.train.to_uint8().tobytes() + ground.heldout.to_uint8().tobytes()).hexdigest()
        about = [None if self.config is None else to_json(self.config), self.seconds, video]
        return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]

    def make(self, ground: Ground) -> dict[str, Any]:
        """Fit, draw two samples, and measure them: the generator's, and where it was taught the revised ones too."""
        began, rng = time.process_time(), torch.Generator().manual_seed(0)
        if self.config is None:
            lds = METHODS["lds"].fit(ground.train, rng=rng)
            clips = {s: lds.synthesize(ground.train.n_frames, rng=rng_for(s, seed=0, device="cpu")) for s in SAMPLES}
            return {"seconds": time.process_time() - began, "alone": _numbers(clips, ground)}
        progress = None if self.seconds is None else training(self.seconds)
        model = CoopNets.fit(ground.train, self.config, rng=rng, progress=progress)
        fitted = time.process_time()
        made = {"alone": _draw(model, ground, n_steps=0)}
        found: dict[str, Any] = {"seconds": time.process_time() - began, "iterations": model.iterations}
        if model.iterations:
            made["revised"] = _draw(model, ground, n_steps=None)
        found["fit_seconds"] = fitted - began
        return found | {name: _numbers(clips, ground) for name, clips in made.items()}


def training(seconds: float) -> Any:
    """The share of so many seconds of the processor that is gone since the first question; 0 are over at once."""
    began: list[float] = []

    def share(_: int) -> float:
        began[:] = began or [time.process_time()]
        return (time.process_time() - began[0]) / seconds if seconds else 1.0

    return share


def _draw(model: CoopNets, ground: Ground, *, n_steps: int | None) -> dict[str, Any]:
    T = ground.train.n_frames
    return {s: model.synthesize(T, rng=rng_for(s, seed=0, device="cpu"), n_steps=n_steps) for s in SAMPLES}


def _numbers(clips: Mapping[str, Any], ground: Ground) -> Numbers:
    found = measure("statistics", clips, ground)
    return {name: found[name] for name in ("score", "diversity", "copy_distance")}


def cells(sources: Sequence[Source], *, taught: Sequence[str], seconds: Sequence[float]) -> Iterator[Cell]:
    """All cells, the cheap ones first.

    Args:
        sources: the clips.
        taught: names of those that a training is made for.
        seconds: lengths of training.
    """
    for source in sources:
        yield Cell(LDS, source, None)
        yield from (Cell(row, source, config) for row, config in PARTS.items())
    chosen = [source for source in sources if source.name in taught]
    yield from (Cell(taught_row(None), source, FAST, None) for source in chosen)
    yield from (Cell(taught_row(s), source, FAST, s) for s in seconds for source in chosen)


def taught_row(seconds: float | None) -> str:
    return f"fast, {FAST.iterations} iterations" if seconds is None else f"fast, {seconds:g} s"


def page(done: Mapping[str, Any], sources: Sequence[Source], *, taught: Sequence[str], seconds: Sequence[float]) -> str:
    """The tables of the cells that are finished, in Markdown; a dash is a cell that is not."""
    names = [source.name for source in sources]
    chosen = [name for name in names if name in taught]
    parts = [_part(done, row, names) for row in (LDS, *PARTS)]
    rows = [_taught(done, row, "alone", chosen) for row in (LDS, WHOLE)]
    rows += [_taught(done, taught_row(None), kind, chosen) for kind in ("alone", "revised")]
    times = []
    for name in chosen:
        for kind in ("alone", "revised"):
            keys = [WHOLE if kind == "alone" else "", *map(taught_row, seconds)]
            values = [_number(done.get(f"{key} / {name}"), kind, "score") for key in keys]
            lds = _number(done.get(f"{LDS} / {name}"), "alone", "score")
            times.append([f"{name}, {_KINDS[kind]}", *map(_shown, values), _shown(lds)])
    return "\n\n".join(
        [
            "## One part left out at a time",
            "The statistics score (1 = as far as real from real), the geometric mean over the clips, and the means of "
            "diversity (real: 1), of copy distance (real: 1) and of the processor's seconds for fitting and two "
            "samples.",
            grid(["model", *names, "all", "diversity", "copy distance", "seconds"], parts),
            "## Training",
            "Without training, as the preset trains, and the taught generator's samples revised by the taught "
            "descriptor, as `synthesize` and `sample` do by default.",
            grid(["model", *chosen, "all", "diversity", "copy distance", "iterations", "seconds of fitting"], rows),
            "## Score against training time",
            "A training for each length, on one thread; its learning rates fall over its second half.",
            grid(["clip", "0 s", *(f"{s:g} s" for s in seconds), LDS], times),
        ]
    )


_KINDS = {"alone": "generator alone", "revised": "revised"}


def _part(done: Mapping[str, Any], row: str, names: Sequence[str]) -> list[str]:
    found = [done.get(f"{row} / {name}") for name in names]
    return [row, *_scores(found, "alone"), _shown(_mean([_number(cell, None, "seconds") for cell in found]), 1)]


def _taught(done: Mapping[str, Any], row: str, kind: str, names: Sequence[str]) -> list[str]:
    found = [done.get(f"{row} / {name}") for name in names]
    last = [_shown(_mean([_number(cell, None, key) for cell in found]), 0) for key in ("iterations", "fit_seconds")]
    return [f"{row}, revised" if kind == "revised" else row, *_scores(found, kind), *last]


def _scores(found: Sequence[Any], kind: str) -> list[str]:
    scores = [_number(cell, kind, "score") for cell in found]
    means = [_mean([_number(cell, kind, key) for cell in found]) for key in ("diversity", "copy_distance")]
    logs = [math.log(s) if s is not None else None for s in scores]
    mean = _mean(logs)
    return [*map(_shown, scores), _shown(None if mean is None else math.exp(mean)), *map(_shown, means)]


def _number(cell: Any, kind: str | None, key: str) -> float | None:
    where = cell if cell is None or kind is None else cell.get(kind)
    return None if where is None else where.get(key)


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, if all are there: a mean over other clips than its neighbour's would compare with nothing."""
    there = [value for value in values if value is not None]
    return statistics.mean(there) if there and len(there) == len(values) else None


def _shown(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the page of what each part of fast is worth.")
    parser.add_argument("--clips", nargs="+", required=True, help="a folder, files, example:NAME or examples")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the Markdown file")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--taught", nargs="*", help="names of the clips that are trained on; by default all")
    parser.add_argument("--seconds", nargs="*", type=float, default=[30.0, 60.0, 120.0, 300.0])
    a = parser.parse_args()
    sources = find_clips(a.clips)
    taught = [source.name for source in sources] if a.taught is None else a.taught
    write(sources, a.out, size=a.size, n_frames=a.frames, taught=taught, seconds=a.seconds)


def write(
    sources: Sequence[Source], out: Path, *, size: int, n_frames: int, taught: Sequence[str], seconds: Sequence[float]
) -> None:
    """Make the cells that are missing, and after each of them the page.

    Raises:
        InputError: a clip cannot be read or is too short.
    """
    torch.set_flush_denormal(True)  # as the command line sets it
    kept = out.with_suffix(".json")
    done: dict[str, Any] = load_json(kept) if kept.exists() else {}
    ground = cache(lambda source: prepare(source, size=size, n_frames=n_frames))
    about = (
        f"# What `fast` is made of\n\nMade by `python -m benchmarks.ablation --clips CLIPS --size {size} --frames "
        f"{n_frames} --taught {' '.join(taught)} --seconds {' '.join(f'{s:g}' for s in seconds)}`; two samples a cell."
    )
    for cell in cells(sources, taught=taught, seconds=seconds):
        digest = cell.digest(ground(cell.source))
        if done.get(cell.key, {}).get("of") != digest:
            done[cell.key] = {"of": digest} | cell.make(ground(cell.source))
            save_json(kept, done)
        out.write_text(f"{about}\n\n{page(done, sources, taught=taught, seconds=seconds)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
