"""The command line: it translates words into calls, and errors into one red line and an exit code."""

from __future__ import annotations

import os
import sys

import typer
from typer.exceptions import TyperException

from dyntex.cli import examples, info, sample, synthesize, train
from dyntex.cli.words import version
from dyntex.errors import DyntexError

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
app.command()(info.info)
app.command()(examples.examples)


def main() -> None:
    """Run the command line and exit with its code (dyntex.errors; 0 is success, 1 an internal error)."""
    try:
        code = app(standalone_mode=False)
    except DyntexError as error:
        code = _fail(str(error), error.exit_code)
    except TyperException as error:
        code = _fail(error.format_message(), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        code = _fail("interrupted", 130)
    except BrokenPipeError:
        # Whoever read stdout went away; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        if os.environ.get("DYNTEX_DEBUG"):
            raise
        code = _fail(f"internal error: {type(error).__name__}: {error} (DYNTEX_DEBUG=1 shows where)", 1)
    sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str, code: int) -> int:
    from rich.console import Console

    line = " ".join(message.split())
    Console(stderr=True, highlight=False, soft_wrap=True).print("dyntex:", line, style="red", markup=False)
    return code
