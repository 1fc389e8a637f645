"""``dyntex synthesize``: a clip in, a new video out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dyntex.cli import choices, options
from dyntex.cli.budget import Budget, Quality, rehearse, seconds_allowed
from dyntex.cli.training_set import Lesson, preset_of
from dyntex.errors import UsageError
from dyntex.experiment.redact import without_folders

if TYPE_CHECKING:
    from dyntex.clip import Clip
    from dyntex.coopnets.model import CoopNets

SYNTHESIS = 1
"""Added to the seed: training and synthesis draw different numbers, and ``sample`` draws the same as ``synthesize``."""
REHEARSAL = 2


def synthesize(
    source: options.Source,
    out: options.Out = None,
    frames: Annotated[int | None, typer.Option(help="Length of the result; by default the learnt clip's.")] = None,
    seconds: options.Seconds = None,
    loop: options.Loop = False,
    tile: options.Tile = None,
    size: options.Size = None,
    background: options.Background = None,
    grid: options.Grid = None,
    start: options.Start = 0,
    clip_frames: options.ClipFrames = None,
    method: Annotated[
        str, typer.Option(help="coop, or a baseline: lds, fft-lds, hosvd, kpcr, video-texture.")
    ] = "coop",
    preset: options.Preset = None,
    config: options.Config = None,
    iterations: options.Iterations = None,
    budget: Budget = None,
    quality: Quality = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: Annotated[
        Literal["fp32", "bf16", "auto"] | None,
        typer.Option(
            help="Of the convolutions; auto measures which is faster here.", show_default="the preset's, fp32"
        ),
    ] = None,
    score: Annotated[
        bool,
        typer.Option(
            "--score", help="Score the result beside controls, by frames that are not learnt: seconds to minutes."
        ),
    ] = False,
    save_model: Annotated[Path | None, typer.Option(help="Folder to save the model to, not the run folder.")] = None,
    run_dir: options.RunDir = None,
    checkpoint_every: options.CheckpointEvery = 60.0,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Learn a texture from SOURCE and write new video of it."""
    began = time.monotonic()
    options.check_length(frames, seconds)
    options.check_numbers(
        positive={"--clip-frames": clip_frames, "--checkpoint-every": checkpoint_every},
        not_negative={"--start": start, "--seed": seed},
    )
    wanted = options.parse_size(size)
    name, why = (preset, None) if preset or config or method != "coop" else preset_of(source)
    chosen = choices.choose_config(
        name, file=config, size=wanted, iterations=iterations, budget=budget, clip_frames=clip_frames
    )
    allowed = seconds_allowed(quality, budget=budget, iterations=iterations)
    options.check_method(method)
    if method != "coop" and (resume or save_model or allowed or iterations):
        raise UsageError(
            f"--method {method} has no training: leave out --resume, --save-model, --iterations, --budget, --quality"
        )

    from dyntex.cli.boundaries import LAYOUT, Ends, kept, say_if_looping
    from dyntex.cli.bundle import clear, take_away
    from dyntex.cli.output import Output, model_kept
    from dyntex.cli.progress import Teller
    from dyntex.cli.scores import Judge
    from dyntex.cli.session import Work, check_model_place, check_not_source, default_place
    from dyntex.clip import concatenate
    from dyntex.media import sheet, side_by_side, write_clip, write_png
    from dyntex.media.atomic import check_place

    ends = Ends.of(loop, tile)
    if method == "coop":
        ends.check(chosen)
    else:
        ends.check_baseline(method)
    if frames is not None:
        ends.check_length(frames, chosen if method == "coop" else None)
    still = chosen.n_frames == 1
    word = out or default_place(source, "-synthesis.png" if still else "-synthesis.mp4")
    check_not_source(word, source)
    output = Output.of(word, background=background, grid=grid, overwrite=overwrite, still=still or frames == 1)
    sheet_path, side, beside = (output.beside(ending) for ending in (".sheet.png", ".side.mp4", ".run"))
    for path in (sheet_path, side):
        check_place(path, overwrite=overwrite)
    if save_model is not None:
        check_model_place(save_model, overwrite=overwrite)
    with Teller(quiet=quiet) as teller:
        if why is not None:
            teller.say(why)
        work = Work(source, chosen, seed, options.choose_device(device), teller, began).with_precision(precision)
        run = work.run(
            run_dir or beside,
            save_every=checkpoint_every,
            resume=resume,
            overwrite=overwrite,
        )
        clip = work.read(size=wanted, start=start, n_frames=clip_frames)
        if out is None:
            output = output.clear(clip.channels, teller)
        n_frames = output.asked(options.frames_asked(frames, seconds, clip.fps)) or clip.n_frames
        output.check(tuple(clip.video.shape), n_frames=n_frames)
        ends.check_length(n_frames, chosen if method == "coop" else None)
        if method == "coop":
            ends.check_clip(clip, chosen)
        judge = Judge.of(clip, source, start=start, n_frames=n_frames) if score else None
        say_if_looping(clip, source, teller)

        chunks: Iterator[Clip]
        learnt: dict[str, Any]
        told = {"source": without_folders(source), "start": start, "clip_frames": clip.n_frames}
        if method == "coop":

            def afterwards(model: CoopNets) -> float:
                rng = work.rng(REHEARSAL)
                return rehearse(model, clip, output, n_frames=n_frames, rng=rng, periodic=ends.periodic)

            model, place = work.teach(run, Lesson((clip,)), model=save_model, budget=allowed, afterwards=afterwards)
            model = ends.shaped(model, None, rng=work.rng(LAYOUT))
            chunks = model.stream(n_frames, rng=work.rng(SYNTHESIS), periodic=ends.periodic)
            learnt = {"preset": chosen.preset, "iterations": model.iterations, "model": str(place)}
        else:
            run.begin({"method": method, "seed": seed, "shape": list(clip.video.shape)} | told)
            clear(run.folder)
            with work.timed("fit"):
                from baselines import METHODS

                fitted = METHODS[method].fit(clip, rng=work.rng())
            chunks = fitted.stream(n_frames, rng=work.rng(SYNTHESIS), loop=loop)
            learnt = {"preset": method, "iterations": None, "model": None}

        teller.say(f"synthesizing {n_frames} frames")
        parts: list[Clip] = []
        go_on: list[object] = ["sample", learnt["model"], "-o", word, "--frames", n_frames, "--seed", seed]
        for option, value in (("--tile", tile), ("--grid", grid), ("--background", background)):
            go_on += [option, value] if value else []
        with work.timed("write"), model_kept(*go_on, *["--loop"] * loop, "--overwrite", kept=method == "coop"):
            settings = work.settings() | {"iterations": learnt["iterations"], "preset": learnt["preset"]} | told
            settings |= ends.settings()
            timed = work.counted("synthesize", kept(chunks, parts, clip.n_frames))
            output.write(timed, n_frames=n_frames, settings=settings, teller=teller)
            made = concatenate(parts)
            shown = made.segment(0, min(clip.n_frames, made.n_frames))
            write_png(sheet_path, sheet(clip, shown), overwrite=True)
            write_clip(side, side_by_side(clip, shown), overwrite=True)
        work.seconds["write"] = round(work.seconds["write"] - work.seconds["synthesize"], 3)
        report = work.report(
            output=output.place,
            fps=clip.fps,
            size=(clip.height, clip.width),
            n_frames=n_frames,
            sheet=str(sheet_path),
            side_by_side=str(side),
            seam=ends.measure(made, clip, teller),
            **learnt,
        )
        if judge is not None:
            report["scores"] = judge.scores(made, rng=work.rng())
            teller.say("the score of " + ", ".join(f"{name} is {x:.2f}" for name, x in report["scores"].items()))
        with work.timed("report"):
            report["report"] = take_away(
                run.folder,
                report,
                settings=settings,
                original=clip,
                made=made if loop else shown,
                loop=loop,
                teller=teller,
            )
        report["seconds"] = work.spent()
        run.finish(report)
        teller.say(f"the original is over the result in {sheet_path}, and beside it in {side}")
    options.print_result(report, as_json=as_json)
