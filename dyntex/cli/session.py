"""What ``synthesize`` and ``train`` have in common: read the clip, teach the networks, keep the model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from dyntex.cli import choices, options
from dyntex.cli.progress import Teller
from dyntex.errors import InputError, UsageError

if TYPE_CHECKING:
    import torch

    from dyntex.cli.training_set import Lesson, Said
    from dyntex.clip import Clip
    from dyntex.coopnets.config import CoopConfig
    from dyntex.coopnets.model import CoopNets
    from dyntex.experiment.run import Run


STAGES = ("read", "rehearse", "fit", "synthesize", "write", "report")


@dataclass
class Work:
    """One command's work on a clip.

    Attributes:
        began: when the command did, by the monotonic clock.
        seconds: wall time by stage.
        chunk_seconds: what each chunk of the synthesis took.
        first_frame: seconds from the command's beginning until there was one.
    """

    source: str
    config: CoopConfig
    seed: int
    device: torch.device
    teller: Teller
    began: float = field(default_factory=time.monotonic)
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))

    chunk_seconds: list[float] = field(default_factory=list)
    first_frame: float | None = None

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        clock = time.monotonic()
        yield
        self.seconds[stage] = round(time.monotonic() - clock, 3)

    def counted(self, stage: str, chunks: Iterator[Clip]) -> Iterator[Clip]:
        """Pass chunks on, and count the time that making them took."""
        while True:
            clock = time.monotonic()
            chunk = next(chunks, None)
            if chunk is None:
                return
            now = time.monotonic()
            self.chunk_seconds.append(now - clock)
            self.seconds[stage] = round(sum(self.chunk_seconds), 3)
            if self.first_frame is None:
                self.first_frame = round(now - self.began, 3)
            yield chunk

    def with_precision(self, name: Literal["fp32", "bf16", "auto"] | None) -> Self:
        """The same work in the precision asked for, which a resumed run has to ask for again; None: the config's."""
        if name == "auto":
            from dyntex.networks.precision import choose_precision

            name, why = choose_precision(self.device)
            self.teller.say(why)
        return self if name is None else replace(self, config=replace(self.config, precision=name))

    def settings(self) -> dict[str, Any]:
        """What the result depends on."""
        return {"preset": self.config.preset, "seed": self.seed, "device": self.device.type}

    def rng(self, offset: int = 0) -> torch.Generator:
        import torch

        return torch.Generator(self.device).manual_seed(self.seed + offset)

    def read(self, *, size: tuple[int, int] | None, start: int, n_frames: int | None) -> Clip:
        from dyntex.media import is_set, probe, read_clip

        with self.timed("read"):
            if is_set(self.source):
                raise InputError(
                    f"{self.source} holds several clips: name one, or learn them as a set with dyntex train"
                )
            choices.check_source(self.source)
            clip = read_clip(
                self.source,
                size=size or choices.choose_size(self.source, self.config),
                start=start,
                n_frames=n_frames or self.config.n_frames,
                notice=self.teller.say,
            )
        self.teller.say(f"read {clip.n_frames} frames of {clip.width}x{clip.height} at {float(clip.fps):g} a second")
        if n_frames is None and self.config.n_frames == 1 and probe(self.source).n_frames != 1:
            self.teller.say(f"of {self.source} the first frame alone is learnt: --clip-frames learns from more of them")
        return clip

    def read_lesson(self, said: Said, *, size: tuple[int, int] | None, start: int, n_frames: int | None) -> Lesson:
        """What the source is to teach: a clip, or the clips of a set, and what is said of them."""
        from dyntex.cli.training_set import is_many, lesson
        from dyntex.coopnets.model import check_set
        from dyntex.media import Member, read_set

        if not is_many(self.source, self.config, said):
            return lesson((Member(self.read(size=size, start=start, n_frames=n_frames), self.source),), said)
        check_set(self.config, f"the set in {self.source}")
        with self.timed("read"):
            if said.captions is not None:
                from dyntex.conditions import encode

                encode([""])  # loads the encoder, so that one that is missing is missed before anything is read
            members = read_set(
                self.source,
                size=size or self.config.size,
                n_frames=n_frames or self.config.n_frames,
                least=n_frames or self.config.least_frames,
                start=start,
                labels=said.labels,
                captions=said.captions,
                notice=self.teller.say,
            )
            found = lesson(members, said)
        clip = found.clips[0]
        each = "images" if clip.n_frames == 1 else f"clips of {clip.n_frames} frames"
        self.teller.say(f"read a set of {len(members)} {each}, {clip.width}x{clip.height}")
        return found

    def run(self, folder: Path, *, save_every: float, resume: bool, overwrite: bool) -> Run:
        """The training in its folder, which is checked before the clip is read; nothing is written yet."""
        from dyntex.experiment.run import Run
        from dyntex.media.paths import check_name

        check_name(folder)
        run = Run(
            folder,
            self.config,
            seed=self.seed,
            device=self.device,
            save_every=save_every,
            resume=resume,
            overwrite=overwrite,
            on_step=self.teller.training,
            notice=self.teller.say,
        )
        run.check()
        return run

    def teach(
        self,
        run: Run,
        lesson: Lesson,
        *,
        model: Path | None,
        budget: float | None,
        afterwards: Callable[[CoopNets], float] = lambda _: 0.0,
    ) -> tuple[CoopNets, Path]:
        """Train; the model is saved in the run folder, or where it was asked for.

        Args:
            run: the training in its folder.
            lesson: to be learnt.
            model: where the model goes.
            budget: seconds of the whole command, from its beginning to its end.
            afterwards: rehearses what comes after, and tells how many of the seconds are to be left for it.
        """
        self.teller.say(
            f"the descriptor and the generator of {self.config.preset!r} teach each other; run folder {run.folder}"
        )
        from dyntex.cli.bundle import clear
        from dyntex.malloc import keep_pages

        if not run.resume:
            clear(run.folder)

        def rehearsed(fitted: CoopNets) -> float:
            with self.timed("rehearse"):
                seconds = afterwards(fitted)
            self.teller.say(f"of {budget:g} s, what comes after the training will take about {seconds:.1f}")
            return seconds

        keep_pages()
        if budget is not None:
            run.budget, run.afterwards = budget - (time.monotonic() - self.began), rehearsed
        with self.timed("fit"), options.stoppable() as run.stop:
            fitted = run.train(lesson.clips, cond=lesson.cond, condition=lesson.described())
            place = model or run.folder / "model"
            fitted.save(place)
        self.seconds["fit"] = round(self.seconds["fit"] - self.seconds["rehearse"], 3)
        if budget is not None and not fitted.iterations:
            self.teller.say(f"{budget:g} s leave no time to teach the networks, which are used as they begin")
        return fitted, place

    def spent(self) -> dict[str, float]:
        """The seconds by stage, and of the whole command so far."""
        return self.seconds | {"total": round(time.monotonic() - self.began, 3)}

    def report(
        self, *, output: Path, fps: Fraction, size: tuple[int, ...], n_frames: int, **more: Any
    ) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return {
            "schema_version": options.SCHEMA_VERSION,
            "output": str(output),
            "frames": n_frames,
            "fps": float(fps),
            "height": size[0],
            "width": size[1],
            **self.settings(),
            "seconds": self.spent(),
            "first_frame_seconds": self.first_frame,
            "peak_rss_mb": options.peak_rss_mb(),
            "sheet": None,
            **more,
        }


def check_model_place(folder: Path, *, overwrite: bool) -> None:
    """Whether a model can be saved there.

    Raises:
        UsageError: the parent folder is missing, or another file or model is in the place.
    """
    from dyntex.media.paths import check_name

    check_name(folder)
    if folder.name in ("", ".."):
        raise UsageError(f"the model cannot be saved to {folder} itself: name a folder in it")
    if not folder.absolute().parent.is_dir():
        raise UsageError(f"the model cannot be saved to {folder}: the folder {folder.absolute().parent} does not exist")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"the model cannot be saved to {folder}: it is a file; name a folder")
    if folder.is_dir() and any(folder.iterdir()):
        # Only a model may be replaced: anyone's folder may hold a config.json.
        if not (folder / "model.safetensors").is_file():
            raise UsageError(f"{folder} holds other things than a model: choose another folder")
        if not overwrite:
            raise UsageError(f"{folder} exists: choose another folder or pass --overwrite")
    if not os.access(folder if folder.is_dir() else folder.absolute().parent, os.W_OK | os.X_OK):
        raise UsageError(f"the model cannot be saved to {folder}, which is read-only: choose another folder")


def check_not_source(out: str | Path, source: str) -> None:
    """Refuse to write a result over what it was learnt from, also with --overwrite."""
    from dyntex.media.paths import place_of

    try:
        same = Path(out).samefile(place_of(source))
    except (OSError, ValueError):  # one of them is not there, or can never be
        return
    if same:
        raise UsageError(f"-o {out} is the source itself: choose another name")


def default_place(source: str, ending: str) -> str:
    """Where what is made of a source goes, in this folder: ``fire-synthesis.mp4`` of ``clips/fire.avi``."""
    from dyntex.media.paths import named, place_of

    if source.startswith("example:"):
        stem = source.removeprefix("example:").split("?")[0]
    else:
        path = place_of(source)
        if path.name in ("", ".."):
            path = path.resolve()
        stem = path.name if path.is_dir() else path.stem
    return str(named(Path(), stem, ending))
