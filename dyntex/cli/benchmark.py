"""``dyntex benchmark NAME``: the experiments. A command translates its options into the fields of its study."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
        show_default="examples; two of them with --quick",
    ),
]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        help="lds, fft-lds, hosvd, kpcr, video-texture, or CoopNets by preset: fast (coop), paper-fc64, ...",
        show_default="the first four and fast; three with --quick",
    ),
]
Size = Annotated[int | None, typer.Option(help="Side of the square frames.", show_default="64; of tiles 128")]
Frames = Annotated[int | None, typer.Option(help="Frames of a clip to learn from.", show_default="64; of tiles 60")]
Seeds = Annotated[int | None, typer.Option(help="How many.", show_default="3; of loops 5")]
Iterations = Annotated[int | None, typer.Option(help="Of the networks; by default the preset's, of loops 2.")]
Seconds = Annotated[float | None, typer.Option(help="Seconds of the processor to train a network.")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the results.", show_default="benchmark-NAME")]
Shard = Annotated[str, typer.Option(help="i/n: do the i-th of n parts, to be merged.")]
Quick = Annotated[bool, typer.Option("--quick", help="Tiny: a look at the whole, never a number to quote.")]

COMPARISON = {
    "paper": "PSNR and SSIM of synthesized frames against the observed ones, as the paper has them.",
    "statistics": "The score of free samples, how they differ, and how near to copies they are.",
    "extrapolation": "PSNR and SSIM of the frames to be expected after the observed ones.",
    "speed": "Seconds of fitting, frames a second, memory and parameters of every method.",
}
OLD = {"ladder": "degradations", "tables": "page"}
"""Commands by the names that they had, and have."""

app = typer.Typer()


def compare(
    context: typer.Context,
    clips: Clips = None,
    methods: Methods = None,
    size: Size = None,
    frames: Frames = None,
    seeds: Seeds = None,
    iterations: Iterations = None,
    budget: Annotated[float | None, typer.Option(help="Seconds to train a network, in place of --iterations.")] = None,
    device: options.Device = "auto",
    models: Annotated[
        bool, typer.Option("--models/--no-models", help="Keep the trained networks, so that none is trained again.")
    ] = True,
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
    task: Annotated[list[str] | None, typer.Option(hidden=True)] = None,
    reference: Annotated[bool, typer.Option("--reference", hidden=True)] = False,
) -> None:
    """Fit every method to every clip, and measure what it makes beside controls: paper, statistics, extrapolation and
    speed, or the one that is named. Options follow the name.

    A killed benchmark goes on where it was: give the same command again. `dyntex benchmark merge` joins parts, and
    `dyntex benchmark page` writes the tables as Markdown.
    """
    if task or reference:
        names = ["iteration"] if reference else [name for word in task or () for name in word.split(",")]
        now = " and ".join(f"dyntex benchmark {name}" for name in names)
        raise UsageError(f"{'--reference' if reference else '--task'} is a command of its own: {now}")
    given = {name: value for name, value in locals().items() if name not in ("context", "task", "reference")}
    if context.invoked_subcommand is not None:
        early = [f"--{key}" for key, value in given.items() if value not in (None, False, "auto", "1/1", True)]
        if early:
            raise UsageError(f"{', '.join(early)} before {context.invoked_subcommand}: give options after the name")
        return
    named = context.info_name in COMPARISON
    given["tasks"] = [context.info_name] if named else None
    _run("methods", given, folder=f"benchmark-{context.info_name}" if named else "benchmark")


app.callback(invoke_without_command=True)(compare)
for _name, _help in COMPARISON.items():
    app.command(_name, help=_help)(compare)


@app.command()
def paper_table(
    clips: Clips = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            help="lds, hosvd, ..., or CoopNets by preset: what stands beside the paper's networks and the variants "
            "of public codes.",
            show_default="fast,lds,hosvd,fft-lds,kpcr",
        ),
    ] = None,
    size: Size = None,
    frames: Frames = None,
    seeds: Seeds = None,
    trained: Annotated[
        Path | None, typer.Option(help="Folder of the networks' trainings.", show_default="none: they have no rows")
    ] = None,
    words: Annotated[Path | None, typer.Option(help="JSON with what somebody saw; see the study.")] = None,
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """The paper's table with the paper's networks, published numbers beside ours.

    The networks train for hours, by python -m benchmarks.studies.paper_table.training.
    """
    _run("paper-table", locals())


@app.command()
def recovery(
    clips: Clips = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(help="blend, kriging, texture, lds, interpolate, median, telea.", show_default="all"),
    ] = None,
    size: Size = None,
    frames: Frames = None,
    seeds: Seeds = None,
    masks: Annotated[list[str] | None, typer.Option(help="An .npz of another mask, 1 where missing; repeat.")] = None,
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Hide parts of clips by the masks of the literature, and measure how far from them each method fills the holes."""
    _run("recovery", locals())


@app.command()
def questions(
    clips: Clips = None,
    frames: Frames = None,
    seconds: Seconds = None,
    seeds: Seeds = None,
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Cooperative training beside each network alone, a VAE and a GAN of the same networks: the paper's questions."""
    _run("questions", locals())


@app.command()
def conditions(
    clips: Clips = None,
    parts: Annotated[list[str] | None, typer.Option(help="digits, textures, sketch, text.", show_default="all")] = None,
    seconds: Seconds = None,
    size: Annotated[int | None, typer.Option(help="Side of the square frames.", show_default="32")] = None,
    seed: Annotated[int | None, typer.Option(help="Of all randomness.", show_default="0")] = None,
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Whether models do what labels, sketches and texts say."""
    _run("conditions", locals())


@app.command()
def ablation(
    clips: Clips = None,
    size: Size = None,
    frames: Frames = None,
    trained: Annotated[
        list[str] | None, typer.Option(help="Names of the clips to train on, all, or none.", show_default="all")
    ] = None,
    seconds: Annotated[
        list[str] | None, typer.Option(help="Lengths of training.", show_default="30,60,120,300")
    ] = None,
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """What each part of the preset fast is worth, and what training adds."""
    _run("ablation", locals())


@app.command()
def faces(
    seconds: Seconds = None,
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Faces with a hole, filled by a model that learned other faces."""
    _run("faces", locals())


@app.command()
def loops(
    clips: Clips = None,
    size: Size = None,
    frames: Frames = None,
    seeds: Seeds = None,
    iterations: Iterations = None,
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """How ordinary the step from the last frame of a loop to its first is."""
    _run("loops", locals())


@app.command()
def tiles(
    clips: Clips = None,
    size: Size = None,
    frames: Frames = None,
    grown: Annotated[int | None, typer.Option(help="Times as high and wide.", show_default="4")] = None,
    parts: Annotated[int | None, typer.Option(help="Parts of the large frame to score.", show_default="4")] = None,
    iterations: Iterations = None,
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Whether a part of a larger frame is as good as a frame of the size that was learned."""
    _run("tiles", locals())


@app.command()
def degradations(
    clips: Clips = None,
    size: Size = None,
    frames: Frames = None,
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Degrade real clips by known amounts, and show what the score of the statistics makes of it."""
    _run("degradations", locals())


@app.command()
def iteration(
    presets: Annotated[list[str] | None, typer.Option(help="Of the paper.", show_default="paper-fc64")] = None,
    frames: Annotated[int | None, typer.Option(help="Of the clip; by default the preset's.")] = None,
    device: options.Device = "auto",
    out: Out = None,
    shard: Shard = "1/1",
    quick: Quick = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Seconds of one iteration of the paper's model, beside the obvious way to write it."""
    _run("iteration", locals())


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


def _run(name: str, given: dict[str, Any], *, folder: str = "") -> None:
    """Build a study from the options that were given, and run it."""
    from rich.console import Console

    from benchmarks.catalogue import find
    from benchmarks.data import Source, find_clips
    from benchmarks.study import Shard, name_of, run
    from dyntex.runtime import choose_device

    shard = Shard.parse(given["shard"])
    kind, common = find(name), ("out", "shard", "quick", "quiet", "as_json", "models")
    quick: dict[str, Any] = dict(kind.QUICK) if given["quick"] else {}
    fields = {key: value for key, value in given.items() if key not in common and value is not None}
    if "budget" in fields:
        quick.pop("iterations", None)
    if "device" in fields:
        fields["device"] = str(choose_device(fields["device"]))
    for key in ("methods", "tasks", "parts", "trained", "presets"):
        if isinstance(fields.get(key), list):
            fields[key] = _split(fields[key])
    if isinstance(fields.get("seconds"), list):
        fields["seconds"] = tuple(_number("--seconds", word) for word in _split(fields["seconds"]))
    if "masks" in fields:
        fields["masks"] = tuple(Source(Path(word).stem, word) for word in fields["masks"])
    if "clips" in given:
        places = _places(fields.pop("clips", ()) or quick.pop("clips", ()) or ["examples"])
        fields["clips"] = tuple(find_clips(places))
    if not given.get("models", True):
        fields["keep_models"] = False
    console = Console(stderr=True, highlight=False, emoji=False)

    def say(row: Row, done: int, total: int) -> None:
        if not given["quiet"]:
            state = "" if row["status"] == "ok" else f": {row['reason']}"
            line = f"{done:>{len(str(total))}}/{total} {name_of(row)}{state}"
            console.print(line, markup=False, soft_wrap=True)

    study, out = kind(**(quick | fields)), given["out"] or Path(folder or f"benchmark-{name}")
    results = run(study, out, shard=shard, command=command_line(), on_row=say)
    _finish(study, results, out, quiet=given["quiet"], as_json=given["as_json"])


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
                    shows.add_column(column, justify="right" if i else "left", no_wrap=i > 0)
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
