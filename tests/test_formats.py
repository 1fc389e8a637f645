"""Every format, re-opened by a reader that is not ours: colour, words, loop flag, sprite sheets, and the matrix."""

from __future__ import annotations

import json
import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import PIL.Image
import pytest
from commands import done, dyntex
from format_matrix import OUT, READERS, alpha_error, ball, by_pillow, chart, clip_of, colour_error, page
from media_files import levels as grey_levels
from media_files import noise

from dyntex.clip import Clip
from dyntex.errors import DyntexError, UsageError
from dyntex.media import check_fits, check_writable, parse_grid, read_clip, write_clip, write_stream
from dyntex.media.formats import FORMATS
from dyntex.media.grid import MAX_TEXTURE, check_grid, sheet_size
from dyntex.media.pixels import levels, premultiplied, stacked

FPS = Fraction(30000, 1001)
ROOT = Path(__file__).parents[1]


def target(folder: Path, ending: str) -> str:
    return f"{folder}/out{ending}"


# --- colours, by other readers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", READERS)
def test_a_colour_chart_comes_back_to_within_a_level(tmp_path: Path, ending: str) -> None:
    write_clip(target(tmp_path, ending), clip_of(chart()))
    for reader in READERS[ending]:
        error = colour_error(target(tmp_path, ending), reader)
        assert error.mean(axis=(0, 1)).max() <= 1, reader  # BT.601 for 709, or full range for limited, is off by 10
        if FORMATS[ending].lossless:
            # Ten bits of an eight-bit level are rounded: by an eighth of a level.
            assert error.max() <= (0.126 if ending == ".mkv" else 0), reader


@pytest.mark.parametrize("ending", [ending for ending in READERS if FORMATS[ending].alpha])
def test_other_readers_see_what_is_transparent(tmp_path: Path, ending: str) -> None:
    write_clip(target(tmp_path, ending), clip_of(ball()))
    for reader in READERS[ending]:
        found = reader(target(tmp_path, ending))
        assert found.shape == ball().shape
        if ending == ".gif":
            assert np.array_equal(found[..., 3] >= 128, ball()[..., 3] >= 128)
            continue
        # Premultiplied colours written as if they were straight would be off by 10 at the soft edge alone.
        # The reader of VP9 repeats a colour over four pixels, where players interpolate.
        assert alpha_error(target(tmp_path, ending), reader) <= (1.5 if ending == ".webm" else 0.5), reader
        if FORMATS[ending].lossless:
            assert alpha_error(target(tmp_path, ending), reader) <= (0.126 if ending == ".mkv" else 0), reader


def test_every_format_is_measured_and_the_page_says_what_is_true() -> None:
    assert {*READERS, ".png"} == set(FORMATS)
    found, written = page().splitlines(), OUT.read_text(encoding="utf-8").splitlines()
    # The last two columns depend on FFmpeg's version, by little.
    held = [[line.rsplit("|", 3)[0] for line in lines] for lines in (found, written)]
    assert held[0] == held[1]
    for new, old in zip(found, written, strict=True):
        if new.startswith(("| `", "| (")):
            numbers = [[float(n.replace("-", "0")) for n in line.split("|")[-3:-1]] for line in (new, old)]
            assert numbers[0] == pytest.approx(numbers[1], abs=0.2)


# --- loop flag and words ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".gif", ".apng", ".webp"])
@pytest.mark.parametrize("loop", [True, False])
def test_loop_flag(tmp_path: Path, ending: str, loop: bool) -> None:
    write_clip(target(tmp_path, ending), Clip.from_uint8(noise(3, 8, 8), FPS), loop=loop)
    data = Path(target(tmp_path, ending)).read_bytes()
    if ending == ".gif":  # the extension's number of repetitions, 0 for ever; without it, once
        at = data.find(b"NETSCAPE2.0")
        assert (at > 0) == loop
        assert not loop or data[at + 13 : at + 15] == b"\0\0"
    elif ending == ".apng":  # acTL: frames, plays; 0 plays for ever
        at = data.index(b"acTL")
        assert data[at + 4 : at + 12] == (3).to_bytes(4, "big") + int(not loop).to_bytes(4, "big")
    else:  # ANIM: background, loop count
        at = data.index(b"ANIM")
        assert data[at + 12 : at + 14] == int(not loop).to_bytes(2, "little")


def has_sound_chunks(path: Path) -> bool:
    """Whether each chunk of a PNG has its checksum, which Pillow forgives and others do not, and IEND is the last."""
    data, at, name = path.read_bytes(), 8, b""
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return False
        at = end + 4
    return name == b"IEND"


@pytest.mark.parametrize("ending", [".gif", ".apng", ".webp"])
def test_animations_carry_words(tmp_path: Path, ending: str) -> None:
    words = {"comment": "größe " + "x" * 600, "dyntex": '{"seed": 7}'}
    frames = noise(3, 8, 8)
    write_clip(target(tmp_path, ending), Clip.from_uint8(frames, FPS), metadata=words)
    with PIL.Image.open(target(tmp_path, ending)) as image:
        image.seek(2)
        image.load()
        if ending == ".apng":
            assert {key: image.info[key] for key in words} == words
            assert has_sound_chunks(Path(target(tmp_path, ending)))
        elif ending == ".webp":
            found = image.getexif()[0x010E].encode("latin-1").decode()  # Pillow takes UTF-8 for Latin-1
            assert found == "\n".join(f"{key}: {value}" for key, value in words.items())
        else:
            with av.open(target(tmp_path, ending)) as container:
                assert container.metadata["comment"] == "\n".join(f"{key}: {value}" for key, value in words.items())
    if ending != ".gif":
        assert np.array_equal(by_pillow(target(tmp_path, ending))[..., :3], frames)
    assert read_clip(target(tmp_path, ending)).n_frames == 3


# --- sprite sheets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [False, True])
def test_a_sprite_sheet_holds_each_frame_where_its_json_says(tmp_path: Path, alpha: bool) -> None:
    frames = noise(7, 10, 12)
    if alpha:
        frames = np.concatenate([frames, noise(7, 10, 12, seed=1)[..., :1] // 2 + 100], axis=-1)
    clip = Clip.from_levels(stacked([premultiplied(f) for f in frames]), FPS) if alpha else Clip.from_uint8(frames, FPS)
    write_clip(tmp_path / "fire.png", clip, grid=(2, 4), metadata={"comment": "seven"}, loop=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fire.json", "fire.png"]
    sheet = cv2.imread(str(tmp_path / "fire.png"), cv2.IMREAD_UNCHANGED)
    sheet = sheet[..., [2, 1, 0, 3][: sheet.shape[2]]]
    assert sheet.shape == (32, 64, frames.shape[3])  # 20 x 48, to powers of two
    about = json.loads((tmp_path / "fire.json").read_text())
    assert len(about["frames"]) == 7
    for frame, entry in zip(frames, about["frames"], strict=True):
        x, y, w, h = (entry["frame"][key] for key in "xywh")
        assert np.array_equal(sheet[y : y + h, x : x + w], frame)
        assert entry["duration"] == pytest.approx(1001 / 30)
    assert (sheet[20:] == 0).all()
    assert (sheet[10:20, 36:] == 0).all()
    meta = about["meta"]
    assert (meta["image"], meta["size"], meta["format"]) == (
        "fire.png",
        {"w": 64, "h": 32},
        "RGBA8888" if alpha else "RGB888",
    )
    assert (meta["fps"], meta["frame_rate"], meta["loop"]) == (pytest.approx(29.97003), "30000/1001", False)
    assert (meta["rows"], meta["columns"], meta["comment"]) == (2, 4, "seven")
    assert PIL.Image.open(tmp_path / "fire.png").info["comment"] == "seven"


def test_sides_of_a_sheet_are_the_least_powers_of_two() -> None:
    assert sheet_size((8, 8), (64, 64)) == (512, 512)
    assert sheet_size((1, 3), (64, 65)) == (64, 256)
    assert sheet_size((1, 1), (1, 1)) == (1, 1)


def test_a_grid_that_does_not_fit_names_one_that_does(tmp_path: Path) -> None:
    clip = Clip.from_uint8(noise(7, 8, 8), FPS)
    for grid in ((2, 3), (3, 4), (8, 8), (7, 7)):
        with pytest.raises(UsageError, match=rf"--grid {grid[0]}x{grid[1]} does not fit 7 frames"):
            write_clip(tmp_path / "a.png", clip, grid=grid)
    with pytest.raises(UsageError, match=r"make 64 .* or choose --grid 1x8"):
        write_clip(tmp_path / "a.png", clip, grid=(8, 8))
    assert list(tmp_path.iterdir()) == []
    for grid in ((2, 4), (3, 3), (7, 1), (1, 7)):  # an empty end of the last row is no harm
        write_clip(tmp_path / "a.png", clip, grid=grid, overwrite=True)
    with pytest.raises(UsageError, match=f"32768.*{MAX_TEXTURE}"):
        check_grid((1, 5), 5, size=(64, 4000))


@pytest.mark.parametrize("text", ["8", "8x", "0x4", "-1x4", "axb", "8x8x8", "8 x 8", "999999x1"])
def test_what_is_no_grid(text: str) -> None:
    with pytest.raises(UsageError, match="is not a grid"):
        parse_grid(text)


def test_grid_and_ending_belong_together(tmp_path: Path) -> None:
    assert parse_grid("4X8") == (4, 8)
    clip = Clip.from_uint8(noise(4, 8, 8), FPS)
    with pytest.raises(UsageError, match=r"a\.png is one image: give --grid"):
        write_clip(tmp_path / "a.png", clip)
    with pytest.raises(UsageError, match=r"a\.mp4 cannot be a sprite sheet"):
        write_clip(tmp_path / "a.mp4", clip, grid=(2, 2))
    (tmp_path / "a.json").write_text("something else")
    with pytest.raises(UsageError, match=r"a\.json exists"):
        write_clip(tmp_path / "a.png", clip, grid=(2, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_an_image_is_one_frame(tmp_path: Path) -> None:
    frames = noise(2, 8, 8)
    write_clip(tmp_path / "a.png", Clip.from_uint8(frames[:1], FPS))
    assert np.array_equal(read_clip(tmp_path / "a.png").to_uint8(), frames[:1])
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]  # no JSON: there is no grid
    for n_frames in (1, 2):  # what was said of them, which is checked before and after they came
        with pytest.raises(DyntexError):
            write_stream(tmp_path / "b.png", [Clip.from_uint8(frame[None], FPS) for frame in frames], n_frames=n_frames)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    check_writable(tmp_path / "b.png", still=True)
    with pytest.raises(UsageError, match=r"b\.png is one image: give --grid"):
        check_fits(tmp_path / "b.png", channels=3, n_frames=2, size=(8, 8))


def test_a_sheet_that_fails_leaves_neither_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PIL.Image.Image, "save", full)
    with pytest.raises(Exception, match="disk is full"):
        write_clip(tmp_path / "a.png", Clip.from_uint8(noise(4, 8, 8), FPS), grid=(2, 2))
    assert list(tmp_path.iterdir()) == []


# --- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ghost(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transparent clip: a square of changing brightness, half clear, before nothing."""
    frames = np.zeros((18, 32, 32, 4), np.uint8)
    frames[:, 8:24, 8:24, :3] = 100 + grey_levels(18, step=8) // 2
    frames[:, 8:24, 8:24, 3] = 128
    path = tmp_path_factory.mktemp("source") / "ghost.apng"
    write_clip(path, Clip.from_levels(stacked([premultiplied(frame) for frame in frames]), FPS))
    return path


@pytest.mark.parametrize("method", ["coop", "lds"])
def test_a_transparent_clip_is_learnt_and_sampled_with_its_alpha(ghost: Path, tmp_path: Path, method: str) -> None:
    training = ("--iterations", 1) if method == "coop" else ("--method", method)
    done("synthesize", ghost, "-o", tmp_path / "a.webp", "--size", 16, *training, "-q")
    (first, *_) = levels(read_clip(tmp_path / "a.webp"), bits=8)
    assert first.shape == (16, 16, 4)
    assert np.abs(first[5:11, 5:11, 3].astype(int) - 128).max() <= 8
    assert first[:3, :, 3].max() <= 8
    assert cv2.imread(str(tmp_path / "a.sheet.png")).shape[2] == 3
    if method == "coop":
        model = tmp_path / "a.run" / "model"
        done("sample", model, "-o", tmp_path / "b.png", "--grid", "2x4", "-q")
        assert len(json.loads((tmp_path / "b.json").read_text())["frames"]) == 8  # the grid's number of frames
        done("sample", model, "-o", tmp_path / "c.mp4", "--background", "white", "--frames", 4, "-q")
        assert read_clip(tmp_path / "c.mp4").to_uint8()[0, 1, 1].min() >= 250
        refused = dyntex("sample", model, "-o", tmp_path / "d.mp4", "-q")
        assert refused.code == 2
        assert "--background" in refused.err
        assert not (tmp_path / "d.mp4").exists()


REFUSED = {
    "alpha to mp4": ("a.mp4", (), "--background"),
    "a background that is none": ("a.mp4", ("--background", "blakc"), "'blakc' is not a colour"),
    "an image without a grid": ("a.png", (), "--grid"),
    "a grid of another number": ("a.png", ("--grid", "2x2", "--frames", "5"), "--grid 2x2 does not fit 5 frames"),
    "a grid of words": ("a.png", ("--grid", "two"), "--grid two is not a grid"),
    "a grid in a video": ("a.webm", ("--grid", "2x2"), "end it in .png"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_before_anything_is_learnt(
    ghost: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, options, said = REFUSED[name]
    monkeypatch.chdir(tmp_path)
    place = () if out is None else ("-o", out)
    outcome = dyntex("synthesize", ghost, *place, "--size", 16, *options, "-q")
    assert outcome.code == 2
    assert said in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
