"""HOSVD: exact at full rank, within its error bound below it, and LDS in disguise where space is not compressed."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from dyntex.baselines.hosvd import HOSVD, HOSVDConfig
from dyntex.baselines.lds import LDS, LDSConfig
from dyntex.clip import Clip
from dyntex.errors import UsageError

T, H, W = 18, 6, 9


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def clip() -> Clip:
    video = torch.randn(3, T, H, W, generator=seeded(70)).cumsum(dim=1).cumsum(dim=3)
    return Clip(0.6 * video / video.abs().max() + 0.2, Fraction(25))


def seen(fitted: HOSVD, clip: Clip) -> torch.Tensor:
    """Every frame as the model sees it: an anchored synthesis' first frame."""
    frames = [fitted.synthesize(1, rng=seeded(1), anchor=clip.segment(t, 1)).video for t in range(clip.n_frames)]
    return torch.cat(frames, dim=1)


def singular_values(clip: Clip) -> dict[str, np.ndarray]:
    """Of the centred clip, unfolded along each axis by numpy."""
    D = clip.video.double().numpy()
    D = D - D.mean(axis=1, keepdims=True)
    unfold = lambda axis: np.linalg.svd(np.moveaxis(D, axis, 0).reshape(D.shape[axis], -1), compute_uv=False)  # noqa: E731
    return {"C": unfold(0), "T": unfold(1), "H": unfold(2), "W": unfold(3)}


def test_full_rank_is_exact(clip):
    fitted = HOSVD.fit(clip, HOSVDConfig(r_space=W, r_time=T - 1), rng=seeded(0))
    torch.testing.assert_close(seen(fitted, clip), clip.video, rtol=0, atol=3e-6)  # float32 factors


@pytest.mark.parametrize(("r_time", "r_space", "r_colour"), [(4, 9, 3), (17, 3, 3), (17, 9, 1), (5, 4, 2), (1, 1, 1)])
def test_error_is_within_the_sum_of_what_was_discarded(clip, r_time, r_space, r_colour):
    """De Lathauwer, De Moor, Vandewalle, SIAM J. Matrix Anal. 21(4), 2000, property 10; from below, no mode's own
    discarded energy can be recovered by any tensor of that rank (Eckart-Young)."""
    fitted = HOSVD.fit(clip, HOSVDConfig(r_space, r_time, r_colour), rng=seeded(0))
    error = float((seen(fitted, clip) - clip.video).double().square().sum())
    ranks = {"C": r_colour, "T": r_time, "H": r_space, "W": r_space}
    discarded = [float((s[ranks[mode] :] ** 2).sum()) for mode, s in singular_values(clip).items()]
    assert max(discarded) - 1e-6 <= error <= sum(discarded) + 1e-6


@pytest.mark.parametrize("n", [1, 3, 6])
def test_with_space_and_colour_uncompressed_it_predicts_what_lds_predicts(clip, n):
    tensor = HOSVD.fit(clip, HOSVDConfig(r_space=W, r_time=n), rng=seeded(0))
    matrix = LDS.fit(clip, LDSConfig(n=n), rng=seeded(0))
    torch.testing.assert_close(tensor.predict(clip, 5).video, matrix.predict(clip, 5).video, rtol=0, atol=5e-6)
    # The noise, too, moves pixels alike: its total power over the frame is free of signs and of the states' units.
    to_pixels = torch.einsum("abij,cb,hi,wj->chwa", tensor.core, tensor.U_C, tensor.U_H, tensor.U_W)
    power = (to_pixels.double() @ tensor.law.B).square().sum()
    torch.testing.assert_close(power, matrix.law.B.square().sum(), rtol=1e-4, atol=0)


def test_default_ranks(clip):
    fitted = HOSVD.fit(clip, rng=seeded(0))
    s = singular_values(clip)
    held = {mode: np.cumsum(v**2) / (v**2).sum() for mode, v in s.items()}
    r_T, r_C, r_H, r_W = fitted.core.shape
    assert r_C == 3
    assert r_T == min(T // 3, int((held["T"] < 0.95).sum()) + 1)
    r_space = max(int((held[mode] < 0.99).sum()) + 1 for mode in "HW")
    assert (r_H, r_W) == (min(r_space, H), r_space)
    assert fitted.law.A.shape == (r_T, r_T)


def test_compression_pays_in_parameters(clip):
    fitted = HOSVD.fit(clip, HOSVDConfig(r_space=3, r_time=4, r_colour=2), rng=seeded(0))
    assert fitted.n_parameters == 4 * 4 + 4 * 4 + 4 * 2 * 3 * 3 + 3 * 2 + H * 3 + W * 3 + 3 * H * W


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (HOSVDConfig(r_time=T), "18 temporal components .* between 1 and 17"),
        (HOSVDConfig(r_space=0), "0 rows and columns .* between 1 and 9"),
        (HOSVDConfig(r_space=10), "10 rows and columns"),
        (HOSVDConfig(time_variance=1.5), "time_variance is 1.5; it is a share"),
        (HOSVDConfig(space_variance=-1.0), "space_variance is -1"),
        (HOSVDConfig(r_colour=4), "4 colours .* between 1 and 3"),
    ],
)
def test_impossible_ranks_are_refused(clip, config, words):
    with pytest.raises(UsageError, match=words):
        HOSVD.fit(clip, config, rng=seeded(0))


def test_the_mean_is_not_left_to_the_tensor(clip):
    """One component of time, and a forecast far ahead: what remains is the mean frame, not black."""
    far = HOSVD.fit(clip, HOSVDConfig(r_time=1), rng=seeded(0)).predict(clip, 3000).video[:, -1]
    torch.testing.assert_close(far, clip.video.mean(dim=1), rtol=0, atol=1e-5)
    assert math.isclose(float(far.mean()), float(clip.video.mean()), abs_tol=1e-5)


@pytest.mark.parametrize("n", [1, 4, T])
def test_uncentred_it_is_the_truncated_svd_of_the_frames_themselves(clip, n):
    """Eckart-Young with numpy, space and colour whole: the mean frame is one of the n components, and none besides."""
    fitted = HOSVD.fit(clip, HOSVDConfig(r_space=W, r_time=n, centred=False), rng=seeded(0))
    frames = np.moveaxis(clip.video.double().numpy(), 1, 0).reshape(T, -1)
    U, s, Vh = np.linalg.svd(frames, full_matrices=False)
    expected = (U[:, :n] * s[:n]) @ Vh[:n]
    ours = fitted.reconstruct(clip).video.transpose(0, 1).flatten(1).double()
    torch.testing.assert_close(ours, torch.from_numpy(expected), rtol=0, atol=5e-6)
    assert not fitted.mean.any()


def test_uncentred_the_mean_frame_is_lost_in_the_long_run(clip):
    """Its own motion decays like any other: what remains is mid-grey, where the centred model has the mean frame."""
    fitted = HOSVD.fit(clip, HOSVDConfig(r_time=4, centred=False), rng=seeded(0))
    assert float(fitted.predict(clip, 3000).video[:, -1].abs().max()) < 1e-5
    with pytest.raises(UsageError, match=r"19 temporal components .* between 1 and 18"):
        HOSVD.fit(clip, HOSVDConfig(r_time=T + 1, centred=False), rng=seeded(0))


def test_a_reconstruction_shows_every_frame_as_the_model_sees_it(clip):
    fitted = HOSVD.fit(clip, HOSVDConfig(r_space=4, r_time=5), rng=seeded(0))
    torch.testing.assert_close(fitted.reconstruct(clip).video, seen(fitted, clip), rtol=0, atol=1e-6)
