"""One file with several pictures: which are the clip, and which lie beside it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import PIL.Image
import pillow_heif
import pytest
import tifffile
from media_files import QUADRANTS, encoded, levels, notices

from dyntex.media import probe
from dyntex.media.read import Kind, kind_of
from dyntex.media.sets import is_set


@pytest.mark.parametrize(("kind", "name"), [("JPEG", "a.mjpeg"), ("JPEG", "a.jpg"), ("PNG", "a.png"), ("BMP", "a.bin")])
def test_pictures_end_to_end_are_a_clip(tmp_path: Path, kind: str, name: str) -> None:
    frames = levels(18, step=10)
    path = tmp_path / name
    path.write_bytes(b"".join(encoded(frame, kind) for frame in frames))
    assert kind_of(path) is Kind.VIDEO
    found, _ = notices(path)
    assert np.abs(found - frames).max() <= 1
    about = probe(path)
    assert (about.kind, about.n_frames, about.fps) == ("video", 18, 25)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
@pytest.mark.parametrize("behind", ["nothing", "words", "a smaller picture"])
def test_one_picture_is_an_image_whatever_lies_behind_it(tmp_path: Path, kind: str, behind: str) -> None:
    tail = {"nothing": b"", "words": b"words" * 99, "a smaller picture": encoded(QUADRANTS[::2, ::2], kind)}[behind]
    (tmp_path / "a").write_bytes(encoded(QUADRANTS, kind) + tail)
    assert probe(tmp_path / "a").kind == "image"
    assert notices(tmp_path / "a")[0].shape == (1, 16, 24, 3)


@pytest.mark.parametrize("size", [(16, 24), (4, 6)])
def test_a_phone_s_photo_is_the_first_of_its_pictures(tmp_path: Path, size: tuple[int, int]) -> None:
    photo, behind = PIL.Image.fromarray(QUADRANTS), PIL.Image.new("RGB", size[::-1], "gray")
    photo.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[behind], quality=95)
    found, said = notices(tmp_path / "a.jpg")
    assert found.shape == (1, 16, 24, 3)
    assert found[0, 2, 2, 0] > 250
    assert "2 pictures" in said[0]
    about = probe(tmp_path / "a.jpg")
    assert (about.kind, about.n_frames, about.fps) == ("image", 1, None)


def test_a_folder_of_phone_photos_is_frames(tmp_path: Path) -> None:
    for k in range(3):
        photo = PIL.Image.fromarray(QUADRANTS)
        photo.save(tmp_path / f"{k}.jpg", "MPO", save_all=True, append_images=[photo])
    assert not is_set(tmp_path)
    assert notices(tmp_path)[0].shape[0] == 3


def test_a_heic_is_one_image_read_whole(tmp_path: Path) -> None:
    smooth = cv2.resize(QUADRANTS, (64, 48), interpolation=cv2.INTER_LINEAR)
    photo = pillow_heif.from_bytes("RGB", (64, 48), smooth.tobytes())
    photo.add_frombytes("RGB", (64, 48), smooth[::-1].tobytes())
    photo.save(tmp_path / "a.heic", quality=95)
    found, _ = notices(tmp_path / "a.heic")
    assert found.shape == (1, 48, 64, 3)
    assert np.abs(found[0] - smooth).mean() < 4
    assert probe(tmp_path / "a.heic").kind == "image"


def two_streams(path: Path, *, default: int | None) -> Path:
    """A preview of 8 x 8 and 6 frames, then a picture of 32 x 24 and 12."""
    with av.open(str(path), "w") as container:
        streams = []
        for k, (width, height, fps) in enumerate([(8, 8, 5), (32, 24, 10)]):
            stream = container.add_stream("mpeg4", rate=fps)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.disposition = av.stream.Disposition.default if k == default else av.stream.Disposition(0)
            streams.append(stream)
        for stream, n_frames in zip(streams, (6, 12), strict=True):
            for i in range(n_frames):
                image = np.full((stream.height, stream.width, 3), 100 + i, np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                frame.pts, frame.time_base = i, 1 / Fraction(stream.codec_context.framerate)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("ending", "default", "size"),
    [  # MP4's writer flags the first where none is
        ("mkv", None, (24, 32)),
        ("mkv", 1, (24, 32)),
        ("mkv", 0, (8, 8)),
        ("mp4", 1, (24, 32)),
        ("mp4", 0, (8, 8)),
    ],
)
def test_of_two_videos_the_default_is_read_else_the_largest(
    tmp_path: Path, ending: str, default: int | None, size: tuple[int, int]
) -> None:
    path = two_streams(tmp_path / f"a.{ending}", default=default)
    found, said = notices(path)
    assert found.shape[1:3] == size
    assert len(found) == (6 if size == (8, 8) else 12)
    assert "2 streams of video" in said[0]
    about = probe(path)
    assert (about.height, about.width) == size


def test_pages_of_a_tiff_that_are_previews_are_no_frames(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for k in range(3):
            file.write(np.full((16, 24, 3), 50 * k, np.uint8), photometric="rgb", metadata=None)
            file.write(np.full((8, 12, 3), 255, np.uint8), photometric="rgb", subfiletype=1, metadata=None)
    found, said = notices(tmp_path / "a.tif")
    assert found[:, 0, 0, 0].round().tolist() == [0, 50, 100]
    assert "6 pictures, of which 3 are frames" in said[0]
    assert probe(tmp_path / "a.tif").n_frames == 3
