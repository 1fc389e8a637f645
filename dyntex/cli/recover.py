"""``dyntex recover``: a damaged clip and a mask in, the whole clip out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dyntex.cli import options
from dyntex.cli.console import ConsoleProgress, command_line
from dyntex.experiment.checks import check_numbers


def recover(
    damaged: Annotated[
        str,
        typer.Argument(
            help="The damaged clip: a video, animation, image, folder of frames, .npy/.npz array.", metavar="DAMAGED"
        ),
    ],
    mask: Annotated[
        str,
        typer.Option(
            help="What is missing: an image for all frames, a video or folder (bright), an .npy/.npz array (not 0), "
            "or the colour painted over it, #rrggbb."
        ),
    ],
    out: options.NeededOut,
    grow: Annotated[int, typer.Option(help="Widen the mask by so many pixels.")] = 0,
    method: Annotated[
        str | None,
        typer.Option(
            help="blend (smallest error), texture (a sample, most natural motion), coop (trains on the clip), kriging, "
            "lds, interpolate, median, telea.",
            show_default="blend",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="Fill with a model trained on similar clips or images, in place of --method."),
    ] = None,
    label: options.Label = None,
    text: options.Text = None,
    sketch: options.Sketch = None,
    preset: options.Preset = None,
    iterations: options.Iterations = None,
    budget: options.Budget = None,
    background: options.Background = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Fill in what is missing of DAMAGED: a hole, an unwanted object, lost frames."""
    check_numbers(not_negative={"--grow": grow, "--seed": seed})
    from dyntex.experiment.recovery import recover as run

    with ConsoleProgress(quiet=quiet) as progress:
        result = run(
            damaged,
            mask,
            out,
            grow=grow,
            method=method,
            model=model,
            label=label,
            text=text,
            sketch=sketch,
            preset=preset,
            iterations=iterations,
            budget=budget,
            background=background,
            seed=seed,
            device=device,
            overwrite=overwrite,
            progress=progress,
            command=command_line(),
        )
    options.print_result(result.facts, as_json=as_json)
