"""Masks from every source mean the same, and a wrong one is refused by a sentence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import scipy.ndimage
import torch
from media_files import write_video

from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError
from dyntex.inpainting.masks import KEY_TOLERANCE, grown, keyed, read_mask

T, H, W = 5, 12, 16
GREEN = (0, 255, 0)


@pytest.fixture
def clip() -> Clip:
    frames = np.random.default_rng(0).integers(60, 200, (T, H, W, 3), dtype=np.uint8)
    return Clip.from_uint8(frames, Fraction(25))


@pytest.fixture
def moving() -> np.ndarray:
    """A square that moves: every frame's mask is another."""
    mask = np.zeros((T, H, W), bool)
    for t in range(T):
        mask[t, 2:6, 2 * t : 2 * t + 4] = True
    return mask


def as_npz(folder: Path, mask: np.ndarray) -> str:
    np.savez(folder / "m.npz", mask=mask.astype(np.uint8), other=np.zeros((1, 1)))
    return str(folder / "m.npz")


def as_only_array(folder: Path, mask: np.ndarray) -> str:
    np.savez(folder / "m.npz", anything=mask)
    return str(folder / "m.npz")


def as_npy(folder: Path, mask: np.ndarray) -> str:
    np.save(folder / "m.npy", mask.astype(np.int64) * 7)
    return str(folder / "m.npy")


def as_video(folder: Path, mask: np.ndarray) -> str:
    frames = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=3)
    return str(write_video(folder / "m.mkv", list(frames)))


def as_grey_video(folder: Path, mask: np.ndarray) -> str:
    """What a lossy codec makes of black and white: 20 below half and 20 above."""
    frames = np.repeat(np.where(mask[..., None], 148, 108).astype(np.uint8), 3, axis=3)
    return str(write_video(folder / "m.mkv", list(frames)))


def as_folder(folder: Path, mask: np.ndarray) -> str:
    (folder / "m").mkdir()
    for t, frame in enumerate(mask):
        PIL.Image.fromarray(frame.astype(np.uint8) * 255).save(folder / "m" / f"{t}.png")
    return str(folder / "m")


@pytest.mark.parametrize("save", [as_npz, as_only_array, as_npy, as_video, as_grey_video, as_folder])
def test_a_mask_of_every_kind_is_read_as_it_was_saved(save, clip: Clip, moving: np.ndarray, tmp_path: Path):
    missing = read_mask(save(tmp_path, moving), clip)
    assert missing.dtype == torch.bool
    assert np.array_equal(missing.numpy(), moving)


def test_one_picture_is_for_all_frames(clip: Clip, moving: np.ndarray, tmp_path: Path):
    PIL.Image.fromarray(moving[2].astype(np.uint8) * 255).save(tmp_path / "m.png")
    np.save(tmp_path / "m.npy", moving[2])
    for name in ("m.png", "m.npy"):
        missing = read_mask(str(tmp_path / name), clip)
        assert np.array_equal(missing.numpy(), np.broadcast_to(moving[2], moving.shape))


def test_a_colour_key_takes_what_is_within_the_tolerance_in_every_channel():
    off = KEY_TOLERANCE
    pixels = [(0, 255, 0), (off, 255 - off, off), (off + 1, 255, 0), (0, 254 - off, 0), (0, 255, off + 1)]
    frames = np.array(pixels, np.uint8).reshape(1, 1, -1, 3)
    missing = keyed(Clip.from_uint8(frames, Fraction(25)), "#00FF00")
    assert missing.flatten().tolist() == [True, True, False, False, False]


def test_the_key_finds_what_was_painted(clip: Clip, moving: np.ndarray):
    frames = clip.to_uint8()
    frames[moving] = GREEN
    missing = read_mask("#00ff00", Clip.from_uint8(frames, clip.fps))
    assert np.array_equal(missing.numpy(), moving)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_growing_is_dilation_by_a_square_in_each_frame_by_itself(n: int, moving: np.ndarray):
    moving[1] = False
    want = moving if n == 0 else scipy.ndimage.binary_dilation(moving, np.ones((1, 2 * n + 1, 2 * n + 1)))
    assert np.array_equal(grown(torch.from_numpy(moving), n).numpy(), want)


def test_a_mask_cannot_shrink(clip: Clip, moving: np.ndarray, tmp_path: Path):
    with pytest.raises(UsageError, match=r"-2 pixels"):
        read_mask(as_npy(tmp_path, moving), clip, grow=-2)


def wrong(shape: tuple[int, ...], fill: int = 0) -> np.ndarray:
    mask = np.full(shape, fill, np.uint8)
    mask.flat[0] = 1 - fill
    return mask


@pytest.mark.parametrize(
    ("mask", "says"),
    [
        (wrong((T, H, W + 1)), "17x12 pixels and the clip 16x12"),
        (wrong((H + 1, W)), "16x13 pixels"),
        (wrong((T - 1, H, W)), "4 frames and the clip has 5"),
        (wrong((T + 1, H, W)), "more frames and the clip has 5"),
        (np.zeros((T, H, W), np.uint8), "no pixel"),
        (np.ones((T, H, W), np.uint8), "every pixel"),
        (np.zeros((T, H, W, 3), np.uint8), r"\(5, 12, 16, 3\) uint8"),
        (np.zeros((T, H, W), np.float32), "float32"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(mask: np.ndarray, says: str, clip: Clip, tmp_path: Path):
    np.save(tmp_path / "m.npy", mask)
    with pytest.raises(InputError, match=says):
        read_mask(str(tmp_path / "m.npy"), clip)


def test_a_video_that_is_too_long_is_refused(clip: Clip, moving: np.ndarray, tmp_path: Path):
    with pytest.raises(InputError, match="more frames"):
        read_mask(as_video(tmp_path, np.concatenate([moving, moving])), clip)


def test_an_archive_of_several_arrays_needs_one_called_mask(clip: Clip, moving: np.ndarray, tmp_path: Path):
    np.savez(tmp_path / "m.npz", a=moving, b=moving)
    with pytest.raises(InputError, match="a, b: name the array 'mask'"):
        read_mask(str(tmp_path / "m.npz"), clip)


@pytest.mark.parametrize("name", ["m.npz", "m.npy", "m.png", "m.mkv"])
def test_what_cannot_be_read_is_refused(name: str, clip: Clip, tmp_path: Path):
    (tmp_path / name).write_bytes(b"this is no mask")
    with pytest.raises(InputError, match=name):
        read_mask(str(tmp_path / name), clip)
    with pytest.raises(InputError, match=f"no-{name}"):
        read_mask(str(tmp_path / f"no-{name}"), clip)


def test_nothing_is_unpickled(clip: Clip, tmp_path: Path):
    np.save(tmp_path / "m.npy", np.array([object()]), allow_pickle=True)
    with pytest.raises(InputError, match=r"m\.npy"):
        read_mask(str(tmp_path / "m.npy"), clip)


def saved(folder: Path, levels: np.ndarray, mode: str, kind: str) -> str:
    """A mask of one frame as an image of a mode and a kind."""
    path = folder / f"m.{kind}"
    if mode == "I;16":
        PIL.Image.fromarray(levels.astype(np.uint16)).save(path)
    elif mode == "P":
        image = PIL.Image.fromarray(levels.astype(np.uint8), "P")
        image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0])  # objects by colours, of which 0 is none
        image.save(path)
    else:
        PIL.Image.fromarray(levels.astype(np.uint8)).convert(mode).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("mode", "kind", "values"),
    [
        ("L", "png", (0, 1)),
        ("L", "png", (0, 1, 2, 3)),
        ("L", "png", (0, 1, 255)),
        ("L", "tif", (0, 77)),
        ("RGB", "png", (0, 1)),
        ("P", "png", (0, 1, 2, 3)),
        ("P", "gif", (0, 1, 2, 3)),
        ("1", "png", (0, 255)),
        ("I;16", "png", (0, 1)),
        ("I;16", "tif", (0, 5, 65535)),
        ("L", "bmp", (0, 255)),
    ],
)
def test_what_is_not_0_is_marked_in_every_format(
    clip: Clip, tmp_path: Path, mode: str, kind: str, values: tuple[int, ...]
) -> None:
    shape = clip.height, clip.width
    labels = np.random.default_rng(0).choice(values, shape, p=[0.7, *[0.3 / (len(values) - 1)] * (len(values) - 1)])
    missing = read_mask(saved(tmp_path, labels, mode, kind), clip)
    assert np.array_equal(missing[0].numpy(), labels > 0)


def test_a_colour_painted_on_black_is_a_mask(clip: Clip, tmp_path: Path) -> None:
    painted = np.zeros((clip.height, clip.width, 3), np.uint8)
    painted[2:5, 2:5] = (200, 0, 0)  # whose mean is darker than mid-grey
    PIL.Image.fromarray(painted).save(tmp_path / "m.png")
    assert int(read_mask(str(tmp_path / "m.png"), clip)[0].sum()) == 9


def test_grey_with_mid_tones_marks_what_is_bright(clip: Clip, tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, clip.width), (clip.height, clip.width))
    missing = read_mask(saved(tmp_path, ramp, "L", "png"), clip)
    assert np.array_equal(missing[0].numpy(), np.floor(ramp) > 127)


def test_dark_grey_of_many_shades_is_refused_with_the_remedy(clip: Clip, tmp_path: Path) -> None:
    ramp = np.arange(clip.height * clip.width).reshape(clip.height, clip.width) % 100
    with pytest.raises(InputError, match="save it as a black and white PNG"):
        read_mask(saved(tmp_path, ramp, "L", "png"), clip)
