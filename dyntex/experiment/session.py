"""What a command and its Python function do in several steps: read, train in a run folder, report."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dyntex.clip import Clip
from dyntex.coopnets.ranks import ALONE, Ranks
from dyntex.errors import InputError, UsageError
from dyntex.experiment.boundaries import say_if_looping
from dyntex.experiment.bundle import remove_bundle
from dyntex.experiment.memory import peak_rss_mb
from dyntex.experiment.progress import SILENT, Progress, Stopwatch
from dyntex.experiment.run import Run
from dyntex.experiment.training_set import Conditions, TrainingSet, read_source, read_training_set
from dyntex.media.paths import check_name, named, place_of
from dyntex.random_streams import Purpose, generator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from dyntex.coopnets.config import CoopConfig
    from dyntex.coopnets.model import CoopNets
    from dyntex.method import Method

SCHEMA_VERSION = 1
"""Of the object that ``--json`` prints."""

Source = str | Path | Clip
PrecisionName = Literal["fp32", "bf16", "auto"]


@dataclass(frozen=True)
class Result:
    """What a command made.

    Attributes:
        output: the file or folder that was written; None where nothing was.
        clip: the video, or its beginning and its last frames where it is longer than what was learnt.
        model: what made it.
        facts: the object that ``--json`` prints (docs/cli.md lists its keys): sizes, seconds, seams, scores, paths.
    """

    output: Path | None
    clip: Clip | None
    model: Method | None
    facts: dict[str, Any]


@dataclass
class Session:
    """One command's work.

    Attributes:
        source: what is learnt or used: a path, ``example:NAME``, or a clip in memory.
        config: networks and training.
        seed: of all randomness.
        device: to compute on.
        progress: receives progress messages.
        watch: counts the seconds by stage.
        ranks: the processes that share a training; the first writes.
    """

    source: Source
    config: CoopConfig
    seed: int
    device: torch.device
    progress: Progress = SILENT
    watch: Stopwatch = field(default_factory=Stopwatch)
    ranks: Ranks = ALONE

    @property
    def name(self) -> str:
        """The source in a sentence."""
        return "the clip" if isinstance(self.source, Clip) else str(self.source)

    def with_precision(self, name: PrecisionName | None) -> Session:
        """The same session in another precision of the convolutions; None: the config's. A resumed run has to use the
        precision that it began with.
        """
        if name == "auto":
            from dyntex.coopnets.precision import choose_precision

            name, why = choose_precision(self.config, self.device)
            self.progress.say(why)
        return self if name is None else replace(self, config=self.config.replaced(precision=name))

    def settings(self) -> dict[str, Any]:
        """What the result depends on."""
        return {"preset": self.config.preset, "seed": self.seed, "device": self.device.type}

    def rng(self, purpose: Purpose) -> torch.Generator:
        """The random stream of one purpose, on the session's device."""
        return generator(self.seed, purpose, self.device)

    def read(self, *, size: tuple[int, int] | None, start: int, n_frames: int | None) -> Clip:
        """The clip to learn from."""
        with self.watch.timed("read"):
            if isinstance(self.source, Clip):
                clip = part_of(self.source, size=size, start=start, n_frames=n_frames)
            else:
                clip = read_source(
                    str(self.source), self.config, size=size, start=start, n_frames=n_frames, progress=self.progress
                )
        say_if_looping(clip, self.name, self.progress)
        return clip

    def read_set(
        self, conditions: Conditions, *, size: tuple[int, int] | None, start: int, n_frames: int | None
    ) -> TrainingSet:
        """The clip or the set to learn from, with its conditions."""
        with self.watch.timed("read"):
            return read_training_set(
                str(self.source),
                self.config,
                conditions,
                size=size,
                start=start,
                n_frames=n_frames,
                progress=self.progress,
            )

    def run(self, folder: Path, *, save_every: float, resume: bool, overwrite: bool) -> Run:
        """The training in its folder, which is checked now; nothing is written yet."""
        check_name(folder)
        run = Run(
            folder,
            self.config,
            seed=self.seed,
            device=self.device,
            save_every=save_every,
            resume=resume,
            overwrite=overwrite,
            on_step=self.progress.training,
            notice=self.progress.say,
            ranks=self.ranks,
        )
        self.ranks.on_first(run.check)
        return run

    def train(
        self,
        run: Run,
        data: TrainingSet,
        *,
        model: Path | None,
        budget: float | None,
        rehearse: Callable[[CoopNets], float] = lambda _: 0.0,
    ) -> tuple[CoopNets, Path]:
        """Train in the run folder and save the model.

        Args:
            run: the training in its folder.
            data: to be learnt.
            model: folder to save the model to; None: ``model`` in the run folder.
            budget: seconds for the whole command, from its beginning to its end; None for no limit.
            rehearse: estimates the seconds of it that what comes after the training will take.

        Returns:
            the model, and its folder.
        """
        self.progress.say(f"training preset {self.config.preset!r} in the run folder {run.folder}")
        if not run.resume:
            self.ranks.on_first(lambda: remove_bundle(run.folder))

        def rehearsed(fitted: CoopNets) -> float:
            with self.watch.timed("rehearse"):
                seconds = rehearse(fitted)
            self.progress.say(f"of {budget:g} s, about {seconds:.1f} s are for what comes after the training")
            return seconds

        if budget is not None:
            run.budget, run.afterwards = budget - self.watch.spent(), rehearsed
        with self.watch.timed("fit"), self.progress.interruptible() as run.stop:
            fitted = run.train(data.clips, cond=data.cond, condition=data.condition_json())
            place = model or run.folder / "model"
            self.ranks.on_first(lambda: fitted.save(place))
        seconds = self.watch.seconds
        seconds["fit"] = round(seconds["fit"] - seconds["rehearse"], 3)
        if budget is not None and not fitted.iterations:
            self.progress.say(f"{budget:g} s leave no time for training: the networks are used untrained")
        return fitted, place

    def facts(
        self, *, output: Path | None, fps: Fraction, size: tuple[int, ...], n_frames: int, **more: Any
    ) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "schema_version": SCHEMA_VERSION,
            "output": None if output is None else str(output),
            "frames": n_frames,
            "fps": float(fps),
            "height": size[0],
            "width": size[1],
            **self.settings(),
            "seconds": self.watch.table(),
            "first_frame_seconds": self.watch.first_frame,
            "peak_rss_mb": peak_rss_mb(),
            "sheet": None,
            **more,
        }


def part_of(clip: Clip, *, size: tuple[int, int] | None, start: int, n_frames: int | None) -> Clip:
    """The frames of a clip in memory that are to be learnt: by default all from ``start`` on.

    Raises:
        InputError: the clip has another size, or fewer frames.
    """
    if size is not None and size != (clip.height, clip.width):
        raise InputError(
            f"the clip has frames of {clip.height}x{clip.width}, not {size[0]}x{size[1]}: read it with "
            f"read_clip(..., size={size})"
        )
    return clip.segment(start, clip.n_frames - start if n_frames is None else n_frames)


def in_memory(clips: Clip | Sequence[Clip]) -> TrainingSet:
    """Clips in memory as a training set without conditions."""
    return TrainingSet((clips,) if isinstance(clips, Clip) else tuple(clips))


def check_model_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse, before training, a folder that the model cannot be saved to.

    Raises:
        UsageError: the parent folder is missing, or the folder holds something else, or a model and ``overwrite`` is
            not set, or it cannot be written.
    """
    check_name(folder)
    if folder.name in ("", ".."):
        raise UsageError(f"the model cannot be saved to {folder} itself: name a folder in it")
    if not folder.absolute().parent.is_dir():
        raise UsageError(f"the model cannot be saved to {folder}: make the folder {folder.absolute().parent} first")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"the model cannot be saved to {folder}, which is a file: name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        # Only a model may be replaced: anyone's folder may hold a config.json.
        if not (folder / "model.safetensors").is_file():
            raise UsageError(f"{folder} is not a model folder, and not empty: choose another folder")
        if not overwrite:
            raise UsageError(f"{folder} exists: choose another folder or pass --overwrite")
    if not os.access(folder if folder.is_dir() else folder.absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(f"the model cannot be saved to {folder}, which is read-only: choose another folder")


def check_not_source(out: str | Path, source: Source) -> None:
    """Refuse to write a result over its source, also with ``overwrite``."""
    if isinstance(source, Clip):
        return
    try:
        same = Path(out).samefile(place_of(source))
    except (OSError, ValueError):  # one of them is not there, or can never be
        return
    if same:
        raise UsageError(f"-o {out} is the source itself: choose another name")


def default_place(source: Source, ending: str) -> str:
    """Where a result goes by default, in this folder: ``fire-synthesis.mp4`` for ``clips/fire.avi``."""
    if isinstance(source, Clip):
        stem = "clip"
    elif str(source).startswith("example:"):
        stem = str(source).removeprefix("example:").split("?")[0]
    else:
        path = place_of(source)
        if path.name in ("", ".."):
            path = path.resolve()
        stem = path.name if path.is_dir() else path.stem
    return str(named(Path(), stem, ending))
