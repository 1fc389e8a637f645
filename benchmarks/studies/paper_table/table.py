"""The paper's comparison with the paper's networks, the public variants of its baselines, and the controls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch

from dyntex.baselines.common import LinearVideo
from dyntex.baselines.hosvd import HOSVD, HOSVDConfig
from dyntex.baselines.lds import LDS, LDSConfig
from dyntex.benchmarks.data import MIN_TRAIN, Source, Split, eight_bits, named, split_of
from dyntex.benchmarks.methods import RANDOM, Fitted, fit, settings_of
from dyntex.benchmarks.metrics.statistics.filters import MIN_SIDE
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.studies.paper_table.names import CONTROLS, NETWORKS, RECONSTRUCTED, WORDS
from dyntex.benchmarks.studies.paper_table.training import DRAWN, KINDS
from dyntex.benchmarks.study import Cell, Results, Row, path_of, setting
from dyntex.benchmarks.tasks.quality import SAMPLES, draw, draw_control, measure
from dyntex.clip import Clip
from dyntex.coopnets.checkpoint import load_json
from dyntex.errors import InputError, UsageError
from dyntex.experiment.run import RESULT

KEPT = ("psnr", "ssim", "anchored_psnr", "anchored_ssim", "score", "diversity", "copy_distance")


def _uncentred(clip: Clip, rng: torch.Generator) -> Fitted:
    # The ranks of the model done right, and a component for the mean.
    r_time, _, *r_space = HOSVD.fit(clip, rng=rng).core.shape
    config = HOSVDConfig(r_time=r_time + 1, r_space=max(r_space), centred=False)
    return cast(Fitted, HOSVD.fit(clip, config, rng=rng))


VARIANTS: dict[str, Callable[[Clip, torch.Generator], Fitted]] = {
    "lds, noise times sqrt(T-1)": lambda clip, rng: cast(Fitted, LDS.fit(clip, LDSConfig(noise="unscaled"), rng=rng)),
    "lds, no noise": lambda clip, rng: cast(Fitted, LDS.fit(clip, LDSConfig(noise="none"), rng=rng)),
    "hosvd, uncentred": _uncentred,
}
"""LDS and HOSVD with one thing wrong, as public codes have them."""


@dataclass(frozen=True)
class PaperTable:
    """The networks of the paper, trained before, beside everything that they are compared with.

    The networks have rows as far as their trainings, ``dyntex.benchmarks.studies.paper_table.training``, are finished.

    Attributes:
        clips: on which.
        size, frames, seeds: as of the comparison of methods.
        methods: by name, without the networks and the variants.
        trained: folder of the trainings.
        words: a JSON file of what no command can write: ``sentences``, a list; ``seen``, a word on each clip's picture;
            ``about``, a sentence on the training; ``picture``, a line of Markdown.
    """

    name: ClassVar[str] = "paper-table"

    clips: tuple[Source, ...] = setting(is_sources=True, quick=("example:ripples", "example:flame"))
    methods: tuple[str, ...] = setting(("fast", "lds", "hosvd", "fft-lds", "kpcr"), quick=("lds", "hosvd"))
    size: int = setting(64, quick=32)
    frames: int = setting(64, quick=24)
    seeds: int = setting(3, quick=1)
    trained: Path | None = setting(None, is_kept=False)  # noqa: RUF009 (a field)
    words: Path | None = setting(None, is_kept=False)  # noqa: RUF009

    def __post_init__(self) -> None:
        if self.size < MIN_SIDE:
            raise UsageError(f"a size of {self.size} is too small for the score: choose {MIN_SIDE} or more")
        if self.frames < MIN_TRAIN:
            raise UsageError(f"{self.frames} frames are too few to learn from: choose {MIN_TRAIN} or more")
        if self.seeds < 1:
            raise UsageError(f"{self.seeds} seeds measure nothing: choose 1 or more")
        if self.trained is not None and not self.trained.is_dir():
            raise UsageError(f"--trained {self.trained} is not a folder: name that of the trainings")

    def cells(self) -> Iterator[Cell]:
        for source in self.clips:
            digest = source.digest()
            for seed in range(self.seeds):
                common = {"clip": digest, "size": self.size, "frames": self.frames, "seed": seed}
                for method, settings in self._wanted(source, seed):
                    about = {"task": "paper", "method": method, "clip": source.name, "seed": seed}
                    control = method in CONTROLS or method in RECONSTRUCTED.values()
                    path = path_of(method, source.name, seed)
                    yield Cell(path, about | {"control": control}, common | {"method": settings})
        if self.words is not None:
            text = self.words.read_text(encoding="utf-8")
            yield Cell(WORDS, {"task": WORDS, "method": WORDS, "clip": "", "seed": 0}, {"text": text})

    def _wanted(self, source: Source, seed: int) -> Iterator[tuple[str, Any]]:
        """The methods of a clip and a seed, with what their numbers depend on."""
        result = None if self.trained is None else self.trained / source.name / str(seed) / RESULT
        if result is not None and result.is_file():
            for method in NETWORKS.values():
                yield method, load_json(result)
        for method in self.methods:
            yield method, settings_of(method, iterations=None, budget=None)
        for method in VARIANTS:
            yield method, method
        for method in RECONSTRUCTED.values() if seed == 0 else ():
            yield method, method
        for control in CONTROLS:
            if seed == 0 or control in RANDOM:
                yield control, control

    def make(self, cell: Cell, out: Path) -> Row:
        if cell.about["task"] == WORDS:
            told: Row = json.loads(cell.settings["text"])
            return told
        method, seed = cell.about["method"], cell.about["seed"]
        source = named(self.clips, cell.about["clip"])
        split = split_of(source, cell.settings["clip"], size=self.size, n_frames=self.frames)
        told = {"train_frames": split.train.n_frames}
        if method in CONTROLS:
            clips = {
                k: v
                for task in ("paper", "statistics")
                for k, v in draw_control(task, method, split, seed=seed).items()
            }
        elif method in NETWORKS.values():
            assert self.trained is not None
            clips = samples_of(self.trained / source.name / str(seed), method, split)
            told |= {key: cell.settings["method"][key] for key in ("iterations", "precision")}
        elif method in RECONSTRUCTED.values():
            (base,) = (name for name, title in RECONSTRUCTED.items() if title == method)
            model = cast(LinearVideo, self._fit(base, split.train, seed))
            clips = {"free": model.reconstruct(split.train)}  # type: ignore[misc]
        else:
            fitted = self._fit(method, split.train, seed)
            drawn = [draw(task, fitted, split, seed=seed, device="cpu") for task in ("paper", "statistics")]
            clips = drawn[0] | drawn[1]
        return told | numbers(clips, split, control=method if cell.about["control"] else None)

    def _fit(self, method: str, clip: Clip, seed: int) -> Fitted:
        rng = torch.Generator().manual_seed(seed)
        return VARIANTS[method](clip, rng) if method in VARIANTS else fit(method, clip, rng=rng)

    def page(self, results: Results) -> list[str | Table]:
        from dyntex.benchmarks.studies.paper_table.page import page

        return page(results)


def samples_of(folder: Path, method: str, split: Split) -> dict[str, Clip]:
    """The clips of a finished training: of the revised chains, of the generator alone, or the training's own chains.

    Raises:
        InputError: they are of another clip's size.
    """
    (kind,) = (key for key, title in NETWORKS.items() if title == method)
    if kind in KINDS:
        with np.load(folder / DRAWN, allow_pickle=False) as held:
            frames = {name: held[f"{kind}/{name}"] for name in ("free", "anchored", *SAMPLES)}
    else:
        last = max(folder.glob("snapshot-*.npz"))
        with np.load(last, allow_pickle=False) as held:
            chains = [held[f"revised-{b}"] for b in range(2)]
        frames = {"free": chains[0]} | dict(zip(SAMPLES, chains, strict=True))
    clips = {name: Clip.from_uint8(array, split.train.fps) for name, array in frames.items()}
    for clip in clips.values():
        if clip.video.shape != split.train.video.shape:
            have, need = ("x".join(map(str, c.video.shape)) for c in (clip, split.train))
            raise InputError(f"samples of {split.source.name} are {have} (CxTxHxW) and its clip {need}: train it again")
    return clips


def numbers(clips: Mapping[str, Clip], split: Split, *, control: str | None) -> Row:
    """PSNR and SSIM, and the score where there are samples for it, in eight bits as all clips are measured."""
    clips = {key: eight_bits(clip) for key, clip in clips.items()}
    found = measure("paper", {k: v for k, v in clips.items() if k not in SAMPLES}, split, control=control)
    if all(key in clips for key in SAMPLES):
        found |= measure("statistics", clips, split, control=control)
    return {key: found[key] for key in KEPT if key in found}
