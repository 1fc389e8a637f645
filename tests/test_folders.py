"""Folders of frames, also those that the tool wrote its results into."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from commands import TINY, done
from media_files import noise, write_video

from dyntex.media import probe, read_clip
from dyntex.media.sets import is_set, read_set


def frames_in(folder: Path, n: int = 4) -> Path:
    folder.mkdir(exist_ok=True)
    for k in range(n):
        PIL.Image.fromarray(np.full((8, 8, 3), 14 * k, np.uint8)).save(folder / f"IMG_{k:04}.png")
    return folder


def test_a_folder_of_frames_stays_one_whatever_the_tool_wrote_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(frames_in(tmp_path / "shots", 18))
    for out in ((), ("-o", "take.mkv"), ("-o", "v2/"), ("-o", "still.apng"), ()):
        assert done("info", ".", "--json", "--no-measure").json["n_frames"] == 18
        assert not is_set(".")
        done("synthesize", ".", *TINY, *out, "--overwrite", "-q")
    assert probe(".").n_frames == 18
    assert read_clip(".").n_frames == 18
    (tmp_path / "shots" / "take.run" / "config.json").unlink()  # previews alone tell it too
    assert not is_set(".")


def test_a_preview_beside_a_series_of_frames_makes_it_no_set(tmp_path: Path) -> None:
    frames_in(tmp_path)
    write_video(tmp_path / "preview.mkv", noise(3))
    assert not is_set(tmp_path)
    assert probe(tmp_path).n_frames == 4
    for k in range(4):
        write_video(tmp_path / f"{k}.mkv", noise(3))
    assert is_set(tmp_path)  # no fewer clips than pictures


def test_pictures_that_are_no_series_beside_a_clip_are_a_set(tmp_path: Path) -> None:
    for name in ("cover", "back", "inlay"):
        PIL.Image.new("RGB", (8, 8)).save(tmp_path / f"{name}.png")
    write_video(tmp_path / "a.mkv", noise(3))
    assert is_set(tmp_path)


def test_results_are_no_members_of_a_set(tmp_path: Path) -> None:
    for name in ("a.mkv", "b.mkv", "b.side.mp4"):
        write_video(tmp_path / name, noise(3), codec="mpeg4", pixels="yuv420p")
    PIL.Image.new("RGB", (8, 8)).save(tmp_path / "b.sheet.png")
    assert [member.name for member in read_set(tmp_path, size=8, n_frames=2)] == ["a.mkv"]
