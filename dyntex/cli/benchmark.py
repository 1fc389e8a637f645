"""``dyntex benchmark NAME``: the experiments. A command translates its options into the fields of its study."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from dyntex.cli import options
from dyntex.cli.console import command_line
from dyntex.errors import UsageError

if TYPE_CHECKING:
    from benchmarks.study import Results, Row, Study

# An option that is not given has the default of its study's field, or with --quick what makes it quick.
Clips = Annotated[
    list[str] | None,
    typer.Option(
        help="A folder of clips, files, example:NAME, or examples; repeat or join by commas.",
        show_default="examples; one or two of them with --quick",
    ),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        help="lds, fft-lds, hosvd, kpcr, video-texture, patch-nn, or CoopNets by preset: fast (coop), ...",
        show_default="the first four and fast; three with --quick",
    ),
]
Size = Annotated[int | None, typer.Option(help="Side of the square frames.", show_default="64; of tiles 128")]
Frames = Annotated[int | None, typer.Option(help="Frames of a clip to learn from.", show_default="64; of tiles 60")]
Seeds = Annotated[int | None, typer.Option(help="How many.", show_default="3; of loops 5")]
Iterations = Annotated[int | None, typer.Option(help="Of the networks; by default the preset's, of loops 2.")]
# Not --budget, which in other commands is the time of the whole command.
Budget = Annotated[
    float | None, typer.Option("--train-seconds", help="Seconds to train each network, in place of --iterations.")
]
Seconds = Annotated[float | None, typer.Option(help="Seconds of the processor to train a network.")]
Models = Annotated[
    bool, typer.Option("--models/--no-models", help="Keep the trained networks, so that none is trained again.")
]
Rivals = Annotated[
    list[str] | None,
    typer.Option(
        "--methods",
        help="lds, hosvd, ..., or CoopNets by preset: what stands beside the paper's networks and public variants.",
        show_default="fast,lds,hosvd,fft-lds,kpcr",
    ),
]
Trainings = Annotated[
    Path | None,
    typer.Option("--trained", help="Folder of the networks' trainings.", show_default="none: they have no rows"),
]
Words = Annotated[Path | None, typer.Option(help="JSON with what somebody saw; see the study.")]
RecoveryMethods = Annotated[
    list[str] | None,
    typer.Option(
        "--methods", help="blend, kriging, texture, lds, interpolate, median, telea.", show_default="all of them"
    ),
]
LoopMethods = Annotated[
    list[str] | None,
    typer.Option("--methods", help="Those that loop, or CoopNets by preset.", show_default="lds,fft-lds,hosvd,fast"),
]
Masks = Annotated[list[str] | None, typer.Option(help="An .npz of another mask, 1 where missing; repeat for more.")]
Parts = Annotated[list[str] | None, typer.Option(help="digits, textures, sketch, text.", show_default="all of them")]
SmallSize = Annotated[int | None, typer.Option("--size", help="Side of the square frames.", show_default="32")]
Seed = Annotated[int | None, typer.Option(help="Of all randomness.", show_default="0")]
Trained = Annotated[
    list[str] | None, typer.Option(help="Names of the clips to train on, all, or none.", show_default="all")
]
Lengths = Annotated[
    list[str] | None, typer.Option("--seconds", help="Lengths of training.", show_default="30,60,120,300")
]
Grown = Annotated[int | None, typer.Option(help="Times as high and wide.", show_default="4")]
NParts = Annotated[int | None, typer.Option("--parts", help="Of the large frame, to score.", show_default="4")]
Presets = Annotated[list[str] | None, typer.Option(help="Of the paper.", show_default="paper-fc64")]
Precisions = Annotated[list[str] | None, typer.Option(help="fp32, bf16, or both.", show_default="fp32")]

COMMON: dict[str, tuple[Any, Any]] = {
    "out": (
        Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the results; by default benchmark-NAME.")],
        None,
    ),
    "shard": (Annotated[str, typer.Option(help="i/n: do the i-th of n parts, to be merged.")], "1/1"),
    "quick": (
        Annotated[bool, typer.Option("--quick", help="Tiny: a look at the whole, never a number to quote.")],
        False,
    ),
    "quiet": (options.Quiet, False),
    "as_json": (options.AsJson, False),
    "task": (Annotated[list[str] | None, typer.Option(hidden=True)], None),
    "reference": (Annotated[bool, typer.Option("--reference", hidden=True)], False),
}
"""Options of every study, with their defaults."""

COMPARISON = {
    "paper": "PSNR and SSIM of synthesized frames against the observed ones, as the paper has them.",
    "statistics": "The score of free samples, how they differ, and how near to copies they are.",
    "critic": "How well fresh critics tell free samples from held-out frames.",
    "extrapolation": "PSNR and SSIM of the frames to be expected after the observed ones.",
    "speed": "Seconds of fitting, frames a second, memory and parameters of every method.",
}
OLD = {"ladder": "degradations", "tables": "page"}
"""Commands by the names that they had, and have."""

Command = Callable[..., None]

app = typer.Typer()


def _study(command: Command, run: Callable[..., None]) -> Command:
    """A command whose options are those of a signature and the common ones, which are handed to ``run`` by name."""
    kinds = get_type_hints(command, include_extras=True)
    kinds.pop("return", None)
    kinds |= {name: kind for name, (kind, _) in COMMON.items()}
    defaults = {name: p.default for name, p in inspect.signature(command).parameters.items()}
    defaults |= {name: default for name, (_, default) in COMMON.items()}

    @functools.wraps(command)
    def called(**given: Any) -> None:
        run(**given)

    called.__annotations__ = kinds
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kinds[name])
        for name, default in defaults.items()
    ]
    called.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return called


def _command(command: Command) -> Command:
    """Register a study's command: the name and the options of its signature are those of the study and its fields."""
    name = command.__name__.replace("_", "-")
    return app.command(name)(_study(command, lambda **given: _run(name, given, folder=f"benchmark-{name}")))


def compare(
    context: typer.Context,
    clips: Clips = None,
    methods: Methods = None,
    size: Size = None,
    frames: Frames = None,
    seeds: Seeds = None,
    iterations: Iterations = None,
    budget: Budget = None,
    device: options.Device = "auto",
    models: Models = True,
) -> None:
    """Fit every method to every clip, and measure what it makes beside controls: paper, statistics, critic,
    extrapolation and speed, or what is named. Options follow the name.

    A killed benchmark goes on where it was: give the same command again. `dyntex benchmark merge` joins parts, and
    `dyntex benchmark page` writes the tables as Markdown.
    """


def _compare(context: typer.Context, **given: Any) -> None:
    named = context.info_name in COMPARISON
    if context.invoked_subcommand is None:
        given["tasks"] = [context.info_name] if named else None
        _run("methods", given, folder=f"benchmark-{context.info_name}" if named else "benchmark")
        return
    _refuse_old(given)
    early = [name for name in given if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"]
    if early:
        raise UsageError(f"--{early[0]} before {context.invoked_subcommand}: give options after the name")


app.callback(invoke_without_command=True)(_study(compare, _compare))
for _name, _help in COMPARISON.items():
    app.command(_name, help=_help)(_study(compare, _compare))


@_command
def paper_table(
    clips: Clips = None,
    methods: Rivals = None,
    size: Size = None,
    frames: Frames = None,
    seeds: Seeds = None,
    trained: Trainings = None,
    words: Words = None,
) -> None:
    """The paper's table with the paper's networks, published numbers beside ours.

    The networks train for hours, by python -m benchmarks.studies.paper_table.training.
    """


@_command
def recovery(
    clips: Clips = None,
    methods: RecoveryMethods = None,
    size: Size = None,
    frames: Frames = None,
    seeds: Seeds = None,
    masks: Masks = None,
) -> None:
    """Hide parts of clips by the masks of the literature, and measure how far from them each method fills the holes."""


@_command
def questions(clips: Clips = None, frames: Frames = None, seconds: Seconds = None, seeds: Seeds = None) -> None:
    """Cooperative training beside each network alone, a VAE and a GAN of the same networks: the paper's questions."""


@_command
def conditions(
    clips: Clips = None, parts: Parts = None, seconds: Seconds = None, size: SmallSize = None, seed: Seed = None
) -> None:
    """Whether models do what labels, sketches and texts say."""


@_command
def ablation(
    clips: Clips = None, size: Size = None, frames: Frames = None, trained: Trained = None, seconds: Lengths = None
) -> None:
    """What each part of the preset fast is worth, and what training adds."""


@_command
def faces(seconds: Seconds = None) -> None:
    """Faces with a hole, filled by a model that learned other faces."""


@_command
def loops(
    clips: Clips = None,
    methods: LoopMethods = None,
    size: Size = None,
    frames: Frames = None,
    seeds: Seeds = None,
    iterations: Iterations = None,
) -> None:
    """How ordinary the step from the last frame of a loop to its first is."""


@_command
def tiles(
    clips: Clips = None,
    size: Size = None,
    frames: Frames = None,
    grown: Grown = None,
    parts: NParts = None,
    iterations: Iterations = None,
) -> None:
    """Whether a part of a larger frame is as good as a frame of the size that was learned."""


@_command
def degradations(clips: Clips = None, size: Size = None, frames: Frames = None) -> None:
    """Degrade real clips by known amounts, and show what the score of the statistics makes of it."""


@_command
def iteration(
    presets: Presets = None, precisions: Precisions = None, frames: Frames = None, device: options.Device = "auto"
) -> None:
    """Seconds of one iteration of the paper's model, beside the obvious way to write it."""


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Folders of the parts, of one configuration.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the whole.")],
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Join the parts of a benchmark that was run in shards, or on several machines."""
    from benchmarks.catalogue import merge as join

    _finish(*join(folders, out), out, quiet=quiet, as_json=as_json)


@app.command()
def page(
    folder: Annotated[Path, typer.Argument(help="Folder of a benchmark.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The Markdown page to write.")],
    overwrite: options.Overwrite = False,
) -> None:
    """Write the page of a benchmark again, elsewhere, from the rows that it has."""
    from benchmarks.catalogue import load
    from benchmarks.study import page_of

    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists: choose another name or pass --overwrite")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out} cannot be written because {out.parent} is not a folder: make it first")
    out.write_text(page_of(*load(folder)), encoding="utf-8")
    print(out)


def _renamed(context: typer.Context) -> None:
    raise UsageError(f"{context.info_name} has another name: dyntex benchmark {OLD[context.info_name or '']}")


for _name in OLD:
    app.command(_name, hidden=True, context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(
        _renamed
    )


def _refuse_old(given: dict[str, Any]) -> None:
    task, reference = given.pop("task"), given.pop("reference")
    if task or reference:
        names = ["iteration"] if reference else [name for word in task for name in word.split(",")]
        now = " and ".join(f"dyntex benchmark {name}" for name in names)
        raise UsageError(f"{'--reference' if reference else '--task'} is a command of its own: {now}")


def _run(name: str, given: dict[str, Any], *, folder: str) -> None:
    """Build a study from the options that were given, and run it."""
    _refuse_old(given)
    from rich.console import Console

    from benchmarks.catalogue import find
    from benchmarks.configuration import quick_of
    from benchmarks.study import Shard, name_of, run

    out, shard = given.pop("out") or Path(folder), Shard.parse(given.pop("shard"))
    quick, quiet, as_json = (given.pop(key) for key in ("quick", "quiet", "as_json"))
    kind = find(name)
    defaults = quick_of(kind) if quick else {}
    if given.get("budget") is not None:
        defaults.pop("iterations", None)
    study = kind(**(defaults | _fields(given, defaults)))
    console = Console(stderr=True, highlight=False, emoji=False)

    def say(row: Row, done: int, total: int) -> None:
        if not quiet:
            state = "" if row["status"] == "ok" else f": {row['reason']}"
            line = f"{done:>{len(str(total))}}/{total} {name_of(row)}{state}"
            console.print(line, markup=False, soft_wrap=True)

    results = run(study, out, shard=shard, command=command_line(), on_row=say)
    _finish(study, results, out, quiet=quiet, as_json=as_json)


def _fields(given: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The fields of a study from words: those that were given, and the clips."""
    from benchmarks.data import Source, find_clips
    from dyntex.runtime import choose_device

    fields = {key: value for key, value in given.items() if value is not None}
    for key, value in fields.items():
        if isinstance(value, list) and key not in ("clips", "masks"):
            fields[key] = _split(value)
    if isinstance(fields.get("seconds"), tuple):
        fields["seconds"] = tuple(_number("--seconds", word) for word in fields["seconds"])
    if "device" in fields:
        fields["device"] = str(choose_device(fields["device"]))
    if "masks" in fields:
        fields["masks"] = tuple(Source(Path(word).stem, word) for word in fields["masks"])
    if "clips" in given:
        fields["clips"] = tuple(find_clips(_places(given["clips"] or defaults.get("clips", ("examples",)))))
    if "models" in fields:
        fields["keep_models"] = fields.pop("models")
    return fields


def _finish(study: Study, results: Results, out: Path, *, quiet: bool, as_json: bool) -> None:
    """The report, the tables on stderr, and the folder or the results on stdout."""
    from rich.console import Console
    from rich.table import Table as RichTable

    from benchmarks.report.html import REPORT, write_report
    from benchmarks.report.markdown import Table
    from benchmarks.study import PAGE

    pages = [PAGE]
    if study.name == "methods":
        write_report(results, out)
        pages.append(REPORT)
    if not quiet:
        console = Console(stderr=True, highlight=False, emoji=False)
        title = ""
        for part in study.page(results):
            if isinstance(part, str):
                title = part.lstrip("# ") if part.startswith("#") else title
            elif isinstance(part, Table) and part.shown:
                shows = RichTable(title=title, title_justify="left")
                for i, column in enumerate(part.header[: part.shown]):
                    shows.add_column(column.strip("*"), justify="right" if i else "left", no_wrap=i == 0)
                for cells in part.rows:
                    shows.add_row(*(cell.replace("*", "") for cell in cells[: part.shown]))
                console.print(shows)
        for name in pages:
            console.print(f"the tables are in {out / name}", markup=False, soft_wrap=True)
    print(json.dumps(results) if as_json else out)


def _split(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.strip() for text in texts for word in text.split(",") if word.strip())


def _number(option: str, word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise UsageError(f"{option} {word} is no number: give seconds, joined by commas") from None


def _places(texts: Iterable[str]) -> list[str]:
    """Split at commas, but for a name that a file or folder has."""
    return [word for text in texts for word in ([text] if Path(text).exists() else text.split(","))]
