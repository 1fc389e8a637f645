"""``sample``: a model in, a video out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dyntex.clip import Clip, concatenate
from dyntex.coopnets.interpolation import check_images, latent
from dyntex.coopnets.interpolation import interpolate as path_between
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import FAST
from dyntex.coopnets.segments import Segments
from dyntex.errors import UsageError
from dyntex.experiment.boundaries import Boundaries, keep_ends
from dyntex.experiment.budget import revision_cost
from dyntex.experiment.checks import as_size, check_interpolation, check_length, check_numbers, frames_asked
from dyntex.experiment.conditioning import Conditioning
from dyntex.experiment.output import Output
from dyntex.experiment.progress import SILENT, Progress, Stopwatch
from dyntex.experiment.session import Result, Session
from dyntex.experiment.settings import load_model
from dyntex.media import Colour, Grid
from dyntex.random_streams import generator
from dyntex.runtime import choose_device, full_speed


def sample(
    model: str | Path | CoopNets | Segments,
    out: str | Path,
    *,
    frames: int | None = None,
    seconds: float | None = None,
    langevin_steps: int | None = None,
    interpolate: tuple[int, int] | None = None,
    images: int | None = None,
    label: str | None = None,
    text: str | None = None,
    sketch: str | None = None,
    loop: bool = False,
    tile: str = "",
    size: int | tuple[int, int] | None = None,
    background: str | Colour | None = None,
    grid: str | Grid | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress = SILENT,
    command: str = "dyntex.sample(...)",
) -> Result:
    """Make a new video from a trained model and write it: what ``dyntex sample`` does.

    With the seed of a ``synthesize`` and its other settings, it makes that video again. The keywords that are not
    listed here are those of :func:`synthesize`.

    Args:
        model: a model folder, or a model in memory (on its own device).
        out: the file to write, whose ending is its format, or a folder for frames.
        frames: length of the result; by default that of the learnt clip.
        seconds: the length in seconds, in place of ``frames``.
        langevin_steps: steps of the descriptor's Langevin dynamics that revise the generator's video; 0 for none; by
            default as many as in training.
        interpolate: two seeds, for a model of images: the result leads from the image of one to that of the other.
        images: with ``interpolate``, how many images there are, both ends among them.
        label: the class, of a model that was trained with labels.
        text: a sentence, of a model that was trained with captions.
        sketch: the path of a drawing, or of a video with one for each frame, of a model that was trained with sketches.
        loop: the last frame leads into the first.
        tile: ``"x"`` (left meets right), ``"y"`` (top meets bottom) or ``"xy"``.
        size: side of square frames, or (height, width), where the model can make other sizes than it was trained at.

    Returns:
        the result.

    Raises:
        UsageError: a value is out of range, two exclude each other, or the model cannot do what is asked.
        InputError: the model or the drawing cannot be read.
        MissingDependencyError: a sentence is given, and the extra ``text`` is not installed.
    """
    watch = Stopwatch()
    check_length(frames, seconds)
    check_numbers(not_negative={"--langevin-steps": langevin_steps, "--seed": seed})
    check_interpolation(interpolate, images, frames=frames, seconds=seconds, loop=loop)
    frames = images if interpolate is not None else frames
    ends, wanted = Boundaries(loop, tile), as_size(size)
    output = Output.of(
        out, background=background, grid=grid, overwrite=overwrite, still=frames in (None, 1), command=command
    )
    with full_speed():
        with watch.timed("read"):
            place, fitted = None, model
            if isinstance(fitted, str | Path):
                place, fitted = str(fitted), load_model(Path(fitted), device=choose_device(device))
            if isinstance(fitted, Segments):
                _check_segments(
                    ends, langevin_steps=langevin_steps, interpolate=interpolate, size=wanted, label=label, text=text,
                    sketch=sketch,
                )  # fmt: skip
                asked = output.n_frames(frames_asked(frames, seconds, fitted.fps))
                session = Session("the model", FAST, seed, torch.device("cpu"), progress, watch)
                return _sample_segments(session, fitted, output, ends, n_frames=asked or fitted.shape[1], model=place)
            ends.check(fitted.config)
            if interpolate is not None:
                check_images(fitted)
            asked = output.n_frames(frames_asked(frames, seconds, fitted.fps))
            conditioning = Conditioning.of(fitted, label=label, text=text, sketch=sketch, n_frames=asked)
            on = next(fitted.gen.parameters()).device
            session = Session("the model", fitted.config, seed, on, progress, watch)
            fitted = ends.resized(fitted, wanted, rng=session.rng("layout"))
        n_frames = asked or conditioning.n_frames or fitted.shape[1]
        cond = conditioning.volume(fitted, n_frames)
        output.check(fitted.shape, n_frames=n_frames, fps=fitted.fps)
        ends.check_length(n_frames, fitted.config)
        progress.say(f"synthesizing {n_frames} frames")
        settings: dict[str, Any] = {"iterations": fitted.iterations, "langevin_steps": langevin_steps}
        settings |= session.settings() | ends.settings() | conditioning.settings()
        make: Callable[..., Iterator[Clip]] = fitted.stream
        if interpolate is not None:
            settings["interpolate"] = interpolate
            a, b = (latent(fitted, rng=generator(end, "synthesize", on)) for end in interpolate)
            make = partial(path_between, fitted, (a, b))
        rng = session.rng("synthesize")
        chunks = make(n_frames, rng=rng, cond=cond, n_steps=langevin_steps, periodic=ends.periodic)
        parts = _write(session, output, chunks, n_frames=n_frames, kept=fitted.shape[1], settings=settings)
        chunk = min(n_frames, parts[0].n_frames)
        revision = revision_cost(
            fitted,
            watch.chunks[0],
            n_frames=chunk,
            n_steps=langevin_steps,
            rng=session.rng("measure"),
            cond=cond,
            periodic=ends.periodic,
        )
    if revision is not None:
        progress.say(
            f"each of the {revision['steps']} Langevin steps took {revision['seconds_per_step']:.3g} s for {chunk} "
            "frames"
        )
    made = concatenate(parts)
    facts = session.facts(
        output=output.place,
        fps=fitted.fps,
        size=fitted.shape[2:],
        n_frames=n_frames,
        iterations=fitted.iterations,
        model=place,
        revision=revision,
        seam=ends.measure(made, None, progress),
    )
    return Result(output.place, made, fitted, facts)


def _check_segments(ends: Boundaries, **asked: object) -> None:
    """Refuse what a model of segments cannot do."""
    for name, value in asked.items():
        if value is not None:
            option = f"--{name.replace('_', '-')}"
            raise UsageError(
                f"{option} is for models of cooperative networks, and this one plays segments: leave it out"
            )
    ends.check_method("segments")


def _sample_segments(
    session: Session, fitted: Segments, output: Output, ends: Boundaries, *, n_frames: int, model: str | None
) -> Result:
    output.check(fitted.shape, n_frames=n_frames, fps=fitted.fps)
    ends.check_length(n_frames, None)
    session.progress.say(f"synthesizing {n_frames} frames")
    settings = session.settings() | {"preset": "segments", "iterations": None} | ends.settings()
    chunks = fitted.stream(n_frames, rng=session.rng("synthesize"), loop=ends.loop)
    made = concatenate(_write(session, output, chunks, n_frames=n_frames, kept=fitted.shape[1], settings=settings))
    facts = session.facts(
        output=output.place,
        fps=fitted.fps,
        size=fitted.shape[2:],
        n_frames=n_frames,
        model=model,
        revision=None,
        seam=ends.measure(made, None, session.progress),
    ) | {"preset": "segments", "iterations": None}
    return Result(output.place, made, fitted, facts)


def _write(
    session: Session,
    output: Output,
    chunks: Iterator[Clip],
    *,
    n_frames: int,
    kept: int,
    settings: dict[str, Any],
) -> list[Clip]:
    """Write the video; its first ``kept`` frames and its last chunk (see :func:`keep_ends`)."""
    parts: list[Clip] = []
    watch = session.watch
    with watch.timed("write"):
        timed = watch.timed_chunks(keep_ends(chunks, parts, min(n_frames, kept)))
        output.write(timed, n_frames=n_frames, settings=settings, progress=session.progress)
    watch.seconds["write"] = round(watch.seconds["write"] - watch.seconds["synthesize"], 3)
    return parts
