"""``recover``: a damaged clip and a mask in, the whole clip out."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.segments import Segments
from dyntex.errors import InputError, UsageError, suggest
from dyntex.experiment.checks import check_numbers, only_one
from dyntex.experiment.conditioning import Conditioning
from dyntex.experiment.methods import COOP
from dyntex.experiment.output import Output
from dyntex.experiment.progress import SILENT, Progress, Stopwatch
from dyntex.experiment.session import Result, Session, Source, check_not_source
from dyntex.experiment.settings import check_source, choose_config, load_model
from dyntex.experiment.training import share_done
from dyntex.inpainting import DEFAULT, METHODS
from dyntex.inpainting import recover as fill
from dyntex.inpainting.by_training import cooperate
from dyntex.inpainting.masks import is_key, read_mask
from dyntex.inpainting.with_model import complete
from dyntex.media import Colour, probe, read_clip
from dyntex.media.formats import FORMATS, ending_of
from dyntex.media.paths import place_of
from dyntex.random_streams import generator
from dyntex.runtime import choose_device, full_speed

MODEL = "model"
"""The method's name in the facts where a model filled the hole."""


def recover(
    damaged: Source,
    mask: str | Path | Tensor,
    out: str | Path | None = None,
    *,
    grow: int = 0,
    method: str | None = None,
    model: str | Path | CoopNets | None = None,
    label: str | None = None,
    text: str | None = None,
    sketch: str | None = None,
    preset: str | None = None,
    iterations: int | None = None,
    budget: float | None = None,
    background: str | Colour | None = None,
    seed: int = 0,
    device: str = "auto",
    overwrite: bool = False,
    progress: Progress = SILENT,
    command: str = "dyntex.recover(...)",
) -> Result:
    """Fill in the missing pixels of a clip, and write it: what ``dyntex recover`` does. Other pixels stay as they are.

    ``label``, ``text`` and ``sketch`` are for a model, as in :func:`sample`; ``preset``, ``iterations`` and ``budget``
    are for ``method="coop"``. The keywords that are not listed here are those of :func:`synthesize`.

    Args:
        damaged: a path, or a clip in memory; of any size and length.
        mask: what is missing: (T, H, W) bool; or the path of an image for all frames, a video or folder (bright), or an
            .npy/.npz array (not 0); or the colour painted over it, ``"#rrggbb"``.
        out: the file to write, or a folder for frames; None: nothing is written, and the result's ``clip`` is the clip.
        grow: pixels by which the mask is widened; not for a mask in memory.
        method: one of :data:`dyntex.inpainting.METHODS`, or ``"coop"`` (training on the damaged clip); by default
            ``"blend"``.
        model: a model of clips or images like this one, in place of a method: its folder, or in memory.

    Returns:
        the result; its ``clip`` is the whole clip.

    Raises:
        UsageError: a value is out of range, or two exclude each other.
        InputError: the clip or the mask cannot be read, they do not fit each other, or nothing or all is missing.
        DivergedError: the training diverged.
    """
    watch = Stopwatch()
    conditions = {"label": label, "text": text, "sketch": sketch}
    only_one({"--model": "MODEL" if isinstance(model, CoopNets) else model, "--method": method})
    if model is None:
        for option, value in conditions.items():
            if value is not None:
                raise UsageError(f"--{option} is for a model: give --model too, or leave it out")
    method = method or (DEFAULT if model is None else MODEL)
    check_numbers(not_negative={"--grow": grow, "--seed": seed})
    chosen = choose_config(preset, size=None, iterations=iterations, budget=budget)
    if method != COOP and (preset or iterations or budget):
        way = f"--method {method}" if model is None else "--model"
        raise UsageError(f"{way} has no training: leave out --preset, --iterations and --budget")
    known = (*METHODS, COOP)
    if model is None and method not in known:
        raise UsageError(f"there is no method {method!r}{suggest(method, known)}; the methods are {', '.join(known)}")
    output = _output(out, damaged, mask, background=background, overwrite=overwrite, command=command)
    if isinstance(mask, str | Path) and not is_key(str(mask)) and not os.path.lexists(place_of(mask)):
        raise InputError(f"there is no mask {mask}: give an image, a video, an .npz or a colour like #00ff00")
    with full_speed():
        place = choose_device(device)
        fitted = model if isinstance(model, CoopNets) or model is None else load_model(Path(model), device=place)
        if isinstance(fitted, Segments):
            raise UsageError(
                f"--model {model} plays segments of its own clip, and completes no other: use a model of --preset fast"
            )
        session = Session(damaged, chosen, seed, place, progress, watch)
        with watch.timed("read"):
            clip = _read(damaged, progress)
            if output is not None:
                output.check(tuple(clip.video.shape), n_frames=clip.n_frames, fps=clip.fps)
            missing = mask if isinstance(mask, Tensor) else read_mask(str(mask), clip, grow=grow)
        share = float(missing.float().mean())
        progress.say(
            f"{share:.1%} of {clip.n_frames} frames of {clip.width}x{clip.height} are missing; method {method}"
        )
        if output is not None and not FORMATS[ending_of(output.word)].lossless:
            progress.say(
                f"{output.place.suffix} is lossy, also where nothing is missing: use .mkv, .apng or a folder of PNGs"
            )
        with watch.timed("fit"):
            if fitted is not None:
                asked = Conditioning.of(fitted, **conditions, n_frames=clip.n_frames)
                cond = asked.volume(fitted, clip.n_frames)
                whole = complete(fitted, clip, missing, rng=session.rng("fill"), cond=cond)
            elif method == COOP:
                whole = _train(session, clip, missing, budget=budget)
            else:
                whole = fill(clip, missing, method=method, rng=generator(seed, "fill"))
        settings: dict[str, Any] = {"method": method, "seed": seed, "grow": grow}
        if output is not None:
            with watch.timed("write"):
                output.write(
                    iter([whole]),
                    n_frames=whole.n_frames,
                    settings=settings,
                    progress=progress,
                    pixel_aspect=probe(damaged).pixel_aspect if isinstance(damaged, str | Path) else Fraction(1),
                )
    facts = session.facts(
        output=None if output is None else output.place,
        fps=whole.fps,
        size=(whole.height, whole.width),
        n_frames=whole.n_frames,
        method=method,
        missing=round(share, 6),
        preset=fitted.config.preset if fitted is not None else chosen.preset if method == COOP else None,
        model=str(model) if isinstance(model, str | Path) else None,
    )
    return Result(None if output is None else output.place, whole, fitted, facts)


def _output(
    out: str | Path | None,
    damaged: Source,
    mask: str | Path | Tensor,
    *,
    background: str | Colour | None,
    overwrite: bool,
    command: str,
) -> Output | None:
    if out is None:
        return None
    output = Output.of(out, background=background, overwrite=overwrite, still=True, command=command)
    check_not_source(out, damaged)
    if not isinstance(mask, Tensor):
        check_not_source(out, mask)
    return output


def _read(damaged: Source, progress: Progress) -> Clip:
    if isinstance(damaged, Clip):
        return damaged
    check_source(str(damaged))
    return read_clip(damaged, notice=progress.say)


def _train(session: Session, clip: Clip, missing: Tensor, *, budget: float | None) -> Clip:
    """Cooperative training on the damaged clip; of a budget, it gets what reading has left."""
    share = share_done(session.config.optimisation.iterations, budget, session.watch.began)

    def on_step(info: StepInfo) -> None:
        session.progress.training(info, min(1.0, share(info.iteration)))

    return cooperate(clip, missing, session.config, rng=session.rng("train"), on_step=on_step, progress=share)
