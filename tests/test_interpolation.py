"""Walks between two latents: their ends, their law, and that frames are images of their own."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from dyntex.clip import Clip, concatenate
from dyntex.coopnets.interpolation import interpolate, latent
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import PRESETS, preset
from dyntex.coopnets.stream import CHUNK
from dyntex.errors import UsageError
from dyntex.networks.architecture import FULL, ConvGeneratorConfig, Layer
from dyntex.networks.conv_generator import ConvGenerator

SIDE = 16


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def model() -> CoopNets:
    """The untaught networks of a small image-set, of one condition channel."""
    config = preset("image-set")
    assert isinstance(config.generator, ConvGeneratorConfig)
    (head,) = config.descriptor.heads

    def thin(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        return tuple(replace(layer, channels=min(layer.channels, 4)) for layer in layers)

    # Large weights, so that latents and conditions are seen in what they make.
    small = config.replaced(
        descriptor=replace(config.descriptor, heads=(replace(head, layers=thin(head.layers)),)),
        generator=replace(config.generator, latent=(3, 1, 1), layers=thin(config.generator.layers), init_std=0.5),
        n_chains=2,
        n_steps=1,
        iterations=1,
    )
    clips = [Clip(torch.rand(3, 1, SIDE, SIDE, generator=rng(i)) * 2 - 1, Fraction(25)) for i in range(3)]
    cond = torch.tensor([0.0, 0.5, 1.0]).view(3, 1, 1, 1, 1).expand(3, 1, 1, SIDE, SIDE)
    return CoopNets.fit(clips, small, rng=rng(0), cond=cond)


def volume(*values: float) -> Tensor:
    """A condition of one channel, of one value a frame."""
    return torch.tensor(values).view(1, 1, -1, 1, 1).expand(1, 1, len(values), SIDE, SIDE)


def test_the_ends_are_what_their_seeds_synthesize(model: CoopNets) -> None:
    cond = volume(0.3)
    a, b = (model.synthesize(1, rng=rng(seed), cond=cond, n_steps=0).video for seed in (5, 6))
    ends = latent(model, rng=rng(5)), latent(model, rng=rng(6))
    walk = concatenate(interpolate(model, ends, 7, rng=rng(0), cond=cond, n_steps=0))
    assert (walk.video.shape, walk.fps) == ((3, 7, SIDE, SIDE), model.fps)
    assert not torch.allclose(a, b, atol=0.01)
    # cos(pi/2) is 4e-8 in float32, and sums of other shapes round otherwise.
    torch.testing.assert_close(walk.video[:, :1], a, atol=1e-5, rtol=0)
    torch.testing.assert_close(walk.video[:, -1:], b, atol=1e-5, rtol=0)
    steps = (walk.video[:, 1:] - walk.video[:, :-1]).abs().amax((0, 2, 3))
    assert bool((steps > 0).all())


def test_every_latent_of_a_walk_is_drawn_as_its_ends_are(model: CoopNets) -> None:
    heard: list[Tensor] = []

    class Ear(nn.Module):
        frames_per_latent = 1

        def latents_seen(self, start: int, stop: int) -> tuple[int, int]:
            return start, stop

        def forward(self, z: Tensor, cond: Tensor, *, periodic: object) -> Tensor:
            heard.append(z)
            return z.new_zeros(1, 3, z.shape[2], SIDE, SIDE)

    n = 20_000  # so many numbers have a variance of 1 to within 6 sqrt(2 / n) = 0.06, in 6 sigma
    ends = torch.randn(1, n, 1, 1, 1, generator=rng(1)), torch.randn(1, n, 1, 1, 1, generator=rng(2))
    list(interpolate(replace(model, gen=Ear()), ends, 5, rng=rng(0), cond=volume(0.0), n_steps=0))  # type: ignore[arg-type]
    (z,) = heard
    variance = z.var(1).flatten()
    torch.testing.assert_close(variance, torch.ones(5), atol=6 * math.sqrt(2 / n), rtol=0)
    # Equal angles: each step has the same correlation, cos(pi / 8), with the one before.
    both = (z[:, :, 1:] * z[:, :, :-1]).mean(1).flatten()
    torch.testing.assert_close(both, torch.full((4,), math.cos(math.pi / 8)), atol=6 * math.sqrt(2 / n), rtol=0)


def test_a_long_walk_comes_in_chunks_and_is_the_same(model: CoopNets) -> None:
    ends = latent(model, rng=rng(5)), latent(model, rng=rng(6))
    told = volume(*torch.linspace(0.0, 1.0, CHUNK + 6).tolist())
    chunks = list(interpolate(model, ends, CHUNK + 6, rng=rng(0), cond=told, n_steps=0))
    assert [chunk.n_frames for chunk in chunks] == [CHUNK, 6]
    # Every second frame of it is the walk of half as many steps, if that has the same last angle and conditions.
    n = CHUNK + 5
    whole = concatenate(interpolate(model, ends, n, rng=rng(0), cond=told[:, :, :n], n_steps=0)).video
    half = concatenate(interpolate(model, ends, (n + 1) // 2, rng=rng(0), cond=told[:, :, :n:2], n_steps=0)).video
    torch.testing.assert_close(whole[:, ::2], half, atol=1e-5, rtol=0)


def test_the_condition_is_heard_and_the_chain_revises(model: CoopNets) -> None:
    ends = latent(model, rng=rng(5)), latent(model, rng=rng(6))

    def walk(value: float, n_steps: int | None) -> Tensor:
        return concatenate(interpolate(model, ends, 3, rng=rng(0), cond=volume(value), n_steps=n_steps)).video

    assert not torch.equal(walk(0.0, 0), walk(1.0, 0))
    revised = walk(0.0, None)
    assert torch.equal(revised, walk(0.0, model.config.sampling.n_steps))
    # One step of delta = .002: noise of that deviation, and a drift of about that size.
    moved = (revised - walk(0.0, 0)).square().mean().sqrt()
    assert 0.5 * model.config.sampling.step < float(moved) < 5 * model.config.sampling.step


def test_what_cannot_be_walked(model: CoopNets) -> None:
    ends = latent(model, rng=rng(5)), latent(model, rng=rng(6))
    with pytest.raises(UsageError, match="two ends, and 1 steps"):
        interpolate(model, ends, 1, rng=rng(0), cond=volume(0.0))
    moving = ConvGeneratorConfig((3, 1, 1), (Layer(0, (3, FULL, FULL), padding=(1, 0, 0)),))
    apart = ConvGeneratorConfig((3, 1, 1), (Layer(0, (2, FULL, FULL), (2, 1, 1), padding="valid"),))
    for config in (moving, apart):
        made = replace(model, gen=ConvGenerator(config, (3, 4, SIDE, SIDE), rng=rng(0)))
        with pytest.raises(UsageError, match="preset 'image-set' makes videos"):
            interpolate(made, ends, 2, rng=rng(0), cond=volume(0.0))


@pytest.mark.parametrize("name", PRESETS)
def test_the_presets_of_images_make_images(name: str) -> None:
    config = PRESETS[name]
    if isinstance(config.generator, ConvGeneratorConfig):
        with torch.device("meta"):  # shapes will do: the paper's has 170 million weights
            gen = ConvGenerator(
                config.generator, (3, config.data.n_frames, config.data.size, config.data.size), rng=rng(0)
            )
        assert (gen.latents_seen(0, 1) == (0, 1) and gen.frames_per_latent == 1) is (config.data.n_frames == 1)
