"""``dyntex benchmark``: the methods against each other and against the controls, on real clips or on the examples."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dyntex.cli import options
from dyntex.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(invoke_without_command=True)

QUICK = {"size": 32, "frames": 24, "seeds": 1}
QUICK_ITERATIONS = 10
PACED = ("paper-fc64",)
"""What --reference measures unless --methods names others."""
FIT = {"statistics": 3, "extrapolation": 6}
"""Columns of a table that fit a terminal: not the ten ratios, not SSIM at each horizon. The report has them all."""

METHODS = ["lds", "fft-lds", "hosvd", "kpcr", "fast"]
QUICK_METHODS = ["lds", "hosvd", "fast"]
QUICK_CLIPS = ["example:ripples", "example:flame"]
"""The examples that are made in a moment. Each method's speed costs a process, which imports torch for seconds."""
CLIPS = "A folder of clips, files, example:NAME, or examples; repeat or join by commas."

Folder = Annotated[Path, typer.Option("--out", "-o", help="Folder of the benchmark.")]


@app.callback()
def benchmark(
    context: typer.Context,
    task: Annotated[
        list[str],
        typer.Option(
            "--task",
            help="paper, statistics, extrapolation, speed (repeat or join by commas); or recovery; or questions.",
        ),
    ] = ["paper", "statistics", "extrapolation", "speed"],  # noqa: B006 (Typer copies it)
    methods: Annotated[
        list[str] | None,
        typer.Option(
            help="lds, fft-lds, hosvd, kpcr, video-texture, or CoopNets by preset: fast (coop), paper-fc64, ...; of "
            "recovery: blend, kriging, texture, lds, interpolate, median, telea.",
            show_default="the first four and fast; three with --quick; all of recovery's",
        ),
    ] = None,
    clips: Annotated[
        list[str] | None, typer.Option(help=CLIPS, show_default="examples; two of them with --quick")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the square frames.", show_default="64")] = None,
    frames: Annotated[int | None, typer.Option(help="Frames to learn from.", show_default="64")] = None,
    seeds: Annotated[int | None, typer.Option(help="How many, from 0.", show_default="3")] = None,
    iterations: Annotated[int | None, typer.Option(help="Of the neural methods; by default the preset's.")] = None,
    budget: Annotated[float | None, typer.Option(help="Seconds to train a neural method, not --iterations.")] = None,
    device: options.Device = "auto",
    out: Folder = Path("benchmark"),
    shard: Annotated[str, typer.Option(help="i/n: do the i-th of n parts, to be merged.")] = "1/1",
    models: Annotated[
        bool,
        typer.Option("--models/--no-models", help="Keep the trained networks, so that no later task trains again."),
    ] = True,
    reference: Annotated[
        bool, typer.Option("--reference", help="With --task speed: paper-fc64 or -fc128 beside its obvious form.")
    ] = False,
    masks: Annotated[
        list[Path] | None, typer.Option(help="With --task recovery: an .npz of another mask, 1 where missing; repeat.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Tiny: a look at the whole, never a number to quote.")] = False,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Fit every method to every clip, measure what it makes beside the controls, and write results and report.

    A killed benchmark goes on where it was: give the same command again. `dyntex benchmark merge` joins parts, and
    `dyntex benchmark tables` writes the tables as Markdown.
    """
    if context.invoked_subcommand is not None:
        return
    if reference:
        from dyntex.cli.pace import pace

        presets = _split(methods) if methods else PACED
        pace(_split(task), presets, device=device, frames=frames, quiet=quiet, as_json=as_json)
        return
    given = {"size": size, "frames": frames, "seeds": seeds, "iterations": iterations, "budget": budget}
    numbers: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    places = _places(clips or (QUICK_CLIPS if quick else ["examples"]))
    if "recovery" in _split(task):
        from dyntex.cli.recovery import recovery

        unfit = {"--shard": shard != "1/1", "--no-models": not models, "--device": device not in ("auto", "cpu")}
        recovery(
            _split(task),
            _split(methods or ()),
            places,
            masks or (),
            out,
            numbers=(QUICK if quick else {}) | numbers,
            unfit=[option for option, is_given in unfit.items() if is_given],
            quiet=quiet,
            as_json=as_json,
        )
        return
    if "questions" in _split(task):
        from dyntex.cli.questions import questions

        given_too = {"--methods": methods, "--masks": masks, "--shard": shard != "1/1", "--no-models": not models}
        questions(
            _split(task),
            places,
            out,
            numbers=numbers,
            unfit=[option for option, is_given in given_too.items() if is_given],
            quick=quick,
            quiet=quiet,
            as_json=as_json,
        )
        return
    if masks:
        raise UsageError("--masks are what --task recovery fills: give it with that task alone")
    from rich.console import Console

    from benchmarks.cells import Row, Settings, Shard
    from benchmarks.data import find_clips
    from benchmarks.run import Sweep

    if quick:
        numbers = QUICK | ({"iterations": QUICK_ITERATIONS} if budget is None else {}) | numbers
    names = methods or (QUICK_METHODS if quick else METHODS)
    settings = Settings(_split(task), _split(names), device=str(options.choose_device(device)), **numbers)
    part = Shard.parse(shard)
    sources = find_clips(places)
    console = Console(stderr=True, highlight=False, emoji=False)

    def say(row: Row, done: int, total: int) -> None:
        if not quiet:
            state = "" if row["status"] == "ok" else f": {row['reason']}"
            name = f"{row['task']} {row['method']} {row['clip']} seed {row['seed']}"
            console.print(f"{done:>{len(str(total))}}/{total} {name}{state}", markup=False, soft_wrap=True)

    results = Sweep(settings, sources, out, shard=part, keep_models=models, command=_command(), on_row=say).run()
    _finish(results, out, quiet=quiet, as_json=as_json)


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Folders of the parts, of one configuration.")],
    out: Folder,
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Join the parts of a benchmark that was run in shards, or on several machines."""
    from benchmarks.results import merge as join

    _finish(join(folders, out), out, quiet=quiet, as_json=as_json)


@app.command()
def tables(
    folder: Annotated[Path, typer.Argument(help="Folder of a benchmark.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The Markdown page to write.")],
    title: Annotated[str, typer.Option(help="Its title.")] = "Benchmark results",
    overwrite: options.Overwrite = False,
) -> None:
    """Write a benchmark's tables as a Markdown page."""
    from benchmarks.results import load_results
    from benchmarks.tables import markdown

    _check_page(out, overwrite=overwrite)
    page = markdown(load_results(folder), title=title, command=_command())
    out.write_text(page, encoding="utf-8")
    print(out)


@app.command()
def ladder(
    clips: Annotated[list[str], typer.Option(help=CLIPS)] = ["examples"],  # noqa: B006
    size: Annotated[int, typer.Option(help="Side of the square frames.")] = 64,
    frames: Annotated[int, typer.Option(help="Of the corrupted clip; as many are held out.")] = 64,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="A Markdown page to write; else stdout.")] = None,
    overwrite: options.Overwrite = False,
) -> None:
    """Corrupt real clips by degrees, and show what the score of the statistics task makes of it."""
    from benchmarks.data import find_clips
    from benchmarks.ladder import ladder as climb

    if out is not None:
        _check_page(out, overwrite=overwrite)
    table = climb(find_clips(_places(clips)), size=size, n_frames=frames)
    if out is None:
        print(table)
        return
    page = f"# The ladder of corruptions\n\nMade by `{_command()}`; see [benchmark.md](../benchmark.md).\n\n{table}\n"
    out.write_text(page, encoding="utf-8")
    print(out)


def _check_page(out: Path, *, overwrite: bool) -> None:
    if out.exists() and not overwrite:
        raise UsageError(f"{out} exists: choose another name or pass --overwrite")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"{out} cannot be written because {out.parent} is not a folder: make it first")


def _finish(results: dict[str, Any], out: Path, *, quiet: bool, as_json: bool) -> None:
    """The report, the tables on stderr, and the folder or the results on stdout."""
    from rich.console import Console

    from benchmarks.report import write_report

    path = write_report(results, out)
    if not quiet:
        console = Console(stderr=True, highlight=False, emoji=False)
        for task in results["config"]["tasks"]:
            console.print(_table(results, task))
        console.print(f"the report is {path}", markup=False, soft_wrap=True)
    print(json.dumps(results) if as_json else out)


def _table(results: dict[str, Any], task: str) -> Table:
    from rich.table import Table

    from benchmarks.protocol import TITLES
    from benchmarks.summary import COLUMNS, shown, table

    shows = Table(title=TITLES[task], title_justify="left", caption_justify="left")
    shows.add_column("method")
    columns = COLUMNS[task][: FIT.get(task)]
    for column in columns:
        shows.add_column(column.title, justify="right", no_wrap=True)
    lines = table(results["rows"], task)
    for line in lines:
        cells = [shown(cell, column) for cell, column in zip(line.cells, columns, strict=False)]
        name = line.method + (f" ({line.failed} failed)" if line.failed else "")
        shows.add_row(name, *cells, style="dim" if line.control else "")
    if any(line.control for line in lines):
        shows.caption = "dim: controls"
    return shows


def _split(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(word.strip() for text in texts for word in text.split(",") if word.strip())


def _places(texts: Iterable[str]) -> list[str]:
    """Split at commas, but for a name that a file or folder has."""
    return [word for text in texts for word in ([text] if Path(text).exists() else text.split(","))]


def _command() -> str:
    return shlex.join(["dyntex", *sys.argv[1:]])
