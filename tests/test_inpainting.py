"""Recovery against oracles: numpy for the simple fillings, dense Gaussian conditioning for kriging and the smoother."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import dyntex, tree
from media_files import noise, write_video
from test_bad_input import one_line
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.presets import FAST
from dyntex.errors import InputError, UsageError
from dyntex.inpainting import METHODS, recover
from dyntex.inpainting.blend import N_CLASSES, blend, classes, hide, least_absolute, part_around
from dyntex.inpainting.by_training import cooperate, padded
from dyntex.inpainting.interpolation import NEVER, gaps, interpolate, mean, median, spread
from dyntex.inpainting.kalman import smoothed_states
from dyntex.inpainting.kriging import AXES, Kriging, conditional, conjugate_gradients, covariance_spectrum, krige
from dyntex.inpainting.tiles import OVERLAP, SIDE, in_tiles, spans
from dyntex.media import read_clip
from dyntex.textures.linear import LinearLaw

FPS = Fraction(25)
every_method = pytest.mark.parametrize("method", list(METHODS))


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def holes(*shape: int, share: float = 0.5, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=rng(seed)) < share


def waves(n_frames: int, height: int, width: int, *, speed: float = 1.5, seed: int = 0) -> Tensor:
    """(3, T, H, W): plane waves of random direction that travel, in [-1, 1]."""
    t, i, j = (torch.arange(n, dtype=torch.float32) for n in (n_frames, height, width))
    r = torch.rand(12, 3, generator=rng(seed))
    total = torch.zeros(n_frames, height, width)
    for angle, phase, length in r.tolist():
        k = 2 * np.pi / (6 + 8 * length)
        along = np.cos(6.3 * angle) * i[:, None] + np.sin(6.3 * angle) * j
        total += torch.sin(k * (along - speed * t[:, None, None]) + 6.3 * phase)
    return torch.stack([total * c for c in (0.12, 0.1, 0.07)]).clamp(-1, 1)


# In time.


def test_interpolation_is_numpys_at_every_pixel():
    y, missing = torch.rand(2, 15, 3, 4, generator=rng()), holes(15, 3, 4)
    missing[:, 0, 0] = True
    missing[4, 0, 0] = False  # seen once
    filled = interpolate(torch.where(missing, torch.nan, y), missing)
    t = np.arange(15)
    for c, i, j in itertools.product(range(2), range(3), range(4)):
        known = ~missing[:, i, j].numpy()
        want = np.interp(t, t[known], y[c, known, i, j].numpy())
        np.testing.assert_allclose(filled[c, :, i, j].numpy(), want, atol=1e-6)
    assert torch.equal(filled[:, ~missing], y[:, ~missing])


@pytest.mark.parametrize(("ours", "oracle"), [(mean, np.nanmean), (median, np.nanmedian)])
def test_mean_and_median_are_numpys_of_what_is_seen(ours, oracle):
    y, missing = torch.rand(3, 11, 5, 4, generator=rng()), holes(11, 5, 4)
    hidden = torch.where(missing, torch.nan, y)
    want = oracle(hidden.double().numpy(), axis=1)
    assert int((~missing).sum(0).min()) > 0
    np.testing.assert_allclose(ours(hidden, missing)[:, 3].numpy(), want, atol=1e-6)


def test_gaps_count_frames_to_what_is_seen():
    missing = torch.tensor([1, 1, 0, 1, 1, 1, 0, 0, 1], dtype=torch.bool).view(-1, 1, 1)
    found = gaps(missing)
    assert found.before.flatten().tolist() == [NEVER, NEVER, 0, 1, 2, 3, 0, 0, 1]
    assert found.after.flatten().tolist() == [2, 1, 0, 3, 2, 1, 0, 0, NEVER]


def test_what_is_never_seen_is_spread_from_its_surroundings():
    seen = ~holes(13, 10, share=0.7)
    constant = torch.full((2, 13, 10), 0.3)
    spread_out = spread(torch.where(seen, constant, 9.0), seen)
    torch.testing.assert_close(spread_out, constant)
    values = torch.rand(2, 13, 10, generator=rng())
    filled = spread(values, seen)
    # A weighted mean of the seen values, and those themselves where there are any.
    assert torch.equal(filled[:, seen], values[:, seen])
    assert values[:, seen].min() <= filled.min()
    assert filled.max() <= values[:, seen].max()
    left, right = torch.zeros(1, 16, 16), torch.zeros(16, 16, dtype=torch.bool)
    left[..., 15] = 1.0
    right[:, [0, 15]] = True
    # Nearer to the seen 0 it is darker, nearer to the seen 1 brighter.
    assert (spread(left, right)[0].diff(dim=1) >= 0).all()
    assert torch.equal(spread(values, torch.zeros(13, 10, dtype=torch.bool)), torch.zeros(2, 13, 10))


# Kriging.


def test_conjugate_gradients_solve_what_a_dense_solver_solves():
    R = torch.randn(3, 8, 8, generator=rng(), dtype=torch.float64)
    A = R @ R.mT + 0.5 * torch.eye(8)
    b = torch.randn(3, 8, generator=rng(), dtype=torch.float64)
    diagonal = A.diagonal(dim1=1, dim2=2)
    x = conjugate_gradients(lambda x: (A @ x[..., None])[..., 0], b, precondition=lambda r: r / diagonal, n_steps=30)
    torch.testing.assert_close(x, torch.linalg.solve(A, b))


def small_texture() -> tuple[Tensor, Tensor]:
    """(1, 5, 6, 7) with structure, of variance about 1, zero where unseen; and what is seen."""
    g = waves(5, 6, 7)[:1] * 8
    seen = 1.0 - holes(5, 6, 7, share=0.4).float()
    return g * seen, seen


SMALL = Kriging(reach=4, reach_time=3, least_pairs=3.0, nugget=0.2, n_steps=30)


def dense_law(g: Tensor, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The covariance of all pixels written out, and mean and covariance of all given the seen ones, in float64."""
    size, reach = (8, 10, 12), (3, 4, 4)
    c = torch.fft.irfftn(covariance_spectrum(g, seen, size, reach, SMALL.least_pairs), s=size, dim=AXES)[0].double()
    at = torch.stack(torch.meshgrid(*(torch.arange(n) for n in g.shape[1:]), indexing="ij"), -1).view(-1, 3)
    lag = (at[:, None] - at) % torch.tensor(size)
    K = c[lag[..., 0], lag[..., 1], lag[..., 2]]
    S = seen.flatten() > 0
    gain = torch.linalg.solve(K[S][:, S] + SMALL.nugget * torch.eye(int(S.sum())), K[S]).mT
    return K, gain @ g.flatten()[S].double(), K - gain @ K[S]


def test_kriging_is_the_conditional_mean_of_the_dense_gaussian():
    g, seen = small_texture()
    _, want, _ = dense_law(g, seen)
    got = conditional(g, seen, SMALL, None)
    # Float32 FFTs and thirty steps: 1e-4 of a variance of 1.
    torch.testing.assert_close(got.flatten().double(), want, atol=1e-4, rtol=0)


def test_a_draw_has_the_conditional_mean_and_variance():
    g, seen = small_texture()
    K, want, covariance = dense_law(g, seen)
    n = 100
    draws = torch.stack([conditional(g, seen, SMALL, rng(seed)).flatten() for seed in range(n)]).double()
    variance = covariance.diagonal()
    # Means of n draws within 5.5 standard errors; variances, whose standard error is sqrt(2/n), likewise: 420 tests.
    assert ((draws.mean(0) - want).abs() < 5.5 * (variance / n).sqrt() + 1e-4).all()
    assert ((draws.var(0) / variance - 1).abs() < 5.5 * (2 / n) ** 0.5).all()
    assert variance.mean() < 0.8 * K.diagonal().mean()  # so that the test can tell a draw from an unconditional one


def test_the_covariance_has_its_ridge_at_the_velocity():
    scenery = torch.randn(1, 12, 60, generator=rng())
    moving = torch.stack([scenery[..., 2 * t : 2 * t + 30] for t in range(12)], 1)  # two pixels to the left a frame
    seen = (~holes(12, 12, 30)).float()
    size, reach = (20, 20, 40), (6, 8, 8)
    c = torch.fft.irfftn(covariance_spectrum(moving * seen, seen, size, reach, 1.0), s=size, dim=AXES)[0]
    window = [np.cos(np.pi / 2 * np.array(lag) / np.array(r)) ** 2 for lag, r in (((1, 2), (6, 8)), ((2, 4), (6, 8)))]
    # c is 1 along (t, x) = (1, -2) before it is faded; half of the pixels are missing, which must not halve it. The
    # negative part of the spectrum is cut, which costs some contrast.
    assert c[1, 0, -2] > 0.75 * window[0].prod()
    assert c[2, 0, -4] > 0.75 * window[1].prod()
    for other in ((1, 0, 2), (1, 0, 0), (1, 2, -2), (0, 0, 2)):
        assert c[other].abs() < 0.15
    assert c[0, 0, 0] == pytest.approx(1.0, abs=1e-5)


def test_kriging_follows_motion_that_interpolation_cannot():
    y = waves(16, 24, 24)
    missing = torch.zeros(16, 24, 24, dtype=torch.bool)
    missing[6:9, 8:16, 8:16] = True
    error = {f: (f(y, missing) - y)[:, missing].abs().mean() for f in (krige, interpolate)}
    assert error[krige] < 0.5 * error[interpolate]
    assert torch.equal(krige(y, missing)[:, ~missing], y[:, ~missing])


def test_a_still_clip_is_krigeds_own_mean():
    y = torch.rand(3, 1, 9, 11, generator=rng()).expand(3, 8, 9, 11) * 2 - 1
    missing = holes(8, 9, 11)
    missing[0] = False
    torch.testing.assert_close(krige(y, missing), y.contiguous(), atol=1e-5, rtol=0)


def test_kriging_adds_to_the_trend_that_it_is_given():
    """A trend that is right everywhere leaves nothing to add."""
    y = waves(8, 12, 12)
    torch.testing.assert_close(krige(y, holes(8, 12, 12), trend=y), y, atol=1e-5, rtol=0)


# The smoother.


def test_smoothed_states_are_the_conditional_mean_of_the_dense_gaussian():
    n, T, D, variance = 2, 6, 4, 0.3
    A = torch.tensor([[0.8, -0.4], [0.3, 0.7]], dtype=torch.float64)
    B = torch.tensor([[0.5, 0.0], [0.2, 0.4]], dtype=torch.float64)
    C = torch.randn(D, n, generator=rng())
    start = torch.tensor([[1.0, 0.2], [0.2, 0.5]], dtype=torch.float64)
    frames, seen = torch.randn(T, D, generator=rng(1)), ~holes(T, D)
    seen[2] = False  # a lost frame
    P, covariances = start, [start]
    for _ in range(T - 1):
        P = A @ P @ A.mT + B @ B.mT
        covariances.append(P)
    K = torch.zeros(T * n, T * n, dtype=torch.float64)
    for s, t in itertools.product(range(T), range(T)):
        early, late = min(s, t), max(s, t)
        block = torch.linalg.matrix_power(A, late - early) @ covariances[early]
        K[s * n : s * n + n, t * n : t * n + n] = block if s >= t else block.mT
    H = torch.block_diag(*[C[row].double() for row in seen])
    gain = K @ H.mT @ torch.linalg.inv(H @ K @ H.mT + variance * torch.eye(len(H)))
    want = gain @ frames[seen].double()
    got = smoothed_states(LinearLaw(A, B), C, frames, seen, variance=variance, start=start)
    torch.testing.assert_close(got.flatten(), want)


def test_the_smoother_fills_what_a_few_modes_make():
    t = torch.arange(30.0)
    modes = torch.randn(2, 3, 12, 10, generator=rng())
    y = 0.2 * torch.einsum("mt,mcij->ctij", torch.stack((torch.sin(0.9 * t), torch.cos(0.9 * t))), modes).clamp(-5, 5)
    missing = holes(30, 12, 10)
    missing[12] = True
    error = (METHODS["lds"](y, missing, rng()) - y)[:, missing].abs().mean()
    assert error < 0.5 * (interpolate(y, missing) - y)[:, missing].abs().mean()


# The weights.


def test_the_least_absolute_weights_are_those_of_the_mixture():
    X = torch.randn(4, 3000, generator=rng())
    x = 0.3 * X[1] + 0.7 * X[3]
    even = torch.full((4,), 0.25)
    w = least_absolute(X, x, prior=even, anchor=0.0)
    torch.testing.assert_close(w, torch.tensor([0.0, 0.3, 0.0, 0.7]), atol=2e-3, rtol=0)
    # A tenth of wild values moves a least-squares fit by far more.
    wild = x + 20.0 * (torch.rand(3000, generator=rng(1)) < 0.1) * torch.randn(3000, generator=rng(2)).abs()
    w = least_absolute(X, wild, prior=even, anchor=0.0)
    torch.testing.assert_close(w, torch.tensor([0.0, 0.3, 0.0, 0.7]), atol=2e-2, rtol=0)


def test_the_weights_stay_positive_with_sum_one_and_the_anchor_pulls():
    X = torch.randn(3, 2000, generator=rng())
    x = 1.5 * X[0] - 0.5 * X[1]  # outside
    prior = torch.tensor([0.0, 0.0, 1.0])
    free, held = (least_absolute(X, x, prior=prior, anchor=a) for a in (0.0, 100.0))
    torch.testing.assert_close(free, torch.tensor([1.0, 0.0, 0.0]), atol=1e-2, rtol=0)
    assert held[2] > 0.9
    for w in (free, held):
        assert float(w.sum()) == pytest.approx(1.0, abs=1e-6)
        assert (w >= 0).all()


def masks_of_each_kind() -> dict[str, Tensor]:
    frames = torch.zeros(24, 32, 32, dtype=torch.bool)
    frames[8:16] = True
    square = torch.zeros(24, 32, 32, dtype=torch.bool)
    for t in range(24):
        square[t, t % 20 : t % 20 + 10, 5:15] = True
    return {"frames": frames, "square": square, "pixels": holes(24, 32, 32, share=0.6)}


@pytest.mark.parametrize("kind", list(masks_of_each_kind()))
def test_what_is_hidden_was_seen_and_leaves_something(kind: str):
    missing = masks_of_each_kind()[kind]
    for hidden in hide(missing, rng=rng()):
        assert hidden.any()
        assert not (hidden & missing).any()
        assert not (hidden | missing).all()
        if kind == "frames":
            assert torch.equal(hidden.flatten(1).any(1), hidden.flatten(1).all(1))


def test_weights_are_learnt_around_the_hole():
    missing = torch.zeros(4, 128, 100, dtype=torch.bool)
    missing[:, 110:126, 60:70] = True
    assert part_around(missing) == (slice(64, 128), slice(32, 96))
    missing[:, 20:, 20:] = True
    assert missing[(slice(None), *part_around(missing))].shape == missing.shape


def test_the_blend_of_right_guesses_is_right():
    y = (torch.rand(3, 1, 32, 32, generator=rng()) * 2 - 1).expand(3, 24, 32, 32).contiguous()
    for mask in masks_of_each_kind().values():
        missing = mask.clone()
        missing[5] = False  # every pixel is seen once
        torch.testing.assert_close(blend(y, missing, rng=rng()), y, atol=1e-4, rtol=0)


def test_one_seen_frame_is_enough():
    y, missing = waves(6, 16, 16), torch.ones(6, 16, 16, dtype=torch.bool)
    missing[2] = False
    assert torch.equal(blend(y, missing, rng=rng()), y[:, 2:3].expand_as(y))


def test_of_lost_frames_the_middle_of_every_seen_run_is_hidden():
    some, others, middles = hide(masks_of_each_kind()["frames"], rng=rng())
    assert not (some & others).any()
    assert middles[:, 0, 0].nonzero().flatten().tolist() == [2, 3, 4, 5, 18, 19, 20, 21]


def test_a_gap_whose_ends_agree_is_another_class_than_one_whose_ends_do_not():
    y = torch.zeros(3, 9, 1, 3)
    y[:, 5:, 0, 1] = 1.0
    missing = torch.zeros(9, 1, 3, dtype=torch.bool)
    missing[1:5] = True
    missing[:5, 0, 2] = True
    at = classes(y, missing)
    still, changed, one_sided = (at[3, 0, i] for i in range(3))
    assert changed == still + 2
    assert one_sided == still + 3
    assert at[4, 0, 0] < at[3, 0, 0]  # nearer in time
    assert int(at.max()) < N_CLASSES


def test_the_blend_is_interpolation_where_that_is_exact_and_kriging_where_the_clip_moves():
    steady = torch.linspace(-0.8, 0.8, 24).view(1, -1, 1, 1) * torch.rand(3, 1, 32, 32, generator=rng())
    missing = masks_of_each_kind()["square"]
    missing[[0, -1]] = False
    assert (blend(steady, missing, rng=rng()) - steady)[:, missing].abs().mean() < 0.01
    lively = waves(24, 32, 32, speed=2.5)
    blended = (blend(lively, missing, rng=rng()) - lively)[:, missing].abs().mean()
    assert blended < 0.4 * (interpolate(lively, missing) - lively)[:, missing].abs().mean()


# Tiles.


@pytest.mark.parametrize("n", [5, SIDE, SIDE + 1, 150, 500, 1000])
def test_tiles_cover_an_axis_and_overlap(n: int):
    covered, last = torch.zeros(n), None
    for where, window in spans(n):
        assert 0 <= where.start < where.stop <= n
        assert where.stop - where.start == len(window) <= SIDE
        assert (window > 0).all()
        assert last is None or last - where.start >= OVERLAP - 1
        covered[where] += 1
        last = where.stop
    assert (covered >= 1).all()


def test_tiles_give_the_truth_where_every_tile_does_and_fill_only_holes():
    y = torch.rand(1, 2, 200, 300, generator=rng())
    missing = torch.zeros(2, 200, 300, dtype=torch.bool)
    missing[0, 90:110, 140:160] = True
    visited = []

    def right(part: Tensor, hole: Tensor) -> Tensor:
        visited.append(part.shape)
        return part  # y is the truth, also where it is called missing

    filled = in_tiles(y, missing, right)
    torch.testing.assert_close(filled, y)
    assert torch.equal(filled[:, ~missing], y[:, ~missing])
    n_tiles = len(spans(200)) * len(spans(300))
    assert 0 < len(visited) < n_tiles
    missing[:, :150, :200] = True
    filled = in_tiles(y, missing, right)
    assert filled.isfinite().all()


# The whole.


def damaged_clip(channels: int = 3) -> tuple[Clip, Tensor]:
    video = waves(18, 21, 27).repeat(2, 1, 1, 1)[:channels]
    if channels == 4:
        video = torch.cat((torch.minimum(video[:3], video[3:]), video[3:]))
    missing = holes(18, 21, 27, share=0.3)
    missing[:, 4:9, 5:11] = True  # never seen
    missing[7] = True  # a lost frame
    return Clip(video.contiguous(), FPS), missing


@every_method
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_every_method_keeps_what_is_seen_and_never_looks_at_what_is_not(method: str, channels: int):
    clip, missing = damaged_clip(channels)
    before = clip.video.clone()
    state = torch.get_rng_state()
    whole = recover(clip, missing, rng=rng(), method=method)
    assert torch.equal(whole.video[:, ~missing], clip.video[:, ~missing])
    assert whole.fps == FPS
    assert torch.equal(clip.video, before)
    assert torch.equal(torch.get_rng_state(), state)
    garbage = torch.where(missing, torch.rand(clip.video.shape, generator=rng(5)) * 2 - 1, clip.video)
    again = recover(Clip(garbage, FPS), missing, rng=rng(), method=method)
    assert torch.equal(again.video, whole.video)
    if channels == 4:
        assert (whole.video[:3] <= whole.video[3:])[:, missing].all()


@every_method
def test_every_method_fills_the_shortest_clips(method: str):
    for n_frames in (1, 2):
        clip = Clip(torch.rand(3, n_frames, 16, 16, generator=rng()) * 2 - 1, FPS)
        missing = torch.zeros(n_frames, 16, 16, dtype=torch.bool)
        missing[0, 4:9, 5:8] = True
        assert recover(clip, missing, rng=rng(), method=method).video.shape == clip.video.shape


def test_recover_refuses_what_makes_no_sense():
    clip, missing = damaged_clip()
    with pytest.raises(UsageError, match="'magic'"):
        recover(clip, missing, rng=rng(), method="magic")
    for bad in (missing[:-1], missing.float(), missing[:, :-1]):
        with pytest.raises(InputError, match="give a boolean one"):
            recover(clip, bad, rng=rng())
    for nothing, says in ((torch.zeros_like(missing), "no pixel"), (torch.ones_like(missing), "every pixel")):
        with pytest.raises(InputError, match=says):
            recover(clip, nothing, rng=rng())


def test_telea_leaves_nothing_of_a_constant_frames_hole():
    clip = Clip(torch.full((3, 2, 16, 16), 51 / 127.5 - 1), FPS)
    missing = torch.zeros(2, 16, 16, dtype=torch.bool)
    missing[:, 5:9, 5:9] = True
    whole = recover(Clip(torch.where(missing, 1.0, clip.video), FPS), missing, rng=rng(), method="telea")
    # OpenCV itself is off by two levels of 255 in the middle of a constant frame.
    torch.testing.assert_close(whole.video, clip.video, atol=2.01 / 127.5, rtol=0)


def test_cooperative_training_changes_what_is_missing_and_nothing_else():
    whole, missing = damaged_clip()
    clip, missing = Clip(whole.video[:, :16, :14, :18].contiguous(), FPS), missing[:16, :14, :18]  # no multiples of 8
    config = FAST.replaced(iterations=1)
    first, second = (cooperate(clip, missing, config, rng=rng()) for _ in range(2))
    assert torch.equal(first.video, second.video)
    assert first.video.shape == clip.video.shape
    assert torch.equal(first.video[:, ~missing], clip.video[:, ~missing])
    assert not torch.equal(first.video, recover(clip, missing, rng=rng()).video)
    with pytest.raises(InputError, match="at least"):
        cooperate(clip.segment(0, 8), missing[:8], config, rng=rng())


def test_padding_repeats_the_last_row_and_column():
    y = torch.rand(1, 2, 3, 5, 6, generator=rng())
    p = padded(y, 8)
    assert p.shape == (1, 2, 3, 8, 8)
    assert torch.equal(p[..., :5, :6], y)
    assert torch.equal(p[..., 6, :6], y[..., 4, :])
    assert torch.equal(padded(p, 8), p)


# The command.


@pytest.fixture
def damaged(tmp_path: Path) -> tuple[Path, Path, np.ndarray]:
    missing = np.zeros((18, 24, 24), np.uint8)
    missing[3:6, 4:12, 5:13] = 1
    np.savez(tmp_path / "mask.npz", mask=missing)
    path = write_video(tmp_path / "clip.mkv", list(noise(18, 24, 24)))
    return path, tmp_path / "mask.npz", missing.astype(bool)


def test_the_command_gives_seen_pixels_back_to_the_bit(damaged, tmp_path: Path):
    clip, mask, missing = damaged
    for ending in ("out.mkv", "out.npy", "out"):
        outcome = dyntex("recover", clip, "--mask", mask, "-o", tmp_path / ending, "--json")
        assert outcome.code == 0, outcome.err
        assert outcome.json["method"] == "blend"
        assert outcome.json["preset"] is None
        assert outcome.json["missing"] == pytest.approx(missing.mean(), abs=1e-6)
        assert "lossy" not in outcome.err
        before, after = (read_clip(path).to_uint8() for path in (clip, tmp_path / ending))
        assert np.array_equal(before[~missing], after[~missing])
        assert not np.array_equal(before[missing], after[missing])


def test_the_command_says_where_the_format_is_lossy(damaged, tmp_path: Path):
    clip, mask, _ = damaged
    outcome = dyntex("recover", clip, "--mask", mask, "-o", tmp_path / "o.mp4", "--method", "interpolate")
    assert outcome.code == 0
    assert ".mp4 is lossy" in outcome.err
    assert outcome.out.strip() == str(tmp_path / "o.mp4")


def test_the_command_trains_when_asked(damaged, tmp_path: Path):
    clip, mask, missing = damaged
    words = ("--method", "coop", "--iterations", 1, "-q", "--json")
    outcome = dyntex("recover", clip, "--mask", mask, "-o", tmp_path / "o.npy", *words)
    assert outcome.code == 0, outcome.err
    assert outcome.json["preset"] == "fast"
    assert np.array_equal(np.load(tmp_path / "o.npy")[~missing], read_clip(clip).to_uint8()[~missing])


REFUSED = {
    "no such mask": (("--mask", "nowhere.npz"), 3, "nowhere.npz"),
    "no colour": (("--mask", "#00ff0"), 3, "#00ff0"),
    "a small mask": (("--mask", "small.npy"), 3, "8x8 pixels"),
    "a method that is not": (("--mask", "mask.npz", "--method", "magic"), 2, "magic"),
    "training without training": (("--mask", "mask.npz", "--method", "lds", "--budget", "3"), 2, "--budget"),
    "shrinking": (("--mask", "mask.npz", "--grow", "-1"), 2, "--grow"),
    "no such ending": (("--mask", "mask.npz", "-o", "o.xyz"), 2, ".xyz"),
    "over the mask": (("--mask", "mask.npz", "-o", "mask.npz", "--overwrite"), 2, "mask.npz"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_the_command_refuses_in_one_line_and_leaves_nothing(
    case: str, damaged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    words, code, says = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    np.save("small.npy", np.eye(8, dtype=np.uint8))
    before = tree(tmp_path)
    out = () if "-o" in words else ("-o", "o.mkv")
    one_line(dyntex("recover", "clip.mkv", *words, *out, "-q"), code, says)
    assert tree(tmp_path) == before
