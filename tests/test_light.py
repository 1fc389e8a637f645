"""Linear light, colour profiles, and levels of more than 8 bits."""

from __future__ import annotations

import zlib
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest
import tifffile
from commands import dyntex
from media_files import QUADRANTS, encoded, noise, notices
from PIL import ImageCms

from dyntex.errors import InputError
from dyntex.media import probe, read_clip


def srgb_of(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("ending", ["pfm", "hdr", "exr"])
def test_linear_light_is_shown_by_the_srgb_curve(tmp_path: Path, ending: str) -> None:
    light = np.linspace(0, 1, 16 * 24 * 3).reshape(16, 24, 3).astype(np.float32)
    light[0, 0] = 7.0  # brighter than white
    path = tmp_path / f"a.{ending}"
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream({"pfm": "pfm", "hdr": "hdr", "exr": "exr"}[ending], rate=25)
        stream.width, stream.height, stream.pix_fmt = 24, 16, "gbrpf32le"
        frame = av.VideoFrame.from_ndarray(light, format="gbrpf32le")
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    found, said = notices(path)
    assert np.abs(found[0] - 255 * srgb_of(light.clip(0, 1))).max() < (4 if ending == "hdr" else 1)
    assert "linear light" in said[0]
    about = probe(path)
    assert (about.kind, about.n_frames, about.fps) == ("image", 1, None)


def wide_profile() -> bytes:
    """A profile of wide primaries, which Pillow builds from CIE's."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()


@pytest.mark.parametrize(("gamma", "changes"), [(1.0, True), (0.45455, False), (0.5555, True)])
def test_the_gamma_of_a_png_is_honoured(tmp_path: Path, gamma: float, changes: bool) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    data = encoded(ramp, "PNG")
    body = b"gAMA" + round(gamma * 100_000).to_bytes(4, "big")
    chunk = (4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    expected = 255 * srgb_of((ramp / 255) ** (1 / gamma)) if changes else ramp
    assert np.abs(notices(tmp_path / "a.png")[0][0] - expected).max() <= 0.51


def test_a_colour_profile_is_converted_and_srgb_changes_nothing(tmp_path: Path) -> None:
    ramp = noise(1, 16, 24)[0]
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("PNG", "TIFF", "WEBP"):
        PIL.Image.fromarray(ramp).save(tmp_path / "a", kind, icc_profile=srgb, lossless=True)
        found, said = notices(tmp_path / "a")
        assert np.array_equal(found[0].round(), ramp)
        assert said == []
    PIL.Image.fromarray(ramp).save(tmp_path / "a", "PNG", icc_profile=b"no profile")
    found, said = notices(tmp_path / "a")
    assert np.array_equal(found[0].round(), ramp)
    assert "cannot be read" in said[0]


def rotated_by_gamma(profile: bytes) -> bytes:
    """sRGB's profile with red and blue exchanged: what it describes is not what an untagged file would show."""
    return profile.replace(b"rXYZ", b"tmp!", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmp!", b"bXYZ", 1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_profile_that_differs_is_applied(tmp_path: Path, mode: str) -> None:
    picture = PIL.Image.fromarray(QUADRANTS).convert(mode)
    profile = rotated_by_gamma(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    picture.save(tmp_path / "a.png", icc_profile=profile)
    found, said = notices(tmp_path / "a.png")
    assert np.abs(found[0] - QUADRANTS[..., ::-1]).max() <= 2
    assert "converted" in said[0]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_sixteen_bits_and_a_rotation(
    tmp_path: Path, orientation: int, compression: str | None, capfd: pytest.CaptureFixture[str]
) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (16, 24, 3), dtype=np.uint16)
    tags = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "a.tif", deep, photometric="rgb", extratags=tags, compression=compression)
    found, _ = notices(tmp_path / "a.tif")
    plain = PIL.Image.fromarray((deep // 257).astype(np.uint8))
    plain.getexif()[274] = orientation
    exif = PIL.Image.Exif()
    exif[274] = orientation
    plain.save(tmp_path / "b.png", exif=exif)
    expected, _ = notices(tmp_path / "b.png")
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1
    assert len(np.unique(found)) > 1000  # 8 bits have 256
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("bits", "taken"), [(8, 8), (10, 10), (12, 12), (13, None), (16, None)])
def test_narrow_levels_in_sixteen_bits_are_noticed(tmp_path: Path, bits: int, taken: int | None) -> None:
    ramp = np.linspace(0, 2**bits - 1, 4 * 16 * 24).reshape(4, 16, 24).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", ramp, photometric="minisblack")
    found, said = notices(tmp_path / "a.tif")
    white = 2**taken - 1 if taken else 65535
    assert np.abs(found[..., 0] - ramp * (255 / white)).max() < 0.1
    assert len(said) == (taken is not None)
    assert not taken or f"taken for {taken} bits" in said[0]
    frames = tmp_path / "frames"
    frames.mkdir()
    for k, page in enumerate(ramp):  # the first is darker than what the last would be taken for
        tifffile.imwrite(frames / f"{k}.tif", page, photometric="minisblack")
    assert np.array_equal(notices(frames)[0], found)


@pytest.mark.parametrize("dtype", [np.uint32, np.int32, np.int16, np.float32])
def test_levels_without_an_agreed_white_are_refused(tmp_path: Path, dtype: type) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.arange(16 * 24).reshape(16, 24).astype(dtype), photometric="minisblack")
    with pytest.raises(InputError, match="no agreed"):
        read_clip(tmp_path / "a.tif")
    assert dyntex("info", tmp_path / "a.tif").code in (0, 3)
