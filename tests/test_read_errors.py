"""Bad input: one clear line that names the value, of the right kind, and not a word from FFmpeg."""

from __future__ import annotations

import pickle
import re
import struct
import wave
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import imageio.v3 as iio
import numpy as np
import PIL.Image
import pytest
from media_files import QUADRANTS, encoded, levels, noise, write_video

from dyntex.errors import DyntexError, InputError, UsageError
from dyntex.media import footage, probe, read_clip, video

Maker = Callable[[Path], Path]


def empty(folder: Path) -> Path:
    (folder / "a.mp4").touch()
    return folder / "a.mp4"


def text(folder: Path) -> Path:
    (folder / "a.mp4").write_text("Dear reader, this is a letter.\n" * 100)
    return folder / "a.mp4"


def drawn_text(folder: Path) -> Path:
    # FFmpeg would play this as a film of a terminal.
    (folder / "a.ans").write_text("Dear reader, this is a letter.\n" * 100)
    return folder / "a.ans"


def halved(path: Path, share: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def mp4_without_its_end(folder: Path) -> Path:
    return halved(write_video(folder / "a.mp4", noise(20), codec="libx264", pixels="yuv420p"))


def audio_only(folder: Path) -> Path:
    with wave.open(str(folder / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8000))
    return folder / "a.wav"


def song_with_a_cover(folder: Path) -> Path:
    with av.open(str(folder / "a.mp4"), "w") as container:
        audio = container.add_stream("aac", rate=8000)
        cover = container.add_stream("png", rate=1)
        cover.width, cover.height, cover.pix_fmt = 28, 20, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.rate, sound.pts, sound.time_base = 8000, 0, Fraction(1, 8000)
        container.mux(audio.encode(sound) + cover.encode(av.VideoFrame.from_ndarray(noise(1)[0], format="rgb24")))
        container.mux(audio.encode() + cover.encode())
    return folder / "a.mp4"


def no_images(folder: Path) -> Path:
    (folder / "readme.txt").write_text("no frames here")
    return folder


def mixed_sizes(folder: Path) -> Path:
    iio.imwrite(folder / "0.png", noise(1, 8, 8)[0])
    iio.imwrite(folder / "1.png", noise(1, 8, 9)[0])
    return folder


def not_an_image(folder: Path) -> Path:
    iio.imwrite(folder / "0.png", noise(1)[0])
    (folder / "1.png").write_text("not a picture")
    return folder


def half_an_image(folder: Path) -> Path:
    iio.imwrite(folder / "a.png", noise(1, 64, 64)[0])
    return halved(folder / "a.png")


def half_a_gif(folder: Path) -> Path:
    images = [PIL.Image.fromarray(frame) for frame in noise(5, 64, 64)]
    images[0].save(folder / "a.gif", save_all=True, append_images=images[1:], duration=40)
    return halved(folder / "a.gif", 0.7)


def float_image(folder: Path) -> Path:
    PIL.Image.fromarray(np.ones((8, 8), np.float32)).save(folder / "a.tif")
    return folder / "a.tif"


def png_header(folder: Path, side: int) -> Path:
    """A PNG that claims side x side pixels and has none."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    chunks = {b"IHDR": struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0), b"IDAT": zlib.compress(b""), b"IEND": b""}
    (folder / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*item) for item in chunks.items()))
    return folder / "a.png"


def huge_png(folder: Path) -> Path:
    return png_header(folder, 100_000)


def large_png(folder: Path) -> Path:
    return png_header(folder, 13_000)  # more than we read, less than Pillow itself refuses


def huge_array(folder: Path) -> Path:
    with (folder / "a.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (2, 100_000, 100_000, 3)}
        )
    return folder / "a.npy"


def saved(folder: Path, array: np.ndarray) -> Path:
    np.save(folder / "a.npy", array)
    return folder / "a.npy"


def float_array(folder: Path) -> Path:
    return saved(folder, noise().astype(np.float32))


def flat_array(folder: Path) -> Path:
    return saved(folder, noise()[0, 0])


def planar_array(folder: Path) -> Path:
    return saved(folder, np.ascontiguousarray(noise().transpose(0, 3, 1, 2)))


def column_array(folder: Path) -> Path:
    return saved(folder, np.asfortranarray(noise()))


def no_frames_array(folder: Path) -> Path:
    return saved(folder, noise()[:0])


def short_array(folder: Path) -> Path:
    return halved(saved(folder, noise()))


def object_array(folder: Path) -> Path:
    np.save(folder / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return folder / "a.npy"


def pickled(folder: Path) -> Path:
    (folder / "a.npy").write_bytes(pickle.dumps(noise()))
    return folder / "a.npy"


def useless_archive(folder: Path) -> Path:
    np.savez(folder / "a.npz", weights=np.ones(3))
    return folder / "a.npz"


def ambiguous_archive(folder: Path) -> Path:
    np.savez(folder / "a.npz", left=noise(), right=noise())
    return folder / "a.npz"


def fake_archive(folder: Path) -> Path:
    (folder / "a.npz").write_text("not a zip file")
    return folder / "a.npz"


def missing(folder: Path) -> Path:
    return folder / "nothing.mp4"


CASES: dict[Maker, str] = {
    missing: "does not exist",
    empty: "is empty",
    text: "cannot be read as video or image",
    drawn_text: "text, not video",
    mp4_without_its_end: "damaged, cut short",
    audio_only: "no video stream (only audio)",
    song_with_a_cover: "no video stream (only audio)",
    no_images: "no images",
    mixed_sizes: "9x8 pixels and 0.png is 8x8",
    not_an_image: "1.png cannot be decoded",
    half_an_image: "cannot be decoded",
    half_a_gif: "cannot be decoded",
    float_image: "floating-point",
    huge_png: "scale it down",
    large_png: "13000x13000",
    huge_array: "100000x100000",
    float_array: "float32",
    flat_array: "(28, 3)",
    planar_array: "(6, 3, 20, 28)",
    column_array: "Fortran",
    no_frames_array: "no frames",
    short_array: "cut short",
    object_array: "object",
    pickled: "cannot be read as a NumPy file",
    useless_archive: "holds weights",
    ambiguous_archive: "holds left, right",
    fake_archive: "cannot be read as a NumPy file",
}


@pytest.mark.parametrize("maker", CASES, ids=lambda maker: maker.__name__)
def test_bad_input_is_one_line_that_names_it(tmp_path: Path, capfd: pytest.CaptureFixture[str], maker: Maker) -> None:
    source = maker(tmp_path)
    capfd.readouterr()
    with pytest.raises(InputError) as caught:
        read_clip(source, size=8)
    message = str(caught.value)
    assert CASES[maker] in message
    assert str(source) in message
    assert "\n" not in message
    assert capfd.readouterr() == ("", "")  # FFmpeg and libpng write to the terminal unless they are told not to


@pytest.mark.parametrize("maker", [missing, empty, text, audio_only, no_images, huge_png, object_array])
def test_probe_refuses_what_read_refuses(tmp_path: Path, maker: Maker) -> None:
    with pytest.raises(InputError, match=re.escape(CASES[maker])):
        probe(maker(tmp_path))


def test_a_trimmed_video_is_not_taken_for_a_cut_one(tmp_path: Path) -> None:
    # A phone trims by an edit list: the first frames stay in the file, for decoding, and are not shown.
    frames = levels(20, step=12)
    path = write_video(tmp_path / "a.mp4", frames, codec="libx264", pixels="yuv420p", options={"crf": "1", "bf": "2"})
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 12  # past the name, version and flags, number of entries: duration, media time
    media_time = struct.unpack_from(">i", data, entry + 4)[0]
    struct.pack_into(">i", data, entry + 4, media_time + 5 * 512)  # 512 units of 1/12800 s a frame
    path.write_bytes(data)
    found = read_clip(path).to_uint8().mean(axis=(1, 2, 3))
    assert np.abs(found - np.arange(5, 20) * 12).max() < 6


def test_a_video_of_no_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "decode", lambda *args, **options: iter(()))
    path = write_video(tmp_path / "a.mkv", noise())
    for refuse in (read_clip, probe):
        with pytest.raises(InputError, match="no frame"):
            refuse(path)


def test_damage_before_the_first_frame_asked_for_has_its_own_words() -> None:
    assert "--clip-frames" not in str(video.ended_early(Path("a.mp4"), 0))


def test_large_video_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # FFmpeg itself cannot write or open a video as large as an attacker's header; so the limit comes down to it.
    path = write_video(tmp_path / "a.mkv", noise())
    monkeypatch.setattr(footage, "MAX_PIXELS", 20 * 28 - 1)
    monkeypatch.setattr(video, "decode", None)
    for refuse in (read_clip, probe):
        with pytest.raises(InputError, match="28x20"):
            refuse(path)
    monkeypatch.setattr(footage, "MAX_PIXELS", 20 * 28)
    footage.check_pixels("a frame of the limit", 28, 20)


def faststart(folder: Path) -> Path:
    """20 frames behind their index, of which the last third is missing."""
    path = write_video(
        folder / "a.mp4",
        noise(20, 32, 32),
        codec="libx264",
        pixels="yuv420p",
        options={"g": "1"},  # frames of about one size, so that a cut of the file is a cut of the frames
        muxing={"movflags": "+faststart"},
    )
    return halved(path, 0.67)


def matroska(folder: Path) -> Path:
    return halved(write_video(folder / "a.mkv", noise(20, 32, 32)), 0.67)


def avi(folder: Path) -> Path:
    return halved(write_video(folder / "a.avi", noise(20, 32, 32), codec="rawvideo", pixels="bgr24"), 0.67)


@pytest.mark.parametrize("maker", [faststart, matroska, avi])
def test_video_cut_short_gives_the_frames_it_has_but_only_where_they_were_asked_for(
    tmp_path: Path, maker: Maker
) -> None:
    path = maker(tmp_path)
    with pytest.raises(InputError, match="--clip-frames") as caught:
        read_clip(path)
    whole = int(str(caught.value).rsplit("--clip-frames ", 1)[1].split(",")[0])
    assert 10 <= whole <= 14
    assert read_clip(path, n_frames=whole).n_frames == whole  # the advice is good
    with pytest.raises(InputError, match="cut short"):
        read_clip(path, n_frames=whole + 3)


def test_whole_videos_are_not_taken_for_cut_ones(tmp_path: Path) -> None:
    kinds = {"mp4": "libx264", "webm": "libvpx-vp9", "avi": "mpeg4", "mkv": "mpeg4", "ts": "libx264", "mov": "mpeg4"}
    for ending, codec in kinds.items():
        path = write_video(tmp_path / f"a.{ending}", noise(20, 32, 32), codec=codec, pixels="yuv420p")
        assert read_clip(path).n_frames == 20, ending
        assert read_clip(path, n_frames=99).n_frames == 20, ending


def test_video_of_changing_size_wants_a_size(tmp_path: Path) -> None:
    small = write_video(tmp_path / "a.h264", levels(3), codec="libx264", pixels="yuv420p")
    large = write_video(tmp_path / "b.h264", levels(3, height=32), codec="libx264", pixels="yuv420p")
    small.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(InputError, match="16x16 to 16x32 at frame 3"):
        read_clip(small)
    assert read_clip(small, size=8).n_frames == 6


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("example:ripples?seed=x", "not a number"),
        ("example:ripples?size=64", "size"),
        ("example:ripples?nonsense=1", "nonsense"),
        ("example:nope", "nope"),
        ("example:ripples?seed=1&seed2=", "not a number"),
    ],
)
def test_examples_that_do_not_exist(source: str, words: str) -> None:
    with pytest.raises(DyntexError, match=words) as caught:
        read_clip(source)
    assert isinstance(caught.value, UsageError | InputError)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF", "WEBP", "BMP"])
def test_an_image_damaged_anywhere_is_read_or_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    # Pillow meets some damage when it opens a file, some at its tags, some at its pixels.
    whole = encoded(QUADRANTS, kind)
    for place in range(8, len(whole), max(1, len(whole) // 60)):
        for broken in (whole[:place], whole[:place] + b"\xff\0\xff\xff" + whole[place + 4 :]):
            (tmp_path / "a").write_bytes(broken)
            for read in (probe, read_clip):
                try:
                    read(tmp_path / "a")
                except InputError as error:
                    assert "\n" not in str(error)  # noqa: PT017
