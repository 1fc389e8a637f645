"""The questions: five ways of teaching against closed forms, what judges their samples, and the sweep."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.questions.nets import DIGITS, TEXTURES, Encoder
from benchmarks.questions.rivals import (
    adversarial,
    descriptor_alone,
    generator_alone,
    negative_elbo,
    windows,
)
from dyntex.config import FULL, CoopConfig, DescriptorConfig, GeneratorConfig, Head, Layer
from dyntex.coop import Teaching

SIDE = 4
PIXELS = SIDE * SIDE


def linear(depth: int = 2, **settings: object) -> CoopConfig:
    """f(y) = w.y + b on 4x4 images, and g(z) = W z + c."""
    score = Layer(1, (1, FULL, FULL), padding="valid", activation="none")
    image = Layer(0, (1, SIDE, SIDE), padding="valid", activation="none")
    config = CoopConfig(
        "linear",
        DescriptorConfig((Head((score,)),), ref_std=1.0, init_std=0.001),
        GeneratorConfig((depth, 1, 1), (image,), init_std=0.1),
        size=SIDE,
        n_frames=1,
        min_frames=1,
        window=1,
        n_chains=64,
        n_steps=5,
        step=0.7,
    )
    return replace(config, **settings)  # type: ignore[arg-type]


def upto(n: int) -> Callable[[int], float]:
    return lambda iteration: iteration / n


def weights_of(t: Teaching) -> Tensor:
    """w of the linear descriptor, (H*W,)."""
    images = torch.eye(PIXELS).view(PIXELS, 1, 1, SIDE, SIDE)
    with torch.no_grad():
        return t.des(images, images[:, :0]) - t.des(0 * images, images[:, :0])


def map_of(t: Teaching, depth: int) -> tuple[Tensor, Tensor]:
    """W (H*W, depth) and c (H*W,) of the linear generator."""
    z = torch.cat((torch.zeros(1, depth), torch.eye(depth)))[:, :, None, None, None]
    with torch.no_grad():
        y = t.gen(z, z[:, :0]).flatten(1)
    return (y[1:] - y[0]).T, y[0]


def images(n: int, mean: Tensor, *, rng: torch.Generator) -> Tensor:
    return mean.view(1, 1, 1, SIDE, SIDE) + torch.randn((n, 1, 1, SIDE, SIDE), generator=rng)


def test_windows_are_cut_where_they_say_and_everywhere(rng: torch.Generator):
    y = torch.arange(2 * 7.0).view(2, 1, 7, 1, 1)
    cut, which = windows(y, 3, 400, rng=rng)
    assert cut.shape == (400, 1, 3, 1, 1)
    assert set(which.tolist()) == set(range(2 * 5))
    for window, place in zip(cut.flatten(1).tolist(), which.tolist(), strict=True):
        first = 7 * (place // 5) + place % 5
        assert window == [first, first + 1, first + 2]


def test_the_descriptor_alone_finds_the_mean_of_gaussian_data(rng: torch.Generator):
    # exp(w.y) N(0, I) is N(w, I): the likelihood of data is greatest where w is their mean.
    mean = torch.linspace(-1.0, 1.0, PIXELS)
    y = images(500, mean, rng=rng)
    t = Teaching(linear(lr_des=0.03), y, rng=rng)
    chains = torch.randn((64, 1, 1, SIDE, SIDE), generator=rng)
    found = torch.zeros(PIXELS)
    for i in descriptor_alone(t, y, chains, n=32, rng=rng, progress=upto(200)):
        found += weights_of(t) / 100 if i > 100 else 0.0
    # Adam moves at .03 an iteration; over 100 of them that noise averages to under .15. A lost sign runs away.
    torch.testing.assert_close(found, y.mean((0, 1, 2)).flatten(), atol=0.15, rtol=0.0)
    # The chains have the model's law: variance 1 about a mean that follows the weights.
    assert float(chains.flatten(1).var(0).mean()) == pytest.approx(1.0, abs=0.2)


def test_chains_of_the_descriptor_go_on_where_they_were(rng: torch.Generator):
    y = images(10, torch.zeros(PIXELS), rng=rng)
    t = Teaching(linear(lr_des=0.0, step=1e-3), y, rng=rng)
    chains = 5.0 + torch.randn((20, 1, 1, SIDE, SIDE), generator=rng)
    before = chains.clone()
    next(descriptor_alone(t, y, chains, n=6, rng=rng, progress=upto(1)))
    moved = (chains != before).flatten(1).any(1)
    assert int(moved.sum()) == 6
    # Five steps of .001 keep a chain within .02 of where it was: nothing was drawn afresh, and nothing was swapped.
    assert float((chains - before).abs().max()) < 0.02


def test_the_generator_alone_finds_the_factors_of_gaussian_data(rng: torch.Generator):
    # y = W z + e is probabilistic PCA (Tipping, Bishop 1999): the likelihood is greatest where W W' is the covariance's
    # leading part, U (L - sigma^2) U'.
    sigma, n = 0.7, 200
    factors = 0.35 * torch.randn((PIXELS, 2), generator=rng)
    noise = sigma * torch.randn((n, PIXELS), generator=rng)
    flat = torch.randn((n, 2), generator=rng) @ factors.T + noise + 0.5
    y = flat.view(-1, 1, 1, SIDE, SIDE)
    values, vectors = torch.linalg.eigh(flat.T.cov())
    expected = vectors[:, -2:] * (values[-2:] - sigma**2) @ vectors[:, -2:].T
    # The posterior's precision is 1 + |w|^2 / sigma^2, up to 8: steps of .15 inflate z's
    # conditional variance by 4 % and ten of them forget two thirds of where they began.
    t = Teaching(linear(gen_std=sigma, n_steps_z=10, step_z=0.15, lr_gen=0.02, beta1=0.9), y, rng=rng)
    latents = torch.randn((n, *t.gen.latent_shape(1)), generator=rng)
    found = torch.zeros(PIXELS, PIXELS)
    for i in generator_alone(t, y, latents, rng=rng, progress=upto(220)):
        if i > 120:
            W, _ = map_of(t, 2)
            found += W @ W.T / 100
    # Without the prior on z the norm would run off; another plane of 16 dimensions would be off by more than 1.
    assert float((found - expected).norm() / expected.norm()) < 0.15


@pytest.mark.parametrize("encoder_is_right", [True, False])
def test_the_bound_of_the_vae_is_tight_for_the_posterior_and_only_for_it(rng: torch.Generator, encoder_is_right: bool):
    # One factor w: p(y) = N(c, w w' + sigma^2 I), and the posterior is N(w'(y - c) / (sigma^2 + w'w), sigma^2 / (...)).
    sigma = 0.5
    y0 = torch.randn((1, 1, 1, SIDE, SIDE), generator=rng)
    t = Teaching(linear(1, gen_std=sigma), y0, rng=rng)
    W, c = map_of(t, 1)
    w = W[:, 0]
    precision = 1.0 + float(w @ w) / sigma**2

    def encode(y: Tensor) -> tuple[Tensor, Tensor]:
        mean = (y.flatten(1) - c) @ w / sigma**2 / precision
        mean = mean.view(-1, 1, 1, 1, 1) + (0.0 if encoder_is_right else 0.5)
        return mean, torch.full_like(mean, -math.log(precision))

    n = 20000
    with torch.no_grad():
        found = float(negative_elbo(t.gen, encode, y0.expand(n, -1, -1, -1, -1), gen_std=sigma, rng=rng))
    law = torch.distributions.MultivariateNormal(c, W @ W.T + sigma**2 * torch.eye(PIXELS))
    exact = -float(law.log_prob(y0.flatten())) - 0.5 * PIXELS * math.log(2 * math.pi * sigma**2)
    # The gap is the divergence from the posterior: of means .5 apart, .5^2 precision / 2.
    gap = 0.0 if encoder_is_right else 0.5**2 * precision / 2
    assert found == pytest.approx(exact + gap, abs=0.02)


def test_the_first_step_of_the_gan_goes_the_right_way(rng: torch.Generator):
    # For f = w.y from w = 0, the discriminator descends along mean(fake) - mean(real), and the generator then along -w;
    # Adam's first step is its rate times the sign.
    mean = torch.where(torch.arange(PIXELS) % 3 == 0, 2.0, -2.0)
    y = images(500, mean, rng=rng)
    t = Teaching(linear(lr_des=0.01, lr_gen=0.003), y, rng=rng)
    _, before = map_of(t, 2)
    start = weights_of(t)
    next(adversarial(t, y, rng=rng, progress=upto(1)))
    torch.testing.assert_close(weights_of(t) - start, 0.01 * mean.sign(), atol=1e-4, rtol=0.0)
    _, after = map_of(t, 2)
    # One bias for the only channel: it follows the sum of w, which is negative here.
    assert float((after - before).mean()) == pytest.approx(0.003 * float(weights_of(t).sum().sign()), abs=1e-4)


def test_the_generator_of_the_gan_learns_from_what_is_plainly_fake(rng: torch.Generator):
    # The non-saturating loss has the gradient -s(-f) df/dy, about -w where f is far below 0; log(1 - s(f)) would have
    # s(f), about e^-20, of it.
    y = images(500, torch.full((PIXELS,), 10.0), rng=rng)
    t = Teaching(linear(lr_des=0.0), y, rng=rng)
    with torch.no_grad():
        t.des.heads[0].trunk[0].weight.fill_(0.1)  # type: ignore[index, union-attr]
        t.des.heads[0].trunk[0].bias.fill_(-20.0)  # type: ignore[index, union-attr]
    next(adversarial(t, y, rng=rng, progress=upto(1)))
    bias = next(p for p in t.gen.parameters() if p.shape == (1,))
    assert bias.grad is not None
    assert float(bias.grad) == pytest.approx(-0.1 * PIXELS, rel=1e-3)


@pytest.mark.parametrize("config", [DIGITS, TEXTURES], ids=["digits", "textures"])
def test_the_encoder_gives_a_latent_of_the_generators_shape(config: CoopConfig, rng: torch.Generator):
    y = torch.rand((2, 3, config.window, config.size, config.size), generator=rng)
    t = Teaching(config, y, rng=rng)
    mean, log_var = Encoder(config, (3, config.size, config.size), rng=rng)(y)
    assert mean.shape == log_var.shape == (2, *t.gen.latent_shape(config.window))
