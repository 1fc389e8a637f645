"""A training run in a folder: what was asked, what happened, and what it takes to go on after a crash."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TextIO

import psutil
import torch
from torch import nn

from dyntex import __version__
from dyntex.checkpoint import CONFIG, Checkpoints, load_json, make_folder, save_json
from dyntex.clip import Clip
from dyntex.config import CoopConfig, to_json
from dyntex.coop import StepInfo, Teaching
from dyntex.coopnets import CoopNets, check_clip, ignore, nothing
from dyntex.errors import InputError, MemoryLimitError, StoppedError, UsageError
from dyntex.guard import guarded
from dyntex.media import sheet, write_png

METRICS = "metrics.jsonl"
ENV = "env.json"
SAVE_SHARE = 0.05
"""Saving takes at most about this share of the time: a checkpoint of the paper's model is 3 GB."""


@dataclass
class Run:
    """One training in a folder.

    The folder holds ``config.json`` (what was asked), ``env.json`` (with what it ran), ``metrics.jsonl`` (a line an
    iteration), ``checkpoints/`` and ``samples/`` (what the generator made on the way).

    Attributes:
        folder: made if it is not there; its parent must be.
        config: the networks and the training.
        seed: of all randomness.
        device: to train on.
        budget: seconds to train, in place of ``config.iterations``.
        save_every: seconds between checkpoints, more where saving takes long.
        resume: go on from the folder's last checkpoint.
        overwrite: start anew in a folder that holds another run.
        on_step: told of every iteration and of the share of the training that is done.
        notice: told sentences.
        stop: asked after every iteration; True saves and raises :class:`StoppedError`.
    """

    folder: Path
    config: CoopConfig
    seed: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    budget: float | None = None
    save_every: float = 60.0
    resume: bool = False
    overwrite: bool = False
    on_step: Callable[[StepInfo, float], None] = ignore  # type: ignore[assignment]
    notice: Callable[[str], None] = ignore
    stop: Callable[[], bool] = lambda: False

    def prepare(self) -> None:
        """Make the folder, or refuse: before anything slow is done.

        Raises:
            UsageError: the folder cannot be made, or it holds a run that would be lost.
        """
        make_folder(self.folder)
        if self.checkpoints and not (self.resume or self.overwrite):
            raise UsageError(
                f"the run folder {self.folder} holds an earlier run: add --resume to go on with it, "
                "--overwrite to start anew, or name another with --run-dir"
            )
        if self.resume and not self.checkpoints:
            raise InputError(f"the run folder {self.folder} holds no checkpoint to resume from: leave out --resume")

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / "checkpoints")

    def train(self, clip: Clip) -> CoopNets:
        """Train on the clip until the config's iterations or the budget are spent.

        Raises:
            InputError: the clip is too short, or a checkpoint cannot be read.
            UsageError: the checkpoint is of another clip or config.
            DivergedError: training ran away for good; the last good checkpoint is kept.
            StoppedError: ``stop`` said so; the state is saved.
            MemoryLimitError: weights, gradients and moments would not fit.
        """
        check_clip(clip, self.config)
        rng = torch.Generator(self.device).manual_seed(self.seed)
        y_obs = clip.video[None].to(self.device)
        with out_of_memory_named(self.config):
            t = Teaching(self.config, y_obs, rng=rng)
            check_memory((t.des, t.gen), self.device)
            past = self._open(clip, t, rng)
            with open(self.folder / METRICS, "a", encoding="utf-8") as log:
                self._iterate(t, clip, rng, past, log)
            return CoopNets.from_teaching(t, clip)

    def _iterate(self, t: Teaching, clip: Clip, rng: torch.Generator, past: float, log: TextIO) -> None:
        began = last_saved = time.monotonic()
        first = t.iteration
        save_seconds = 0.0
        y_obs = clip.video[None].to(self.device)

        def seconds() -> float:
            return past + time.monotonic() - began

        def progress(iteration: int) -> float:
            if self.budget is None:
                return iteration / self.config.iterations
            # The iteration to come is counted in: the budget is not overdrawn by a slow one.
            each = (seconds() - past) / max(1, iteration - first)
            return min(1.0, (seconds() + (each if iteration > first else 0.0)) / self.budget)

        def keep() -> None:
            nonlocal last_saved, save_seconds
            start = time.monotonic()
            log.flush()
            self.checkpoints.save(t.iteration, t.state(rng))
            last_saved = time.monotonic()
            save_seconds = last_saved - start

        def keep_now(_: StepInfo) -> bool:
            return time.monotonic() - last_saved > max(self.save_every, save_seconds / SAVE_SHARE)

        steps = guarded(
            t,
            y_obs,
            nothing(y_obs),
            rng=rng,
            keep=keep,
            go_back=lambda: t.load(self.checkpoints.load(), rng),
            keep_now=keep_now,
            notice=self.notice,
            progress=progress,
        )
        previewed: float | None = None
        for info in steps:
            log.write(json.dumps(asdict(info) | {"seconds": round(seconds(), 3)}) + "\n")
            self.on_step(info, progress(info.iteration))
            if self.stop():
                keep()
                raise StoppedError(
                    f"stopped after iteration {info.iteration}; all is saved in {self.folder}: --resume goes on"
                )
            if previewed is not None and last_saved != previewed:
                self._preview(t, clip)
            previewed = last_saved
        keep()

    def _open(self, clip: Clip, t: Teaching, rng: torch.Generator) -> float:
        """Start or resume; returns the seconds that were trained before."""
        asked = {
            "config": to_json(self.config),
            "seed": self.seed,
            "device": self.device.type,
            "shape": list(clip.video.shape),
            "clip_sha256": hashlib.sha256(clip.video.contiguous().numpy().tobytes()).hexdigest(),
        }
        past = 0.0
        if self.resume:
            compare(asked, load_json(self.folder / CONFIG), str(self.folder))
            t.load(self.checkpoints.load(), rng)
            past = _rewind(self.folder / METRICS, t.iteration)
        else:
            self.checkpoints.clear()
            make_folder(self.checkpoints.folder)
            make_folder(self.folder / "samples")
            (self.folder / METRICS).unlink(missing_ok=True)
            save_json(self.folder / CONFIG, asked)
        save_json(self.folder / ENV, environment())
        return past

    def _preview(self, t: Teaching, clip: Clip) -> None:
        # A generator of its own: looking at the samples must not change the training.
        model = CoopNets.from_teaching(t, clip)
        made = model.synthesize(clip.n_frames, rng=torch.Generator(self.device).manual_seed(self.seed), n_steps=0)
        write_png(self.folder / "samples" / f"{t.iteration:07d}.png", sheet(clip, made), overwrite=True)


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


def _rewind(path: Path, iteration: int) -> float:
    """Drop the records after an iteration; returns the seconds that it had taken."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if _iteration_of(line) <= iteration]
    path.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
    return float(json.loads(kept[-1])["seconds"]) if kept else 0.0


def _iteration_of(line: str) -> float:
    try:
        return int(json.loads(line)["iteration"])
    except (ValueError, KeyError):
        return float("inf")  # cut short by the crash


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
        "command": sys.argv[1:],
    }


def check_memory(nets: tuple[nn.Module, ...], device: torch.device) -> None:
    """Gradients and Adam's two moments come on top of the weights that are already there.

    Raises:
        MemoryLimitError: they would not fit.
    """
    need = 12 * sum(p.numel() for net in nets for p in net.parameters())
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if need > free:
        raise MemoryLimitError(
            f"training needs {need / 2**30:.1f} GiB more for gradients and moments and {free / 2**30:.1f} GiB are "
            "free: choose a smaller preset or size"
        )


@contextmanager
def out_of_memory_named(config: CoopConfig) -> Iterator[None]:
    """PyTorch's several ways of saying that memory ran out, as one."""
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _too_large(config) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error) or "out of memory" in str(error):
            raise _too_large(config) from error
        raise


def _too_large(config: CoopConfig) -> MemoryLimitError:
    return MemoryLimitError(f"memory ran out with preset {config.preset!r}: choose a smaller --size or another preset")
