"""``dyntex train``: a clip in, a model out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from dyntex.cli import choices, words
from dyntex.cli.effort import Budget, Quality, seconds_allowed
from dyntex.cli.lesson import CaptionsOption, LabelsOption, Said, SketchOption, default_preset


def train(
    source: Annotated[
        str,
        typer.Argument(
            help="A video, animation, image, folder of frames, .npy/.npz array, or example:NAME; or a set: a folder of "
            "clips or of images.",
            metavar="SOURCE",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to save the model to.")],
    size: words.Size = None,
    start: words.Start = 0,
    clip_frames: words.ClipFrames = None,
    labels: LabelsOption = None,
    captions: CaptionsOption = None,
    sketch: SketchOption = None,
    preset: words.Preset = None,
    config: words.Config = None,
    iterations: words.Iterations = None,
    budget: Budget = None,
    quality: Quality = None,
    seed: words.Seed = 0,
    device: words.Device = "auto",
    precision: Annotated[
        Literal["fp32", "bf16", "auto"] | None,
        typer.Option(
            help="Of the convolutions; auto measures which is faster here.", show_default="the preset's, fp32"
        ),
    ] = None,
    run_dir: words.RunDir = None,
    checkpoint_every: words.CheckpointEvery = 60.0,
    resume: words.Resume = False,
    overwrite: words.Overwrite = False,
    quiet: words.Quiet = False,
    as_json: words.AsJson = False,
) -> None:
    """Learn a texture, or a set of them, from SOURCE and save the model, from which ``dyntex sample`` makes more."""
    began = time.monotonic()
    words.check_numbers(
        positive={"--clip-frames": clip_frames, "--checkpoint-every": checkpoint_every},
        not_negative={"--start": start, "--seed": seed},
    )
    said = Said.of(labels, captions, sketch)
    wanted = words.parse_size(size)
    name, why = (preset, None) if preset or config else default_preset(source, said)
    chosen = choices.choose_config(
        name, file=config, size=wanted, iterations=iterations, budget=budget, clip_frames=clip_frames
    )
    allowed = seconds_allowed(quality, budget=budget, iterations=iterations)

    from dyntex.cli.progress import Teller
    from dyntex.cli.work import Work, check_model_place

    check_model_place(out, overwrite=overwrite)
    with Teller(quiet=quiet) as teller:
        if why is not None:
            teller.say(why)
        work = Work(source, chosen, seed, words.choose_device(device), teller, began).with_precision(precision)
        run = work.run(
            run_dir or out.with_name(f"{out.name}.run"),
            save_every=checkpoint_every,
            resume=resume,
            overwrite=overwrite,
        )
        lesson = work.read_lesson(said, size=wanted, start=start, n_frames=clip_frames)
        clip = lesson.clips[0]
        fitted, place = work.teach(run, lesson, model=out, budget=allowed)
        report = work.report(
            output=place,
            fps=clip.fps,
            size=(clip.height, clip.width),
            n_frames=clip.n_frames,
            iterations=fitted.iterations,
            model=str(place),
            **lesson.about(),
        )
        run.finish(report)
    words.print_result(report, as_json=as_json)
