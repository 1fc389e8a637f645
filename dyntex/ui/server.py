"""Run the page: a port, a token, and the line that a person opens."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from dyntex.errors import UsageError
from dyntex.ui.app import Page, make_app
from dyntex.ui.security import Guard, address
from dyntex.ui.workshop import Workshop


def default_folder() -> Path:
    """Where clips and results are kept: the user's folder for data of programs."""
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "dyntex"


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        UsageError: the port is taken or not allowed, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except (OSError, OverflowError) as error:
        listener.close()
        raise UsageError(
            f"port {port} of {host} cannot be used ({getattr(error, 'strerror', None) or error}): choose another with "
            "--port, or --port 0 for any that is free"
        ) from error
    return listener


def serve(
    *,
    folder: Path,
    host: str,
    port: int,
    max_upload: int,
    n_workers: int,
    opened: Callable[[str], None],
) -> None:
    """Serve the page until the process is asked to end.

    Args:
        folder: of clips and jobs.
        host: the address to listen on.
        port: 0 for any that is free.
        max_upload: bytes of a file that is taken.
        n_workers: jobs that are done at a time.
        opened: called with the address of the page, its token within, once it can be opened.

    Raises:
        UsageError: the port or the folder cannot be used.
    """
    listener = bind(host, port)
    with listener:
        number = listener.getsockname()[1]
        shop = Workshop(folder, n_workers=n_workers)
        token = secrets.token_urlsafe(32)
        app = Guard(make_app(Page(shop, max_upload=max_upload)), token=token, host=host, port=number)
        # The log of addresses would hold the token.
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=2, lifespan="on"
        )
        opened(address(host, number, token))
        # uvicorn has ended in order when it passes on what it was told.
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
