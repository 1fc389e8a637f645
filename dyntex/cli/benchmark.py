"""``dyntex benchmark NAME``: the experiments. A command is a name, its options and its help; here they are as data."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dyntex.cli import options
from dyntex.cli.console import command_line
from dyntex.errors import UsageError

if TYPE_CHECKING:
    from dyntex.benchmarks.study import Results, Row, Study

Words = list[str]
"""Of an option that is repeated, or whose words are joined by commas."""

# By option, or by command and option where it means another thing there: type, help, and default in words. One that is
# not given has the default of its study's field, or with --quick what makes it quick.
OPTIONS: dict[str, tuple[Any, str, str]] = {
    "clips": (Words, "A folder of clips, files, example:NAME, or examples; repeat or join by commas.", "examples"),
    "methods": (
        Words,
        "lds, fft-lds, hosvd, kpcr, video-texture, or CoopNets by preset: fast (coop), paper-fc64, ...",
        "the first four and fast",
    ),
    "paper-table.methods": (Words, "What stands beside the paper's networks.", "fast,lds,hosvd,fft-lds,kpcr"),
    "recovery.methods": (Words, "blend, kriging, texture, lds, interpolate, median, telea.", "all of them"),
    "loops.methods": (Words, "Those that loop, or CoopNets by preset.", "lds,fft-lds,hosvd,fast"),
    "size": (int, "Side of the square frames.", "64"),
    "conditions.size": (int, "Side of the square frames.", "32"),
    "tiles.size": (int, "Side of the square frames.", "128"),
    "frames": (int, "Frames of a clip to learn from.", "64"),
    "tiles.frames": (int, "Frames of a clip to learn from.", "60"),
    "iteration.frames": (int, "Frames of the clip.", "the preset's"),
    "seeds": (int, "How many.", "3"),
    "loops.seeds": (int, "How many.", "5"),
    "seed": (int, "Of all randomness.", "0"),
    "iterations": (int, "Of the networks.", "the preset's"),
    "loops.iterations": (int, "Of the networks.", "2"),
    "budget": (float, "Seconds to train a network, in place of --iterations.", "none"),
    "seconds": (float, "Seconds of the processor to train a network.", "30"),
    "faces.seconds": (float, "Seconds of the processor to train the network.", "150"),
    "conditions.seconds": (float, "Seconds of the processor to train a network.", "600"),
    "ablation.seconds": (Words, "Lengths of training, in seconds of the processor.", "30,60,120,300"),
    "masks": (Words, "An .npz of another mask, 1 where missing; repeat for more.", "none"),
    "conditions.parts": (Words, "digits, textures, sketch, text.", "all of them"),
    "tiles.parts": (int, "Parts of the large frame, to score.", "4"),
    "grown": (int, "Times as high and wide.", "4"),
    "ablation.trained": (Words, "Names of the clips to train on, all, or none.", "all"),
    "paper-table.trained": (Path, "Folder of the networks' trainings.", "none: they have no rows"),
    "words": (Path, "JSON with what somebody saw; see the study.", "none"),
    "presets": (Words, "Of the paper.", "paper-fc64"),
    "precisions": (Words, "fp32, bf16, or both.", "fp32"),
}
FLAGS = {"budget": "train-seconds", "seconds": "cpu-seconds"}
"""Options whose names are not their fields': in other commands --budget and --seconds mean other things."""
COMMON: dict[str, tuple[Any, Any]] = {
    "out": (
        Annotated[Path | None, typer.Option("--out", "-o", help="Folder of the results; by default benchmark-NAME.")],
        None,
    ),
    "shard": (Annotated[str, typer.Option(help="i/n: do the i-th of n parts, to be merged.")], "1/1"),
    "scheduler": (
        Annotated[
            str | None,
            typer.Option(help="Work on a cluster: tcp://HOST:8786 of a Dask scheduler, or local:N for N workers here."),
        ],
        None,
    ),
    "quick": (
        Annotated[bool, typer.Option("--quick", help="Tiny: a look at the whole, never a number to quote.")],
        False,
    ),
    "quiet": (options.Quiet, False),
    "as_json": (options.AsJson, False),
    "task": (Annotated[Words | None, typer.Option(hidden=True)], None),
    "reference": (Annotated[bool, typer.Option("--reference", hidden=True)], False),
}
"""Options of every study, with their defaults."""
SPECIAL: dict[str, tuple[Any, Any]] = {
    "device": (options.Device, "auto"),
    "models": (
        Annotated[
            bool,
            typer.Option("--models/--no-models", help="Keep the trained networks, so that none is trained again."),
        ],
        True,
    ),
}

COMPARED = "clips methods size frames seeds iterations budget device models"
COMPARISON = {
    "paper": "PSNR and SSIM of synthesized frames against the observed ones, as the paper has them.",
    "statistics": "The score of free samples, how they differ, and how near to copies they are.",
    "critic": "How well fresh critics tell free samples from held-out frames.",
    "extrapolation": "PSNR and SSIM of the frames to be expected after the observed ones.",
    "speed": "Seconds of fitting, frames a second, memory and parameters of every method.",
}
"""Tasks of the comparison of methods."""
ALL = """Fit every method to every clip, and measure what it makes beside controls: paper, statistics, critic,
extrapolation and speed, or what is named. Options follow the name.

A killed benchmark goes on where it was: give the same command again. `dyntex benchmark merge` joins parts, and
`dyntex benchmark page` writes the tables as Markdown."""

STUDIES = {
    "paper-table": (
        "clips methods size frames seeds trained words",
        "The paper's table with the paper's networks, published numbers beside ours.\n\nThe networks train for hours, "
        "by python -m dyntex.benchmarks.studies.paper_table.training.",
    ),
    "recovery": (
        "clips methods size frames seeds masks",
        "Hide parts of clips by the masks of the literature; how far from the truth does each method fill them?",
    ),
    "questions": (
        "clips frames seconds seeds",
        "Cooperative training beside each network alone, a VAE and a GAN of the same networks: the paper's questions.",
    ),
    "conditions": ("clips parts seconds size seed", "Whether models do what labels, sketches and texts say."),
    "ablation": (
        "clips size frames trained seconds",
        "What each part of the preset fast is worth, and what training adds.",
    ),
    "faces": ("seconds", "Faces with a hole, filled by a model that learned other faces."),
    "loops": (
        "clips methods size frames seeds iterations",
        "How ordinary the step from the last frame of a loop to its first is.",
    ),
    "tiles": (
        "clips size frames grown parts iterations",
        "Whether a part of a larger frame is as good as a frame of the size that was learned.",
    ),
    "degradations": (
        "clips size frames",
        "Degrade real clips by known amounts, and show what the score of the statistics makes of it.",
    ),
    "iteration": (
        "presets precisions frames device",
        "Seconds of one iteration of the paper's model, beside the obvious way to write it.",
    ),
}
"""By command: the options that are fields of its study, and its help."""
OLD = {"ladder": "degradations", "tables": "page"}
"""Commands by the names that they had, and have."""

app = typer.Typer()


def _command(name: str, names: str, run: Callable[..., None]) -> Callable[..., None]:
    """A command that hands the options of these names, and the common ones, to ``run``."""
    kinds: dict[str, tuple[Any, Any]] = {}
    for option in names.split():
        if option in SPECIAL:
            kinds[option] = SPECIAL[option]
            continue
        kind, about, default = OPTIONS.get(f"{name}.{option}") or OPTIONS[option]
        kinds[option] = (
            Annotated[kind | None, typer.Option(f"--{FLAGS.get(option, option)}", help=about, show_default=default)],
            None,
        )
    kinds |= COMMON

    def command(**given: Any) -> None:
        run(**given)

    context = [inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)]
    command.__annotations__ = {"context": typer.Context} | {option: kind for option, (kind, _) in kinds.items()}
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        context
        + [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for option, (kind, default) in kinds.items()
        ]
    )
    return command


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


def _study(context: typer.Context, **given: Any) -> None:
    name = context.info_name or ""
    _run(name, given, folder=f"benchmark-{name}")


app.callback(invoke_without_command=True, help=ALL)(_command("", COMPARED, _compare))
for _name, _help in COMPARISON.items():
    app.command(_name, help=_help)(_command(_name, COMPARED, _compare))
for _name, (_names, _help) in STUDIES.items():
    app.command(_name, help=_help)(_command(_name, _names, _study))


@app.command()
def merge(
    folders: Annotated[list[Path], typer.Argument(help="Folders of the parts, of one configuration.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the whole.")],
    quiet: options.Quiet = False,
    as_json: options.AsJson = False,
) -> None:
    """Join the parts of a benchmark that was run in shards, or on several machines."""
    from dyntex.benchmarks.catalogue import merge as join

    _finish(*join(folders, out), out, quiet=quiet, as_json=as_json)


@app.command()
def page(
    folder: Annotated[Path, typer.Argument(help="Folder of a benchmark.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The Markdown page to write.")],
    overwrite: options.Overwrite = False,
) -> None:
    """Write the page of a benchmark again, elsewhere, from the rows that it has."""
    from dyntex.benchmarks.catalogue import load
    from dyntex.benchmarks.study import page_of

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

    from dyntex.benchmarks.catalogue import find
    from dyntex.benchmarks.configuration import quick_of
    from dyntex.benchmarks.study import Shard, name_of, run

    out, shard = given.pop("out") or Path(folder), Shard.parse(given.pop("shard"))
    quick, quiet, as_json, scheduler = (given.pop(key) for key in ("quick", "quiet", "as_json", "scheduler"))
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

    if scheduler is None:
        results = run(study, out, shard=shard, command=command_line(), on_row=say)
    else:
        from dyntex.benchmarks.cluster import on_workers

        with on_workers(scheduler) as (rows, dashboard):
            if not quiet:
                console.print(f"dashboard: {dashboard}", markup=False, soft_wrap=True)
            results = run(study, out, shard=shard, command=command_line(), on_row=say, rows=rows)
    _finish(study, results, out, quiet=quiet, as_json=as_json)


def _fields(given: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The fields of a study from words: those that were given, and the clips."""
    from dyntex.benchmarks.data import Source, find_clips
    from dyntex.runtime import choose_device

    fields = {key: value for key, value in given.items() if value is not None}
    for key, value in fields.items():
        if isinstance(value, list) and key not in ("clips", "masks"):
            fields[key] = _split(value)
    if isinstance(fields.get("seconds"), tuple):
        fields["seconds"] = tuple(_number("--cpu-seconds", word) for word in fields["seconds"])
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

    from dyntex.benchmarks.report.html import REPORT, write_report
    from dyntex.benchmarks.report.markdown import Table
    from dyntex.benchmarks.study import PAGE

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
