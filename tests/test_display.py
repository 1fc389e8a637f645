"""How frames are displayed: turned, mirrored, cut, and of pixels that are no squares."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from commands import done
from media_files import QUADRANTS, noise, notices, write_video

from dyntex.media import probe
from dyntex.media.display import Display, display_of


def matrix_of(display: np.ndarray) -> bytes:
    """The nine numbers of an MP4's display matrix, of the upper left two by two."""
    (a, b), (c, d) = display
    values = [int(v * 65536) for v in (a, b, 0, c, d, 0, 0, 0)]
    return struct.pack(">8i", *values) + struct.pack(">i", 1 << 30)


def with_matrix(path: Path, display: np.ndarray) -> Path:
    """An MP4 of the quadrants with a display matrix written into its track header."""
    write_video(path, [QUADRANTS] * 2, codec="libx264", pixels="yuv444p", options={"crf": "0", "preset": "ultrafast"})
    data = bytearray(path.read_bytes())
    entry = data.index(b"tkhd") + 4 + 40
    assert data[entry : entry + 4] == struct.pack(">i", 65536)
    data[entry : entry + 36] = matrix_of(display)
    path.write_bytes(data)
    return path


TURNS = {
    "as it is": ([[1, 0], [0, 1]], lambda p: p),
    "left for right": ([[-1, 0], [0, 1]], lambda p: p[:, ::-1]),
    "top for bottom": ([[1, 0], [0, -1]], lambda p: p[::-1]),
    "half a turn": ([[-1, 0], [0, -1]], lambda p: p[::-1, ::-1]),
    "a quarter clockwise": ([[0, 1], [-1, 0]], lambda p: np.rot90(p, -1)),
    "a quarter counter-clockwise": ([[0, -1], [1, 0]], lambda p: np.rot90(p, 1)),
    "transposed": ([[0, 1], [1, 0]], lambda p: p.swapaxes(0, 1)),
    "transposed the other way": ([[0, -1], [-1, 0]], lambda p: p[::-1, ::-1].swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", TURNS)
def test_every_turn_and_mirroring_of_the_display_matrix(tmp_path: Path, name: str) -> None:
    matrix, shown = TURNS[name]
    path = with_matrix(tmp_path / "a.mp4", np.array(matrix))
    found, _ = notices(path)
    expected = shown(QUADRANTS)
    assert found.shape[1:] == expected.shape
    assert np.abs(found[0] - expected).max() <= 4
    about = probe(path)
    assert (about.height, about.width) == expected.shape[:2]
    # What info says is how to get there: exchange left and right where it is mirrored, then turn.
    first = QUADRANTS[:, ::-1] if about.mirrored else QUADRANTS
    assert np.array_equal(np.rot90(first, about.rotation // 90), expected)


def test_a_turn_by_no_quarter_is_said(tmp_path: Path) -> None:
    angle = np.deg2rad(20)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    found, said = notices(with_matrix(tmp_path / "a.mp4", turn))
    assert found.shape[1:3] == (16, 24)
    assert "20 degrees" in said[0]


def test_side_data_that_pyav_cannot_name_leaves_the_angle() -> None:
    class Frame:
        rotation = -90

        @property
        def side_data(self) -> dict[str, bytes]:
            raise ValueError("31 is not a valid Type")

    assert display_of(Frame()) == Display(True, flip_columns=True)
    Frame.rotation = 0
    assert display_of(Frame()) == Display()


def pixel_crop(path: Path, *, left: int, right: int, top: int) -> Path:
    """Put a crop into a Matroska file: its PixelCrop elements in the place of a Void of their length."""
    data = bytearray(path.read_bytes())
    video = data.index(b"\xe0", data.index(b"\x83\x81\x01"))
    size = data[video + 1] & 0x7F if data[video + 1] & 0x80 else None
    assert size is not None
    extra = b"".join(
        name + b"\x81" + bytes([n]) for name, n in ((b"\x54\xcc", left), (b"\x54\xdd", right), (b"\x54\xbb", top))
    )
    body = video + 2
    elements = data[body : body + size] + extra
    data[video : body + size] = b"\xe0" + bytes([0x80 | len(elements)]) + elements
    return grown(path, data, video, len(extra))


def grown(path: Path, data: bytearray, inside: int, by: int) -> Path:
    """Let the masters around a place (track entry, tracks, segment) grow, and the rest of the index be passed over."""
    entry = data.rindex(b"\xae", 0, inside)
    tracks = data.rindex(b"\x16\x54\xae\x6b", 0, entry)
    segment = data.index(b"\x18\x53\x80\x67")
    for master, name_bytes in ((entry, 1), (tracks, 4), (segment, 4)):
        at = master + name_bytes
        width = 9 - data[at].bit_length()
        value = int.from_bytes(data[at : at + width], "big") & ((1 << (7 * width)) - 1)
        data[at : at + width] = (value + by | 1 << (7 * width)).to_bytes(width, "big")
    path.write_bytes(data)
    return path


def test_a_container_s_crop_is_applied_and_said(tmp_path: Path) -> None:
    frames = noise(3, 20, 28)
    path = write_video(tmp_path / "a.mkv", frames, muxing={"cues_to_front": "0"})
    try:
        pixel_crop(path, left=5, right=3, top=2)
    except (ValueError, AssertionError):
        pytest.fail("the muxer writes another layout: mend the test")
    found, said = notices(path)
    assert np.array_equal(found.round(), frames[:, 2:, 5:25])
    assert "2 rows at the top, 0 at the bottom, 5 columns at the left and 3 at the right" in said[0]
    assert (probe(path).height, probe(path).width) == (18, 20)


@pytest.mark.parametrize("ending", ["mp4", "mov"])
@pytest.mark.parametrize("aspect", [Fraction(2), Fraction(8, 9), Fraction(64, 45)])
def test_recover_gives_back_the_shape_that_is_displayed(tmp_path: Path, ending: str, aspect: Fraction) -> None:
    def wide(stream: av.video.stream.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = aspect

    write_video(tmp_path / "a.mp4", noise(3, 16, 24), codec="mpeg4", pixels="yuv420p", prepare=wide)
    mask = np.zeros((16, 24), bool)
    mask[4:6, 4:6] = True
    np.save(tmp_path / "m.npy", mask)
    out = tmp_path / f"o.{ending}"
    done("recover", tmp_path / "a.mp4", "--mask", tmp_path / "m.npy", "--method", "interpolate", "-o", out, "-q")
    with av.open(str(out)) as container:
        assert container.streams.video[0].sample_aspect_ratio == aspect
    assert probe(out).pixel_aspect == aspect
    said = done(
        "recover", tmp_path / "a.mp4", "--mask", tmp_path / "m.npy", "--method", "interpolate", "-o", tmp_path / "o.mkv"
    ).err
    assert "times as wide as high" in said
