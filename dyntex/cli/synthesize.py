"""``dyntex synthesize``: a clip in, a new video out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dyntex.cli import options
from dyntex.cli.console import ConsoleProgress, command_line
from dyntex.experiment.checks import check_length, check_numbers


def synthesize(
    source: options.Source,
    out: options.Out = None,
    frames: options.Frames = None,
    seconds: options.Seconds = None,
    loop: options.Loop = False,
    tile: options.Tile = None,
    size: options.Size = None,
    background: options.Background = None,
    grid: options.Grid = None,
    start: options.Start = 0,
    clip_frames: options.ClipFrames = None,
    method: Annotated[
        str,
        typer.Option(
            help="Trained: segments (the clip's own frames, put together anew), coop (cooperative networks, for sets, "
            "images, tiles and presets). Not trained: shot-noise, lds, fft-lds, hosvd, kpcr, video-texture, patch-nn. "
            "auto: segments, or coop where another option asks for it."
        ),
    ] = "auto",
    preset: options.Preset = None,
    config: options.Config = None,
    iterations: options.Iterations = None,
    budget: options.Budget = None,
    quality: options.Quality = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    precision: options.Precision = None,
    score: Annotated[
        bool,
        typer.Option(
            "--score",
            help="Score the result beside controls, by frames that follow the learnt ones. Takes seconds to minutes.",
        ),
    ] = False,
    save_model: Annotated[
        Path | None, typer.Option(help="Folder to save the model to.", show_default="model in the run folder")
    ] = None,
    run_dir: options.RunDir = None,
    checkpoint_every: options.CheckpointEvery = 60.0,
    resume: options.Resume = False,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Learn a dynamic texture from SOURCE and write new video of it."""
    check_length(frames, seconds)
    check_numbers(
        positive={"--clip-frames": clip_frames, "--checkpoint-every": checkpoint_every},
        not_negative={"--start": start, "--seed": seed},
    )
    sides = options.parse_size(size)
    from dyntex.experiment.synthesis import synthesize as run

    with ConsoleProgress(quiet=quiet) as progress:
        result = run(
            source,
            out,
            frames=frames,
            seconds=seconds,
            loop=loop,
            tile=tile or "",
            size=sides,
            background=background,
            grid=grid,
            start=start,
            clip_frames=clip_frames,
            method=method,
            preset=preset,
            config=config,
            iterations=iterations,
            budget=budget,
            quality=quality,
            seed=seed,
            device=device,
            precision=precision,
            score=score,
            save_model=save_model,
            run_dir=run_dir,
            checkpoint_every=checkpoint_every,
            resume=resume,
            overwrite=overwrite,
            progress=progress,
            command=command_line(),
        )
    options.print_result(result.facts, as_json=as_json)
