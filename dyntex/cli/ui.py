"""``dyntex ui``: a page in the browser to drop a clip on."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from dyntex.cli import options
from dyntex.cli.console import ConsoleProgress
from dyntex.errors import MissingDependencyError, UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def ui(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for any that is free.")] = 8765,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any but the default lets other machines in that have the token.")
    ] = "127.0.0.1",
    folder: Annotated[
        Path | None,
        typer.Option(help="Where clips and results are kept.", show_default="~/.local/share/dyntex"),
    ] = None,
    max_upload: Annotated[int, typer.Option(help="MiB that a clip may have.")] = 512,
    workers: Annotated[int, typer.Option(help="Jobs done at a time. Each uses all cores.")] = 1,
    browser: Annotated[bool, typer.Option(help="Open the page in a browser.")] = True,
    quiet: options.Quiet = False,
) -> None:
    """Serve a page to drop a clip on: choose, watch it train, play the result, download. Ctrl-C ends it.

    Jobs that run then save first, and go on at the next start. Needs: pip install "dyntex-coopnets\\[ui]".
    """
    if not 0 <= port <= 65_535:
        raise UsageError(f"--port {port} is no port: give a number from 0 to 65535")
    for option, value in (("--max-upload", max_upload), ("--workers", workers)):
        if value < 1:
            raise UsageError(f"{option} {value} is not positive: give 1 or more")
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            f"dyntex ui needs {error.name}: install it with: pip install 'dyntex-coopnets[ui]'"
        ) from error
    from dyntex.ui.server import default_folder, serve

    with ConsoleProgress(quiet=quiet) as progress:
        if host not in LOOPBACK:
            progress.say(f"other machines can reach this page at {host}; whoever has its address can use this one")

        def opened(address: str) -> None:
            print(address, flush=True)
            progress.say("open this address in a browser; Ctrl-C ends the server, and jobs go on at the next start")
            if browser and has_display():
                webbrowser.open(address)

        serve(
            folder=(folder or default_folder()).expanduser().absolute(),
            host=host,
            port=port,
            max_upload=max_upload * 2**20,
            n_workers=workers,
            opened=opened,
        )


def has_display() -> bool:
    """Whether a browser would have a window: in a terminal alone it would take the terminal."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
