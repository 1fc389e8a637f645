"""Reading sets: which clips of a folder are members, in which order, what is said of them and what is refused."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from media_files import levels, noise, write_video

from dyntex.errors import InputError
from dyntex.media import is_set, read_clip, read_set

SIZE = (8, 12)


def still(path: Path, *, seed: int = 0, level: int | None = None, alpha: int | None = None) -> Path:
    """A PNG of noise, or of one level all over."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = noise(1, *SIZE, seed=seed)[0] if level is None else np.full((*SIZE, 3), level, np.uint8)
    if alpha is not None:
        pixels = np.dstack((pixels, np.full(SIZE, alpha, np.uint8)))
    PIL.Image.fromarray(pixels).save(path)
    return path


def movie(path: Path, n_frames: int = 6, *, seed: int = 0, fps: int = 25) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, list(noise(n_frames, *SIZE, seed=seed)), fps=fps)


def gif(path: Path, n_frames: int = 6) -> Path:
    """Frame k is of level 40 k."""
    frames = [PIL.Image.fromarray(frame) for frame in levels(n_frames, height=SIZE[0], width=SIZE[1], step=40)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40)
    return path


def table(path: Path, *rows: str, header: str = "file,caption") -> Path:
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return path


def names(folder: Path, n_frames: int, **options: object) -> list[str]:
    return [member.name for member in read_set(folder, size=SIZE, n_frames=n_frames, **options)]  # type: ignore[arg-type]


# What is a member


def test_images_come_in_natural_order_and_as_read_clip_reads_them(tmp_path: Path) -> None:
    for i in (10, 2, 1):
        still(tmp_path / f"{i}.png", seed=i)
    (tmp_path / ".hidden.png").write_bytes(b"no image")
    (tmp_path / "about.csv").write_text("1,2")
    said: list[str] = []
    members = read_set(tmp_path, size=4, n_frames=1, notice=said.append)
    assert [member.name for member in members] == ["1.png", "2.png", "10.png"]
    assert said == []
    for member in members:
        alone = read_clip(tmp_path / member.name, size=4)
        assert member.clip.video.shape == (3, 1, 4, 4)
        assert torch.equal(member.clip.video, alone.video)
        assert (member.label, member.caption) == (None, None)


def test_images_of_subfolders_are_members_and_of_what_moves_the_first_frame(tmp_path: Path) -> None:
    still(tmp_path / "b" / "c" / "1.png", level=7)
    movie(tmp_path / "a.mkv")
    gif(tmp_path / "d.gif")
    members = read_set(tmp_path, size=SIZE, n_frames=1)
    assert [member.name for member in members] == ["a.mkv", "b/c/1.png", "d.gif"]
    assert np.array_equal(members[0].clip.to_uint8(), noise(6, *SIZE)[:1])
    assert (members[1].clip.to_uint8() == 7).all()
    assert (members[2].clip.to_uint8() == 0).all()
    assert {member.clip.fps for member in members} == {Fraction(25)}


def test_clips_are_videos_animations_and_folders_of_frames_cut_to_one_length(tmp_path: Path) -> None:
    movie(tmp_path / "b.mkv", 9, seed=3)
    gif(tmp_path / "c.gif")
    for i in (10, 9, 8, 7):
        still(tmp_path / "a" / f"{i}.png", level=i)
    movie(tmp_path / "d" / "e.mkv", 5)
    members = read_set(tmp_path, size=SIZE, n_frames=4)
    assert [member.name for member in members] == ["a", "b.mkv", "c.gif", "d/e.mkv"]
    assert {tuple(member.clip.video.shape) for member in members} == {(3, 4, *SIZE)}
    assert members[0].clip.to_uint8()[:, 0, 0, 0].tolist() == [7, 8, 9, 10]
    assert np.array_equal(members[1].clip.to_uint8(), noise(9, *SIZE, seed=3)[:4])
    assert members[2].clip.to_uint8()[:, 0, 0, 0].tolist() == [0, 40, 80, 120]


def test_start_is_the_first_frame_of_each(tmp_path: Path) -> None:
    movie(tmp_path / "a.mkv", 9)
    movie(tmp_path / "b.mkv", 6, seed=1)
    said: list[str] = []
    members = read_set(tmp_path, size=SIZE, n_frames=4, start=3, notice=said.append)
    assert np.array_equal(members[0].clip.to_uint8(), noise(9, *SIZE)[3:7])
    assert len(members) == 1  # b.mkv has three frames from there on
    assert said[0].startswith("b.mkv was left out")
    assert "3 frames" in said[0]
    assert "4 are needed" in said[0]


def test_clips_that_are_shorter_and_will_do_shorten_the_set(tmp_path: Path) -> None:
    for name, length in (("a.mkv", 9), ("b.mkv", 6), ("c.mkv", 4)):
        movie(tmp_path / name, length)
    said: list[str] = []
    members = read_set(tmp_path, size=SIZE, n_frames=8, least=5, notice=said.append)
    assert [(member.name, member.clip.n_frames) for member in members] == [("a.mkv", 6), ("b.mkv", 6)]
    assert np.array_equal(members[0].clip.to_uint8(), noise(9, *SIZE)[:6])
    assert said == [
        f"c.mkv was left out of the set: {tmp_path}/c.mkv has 4 frames from frame 0 on, and 5 are needed",
        "b.mkv has 6 frames, to which all clips of the set are cut",
    ]
    said.clear()
    assert [m.clip.n_frames for m in read_set(tmp_path, size=SIZE, n_frames=4, least=2, notice=said.append)] == [4] * 3
    assert said == []


def test_a_folder_of_frames_with_a_sound_beside_them_is_a_clip_still(tmp_path: Path) -> None:
    for i in range(4):
        still(tmp_path / "a" / f"{i}.png", level=i)
    (tmp_path / "a" / "sound.wav").write_bytes(b"RIFF no sound")
    assert names(tmp_path, 4) == ["a"]
    assert not is_set(tmp_path / "a")


def test_what_cannot_be_used_is_left_out_and_said_so(tmp_path: Path) -> None:
    movie(tmp_path / "good.mkv")
    movie(tmp_path / "short.mkv", 3)
    (tmp_path / "broken.mkv").write_bytes(movie(tmp_path / "x.mkv").read_bytes()[:100])
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "x.mkv").unlink()
    said: list[str] = []
    members = read_set(tmp_path, size=SIZE, n_frames=6, notice=said.append)
    assert [member.name for member in members] == ["good.mkv"]
    assert [sentence.split(" was left out")[0] for sentence in said] == ["broken.mkv", "empty.mp4", "short.mkv"]


def test_the_frames_of_an_array_are_a_set_of_images(tmp_path: Path) -> None:
    frames = noise(3, *SIZE)
    np.save(tmp_path / "a.npy", frames)
    members = read_set(tmp_path / "a.npy", size=SIZE, n_frames=1)
    assert [member.name for member in members] == ["0", "1", "2"]
    assert np.array_equal(np.concatenate([member.clip.to_uint8() for member in members]), frames)


def test_is_set(tmp_path: Path) -> None:
    for i in range(2):
        still(tmp_path / "frames" / f"{i}.png")
    movie(tmp_path / "clips" / "a.mkv")
    still(tmp_path / "clips" / "thumbnail.png")
    still(tmp_path / "classes" / "a" / "0.png")
    still(tmp_path / "both" / "0.png")
    still(tmp_path / "both" / "more" / "1.png")
    (tmp_path / "animations").mkdir()
    gif(tmp_path / "animations" / "a.gif")
    (tmp_path / "empty").mkdir()
    found = {entry.name: is_set(entry) for entry in tmp_path.iterdir()}
    # "both" was one clip before there were sets, and stays one.
    assert found == {
        "frames": False, "clips": True, "classes": True, "both": False, "animations": True, "empty": False,
    }  # fmt: skip
    assert not is_set(tmp_path / "clips" / "a.mkv")


# What all have in common


def test_where_one_is_transparent_the_others_are_opaque(tmp_path: Path) -> None:
    still(tmp_path / "a.png", level=255)
    still(tmp_path / "b.png", level=255, alpha=51)
    said: list[str] = []
    opaque, clear = read_set(tmp_path, size=SIZE, n_frames=1, notice=said.append)
    assert opaque.clip.channels == clear.clip.channels == 4
    assert (opaque.clip.video == 1.0).all()
    # White premultiplied by an alpha of 1/5: 2/5 - 1 on the scale of [-1, 1], to 16 bits.
    torch.testing.assert_close(clear.clip.video, torch.full((4, 1, *SIZE), -0.6), atol=2 / 65535, rtol=0)
    assert any("b.png is transparent" in sentence and "all 2" in sentence for sentence in said)


def test_a_notice_of_many_members_is_said_once(tmp_path: Path) -> None:
    for name in "abc":
        still(tmp_path / f"{name}.png", alpha=51)
    said: list[str] = []
    read_set(tmp_path, size=SIZE, n_frames=1, notice=said.append)
    assert said == ["the source has transparency, which is kept as a fourth channel"]


def test_rates_that_differ_become_the_first(tmp_path: Path) -> None:
    movie(tmp_path / "a.mkv", fps=10)
    movie(tmp_path / "b.mkv", fps=30)
    movie(tmp_path / "c.mkv", fps=30)
    said: list[str] = []
    members = read_set(tmp_path, size=SIZE, n_frames=4, notice=said.append)
    assert {member.clip.fps for member in members} == {Fraction(10)}
    assert len(said) == 1
    assert "10 (1), 30 (2)" in said[0]
    assert "taken to play at 10," in said[0]
    said.clear()
    read_set(tmp_path, size=SIZE, n_frames=1, notice=said.append)  # images do not play
    assert said == []


# Classes


def test_labels_are_the_subfolders(tmp_path: Path) -> None:
    movie(tmp_path / "fire" / "1.mkv")
    movie(tmp_path / "fire" / "deeper" / "2.mkv")
    for i in range(4):
        still(tmp_path / "water" / f"{i}.png", level=i)
    still(tmp_path / "water.png")
    (tmp_path / "water.png").rename(tmp_path / ".water.png")
    members = read_set(tmp_path, size=SIZE, n_frames=4, labels=True)
    assert [(m.name, m.label) for m in members] == [
        ("fire/1.mkv", "fire"), ("fire/deeper/2.mkv", "fire"), ("water", "water"),
    ]  # fmt: skip
    images = read_set(tmp_path, size=SIZE, n_frames=1, labels=True)
    assert [m.label for m in images] == ["fire"] * 2 + ["water"] * 4


def test_labels_that_cannot_be(tmp_path: Path) -> None:
    still(tmp_path / "one" / "1.png")
    with pytest.raises(InputError, match="one class, 'one': give a subfolder for each"):
        names(tmp_path, 1, labels=True)
    (tmp_path / "two").mkdir()
    with pytest.raises(InputError, match=r"class 'two' in .* holds nothing to learn from"):
        names(tmp_path, 1, labels=True)
    (tmp_path / "two" / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match=r"nothing of the class 'two' .* can be used"):
        names(tmp_path, 1, labels=True)
    still(tmp_path / "two" / "1.png")
    assert names(tmp_path, 1, labels=True) == ["one/1.png", "two/1.png"]
    still(tmp_path / "loose.png")
    with pytest.raises(InputError, match=r"loose\.png is in .* itself"):
        names(tmp_path, 1, labels=True)


# Captions


def test_captions_are_found_by_the_path_within_the_folder(tmp_path: Path) -> None:
    still(tmp_path / "set" / "1.png")
    still(tmp_path / "set" / "sub" / "2.png")
    rows = ('sub\\2.png,"tall, red"', "./1.png,  a calm sea ")
    captions = tmp_path / "captions.csv"
    captions.write_bytes(
        b"\xef\xbb\xbf" + table(captions, *(f"{row},3" for row in rows), header="file,caption,more").read_bytes()
    )
    members = read_set(tmp_path / "set", size=SIZE, n_frames=1, captions=captions)
    assert [(m.name, m.caption) for m in members] == [("1.png", "a calm sea"), ("sub/2.png", "tall, red")]


def test_a_folder_of_frames_is_captioned_by_its_name(tmp_path: Path) -> None:
    for i in range(4):
        still(tmp_path / "a" / f"{i}.png", level=i)
    table(tmp_path / "captions.csv", "a/,waves")
    (member,) = read_set(tmp_path, size=SIZE, n_frames=4, captions=tmp_path / "captions.csv")
    assert member.caption == "waves"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (("1.png,x", "2.png,y", "3.png,z"), r"line 4, names '3.png', which is not a file of the set"),
        (("1.png,x",), r"no caption of 2.png: "),
        ((), r"no caption of 1.png and 1 more"),
        (("1.png,x", "2.png,  "), r"line 3, has an empty caption of 2.png"),
        (("1.png,x", "2.png"), r"line 3, has an empty caption of 2.png"),
        (("1.png,x", "2.png,y", "1.png,y"), r"line 4, has a second caption of 1.png"),
        (("1.png,tall, red", "2.png,y"), r"line 2, has more fields than the header: put a caption with commas in"),
        (('1.png,"tall', "2.png,y"), r"not a table of captions"),
    ],
)
def test_captions_that_cannot_be(tmp_path: Path, rows: tuple[str, ...], words: str) -> None:
    for i in (1, 2):
        still(tmp_path / f"{i}.png")
    with pytest.raises(InputError, match=words):
        names(tmp_path, 1, captions=table(tmp_path / "captions.csv", *rows))


def test_tables_that_are_none(tmp_path: Path) -> None:
    still(tmp_path / "1.png")
    with pytest.raises(InputError, match="cannot be read"):
        names(tmp_path, 1, captions=tmp_path / "missing.csv")
    with pytest.raises(InputError, match="begins with 'name,text': its first line is file,caption"):
        names(tmp_path, 1, captions=table(tmp_path / "a.csv", "1.png,x", header="name,text"))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(InputError, match="begins with 'nothing'"):
        names(tmp_path, 1, captions=tmp_path / "empty.csv")
    (tmp_path / "latin.csv").write_bytes(b"file,caption\n1.png,caf\xe9\n")
    with pytest.raises(InputError, match="comma-separated UTF-8"):
        names(tmp_path, 1, captions=tmp_path / "latin.csv")


# What is no set


def test_sources_that_are_no_set(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no images in it"):
        names(tmp_path / "empty", 1)
    with pytest.raises(InputError, match="no videos, animations or folders of frames in it"):
        names(tmp_path / "empty", 4)
    with pytest.raises(InputError, match="does not exist"):
        names(tmp_path / "missing", 1)
    with pytest.raises(InputError, match="is not a folder"):
        names(movie(tmp_path / "a.mkv"), 4)
    with pytest.raises(InputError, match="is not a folder"):
        names(tmp_path / "a.mkv", 1)
    still(tmp_path / "stills" / "1.png")
    with pytest.raises(InputError, match=r"nothing in .* can be used; the first of 1 reasons is that .* 1 frames"):
        names(tmp_path / "stills", 4)
