"""KPCR: the kernel centred in an explicit feature space, its linear limit, its noise, its boundedness."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from dyntex.baselines.kpcr import KPCR, KPCRConfig
from dyntex.baselines.lds import LDS, LDSConfig
from dyntex.clip import Clip
from dyntex.errors import UsageError

T = 20


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def clip() -> Clip:
    video = torch.randn(2, T, 5, 4, generator=seeded(80)).cumsum(dim=1)
    return Clip(0.6 * video / video.abs().max() + 0.1, Fraction(25))


def rows(clip: Clip) -> np.ndarray:
    """(T, C*H*W) float64."""
    return clip.video.double().numpy().transpose(1, 0, 2, 3).reshape(clip.n_frames, -1)


def numpy_prediction(train: np.ndarray, y: np.ndarray, q: int, h: float) -> np.ndarray:
    """KPCR with explicit features: a Cholesky factor of the kernel matrix of all frames and ``y`` is a set of feature
    vectors with exactly those inner products, so PCA and regression can be done on them by the textbook."""
    every = np.vstack([train, y])
    K = np.exp(-((every[:, None] - every[None]) ** 2).sum(-1) / h)
    features = np.linalg.cholesky(K + 1e-13 * np.eye(len(K)))
    centred = features - features[:-1].mean(axis=0)
    _, _, components = np.linalg.svd(centred[:-1], full_matrices=False)
    scores = centred @ components[:q].T
    mean = train.mean(axis=0)
    weights = np.linalg.lstsq(scores[:-2], (train - mean)[1:], rcond=None)[0]
    return mean + scores[-1] @ weights


@pytest.mark.parametrize("q", [1, 6, 19])
@pytest.mark.parametrize("h", [0.5, 3.0])
def test_prediction_equals_explicit_features(clip, q, h):
    fitted = KPCR.fit(clip, KPCRConfig(n_components=q, bandwidth=h), rng=seeded(0))
    g = seeded(1)
    for t in (0, 7, T - 1):
        # Near a frame but not on one; within the training frames' span, where the model lives.
        y = rows(clip)[t] + 0.1 * (rows(clip)[3] - rows(clip)[11]) * float(torch.randn(1, generator=g))
        frame = Clip(torch.from_numpy(y).float().view(2, 1, 5, 4).clamp(-1, 1), Fraction(25))
        out = rows(fitted.predict(frame, 1))[0]
        np.testing.assert_allclose(out, numpy_prediction(rows(clip), rows(frame)[0], q, h), atol=1e-5)


def test_default_bandwidth_is_the_median_and_default_size_a_third_of_the_frames(clip):
    fitted = KPCR.fit(clip, rng=seeded(0))
    y = rows(clip)
    distances = sorted(((y[i] - y[j]) ** 2).sum() for i in range(T) for j in range(i))
    # torch takes the lower of the two middle values of an even count.
    assert fitted.bandwidth == pytest.approx(distances[(len(distances) - 1) // 2], rel=1e-5)
    same = KPCR.fit(clip, KPCRConfig(n_components=T // 3, bandwidth=fitted.bandwidth), rng=seeded(0))
    assert torch.equal(same.W, fitted.W)


def test_a_wide_kernel_is_linear_regression_on_principal_components(clip):
    """exp(-d/h) = 1 - d/h + O(h^-2), and a centred matrix of -|a - b|^2 is twice the inner products (classical
    scaling), so in the limit the kernel's components are the principal ones, and in their subspace KPCR predicts as
    LDS does. Squared distances are below 30 here: at h = 1e6 the limit is reached to 3e-5."""
    q = 4
    kernel = KPCR.fit(clip, KPCRConfig(n_components=q, bandwidth=1e6), rng=seeded(0))
    linear = LDS.fit(clip, LDSConfig(n=q), rng=seeded(0))
    assert torch.linalg.eigvals(linear.law.A).abs().max() < 0.99  # so LDS, too, is plain least squares
    frames = [m.predict(clip, 1).video - m.mean[:, None] for m in (kernel, linear)]
    seen = [linear.C.mT @ f.transpose(0, 1).flatten() for f in frames]
    torch.testing.assert_close(seen[0], seen[1], rtol=0, atol=3e-4)
    assert seen[1].abs().max() > 0.1


def test_noise_is_the_regressions_residual(clip):
    fitted = KPCR.fit(clip, KPCRConfig(n_components=5), rng=seeded(0))
    y = rows(clip)
    predicted = [rows(fitted.predict(clip.segment(t, 1), 1))[0] for t in range(T - 1)]
    V = (y[1:] - np.stack(predicted)).T
    noise = (fitted.basis.double() @ fitted.B).numpy()
    np.testing.assert_allclose(noise @ noise.T, V @ V.T / (T - 1), atol=1e-6)
    assert KPCR.fit(clip, KPCRConfig(n_noise=2), rng=seeded(0)).B.shape[1] == 2


def test_each_step_adds_that_noise(clip):
    """E |B e|^2 = tr Q and var |B e|^2 = 2 tr Q^2, so the mean of N has that over N; 6 standard errors."""
    fitted, rng, N = KPCR.fit(clip, KPCRConfig(n_components=5), rng=seeded(0)), seeded(2), 800
    anchor = clip.segment(3, 1)
    runs = np.stack([rows(fitted.synthesize(2, rng=rng, anchor=anchor))[1] for _ in range(N)])
    power = ((runs - rows(fitted.predict(anchor, 1))[0]) ** 2).sum(axis=1).mean()
    Q = fitted.B @ fitted.B.mT
    assert abs(power - float(Q.trace())) < 6 * math.sqrt(2 * float(Q.square().sum()) / N)


def test_burn_in_starts_at_the_mean_frame(clip):
    cold = KPCR.fit(clip, KPCRConfig(burn_in=0), rng=seeded(0)).synthesize(4, rng=seeded(3)).video
    torch.testing.assert_close(cold[:, 0], clip.video.mean(dim=1), rtol=0, atol=1e-6)
    # Burning in 2 frames is throwing the first 2 away.
    warm = KPCR.fit(clip, KPCRConfig(burn_in=2), rng=seeded(0)).synthesize(2, rng=seeded(3)).video
    torch.testing.assert_close(warm, cold[:, 2:], rtol=0, atol=1e-6)


def test_an_exploding_clip_does_not_make_the_synthesis_explode():
    t = torch.arange(40.0)
    wave = torch.sin(torch.arange(12) * 0.5)
    video = (0.005 * 1.12**t * torch.cos(0.7 * t))[:, None, None] * wave
    clip = Clip(video[None].expand(1, 40, 5, 12).contiguous(), Fraction(25))
    largest = float(clip.video.abs().max())
    out = KPCR.fit(clip, rng=seeded(0)).synthesize(3000, rng=seeded(4))
    assert float(out.video.abs().max()) < 3 * largest < 1
    assert float(out.video.std()) > 0.2 * float(clip.video.std())


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (KPCRConfig(n_components=20), r"20 components .* between 1 and 19"),
        (KPCRConfig(bandwidth=-1.0), "bandwidth is -1; it must be positive"),
        (KPCRConfig(bandwidth=float("nan")), "bandwidth is nan"),
        (KPCRConfig(n_noise=20), "20 noise components"),
        (KPCRConfig(burn_in=-1), "burn_in is -1"),
    ],
)
def test_impossible_sizes_are_refused(clip, config, words):
    with pytest.raises(UsageError, match=words):
        KPCR.fit(clip, config, rng=seeded(0))
