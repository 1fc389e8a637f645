"""The state-space generator: at the start it IS the fitted linear system, and that system has the clip's moments."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dyntex.config import StateSpaceConfig
from dyntex.errors import UsageError
from dyntex.state_space import StateSpaceGenerator

T, H, W = 60, 8, 12
CONFIG = StateSpaceConfig(n_states=4, noise=(2, 2, 3), patch=4, width=6, blocks=1)
SIGMAS = 6.0


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clip(n_frames: int = T) -> Tensor:
    """(1, 3, T, H, W): three damped waves over a picture, with a little noise."""
    g = seeded(5)
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    amplitude, frames = torch.zeros(3), []
    for _ in range(n_frames):
        amplitude = 0.8 * amplitude + 0.1 * torch.randn(3, generator=g)
        frames.append(
            sum((a * torch.sin(0.5 * k * x + 0.3 * y) for k, a in enumerate(amplitude, 1)), torch.zeros(H, W))
        )
    grey = torch.stack(frames) + 0.3 * x / W
    tint = torch.tensor([1.0, 0.7, 0.4]).view(3, 1, 1, 1)
    return (tint * grey + 0.02 * torch.randn(3, n_frames, H, W, generator=g))[None]


def made(config: StateSpaceConfig = CONFIG, *, seed: int = 0, condition_channels: int = 0) -> StateSpaceGenerator:
    return StateSpaceGenerator(config, clip(), rng=seeded(seed), condition_channels=condition_channels)


def none(z: Tensor) -> Tensor:
    return z.new_zeros(len(z), 0, z.shape[2], H, W)


def draw(gen: StateSpaceGenerator, n_frames: int, *, batch: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(batch, *gen.latent_shape(n_frames), generator=seeded(seed), dtype=gen.mean.dtype)


def test_at_the_start_the_residual_is_exactly_zero():
    gen = made()
    z = draw(gen, 7, batch=2)
    x = gen.states(z[:, :4, :, 0, 0])
    linear = gen.mean[:, None] + torch.einsum("bnt,nchw->bcthw", x, gen.C)
    assert torch.equal(gen(z, none(z)), linear)


def test_the_linear_part_is_the_truncated_svd_of_the_clip():
    """mean + C C^+ (y - mean) is the best rank-n approximation (Eckart, Young); the oracle is the full SVD."""
    gen = made().double()
    y = clip()[0].transpose(0, 1).reshape(T, -1).double()
    mean = y.mean(0)
    U, s, V = torch.linalg.svd(y - mean, full_matrices=False)
    best = mean + (U[:, :4] * s[:4]) @ V[:4]
    C = gen.C.view(4, -1).T
    projected = mean + (y - mean) @ torch.linalg.pinv(C).T @ C.T
    # The buffers are float32: 1e-5 of values of order one.
    torch.testing.assert_close(gen.mean.view(-1), mean, rtol=0, atol=1e-6)
    torch.testing.assert_close(projected, best, rtol=0, atol=1e-5)
    # States of unit variance: C's columns carry the amplitudes sigma / sqrt(T).
    torch.testing.assert_close(C.norm(dim=0), s[:4] / math.sqrt(T), rtol=1e-5, atol=0)


def test_the_states_have_unit_variance_and_the_law_keeps_it():
    """X X' / T = I on the training clip; P of the law is the moment G0 of match_law, within one end frame of it."""
    gen = made().double()
    P = gen.law.stationary_covariance()
    torch.testing.assert_close(gen.P_sqrt @ gen.P_sqrt.T, P, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gen.P_sqrt, gen.P_sqrt.T, rtol=0, atol=1e-6)
    # G0 averages T-1 frames twice over: it differs from X X'/T = I by half the two end frames, |x|^2 <= ~9 in T = 60.
    assert (P - torch.eye(4)).abs().max() < 2 * 9 / T
    y = clip()[0].transpose(0, 1).reshape(T, -1).double()
    C = gen.C.view(4, -1).T
    X = torch.linalg.pinv(C) @ (y - y.mean(0)).T
    G0 = (X[:, :-1] @ X[:, :-1].T + X[:, 1:] @ X[:, 1:].T) / (2 * (T - 1))
    torch.testing.assert_close(P, G0, rtol=0, atol=2e-5)


def test_states_are_those_of_the_linear_law_driven_by_the_same_noise():
    gen = made().double()
    e = torch.randn(1, 4, 30, generator=seeded(1), dtype=torch.float64)
    x = gen.P_sqrt @ e[0, :, 0]
    expected = [x]
    for t in range(1, 30):
        x = gen.A @ x + gen.B @ e[0, :, t]
        expected.append(x)
    torch.testing.assert_close(gen.states(e)[0].T, torch.stack(expected), rtol=1e-10, atol=1e-10)
    # Going on from a state is the same path cut in two.
    start = gen.states(e)[:, :, 9]
    torch.testing.assert_close(gen.states(e[:, :, 10:], start), gen.states(e)[:, :, 10:], rtol=1e-10, atol=1e-10)


def test_the_latent_law_is_stationary_from_the_first_frame():
    """Mean 0, covariance P at every frame, lag-1 covariance A P: 40,000 independent chains, 6 standard errors each."""
    gen, N = made().double(), 40_000
    law = gen.law
    P = law.stationary_covariance()
    e = torch.randn(N, 4, 6, generator=seeded(2), dtype=torch.float64)
    x = gen.states(e)
    d = P.diagonal()
    bound = SIGMAS * ((torch.outer(d, d) + P * P) / N).sqrt()
    for t in (0, 1, 5):
        assert (x[:, :, t].mean(0).abs() < SIGMAS * (d / N).sqrt()).all()
        assert ((x[:, :, t].T @ x[:, :, t] / N - P).abs() < bound).all()
    lag = x[:, :, 5].T @ x[:, :, 4] / N
    G1 = law.A @ P
    assert ((lag - G1).abs() < SIGMAS * ((torch.outer(d, d) + G1 * G1.T) / N).sqrt()).all()


def test_the_frames_mean_and_covariance_are_the_fitted_ones():
    """C P C' of the pixels; and the clip's mean frame: what a viewer sees at iteration 0."""
    gen, N = made().double(), 4_000
    with torch.no_grad():
        z = draw(gen, 2, batch=N, seed=3)
        y = gen(z, none(z))[:, :, 1].reshape(N, -1)
    C = gen.C.view(4, -1).T
    Q = C @ gen.law.stationary_covariance() @ C.T
    d = Q.diagonal()
    centred = y - gen.mean.view(-1)
    assert (centred.mean(0).abs() < SIGMAS * (d / N).sqrt() + 1e-9).all()
    assert ((centred.T @ centred / N - Q).abs() < SIGMAS * ((torch.outer(d, d) + Q * Q) / N).sqrt() + 1e-9).all()


def test_the_mean_squared_frame_step_is_the_clip_s_projected_one():
    """E|C (x_{t+1} - x_t)|^2 = tr C' C (2 P - A P - P A'): the clip's own wherever no correlation was held."""
    gen = made().double()
    C, A, P = gen.C.view(4, -1).T, gen.A, gen.law.stationary_covariance()
    expected = float(torch.trace(C.T @ C @ (2 * P - A @ P - P @ A.T)))
    y = clip()[0].transpose(0, 1).reshape(T, -1).double()
    steps = (y[1:] - y[:-1]) @ torch.linalg.pinv(C).T @ C.T
    assert expected == pytest.approx(float(steps.square().sum(1).mean()), rel=1e-4)


def test_the_residual_learns_and_hears_states_noise_and_neighbours():
    gen = made().double()
    with torch.no_grad():
        gen.to_pixels.weight.normal_(generator=seeded(4))
    z = draw(gen, 9)
    base = gen(z, none(z)).detach()
    for channel in (0, 4):  # a state's innovation, then the white noise that only the residual sees
        other = z.clone()
        other[:, channel, 5] += 1.0
        change = (gen(other, none(z)) - base).abs().amax(dim=(0, 1, 3, 4))
        assert change[5] > 1e-4
        assert change[4] > 1e-6  # three frames wide: the residual is convolutional in time
        assert change[0] < 1e-12
    # The noise of one patch of the grid moves its own corner most: it was laid out in space and not in channels.
    other = z.clone()
    other[:, 4, 5] += 1.0  # channel 0 of the grid, first row, first column
    change = (gen(other, none(z)) - base)[0, :, 5].abs().sum(0)
    assert change[:4, :4].sum() > change[4:, 8:].sum()


def test_gradients_reach_every_parameter_but_no_buffer():
    gen = made()
    with torch.no_grad():
        gen.to_pixels.weight.normal_(generator=seeded(4))
    z = draw(gen, 5)
    gen(z, none(z)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in gen.parameters())
    names = dict(gen.named_parameters())
    assert not {"mean", "C", "A", "B", "P_sqrt"} & names.keys()


def test_a_clip_of_any_length_and_its_latent():
    gen = made()
    assert gen.latent_shape(11) == (4 + 2 * 2 * 3, 11, 1, 1)
    for n_frames in (1, 2, 100):
        z = draw(gen, n_frames)
        assert gen(z, none(z)).shape == (1, 3, n_frames, H, W)


def test_a_longer_latent_goes_on_where_the_shorter_one_ended():
    gen = made()
    with torch.no_grad():
        gen.to_pixels.weight.normal_(generator=seeded(4))
    z = draw(gen, 20)
    short, long = gen(z[:, :, :12], none(z[:, :, :12])), gen(z, none(z))
    # from_state and each block reach one frame ahead.
    torch.testing.assert_close(long[:, :, :10], short[:, :, :10])


def test_short_clips_have_fewer_states():
    assert StateSpaceGenerator(CONFIG, clip(9), rng=seeded()).n_states == 3
    assert StateSpaceGenerator(CONFIG, clip(2), rng=seeded()).n_states == 1


def test_a_still_clip_stays_still():
    still = clip()[:, :, :1].expand(-1, -1, 30, -1, -1).contiguous()
    gen = StateSpaceGenerator(CONFIG, still, rng=seeded())
    z = draw(gen, 50)
    # The mean of 30 equal numbers may round; the residue is all that moves.
    torch.testing.assert_close(gen(z, none(z)), still[:, :, :1].expand(-1, -1, 50, -1, -1), rtol=0, atol=1e-5)


def test_a_condition_reaches_the_residual():
    gen = made(condition_channels=2)
    with torch.no_grad():
        gen.to_pixels.weight.normal_(generator=seeded(4))
    z = draw(gen, 5)
    cond = torch.ones(1, 2, 5, H, W)
    assert (gen(z, cond) - gen(z, -cond)).abs().max() > 1e-4


def test_a_shape_alone_builds_the_same_tensors():
    """On the meta device, for a checkpoint to fill in."""
    with torch.device("meta"):
        blank = StateSpaceGenerator(CONFIG, torch.empty(1, 3, T, H, W), rng=seeded())
    shapes = {key: value.shape for key, value in made().state_dict().items()}
    assert {key: value.shape for key, value in blank.state_dict().items()} == shapes


def test_frames_that_patches_do_not_tile_are_refused():
    with pytest.raises(UsageError, match="8x12 frames are no multiples of 5 pixels"):
        StateSpaceGenerator(StateSpaceConfig(patch=5), clip(), rng=seeded())


def test_the_seed_decides_the_residual_alone():
    one, two, other = made(), made(), made(seed=1)
    assert torch.equal(one.unfold.weight, two.unfold.weight)
    assert not torch.equal(one.unfold.weight, other.unfold.weight)
    assert torch.equal(one.A, other.A)
