"""``dyntex train``: a clip or a set in, a model out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from dyntex.cli import options
from dyntex.cli.console import ConsoleProgress
from dyntex.cli.process import is_first_rank
from dyntex.experiment.checks import check_numbers


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
    labels: Annotated[
        Literal["folders"] | None,
        typer.Option(
            "--labels", help="Learn a set with classes: each subfolder of SOURCE is a class.", show_default=False
        ),
    ] = None,
    captions: Annotated[
        Path | None,
        typer.Option("--captions", help="Learn a set with captions: a table (.csv) of file,caption."),
    ] = None,
    sketch: Annotated[
        Literal["edges"] | None,
        typer.Option("--sketch", help="Learn to follow drawings, from the edges of each frame.", show_default=False),
    ] = None,
    preset: options.Preset = None,
    config: options.Config = None,
    iterations: options.Iterations = None,
    budget: options.Budget = None,
    quality: options.Quality = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = None,
    run_dir: options.RunDir = None,
    checkpoint_every: options.CheckpointEvery = 60.0,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Learn a dynamic texture, or a set of them, and save the model. `dyntex sample` makes videos from it.

    `torchrun --nproc-per-node N -m dyntex train ...` shares its chains between N processes or GPUs.
    """
    check_numbers(
        positive={"--clip-frames": clip_frames, "--checkpoint-every": checkpoint_every},
        not_negative={"--start": start, "--seed": seed},
    )
    sides = options.parse_size(size)
    from dyntex.experiment.training import train as run

    with ConsoleProgress(quiet=quiet or not is_first_rank()) as progress:
        result = run(
            source,
            out,
            size=sides,
            start=start,
            clip_frames=clip_frames,
            labels=labels,
            captions=captions,
            sketch=sketch,
            preset=preset,
            config=config,
            iterations=iterations,
            budget=budget,
            quality=quality,
            seed=seed,
            device=device,
            precision=precision,
            run_dir=run_dir,
            checkpoint_every=checkpoint_every,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
        )
    if is_first_rank():
        options.print_result(result.facts, as_json=as_json)
