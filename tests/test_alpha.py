"""Transparency and depth: what is read, learnt, resized and written, against formulas and other readers."""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import PIL.Image
import pytest
import torch
from format_matrix import ball, clip_of, seen
from media_files import noise, write_video

from dyntex.benchmarks.data import Source, split_clip
from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError
from dyntex.media import (
    check_fits,
    encode,
    flatten,
    parse_colour,
    probe,
    read_clip,
    sheet,
    side_by_side,
    write_clip,
)
from dyntex.media.pixels import bled, levels, premultiplied
from dyntex.media.sheet import BESIDE_GAP

FPS = Fraction(25)
KEEPS_ALPHA = (".webm", ".mov", ".mkv", ".apng", ".webp", ".npy", "/")
LOSSLESS = (".apng", ".webp", ".npy", "/")


def straight_of(clip: Clip) -> np.ndarray:
    return np.stack(list(levels(clip, bits=8)))


def target(folder: Path, ending: str) -> str:
    return f"{folder}/out{ending}"


# --- premultiplied and straight --------------------------------------------------------------------------------------


def test_every_eight_bit_colour_comes_back_from_every_alpha() -> None:
    colour, alpha = np.mgrid[:256, :256].astype(np.uint8)
    straight = np.stack([colour, 255 - colour, colour, alpha], axis=-1)
    clip = clip_of(straight[None])
    # The closed form: p = c a in the units of [-1, 1], to half of 1/65535 and float32's rounding.
    expected = colour.astype(float) * alpha / 255**2 * 2 - 1
    assert np.abs(clip.video[0, 0].double().numpy() - expected).max() <= 1 / 65535 + 1e-7
    found = straight_of(clip)[0]
    assert np.array_equal(found[..., 3], alpha)
    visible = alpha > 0
    assert np.array_equal(found[visible], straight[visible])
    assert (found[~visible] == 0).all()  # clear has no colour


def test_sixteen_bit_alpha_multiplies_in_sixteen_bits() -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (5, 7, 4), dtype=np.uint16)
    found = premultiplied(deep)
    assert np.array_equal(found[..., 3], deep[..., 3])
    exact = deep[..., :3].astype(float) * deep[..., 3:] / 65535
    assert np.abs(found[..., :3] - exact).max() <= 0.5 + 1e-6
    assert premultiplied(np.full((1, 1, 4), 65535, np.uint16)).tolist() == [[[65535] * 4]]  # the largest product


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_levels_round_to_the_nearest(bits: int) -> None:
    values = torch.linspace(-1, 1, 5001).view(1, 1, 1, -1)
    (frame,) = levels(Clip(values, FPS), bits=bits)
    assert frame.shape == (1, 5001, 3)
    top = 255 if bits == 8 else 65535
    step = top / (2**bits - 1)
    # Half a step of rounding; spreading 10 bits over 16 by repeating the upper ones is off by less than one of 65535.
    assert np.abs(frame[0, :, 0] - (values.flatten().numpy() + 1) / 2 * top).max() <= step / 2 + (bits == 10) + 0.01
    assert len(np.unique(frame)) == min(2**bits, 5001)


def test_colour_beyond_its_alpha_is_cut_to_white() -> None:
    # A network may paint more light than a pixel has alpha for: straight, it can be 1 at most.
    (frame,) = levels(Clip(torch.tensor([0.5, 0.0, -1.0, 0.0]).view(4, 1, 1, 1), FPS), bits=8)
    assert frame[0, 0].tolist() == [255, 254, 0, 128]  # 0.5 / (128 / 255) = 0.996: by the alpha that is written


def test_colour_without_alpha_is_not_written() -> None:
    (frame,) = levels(Clip(torch.tensor([0.5, 0.0, -1.0, -1.0]).view(4, 1, 1, 1), FPS), bits=8)
    assert frame[0, 0].tolist() == [0, 0, 0, 0]


def test_flatten_is_over() -> None:
    straight = ball()
    for colour in ((0, 0, 0), (255, 255, 255), (10, 200, 77)):
        found = flatten(clip_of(straight), colour)
        assert found.channels == 3
        rgb, alpha = straight[..., :3].astype(float), straight[..., 3:] / 255
        assert np.abs(found.to_uint8() - (rgb * alpha + np.array(colour) * (1 - alpha))).max() <= 0.51
    opaque = Clip.from_uint8(noise(), FPS)
    assert flatten(opaque, (1, 2, 3)) is opaque


def test_colours_have_names_and_numbers() -> None:
    assert parse_colour("black") == (0, 0, 0)
    assert parse_colour("#0aF") == (0, 170, 255)
    assert parse_colour("#10203040") == (16, 32, 48)
    with pytest.raises(UsageError, match="'blakc' is not a colour"):
        parse_colour("blakc")


def test_clear_pixels_take_the_nearest_colour_and_stay_clear() -> None:
    image = np.zeros((1, 7, 4), np.uint8)
    image[0, 1], image[0, 5] = (200, 10, 20, 255), (5, 6, 250, 1)
    found = bled(image)
    assert np.array_equal(found[..., 3], image[..., 3])
    assert found[0, :3, :3].tolist() == [[200, 10, 20]] * 3
    assert found[0, 4:, :3].tolist() == [[5, 6, 250]] * 3
    clear = np.zeros((2, 2, 4), np.uint8)
    assert np.array_equal(bled(clear), clear)


# --- reading ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("native", [True, False])
def test_alpha_of_a_video_is_read_and_said_once(tmp_path: Path, native: bool) -> None:
    grey, alpha = 200, 102  # 102/255 = 0.4 exactly
    rgba = np.full((4, 32, 32, 4), grey, np.uint8)
    rgba[..., 3] = alpha
    if native:
        path = write_video(tmp_path / "a.mkv", rgba, pixels="bgra", source="rgba")
    else:  # VP9 keeps its alpha beside the stream, where FFmpeg's own decoder does not look
        options = {"crf": "1", "b": "0"}
        path = write_video(
            tmp_path / "a.webm", rgba, codec="libvpx-vp9", pixels="yuva420p", source="rgba", options=options
        )
    said: list[str] = []
    found = read_clip(path, notice=said.append).to_uint8()
    assert found.shape == rgba.shape
    assert np.abs(found.astype(int) - (80, 80, 80, alpha)).max() <= (0 if native else 3)  # VP9 rounds colour and alpha
    assert len(said) == 1
    assert "transparency" in said[0]
    assert probe(path).has_alpha


def test_opaque_alpha_is_left_out_without_a_word(tmp_path: Path) -> None:
    rgba = np.full((2, 16, 16, 4), 255, np.uint8)
    rgba[..., :3] = noise(2, 16, 16)
    said: list[str] = []
    clip = read_clip(write_video(tmp_path / "a.mkv", rgba, pixels="bgra", source="rgba"), notice=said.append)
    assert np.array_equal(clip.to_uint8(), rgba[..., :3])
    assert said == []


@pytest.mark.parametrize("ending", [".mov", ".webm"])
def test_lossy_alpha_that_is_opaque_is_left_out(tmp_path: Path, ending: str) -> None:
    # ProRes decodes to 12 bits of YUV, whose white alpha swscale makes 65520 of 65535.
    rgba = np.full((2, 32, 32, 4), (90, 120, 200, 255), np.uint8)
    codec, pixels = {".mov": ("prores_ks", "yuva444p10le"), ".webm": ("libvpx-vp9", "yuva420p")}[ending]
    path = write_video(tmp_path / f"a{ending}", rgba, codec=codec, pixels=pixels, source="rgba")
    assert probe(path).has_alpha
    assert read_clip(path).channels == 3


def test_half_clear_prores_is_half_clear(tmp_path: Path) -> None:
    for alpha in (0, 1, 128, 254, 255):
        rgba = np.full((2, 32, 32, 4), (90, 120, 200, 0), np.uint8)
        rgba[:, :16, :, 3] = alpha
        write_clip(tmp_path / "a.mov", clip_of(rgba), overwrite=True)
        found = (read_clip(tmp_path / "a.mov").video[3, :, :8] + 1) / 2 * 255
        assert torch.allclose(found, torch.tensor(float(alpha)), atol=0.26), alpha  # a level of 10 bits
    assert (found == 255).all()  # solid is solid, to the last bit


def test_one_transparent_frame_gives_all_of_them_alpha(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    colours = noise(3, 8, 8)
    for k, frame in enumerate(colours):
        PIL.Image.fromarray(frame).save(tmp_path / "frames" / f"{k}.png")
    PIL.Image.fromarray(np.dstack([colours[1], np.full((8, 8), 51, np.uint8)])).save(tmp_path / "frames" / "1.png")
    found = straight_of(read_clip(tmp_path / "frames"))
    assert np.array_equal(found[..., :3], colours)
    assert found[:, 0, 0, 3].tolist() == [255, 51, 255]
    assert read_clip(tmp_path / "frames", n_frames=1).channels == 3


def test_palette_images_with_transparency_are_rgba(tmp_path: Path) -> None:
    index = np.tile(np.arange(4, dtype=np.uint8), (4, 1))
    palette = [255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9]
    for name, transparency in (("one.png", 2), ("each.png", bytes([255, 128, 0, 51])), ("one.gif", 2)):
        image = PIL.Image.fromarray(index, mode="P")
        image.putpalette(palette)
        image.save(tmp_path / name, transparency=transparency)
    clear_blue = [[255, 0, 0, 255], [0, 255, 0, 255], [0, 0, 0, 0], [9, 9, 9, 255]]
    assert straight_of(read_clip(tmp_path / "one.png"))[0, 0].tolist() == clear_blue
    assert straight_of(read_clip(tmp_path / "one.gif"))[0, 0].tolist() == clear_blue
    soft = [[255, 0, 0, 255], [0, 255, 0, 128], [0, 0, 0, 0], [9, 9, 9, 51]]
    assert straight_of(read_clip(tmp_path / "each.png"))[0, 0].tolist() == soft


def test_a_gif_whose_holes_move_leaves_no_trail(tmp_path: Path) -> None:
    # Frame k shows a red square at column 4k and is clear elsewhere; each is disposed of to the background.
    frames = []
    for k in range(4):
        index = np.zeros((8, 16), np.uint8)
        index[2:6, 4 * k : 4 * k + 4] = 1
        frames.append(PIL.Image.fromarray(index, mode="P"))
        frames[-1].putpalette([0, 0, 0, 255, 0, 0])
    frames[0].save(
        tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=80, disposal=2, transparency=0, loop=0
    )
    found = straight_of(read_clip(tmp_path / "a.gif"))
    for k in range(4):
        expected = np.zeros((8, 16, 4), np.uint8)
        expected[2:6, 4 * k : 4 * k + 4] = (255, 0, 0, 255)
        assert np.array_equal(found[k], expected), k


def test_grey_with_alpha(tmp_path: Path) -> None:
    PIL.Image.fromarray(np.full((4, 4, 2), (100, 51), np.uint8), mode="LA").save(tmp_path / "a.png")
    assert (straight_of(read_clip(tmp_path / "a.png")) == (100, 100, 100, 51)).all()


def test_resizing_keeps_the_colour_that_is_seen(tmp_path: Path) -> None:
    # A white column beside three clear ones that hold green: straight, their average would be a greenish grey.
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 1] = 200
    rgba[:, ::4] = 255
    PIL.Image.fromarray(rgba).save(tmp_path / "a.png")
    clip = read_clip(tmp_path / "a.png", size=2)
    assert torch.allclose(clip.video, torch.tensor(0.25 * 2 - 1), atol=2 / 65535)
    assert (straight_of(clip) == (254, 254, 254, 64)).all()  # 63.75 of 255 are clear: alpha rounds up, colour down


# --- depth -----------------------------------------------------------------------------------------------------------


def test_ten_bits_are_read_in_full(tmp_path: Path) -> None:
    ramp = np.arange(1024, dtype=np.uint16).reshape(32, 32)
    grey = write_video(tmp_path / "grey.mkv", [ramp], pixels="gray10le", source="gray10le")
    rgb = write_video(tmp_path / "rgb.mkv", [ramp[..., None].repeat(3, 2)], pixels="gbrp10le", source="gbrp10le")
    # A level of 16 bits; for grey one of 10, because swscale shifts luma up where it should spread it.
    for path, error in ((rgb, 2 / 65535), (grey, 2 / 1023)):
        found = read_clip(path).video[0, 0].double().numpy()
        assert np.abs(found - (ramp / 1023 * 2 - 1)).max() <= error, path
        assert len(np.unique(found)) == 1024


@pytest.mark.parametrize(("mode", "channels"), [("rgb", 3), ("rgba", 4)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sixteen_bit_images_are_read_in_full_and_upright(
    tmp_path: Path, mode: str, channels: int, orientation: int
) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (5, 7, channels), dtype=np.uint16)
    order = [2, 1, 0, 3][:channels]
    cv2.imwrite(str(tmp_path / "plain.png"), deep[..., order])
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = (tmp_path / "plain.png").read_bytes()
    payload = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = png_chunk(b"eXIf", payload)
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])  # after the signature and IHDR
    found = read_clip(tmp_path / "a.png").video[:, 0].permute(1, 2, 0).double().numpy()

    eight = PIL.Image.fromarray((deep >> 8).astype(np.uint8))  # Pillow turns its 8-bit copy: an independent word
    eight.getexif()[0x0112] = orientation
    turned = np.asarray(PIL.ImageOps.exif_transpose(eight))
    assert found.shape == turned.shape
    if channels == 3:
        levels16 = np.rint((found + 1) / 2 * 65535)
        assert np.array_equal(levels16.astype(int) >> 8, turned)
        assert np.array_equal(np.sort(levels16.ravel()), np.sort(deep.ravel()))
    else:
        assert np.array_equal(np.rint((found[..., 3] + 1) / 2 * 65535).astype(int) >> 8, turned[..., 3])


def png_chunk(name: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")


@pytest.mark.parametrize("compression", [1, 5])  # none and LZW, which Pillow decodes by two ways
def test_sixteen_bit_tiff_is_read_in_full(tmp_path: Path, compression: int) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.tif"), deep[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    found = read_clip(tmp_path / "a.tif").video[:, 0].permute(1, 2, 0).double().numpy()
    assert np.array_equal(np.rint((found + 1) / 2 * 65535), deep)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_sixteen_bit_image_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (64, 64, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError, match="damaged or cut short"):
        read_clip(tmp_path / "a.png")


def test_sixteen_bit_grey_is_read_in_full(tmp_path: Path) -> None:
    deep = (
        np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
        + 255
        - np.arange(256, dtype=np.uint16).reshape(16, 16)
    )
    cv2.imwrite(str(tmp_path / "a.png"), deep)
    found = read_clip(tmp_path / "a.png").video[:, 0].double().numpy()
    assert np.array_equal(np.rint((found + 1) / 2 * 65535), np.stack([deep] * 3))


@pytest.mark.parametrize(("ending", "mean", "most"), [(".mkv", 0.25, 0.52), (".mov", 0.75, 4)])
def test_ten_bits_are_written(tmp_path: Path, ending: str, mean: float, most: float) -> None:
    ramp = torch.linspace(-0.9, 0.9, 96).expand(3, 2, 64, 96).contiguous()
    write_clip(target(tmp_path, ending), Clip(ramp, FPS))
    with av.open(target(tmp_path, ending)) as container:
        frame = next(container.decode(video=0))
    assert {component.bits for component in frame.format.components} == {10}
    found = read_clip(target(tmp_path, ending)).video
    # In levels of 10 bits: rounding is off by a quarter in the mean and one half at most, in 8 bits by 1 and 2.
    # ProRes rounds Y, Cb and Cr, and loses a little of its own.
    error = (found - ramp).abs() * 511.5
    assert float(error.mean()) <= mean
    assert float(error.max()) <= most


# --- writing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", KEEPS_ALPHA)
def test_alpha_comes_back(tmp_path: Path, ending: str) -> None:
    straight = ball()
    write_clip(target(tmp_path, ending), clip_of(straight), quality=5)
    found = straight_of(read_clip(target(tmp_path, ending)))
    assert found.shape == straight.shape
    if ending in LOSSLESS:
        assert np.array_equal(found, straight)
    for behind in (0, 128, 255):
        assert np.abs(seen(found, behind) - seen(straight, behind)).mean() <= (0.5 if ending == ".webm" else 0.1)


def test_alpha_of_a_gif_is_cut_at_one_half_and_said(tmp_path: Path) -> None:
    straight = ball()
    said: list[str] = []
    write_clip(tmp_path / "out.gif", clip_of(straight), notice=said.append)
    found = straight_of(read_clip(tmp_path / "out.gif"))
    assert np.array_equal(found[..., 3] == 255, straight[..., 3] >= 128)
    assert set(np.unique(found[..., 3])) == {0, 255}
    assert len(said) == 1
    assert "one half" in said[0]


@pytest.mark.parametrize("ending", [".webm", ".mov"])
def test_what_is_clear_does_not_bleed_black_into_a_white_edge(
    tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A hard white square: whatever of the clear black is mixed into it would be seen as a dark seam, on white most.
    straight = np.zeros((2, 48, 48, 4), np.uint8)
    straight[:, 13:35, 11:37] = 255

    def seam() -> float:
        write_clip(target(tmp_path, ending), clip_of(straight), quality=25, overwrite=True)
        return float(np.abs(seen(straight_of(read_clip(target(tmp_path, ending))), 255) - 255).max())

    filled = seam()
    monkeypatch.setattr(encode, "bled", lambda image: image)
    assert filled < 0.5 < seam()


def test_alpha_wants_a_background_where_the_format_has_none(tmp_path: Path) -> None:
    clip = clip_of(ball())
    with pytest.raises(UsageError, match=r"out\.mp4 cannot hold the transparency.*\.webm.*--background"):
        write_clip(tmp_path / "out.mp4", clip)
    with pytest.raises(UsageError, match="--background"):
        check_fits(tmp_path / "out.mp4", channels=4, n_frames=4, size=(8, 8))
    assert list(tmp_path.iterdir()) == []
    write_clip(tmp_path / "out.mp4", clip, background=(255, 255, 255), quality=1)
    found = read_clip(tmp_path / "out.mp4").to_uint8()
    assert np.abs(found - seen(ball(), 255)).mean() < 1
    write_clip(tmp_path / "out.mkv", clip, background=(0, 0, 0))
    assert read_clip(tmp_path / "out.mkv").channels == 3


def test_the_benchmark_measures_what_is_seen_on_black(tmp_path: Path) -> None:
    straight = np.tile(ball(12), (4, 1, 1, 1))
    write_clip(tmp_path / "a.apng", clip_of(straight))
    split = split_clip(Source("a", str(tmp_path / "a.apng")), size=48, n_frames=24)
    assert np.abs(split.train.to_uint8() - seen(straight, 0)[:24, :, 8:56]).max() <= 0.51


def test_sheets_for_the_eye_show_it_on_grey() -> None:
    clip = clip_of(ball())
    expected = np.rint(seen(ball(), 128))
    image = sheet(clip, clip, n_columns=4)
    assert np.abs(image[:48, :64].astype(int) - expected[0]).max() <= 1
    both = side_by_side(clip, clip).to_uint8()
    assert np.abs(both[:, :, :64].astype(int) - expected).max() <= 1
    assert both.shape == (4, 48, 64 + BESIDE_GAP + 64, 3)
