"""Contact sheets and side-by-side clips, pixel for pixel."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from media_files import levels, noise

from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.media import sheet, side_by_side
from dyntex.media.sheet import BESIDE_GAP, GAP, ROW_GAP

FPS = Fraction(25)


def clip_of(frames: np.ndarray, fps: Fraction = FPS) -> Clip:
    return Clip.from_uint8(np.ascontiguousarray(frames), fps)


def cells(row: np.ndarray, n: int, width: int) -> np.ndarray:
    """(n, H, width, 3): the frames of a sheet's row, without the gaps."""
    return np.stack([row[:, i * (width + GAP) :][:, :width] for i in range(n)])


def test_sheet_shows_the_original_over_the_synthesis() -> None:
    original, synthesis = noise(8, 10, 12), noise(8, 10, 12, seed=1)
    image = sheet(clip_of(original), clip_of(synthesis))
    assert image.shape == (10 + ROW_GAP + 10, 8 * 12 + 7 * GAP, 3)
    assert image.dtype == np.uint8
    assert np.array_equal(cells(image[:10], 8, 12), original)
    assert np.array_equal(cells(image[-10:], 8, 12), synthesis)


def test_gaps_are_white() -> None:
    image = sheet(clip_of(np.zeros((8, 10, 12, 3), np.uint8)), clip_of(np.zeros((8, 10, 12, 3), np.uint8)))
    assert (image[10 : 10 + ROW_GAP] == 255).all()
    assert (image[:, 12 : 12 + GAP] == 255).all()
    assert (image == 255).sum() == 3 * (ROW_GAP * image.shape[1] + 2 * 10 * 7 * GAP)


def test_frames_are_evenly_spaced_from_the_first_to_the_last() -> None:
    image = sheet(clip_of(levels(71)), clip_of(levels(15)), n_columns=8)
    assert cells(image[:16], 8, 16)[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50, 60, 70]
    assert cells(image[-16:], 8, 16)[:, 0, 0, 0].tolist() == [0, 2, 4, 6, 8, 10, 12, 14]


def test_short_clips_show_each_frame_once() -> None:
    image = sheet(clip_of(levels(3, step=50)), clip_of(levels(1)), n_columns=8)
    assert image.shape[1] == 3 * 16 + 2 * GAP
    assert cells(image[:16], 3, 16)[:, 0, 0, 0].tolist() == [0, 50, 100]
    assert (image[-16:, 16:] == 255).all()


def test_rows_of_other_sizes_and_grey_stand_on_white() -> None:
    grey, large = noise(4, 6, 8)[..., :1], noise(4, 12, 20, seed=1)
    image = sheet(clip_of(grey), clip_of(large), n_columns=4)
    assert image.shape == (6 + ROW_GAP + 12, 4 * 20 + 3 * GAP, 3)
    assert np.array_equal(cells(image[:6], 4, 8), grey.repeat(3, axis=3))
    assert (image[:6, 4 * 8 + 3 * GAP :] == 255).all()


def test_sheet_without_columns() -> None:
    with pytest.raises(UsageError, match="0 columns"):
        sheet(clip_of(noise()), clip_of(noise()), n_columns=0)


def test_side_by_side_repeats_a_short_original() -> None:
    original, synthesis = noise(3, 10, 12), noise(8, 10, 12, seed=1)
    both = side_by_side(clip_of(original), clip_of(synthesis, Fraction(30)))
    assert both.fps == 30
    found = both.to_uint8()
    assert found.shape == (8, 10, 12 + BESIDE_GAP + 12, 3)
    assert np.array_equal(found[:, :, :12], original[[0, 1, 2, 0, 1, 2, 0, 1]])
    assert np.array_equal(found[:, :, -12:], synthesis)
    assert (found[:, :, 12:-12] == 128).all()  # mid-grey


def test_side_by_side_trims_a_long_original_and_centres_a_low_one() -> None:
    original, synthesis = noise(9, 6, 8)[..., :1], noise(4, 10, 12, seed=1)
    found = side_by_side(clip_of(original), clip_of(synthesis)).to_uint8()
    assert found.shape == (4, 10, 8 + BESIDE_GAP + 12, 3)
    assert np.array_equal(found[:, 2:8, :8], original[:4].repeat(3, axis=3))
    assert (found[:, :2, :8] == 128).all()
    assert (found[:, 8:, :8] == 128).all()
