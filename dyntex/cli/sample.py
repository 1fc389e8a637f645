"""``dyntex sample``: a model in, a video out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dyntex.cli import choices, options
from dyntex.cli.conditioning import LabelOption, SketchOption, TextOption
from dyntex.errors import UsageError

if TYPE_CHECKING:
    from dyntex.clip import Clip


def sample(
    model: Annotated[Path, typer.Argument(help="A model folder that train or synthesize saved.", metavar="MODEL")],
    out: options.NeededOut,
    frames: Annotated[int | None, typer.Option(help="Length; by default that of the clip it was taught on.")] = None,
    seconds: options.Seconds = None,
    steps: Annotated[
        int | None,
        typer.Option(
            help="Langevin revisions; 0 is the generator alone. By default as in training. With --interpolate, the "
            "images of the way, both ends among them."
        ),
    ] = None,
    interpolate: Annotated[
        tuple[int, int] | None,
        typer.Option(
            help="From the image of one seed to that of another, of a model of images, in so many --steps.",
            metavar="A B",
        ),
    ] = None,
    label: LabelOption = None,
    text: TextOption = None,
    sketch: SketchOption = None,
    loop: options.Loop = False,
    tile: options.Tile = None,
    size: Annotated[
        str | None, typer.Option(help="Frame size, S or HxW, where the model can make others than it was taught.")
    ] = None,
    background: options.Background = None,
    grid: options.Grid = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Make a new video from a trained MODEL."""
    began = time.monotonic()
    options.check_length(frames, seconds)
    options.check_numbers(not_negative={"--steps": steps, "--seed": seed})
    if interpolate is not None:
        _check_way(interpolate, steps, frames=frames, seconds=seconds, loop=loop)

    from dyntex.cli.boundaries import LAYOUT, Ends, kept
    from dyntex.cli.budget import revision_cost
    from dyntex.cli.conditioning import Wish
    from dyntex.cli.output import Output
    from dyntex.cli.progress import Teller
    from dyntex.cli.session import Work
    from dyntex.cli.synthesize import SYNTHESIS
    from dyntex.clip import concatenate
    from dyntex.coopnets.interpolation import check_images, latent
    from dyntex.coopnets.interpolation import interpolate as way

    if interpolate is not None:
        frames, steps = steps, None
    ends, wanted = Ends.of(loop, tile), options.parse_size(size)
    output = Output.of(out, background=background, grid=grid, overwrite=overwrite, still=frames in (None, 1))
    chosen = options.choose_device(device)
    with Teller(quiet=quiet) as teller:
        clock = time.monotonic()
        fitted = choices.load_model(model, device=chosen)
        ends.check(fitted.config)
        if interpolate is not None:
            check_images(fitted)
        asked = output.asked(options.frames_asked(frames, seconds, fitted.fps))
        wish = Wish.of(fitted, label=label, text=text, sketch=sketch, n_frames=asked)
        work = Work(str(model), fitted.config, seed, chosen, teller, began)
        fitted = ends.shaped(fitted, wanted, rng=work.rng(LAYOUT))
        work.seconds["read"] = round(time.monotonic() - clock, 3)
        n_frames = asked or wish.n_frames or fitted.shape[1]
        cond = wish.volume(fitted, n_frames)
        output.check(fitted.shape, n_frames=n_frames)
        ends.check_length(n_frames, fitted.config)
        teller.say(f"synthesizing {n_frames} frames")
        settings = work.settings() | {"iterations": fitted.iterations, "steps": steps}
        settings |= ends.settings() | wish.settings() | ({"interpolate": interpolate} if interpolate else {})
        parts: list[Clip] = []
        with work.timed("write"):
            make: Callable[..., Iterator[Clip]] = fitted.stream
            if interpolate is not None:
                a, b = (latent(fitted, rng=replace(work, seed=end).rng(SYNTHESIS)) for end in interpolate)
                make = partial(way, fitted, (a, b))
            chunks = make(n_frames, rng=work.rng(SYNTHESIS), cond=cond, n_steps=steps, periodic=ends.periodic)
            timed = work.counted("synthesize", kept(chunks, parts, min(n_frames, fitted.shape[1])))
            output.write(timed, n_frames=n_frames, settings=settings, teller=teller)
        work.seconds["write"] = round(work.seconds["write"] - work.seconds["synthesize"], 3)
        chunk = min(n_frames, parts[0].n_frames)
        revision = revision_cost(
            fitted,
            work.chunk_seconds[0],
            n_frames=chunk,
            n_steps=steps,
            rng=work.rng(),
            cond=cond,
            periodic=ends.periodic,
        )
        if revision is not None:
            teller.say(
                f"each of the {revision['steps']} Langevin steps took {revision['seconds_per_step']:.3g} s for "
                f"{chunk} frames"
            )
        report = work.report(
            output=output.place,
            fps=fitted.fps,
            size=fitted.shape[2:],
            n_frames=n_frames,
            iterations=fitted.iterations,
            model=str(model),
            revision=revision,
            seam=ends.measure(concatenate(parts), None, teller),
        )
    options.print_result(report, as_json=as_json)


def _check_way(
    ends: tuple[int, int], steps: int | None, *, frames: int | None, seconds: float | None, loop: bool
) -> None:
    """Refuse a way that has no length, or two."""
    options.check_numbers(not_negative={"--interpolate": min(ends)})
    if max(ends) > options.MAX_SEED:
        raise UsageError(f"--interpolate {max(ends)} is no seed: give at most {options.MAX_SEED}")
    if steps is None or steps < 2:
        raise UsageError(f"--interpolate needs --steps of at least 2, not {steps}: both ends are among them")
    for option, value in (("--frames", frames), ("--seconds", seconds), ("--loop", loop or None)):
        if value is not None:
            raise UsageError(
                f"--interpolate and {option} exclude each other: --steps {steps} is how many images there are"
            )
