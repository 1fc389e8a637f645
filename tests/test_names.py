"""Names of files: colons, tildes, 255 bytes, no UTF-8, slashes at the end, a dash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import TINY, done, dyntex
from media_files import noise, write_video

from dyntex.errors import InputError, UsageError
from dyntex.experiment.redact import without_folders
from dyntex.experiment.session import check_not_source, default_place
from dyntex.media import read_clip
from dyntex.media.atomic import check_place
from dyntex.media.formats import beside, check_writable
from dyntex.media.paths import named, place_of

LONGEST = 255
NO_UTF8 = os.fsdecode(b"caf\xe9.mkv")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "here" / "home"))
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    return tmp_path / "here"


def test_a_tilde_is_the_home_only_where_nothing_has_that_name(here: Path) -> None:
    assert place_of("~/a.mp4") == here / "home" / "a.mp4"
    assert place_of("~clip.mp4") == Path("~clip.mp4")  # there is no such user either
    assert place_of("a~.mp4") == Path("a~.mp4")
    (here / "~").mkdir()
    (here / "~" / "a.mp4").touch()
    assert place_of("~/a.mp4") == Path("~/a.mp4")


def test_names_beside_are_cut_to_the_file_system_s_length(here: Path) -> None:
    assert beside("a/b.mp4", ".sheet.png") == Path("a/b.sheet.png")
    assert beside("v1.2/", ".run") == Path("v1.2.run")
    assert beside("v1/", ".run") == Path("v1.run")
    assert beside("frames", ".run") == Path("frames.run")
    long = beside("é" * 125 + ".mp4", ".sheet.png")
    assert long.name == "é" * 122 + ".sheet.png"  # of two bytes each, in 245
    assert named(here, "x" * 300, "-synthesis.mp4").name == "x" * 241 + "-synthesis.mp4"


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "a\0b"])
def test_names_that_no_file_can_have_are_refused(here: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"256 bytes|zero byte"):
        check_place(here / name, overwrite=True)
    with pytest.raises(InputError, match=r"cannot be opened"):
        read_clip(name)


def test_a_path_that_is_too_long_as_a_whole_is_refused(here: Path) -> None:
    deep = "/".join(["d" * 200] * 30)
    with pytest.raises(UsageError, match="too long"):
        check_place(Path(deep) / "a.mp4", overwrite=False)
    for words in (("info", deep), ("sample", deep, "-o", "a.mp4"), ("train", "example:ripples", "-o", deep)):
        outcome = dyntex(*words)
        assert outcome.code in (2, 3)
        assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(("name", "words"), [("-", "is not supported: name a file"), ("..", "exists"), ("", "no name")])
def test_what_is_no_name_is_refused(here: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        check_writable(name)


@pytest.mark.parametrize("out", [".", ".."])
def test_a_model_is_not_saved_to_the_folder_itself(here: Path, out: str) -> None:
    outcome = dyntex("train", "example:ripples", *TINY, "-o", out)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)


def test_a_dash_is_explained(here: Path) -> None:
    assert "saved to a file first" in dyntex("info", "-").err
    assert dyntex("examples", "ripples", "-o", "-").code == 2


def test_default_names(here: Path) -> None:
    (here / "v1.2").mkdir()
    assert default_place("clips/fire.avi", "-synthesis.mp4") == "fire-synthesis.mp4"
    assert default_place("example:fire?seed=3", ".mp4") == "fire.mp4"
    assert default_place("v1.2", ".mp4") == "v1.2.mp4"
    assert default_place(".", ".mp4") == f"{here.name}.mp4"
    assert default_place("v1.2/..", ".mp4") == f"{here.name}.mp4"
    assert len(default_place("m" * LONGEST, "-synthesis.mp4")) == LONGEST


def test_the_source_is_told_from_the_result_by_the_file_and_not_by_its_name(here: Path) -> None:
    (here / "home").mkdir()
    (here / "home" / "a.mp4").touch()
    with pytest.raises(UsageError, match="the source itself"):
        check_not_source("home/a.mp4", "~/a.mp4")
    check_not_source("x" * 300, "~/a.mp4")


def test_words_of_a_command_are_printable_and_name_no_folder() -> None:
    assert without_folders("/home/me/fire.mp4") == "fire.mp4"
    assert without_folders("--out=/home/me/v1.2/") == "--out=v1.2/"
    assert without_folders("--out=/home/a=b/c.mp4") == "--out=c.mp4"
    assert without_folders(NO_UTF8) == r"caf\xe9.mkv"


@pytest.mark.parametrize(
    "name", ["take-12:30:05", "~clip", "x" * (LONGEST - 4), NO_UTF8[:-4], "100%d", "a b'\"*?[", "-"]
)
def test_a_clip_of_any_name_is_learnt_and_written_under_any_name(here: Path, name: str) -> None:
    source, out = Path(f"./{name}.mkv"), Path(f"./{name}.mp4")
    write_video(here / "plain.mkv", noise(18, 24, 24)).rename(source)
    shown = done("info", f"./{name}.mkv" if name == "-" else f"{name}.mkv", "--json", "--no-measure").json
    assert shown["n_frames"] == 18
    outcome = done("synthesize", f"./{name}.mkv", *TINY, "-o", f"./{name}.mp4", "--json")
    assert Path(outcome.json["output"]) == out
    beside_it = {p.name for p in here.iterdir()} - {source.name, out.name}
    assert {Path(p).suffix for p in beside_it} == {".run", ".png", ".mp4"}
    assert len(beside_it) == 3
    assert Path(outcome.json["report"]).is_file()
    assert not list(here.rglob(".*"))


def test_a_slash_at_the_end_is_a_folder_of_frames(here: Path) -> None:
    write_video(here / "a.mkv", noise(18, 24, 24))
    done("synthesize", "a.mkv", *TINY, "-o", "v1.2/", "-q")
    assert len(list((here / "v1.2").iterdir())) == 16
    assert {p.name for p in here.iterdir()} == {"a.mkv", "v1.2", "v1.2.run", "v1.2.sheet.png", "v1.2.side.mp4"}
    done("examples", "ripples", "--frames", 2, "--size", 8, "-o", "v1.3/")
    assert len(list((here / "v1.3").iterdir())) == 2
