"""``dyntex train``: a clip in, a model out."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from dyntex.cli import choices, options
from dyntex.cli.budget import Budget, Quality, seconds_allowed
from dyntex.cli.training_set import CaptionsOption, LabelsOption, Said, SketchOption, default_preset


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
    size: options.Size = None,
    start: options.Start = 0,
    clip_frames: options.ClipFrames = None,
    labels: LabelsOption = None,
    captions: CaptionsOption = None,
    sketch: SketchOption = None,
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
    run_dir: options.RunDir = None,
    checkpoint_every: options.CheckpointEvery = 60.0,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Learn a texture, or a set of them, from SOURCE and save the model, from which ``dyntex sample`` makes more."""
    began = time.monotonic()
    options.check_numbers(
        positive={"--clip-frames": clip_frames, "--checkpoint-every": checkpoint_every},
        not_negative={"--start": start, "--seed": seed},
    )
    said = Said.of(labels, captions, sketch)
    wanted = options.parse_size(size)
    name, why = (preset, None) if preset or config else default_preset(source, said)
    chosen = choices.choose_config(
        name, file=config, size=wanted, iterations=iterations, budget=budget, clip_frames=clip_frames
    )
    allowed = seconds_allowed(quality, budget=budget, iterations=iterations)

    from dyntex.cli.progress import Teller
    from dyntex.cli.session import Work, check_model_place
    from dyntex.media.paths import named

    check_model_place(out, overwrite=overwrite)
    with Teller(quiet=quiet) as teller:
        if why is not None:
            teller.say(why)
        work = Work(source, chosen, seed, options.choose_device(device), teller, began).with_precision(precision)
        run = work.run(
            run_dir or named(out.parent, out.name, ".run"),
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
    options.print_result(report, as_json=as_json)
