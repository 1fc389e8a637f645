"""Writing: complete, checked, atomic, and in the colours that were meant. Read back by other readers than ours."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import cv2
import imageio.v3 as iio
import numpy as np
import PIL.Image
import pytest
from media_files import RED, noise, to_yuv

from dyntex.clip import Clip
from dyntex.errors import DyntexError, UsageError
from dyntex.media import check_writable, encode, read_clip, write, write_clip, write_png, write_stream
from dyntex.media.order import Order

NTSC = Fraction(30000, 1001)
LOSSLESS = (".mkv", ".webp", ".apng", ".npy", "/")
LOSSY = (".mp4", ".webm", ".mov", ".gif")
EVERY = (*LOSSLESS, *LOSSY)


def clip_of(frames: np.ndarray, fps: Fraction = NTSC) -> Clip:
    return Clip.from_uint8(frames, fps)


def smooth(n_frames: int = 6, height: int = 32, width: int = 48) -> np.ndarray:
    """Coloured waves, which lossy codecs keep."""
    t, y, x = np.mgrid[:n_frames, :height, :width]
    waves = [np.sin(x / 9 + t / 3), np.cos(y / 7 + t / 5), np.sin((x + y) / 11 - t / 4)]
    return np.stack([127.5 + 90 * wave for wave in waves], axis=-1).round().astype(np.uint8)


def target(folder: Path, ending: str) -> str:
    return f"{folder}/out{ending}"


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- what comes back -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", LOSSLESS)
@pytest.mark.parametrize("shape", [(20, 28), (21, 33), (1, 1)])
def test_lossless_formats_are_bit_exact_at_any_size(tmp_path: Path, ending: str, shape: tuple[int, int]) -> None:
    frames = noise(6, *shape)
    write_clip(target(tmp_path, ending), clip_of(frames))
    clip = read_clip(target(tmp_path, ending))
    assert np.array_equal(clip.to_uint8(), frames)
    expected = {".npy": Fraction(25), ".webp": Fraction(30)}  # no rate at all; milliseconds
    assert clip.fps == expected.get(ending, NTSC)
    assert len(left_in(tmp_path)) == 1


@pytest.mark.parametrize("ending", [".mp4", ".webm", ".mov"])
@pytest.mark.parametrize("shape", [(32, 48), (31, 47)])
def test_lossy_formats_keep_size_rate_and_colours(tmp_path: Path, ending: str, shape: tuple[int, int]) -> None:
    frames = smooth(6, *shape)
    write_clip(target(tmp_path, ending), clip_of(frames), quality=1)
    clip = read_clip(target(tmp_path, ending))
    height, width = shape if ending == ".webm" else (shape[0] + shape[0] % 2, shape[1] + shape[1] % 2)
    assert (clip.n_frames, clip.height, clip.width, clip.fps) == (6, height, width, NTSC)
    found = clip.to_uint8()[:, : shape[0], : shape[1]].astype(int)
    # Half a level of rounding in each of Y, Cb and Cr is at most 1.6 levels of RGB; chroma that lies half a pixel
    # aside, or the wrong matrix, or black padding, makes a mean error of 2 and more.
    assert np.abs(found - frames).mean() < 1
    assert np.abs(found[:, :, -1] - frames[:, :, -1]).mean() < 4
    assert np.abs(found[:, -1] - frames[:, -1]).mean() < 4


def test_the_same_frames_by_another_reader(tmp_path: Path) -> None:
    frames = noise(5)
    for ending in (".mkv", ".webp", "/"):
        write_clip(target(tmp_path, ending), clip_of(frames))
    capture = cv2.VideoCapture(target(tmp_path, ".mkv"))
    for frame in frames:
        # swscale makes 8 bits of 10 by (v + 2) >> 2, of which 255/1023 is one level less for a third of all values.
        assert np.abs(capture.read()[1][..., ::-1].astype(int) - frame).max() <= 1
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(float(NTSC))
    animation = cv2.imreadanimation(target(tmp_path, ".webp"))[1]
    assert np.array_equal(np.stack(animation.frames)[..., 2::-1], frames)
    assert list(animation.durations) == [33, 34, 33, 33, 34]  # 1001/30 ms each, rounded without adding up errors
    assert left_in(tmp_path / "out") == [f"{k:06}.png" for k in range(5)]
    assert np.array_equal(cv2.imread(str(tmp_path / "out" / "000003.png"))[..., ::-1], frames[3])


@pytest.mark.parametrize("ending", EVERY)
def test_equal_neighbours_stay_frames_of_their_own(tmp_path: Path, ending: str) -> None:
    frames = noise(1, 16, 16).repeat(5, axis=0)
    write_clip(target(tmp_path, ending), clip_of(frames, Fraction(25)))
    assert read_clip(target(tmp_path, ending)).n_frames == 5


@pytest.mark.parametrize("ending", EVERY)
@pytest.mark.parametrize("fps", [Fraction(37800, 1261), Fraction(119880, 1001), Fraction(1, 3), Fraction(100, 3)])
def test_odd_rates_come_back_as_near_as_the_format_can(tmp_path: Path, ending: str, fps: Fraction) -> None:
    write_clip(target(tmp_path, ending), clip_of(noise(40, 4, 4), fps))
    found = read_clip(target(tmp_path, ending)).fps
    asked = {".npy": Fraction(25), ".gif": min(fps, Fraction(50))}.get(ending, fps)
    # The clip is as long as it should be, to a tick at each end: a millisecond, or a GIF's hundredth.
    assert abs(1 / found - 1 / asked) * 39 <= (0.02 if ending == ".gif" else 0.002)


@pytest.mark.parametrize("ending", EVERY)
def test_one_frame(tmp_path: Path, ending: str) -> None:
    write_clip(target(tmp_path, ending), clip_of(noise(1, 16, 16)))
    assert read_clip(target(tmp_path, ending)).n_frames == 1


def test_grey_clip_is_written_as_grey_rgb(tmp_path: Path) -> None:
    grey = noise()[..., :1]
    write_clip(tmp_path / "out.mkv", clip_of(grey))
    assert np.array_equal(read_clip(tmp_path / "out.mkv").to_uint8(), grey.repeat(3, axis=3))


@pytest.mark.parametrize("ending", EVERY)
def test_a_dim_clip_stays_dim(tmp_path: Path, ending: str) -> None:
    frames = np.broadcast_to(np.arange(20, 26, dtype=np.uint8)[:, None, None, None], (6, 16, 16, 3))
    write_clip(target(tmp_path, ending), clip_of(frames), quality=1)
    found = read_clip(target(tmp_path, ending)).to_uint8().astype(int)
    assert np.abs(found - frames).max() <= (1 if ending in LOSSY else 0)  # a stretch would make 0 and 255 of it


def test_stream_of_chunks_is_their_concatenation(tmp_path: Path) -> None:
    frames = noise(9)
    chunks = (clip_of(part) for part in np.split(frames, [2, 3, 7]))
    write_stream(tmp_path / "out.mkv", chunks, n_frames=9)
    assert np.array_equal(read_clip(tmp_path / "out.mkv").to_uint8(), frames)


def test_stream_is_taken_chunk_by_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # At most one chunk may be ahead of the encoder, or an hour of video would wait in memory.
    taken: list[int] = []
    encoded: list[int] = []

    def chunks() -> Iterator[Clip]:
        for k in range(20):
            taken.append(k)
            assert len(taken) - len(encoded) <= 2
            yield clip_of(noise(1, 16, 16))

    padded = encode.padded
    monkeypatch.setattr(encode, "padded", lambda frame: encoded.append(1) or padded(frame))
    write_stream(tmp_path / "out.mp4", chunks(), n_frames=20)
    assert len(taken) == 20


# --- colour and tags -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "bits"), [(".mp4", 8), (".webm", 8), (".mov", 10)])
def test_video_is_tagged_bt709_and_converted_by_it(tmp_path: Path, ending: str, bits: int) -> None:
    write_clip(target(tmp_path, ending), clip_of(np.full((3, 48, 64, 3), RED, np.uint8)), quality=1)
    with av.open(target(tmp_path, ending)) as container:
        frame = next(container.decode(video=0))
    assert (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc) == (1, 1, 1, 1)
    dtype = np.uint8 if bits == 8 else np.uint16
    found = [np.frombuffer(bytes(plane), dtype)[0] for plane in frame.planes]
    expected = to_yuv(RED, matrix="bt709", full=False, bits=bits)
    # Half a level of rounding and as much of the codec; BT.601's Y and Cb are 11 and 8 eight-bit levels away.
    assert np.abs(np.array(found, float) - expected).max() <= 2 ** (bits - 8)


def test_h264_chroma_lies_where_its_decoders_look(tmp_path: Path) -> None:
    # A ramp of red: Cr rises by s a column. 4:2:0 samples lie at even columns in H.264 (siting "left", ITU-T H.264
    # figure 6-1); centred between two columns they would all be s / 2 larger.
    ramp = np.zeros((1, 32, 64, 3), np.uint8)
    ramp[..., 0] = np.arange(64) * 4
    write_clip(tmp_path / "out.mp4", clip_of(ramp), quality=1)
    with av.open(str(tmp_path / "out.mp4")) as container:
        plane = next(container.decode(video=0)).planes[2]
    found = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)[8, 2:30]
    expected = np.array([to_yuv((4 * column, 0, 0), matrix="bt709", full=False)[2] for column in range(4, 60, 2)])
    s = expected[1] - expected[0]
    assert abs((found - expected).mean()) < s / 8


def test_quality_changes_the_size_of_lossy_files(tmp_path: Path) -> None:
    for ending in (".mp4", ".webm"):
        sizes = []
        for quality in (5, 45):
            write_clip(target(tmp_path, ending), clip_of(noise(6, 32, 48)), quality=quality, overwrite=True)
            sizes.append(os.path.getsize(target(tmp_path, ending)))
        assert sizes[0] > 2 * sizes[1], ending


def test_mp4_can_start_before_it_has_arrived(tmp_path: Path) -> None:
    write_clip(tmp_path / "out.mp4", clip_of(noise()))
    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


# --- metadata --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
def test_metadata_is_in_the_container(tmp_path: Path, ending: str) -> None:
    words = {"comment": "made by a test", "dyntex": '{"seed": 7}'}
    write_clip(target(tmp_path, ending), clip_of(noise()), metadata=words)
    with av.open(target(tmp_path, ending)) as container:
        found = {key.lower(): value for key, value in container.metadata.items()}
    assert words.items() <= found.items()
    assert b'{"seed": 7}' in Path(target(tmp_path, ending)).read_bytes()


def test_metadata_is_in_each_png(tmp_path: Path) -> None:
    write_clip(target(tmp_path, "/"), clip_of(noise(2)), metadata={"dyntex": "größe"})
    for path in (tmp_path / "out").iterdir():
        assert PIL.Image.open(path).info["dyntex"] == "größe"


# --- GIF -------------------------------------------------------------------------------------------------------------


def gif_delays(path: Path) -> list[int]:
    """Centiseconds, from the graphic control extensions (GIF89a, section 23)."""
    data = path.read_bytes()
    return [int.from_bytes(found[1], "little") for found in re.finditer(rb"(?s)\x21\xf9\x04.(..).\x00\x2c", data)]


@pytest.mark.parametrize(
    ("fps", "delays", "said"),
    [
        (Fraction(25), [4] * 8, None),
        (Fraction(30), [3, 4, 3, 3, 4, 3, 3, 4], "3 or 4"),
        (Fraction(60), [2] * 8, "at most 50"),
        (Fraction(50), [2] * 8, None),
    ],
)
def test_gif_delays_keep_the_mean_rate_and_say_what_they_round(
    tmp_path: Path, fps: Fraction, delays: list[int], said: str | None
) -> None:
    heard: list[str] = []
    write_clip(tmp_path / "out.gif", clip_of(smooth(8), fps), notice=heard.append)
    found = gif_delays(tmp_path / "out.gif")
    assert sorted(found) == sorted(delays)
    assert sum(found) == sum(delays)
    assert len(heard) == (said is not None)
    assert said is None or said in heard[0]


def test_gif_colours_are_near_and_stand_still_where_the_picture_does(tmp_path: Path) -> None:
    frames = smooth()
    frames[:, :, :24] = frames[0, :, :24]
    write_clip(tmp_path / "out.gif", clip_of(frames, Fraction(25)))
    found = iio.imread(tmp_path / "out.gif", index=None)[..., :3].astype(int)
    # Measured 5.9: 256 colours spread over three waves. A palette of another frame, or BGR, makes more than 40.
    assert np.abs(found - frames).mean() < 10


# --- atomic ----------------------------------------------------------------------------------------------------------


class StopError(Exception):
    pass


def failing(after: int, error: BaseException) -> Iterator[Clip]:
    for _ in range(after):
        yield clip_of(noise(1, 16, 16))
    raise error


@pytest.mark.parametrize("ending", EVERY)
@pytest.mark.parametrize("error", [StopError(), KeyboardInterrupt()])
def test_a_failing_stream_leaves_no_file_and_keeps_the_old_one(
    tmp_path: Path, ending: str, error: BaseException
) -> None:
    with pytest.raises(type(error)):
        write_stream(target(tmp_path, ending), failing(3, error), n_frames=9)
    assert left_in(tmp_path) == []
    old = clip_of(noise(2, 16, 16, seed=5), Fraction(25))
    write_clip(target(tmp_path, ending), old)
    before = read_clip(target(tmp_path, ending)).to_uint8()
    with pytest.raises(type(error)):
        write_stream(target(tmp_path, ending), failing(3, error), n_frames=9, overwrite=True)
    assert len(left_in(tmp_path)) == 1
    assert np.array_equal(read_clip(target(tmp_path, ending)).to_uint8(), before)


@pytest.mark.parametrize("n_frames", [5, 7])
@pytest.mark.parametrize("ending", EVERY)
def test_a_stream_of_another_length_than_promised_is_not_kept(tmp_path: Path, ending: str, n_frames: int) -> None:
    with pytest.raises(DyntexError, match=rf"{n_frames} frames were to be written and 6 came"):
        write_stream(target(tmp_path, ending), [clip_of(noise(6, 16, 16))], n_frames=n_frames)
    assert left_in(tmp_path) == []


def test_an_empty_stream_and_a_stream_that_changes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DyntexError, match="none came"):
        write_stream(tmp_path / "out.mkv", [], n_frames=3)
    for other in (clip_of(noise(1, 16, 18)), clip_of(noise(1, 16, 16), Fraction(25))):
        with pytest.raises(DyntexError, match="after 1 frames"):
            write_stream(tmp_path / "out.mkv", [clip_of(noise(1, 16, 16)), other], n_frames=2)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("ending", EVERY)
def test_what_was_written_wrong_is_not_kept(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = write._write

    def losing(path: Path, frames: Iterator[np.ndarray], order: Order) -> None:
        kept = list(frames)[:-1]
        original(path, iter(kept), replace(order, n_frames=len(kept)))

    monkeypatch.setattr(write, "_write", losing)
    with pytest.raises(DyntexError, match=r"should have 6 frames.*came back with 5"):
        write_clip(target(tmp_path, ending), clip_of(noise(6, 16, 16)))
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("ending", [e for e in EVERY if e != ".npy"])
def test_a_wrong_rate_is_not_kept(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = write._write

    def faster(path: Path, frames: Iterator[np.ndarray], order: Order) -> None:
        original(path, frames, replace(order, fps=Fraction(31)))

    monkeypatch.setattr(write, "_write", faster)
    with pytest.raises(DyntexError, match="should play at 30 "):
        write_clip(target(tmp_path, ending), clip_of(noise(60, 2, 2), Fraction(30)))
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("ending", EVERY)
def test_a_full_disk_is_one_clear_line(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, *args: object, **options: object) -> None:
        path.write_bytes(b"half a file")
        raise av.error.OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(write, "_write", full)
    with pytest.raises(DyntexError, match=r"out.* could not be written \(the disk is full: free some space\)"):
        write_clip(target(tmp_path, ending), clip_of(noise()))
    assert left_in(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_ffmpeg_reports_a_full_disk_as_the_system_does() -> None:
    with pytest.raises(OSError, match="No space") as caught:
        encode.encode(Path("/dev/full"), iter(noise()), encode.RECIPES[".mkv"], fps=NTSC, quality=20, metadata={})
    assert caught.value.errno == errno.ENOSPC


def test_files_are_as_readable_as_others(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_clip(tmp_path / "out.mkv", clip_of(noise()))
    assert (tmp_path / "out.mkv").stat().st_mode == (tmp_path / "other").stat().st_mode


# --- what is refused beforehand --------------------------------------------------------------------------------------


def test_unknown_ending_lists_those_that_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        check_writable(tmp_path / "out.doc")
    for ending in (*LOSSY, ".mkv", ".webp", ".apng", ".npy", ".doc"):
        assert ending in str(caught.value)


def test_missing_or_read_only_parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"nowhere is not a folder"):
        check_writable(tmp_path / "nowhere" / "out.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file is not a folder"):
        check_writable(tmp_path / "file" / "out.mp4")
    # As a superuser may write anywhere, the system's answer is put in its mouth.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(UsageError, match="read-only"):
        check_writable(tmp_path / "out.mp4")


@pytest.mark.parametrize("ending", EVERY)
def test_existing_output_wants_overwrite(tmp_path: Path, ending: str) -> None:
    path = target(tmp_path, ending)
    write_clip(path, clip_of(noise(2, 16, 16)))
    with pytest.raises(UsageError, match="--overwrite"):
        write_clip(path, clip_of(noise(3, 16, 16)))
    assert read_clip(path).n_frames == 2
    write_clip(path, clip_of(noise(3, 16, 16)), overwrite=True)
    assert read_clip(path).n_frames == 3
    assert len(left_in(tmp_path)) == 1


def test_a_folder_with_other_things_in_it_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years of work")
    (tmp_path / "home" / "000000.png").touch()
    for path in (f"{tmp_path}/home/", tmp_path / "home"):
        with pytest.raises(UsageError, match="other things"):
            write_clip(path, clip_of(noise()), overwrite=True)
    assert left_in(tmp_path / "home") == ["000000.png", "thesis.tex"]


def test_a_folder_that_cannot_be_exchanged_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_clip(tmp_path / "out", clip_of(noise(2)))
    rename = Path.rename

    def refusing(self: Path, new: Path) -> Path:
        if new == tmp_path / "out" and self.suffix != ".old":
            raise PermissionError(errno.EACCES, "Permission denied")
        return rename(self, new)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(DyntexError, match="Permission denied"):
        write_clip(tmp_path / "out", clip_of(noise(3)), overwrite=True)
    assert left_in(tmp_path) == ["out"]
    assert read_clip(tmp_path / "out").n_frames == 2


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        check_writable(tmp_path / "out.mp4", overwrite=True)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UsageError, match="holds other things"):
        check_writable(tmp_path / "out", overwrite=True)


@pytest.mark.parametrize("quality", [0, -1, 52])
def test_quality_out_of_range(tmp_path: Path, quality: int) -> None:
    with pytest.raises(UsageError, match=str(quality)):
        write_clip(tmp_path / "out.mp4", clip_of(noise()), quality=quality)


@pytest.mark.parametrize("channels", [2, 5])
def test_channels_that_are_no_colours_are_refused(tmp_path: Path, channels: int) -> None:
    with pytest.raises(DyntexError, match=f"{channels} channels"):
        write_clip(tmp_path / "out.mkv", clip_of(np.zeros((1, 8, 8, channels), np.uint8)))
    assert left_in(tmp_path) == []


def test_png_is_written_atomically(tmp_path: Path) -> None:
    image = noise(1)[0]
    write_png(tmp_path / "sheet.png", image)
    assert np.array_equal(cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1], image)
    with pytest.raises(UsageError, match="--overwrite"):
        write_png(tmp_path / "sheet.png", image)
    write_png(tmp_path / "sheet.png", image[:4], overwrite=True)
    assert cv2.imread(str(tmp_path / "sheet.png")).shape[0] == 4
    assert left_in(tmp_path) == ["sheet.png"]
    with pytest.raises(UsageError, match="not a folder"):
        write_png(tmp_path / "nowhere" / "sheet.png", image)


def test_gif_times_never_stand_still() -> None:
    for fps in (Fraction(1, 3), Fraction(24), NTSC, Fraction(240)):
        times = encode.gif_times(50, fps)
        assert all(after - before >= 2 for before, after in pairwise(times))
        # Each time is within half a centisecond of where it should be, so errors do not add up.
        exact = [k * max(Fraction(2), 100 / fps) for k in range(51)]
        assert max(abs(time - at) for time, at in zip(times, exact, strict=True)) <= Fraction(1, 2)
