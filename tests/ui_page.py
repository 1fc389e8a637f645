"""A page over a folder of its own, asked without a network."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("starlette", reason="the extra [ui] is not installed")
pytest.importorskip("httpx", reason="httpx asks the page, and is not installed")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # starlette's about a client to come
    from starlette.testclient import TestClient

from dyntex.ui.app import Page, make_app
from dyntex.ui.security import Guard
from dyntex.ui.tasks import Task
from dyntex.ui.workshop import Workshop

PORT = 8765
TOKEN = "right"
HOME = f"http://127.0.0.1:{PORT}"
SAME = {"origin": HOME}


def make_guard(shop: Workshop, *, host: str = "127.0.0.1", max_upload: int = 10**6, seconds: float = 60.0) -> Guard:
    page = Page(shop, max_upload=max_upload, upload_seconds=seconds)
    return Guard(make_app(page), token=TOKEN, host=host, port=PORT)


def stranger(guard: Guard, *, home: str = HOME) -> TestClient:
    """Somebody who has not shown a token; the queue stands still."""
    return TestClient(guard, base_url=home, follow_redirects=False)


def owner(guard: Guard) -> TestClient:
    """The person who opened the address, whose requests come from the page."""
    client = stranger(guard)
    assert client.get(f"/?token={TOKEN}").status_code == 303
    client.headers.update(SAME)
    return client


def ready_clip(shop: Workshop, name: str = "fire.mp4", source: str = "example:flame", **facts: Any) -> Task:
    """A clip that was looked at."""
    about = {"n_frames": 120, "width": 128, "height": 128, "fps": 25.0, "default_size": [128, 128], **facts}
    about.setdefault("recommended", {"method": "coop", "reason": "so"})
    task = shop.clips.add({"kind": "examine", "source": source, "name": name})
    task.update(state="done", facts=about)
    return task


def wait_for(client: TestClient, path: str, *, seconds: float = 120.0) -> dict[str, Any]:
    """A task as it is when it has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found: dict[str, Any] = client.get(path).json()
        if found["state"] not in ("waiting", "running"):
            return found
        time.sleep(0.2)
    raise AssertionError(f"{path} took longer than {seconds} s: {found}")


def files_under(folder: Path) -> list[str]:
    return sorted(os.path.relpath(Path(at) / name, folder) for at, _, names in os.walk(folder) for name in names)
