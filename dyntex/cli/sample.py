"""``dyntex sample``: a model in, a video out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dyntex.cli import options
from dyntex.cli.console import ConsoleProgress, command_line
from dyntex.experiment.checks import check_interpolation, check_length, check_numbers


def sample(
    model: Annotated[Path, typer.Argument(help="A model folder that train or synthesize saved.", metavar="MODEL")],
    out: options.NeededOut,
    frames: options.Frames = None,
    seconds: options.Seconds = None,
    langevin_steps: Annotated[
        int | None,
        typer.Option(
            help="Steps of Langevin dynamics that revise what the generator makes. 0 shows the generator alone.",
            show_default="as in training",
        ),
    ] = None,
    interpolate: Annotated[
        tuple[int, int] | None,
        typer.Option(
            help="Lead from the image of seed A to that of seed B, in so many --images. For models of images.",
            metavar="A B",
        ),
    ] = None,
    images: Annotated[
        int | None, typer.Option(help="With --interpolate: how many images, both ends among them.")
    ] = None,
    label: options.Label = None,
    text: options.Text = None,
    sketch: options.Sketch = None,
    loop: options.Loop = False,
    tile: options.Tile = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="Frame size, S or HxW (height first), if the model can make others than it was trained at.",
            show_default="as trained",
        ),
    ] = None,
    background: options.Background = None,
    grid: options.Grid = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
    _steps: Annotated[
        str | None, options.renamed("--steps", "--langevin-steps K, or with --interpolate A B --images N")
    ] = None,
) -> None:
    """Make a new video, or images, from a trained MODEL."""
    check_length(frames, seconds)
    check_numbers(not_negative={"--langevin-steps": langevin_steps, "--seed": seed})
    check_interpolation(interpolate, images, frames=frames, seconds=seconds, loop=loop)
    sides = options.parse_size(size)
    from dyntex.experiment.sampling import sample as run

    with ConsoleProgress(quiet=quiet) as progress:
        result = run(
            model,
            out,
            frames=frames,
            seconds=seconds,
            langevin_steps=langevin_steps,
            interpolate=interpolate,
            images=images,
            label=label,
            text=text,
            sketch=sketch,
            loop=loop,
            tile=tile or "",
            size=sides,
            background=background,
            grid=grid,
            seed=seed,
            device=device,
            overwrite=overwrite,
            progress=progress,
            command=command_line(),
        )
    options.print_result(result.facts, as_json=as_json)
