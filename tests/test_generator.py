"""The generator: shapes, lengths, the paper's parameter counts, and what a longer latent gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.coopnets.presets import FC_S_64, FC_S_128, PRESETS, ST_GENERATOR
from dyntex.coopnets.state import networks
from dyntex.errors import UsageError
from dyntex.networks.architecture import ConvGeneratorConfig, Layer, Precision
from dyntex.networks.conv_generator import ConvGenerator
from dyntex.networks.layers import FullFrameConvTranspose

# One frame from one position, as FC_S does, then up-sampling; small enough for tests.
WHOLE = ConvGeneratorConfig(
    (3, 1, 1),
    (
        Layer(6, (3, 1, 1), padding="valid", batch_norm=True),
        Layer(4, (3, 4, 4), (2, 1, 1), padding="valid", extra=(1, 0, 0), batch_norm=True),
        Layer(0, (4, 4, 4), (2, 2, 2), activation="tanh"),
    ),
    init_std=0.0,
)
SPATIAL = ConvGeneratorConfig(
    (3, 4, 4),
    (Layer(6, (4, 4, 4), batch_norm=True), Layer(0, (4, 4, 4), (2, 2, 2), activation="tanh")),
    init_std=0.0,
)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed))


def none(z: Tensor, n_frames: int = 1, side: int = 8) -> Tensor:
    return z.new_zeros(len(z), 0, n_frames, side, side)


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_the_paper_s_networks_have_its_number_of_parameters():
    """73,774,660 and 168,813,059 in paper-fc128, to the last one; on the meta device, where they weigh nothing."""
    sizes = {}
    for name in ("paper-fc64", "paper-fc128", "paper-st"):
        side = PRESETS[name].data.size
        with torch.device("meta"):
            des, gen = networks(PRESETS[name], torch.empty(1, 3, 64, side, side), rng=seeded())
        sizes[name] = (count(des), count(gen))
    assert sizes["paper-fc128"] == (73_774_660, 168_813_059)
    # The same layers worked out by hand: weights + biases, and batch norm's shifts alone.
    first = 5 * 5 * 256 + 256 + 256
    second = 256 * 5 * 32 * 32 * 128 + 128 + 128
    assert sizes["paper-fc64"][1] == first + second + 128 * 125 * 3 + 3
    st = 64 * (5 * 512 + 512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    assert sizes["paper-st"][1] == st + 2 * (512 + 256 + 128 + 64) + 3


@pytest.mark.parametrize(
    ("config", "side", "latent", "frames"),
    [
        # FC_S: n -> n + 4 -> 2 (n + 3) + 5 + 1 -> doubled: 4 n + 24. A latent of 10 makes the paper's 64 frames.
        (FC_S_64, 64, (5, 10, 1, 1), [(1, 28), (10, 64), (11, 68)]),
        (FC_S_128, 128, (5, 10, 1, 1), [(1, 28), (10, 64), (11, 68)]),
        # ST: four doublings.
        (ST_GENERATOR, 64, (5, 4, 4, 4), [(1, 16), (4, 64), (5, 80)]),
    ],
    ids=["FC_S_64", "FC_S_128", "ST"],
)
def test_the_paper_s_latents_and_lengths(
    config: ConvGeneratorConfig, side: int, latent: tuple[int, ...], frames: list[tuple[int, int]]
):
    with torch.device("meta"):
        gen = ConvGenerator(config, (3, 64, side, side), rng=seeded())
        y = gen(torch.empty(2, *latent), torch.empty(2, 0, 64, side, side))
    assert gen.latent_shape(64) == latent
    assert y.shape == (2, 3, 64, side, side)
    assert [(n, gen.n_frames(n)) for n, _ in frames] == frames


@pytest.mark.parametrize("config", [WHOLE, SPATIAL], ids=["whole", "spatial"])
def test_the_latent_is_the_shortest_that_covers_the_frames(config: ConvGeneratorConfig):
    gen = ConvGenerator(config, (3, 16, 8, 8), rng=seeded())
    for n_frames in range(1, 50):
        n = gen.latent_shape(n_frames)[1]
        assert gen.n_frames(n) >= n_frames
        assert n == 1 or gen.n_frames(n - 1) < n_frames
        z = randn(1, *gen.latent_shape(n_frames))
        assert gen(z, none(z)).shape == (1, 3, gen.n_frames(n), 8, 8)


@pytest.mark.parametrize(("config", "per_frame"), [(WHOLE, 4), (SPATIAL, 2)], ids=["whole", "spatial"])
def test_a_longer_latent_goes_on_where_the_shorter_one_ended(config: ConvGeneratorConfig, per_frame: int):
    """In evaluation mode a frame depends on the latents near it alone: both agree until the short one feels its end."""
    gen = ConvGenerator(config, (3, 16, 8, 8), rng=seeded()).double().eval()
    z = randn(1, *gen.latent_shape(60)).double()
    n = z.shape[2]
    short, long = gen(z[:, :, : n - 2], none(z)), gen(z, none(z))
    # z[n-2:] starts to matter at (n-2) * per_frame minus what "same" crops and reaches back, at most 4 latents' worth.
    same = (n - 2) * per_frame - 4 * per_frame
    assert same > 10
    torch.testing.assert_close(long[:, :, :same], short[:, :, :same])
    assert (long[:, :, : short.shape[2]] - short).abs().amax() > 1e-4  # and its end is felt


def test_in_evaluation_a_sample_does_not_depend_on_its_neighbours():
    gen = ConvGenerator(WHOLE, (3, 16, 8, 8), rng=seeded()).double()
    z = randn(3, *gen.latent_shape(16)).double()
    gen(z, none(z))  # moves the running statistics away from where they began
    together = gen.eval()(z, none(z))
    torch.testing.assert_close(together[1:2], gen(z[1:2], none(z[1:2])))
    gen.train()
    assert (gen(z, none(z))[1:2] - together[1:2]).abs().max() > 1e-3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_frozen_generator_makes_the_same_and_takes_no_gradient(precision: Precision):
    """In training too, whose batch statistics move the generator's own running ones."""
    gen = ConvGenerator(WHOLE, (3, 8, 8, 8), rng=seeded(), precision=precision)
    z = randn(2, *gen.latent_shape(8), seed=1).requires_grad_()
    still, probe = gen.frozen(), randn(*gen(z, none(z)).shape, seed=2)
    running = gen.norms[0].running_mean.clone()
    ours, theirs = still(z, none(z)), gen(z, none(z))
    assert torch.equal(ours, theirs)
    mine, other = (torch.autograd.grad((y * probe).sum(), z)[0] for y in (ours, theirs))
    torch.testing.assert_close(mine, other, rtol=0.0, atol=0.0)
    assert not any(p.requires_grad for p in still.parameters())
    assert all(p.requires_grad for p in gen.parameters())
    assert not torch.equal(gen.norms[0].running_mean, running)
    assert still.norms[0].running_mean is gen.norms[0].running_mean
    kept = [p.data_ptr() == q.data_ptr() for p, q in zip(still.parameters(), gen.parameters(), strict=True)]
    assert kept == [precision == "fp32" or p.ndim == 1 for p in gen.parameters()]


def test_the_first_layers_are_torch_s_own_transposed_convolutions():
    """The whole network against conv_transpose3d, batch_norm and tanh written out; the far end's extra row included."""
    gen = ConvGenerator(WHOLE, (2, 16, 8, 8), rng=seeded()).double()
    assert isinstance(gen.layers[0], FullFrameConvTranspose)
    assert isinstance(gen.layers[1], FullFrameConvTranspose)
    z = randn(2, 3, 4, 1, 1).double()
    x: Tensor = z
    for layer, stride, extra in ((gen.layers[0], 1, 0), (gen.layers[1], 2, 1)):
        x = F.conv_transpose3d(x, layer.weight.permute(4, 1, 0, 2, 3), None, stride=(stride, 1, 1))
        x = F.pad(x, (0, 0, 0, 0, 0, extra)) + layer.bias.view(1, -1, 1, 1, 1)
        x = F.relu(
            (x - x.mean((0, 2, 3, 4), keepdim=True)) / (x.var((0, 2, 3, 4), keepdim=True, correction=0) + 1e-3).sqrt()
        )
    last = gen.layers[2]
    x = F.conv_transpose3d(x, last.weight, last.bias, stride=2, padding=1).tanh()
    torch.testing.assert_close(gen(z, none(z)), x)


def test_values_lie_in_the_pixels_range():
    gen = ConvGenerator(WHOLE, (3, 16, 8, 8), rng=seeded())
    with torch.no_grad():
        gen.layers[2].weight.mul_(100.0)
    z = randn(2, *gen.latent_shape(16))
    assert 0.9 < float(gen(z, none(z)).detach().abs().max()) <= 1.0


def test_spatial_latents_make_other_frame_sizes_and_periodic_space():
    gen = ConvGenerator(SPATIAL, (3, 8, 8, 12), rng=seeded()).double().eval()
    assert gen.latent_shape(8) == (3, 4, 4, 6)
    z = randn(1, 3, 4, 4, 6).double()
    space = (False, True, True)
    made = gen(z, none(z), periodic=space)
    assert made.shape == (1, 3, 8, 8, 12)
    torch.testing.assert_close(gen(z.roll((1, 2), (3, 4)), none(z), periodic=space), made.roll((2, 4), (3, 4)))


def test_a_condition_steers_what_is_made():
    gen = ConvGenerator(WHOLE, (3, 16, 8, 8), rng=seeded(), condition_channels=2).double().eval()
    z = randn(1, *gen.latent_shape(16)).double()
    cond = randn(1, 2, 16, 8, 8, seed=1).double()
    assert gen(z, cond).shape == (1, 3, 16, 8, 8)
    assert (gen(z, cond) - gen(z, -cond)).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("config", "side", "words"),
    [
        (WHOLE, 16, r"frames of 8x8 pixels, not 16x16.*another preset"),
        (SPATIAL, 9, r"frames of multiples of 2x2 pixels, not 9x9"),
    ],
)
def test_sizes_that_cannot_be_made_are_refused(config: ConvGeneratorConfig, side: int, words: str):
    with pytest.raises(UsageError, match=words):
        ConvGenerator(config, (3, 16, side, side), rng=seeded())
    with pytest.raises(UsageError, match="not 8x16"):
        ConvGenerator(FC_S_64, (3, 16, 8, 16), rng=seeded())
