"""The recovery task: masks as the literature has them, numbers in closed form, a page that tells where it fails."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from media_files import noise, write_video

from benchmarks.metrics import ssim
from benchmarks.recovery import RESULTS, Row, masks, measure, page, read_rows, run, shipped_mask
from dyntex.clip import Clip
from dyntex.errors import InputError

SHAPE = (24, 64, 64)
FPS = Fraction(25)


@pytest.fixture(scope="module")
def made() -> dict[str, torch.Tensor]:
    return masks(SHAPE, rng=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("percent", [50, 60, 70])
def test_blocks_are_whole_and_chosen_anew_in_every_frame(percent: int, made: dict[str, torch.Tensor]):
    mask = made[f"blocks-{percent}"]
    blocks = mask.view(24, 8, 8, 8, 8).permute(0, 1, 3, 2, 4).flatten(3)  # (T, row, column, pixels)
    assert torch.equal(blocks.any(3), blocks.all(3))
    assert set(blocks[..., 0].flatten(1).sum(1).tolist()) == {round(percent / 100 * 64)}
    assert len({frame.numpy().tobytes() for frame in mask}) == 24


def test_blocks_have_sixteen_pixels_at_128():
    mask = masks((2, 128, 128), rng=torch.Generator().manual_seed(0))["blocks-50"]
    changes = mask[0].int().diff(dim=0).abs().sum(1).nonzero().flatten() + 1
    assert set((changes % 16).tolist()) == {0}
    assert len(changes) == 7


def test_the_middle_third_is_whole_frames(made: dict[str, torch.Tensor]):
    lost = made["middle-third"].flatten(1)
    assert torch.equal(lost.any(1), lost.all(1))
    assert lost[:, 0].nonzero().flatten().tolist() == list(range(8, 16))


def test_the_square_crosses_the_frame_and_stays_whole(made: dict[str, torch.Tensor]):
    square = made["square"]
    places = []
    for frame in square:
        at = frame.nonzero()
        (top, left), (bottom, right) = at.min(0).values.tolist(), at.max(0).values.tolist()
        assert (bottom - top + 1, right - left + 1) == (20, 20)  # 40 of 128
        assert len(at) == 400
        places.append((top, left))
    tops, lefts = zip(*places, strict=True)
    assert lefts[0] == 0
    assert lefts[-1] == 44
    assert list(lefts) == sorted(lefts)
    assert (min(tops), max(tops)) == (0, 44)


def test_a_shipped_mask_is_cut_at_its_end_and_thinned(tmp_path: Path):
    mask = np.random.default_rng(0).integers(0, 2, (30, 128, 128), dtype=np.uint8)
    np.savez(tmp_path / "m.npz", mask=mask)
    assert np.array_equal(shipped_mask(tmp_path / "m.npz", SHAPE).numpy(), mask[6:, ::2, ::2] == 1)
    for shape in ((31, 64, 64), (24, 60, 64)):
        with pytest.raises(InputError, match=r"m\.npz"):
            shipped_mask(tmp_path / "m.npz", shape)


def test_only_missing_pixels_count_and_the_error_is_of_255():
    true = Clip(torch.zeros(3, 4, 32, 32), FPS)
    missing = torch.zeros(4, 32, 32, dtype=torch.bool)
    missing[1:3, 8:20, 8:24] = True
    video = torch.where(missing, 0.1, 0.9).expand(3, -1, -1, -1).contiguous()
    video[0] *= 2 * missing  # one colour of three is off by 0.2
    error, psnr, _ = measure(Clip(video, FPS), true, missing)
    assert error == pytest.approx(127.5 * 0.4 / 3, rel=1e-6)
    assert psnr == pytest.approx(10 * math.log10(4 / 0.02), rel=1e-6)


def test_ssim_is_that_of_the_metrics_where_all_is_missing():
    """Only windows that lie in the frame count, in both."""
    a, b = (Clip(torch.rand(3, 2, 24, 24, generator=torch.Generator().manual_seed(i)), FPS) for i in range(2))
    missing = torch.ones(2, 24, 24, dtype=torch.bool)
    assert measure(a, b, missing)[2] == pytest.approx(ssim(a, b, data_range=2.0), abs=1e-6)
    exact = measure(a, a, missing)
    assert exact[0] == 0.0
    assert exact[1] == math.inf
    assert exact[2] == pytest.approx(1.0)
    border = torch.zeros_like(missing)
    border[:, :5] = True
    assert math.isnan(measure(a, b, border)[2])


def test_a_run_goes_on_where_it_was_cut_and_hides_what_is_missing(tmp_path: Path):
    clip = write_video(tmp_path / "a.mkv", list(noise(12, 24, 24)))
    out = tmp_path / "out"

    def again(*methods: str) -> list[Row]:
        return run([str(clip)], out, size=24, n_frames=12, methods=methods)

    first = again("interpolate")
    assert len(first) == 5
    text = (out / RESULTS).read_text()
    (out / RESULTS).write_text(text[:-20])  # killed while writing
    rows = again("interpolate", "median")
    assert {(row.mask, row.method) for row in rows} == {
        (row.mask, m) for row in first for m in ("interpolate", "median")
    }
    assert [row.error for row in read_rows(out / RESULTS)] == [row.error for row in rows]
    # Bytes of noise are 255/3 apart on average; interpolating between two independent ones, which averages, less.
    assert all(50 < row.error < 90 for row in rows)


def test_the_page_names_the_best_method_and_every_place_where_the_goal_is_missed():
    def row(clip: str, method: str, error: float) -> Row:
        return Row(clip, "square", method, error, 30.0, 0.9, 1.0)

    rows = [row("sea", "blend", 1.06), row("sea", "interpolate", 1.0), row("fire", "blend", 4.2)]
    rows += [row("fire", "interpolate", 4.0), row("fire", "median", 9.0), row("sea", "median", 9.0)]
    text = page(rows, size=64, n_frames=24, command="c")
    assert "First by error: **interpolate**" in text
    assert "more than 5%: nowhere." in text
    rows[1], rows[3] = row("sea", "interpolate", 1.0), row("fire", "interpolate", 10.0)
    text = page(rows, size=64, n_frames=24, command="c")
    assert "First by error: **blend**" in text
    assert "more than 5%: sea under square, 1.06 times." in text


def test_a_row_is_a_line_of_json(tmp_path: Path):
    row = Row("a", "b", "c", 1.5, math.inf, math.nan, 0.1)
    (tmp_path / "r").write_text(json.dumps(row.__dict__) + "\n")
    assert str(read_rows(tmp_path / "r")) == str([row])
    assert read_rows(tmp_path / "nothing") == []
