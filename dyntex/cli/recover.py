"""``dyntex recover``: a damaged clip and a mask in, the whole clip out."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dyntex.cli import choices, options
from dyntex.cli.conditioning import LabelOption, SketchOption, TextOption
from dyntex.errors import InputError, UsageError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from dyntex.cli.progress import Teller
    from dyntex.clip import Clip
    from dyntex.coopnets.config import CoopConfig
    from dyntex.coopnets.train import StepInfo

COOP = "coop"
MODEL = "model"
DEFAULT = "blend"


def recover(
    damaged: Annotated[
        str,
        typer.Argument(help="The clip: a video, animation, folder of frames, .npy/.npz array.", metavar="DAMAGED"),
    ],
    mask: Annotated[
        str,
        typer.Option(
            help="What is missing: an image for all frames, a video or folder (bright), an .npy/.npz array (not 0), "
            "or the colour painted over it, #rrggbb."
        ),
    ],
    out: options.NeededOut,
    grow: Annotated[int, typer.Option(help="Pixels by which the mask is widened.")] = 0,
    method: Annotated[
        str | None,
        typer.Option(
            help="blend (the default, the nearest to the truth), texture (the liveliest), coop (training), kriging, "
            "lds, interpolate, median, telea."
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="A model of clips or images like DAMAGED, in place of --method."),
    ] = None,
    label: LabelOption = None,
    text: TextOption = None,
    sketch: SketchOption = None,
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
    """Fill in what is missing of DAMAGED: a hole, an object that should not be there, lost frames."""
    told = {"label": label, "text": text, "sketch": sketch}
    if model is not None and method is not None:
        raise UsageError(f"--model {model} and --method {method} exclude each other: give one of them")
    if model is None:
        for option, value in told.items():
            if value is not None:
                raise UsageError(f"--{option} tells a model what is to be seen: give --model too, or leave it out")
    method = method or (DEFAULT if model is None else MODEL)
    options.check_numbers(not_negative={"--grow": grow, "--seed": seed})
    chosen = choices.choose_config(preset, size=None, iterations=iterations, budget=budget)
    if method != COOP and (preset or iterations or budget):
        way = f"--method {method}" if model is None else "--model"
        raise UsageError(f"{way} has no training: leave out --preset, --iterations and --budget")

    from dyntex.cli.conditioning import Wish
    from dyntex.cli.output import Output
    from dyntex.cli.progress import Teller
    from dyntex.cli.session import Work, check_not_source
    from dyntex.inpainting import METHODS
    from dyntex.inpainting import recover as fill
    from dyntex.inpainting.masks import is_key, read_mask
    from dyntex.inpainting.with_model import complete
    from dyntex.media import read_clip
    from dyntex.media.formats import FORMATS, ending_of
    from dyntex.media.paths import place_of

    if model is None and method not in (COOP, *METHODS):
        raise UsageError(f"there is no method {method!r}; the methods are {', '.join((*METHODS, COOP))}")
    output = Output.of(out, background=background, grid=None, overwrite=overwrite, still=True)
    check_not_source(out, damaged)
    check_not_source(out, mask)
    if not is_key(mask) and not os.path.lexists(place_of(mask)):
        raise InputError(f"there is no mask {mask}: give an image, a video, an .npz or a colour like #00ff00")
    with Teller(quiet=quiet) as teller:
        chosen_device = options.choose_device(device)
        fitted = None if model is None else choices.load_model(model, device=chosen_device)
        work = Work(damaged, chosen, seed, chosen_device, teller)
        with work.timed("read"):
            choices.check_source(damaged)
            clip = read_clip(damaged, notice=teller.say)
            output.check(tuple(clip.video.shape), n_frames=clip.n_frames)
            missing = read_mask(mask, clip, grow=grow)
        share = float(missing.float().mean())
        teller.say(f"{share:.1%} of {clip.n_frames} frames of {clip.width}x{clip.height} are missing; method {method}")
        if not FORMATS[ending_of(output.word)].lossless:
            teller.say(
                f"{output.place.suffix} is lossy, also where nothing was missing: "
                ".mkv, .apng and a folder of PNGs are not"
            )
        with work.timed("fit"):
            if fitted is not None:
                wish = Wish.of(fitted, **told, n_frames=clip.n_frames)
                whole = complete(fitted, clip, missing, rng=work.rng(), cond=wish.volume(fitted, clip.n_frames))
            elif method == COOP:
                whole = _train(clip, missing, chosen, rng=work.rng(), budget=budget, teller=teller)
            else:
                whole = fill(clip, missing, method=method, rng=_cpu_rng(seed))
        settings = {"method": method, "seed": seed, "grow": grow}
        with work.timed("write"):
            output.write(iter([whole]), n_frames=whole.n_frames, settings=settings, teller=teller)
        report = work.report(
            output=output.place,
            fps=whole.fps,
            size=(whole.height, whole.width),
            n_frames=whole.n_frames,
            method=method,
            missing=round(share, 6),
            preset=fitted.config.preset if fitted is not None else chosen.preset if method == COOP else None,
            model=None if model is None else str(model),
        )
    options.print_result(report, as_json=as_json)


def _cpu_rng(seed: int) -> torch.Generator:
    import torch

    return torch.Generator().manual_seed(seed)


def _train(
    clip: Clip, missing: Tensor, config: CoopConfig, *, rng: torch.Generator, budget: float | None, teller: Teller
) -> Clip:
    from dyntex.inpainting.by_training import cooperate

    began = time.monotonic()

    def progress(iteration: int) -> float:
        return iteration / config.iterations if budget is None else (time.monotonic() - began) / budget

    def on_step(info: StepInfo) -> None:
        teller.training(info, min(1.0, progress(info.iteration)))

    return cooperate(clip, missing, config, rng=rng, on_step=on_step, progress=progress)
