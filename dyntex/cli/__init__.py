"""The command line: translates options into calls, and errors into one red line and an exit code."""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from dyntex.cli import benchmark, examples, info, recover, sample, synthesize, train, ui
from dyntex.cli.options import version
from dyntex.cli.process import StdoutError, answered, interrupt, is_first_rank, quiet_libraries, standard_streams
from dyntex.errors import DivergedError, DyntexError, MemoryLimitError, StoppedError

INTERRUPTED = 130

app = typer.Typer(
    name="dyntex",
    help="Learn a dynamic texture from one short clip, and synthesize new video of any length.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.callback()(version)
app.command()(synthesize.synthesize)
app.command()(train.train)
app.command()(sample.sample)
app.command()(recover.recover)
app.command()(info.info)
app.command()(examples.examples)
app.command()(ui.ui)
app.add_typer(benchmark.app, name="benchmark")


def main() -> None:
    """Run the command line and exit with its code (dyntex.errors; 0 is success, 1 an internal error)."""
    with standard_streams(), answered(interrupt), quiet_libraries():
        code = _run()
    sys.exit(code)


def _run() -> int:
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except DyntexError as error:
        # A training that several processes share ends so on all of them, and one says it.
        shared = isinstance(error, StoppedError | DivergedError) and not is_first_rank()
        return _fail("" if shared else str(error), error.exit_code)
    except TyperException as error:
        return _fail(_words_of(error), error.exit_code)
    except typer.Abort:
        code = INTERRUPTED
    except StdoutError as error:
        return _fail(str(error), error.exit_code)
    except Exception as error:
        if _is_out_of_memory(error):
            message = "memory ran out: choose fewer --frames, a smaller --size or another --preset"
            return _fail(message, MemoryLimitError.exit_code)
        if os.environ.get("DYNTEX_DEBUG"):
            raise
        return _fail(f"internal error: {type(error).__name__}: {error} (DYNTEX_DEBUG=1 shows where)", 1)
    if code == INTERRUPTED:  # what Typer makes of a KeyboardInterrupt
        return _fail("interrupted: nothing is left half-written", INTERRUPTED)
    return code if isinstance(code, int) else 0


def _words_of(error: TyperException) -> str:
    """Typer's message, with the value that it leaves out; empty where it has already printed the help."""
    message = error.format_message().strip()
    wrong: list[dict[str, object]] = getattr(error.__cause__, "errors", list)()
    value = f"{wrong[0]['input']!r}: " if wrong and "input" in wrong[0] else ""
    return f"{value}{message} (see --help)" if message else ""


def _is_out_of_memory(error: Exception) -> bool:
    from dyntex.experiment.memory import is_out_of_memory

    return is_out_of_memory(error)


def _fail(message: str, code: int) -> int:
    from rich.console import Console

    if message:
        line = " ".join(message.split())
        console = Console(stderr=True, highlight=False, emoji=False, soft_wrap=True)
        console.print("dyntex:", line, style="red", markup=False)
    return code
