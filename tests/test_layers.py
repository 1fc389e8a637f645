"""Layers against torch's own convolutions: outputs and gradients, in float64."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.networks.layers import (
    Conv,
    ConvTranspose,
    FullFrameConv,
    FullFrameConvTranspose,
    Margins,
    ShiftNorm,
    activate,
    fold,
    initialise,
    margins,
    pad,
)
from dyntex.networks.layers.phases import conv_of_phases

# Sums of at most ~2000 products of order 1 in float64: rounding stays below 2000 * 1e-16 * a few.
EXACT = {"rtol": 1e-11, "atol": 1e-11}


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def ready(layer: nn.Module) -> nn.Module:
    """Float64 weights AND biases that are not zero, so that neither can be forgotten."""
    layer = layer.double()
    for i, p in enumerate(layer.parameters()):
        p.data = randn(*p.shape, seed=i + 1)
    return layer


def assert_same(ours: Tensor, theirs: Tensor, leaves: list[tuple[Tensor, Tensor]]):
    """Two computations agree, and so do the gradients of a random projection of them."""
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours, theirs, **EXACT)
    probe = randn(*ours.shape, seed=99)
    mine = torch.autograd.grad((ours * probe).sum(), [a for a, _ in leaves])
    other = torch.autograd.grad((theirs * probe).sum(), [b for _, b in leaves])
    for a, b in zip(mine, other, strict=True):
        torch.testing.assert_close(a.reshape(-1).sort().values, b.reshape(-1).sort().values, **EXACT)


@pytest.mark.parametrize("stride", [1, 2, 3, 6])
@pytest.mark.parametrize("padding", ["valid", "same", (2, 0, 0)])
@pytest.mark.parametrize("n_frames", [8, 9])
def test_full_frame_convolution_is_conv3d(stride: int, padding, n_frames: int):
    layer = ready(FullFrameConv(3, 4, kernel=(5, 6, 7), stride=stride, padding=padding))
    x = randn(2, 3, n_frames, 6, 7).requires_grad_()
    # The layer keeps its taps by residue: weight[i] is the convolution's tap order[i].
    places = [layer.order.index(k) for k in range(5)]
    weight = layer.weight.detach()[places].permute(1, 4, 0, 2, 3).contiguous().requires_grad_()
    bias, x2 = layer.bias.detach().clone().requires_grad_(), x.detach().clone().requires_grad_()
    before, after = margins((5, 1, 1), (stride, 1, 1), padding)[0]
    theirs = F.conv3d(F.pad(x2, (0, 0, 0, 0, before, after)), weight, bias, stride=(stride, 1, 1))
    ours = layer(x)
    assert_same(ours, theirs, [(x, x2), (layer.bias, bias)])
    probe = randn(*ours.shape, seed=5)
    (mine,) = torch.autograd.grad((layer(x) * probe).sum(), layer.weight)
    theirs = F.conv3d(F.pad(x2, (0, 0, 0, 0, before, after)), weight, bias, stride=(stride, 1, 1))
    (other,) = torch.autograd.grad((theirs * probe).sum(), weight)
    torch.testing.assert_close(mine[places].permute(1, 4, 0, 2, 3), other, **EXACT)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(("padding", "extra"), [("valid", 0), ("valid", 1), ("same", 0), ((1, 0, 0), 2)])
def test_full_frame_transposed_convolution_is_conv_transpose3d(stride: int, padding, extra: int):
    layer = ready(FullFrameConvTranspose(3, 4, kernel=(5, 6, 7), stride=stride, padding=padding, extra=extra))
    x = randn(2, 3, 4, 1, 1).requires_grad_()
    weight = layer.weight.detach().permute(4, 1, 0, 2, 3).contiguous().requires_grad_()
    bias, x2 = layer.bias.detach().clone().requires_grad_(), x.detach().clone().requires_grad_()

    def reference() -> Tensor:
        y = F.conv_transpose3d(x2, weight, None, stride=(stride, 1, 1))
        before, after = margins((5, 1, 1), (stride, 1, 1), padding)[0]
        y = F.pad(y[:, :, before : y.shape[2] - after], (0, 0, 0, 0, 0, extra))
        return y + bias.view(1, -1, 1, 1, 1)

    ours = layer(x)
    assert_same(ours, reference(), [(x, x2), (layer.bias, bias)])
    probe = randn(*ours.shape, seed=5)
    (mine,) = torch.autograd.grad((layer(x) * probe).sum(), layer.weight)
    (other,) = torch.autograd.grad((reference() * probe).sum(), weight)
    torch.testing.assert_close(mine.permute(4, 1, 0, 2, 3), other, **EXACT)


@pytest.mark.parametrize("channels", [3, 9], ids=["few", "many"])
@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 1, 3), (4, 1, 1)])
def test_convolution_is_conv3d_with_the_same_symmetric_padding(stride: tuple[int, int, int], channels: int):
    """Few input channels and many are computed in two ways."""
    layer = ready(Conv(channels, 4, kernel=(3, 5, 3), stride=stride, padding=(1, 2, 0)))
    x = randn(2, channels, 6, 7, 8).requires_grad_()
    theirs = F.conv3d(x, layer.weight, layer.bias, stride=stride, padding=(1, 2, 0))
    assert_same(layer(x), theirs, [(x, x), (layer.weight, layer.weight), (layer.bias, layer.bias)])


@pytest.mark.parametrize("periodic", [(False, False, False), (True, True, True), (True, False, True)])
@pytest.mark.parametrize("padding", ["same", "valid", (1, 2, 0)])
@pytest.mark.parametrize(
    ("kernel", "stride", "sides"),
    [((5, 5, 5), (2, 2, 2), (8, 9, 11)), ((2, 3, 7), (3, 2, 4), (7, 8, 15)), ((1, 4, 2), (2, 2, 2), (5, 6, 9))],
    ids=["the paper's", "stride beyond the kernel", "even"],
)
def test_a_convolution_of_phases_is_conv3d(kernel, stride, sides, padding, periodic):
    """Sides that are no whole strides, kernels that leave positions of a stride out, and wrapped axes."""
    x, bias = randn(2, 3, *sides).requires_grad_(), randn(4, seed=2).requires_grad_()
    weight = randn(4, 3, *kernel, seed=1).requires_grad_()
    by = margins(kernel, stride, padding)
    ours = conv_of_phases(x, weight, bias, stride=stride, margins=by, periodic=periodic)
    theirs = F.conv3d(pad(x, by, periodic), weight, bias, stride=stride)
    torch.testing.assert_close(ours, theirs, **EXACT)
    probe = randn(*ours.shape, seed=99)
    for a, b in zip(*(torch.autograd.grad((y * probe).sum(), (x, weight, bias)) for y in (ours, theirs)), strict=True):
        torch.testing.assert_close(a, b, **EXACT)


def test_a_convolution_in_bf16_is_the_one_in_float32_but_for_rounding():
    """Few channels and strides take the phases then. 375 products of rounded factors, one rounded sum: 2^-8 of it."""
    layer = Conv(3, 4, kernel=(5, 5, 5), stride=(2, 2, 2))
    initialise(layer, 0.0, seeded())
    x = torch.randn(1, 3, 8, 8, 8, generator=seeded(1))
    exact = layer.double()(x.double()).float()
    rounded = layer.float()(x.bfloat16())
    assert rounded.dtype == torch.bfloat16
    assert float((rounded.detach().float() - exact.detach()).norm() / exact.detach().norm()) < 2.0**-7


@pytest.mark.parametrize("channels_out", [4, 9], ids=["few", "many"])
@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 1, 3), (3, 2, 1), (4, 1, 1)])
@pytest.mark.parametrize("crop", [0, 1])
def test_transposed_convolution_is_conv_transpose3d(stride: tuple[int, int, int], crop: int, channels_out: int):
    """Few output channels and many go two ways; a stride beyond the kernel leaves frames that no input meets."""
    layer = ready(
        ConvTranspose(3, channels_out, kernel=(3, 5, 3), stride=stride, padding=(crop, 2, 0), extra=(1, 0, 2))
    )
    x = randn(2, 3, 3, 4, 5).requires_grad_()
    theirs = F.conv_transpose3d(x, layer.weight, None, stride=stride, padding=(crop, 2, 0))
    theirs = F.pad(theirs, (0, 2, 0, 0, 0, 1)) + layer.bias.view(1, -1, 1, 1, 1)
    assert_same(layer(x), theirs, [(x, x), (layer.weight, layer.weight), (layer.bias, layer.bias)])


@pytest.mark.parametrize(
    ("kernel", "stride", "ends"),
    [(5, 2, (1, 2)), (4, 1, (1, 2)), (3, 1, (1, 1)), (4, 2, (1, 1)), (2, 1, (0, 1)), (1, 1, (0, 0)), (15, 7, (4, 4))],
)
def test_same_puts_the_larger_half_at_the_far_end(kernel: int, stride: int, ends: tuple[int, int]):
    """TensorFlow's convention, worked out by hand: kernel - stride positions in all, the odd one at the end."""
    assert margins((kernel, 1, 1), (stride, 1, 1), "same") == (ends, (0, 0), (0, 0))


@pytest.mark.parametrize("make", [Conv, ConvTranspose])
def test_same_and_its_transpose_divide_and_multiply_by_the_stride(make: type[nn.Module]):
    layer = ready(make(2, 3, kernel=(5, 4, 3), stride=(2, 2, 1)))
    x = randn(1, 2, 6, 8, 5)
    expected = (3, 4, 5) if make is Conv else (12, 16, 5)
    assert layer(x).shape == (1, 3, *expected)
    assert layer(x, (True, True, True)).shape == (1, 3, *expected)


@pytest.mark.parametrize("periodic", [(False, False, False), (True, False, False), (False, True, True)])
@pytest.mark.parametrize("channels", [2, 9], ids=["few", "many"])
def test_a_transposed_convolution_is_the_adjoint_of_the_convolution(periodic: tuple[bool, bool, bool], channels: int):
    """<conv x, y> = <x, convT y> with shared weights and no bias, on open and on periodic axes."""
    conv = ready(Conv(channels, 3, kernel=(5, 4, 3), stride=(2, 2, 1)))
    transposed = ConvTranspose(3, channels, kernel=(5, 4, 3), stride=(2, 2, 1)).double()
    transposed.weight.data = conv.weight.data
    conv.bias.data.zero_()
    x, y = randn(2, channels, 6, 8, 5), randn(2, 3, 3, 4, 5, seed=1)
    torch.testing.assert_close((conv(x, periodic) * y).sum(), (x * transposed(y, periodic)).sum(), **EXACT)


@pytest.mark.parametrize("by", [((1, 2), (0, 3), (2, 0)), ((7, 9), (0, 0), (5, 11))])
@pytest.mark.parametrize("periodic", [(False, False, False), (True, False, True), (True, True, True)])
def test_fold_is_the_adjoint_of_pad(by: Margins, periodic: tuple[bool, bool, bool]):
    """Also where the margins are longer than the period: a kernel may wrap around more than once."""
    x = randn(2, 2, 4, 3, 5)
    padded = pad(x, by, periodic)
    assert padded.shape[2:] == tuple(n + sum(pair) for n, pair in zip((4, 3, 5), by, strict=True))
    y = randn(*padded.shape, seed=1)
    torch.testing.assert_close((padded * y).sum(), (x * fold(y, by, (4, 3, 5), periodic)).sum(), **EXACT)


def test_pad_wraps_periodic_axes_and_zeros_the_others():
    x = torch.arange(1.0, 5.0).view(1, 1, 4, 1, 1)
    by: Margins = ((1, 2), (0, 0), (0, 0))
    assert pad(x, by).flatten().tolist() == [0, 1, 2, 3, 4, 0, 0]
    assert pad(x, by, (True, False, False)).flatten().tolist() == [4, 1, 2, 3, 4, 1, 2]
    assert pad(x, by, (False, True, True)).flatten().tolist() == [0, 1, 2, 3, 4, 0, 0]


@pytest.mark.parametrize("channels", [2, 9], ids=["few", "many"])
@pytest.mark.parametrize("make", [Conv, ConvTranspose])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_periodic_axis_is_one_period_of_an_endless_repetition(make: type[nn.Module], axis: int, channels: int):
    """Three copies end to end, open: the middle third feels no end, so it is what the periodic layer gives."""
    layer = ready(make(channels, channels, kernel=(5, 5, 5), stride=(2, 2, 2)))
    x = randn(1, channels, 6, 6, 6)
    periodic = tuple(i == axis for i in range(3))
    once = layer(x, periodic)
    thrice = layer(torch.cat((x, x, x), dim=axis + 2))
    n = once.shape[axis + 2]
    torch.testing.assert_close(once, thrice.narrow(axis + 2, n, n), **EXACT)


@pytest.mark.parametrize("periodic", [(False, False, False), (True, False, False)])
@pytest.mark.parametrize(("taps", "stride"), [(5, 2), (4, 3), (2, 3)])
@pytest.mark.parametrize("n_frames", [1, 4])
def test_a_full_frame_transposed_layer_is_the_adjoint_of_the_convolution(taps: int, stride: int, n_frames, periodic):
    """On circles shorter than the kernel too, and where a stride leaves frames that no state reaches."""
    conv = ready(FullFrameConv(2, 3, kernel=(taps, 4, 4), stride=stride, padding="same"))
    extra = max(0, stride - taps)
    up = FullFrameConvTranspose(3, 2, kernel=(taps, 4, 4), stride=stride, padding="same", extra=extra).double()
    order = [conv.order.index(k) for k in range(taps)]
    up.weight.data = conv.weight.data[order].permute(0, 4, 2, 3, 1).contiguous()
    conv.bias.data.zero_()
    x, z = randn(2, 2, n_frames * stride, 4, 4), randn(2, 3, n_frames, 1, 1, seed=1)
    torch.testing.assert_close((conv(x, periodic) * z).sum(), (x * up(z, periodic)).sum(), **EXACT)


def test_full_frame_layers_repeat_in_periodic_time_too():
    conv = ready(FullFrameConv(2, 3, kernel=(5, 4, 4), stride=2))
    x = randn(1, 2, 6, 4, 4)
    torch.testing.assert_close(conv(x, (True, False, False)), conv(torch.cat((x, x, x), 2))[:, :, 3:6], **EXACT)
    up = ready(FullFrameConvTranspose(2, 3, kernel=(5, 4, 4), stride=2, padding="valid", extra=1))
    z = randn(1, 2, 6, 1, 1)
    once = up(z, (True, False, False))
    assert once.shape == (1, 3, 12, 4, 4)
    torch.testing.assert_close(once, up(torch.cat((z, z, z), 2))[:, :, 12:24], **EXACT)


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_a_roll_of_a_periodic_axis_rolls_the_output(axis: int):
    always = (True, True, True)
    conv, up = (
        ready(Conv(2, 3, kernel=(5, 4, 3), stride=(2, 2, 2))),
        ready(ConvTranspose(2, 3, kernel=(5, 4, 3), stride=(2, 2, 2))),
    )
    x = randn(1, 2, 8, 6, 4)
    torch.testing.assert_close(conv(x.roll(2, axis), always), conv(x, always).roll(1, axis), **EXACT)
    torch.testing.assert_close(up(x.roll(1, axis), always), up(x, always).roll(2, axis), **EXACT)


def test_shift_norm_is_batch_norm_with_the_scale_held_at_one():
    ours, theirs = ready(ShiftNorm(4)), nn.BatchNorm3d(4, eps=1e-3, momentum=0.05).double()
    theirs.bias.data = ours.shift.data.clone()
    for seed in range(3):
        x = 2.0 * randn(2, 4, 3, 5, 6, seed=seed) + 1.0
        torch.testing.assert_close(ours(x), theirs(x), **EXACT)
    # The running statistics that training left are what evaluation uses, for one sample as for many.
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, **EXACT)
    torch.testing.assert_close(ours.running_var, theirs.running_var, **EXACT)
    assert float((ours.running_mean - 0.0).abs().max()) > 0.05
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)
    torch.testing.assert_close(ours(x[:1, :, :1]), ours(x)[:1, :, :1], **EXACT)
    assert [name for name, _ in ours.named_parameters()] == ["shift"]


def test_activations_have_their_closed_forms():
    x = torch.tensor([-2.0, 0.0, 3.0], dtype=torch.float64)
    expected = {
        "relu": [0.0, 0.0, 3.0],
        "leaky_relu": [-0.4, 0.0, 3.0],
        "silu": [-2.0 / (1.0 + math.exp(2.0)), 0.0, 3.0 / (1.0 + math.exp(-3.0))],
        "tanh": [math.tanh(-2.0), 0.0, math.tanh(3.0)],
        "none": [-2.0, 0.0, 3.0],
    }
    for name, values in expected.items():
        torch.testing.assert_close(activate(x, name), torch.tensor(values, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (Conv(8, 16, kernel=(3, 5, 5), stride=(1, 2, 2)), 8 * 75),
        (FullFrameConv(8, 16, kernel=(3, 10, 10), stride=2), 8 * 300),
        (ConvTranspose(32, 16, kernel=(3, 4, 4), stride=(1, 2, 2)), 32 * 48 / 4),
        (FullFrameConvTranspose(64, 4, kernel=(4, 8, 8), stride=2), 64 * 4 * 64 / 2),
    ],
    ids=["conv", "full-frame", "transposed", "full-frame transposed"],
)
def test_initial_weights_have_the_spread_asked_for_or_that_of_the_fan_in(layer: nn.Module, fan_in: float):
    """Within 6 standard errors of a sample standard deviation, 1 / sqrt(2 N) of itself.

    Fan-in is counted as weights per output channel (over the stride, transposed). A full-frame transposed layer, whose
    every pixel hears only channels x taps / stride of them, so starts sqrt(H W) quieter than white noise would need.
    """
    layer.bias.data.fill_(1.0)
    for std, expected in ((0.005, 0.005), (0.0, 1.0 / math.sqrt(fan_in))):
        initialise(layer, std, seeded())
        n, weight = layer.weight.numel(), layer.weight.detach()
        assert abs(float(weight.std()) / expected - 1.0) < 6.0 / math.sqrt(2.0 * n)
        assert abs(float(weight.mean())) < 6.0 * expected / math.sqrt(n)
        assert not layer.bias.any()


def test_a_layer_started_by_its_fan_in_keeps_the_variance_of_white_noise():
    """Inside the frame, var(y) = fan-in * var(w) * var(x) = 1 on average over weights and positions."""
    x = torch.randn(2, 64, 6, 12, 12, generator=seeded())
    for layer in (
        Conv(64, 64, kernel=(3, 3, 3)),
        ConvTranspose(64, 64, kernel=(2, 4, 4), stride=(1, 2, 2)),
    ):
        initialise(layer, 0.0, seeded(1))
        inside = layer(x).detach()[:, :, 2:-2, 2:-2, 2:-2]
        # Over weights, the variance of one output channel scatters by sqrt(2 / fan-in), and 64 channels average;
        # the 2 % are for the finite clip, whose positions share their inputs.
        assert abs(float(inside.var()) - 1.0) < 6 * math.sqrt(2.0 / 512 / 64) + 0.02


def test_initial_weights_follow_the_generator_alone():
    state = torch.get_rng_state()
    one, two, other = (Conv(2, 3, kernel=(3, 3, 3)) for _ in range(3))
    initialise(one, 0.1, seeded(3))
    initialise(two, 0.1, seeded(3))
    initialise(other, 0.1, seeded(4))
    assert torch.equal(one.weight, two.weight)
    assert not torch.equal(one.weight, other.weight)
    assert torch.equal(torch.get_rng_state(), state)
