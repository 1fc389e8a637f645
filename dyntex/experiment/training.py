"""``train``: a clip or a set in, a model folder out. ``fit``: the same in memory, for every method."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, TypedDict, Unpack, overload

from dyntex.clip import Clip
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import QUALITIES
from dyntex.coopnets.ranks import joined
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.segments import Segments
from dyntex.errors import StoppedError, UsageError
from dyntex.experiment.budget import seconds_allowed
from dyntex.experiment.checks import as_size, check_numbers
from dyntex.experiment.methods import COOP, METHODS, SEGMENTS, check_method
from dyntex.experiment.progress import SILENT, Progress, Stopwatch
from dyntex.experiment.segments import config_of
from dyntex.experiment.session import (
    PrecisionName,
    Result,
    Session,
    Source,
    check_model_folder,
    in_memory,
    part_of,
)
from dyntex.experiment.settings import choose_config
from dyntex.experiment.training_set import Conditions, TrainingSet, default_preset, preset_of
from dyntex.media.paths import named
from dyntex.method import Method
from dyntex.random_streams import generator
from dyntex.runtime import choose_device, full_speed


class FitOptions(TypedDict, total=False):
    """The keywords of :func:`fit`, for type checkers."""

    size: int | tuple[int, int] | None
    start: int
    clip_frames: int | None
    labels: Literal["folders"] | None
    captions: str | Path | None
    sketch: Literal["edges"] | None
    preset: str | None
    config: CoopConfig | str | Path | None
    iterations: int | None
    budget: float | None
    quality: str | None
    seed: int
    device: str
    precision: PrecisionName | None
    progress: Progress


@overload
def fit(
    source: Source | Sequence[Clip], *, method: Literal["coop"] = "coop", **options: Unpack[FitOptions]
) -> CoopNets: ...


@overload
def fit(source: Source | Sequence[Clip], *, method: str, **options: Unpack[FitOptions]) -> Method: ...


def fit(
    source: Source | Sequence[Clip],
    *,
    method: str = COOP,
    size: int | tuple[int, int] | None = None,
    start: int = 0,
    clip_frames: int | None = None,
    labels: Literal["folders"] | None = None,
    captions: str | Path | None = None,
    sketch: Literal["edges"] | None = None,
    preset: str | None = None,
    config: CoopConfig | str | Path | None = None,
    iterations: int | None = None,
    budget: float | None = None,
    quality: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: PrecisionName | None = None,
    progress: Progress = SILENT,
) -> Method:
    """Fit a method to a clip, in memory; nothing is written. :func:`train` does it in a run folder, resumably.

    Args:
        source: a clip in memory, or several of one size, length and rate (a set); or a path or ``"example:NAME"``, as
            for :func:`synthesize`; or a folder of clips or images.
        method: one of :data:`dyntex.METHODS`. The options from ``labels`` on (but for ``seed`` and ``device``) are for
            ``"coop"``, the cooperative networks; ``"segments"`` has ``budget`` and ``quality``, too.
        size: side of square frames, or (height, width); by default the preset's.
        start: first frame to learn from.
        clip_frames: number of frames to learn from; by default the preset's, or all of a clip in memory.
        labels: ``"folders"``: each subfolder of ``source`` is a class.
        captions: a table (.csv) of file,caption.
        sketch: ``"edges"``: the condition of a clip is the edges of its frames.
        preset: one of :data:`dyntex.PRESETS`; by default what suits the source, mostly ``"fast"``.
        config: settings in place of a preset, or a JSON file of them.
        iterations: cooperative iterations; by default the preset's.
        budget: seconds for all of this call, in place of ``iterations``.
        quality: ``"draft"``, ``"standard"`` or ``"high"``: a budget of 1, 5 or 30 minutes.
        seed: of all randomness.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        precision: of the convolutions; ``"auto"`` measures which is faster; by default the preset's.
        progress: receives progress messages; by default they are dropped.

    Returns:
        the fitted method: ``fitted.synthesize(n_frames, rng=...)`` makes new clips.

    Raises:
        UsageError: a value is out of range, two exclude each other, or the method cannot learn from this source.
        InputError: the source cannot be read, or is too short or too small.
        DivergedError: the training diverged, also with smaller steps.
        StoppedError: ``progress`` asked to stop.
    """
    watch = Stopwatch()
    check_method(method)
    check_numbers(positive={"--clip-frames": clip_frames}, not_negative={"--start": start, "--seed": seed})
    conditions = Conditions(labels is not None, Path(captions) if captions else None, sketch is not None)
    allowed = seconds_allowed(quality, budget=budget, iterations=iterations)
    if method != COOP and (conditions != Conditions() or preset or config or iterations or precision):
        raise UsageError(
            f"--method {method} takes none of labels, captions, sketch, preset, config, iterations and precision: "
            "leave them out, or use --method coop"
        )
    if method not in (COOP, SEGMENTS) and allowed:
        raise UsageError(f"--method {method} takes neither budget nor quality: leave them out, or use --method coop")
    name, why = (preset, None) if preset or config or method != COOP else _default_preset(source, conditions)
    chosen = choose_config(
        name, config=config, size=as_size(size), iterations=iterations, budget=budget, clip_frames=clip_frames
    )
    if why is not None:
        progress.say(why)
    with full_speed():
        place = choose_device(device)
        one = source if isinstance(source, str | Path | Clip) else source[0]
        session = Session(one, chosen, seed, place, progress, watch).with_precision(precision)
        if isinstance(source, str | Path):
            data = session.read_set(conditions, size=as_size(size), start=start, n_frames=clip_frames)
        else:
            clips = [source] if isinstance(source, Clip) else source
            parts = [part_of(clip, size=as_size(size), start=start, n_frames=clip_frames) for clip in clips]
            data = in_memory(parts)
        if method != COOP:
            if len(data.clips) > 1:
                METHODS[method].capabilities().require("sets", asked="a set of clips", method=method)
            rng = generator(seed, "train", place)
            if method == SEGMENTS:
                seconds = allowed or QUALITIES["standard"]
                return Segments.fit(data.clips[0], config_of(quality), rng=rng, seconds=seconds - watch.spent())
            return METHODS[method].fit(data.clips[0], rng=rng)
        return _cooperate(session, data, budget=allowed)


def train(
    source: str | Path,
    out: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    start: int = 0,
    clip_frames: int | None = None,
    labels: Literal["folders"] | None = None,
    captions: str | Path | None = None,
    sketch: Literal["edges"] | None = None,
    preset: str | None = None,
    config: CoopConfig | str | Path | None = None,
    iterations: int | None = None,
    budget: float | None = None,
    quality: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: PrecisionName | None = None,
    run_dir: str | Path | None = None,
    checkpoint_every: float = 60.0,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = SILENT,
) -> Result:
    """Train on a clip or a set of them, in a run folder, and save the model: what ``dyntex train`` does.

    The keywords that are not listed here are those of :func:`fit`.

    Args:
        source: a path or ``"example:NAME"``, or a folder of clips or images (a set).
        out: the folder to save the model to.
        run_dir: the run folder, with settings, metrics, checkpoints and samples; by default ``<out>.run``.
        checkpoint_every: seconds between checkpoints, at least.
        resume: go on from the run folder's last checkpoint; on a CPU bit for bit as if never interrupted.
        overwrite: replace an earlier model or run.

    Returns:
        the result: its ``output`` is the model's folder, its ``model`` the model.

    Raises:
        UsageError: a value is out of range, or two exclude each other.
        InputError: the source cannot be read, or is too short or too small.
        DivergedError: the training diverged, also with smaller steps; the last good checkpoint is kept.
        StoppedError: ``progress`` asked to stop; the training is saved.
        MemoryLimitError: weights, gradients and moments would not fit into memory.
    """
    watch = Stopwatch()
    check_numbers(
        positive={"--clip-frames": clip_frames, "--checkpoint-every": checkpoint_every},
        not_negative={"--start": start, "--seed": seed},
    )
    conditions = Conditions(labels is not None, Path(captions) if captions else None, sketch is not None)
    wanted, folder = as_size(size), Path(out)
    name, why = (preset, None) if preset or config else default_preset(str(source), conditions)
    chosen = choose_config(
        name, config=config, size=wanted, iterations=iterations, budget=budget, clip_frames=clip_frames
    )
    allowed = seconds_allowed(quality, budget=budget, iterations=iterations)
    with full_speed(), joined() as ranks:
        ranks.on_first(lambda: check_model_folder(folder, overwrite=overwrite))
        if why is not None:
            progress.say(why)
        if precision == "auto" and ranks.count > 1:
            raise UsageError("--precision auto is measured, and may differ between ranks: choose fp32 or bf16")
        place = choose_device(device)
        session = Session(source, chosen, seed, place, progress, watch, ranks).with_precision(precision)
        run = session.run(
            Path(run_dir) if run_dir else named(folder.parent, folder.name, ".run"),
            save_every=checkpoint_every,
            resume=resume,
            overwrite=overwrite,
        )
        data = session.read_set(conditions, size=wanted, start=start, n_frames=clip_frames)
        clip = data.clips[0]
        model, written = session.train(run, data, model=folder, budget=allowed)
        facts = session.facts(
            output=written,
            fps=clip.fps,
            size=(clip.height, clip.width),
            n_frames=clip.n_frames,
            iterations=model.iterations,
            model=str(written),
            **data.facts(),
        )
        ranks.on_first(lambda: run.finish(facts))
    return Result(written, None, model, facts)


def _default_preset(source: Source | Sequence[Clip], conditions: Conditions) -> tuple[str, str | None]:
    if isinstance(source, str | Path):
        return default_preset(str(source), conditions)
    if isinstance(source, Clip) or len(source) == 1:
        return preset_of(source if isinstance(source, Clip) else source[0])
    return ("image-set" if source[0].n_frames == 1 else "video-set"), None


def share_done(iterations: int, budget: float | None, began: float) -> Callable[[int], float]:
    """The share of a training that is done after so many iterations: of a number of them, or of a time that began at
    ``began`` by the monotonic clock.
    """

    def share(iteration: int) -> float:
        if budget is None:
            return iteration / iterations
        return (time.monotonic() - began) / budget if budget > 0 else 1.0

    return share


def _cooperate(session: Session, data: TrainingSet, *, budget: float | None) -> CoopNets:
    """Cooperative training in memory."""
    share = share_done(session.config.optimisation.iterations, budget, session.watch.began)
    with session.progress.interruptible() as stop:

        def on_step(info: StepInfo) -> None:
            session.progress.training(info, min(1.0, share(info.iteration)))
            if stop():
                raise StoppedError(f"stopped after iteration {info.iteration}")

        return CoopNets.fit(
            data.clips,
            session.config,
            rng=session.rng("train"),
            cond=data.cond,
            condition=data.condition_json(),
            on_step=on_step,
            notice=session.progress.say,
            progress=share,
        )
