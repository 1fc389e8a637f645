"""A training run in a folder: what was asked, what happened, and what it takes to go on after a crash."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from torch import Tensor

from dyntex import __version__
from dyntex.clip import Clip, concatenate
from dyntex.coopnets.checkpoint import CONFIG, MODEL, Checkpoints, load_json, make_folder, save_json
from dyntex.coopnets.config import CoopConfig, to_json
from dyntex.coopnets.model import CoopNets, ignore
from dyntex.coopnets.observe import observe
from dyntex.coopnets.ranks import ALONE, Ranks
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.watchdog import watched
from dyntex.errors import StoppedError, UsageError
from dyntex.experiment.memory import check_memory
from dyntex.experiment.metrics_log import append, rewind
from dyntex.experiment.redact import seen_from, without_folders
from dyntex.media import sheet, write_png
from dyntex.random_streams import generator
from dyntex.runtime import full_speed

METRICS = "metrics.jsonl"
ENV = "env.json"
RESULT = "result.json"
SAMPLES = "samples"
PLACES = ("output", "sheet", "side_by_side", "report", "model")
"""What of a result is a path."""
PREVIEWED = 8
"""Clips of a set that a preview shows."""
SAVE_SHARE = 0.05
"""Saving takes at most about this share of the time: a checkpoint of the paper's model is 3 GB."""


@dataclass
class Run:
    """One training in a folder.

    The folder holds ``config.json`` (what was asked), ``env.json`` (with what it ran), ``metrics.jsonl`` (a line an
    iteration), ``checkpoints/``, ``samples/`` (what the generator made on the way) and, after a success,
    ``result.json``.

    Attributes:
        folder: made if it is not there; its parent must be.
        config: the networks and the training.
        seed: of all randomness.
        device: to train on.
        budget: seconds for the whole of :meth:`train` and what comes after it, in place of the config's iterations.
        afterwards: asked, where there is a budget, before the first iteration, with the networks as they are then: how
            many of its seconds are to be left.
        save_every: seconds between checkpoints, more where saving takes long.
        resume: go on from the folder's last checkpoint.
        overwrite: start anew in a folder that holds another run.
        on_step: called after every iteration, with its record and the share of the training that is done.
        notice: called with progress messages.
        stop: asked after every iteration; True saves and raises :class:`StoppedError`.
        ranks: the processes that share the training, each with such a run; the first writes.
    """

    folder: Path
    config: CoopConfig
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    budget: float | None = None
    afterwards: Callable[[CoopNets], float] = lambda _model: 0.0
    save_every: float = 60.0
    resume: bool = False
    overwrite: bool = False
    on_step: Callable[[StepInfo, float], None] = lambda _info, _share: None
    notice: Callable[[str], None] = ignore
    stop: Callable[[], bool] = lambda: False
    ranks: Ranks = ALONE

    def check(self) -> None:
        """Refuse what would fail later, before anything slow is done; nothing is written.

        Raises:
            UsageError: the folder cannot be made or written, holds something that would be lost, or holds nothing
                to resume from, or what it holds was made with other settings.
        """
        parent = self.folder.absolute().parent
        if not parent.is_dir():
            raise UsageError(f"the run folder {self.folder} cannot be made: {parent} is not a folder; make it first")
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"the run folder {self.folder} is a file: name another with --run-dir")
        if not os.access(self.folder if self.folder.is_dir() else parent, os.W_OK | os.X_OK):
            raise UsageError(f"the run folder {self.folder} cannot be written: name another with --run-dir")
        if self.resume:
            if not self.checkpoints:
                raise UsageError(f"the run folder {self.folder} holds no checkpoint to resume from: leave out --resume")
            compare(self._settings(), load_json(self.folder / CONFIG), str(self.folder))
        elif self.folder.is_dir() and any(self.folder.iterdir()):
            # Only a run may be replaced: anyone's folder may hold a config.json.
            if not self.checkpoints.folder.is_dir() and not (self.folder / RESULT).is_file():
                raise UsageError(
                    f"{self.folder} is not a run folder, and not empty: name another folder with --run-dir"
                )
            if not self.overwrite:
                raise UsageError(
                    f"the run folder {self.folder} holds an earlier run: add --resume to continue it, "
                    "--overwrite to start again, or name another with --run-dir"
                )

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / "checkpoints")

    def train(self, clips: Clip | Sequence[Clip], *, cond: Tensor | None = None, condition: Any = None) -> CoopNets:
        """Train on the clips until the config's iterations or the budget are spent.

        A budget that is spent before the first iteration leaves the networks as they begin.

        Args:
            clips, cond, condition: as :meth:`dyntex.coopnets.model.CoopNets.fit` has them.

        Raises:
            InputError: a clip is too short or unlike the first, or a checkpoint cannot be read.
            UsageError: as :meth:`check` does, or the checkpoint is of other clips or conditions.
            DivergedError: training diverged, also with smaller steps; the last good checkpoint is kept.
            StoppedError: ``stop`` returned True; the state is saved.
            MemoryLimitError: weights, gradients and moments would not fit.
        """
        began = time.monotonic()
        self.ranks.on_first(self.check)
        clips = [clips] if isinstance(clips, Clip) else list(clips)
        y_obs, cond_obs = (part.to(self.device) for part in observe(clips, self.config, cond))
        rng = generator(self.seed, "train", self.device)
        self._check_ranks(clips, cond)
        t = TrainState(self.config, y_obs, rng=rng, condition_channels=cond_obs.shape[1])
        check_memory((t.des, t.gen), self.device)
        self.ranks.join(t.gen)
        past, seconds = self._open(clips, cond, t, rng)
        budget = self.budget
        if budget is not None:
            budget -= self.afterwards(CoopNets.from_state(t, clips, condition=condition))
            budget -= time.monotonic() - began

        def preview() -> None:
            self._preview(CoopNets.from_state(t, clips), clips, cond)

        with full_speed():
            self._iterate(t, y_obs, cond_obs, rng, preview=preview, past=past, seconds_before=seconds, budget=budget)
        return CoopNets.from_state(t, clips, condition=condition)

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Make the folder for a method that has no training, with what was asked of it; an earlier run is removed.

        Raises:
            UsageError: as :meth:`check` does.
        """
        self.check()
        make_folder(self.folder)
        self._clear()
        save_json(self.folder / CONFIG, settings)
        save_json(self.folder / ENV, environment())

    def finish(self, result: Mapping[str, Any]) -> None:
        """Leave a record of the success: ``result.json``, its paths as they are seen from the folder."""
        places = {key: seen_from(self.folder, result[key]) for key in PLACES if result.get(key)}
        save_json(self.folder / RESULT, {**result, **places})

    def _iterate(
        self,
        t: TrainState,
        y_obs: Tensor,
        cond: Tensor,
        rng: torch.Generator,
        *,
        preview: Callable[[], None],
        past: list[StepInfo],
        seconds_before: float,
        budget: float | None,
    ) -> None:
        first = t.iteration
        began = last_saved = time.monotonic()
        save_seconds = all_saves = 0.0
        kept = -1

        def seconds() -> float:
            return seconds_before + time.monotonic() - began

        def progress(iteration: int) -> float:
            if budget is None:
                return iteration / self.config.optimisation.iterations
            # The iteration to come and the last save are counted in: the budget is not overdrawn by slow ones.
            each = (time.monotonic() - began - all_saves) / (iteration - first) if iteration > first else 0.0
            left = budget - save_seconds
            return min(1.0, (seconds() + each) / left) if left > 0.0 else 1.0

        def save() -> None:
            self.checkpoints.save(t.iteration, t.state(rng))
            preview()

        def keep() -> None:
            nonlocal last_saved, save_seconds, all_saves, kept
            start = time.monotonic()
            self.ranks.on_first(save)
            last_saved = time.monotonic()
            save_seconds = last_saved - start
            all_saves += save_seconds
            kept = t.iteration

        def keep_now(_: StepInfo) -> bool:
            return self.ranks.any(time.monotonic() - last_saved > max(self.save_every, save_seconds / SAVE_SHARE))

        def go_back() -> None:
            t.load(self.checkpoints.load(), rng)
            if self.ranks.is_first:
                rewind(self.folder / METRICS, t.iteration)
            self.ranks.wait()  # until all have read what the next save removes

        steps = watched(
            t,
            y_obs,
            cond,
            rng=rng,
            keep=keep,
            go_back=go_back,
            keep_now=keep_now,
            notice=self.notice,
            progress=progress,
            past=past,
            ranks=self.ranks,
        )
        for info in steps:
            if self.ranks.is_first:
                append(self.folder / METRICS, info, seconds=seconds())
            self.on_step(info, progress(info.iteration))
            if self.ranks.any(self.stop()):
                keep()
                raise StoppedError(
                    f"stopped after iteration {info.iteration}; the training is saved in {self.folder}: "
                    "--resume continues it"
                )
        if kept < t.iteration:
            keep()

    def _settings(self) -> dict[str, Any]:
        return {"config": to_json(self.config), "seed": self.seed, "device": self.device.type}

    def _open(
        self, clips: Sequence[Clip], cond: Tensor | None, t: TrainState, rng: torch.Generator
    ) -> tuple[list[StepInfo], float]:
        """Start or resume; returns the records of what was trained before, and its seconds."""
        self.ranks.on_first(lambda: self._prepare(clips, cond))
        if self.resume:
            t.load(self.checkpoints.load(), rng)
        past = rewind(self.folder / METRICS, t.iteration)
        self.ranks.wait()  # until all have read what the first will write
        return past

    def _prepare(self, clips: Sequence[Clip], cond: Tensor | None) -> None:
        """The folder, made or compared with what is asked."""
        digest = _digest([*(clip.video for clip in clips), *(() if cond is None else cond)])
        shape = {"shape": list(clips[0].video.shape), "clips": len(clips)}
        if self.resume:
            held = load_json(self.folder / CONFIG)
            compare(shape, held, str(self.folder))
            if held.get("clip_sha256") != digest:
                raise UsageError(
                    f"the checkpoint in {self.folder} was made from another clip, or with other conditions: "
                    "resume with the same source and --start, or name another folder with --run-dir"
                )
        else:
            make_folder(self.folder)
            self._clear()
            make_folder(self.checkpoints.folder)
            make_folder(self.folder / SAMPLES)
            save_json(self.folder / CONFIG, self._settings() | shape | {"clip_sha256": digest})
        save_json(self.folder / ENV, environment())

    def _check_ranks(self, clips: Sequence[Clip], cond: Tensor | None) -> None:
        """Whether all ranks are to do the same, which their number of chains allows."""
        if self.ranks.count == 1:
            return
        self.ranks.check_same(
            {
                **{key.removeprefix("config."): value for key, value in _flat(self._settings())},
                "clip": _digest([*(clip.video for clip in clips), *(() if cond is None else cond)])[:16],
                "resume": self.resume,
                "run folder": str(self.folder.absolute()),
                "version": [__version__, torch.__version__],
            }
        )
        self.ranks.check(self.config.sampling.n_chains, self.device)

    def _clear(self) -> None:
        """Remove what an earlier run left, and nothing else: a failed run must not lie beside another's success."""
        self.checkpoints.clear()
        for pattern in (METRICS, RESULT, f"{SAMPLES}/*.png", f"model/{MODEL}", f"model/{CONFIG}"):
            for file in self.folder.glob(pattern):
                file.unlink()

    def _preview(self, model: CoopNets, clips: Sequence[Clip], cond: Tensor | None) -> None:
        # A generator of its own: looking at the samples must not change the training.
        rng = generator(self.seed, "preview", self.device)
        shown = [len(clips) * i // PREVIEWED for i in range(PREVIEWED)] if len(clips) > PREVIEWED else range(len(clips))
        made = (
            model.synthesize(clips[i].n_frames, rng=rng, cond=None if cond is None else cond[i : i + 1], n_steps=0)
            for i in shown
        )
        picture = sheet(concatenate(clips[i] for i in shown), concatenate(made))
        write_png(self.folder / SAMPLES / f"{model.iterations:07d}.png", picture, overwrite=True)


def _digest(tensors: Iterable[Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def compare(asked: dict[str, Any], held: Any, folder: str) -> None:
    """Whether a run folder's settings are the ones asked for.

    Raises:
        UsageError: they differ; the message names the first difference.
    """
    for key, value in _flat(asked):
        other = dict(_flat(held)).get(key)
        if other != value:
            raise UsageError(
                f"the checkpoint in {folder} was made with {key} = {other!r}, and {value!r} was asked for: "
                "resume with the same settings, or name another folder with --run-dir"
            )


def _flat(data: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, data


def environment() -> dict[str, Any]:
    """Versions and machine, for the record."""
    packages = ("torch", "numpy", "av", "imageio", "opencv-python-headless", "safetensors")
    return {
        "dyntex": __version__,
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in packages},
        "platform": platform.platform(),
        "processor_threads": torch.get_num_threads(),
        "memory_bytes": psutil.virtual_memory().total,
        "command": [without_folders(word) for word in sys.argv[1:]],
    }
