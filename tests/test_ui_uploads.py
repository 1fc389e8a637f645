"""What a browser may send, and what is left where it sends something else: nothing."""

from __future__ import annotations

import errno
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ui_page
from media_files import noise, write_video

from dyntex.errors import DyntexError
from dyntex.ui import looks, uploads
from dyntex.ui.requests import clean_name
from dyntex.ui.tasks import Task
from dyntex.ui.uploads import place_for
from dyntex.ui.worker import Report
from dyntex.ui.workshop import Workshop


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path / "shop")


def send(shop: Workshop, content: Any, *, name: str = "fire.mp4", **limits: Any) -> Any:
    return ui_page.owner(ui_page.make_guard(shop, **limits)).post("/api/clips", params={"name": name}, content=content)


def nothing_is_left(shop: Workshop) -> bool:
    return not ui_page.files_under(shop.clips.root) and not list(shop.clips.root.iterdir())


def test_a_clip_is_kept_whole_under_a_random_name(shop: Workshop) -> None:
    content = bytes(range(256)) * 100
    answer = send(shop, content, name="../../ev il\\fire <b>.MP4")
    assert answer.status_code == 201
    (task,) = shop.clips
    assert answer.json()["id"] == task.id
    assert (task.folder / "source.mp4").read_bytes() == content
    assert task.request["name"] == "fire _b_.MP4"
    assert task.state == "waiting"
    assert not (task.folder.stat().st_mode & 0o077)
    assert not (shop.folder.stat().st_mode & 0o077)


NAMES = (
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "",
    "a/../../b.mp4",
    "C:\\x\\y.mov",
    "%2e%2e%2fx",
    "\0x",
    "-rf",
    "a" * 500,
)


@pytest.mark.parametrize("name", NAMES)
def test_no_name_of_a_file_is_a_path(shop: Workshop, name: str) -> None:
    shown = clean_name(name)
    assert shown
    assert "/" not in shown
    assert "\\" not in shown
    assert "\0" not in shown
    assert not shown.startswith((".", "-"))
    assert len(shown) <= 80
    place = place_for(shop.folder, shown)
    assert place.parent == shop.folder
    assert place.name in ("source", "source.mp4", "source.mov")


def test_a_file_that_is_too_large_is_refused_before_it_is_sent(shop: Workshop) -> None:
    answer = send(shop, b"\0" * 2001, max_upload=2000)
    assert answer.status_code == 413
    assert "--max-upload" in answer.json()["error"]
    assert nothing_is_left(shop)
    assert send(shop, b"\0" * 2000, max_upload=2000).status_code == 201


def test_a_file_that_does_not_say_how_large_it_is_is_cut_off(shop: Workshop) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 10**8:
            sent += 1000
            yield b"\0" * 1000

    assert send(shop, endless(), max_upload=5000).status_code == 413
    assert nothing_is_left(shop)


def test_an_upload_that_takes_too_long_is_ended(shop: Workshop) -> None:
    answer = send(shop, b"\0" * 1000, seconds=-1.0)
    assert answer.status_code == 400
    assert "longer than" in answer.json()["error"]
    assert nothing_is_left(shop)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_leaves_nothing_half_written(
    shop: Workshop, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: Any, chunk: bytes) -> int:
        raise OSError(number, os.strerror(number))

    real = Path.open

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def write(self, chunk: bytes) -> int:
            return full(self.file, chunk)

    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **k: Full(real(path, mode, **k)) if mode == "xb" else real(path, mode, **k)
    )
    answer = send(shop, b"\0" * 1000)
    assert answer.status_code == 507
    assert "disk is full" in answer.json()["error"]
    assert nothing_is_left(shop)


def test_a_file_that_the_disk_has_no_room_for_is_refused(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = uploads.SPARE + 999

    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda _: Usage)
    assert send(shop, b"\0" * 1000).status_code == 507
    assert nothing_is_left(shop)
    assert send(shop, b"\0" * 999).status_code == 201


PLAYLISTS = (
    b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    b"#EXTM3U\n#EXTINF:1,\n/home/me/private.mp4\n\0\0\xff",  # a zero byte makes it look like no text
    b"ffconcat version 1.0\nfile 'x.mp4'\n\0",
    b"<?xml version='1.0'?><MPD></MPD>",
    b"#!/bin/sh\nrm -rf /\n",
    "\ufeff#EXTM3U\n".encode(),
    "#EXTM3U\n".encode("utf-16"),
    "caf\u00e9 ".encode() * 2000,
    b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    b"",
)


@pytest.mark.parametrize("content", PLAYLISTS)
def test_text_is_refused_because_a_playlist_names_other_files(shop: Workshop, content: bytes) -> None:
    answer = send(shop, content)
    assert answer.status_code == 400
    assert nothing_is_left(shop)


def examine(folder: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.chdir(folder)
    task = Task(folder)
    (folder / "request.json").write_text(f'{{"kind": "examine", "source": "{source}"}}')
    return looks.examine(task, Report(task))


def test_a_clip_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_video(tmp_path / "source.mp4", noise(20, 48, 64))
    facts = examine(tmp_path, "source.mp4", monkeypatch)
    assert (facts["width"], facts["height"], facts["n_frames"]) == (64, 48, 20)
    assert facts["recommended"]["method"] in ("shot-noise", "video-texture", "patch-nn")
    assert facts["shown_frames"] == 20
    assert (tmp_path / "poster.png").read_bytes().startswith(b"\x89PNG")
    assert b"ftyp" in (tmp_path / "shown.mp4").read_bytes()[:16]


def png(width: int, height: int) -> bytes:
    """A PNG that says it has so many pixels and holds almost none: a decompression bomb, or a broken file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 10**6))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(60_000, 60_000), (8192, 8192), (2**31 - 1, 2**31 - 1)])
def test_a_picture_of_too_many_pixels_is_not_decoded(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source.png").write_bytes(png(*size))
    with pytest.raises(DyntexError):
        examine(tmp_path, "source.png", monkeypatch)
    assert not (tmp_path / "poster.png").exists()


@pytest.mark.parametrize(
    "content", [b"\0" * 5000, b"\xff\xd8\xff" + b"\0" * 500, b"PK\x03\x04" + bytes(range(256)) * 9]
)
def test_what_is_no_video_is_refused_in_a_sentence(
    tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "source.mp4").write_bytes(content)
    with pytest.raises(DyntexError, match=r"source\.mp4"):
        examine(tmp_path, "source.mp4", monkeypatch)
