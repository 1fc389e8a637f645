"""Inferring z: closed forms of the linear model, and as good a mode as many more steps from nothing find."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from benchmarks.inference import FAR, STEPS, descend, infer, linear_mode, unbend
from dyntex.examples import make
from dyntex.networks.architecture import GaussianTextureConfig
from dyntex.networks.shot_noise import GaussianTextureGenerator

STD = 0.3
"""Not 1, so that a forgotten sigma shows."""


@pytest.fixture(scope="module")
def seen() -> Tensor:
    return make("flame", size=16, n_frames=20).video[None]


@pytest.fixture(scope="module")
def gen(seen: Tensor) -> GaussianTextureGenerator:
    config = replace(
        GaussianTextureConfig(), bursts=0.0, fade=0.5, regions=2, width=8, blocks=1, noise=(1, 2, 2), levels=6
    )
    gen = GaussianTextureGenerator(config, seen, rng=torch.Generator().manual_seed(0))
    with torch.no_grad():  # a residual that is there, as after training
        gen.to_pixels.weight.normal_(0.0, 0.02, generator=torch.Generator().manual_seed(1))
    return gen.eval()


@torch.no_grad()
def energy(gen: nn.Module, z: Tensor, seen: Tensor) -> float:
    made = gen(z, seen.new_zeros(1, 0, seen.shape[2], *seen.shape[3:]))[:, :, : seen.shape[2]]
    return float(0.5 * z.square().sum() + (seen - made).square().sum() / (2 * STD**2))


def test_unbending_undoes_bending(gen: GaussianTextureGenerator):
    g = torch.linspace(-2.0, 2.0, 41).view(1, 1, -1, 1, 1).expand(1, 3, -1, 16, 16)
    bent = gen.bend(g)
    # Where levels coincide many g make one value, so it is the value that must come back. Levels that are closer than
    # 1e-4 are taken to be so far apart; the values they span, five gaps of at most that, are the tolerance.
    torch.testing.assert_close(gen.bend(unbend(gen, bent)), bent, rtol=0, atol=5e-4)
    assert unbend(gen, torch.full_like(bent, 9.0)).max() == FAR


def test_the_linear_mode_is_one_and_its_coordinates_are_round(gen: GaussianTextureGenerator, seen: Tensor):
    some = seen[:, :, :6]
    start, turn = linear_mode(gen, some, gen_std=STD)
    regions = len(gen.regions)
    assert start.shape == (1, *gen.latent_shape(6))
    assert not start[:, regions:].any()
    u, D = unbend(gen, gen.unpaint(some)), (gen.spread / STD)[:, None]

    def linear(z: Tensor) -> Tensor:
        """U of the linear model, by the generator's own stirring."""
        error = D * (u - gen.stir(z[:, :regions, :, 0, 0]))
        return 0.5 * z.double().square().sum() + 0.5 * error.double().square().sum()

    z = start.clone().requires_grad_()
    (slope,) = torch.autograd.grad(linear(z), z)
    at_zero = torch.zeros_like(start).requires_grad_()
    (steep,) = torch.autograd.grad(linear(at_zero), at_zero)
    assert slope.norm() < 1e-4 * steep.norm()  # float32 sums of some thousand terms
    for seed in (0, 1):
        w = torch.randn(start.shape, generator=torch.Generator().manual_seed(seed))
        rise = linear(start + turn(w)) - linear(start)
        assert rise == pytest.approx(0.5 * float(w.square().sum()), rel=1e-3)


def test_a_few_steps_from_the_mode_get_as_far_as_sixty_from_nothing(gen: GaussianTextureGenerator, seen: Tensor):
    for n_seen in (4, 20):
        some = seen[:, :, :n_seen]
        found = infer(gen, some, n_frames=24, gen_std=STD)
        assert found.shape == (1, *gen.latent_shape(24))
        heard = gen.latent_shape(n_seen)[1]
        assert not found[:, :, heard:].any()
        nothing = torch.zeros(1, *gen.latent_shape(n_seen))
        long = descend(gen, some, nothing, lambda w: w, n_frames=n_seen, gen_std=STD, steps=STEPS)
        short, best, worst = (energy(gen, z, some) for z in (found[:, :, :heard], long, nothing))
        # Of what can be explained at all, a fiftieth may be left.
        assert short - best < 0.02 * (worst - best), (n_seen, short, best, worst)


def test_frames_that_sparse_noise_made_are_explained(seen: Tensor):
    """Of frames that z made, z is an explanation; what is found is at least as good, and far better than nothing."""
    config = replace(GaussianTextureConfig(), regions=2, width=8, blocks=1, noise=(1, 2, 2), levels=6)
    gen = GaussianTextureGenerator(config, seen, rng=torch.Generator().manual_seed(0)).eval()
    z = torch.randn((1, *gen.latent_shape(4)), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        made = gen(z, seen.new_zeros(1, 0, 4, 16, 16))
    found = infer(gen, made, n_frames=12, gen_std=STD)
    heard = gen.latent_shape(4)[1]
    assert not found[:, :, heard:].any()
    assert energy(gen, found[:, :, :heard], made) < energy(gen, z, made)
    assert energy(gen, found[:, :, :heard], made) < 0.2 * energy(gen, torch.zeros_like(z), made)


class Linear(nn.Module):
    """y = A z, one frame to each latent: its mode is a ridge regression."""

    def __init__(self) -> None:
        super().__init__()
        self.A = nn.Parameter(torch.randn(3 * 4 * 4, 5, generator=torch.Generator().manual_seed(0)))

    def latent_shape(self, n_frames: int) -> tuple[int, ...]:
        return (5, n_frames, 1, 1)

    def forward(self, z: Tensor, cond: Tensor) -> Tensor:
        return torch.einsum("pd,bdt->bpt", self.A, z[..., 0, 0]).unflatten(1, (3, 4, 4)).movedim(-1, 2)


def test_any_generator_s_mode_is_that_of_its_posterior():
    gen = Linear()
    some = torch.randn(1, 3, 4, 4, 4, generator=torch.Generator().manual_seed(1))
    found = infer(gen, some, n_frames=6, gen_std=STD)  # type: ignore[arg-type]
    A, y = gen.A.detach(), some[0].permute(0, 2, 3, 1).reshape(48, 4)
    ridge = torch.linalg.solve(A.T @ A + STD**2 * torch.eye(5), A.T @ y)
    torch.testing.assert_close(found[0, :, :4, 0, 0], ridge, rtol=1e-3, atol=1e-4)
    assert not found[:, :, 4:].any()  # what the frames do not say is the prior's mode
