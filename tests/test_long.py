"""Videos of any length: chunks that fit together exactly, in constant memory, with a law that does not drift."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from commands import TINY, done, dyntex
from torch import Tensor

from dyntex.baselines import METHODS
from dyntex.baselines.patch_nn import PatchNN, PatchNNConfig
from dyntex.clip import Clip, concatenate
from dyntex.coopnets import stream as streaming
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.observe import no_condition
from dyntex.coopnets.presets import FAST, preset
from dyntex.coopnets.stream import CHUNK, stream
from dyntex.experiment.checks import frames_asked
from dyntex.networks.architecture import (
    FULL,
    ConvGeneratorConfig,
    DescriptorConfig,
    Head,
    Layer,
    ShotNoiseResidualConfig,
)
from dyntex.networks.conv_generator import ConvGenerator
from dyntex.networks.receptive_field import fewest_frames, frames_scored
from dyntex.networks.residual import ShotNoiseResidual
from dyntex.textures.config import ShotNoiseConfig

T, H, W = 12, 8, 12
SIGMAS = 6.0


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clip(n_frames: int = T, *, pole: float = 0.7) -> Clip:
    """Three waves over a gradient whose amplitudes wander as an AR(1) of that pole, always with the same variance."""
    g = seeded(9)
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    waves = torch.stack([torch.sin(0.5 * k * x + 0.4 * y + k) for k in (1, 2, 3)])
    a, frames = 0.17 * torch.randn(3, generator=g), []
    for _ in range(n_frames):
        a = pole * a + 0.17 * math.sqrt(1 - pole**2) * torch.randn(3, generator=g)
        frames.append(torch.einsum("k,khw->hw", a, waves))
    tint = torch.tensor([1.0, 0.8, 0.6]).view(-1, 1, 1, 1)
    video = tint * (torch.stack(frames) + 0.2 * x / W) + 0.02 * torch.randn(3, n_frames, H, W, generator=g)
    return Clip(video.clamp(-1, 1), Fraction(25))


# Strides in time, an even kernel, two ends that step differently, pooling: whatever a descriptor may have along time.
DESCRIPTOR = DescriptorConfig(
    (
        Head((Layer(4, (3, 4, 4), (1, 2, 2), activation="silu"),), pool=(1, 2, 2)),
        Head(
            (Layer(4, (4, 3, 3), (2, 2, 2), activation="silu"),),
            ends=(
                (Layer(2, (2, FULL, FULL), padding="valid", activation="silu"),),
                (Layer(2, (3, 1, 1), (2, 1, 1), activation="silu"),),
            ),
        ),
    ),
    ref_std=0.1, reference="pixel", init_std=0.3,
)  # fmt: skip
TEXTURE = CoopConfig.of(
    "texture", DESCRIPTOR,
    ShotNoiseResidualConfig(
        ShotNoiseConfig(regions=2, levels=4, colours=4), noise=(2, 2, 2), patch=4, width=6, blocks=2
    ),
    min_frames=8, window=8, iterations=1, n_steps=2, step=0.03,
)  # fmt: skip
# Every rule of padding, as in the paper's generators, and an even kernel.
CONVOLUTIONAL = TEXTURE.replaced(
    descriptor=replace(DESCRIPTOR, reference="white"),
    generator=ConvGeneratorConfig(
        (3, 1, 1),
        (
            Layer(6, (5, 1, 1), padding="valid", batch_norm=True),
            Layer(6, (5, 2, 3), (2, 1, 1), padding="valid", extra=(1, 0, 0)),
            Layer(5, (4, 4, 4), (2, 2, 2), activation="leaky_relu"),
            Layer(4, (3, 3, 3), padding=(1, 1, 1)),
            Layer(0, (2, 4, 4), (1, 2, 2), activation="tanh"),
        ),
        init_std=0.3,
    ),
)
CONFIGS = {"gaussian texture": TEXTURE, "convolutional": CONVOLUTIONAL}
both = pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)


@functools.cache
def fitted(config: CoopConfig, n_frames: int = T) -> CoopNets:
    """Hardly taught; but nothing is by chance zero, and the residual of the texture says something."""
    model = CoopNets.fit(clip(n_frames), config, rng=seeded())
    if isinstance(model.gen, ShotNoiseResidual):
        with torch.no_grad():
            model.gen.to_pixels.weight.normal_(0.0, 0.05, generator=seeded(1))
    return model


def streamed(model: CoopNets, n_frames: int, config: CoopConfig | None = None, **more: Any) -> list[Tensor]:
    more.setdefault("cond", torch.zeros(1, 0, 1, *model.shape[2:]))
    chunks = stream(
        model.des, model.gen, config or model.config, n_frames, shape=model.shape, rng=seeded(2), **more
    )  # fmt: skip
    return [y.detach() for y in chunks]


@pytest.fixture
def one_latent(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The latents that a stream draws, in order: end to end along time they are the latent of the whole."""
    drawn: list[Tensor] = []
    draw = streaming._Frames._draw

    def kept(self: streaming._Frames, n: int) -> Tensor:
        drawn.append(draw(self, n))
        return drawn[-1]

    monkeypatch.setattr(streaming._Frames, "_draw", kept)
    return drawn


# --- the generator -----------------------------------------------------------


@both
@pytest.mark.parametrize("n_frames", [CHUNK + 1, 2 * CHUNK + 30])
def test_the_chunks_are_the_frames_of_one_long_pass(config: CoopConfig, n_frames: int, one_latent: list[Tensor]):
    model = fitted(config)
    chunks = streamed(model, n_frames, n_steps=0)
    assert len(chunks) == math.ceil(n_frames / CHUNK)
    z = torch.cat(one_latent, dim=2)
    whole = model.gen(z, z[:, :0]).detach()
    # The same sums in products of other sizes: float32 rounding.
    torch.testing.assert_close(torch.cat(chunks, dim=2), whole[:, :, :n_frames], rtol=0, atol=2e-5)


def test_a_frame_of_the_texture_hears_the_latents_that_it_is_said_to_hear():
    gen = copy.deepcopy(fitted(TEXTURE).gen).double()
    assert isinstance(gen, ShotNoiseResidual)
    z = torch.randn(gen.latent_shape(40), generator=seeded(), dtype=torch.float64)[None].requires_grad_(True)
    y = gen(z, z[:, :0])
    for start, stop in ((2, 3), (20, 21), (20, 30)):
        (heard,) = torch.autograd.grad(y[:, :, start:stop].sum(), z, retain_graph=True)
        at = heard.abs().sum((0, 1, 3, 4)).nonzero().flatten().tolist()
        assert gen.latents_seen(start, stop) == (at[0], at[-1] + 1)


@pytest.mark.parametrize("layers", [CONVOLUTIONAL.generator, preset("paper-fc128").generator])
def test_a_frame_sees_the_latents_that_it_is_said_to_see(layers: ConvGeneratorConfig):
    """By gradients through a net of the same kernels in time, one pixel wide, linear with positive weights."""

    thin = tuple(
        replace(
            layer, channels=min(layer.channels, 1), kernel=(layer.kernel[0], 1, 1), stride=(layer.stride[0], 1, 1),
            padding=layer.padding if isinstance(layer.padding, str) else (layer.padding[0], 0, 0),
            extra=(layer.extra[0], 0, 0), batch_norm=False, activation="none",
        )
        for layer in layers.layers
    )  # fmt: skip
    gen = ConvGenerator(ConvGeneratorConfig((1, 1, 1), thin), (1, 8, 1, 1), rng=seeded())
    for p in gen.parameters():
        p.data.fill_(1.0)
    z = torch.zeros(1, 1, 24, 1, 1, requires_grad=True)
    y = gen(z, z[:, :0]).flatten()
    assert gen.frames_per_latent == layers.frames_per_latent == 4
    for start, stop in ((0, 1), (40, 41), (41, 42), (42, 43), (43, 44), (40, 60), (80, 81)):
        (heard,) = torch.autograd.grad(y[start:stop].sum(), z, retain_graph=True)
        at = heard.flatten().nonzero().flatten().tolist()
        first, past = gen.latents_seen(start, stop)
        assert (max(first, 0), past) == (at[0], at[-1] + 1)


# --- the revision ------------------------------------------------------------


def test_the_reach_of_the_presets_descriptors():
    """By hand: span = 1 + sum (kernel - 1) * step so far."""
    assert frames_scored(FAST.descriptor, 16) == (5, 1)  # 3 then 3; the other end 3 then 2
    assert frames_scored(preset("paper-fc128").descriptor, 64) == (1 + 4 + 4 * 2 + 4 * 4, 8)
    assert frames_scored(preset("paper-st").descriptor, 64) == (15 + 6 * 7 + 1 * 21, 21)
    whole = DescriptorConfig((Head((Layer(4, (3, 4, 4), (2, 2, 2)), Layer(1, (FULL, 1, 1), padding="valid"))),))
    assert frames_scored(whole, 20) == (3 + 9 * 2, 2)
    assert frames_scored(DescriptorConfig((Head((Layer(4, (3, 4, 4)),), pool=(4, 1, 1)),)), 20) == (4 + 2 * 4, 4)
    assert [fewest_frames(d, 20) for d in (whole, FAST.descriptor)] == [20, 1]


def test_the_gradient_at_a_frame_hears_no_farther_than_is_said():
    """By the second derivative, amid a clip: frames that are span - 1 apart meet in a term, farther ones never."""
    des = copy.deepcopy(fitted(TEXTURE).des).double()
    span, stride = frames_scored(DESCRIPTOR, 8)
    assert (span, stride) == (4 + 2 * 2, 4)
    y = torch.randn(1, 3, 48, H, W, generator=seeded(), dtype=torch.float64, requires_grad=True)
    met = set()
    for t in range(20, 20 + stride):
        (gradient,) = torch.autograd.grad(des(y, no_condition(y)).sum(), y, create_graph=True)
        (second,) = torch.autograd.grad(gradient[:, :, t].square().sum(), y)
        met |= {s - t for s in range(48) if second[:, :, s].any()}
    assert (min(met), max(met)) == (1 - span, span - 1)


def stepped(model: CoopNets, y: Tensor) -> Tensor:
    """One step of gradient descent on the whole energy, no noise: what a Langevin step at temperature 0 is."""
    y = y.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(model.energy(y).sum(), y)
    return (y - 0.5 * model.config.sampling.step**2 * model.des.scale**2 * gradient).detach()


@both
def test_a_revised_chunk_is_that_of_the_whole_given_the_frames_before_it(config: CoopConfig, one_latent: list[Tensor]):
    """Without noise, a step revises the frames of a chunk as it would in the whole video in which the frames before
    the chunk are those that were given away: every term of the energy that hears the chunk is there, none is cut."""
    config = config.replaced(temperature=0.0, n_steps=1, step=0.3)
    model = fitted(config)
    n_frames = 3 * CHUNK
    chunks = streamed(model, n_frames)
    z = torch.cat(one_latent, dim=2)
    raw = model.gen(z, z[:, :0]).detach()
    raw = raw[:, :, : n_frames + frames_scored(DESCRIPTOR, 8)[0] - 1]
    for i, chunk in enumerate(chunks):
        start = i * CHUNK
        whole = torch.cat((*chunks[:i], raw[:, :, start:]), dim=2)
        torch.testing.assert_close(chunk, stepped(model, whole)[:, :, start : start + CHUNK], rtol=0, atol=1e-4)
        assert (chunk - whole[:, :, start : start + CHUNK]).abs().max() > 0.01  # a hundred times the tolerance
    # The frames before a chunk matter: revised as if it began the video, its first frame is another.
    alone = stepped(model, raw[:, :, CHUNK:])[:, :, 0]
    assert (alone - chunks[1][:, :, 0]).abs().max() > 1e-3


def test_where_chunks_meet_nothing_shows(monkeypatch: pytest.MonkeyPatch):
    """Squared steps and accelerations across 30 borders, too far apart to hear each other, against all the others.

    Their means differ by less than 6 standard errors of the borders' own. Chunks that did not know of each other would
    be independent clips: a squared step of twice the variance, which is far outside.
    """
    chunk, n_borders = 28, 30
    monkeypatch.setattr(streaming, "CHUNK", chunk)
    config = TEXTURE.replaced(descriptor=replace(DESCRIPTOR, heads=DESCRIPTOR.heads[:1]))
    model = CoopNets.fit(clip(40, pole=0.98), config, rng=seeded())
    video = torch.cat(streamed(model, (n_borders + 1) * chunk, n_steps=3), dim=2)[0]
    steps = video.diff(dim=1).square().mean((0, 2, 3))
    accelerations = video.diff(n=2, dim=1).square().mean((0, 2, 3))
    for moves, across in ((steps, {chunk - 1}), (accelerations, {chunk - 2, chunk - 1})):
        border = torch.tensor([t % chunk in across for t in range(len(moves))])
        error = float(moves[border].std()) / math.sqrt(n_borders)
        assert abs(float(moves[border].mean() - moves[~border].mean())) < SIGMAS * error
    unknown = 2.0 * float(video.var(dim=1).mean())
    assert unknown - float(steps.mean()) > SIGMAS * float(steps[chunk - 1 :: chunk].std()) / math.sqrt(n_borders)


def test_a_descriptor_that_sees_a_whole_window_has_one_to_see():
    """A kernel that spans the time it was taught on: nothing shorter can be scored, and any length can be made."""
    whole = Head(
        (Layer(4, (3, 4, 4), (2, 2, 2)), Layer(2, (FULL, FULL, FULL), padding="valid", activation="none")),
    )
    config = TEXTURE.replaced(descriptor=replace(DESCRIPTOR, heads=(whole,)), min_frames=2, window=0)
    model = fitted(config)
    for n_frames in (1, T, CHUNK + 3):
        assert model.synthesize(n_frames, rng=seeded()).n_frames == n_frames


@both
@pytest.mark.parametrize("n_frames", [8, 40, 3 * CHUNK])
def test_a_loop_has_the_length_asked_for_and_no_place_where_it_begins(
    config: CoopConfig, n_frames: int, one_latent: list[Tensor]
):
    """Frames of a latent that is turned by one are the frames turned by a latent's stride, whatever the padding."""
    model, loop = fitted(config), (True, False, False)
    y = torch.cat(streamed(model, n_frames, n_steps=0, periodic=loop), dim=2)
    assert y.shape[2] == n_frames
    (z,) = [z for z in one_latent if z.shape[2]]
    stride = config.generator.frames_per_latent
    # The texture hears the first n_frames of its latents; the other generator all that there are.
    turned = torch.cat((z[:, :, : n_frames // stride].roll(1, 2), z[:, :, n_frames // stride :]), dim=2)
    expected = model.gen(turned, z[:, :0], periodic=loop).detach()
    torch.testing.assert_close(y.roll(stride, 2), expected, rtol=0, atol=2e-5)


def test_a_loop_comes_in_one_piece():
    loop = fitted(TEXTURE).stream(3 * CHUNK, rng=seeded(), n_steps=0, periodic=(True, False, False))
    assert [chunk.n_frames for chunk in loop] == [3 * CHUNK]
    tile = fitted(TEXTURE).stream(3 * CHUNK, rng=seeded(), n_steps=0, periodic=(False, True, True))
    assert [chunk.n_frames for chunk in tile] == [CHUNK] * 3


# --- constant memory, no drift -----------------------------------------------


@both
def test_the_first_chunk_does_not_wait_for_the_last_and_memory_stays_as_it_is(config: CoopConfig):
    chunks = fitted(config).stream(10**9, rng=seeded(), n_steps=1)
    process, sizes, latents = psutil.Process(), [], []
    for i, chunk in enumerate(chunks):
        assert chunk.n_frames == CHUNK
        sizes.append(process.memory_info().rss)
        latents.append(chunks.gi_frame.f_locals[".0"].gi_frame.f_locals["frames"].z.shape[2])  # type: ignore[attr-defined]
        if i == 20:
            break
    assert max(latents[1:]) == min(latents[1:])
    # A few of the largest temporaries, which the allocator returns when it likes; a graph that is kept is 3 MB a chunk.
    assert max(sizes) - max(sizes[:5]) < 10e6


def parts(video: Iterator[Clip], n_blocks: int, length: int) -> dict[str, Tensor]:
    """Statistics of consecutive blocks of frames, each (n_blocks,): brightness, colour, variance, motion."""
    frames = concatenate(video).video
    assert frames.shape[1] == n_blocks * length
    mean = frames.mean((1, 2, 3), keepdim=True)
    blocks = (frames - mean).unflatten(1, (n_blocks, length))  # (C, blocks, length, H, W)
    return {
        "brightness": blocks.mean((0, 2, 3, 4)),
        "colour": (blocks[0] - blocks[2]).mean((1, 2, 3)),
        "variance": blocks.square().mean((0, 2, 3, 4)),
        "motion": blocks.diff(dim=2).square().mean((0, 2, 3, 4)),
    }


CASES = {
    **{name: (lambda c, m=method: m.fit(c, rng=seeded())) for name, method in METHODS.items() if name != "patch-nn"},
    # As it is by default, in a tenth of the time.
    "patch-nn": lambda c: PatchNN.fit(c, PatchNNConfig(patch=(3, 3, 3), rounds=(1, 1)), rng=seeded()),
    "gaussian texture": lambda _: fitted(TEXTURE.replaced(n_steps=1), 20),
    "convolutional": lambda _: fitted(CONVOLUTIONAL.replaced(n_steps=1), 20),
}


@pytest.mark.parametrize("fit", CASES.values(), ids=CASES)
def test_the_last_tenth_is_as_the_first(fit):
    """Brightness, colour, variance and motion of the last tenth and the first, to 6 standard errors of the difference.

    50 blocks of 60 frames; the clip's pole is 0.7 and the texture's memory is its 20 frames, so that blocks are almost
    independent, and a tenth is the mean of 5 of them: the difference has the variance 2 s^2 / 5. The spread s of blocks
    is that within the tenths, so that a drift cannot hide in the spread that it causes.
    """
    blocks = parts(fit(clip(20)).stream(3000, rng=seeded(3)), 50, 60)
    for name, values in blocks.items():
        tenths = values.view(10, 5)
        spread = float(tenths.var(dim=1).mean().sqrt())
        difference = float(tenths[-1].mean() - tenths[0].mean())
        assert spread > 0.0
        assert abs(difference) < SIGMAS * spread * math.sqrt(2 / 5), name


# --- the command line --------------------------------------------------------


@pytest.mark.parametrize(
    ("fps", "seconds", "n_frames"),
    [
        (Fraction(25), 4.0, 100),
        (Fraction(25), 0.09, 2),
        (Fraction(25), 0.11, 3),
        (Fraction(25), 1e-9, 1),
        (Fraction(30000, 1001), 600.0, 17982),
    ],
)
def test_seconds_are_the_nearest_number_of_frames_but_one_at_least(fps: Fraction, seconds: float, n_frames: int):
    assert frames_asked(None, seconds, fps) == n_frames
    assert frames_asked(7, None, fps) == 7
    assert frames_asked(None, None, fps) is None


def test_a_length_in_seconds_for_the_commands_that_make_video(tmp_path: Path):
    made = tmp_path / "a.npy"
    done("synthesize", "example:flame", "-o", made, *TINY, "--seconds", 0.8, "-q")
    assert np.load(made).shape[0] == 20  # examples have 25 frames a second
    sampled = done("sample", tmp_path / "a.run" / "model", "-o", tmp_path / "b.npy", "--seconds", 4, "--json").json
    assert sampled["frames"] == len(np.load(tmp_path / "b.npy")) == 100
    for wrong in (("--seconds", "0"), ("--seconds", "nan"), ("--seconds", "2", "--frames", "9")):
        refused = dyntex("sample", tmp_path / "a.run" / "model", "-o", tmp_path / "c.npy", *wrong)
        assert refused.code == 2
        assert wrong[1] in refused.err
        assert not (tmp_path / "c.npy").exists()
