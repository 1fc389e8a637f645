"""Reading: what comes back is what was put in, from every kind of source."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio.v3 as iio
import numpy as np
import PIL.Image
import pytest
from media_files import RED, levels, noise, to_yuv, write_video, yuv420

from dyntex.errors import InputError, UsageError
from dyntex.media import probe, read, read_clip, stills, video

NTSC = Fraction(30000, 1001)


def frames_of(source: str | Path, **options: Any) -> np.ndarray:
    return read_clip(source, **options).to_uint8()


# --- video: frames, rate, windows ------------------------------------------------------------------------------------


def test_lossless_video_is_bit_exact_with_its_exact_rate(tmp_path: Path) -> None:
    frames = noise()
    clip = read_clip(write_video(tmp_path / "a.mkv", frames, fps=NTSC))
    assert np.array_equal(clip.to_uint8(), frames)
    assert clip.fps == NTSC
    assert clip.video.shape == (3, *frames.shape[:3])


def test_window_of_frames(tmp_path: Path) -> None:
    frames = noise(12)
    path = write_video(tmp_path / "a.mkv", frames)
    assert np.array_equal(frames_of(path, start=5, n_frames=3), frames[5:8])
    assert np.array_equal(frames_of(path, start=10, n_frames=99), frames[10:])
    with pytest.raises(InputError, match=r"12 frames.*from frame 12"):
        read_clip(path, start=12)


def test_frames_with_b_frames_come_in_order_of_presentation(tmp_path: Path) -> None:
    frames = levels(40, step=6)
    path = write_video(tmp_path / "a.mp4", frames, codec="libx264", pixels="yuv420p", options={"bf": "3", "crf": "1"})
    found = frames_of(path).mean(axis=(1, 2, 3))
    assert np.abs(found - np.arange(40) * 6).max() < 3  # less than half a step: order and one-to-one


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_far_start_is_sought_to_the_exact_frame(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    n, start = 320, 283  # not a multiple of the key frames' interval
    level = np.random.default_rng(0).integers(0, 16, n) * 16  # so far apart that a lossy codec cannot mix them up
    frames = np.broadcast_to(level.astype(np.uint8)[:, None, None, None], (n, 16, 16, 3))
    path = write_video(
        tmp_path / f"a.{ending}",
        frames,
        codec="libx264",
        pixels="yuv420p",
        options={"crf": "1", "g": "50", "bf": "2", "b_strategy": "0"},  # with B-frames: coded out of order
    )
    decoded = count_decoded(monkeypatch)
    found = frames_of(path, start=start, n_frames=5).mean(axis=(1, 2, 3))
    assert np.abs(found - level[start : start + 5]).max() < 8
    assert len(decoded) < 80  # one group of pictures, not 283 frames


def count_decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts what leaves the decoder, whoever throws it away."""
    seen: list[int] = []
    original = video._until_damage

    def counting(*args: Any) -> Any:
        for frame, failure in original(*args):
            seen.append(1)
            yield frame, failure

    monkeypatch.setattr(video, "_until_damage", counting)
    return seen


def test_only_the_frames_asked_for_are_decoded_and_each_shrinks_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mkv", noise(60))
    decoded = count_decoded(monkeypatch)
    events: list[str] = []
    to_rgb, fit = video.colour.to_rgb, read.fit
    monkeypatch.setattr(video.colour, "to_rgb", lambda *a, **k: events.append("rgb") or to_rgb(*a, **k))
    monkeypatch.setattr(read, "fit", lambda *a, **k: events.append("fit") or fit(*a, **k))
    clip = read_clip(path, size=8, start=2, n_frames=5)
    assert clip.n_frames == 5
    assert len(decoded) == 7
    assert events == ["rgb", "fit"] * 5  # a large frame never waits for another


@pytest.mark.parametrize(
    ("ending", "codec", "options"), [("mkv", "ffv1", {}), ("mp4", "libx264rgb", {"qp": "0", "bf": "2"})]
)
def test_varying_rate_is_resampled_by_presentation_time_and_said(
    tmp_path: Path, ending: str, codec: str, options: dict[str, str]
) -> None:
    times = [0, 1, 2, 4, 5, 8, 9, 10]  # thirtieths of a second
    frames = noise(len(times))
    path = write_video(
        tmp_path / f"a.{ending}",
        frames,
        codec=codec,
        pixels="bgr0" if codec == "ffv1" else "rgb24",
        fps=30,
        times=times,
        time_base=Fraction(1, 30),
        options=options,
    )
    said: list[str] = []
    clip = read_clip(path, notice=said.append)
    shown = [0, 1, 2, 2, 3, 4, 4, 4, 5, 6, 7]  # at each thirtieth, the last frame at or before it
    assert np.array_equal(clip.to_uint8(), frames[shown])
    assert clip.fps == 30
    assert len(said) == 1
    assert "30 per second" in said[0]
    assert np.array_equal(frames_of(path, start=3, n_frames=6), frames[shown[3:9]])
    assert probe(path).n_frames == len(shown)
    assert probe(path).variable_rate


def test_constant_rate_says_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    read_clip(write_video(tmp_path / "a.mkv", noise(), fps=NTSC), notice=said.append)
    assert said == []


@pytest.mark.parametrize(("ending", "codec"), [("h264", "libx264"), ("m1v", "mpeg1video")])
def test_raw_stream_without_times_passes_through(tmp_path: Path, ending: str, codec: str) -> None:
    # It has no times; those that FFmpeg invents for MPEG-1 with B-frames have a hole after the third frame.
    frames = levels(12, step=20)
    path = write_video(tmp_path / f"a.{ending}", frames, codec=codec, pixels="yuv420p", options={"bf": "2"})
    clip = read_clip(path)
    assert (clip.n_frames, clip.fps) == (12, 25)
    assert np.abs(clip.to_uint8().mean(axis=(1, 2, 3)) - np.arange(12) * 20).max() < 10


# --- brightness and colour -------------------------------------------------------------------------------------------


def test_a_dim_clip_stays_dim_and_its_flicker_stays(tmp_path: Path) -> None:
    # Stretching each frame, or the clip, to its extremes would make a frame of two levels 0 and 255.
    frames = np.stack([np.pad(np.full((8, 8, 3), 20 + k, np.uint8), ((4, 4), (4, 4), (0, 0))) for k in range(6)])
    found = frames_of(write_video(tmp_path / "a.mkv", frames))
    assert np.array_equal(found, frames)


def bound(matrix: str, *, full: bool, bits: int = 8) -> float:
    """The largest error that rounding can make of one colour: half a level of Y and of a chroma, seen in RGB, half a
    level of RGB, and one level for swscale's fixed-point arithmetic."""
    most = {"bt601": 1.772, "bt709": 1.8556}[matrix]  # 2 (1 - Kb): blue's share of Cb
    unit = 2 ** (8 - bits)
    step_y, step_c = (1.0, 1.0) if full else (255 / 219, 255 / 224)
    return 0.5 * unit * (step_y + most * step_c) + 0.5 + 1.0


# Full range, H.264 comes out of its decoder as the pixel format yuvj420p, FFV1 as yuv420p with a tag.
@pytest.mark.parametrize(("ending", "codec"), [("mp4", "libx264"), ("mkv", "ffv1")])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
def test_tagged_matrix_and_range_are_honoured(tmp_path: Path, matrix: str, full: bool, ending: str, codec: str) -> None:
    def tag(stream: av.video.stream.VideoStream) -> None:
        stream.codec_context.colorspace = {"bt601": 6, "bt709": 1}[matrix]
        stream.codec_context.color_range = 2 if full else 1

    path = write_video(
        tmp_path / f"a.{ending}",
        [yuv420(RED, matrix=matrix, full=full)],
        codec=codec,
        pixels="yuv420p",
        source="yuv420p",
        options={"qp": "0"} if codec == "libx264" else {},  # lossless: what is tested is the conversion
        prepare=tag,
    )
    found = frames_of(path)[0].reshape(-1, 3).astype(int)
    assert np.abs(found - RED).max() <= bound(matrix, full=full)
    info = probe(path)
    assert info.tagged
    assert info.range == ("full" if full else "limited")


@pytest.mark.parametrize(
    ("matrix", "height", "width"), [("bt601", 48, 64), ("bt601", 576, 720), ("bt709", 720, 1280), ("bt709", 536, 1280)]
)
def test_untagged_matrix_is_guessed_as_players_do(tmp_path: Path, matrix: str, height: int, width: int) -> None:
    picture = yuv420(RED, matrix=matrix, full=False, height=height, width=width)
    path = write_video(
        tmp_path / "a.mp4", [picture], codec="libx264", pixels="yuv420p", source="yuv420p", options={"qp": "0"}
    )
    found = frames_of(path, size=8)[0].reshape(-1, 3).astype(int)
    assert np.abs(found - RED).max() <= bound(matrix, full=False)
    assert not probe(path).tagged


def test_ten_bits_are_read_more_finely_than_eight(tmp_path: Path) -> None:
    def tag(stream: av.video.stream.VideoStream) -> None:
        stream.codec_context.colorspace, stream.codec_context.color_range = 1, 1

    path = write_video(
        tmp_path / "a.mkv",
        [yuv420(RED, matrix="bt709", full=False, bits=10)],
        pixels="yuv420p10le",
        source="yuv420p10le",
        prepare=tag,
    )
    found = frames_of(path)[0].reshape(-1, 3).astype(int)
    assert np.abs(found - RED).max() <= bound("bt709", full=False, bits=10)


def test_grey_video_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = noise()[..., 0]
    path = write_video(tmp_path / "a.mkv", grey, pixels="gray", source="gray")
    assert np.array_equal(frames_of(path), grey[..., None].repeat(3, axis=3))
    assert probe(path).range == "full"


def test_odd_sizes(tmp_path: Path) -> None:
    frames = noise(3, 21, 33)
    assert np.array_equal(frames_of(write_video(tmp_path / "a.mkv", frames)), frames)


# --- rotation, shape of pixels, size ---------------------------------------------------------------------------------


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_applied(tmp_path: Path, degrees: int) -> None:
    frames = noise(2, 20, 28)
    path = write_video(
        tmp_path / "a.mp4",
        frames,
        codec="libx264rgb",
        pixels="rgb24",
        options={"qp": "0"},
        prepare=lambda stream: stream.set_display_rotation(degrees),
    )
    # The display matrix turns the picture counter-clockwise: written out for one corner, not by np.rot90.
    found = frames_of(path)
    corner = {0: (0, 0), 90: (-1, 0), 180: (-1, -1), 270: (0, -1)}[degrees]  # where the top left pixel goes
    assert found.shape[1:3] == ((20, 28) if degrees % 180 == 0 else (28, 20))
    assert np.array_equal(found[:, corner[0], corner[1]], frames[:, 0, 0])
    assert np.array_equal(np.sort(found.ravel()), np.sort(frames.ravel()))
    info = probe(path)
    assert (info.height, info.width, info.rotation) == (*found.shape[1:3], degrees)


def test_crop_is_centred_and_of_the_aspect_asked(tmp_path: Path) -> None:
    frames = np.zeros((1, 20, 40, 3), np.uint8)
    frames[:, :, 10:30] = 200  # exactly the central square
    high = write_video(tmp_path / "high.mkv", np.ascontiguousarray(frames.transpose(0, 2, 1, 3)))
    assert (frames_of(high, size=10) == 200).all()
    path = write_video(tmp_path / "a.mkv", frames)
    assert (frames_of(path, size=10) == 200).all()
    wide = frames_of(path, size=(5, 20))  # 4:1 takes all columns and the central 10 rows
    assert wide.shape == (1, 5, 20, 3)
    assert (wide[0, :, 5:15] == 200).all()
    assert (wide[0, :, :5] == 0).all()


def test_shrinking_averages_areas(tmp_path: Path) -> None:
    stripes = np.zeros((1, 16, 16, 3), np.uint8)
    stripes[:, :, ::4] = 200  # interpolation between two pixels makes 0 of it: they lie between the lit columns
    assert (frames_of(write_video(tmp_path / "a.mkv", stripes), size=4) == 50).all()


def test_enlarging_does_not_move_or_wrap_the_picture(tmp_path: Path) -> None:
    frames = np.zeros((1, 8, 8, 3), np.uint8)
    frames[:, 2:6, 2:6] = 255  # cubic overshoots beside the edge: it must clip, not wrap around
    big = frames_of(write_video(tmp_path / "a.mkv", frames), size=32)[0, ..., 0]
    assert (big[12:20, 12:20] > 250).all()
    assert (big[:6] < 10).all()  # a wrapped undershoot would be near 240; the lobes' own product is a level or two
    assert np.array_equal(big, big[::-1, ::-1])


def test_anamorphic_video_is_cropped_as_it_is_displayed(tmp_path: Path) -> None:
    frames = np.zeros((1, 20, 20, 3), np.uint8)
    frames[:, :, 5:15] = 200  # pixels twice as wide as high: 10 columns look as wide as 20 rows are high

    def stretch(stream: av.video.stream.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = Fraction(2, 1)

    path = write_video(
        tmp_path / "a.mp4", frames, codec="libx264rgb", pixels="rgb24", options={"qp": "0"}, prepare=stretch
    )
    assert (frames_of(path, size=10) == 200).all()
    assert frames_of(path).shape == (1, 20, 20, 3)

    def stretch_and_turn(stream: av.video.stream.VideoStream) -> None:
        stretch(stream)
        stream.set_display_rotation(90)

    turned = write_video(
        tmp_path / "b.mp4", frames, codec="libx264rgb", pixels="rgb24", options={"qp": "0"}, prepare=stretch_and_turn
    )
    assert (frames_of(turned, size=10) == 200).all()


# --- images, animations, folders -------------------------------------------------------------------------------------


def test_one_image_is_a_clip_of_one_frame(tmp_path: Path) -> None:
    frame = noise(1)[0]
    iio.imwrite(tmp_path / "a.png", frame)
    clip = read_clip(tmp_path / "a.png")
    assert np.array_equal(clip.to_uint8(), frame[None])
    assert clip.fps == 25
    assert (probe(tmp_path / "a.png").kind, probe(tmp_path / "a.png").fps) == ("image", None)


def test_content_decides_not_the_ending(tmp_path: Path) -> None:
    iio.imwrite(tmp_path / "a.png", noise(1)[0])
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    assert np.array_equal(frames_of(tmp_path / "a.mp4"), noise(1))


def test_palette_and_grey_images(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = grey[None, ..., None].repeat(3, axis=3)
    PIL.Image.fromarray(grey).save(tmp_path / "grey.png")
    PIL.Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    for name in ("grey", "palette"):
        assert np.array_equal(frames_of(tmp_path / f"{name}.png"), expected), name


def test_photo_on_its_side_is_turned_by_its_exif_tag(tmp_path: Path) -> None:
    frame = noise(1)[0]
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # stored turned: its first row is the right-hand side
    PIL.Image.fromarray(frame).save(tmp_path / "a.png", exif=exif)
    found = frames_of(tmp_path / "a.png")[0]
    assert np.array_equal(found[:, -1], frame[0])
    assert (probe(tmp_path / "a.png").height, probe(tmp_path / "a.png").width) == found.shape[:2]


@pytest.mark.parametrize("ending", ["gif", "webp", "png"])
def test_animation_is_read_at_its_rate(tmp_path: Path, ending: str) -> None:
    frames = levels(5, step=40)  # flat greys: exact even in GIF's palettes
    options: dict[str, Any] = {"webp": {"lossless": True}}.get(ending, {})
    images = [PIL.Image.fromarray(frame) for frame in frames]
    images[0].save(tmp_path / f"a.{ending}", save_all=True, append_images=images[1:], duration=80, **options)
    clip = read_clip(tmp_path / f"a.{ending}")
    assert np.array_equal(clip.to_uint8(), frames)
    assert clip.fps == Fraction(25, 2)
    assert np.array_equal(frames_of(tmp_path / f"a.{ending}", start=1, n_frames=2), frames[1:3])
    assert (probe(tmp_path / f"a.{ending}").kind, probe(tmp_path / f"a.{ending}").n_frames) == ("animation", 5)


def test_animation_of_varying_durations_is_resampled_and_said(tmp_path: Path) -> None:
    images = [PIL.Image.fromarray(frame) for frame in levels(5, step=40)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=[100, 100, 300, 100, 100])
    said: list[str] = []
    clip = read_clip(tmp_path / "a.gif", notice=said.append)
    assert clip.to_uint8()[:, 0, 0, 0].tolist() == [0, 40, 80, 80, 80, 120, 160]
    assert clip.fps == 10
    assert len(said) == 1


def test_gif_that_asks_for_no_delay_gets_what_browsers_give_it(tmp_path: Path) -> None:
    images = [PIL.Image.fromarray(frame) for frame in levels(3, step=40)]
    images[0].save(tmp_path / "a.gif", save_all=True, append_images=images[1:], duration=0)
    assert read_clip(tmp_path / "a.gif").fps == 10


def test_folder_is_read_in_natural_order_whatever_else_it_holds(tmp_path: Path) -> None:
    for name in (10, 2, 1, 100):
        iio.imwrite(tmp_path / f"{name}.png", np.full((8, 8, 3), name, np.uint8))
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / ".3.png").write_bytes(b"what a file manager leaves behind")
    clip = read_clip(tmp_path)
    assert clip.to_uint8()[:, 0, 0, 0].tolist() == [1, 2, 10, 100]
    assert clip.fps == 25
    assert frames_of(tmp_path, start=1, n_frames=2)[:, 0, 0, 0].tolist() == [2, 10]
    assert (probe(tmp_path).kind, probe(tmp_path).n_frames) == ("folder", 4)


def test_natural_order_of_mixed_names() -> None:
    names = ["b1", "a10", "a2", "A1", "a", "2a", "10a", "a2b10", "a2b9"]
    ordered = sorted((Path(name) for name in names), key=stills.natural)
    assert [path.name for path in ordered] == ["2a", "10a", "a", "A1", "a2", "a2b9", "a2b10", "a10", "b1"]


def test_folder_decodes_only_the_frames_asked_for(tmp_path: Path) -> None:
    for k in range(4):
        iio.imwrite(tmp_path / f"{k}.png", np.full((8, 8, 3), k, np.uint8))
    (tmp_path / "3.png").write_bytes(b"damaged")
    assert frames_of(tmp_path, n_frames=3)[:, 0, 0, 0].tolist() == [0, 1, 2]


# --- arrays and examples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["npy", "npz"])
def test_array_of_three_one_and_no_channels(tmp_path: Path, ending: str) -> None:
    frames = noise()
    save = np.save if ending == "npy" else np.savez_compressed
    for name, array in (("rgb", frames), ("grey1", frames[..., :1]), ("grey", frames[..., 0])):
        path = tmp_path / f"{name}.{ending}"
        save(path, np.ascontiguousarray(array))
        expected = frames if name == "rgb" else frames[..., :1].repeat(3, axis=3)
        assert np.array_equal(frames_of(path), expected), name
        assert np.array_equal(frames_of(path, start=2, n_frames=3), expected[2:5]), name
    assert read_clip(tmp_path / f"rgb.{ending}").fps == 25


def test_archive_of_several_arrays_gives_the_one_named_frames(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", mask=noise(seed=1)[..., 0], frames=noise(), scale=np.float32(1))
    assert np.array_equal(frames_of(tmp_path / "a.npz"), noise())


def test_example_is_made_at_the_size_length_and_seed_asked() -> None:
    clip = read_clip("example:ripples?seed=3", size=(12, 16), start=2, n_frames=4)
    assert clip.video.shape == (3, 4, 12, 16)
    longer = read_clip("example:ripples?seed=3", size=(12, 16), n_frames=6)
    assert np.array_equal(clip.to_uint8(), longer.to_uint8()[2:])
    other = read_clip("example:ripples?seed=4", size=(12, 16), start=2, n_frames=4)
    assert not np.array_equal(clip.to_uint8(), other.to_uint8())


# --- the test's own makers -------------------------------------------------------------------------------------------


def test_the_colour_chart_is_what_swscale_makes_of_it_too() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), RED, np.uint8), format="rgb24")
    yuv = frame.reformat(format="yuv444p", dst_colorspace="ITU709", src_color_range="JPEG", dst_color_range="MPEG")
    made = [plane[0, 0] for plane in yuv.to_ndarray()]
    assert np.abs(np.array(made, float) - to_yuv(RED, matrix="bt709", full=False)).max() <= 1


def test_sources_are_paths_or_strings_with_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    buffer = io.BytesIO()
    np.save(buffer, noise())
    (tmp_path / "a.npy").write_bytes(buffer.getvalue())
    assert np.array_equal(frames_of("~/a.npy"), noise())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "0x0"),
        ({"size": (4, -1)}, "4x-1"),
        ({"start": -1}, "-1"),
        ({"n_frames": 0}, "0"),
        ({"n_frames": -3}, "-3"),
    ],
)
def test_senseless_requests_are_usage_errors(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    np.save(tmp_path / "a.npy", noise())
    with pytest.raises(UsageError, match=words):
        read_clip(tmp_path / "a.npy", **options)
