"""``dyntex examples``: the procedural clips that come with dyntex."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dyntex.cli import options
from dyntex.errors import UsageError
from dyntex.experiment.checks import check_numbers


def examples(
    name: Annotated[str | None, typer.Argument(help="An example to write; without one, all are listed.")] = None,
    out: options.Out = None,
    frames: Annotated[int, typer.Option(help="Its length.")] = 120,
    size: Annotated[str, typer.Option(help="S for SxS, or HxW.")] = "128",
    seed: Annotated[int, typer.Option(help="Each seed gives an independent clip of the same law.")] = 0,
    overwrite: options.Overwrite = False,
    as_json: options.AsJson = False,
) -> None:
    """List the procedural clips that come with dyntex, or write one."""
    from dyntex.examples import EXAMPLES, make
    from dyntex.experiment.session import SCHEMA_VERSION

    if name is None:
        if out is not None:
            raise UsageError(f"-o {out} needs the name of an example: {', '.join(EXAMPLES)}")
        listed = [
            {"name": e.name, "summary": e.summary, "law": e.law, "stationary_in_space": e.stationary_in_space}
            for e in EXAMPLES.values()
        ]
        if as_json:
            print(json.dumps({"schema_version": SCHEMA_VERSION, "examples": listed}))
        else:
            for example in EXAMPLES.values():
                print(f"{example.name:10} {example.summary}")
        return

    from dyntex.media import check_writable, write_clip

    check_numbers(positive={"--frames": frames}, not_negative={"--seed": seed})
    sides = options.parse_size(size) or (128, 128)
    target = out or f"{name}.mp4"
    check_writable(target, overwrite=overwrite)
    clip = make(name, size=sides, n_frames=frames, seed=seed)
    write_clip(target, clip, overwrite=overwrite)
    report = {
        "schema_version": SCHEMA_VERSION,
        "output": str(Path(target)),
        "examples": [{"name": name}],
        "frames": frames,
        "fps": float(clip.fps),
        "height": clip.height,
        "width": clip.width,
        "seed": seed,
    }
    options.print_result(report, as_json=as_json)
