"""``synthesize``: a clip in; a new video out, with previews, a run folder and a report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dyntex.clip import Clip, concatenate
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.experiment.advice import AUTO, choose_method
from dyntex.experiment.boundaries import Boundaries, keep_ends
from dyntex.experiment.budget import rehearse, seconds_allowed
from dyntex.experiment.bundle import finish_bundle, remove_bundle
from dyntex.experiment.checks import as_size, check_length, check_numbers, frames_asked
from dyntex.experiment.methods import COOP, METHODS, SEGMENTS, check_method, check_options
from dyntex.experiment.output import Output, model_kept
from dyntex.experiment.progress import SILENT, Progress, Stopwatch
from dyntex.experiment.redact import without_folders
from dyntex.experiment.run import Run
from dyntex.experiment.scoring import Scorer
from dyntex.experiment.segments import facts_of, fit_segments
from dyntex.experiment.session import (
    PrecisionName,
    Result,
    Session,
    Source,
    check_model_folder,
    check_not_source,
    default_place,
    in_memory,
)
from dyntex.experiment.settings import choose_config
from dyntex.experiment.training_set import preset_of
from dyntex.media import Colour, Grid, check_fits, sheet, side_by_side, write_clip, write_png
from dyntex.media.atomic import check_place
from dyntex.media.sheet import BESIDE_GAP
from dyntex.method import Method
from dyntex.runtime import choose_device, full_speed


def synthesize(
    source: Source,
    out: str | Path | None = None,
    *,
    frames: int | None = None,
    seconds: float | None = None,
    loop: bool = False,
    tile: str = "",
    size: int | tuple[int, int] | None = None,
    background: str | Colour | None = None,
    grid: str | Grid | None = None,
    start: int = 0,
    clip_frames: int | None = None,
    method: str = AUTO,
    preset: str | None = None,
    config: CoopConfig | str | Path | None = None,
    iterations: int | None = None,
    budget: float | None = None,
    quality: str | None = None,
    seed: int = 0,
    device: str = "auto",
    precision: PrecisionName | None = None,
    score: bool = False,
    save_model: str | Path | None = None,
    run_dir: str | Path | None = None,
    checkpoint_every: float = 60.0,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = SILENT,
    command: str = "dyntex.synthesize(...)",
) -> Result:
    """Learn a dynamic texture and write new video of it: what ``dyntex synthesize`` does.

    Everything that can be refused is refused before the source is read, and nothing is left half-written. Beside
    ``out`` lie a contact sheet (``.sheet.png``), a side-by-side preview (``.side.mp4``) and the run folder (``.run``).

    Args:
        source: a video, animation, image, folder of frames, array file or ``"example:NAME"``; or a clip in memory.
        out: the file to write, whose ending is its format, or a folder for frames; by default
            ``<source>-synthesis.mp4``.
        frames: length of the result; by default that of the learnt clip.
        seconds: the length in seconds, in place of ``frames``.
        loop: the last frame leads into the first.
        tile: ``"x"`` (left meets right), ``"y"`` (top meets bottom) or ``"xy"``.
        size: side of square frames, or (height, width), to learn and to make; by default the preset's.
        background: colour behind a transparent clip: a name, ``"#rrggbb"`` or (R, G, B).
        grid: rows and columns of a sprite sheet, ``"4x8"`` or (4, 8).
        start: first frame of the source to learn from.
        clip_frames: number of frames to learn from; by default the preset's, or all of a clip in memory.
        method: one of :data:`dyntex.METHODS`; or ``"auto"``: ``"segments"`` for a clip (in a draft the untrained one
            that :func:`dyntex.describe` recommends), ``"coop"`` for a set, an image, a tile, or where an option is
            given that only it has.
        preset: one of :data:`dyntex.PRESETS`; by default ``"fast"``, for one image ``"image-texture"``.
        config: settings in place of a preset, or a JSON file of them.
        iterations: cooperative iterations; by default the preset's.
        budget: seconds for all of this call; the training gets what the rest leaves.
        quality: ``"draft"``, ``"standard"`` or ``"high"``: a budget of 1, 5 or 30 minutes.
        seed: the same seed gives the same video on the same type of device.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        precision: of the convolutions; ``"auto"`` measures which is faster; by default the preset's.
        score: score the result beside controls, by the frames that follow the learnt ones.
        save_model: folder to save the model to; by default ``model`` in the run folder.
        run_dir: the run folder; by default ``<out>.run``.
        checkpoint_every: seconds between checkpoints, at least.
        resume: go on from the run folder's last checkpoint.
        overwrite: replace an earlier output, model or run.
        progress: receives progress messages; by default they are dropped.
        command: what made the result, for its metadata and the report.

    Returns:
        the result: where it is, its beginning as a clip, the model, and the facts that ``--json`` prints.

    Raises:
        UsageError: a value is out of range, two exclude each other, or the method cannot do what is asked.
        InputError: the source cannot be read, or is too short or too small.
        DivergedError: the training diverged, also with smaller steps.
        StoppedError: ``progress`` asked to stop; the training is saved.
        MemoryLimitError: weights, gradients and moments would not fit into memory.
    """
    watch = Stopwatch()
    check_length(frames, seconds)
    check_numbers(
        positive={"--clip-frames": clip_frames, "--checkpoint-every": checkpoint_every},
        not_negative={"--start": start, "--seed": seed},
    )
    wanted = as_size(size)
    allowed = seconds_allowed(quality, budget=budget, iterations=iterations)
    reason = None
    if method == AUTO:
        networks = any((preset, config, iterations, resume, precision, tile))
        method, reason = choose_method(
            source, start=start, n_frames=clip_frames, networks=networks, draft=quality == "draft"
        )
        if method not in (COOP, SEGMENTS):
            budget = quality = allowed = None  # nothing is trained, which takes less
    name, why = (preset, None) if preset or config or method != COOP else preset_of(source)
    chosen = choose_config(
        name, config=config, size=wanted, iterations=iterations, budget=budget, clip_frames=clip_frames
    )
    check_method(method)
    check_options(method, resume=resume, save_model=save_model, iterations=iterations, allowed=allowed)
    ends = Boundaries(loop, tile)
    if method == COOP:
        ends.check(chosen)
    else:
        ends.check_method(method)
    if frames is not None:
        ends.check_length(frames, chosen if method == COOP else None)
    still = chosen.data.n_frames == 1
    word = str(out or default_place(source, "-synthesis.png" if still else "-synthesis.mp4"))
    check_not_source(word, source)
    output = Output.of(
        word, background=background, grid=grid, overwrite=overwrite, still=still or frames == 1, command=command
    )
    previews = Previews.beside(output)
    if save_model is not None:
        check_model_folder(Path(save_model), overwrite=overwrite)
    for sentence in (reason, why):
        if sentence is not None:
            progress.say(sentence)
    with full_speed():
        session = Session(source, chosen, seed, choose_device(device), progress, watch).with_precision(precision)
        run = session.run(
            Path(run_dir) if run_dir else previews.run,
            save_every=checkpoint_every,
            resume=resume,
            overwrite=overwrite,
        )
        clip = session.read(size=wanted, start=start, n_frames=clip_frames)
        if out is None:
            output = output.with_alpha(clip.channels, progress)
        n_frames = output.n_frames(frames_asked(frames, seconds, clip.fps)) or clip.n_frames
        output.check(tuple(clip.video.shape), n_frames=n_frames, fps=clip.fps)
        previews.check(clip)
        ends.check_length(n_frames, chosen if method == COOP else None)
        if method == COOP:
            ends.check_clip(clip, chosen)
        scorer = Scorer.for_source(clip, source, start=start, n_frames=n_frames) if score else None
        about = {"source": without_folders(session.name), "start": start, "clip_frames": clip.n_frames}

        fitted: Method
        if method == COOP:

            def rehearsal(model: CoopNets) -> float:
                rng = session.rng("rehearse")
                return rehearse(model, clip, output, n_frames=n_frames, rng=rng, periodic=ends.periodic)

            model, folder = session.train(
                run,
                in_memory(clip),
                model=Path(save_model) if save_model else None,
                budget=allowed,
                rehearse=rehearsal,
            )
            fitted = model = ends.resized(model, None, rng=session.rng("layout"))
            chunks = model.stream(n_frames, rng=session.rng("synthesize"), periodic=ends.periodic)
            maker = {"preset": chosen.preset, "iterations": model.iterations, "model": str(folder)}
        elif method == SEGMENTS:
            fitted, kept = fit_segments(
                session,
                run,
                clip,
                about,
                quality=quality,
                seconds=allowed,
                folder=Path(save_model) if save_model else None,
            )
            chunks = fitted.stream(n_frames, rng=session.rng("synthesize"), loop=loop)
            maker = {"preset": method, "iterations": None, "model": str(kept), **facts_of(fitted)}
        else:
            fitted = _fit_baseline(session, run, method, clip, about)
            chunks = fitted.stream(n_frames, rng=session.rng("synthesize"), loop=loop)
            maker = {"preset": method, "iterations": None, "model": None}

        progress.say(f"synthesizing {n_frames} frames")
        settings = session.settings() | {key: maker[key] for key in ("iterations", "preset")} | about | ends.settings()
        again: list[object] = ["sample", maker["model"], "-o", word, "--frames", n_frames, "--seed", seed]
        for option, value in (("--tile", tile), ("--grid", grid), ("--background", background)):
            again += [option, value] if value else []
        with model_kept(*again, *["--loop"] * loop, "--overwrite", kept=maker["model"] is not None):
            made, shown = _write(session, chunks, clip, output, previews, n_frames=n_frames, settings=settings)
        facts = session.facts(
            output=output.place,
            fps=clip.fps,
            size=(clip.height, clip.width),
            n_frames=n_frames,
            sheet=str(previews.sheet),
            side_by_side=str(previews.side),
            seam=ends.measure(made, clip, progress),
            **maker,
        )
        if scorer is not None:
            facts["scores"] = scorer.with_controls(made, rng=session.rng("score"))
            facts["copy_distance"] = scorer.copy_distance(made)
            progress.say("scores: " + ", ".join(f"{name} {x:.2f}" for name, x in facts["scores"].items()))
            if facts["copy_distance"] is not None:
                progress.say(f"copy distance: {facts['copy_distance']:.2f} (0 for a replay, about 1 for new footage)")
        with watch.timed("report"):
            facts["report"] = finish_bundle(
                run.folder,
                facts,
                settings=settings,
                command=command,
                original=clip,
                made=made if loop else shown,
                loop=loop,
                progress=progress,
            )
        facts["seconds"] = watch.table()
        run.finish(facts)
    progress.say(f"{previews.sheet} shows the original above the result, {previews.side} beside it")
    return Result(output.place, made, fitted, facts)


@dataclass(frozen=True)
class Previews:
    """What lies beside a result: a contact sheet, a video of the original beside the result, and the run folder."""

    sheet: Path
    side: Path
    run: Path

    @classmethod
    def beside(cls, output: Output) -> Previews:
        """Their names; UsageError if those of the previews are taken."""
        sheet, side, run = (output.beside(ending) for ending in (".sheet.png", ".side.mp4", ".run"))
        for path in (sheet, side):
            check_place(path, overwrite=output.overwrite)
        return cls(sheet, side, run)

    def check(self, clip: Clip) -> None:
        """Refuse, before training, what the side-by-side preview cannot hold."""
        size = clip.height, 2 * clip.width + BESIDE_GAP
        check_fits(self.side, channels=3, n_frames=clip.n_frames, size=size, fps=clip.fps)


def _fit_baseline(session: Session, run: Run, method: str, clip: Clip, about: dict[str, Any]) -> Method:
    run.begin({"method": method, "seed": session.seed, "shape": list(clip.video.shape)} | about)
    remove_bundle(run.folder)
    with session.watch.timed("fit"):
        fitted: Method = METHODS[method].fit(clip, rng=session.rng("train"))
    return fitted


def _write(
    session: Session,
    chunks: Iterator[Clip],
    clip: Clip,
    output: Output,
    previews: Previews,
    *,
    n_frames: int,
    settings: dict[str, Any],
) -> tuple[Clip, Clip]:
    """Write the video and its previews; returns its ends (see :func:`keep_ends`) and what the previews show."""
    parts: list[Clip] = []
    watch = session.watch
    with watch.timed("write"):
        timed = watch.timed_chunks(keep_ends(chunks, parts, clip.n_frames))
        output.write(timed, n_frames=n_frames, settings=settings, progress=session.progress)
        made = concatenate(parts)
        shown = made.segment(0, min(clip.n_frames, made.n_frames))
        write_png(previews.sheet, sheet(clip, shown), overwrite=True)
        write_clip(previews.side, side_by_side(clip, shown), overwrite=True)
    watch.seconds["write"] = round(watch.seconds["write"] - watch.seconds["synthesize"], 3)
    return made, shown
