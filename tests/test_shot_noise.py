"""The Gaussian texture generator: its linear part has the clip's moments exactly, and its curves the clip's values."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from dyntex.errors import UsageError
from dyntex.networks.architecture import ShotNoiseResidualConfig
from dyntex.networks.layers import ConvTranspose
from dyntex.networks.residual import MOVING, ShotNoiseResidual, by_patches
from dyntex.textures.config import ShotNoiseConfig
from dyntex.textures.marginals import bins, gaussian_levels, in_order, levels_of
from dyntex.textures.shot_noise import STILL, on_circle, sparse
from dyntex.textures.windows import fade, overlapping, smoothed, supports

T, H, W = 24, 8, 12
TINY = ShotNoiseResidualConfig(
    ShotNoiseConfig(regions=2, sparsity=0.0, fade=0.5, levels=4, colours=4), noise=(1, 2, 2), patch=2, width=4, blocks=1
)
WHOLE = ShotNoiseResidualConfig(
    ShotNoiseConfig(regions=1, sparsity=0.0, fade=0.5, levels=6, colours=4), noise=(2, 2, 3), patch=4, width=6, blocks=1
)
SPARSE = replace(TINY, texture=replace(TINY.texture, sparsity=2.0, fade=1.0))
SIGMAS = 6.0
GREY_LEVEL = 2.0 / 255.0


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clip(n_frames: int = T, channels: int = 3, height: int = H, width: int = W) -> Tensor:
    """(1, C, T, H, W): damped waves over a gradient, each pixel moving far more than STILL; not square."""
    g = seeded(5)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    amplitude, frames = torch.zeros(3), []
    for _ in range(n_frames):
        amplitude = 0.7 * amplitude + 0.12 * torch.randn(3, generator=g)
        waves = torch.stack([torch.sin(0.5 * k * x + 0.3 * y + k) for k in (1, 2, 3)])
        frames.append(torch.einsum("k,khw->hw", amplitude, waves))
    grey = torch.stack(frames) + 0.3 * x / width
    tint = torch.linspace(0.5, 1.0, channels).view(-1, 1, 1, 1)
    return (tint * grey + 0.1 * torch.randn(channels, n_frames, height, width, generator=g))[None]


def made(
    config: ShotNoiseResidualConfig = TINY, y: Tensor | None = None, *, seed: int = 0, condition_channels: int = 0
) -> ShotNoiseResidual:
    y_obs = clip() if y is None else y
    return ShotNoiseResidual(config, y_obs, rng=seeded(seed), condition_channels=condition_channels)


def taught(config: ShotNoiseResidualConfig = TINY, *, condition_channels: int = 0) -> ShotNoiseResidual:
    """With a residual that says something."""
    gen = made(config, condition_channels=condition_channels)
    with torch.no_grad():
        gen.to_pixels.weight.normal_(generator=seeded(4))
    return gen


def none(z: Tensor) -> Tensor:
    return z.new_zeros(len(z), 0, z.shape[2], H, W)


def draw(gen: ShotNoiseResidual, n_frames: int, *, batch: int = 1, seed: int = 0) -> Tensor:
    return torch.randn(batch, *gen.latent_shape(n_frames), generator=seeded(seed), dtype=gen.texture.mean.dtype)


def mixed_values(gen: ShotNoiseResidual, y: Tensor) -> Tensor:
    """(T, C, H, W): the channels that are stirred."""
    return gen.texture.colours.from_rgb(y.to(gen.texture.mean))[0].transpose(0, 1)


@pytest.mark.parametrize("n", [1, 2, 9, 24, 101])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 1.0])
def test_a_fade_is_a_sine_s_quarter_up_and_down_of_mean_square_one(n: int, share: float):
    window = fade(n, share)
    assert float(window.square().mean()) == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(window, window.flip(0), rtol=0, atol=1e-6)
    raw = []
    for t in range(n):
        edge = min(t + 0.5, n - t - 0.5) / n
        raw.append(math.sin(math.pi / 2 * min(1.0, edge / (share / 2))) if edge < share / 2 else 1.0)
    # The shape is free of scale; where the fade is shorter than half a frame there is none.
    expected = torch.tensor(raw) / math.sqrt(sum(v * v for v in raw) / n)
    torch.testing.assert_close(window, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 31), (64, 5)])
def test_the_squares_of_overlapping_windows_add_up_to_one(height: int, width: int, n: int):
    windows = overlapping(height, width, n)
    assert windows.shape == (n * n, height, width)
    torch.testing.assert_close(windows.square().sum(0), torch.ones(height, width), rtol=0, atol=1e-6)
    # Window i * n + j is the one around row share i and column share j, and no other is larger there.
    for i in range(n):
        for j in range(n):
            at = (int((i + 0.5) * height / n), int((j + 0.5) * width / n))
            assert int(windows[:, at[0], at[1]].argmax()) == i * n + j
    # It reaches one distance of centres far, and no farther.
    rows = (torch.arange(height) + 0.5 - 0.5 * height / n).abs() >= height / n
    columns = (torch.arange(width) + 0.5) >= 1.5 * width / n
    if n > 1:
        assert windows[0][rows & (torch.arange(height) > height / n)].abs().sum() < 1e-5
        assert windows[0][:, columns].abs().sum() < 1e-5


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize(("height", "width"), [(8, 12), (7, 31), (64, 5), (128, 128)])
def test_a_window_is_zero_outside_its_support_and_nowhere_inside(height: int, width: int, n: int):
    windows = overlapping(height, width, n).view(n, n, height, width)
    for i, rows in enumerate(supports(height, n)):
        for j, columns in enumerate(supports(width, n)):
            inside = torch.zeros(height, width, dtype=torch.bool)
            inside[rows, columns] = True
            assert not (windows[i, j][~inside].abs() > 1e-6).any()
            # A neighbour's centre may fall on the first pixel: it is in the support, and the window zero there.
            assert (windows[i, j][inside].abs() > 1e-6).double().mean() > 0.4
    if n == 3 and height == 128:
        area = sum((a.stop - a.start) * (b.stop - b.start) for a in supports(128, 3) for b in supports(128, 3))
        assert area < 2.9 * 128**2  # of 9: where nothing is stirred nothing is computed


@pytest.mark.parametrize("p", [1, 2, 3, 4])
@pytest.mark.parametrize("periodic", [(False, False, False), (True, True, False), (False, True, True)])
def test_patches_are_the_transposed_convolution_s(p: int, periodic: tuple[bool, bool, bool]):
    layer = ConvTranspose(5, 3, kernel=(1, 2 * p, 2 * p), stride=(1, p, p)).double()
    with torch.no_grad():
        layer.weight.normal_(generator=seeded(1))
        layer.bias.normal_(generator=seeded(2))
    x = torch.randn(2, 5, 4, 3, 6, generator=seeded(), dtype=torch.float64, requires_grad=True)
    got, expected = by_patches(layer, x, periodic), layer(x, periodic)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    sides = torch.randn(got.shape, generator=seeded(3), dtype=torch.float64)
    for a, b in zip(*(torch.autograd.grad((y * sides).sum(), (x, layer.weight)) for y in (got, expected)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("n", "parts"), [(1, 1), (8, 8), (24, 5), (25, 8), (100, 7)])
def test_bins_are_consecutive_cover_everything_once_and_differ_by_one_at_most(n: int, parts: int):
    shares = [list(range(n))[share] for share in bins(n, parts)]
    assert [i for share in shares for i in share] == list(range(n))
    assert len(shares) == parts
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_values_are_put_in_order_place_by_place():
    values = torch.randn(9, 2, 3, 5, generator=seeded(1))
    assert torch.equal(in_order(values), values.sort(dim=0).values)


def test_smoothing_is_the_mean_over_the_box_inside_the_frame():
    frames = torch.randn(2, 3, 5, 7, generator=seeded(1))
    got = smoothed(frames, 3)
    for y in range(5):
        for x in range(7):
            box = frames[..., max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            torch.testing.assert_close(got[..., y, x], box.mean((-1, -2)), rtol=1e-5, atol=1e-6)
    assert torch.equal(smoothed(frames, 1), frames)


def test_curves_are_shared_by_neighbours():
    """On 40 pixels a box of 3: the levels and the bounds are means over it of what each pixel has alone."""
    y = clip(8, 1, 40, 44)
    gen = made(y=y)
    values = mixed_values(gen, y)
    ordered = ((values - gen.texture.mean) / gen.texture.spread).sort(dim=0).values
    torch.testing.assert_close(
        gen.texture.clip_levels, smoothed(ordered.view(4, 2, 1, 40, 44).mean(1), 3), rtol=1e-4, atol=1e-5
    )
    low, high = smoothed(ordered[[0, -1]], 3)
    margin = 0.1 * (high - low)
    torch.testing.assert_close(gen.texture.bounds, torch.stack((low - margin, high + margin)), rtol=1e-4, atol=1e-5)
    own = made(replace(TINY, texture=replace(TINY.texture, smooth=0.0)), y)
    torch.testing.assert_close(own.texture.clip_levels, ordered.view(4, 2, 1, 40, 44).mean(1), rtol=1e-4, atol=1e-5)


def constant() -> Tensor:
    return torch.tensor([0.3, -0.2, 0.9]).view(1, 3, 1, 1, 1).expand(1, 3, T, H, W).contiguous()


def two_colours() -> Tensor:
    a, b = (torch.tensor(c).view(1, 3, 1, 1, 1) for c in ((-0.8, -0.9, 0.1), (0.9, 0.2, -0.4)))
    return torch.where(torch.rand(1, 1, T, H, W, generator=seeded(2)) < 0.7, a, b)


@pytest.mark.parametrize(
    "y",
    [clip(channels=1), clip(channels=3), clip(channels=4), constant(), two_colours()],
    ids=["grey", "colour", "alpha", "constant", "two colours"],
)
def test_paint_undoes_unpaint(y: Tensor):
    gen = made(y=y)
    # A few roundings of numbers of order one; also for pixels far outside what the ramp was fitted to.
    for some in (y, 3.0 * torch.randn(2, *y.shape[1:], generator=seeded(3))):
        torch.testing.assert_close(
            gen.texture.colours.to_rgb(gen.texture.colours.from_rgb(some)), some, rtol=0, atol=1e-5
        )
    torch.testing.assert_close(
        gen.texture.colours.axes @ gen.texture.colours.axes.T,
        torch.eye(len(gen.texture.colours.axes)),
        rtol=0,
        atol=1e-6,
    )


def test_brightness_is_the_direction_of_most_variance_and_colour_what_the_ramp_leaves():
    """Colours on c = 0.4 b^2: b is the first axis by symmetry, and the ramp follows the parabola piece by piece."""
    n = 16
    b = torch.linspace(-0.8, 0.8, T * H * W)[torch.randperm(T * H * W, generator=seeded(1))].view(1, 1, T, H, W)
    y = torch.cat((0.4 * b * b, b), dim=1)
    gen = made(
        ShotNoiseResidualConfig(
            ShotNoiseConfig(regions=1, levels=4, colours=n), noise=(1, 2, 2), patch=2, width=4, blocks=1
        ),
        y,
    )
    torch.testing.assert_close(
        gen.texture.colours.axes.abs(), torch.tensor([[0.0, 1.0], [1.0, 0.0]]), rtol=0, atol=1e-4
    )
    h, curvature, slope = 1.6 / n, 0.8, 0.64
    # Interpolation h^2 f'' / 8, the mean over a bin instead of the value at its centre h^2 f'' / 24, and the knots'
    # shift of up to n 1e-4 along the slope. A ramp that is read the wrong way is off by up to h f' = 0.06.
    bound = h * h * curvature * (1 / 8 + 1 / 24) + n * 1e-4 * slope
    left = gen.texture.colours.from_rgb(y)[:, 1][(b[:, 0].abs() < 0.8 - h / 2 - n * 1e-4)]
    assert bound < 0.003
    assert left.abs().max() < bound
    assert (gen.texture.colours.knots[1:] > gen.texture.colours.knots[:-1]).all()
    # Brighter or darker than was ever seen, the colour is that of the ramp's end and no wilder one.
    far = torch.tensor([-5.0, 5.0]).view(1, 1, 2, 1, 1)
    ends = gen.texture.colours._colour(far[:, 0])[0, 1, :, 0, 0]
    torch.testing.assert_close(ends, gen.texture.colours.ramp[[0, -1], 1], rtol=0, atol=0)


def test_a_sample_of_two_colours_lies_on_the_line_through_both():
    y = two_colours()
    gen = made(y=y)
    sample = gen(draw(gen, 10), none(draw(gen, 10)))[0].detach().flatten(1).T.double()
    a, b = (torch.tensor(c, dtype=torch.float64) for c in ((-0.8, -0.9, 0.1), (0.9, 0.2, -0.4)))
    along = (b - a) / (b - a).norm()
    off = (sample - a) - torch.outer((sample - a) @ along, along)
    assert off.norm(dim=1).max() < GREY_LEVEL
    assert ((sample - a) @ along).std() > 0.1  # and moves along it


def test_an_impulse_gives_the_kernel_in_order_bit_for_bit():
    """e = 1 at one time: y_t - mean = d_t from that time on, and nothing before or after."""
    gen = made(WHOLE)
    assert torch.equal(gen.texture.windows, torch.ones(1, H, W))
    for start in (0, 3):
        e = torch.zeros(1, 1, 2 * T + 8 - 1)
        e[0, 0, T - 1 + start] = 1.0
        g = gen.texture.mix(e)[0].transpose(0, 1)  # (T + 8, C, H, W)
        assert g.shape == (T + 8, 3, H, W)
        assert torch.equal(g[start : start + T], gen.texture.kernel)
        assert not g[:start].any()
        assert not g[start + T :].any()


def test_the_kernel_is_the_faded_clip_at_unit_variance():
    """d = (y - faded mean) fade / |...| with sum_k d_k = 0 and sum_k d_k^2 = 1 at every moving pixel."""
    gen, y = made(WHOLE), clip()
    values = mixed_values(gen, y).double()
    spread = values.std(0, correction=0)
    assert spread.min() > 2 * STILL
    window = fade(T, WHOLE.texture.fade).double().view(-1, 1, 1, 1)
    faded = (values - (values * window).sum(0) / window.sum()) * window
    expected = faded / faded.square().sum(0).sqrt()
    torch.testing.assert_close(gen.texture.kernel.double(), expected, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(gen.texture.mean.double(), values.mean(0), rtol=0, atol=1e-6)
    torch.testing.assert_close(gen.texture.spread.double(), spread, rtol=1e-5, atol=0)


@pytest.mark.parametrize("config", [WHOLE, TINY], ids=["one region", "four regions"])
def test_the_autocovariance_is_that_of_the_faded_clip_exactly(config: ShotNoiseResidualConfig):
    """E g_t(p) g_{t+h}(q) = sum_r w_r(p) w_r(q) sum_k f_k(p) f_{k+h}(q) / T, for the faded clip f at unit variance.

    No Monte Carlo: the stirring is linear, so all unit impulses give its matrix M, and the expectation is M' M.
    """
    gen = made(config).double()
    R, frames = config.texture.regions**2, 6
    length = frames + T - 1
    impulses = torch.eye(R * length, dtype=torch.float64).view(R * length, R, length)
    M = gen.texture.mix(impulses).transpose(1, 2).flatten(2)  # (impulses, frames, C*H*W)
    values = mixed_values(gen, clip()).flatten(1)
    window = fade(T, config.texture.fade).double().view(-1, 1)
    f = (values - (values * window).sum(0) / window.sum()) * window
    f = f / f.square().mean(0).sqrt()
    windows = overlapping(H, W, config.texture.regions).double()[:, None].expand(-1, 3, -1, -1).flatten(1)
    together = windows.T @ windows
    for h in (0, 1, 4):
        expected = together * (f[: T - h].T @ f[h:]) / T
        for t in (0, frames - 1 - h):
            torch.testing.assert_close(M[:, t].T @ M[:, t + h], expected, rtol=0, atol=1e-5)
    # The law has a direction of time: its mirror image would not pass.
    assert ((f[:-4].T @ f[4:]) / T - (f[4:].T @ f[:-4]) / T).abs().max() > 0.1


def test_white_noise_is_stirred_to_mean_zero_and_variance_one():
    """4000 independent latents: |mean| < 6 / sqrt(N) and |variance - 1| < 6 sqrt(2 / N), at every moving pixel."""
    gen, N = made(), 4000
    with torch.no_grad():
        g = gen.texture.mix(torch.randn(N, 4, T, generator=seeded(2)))[:, :, 0]
    assert g.mean(0).abs().max() < SIGMAS / math.sqrt(N)
    assert (g.square().mean(0) - 1.0).abs().max() < SIGMAS * math.sqrt(2 / N)


def test_a_region_leaves_far_pixels_untouched():
    config = ShotNoiseResidualConfig(
        ShotNoiseConfig(regions=3, sparsity=0.0, levels=4, colours=4), noise=(1, 2, 2), patch=2, width=4, blocks=1
    )
    gen = made(config).double()
    e = torch.zeros(1, 9, T + 4, dtype=torch.float64)
    e[:, 0] = torch.randn(T + 4, generator=seeded(1), dtype=torch.float64)
    g = gen.texture.mix(e)
    # Centres at 1/6, 3/6 and 5/6 of a side: the first window has ended where the second is whole.
    assert g[..., : H // 6, : W // 6].abs().min() > 0.0
    assert g[..., math.ceil(H / 2) :, :].abs().max() < 1e-6
    assert g[..., :, math.ceil(W / 2) :].abs().max() < 1e-6
    # So pixels in opposite corners are independent, although the clip's own are correlated.
    M = gen.texture.mix(torch.eye(9 * T, dtype=torch.float64).view(9 * T, 9, T))[:, :, 0]
    near, far = M[:, 0, 0, 0], M[:, 0, -1, -1]
    assert abs(float(near @ far)) < 1e-12
    assert abs(float(gen.texture.kernel[:, 0, 0, 0] @ gen.texture.kernel[:, 0, -1, -1])) > 0.05


def test_sparse_noise_is_weighed_by_hand():
    """g_t = sum_r w_r sum_k d_k e_{t-k} / n_t, with n_t^2 = 0.01 + mean_k (f_k e_{t-k})^2, by loops."""
    gen = made(SPARSE).double()
    z = torch.randn(1, 4, 3 + T - 1, generator=seeded(3), dtype=torch.float64)
    g = gen.texture.mix(z)[0].transpose(0, 1)
    e, f = sparse(z[0], 2.0).numpy(), fade(T, 1.0).double().numpy()
    for t in range(3):
        expected = np.zeros((3, H, W))
        for r in range(4):
            heard = np.array([e[r, t + T - 1 - k] for k in range(T)])
            weights = heard / np.sqrt(0.01 + np.mean((f * heard) ** 2))
            expected += gen.texture.windows[r].numpy() * np.einsum("k,kchw->chw", weights, gen.texture.kernel.numpy())
        # The window is made in single precision.
        np.testing.assert_allclose(g[t].numpy(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("s", [0.0, 0.5, 1.0])
def test_sparse_noise_is_an_increasing_function_of_unit_mean_square(s: float):
    """By quadrature: the integral of sparse(z)^2 against the normal density is 1, and signs are kept."""
    z = torch.linspace(-6, 6, 50_001, dtype=torch.float64)
    e = sparse(z, s)
    assert (e.diff() > 0).all()
    assert sparse(torch.zeros(1), s) == 0.0
    weight = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi) * (z[1] - z[0])
    assert float((e.square() * weight).sum()) == pytest.approx(1.0, rel=1e-3)
    # The limit is Gaussian: (exp(s z) - 1) / s = z + s z^2 / 2 + ...
    torch.testing.assert_close(sparse(z, 1e-3), z, rtol=0, atol=1e-3 * 6**2 / 2 * 1.1)
    assert sparse(torch.tensor([1e4]), 2.0).isfinite().all()


def test_sparse_noise_plays_a_few_stretches_at_a_time():
    """The number of stretches in a frame, (sum_k w_k^2)^2 / sum_k w_k^4: of T independent Gaussian weights more than
    T / 4; of exp(2 z) the largest few outweigh all others."""
    dense, sparsely = (
        gen.texture._weigh(torch.randn(1, 4, 4000, generator=seeded(1))) for gen in (made(), made(SPARSE))
    )
    playing = [(w.square().sum(3).square() / w.pow(4).sum(3)).mean() for w in (dense, sparsely)]
    assert playing[0] > T / 4
    assert playing[1] < playing[0] / 3


@pytest.mark.parametrize("scale", [0.0, 1e-3, 8.0])
def test_quiet_and_loud_latents_stay_finite(scale: float):
    gen = made(SPARSE)
    z = draw(gen, 9) * scale
    assert gen(z, none(z)).isfinite().all()


def test_sparse_noise_ends_in_silence():
    """What z = 0 makes is the middle of the curve, not the last faint stretch at full loudness."""
    gen = made(SPARSE)
    assert not gen.texture.mix(torch.zeros(1, 4, T)).any()
    faint = gen.texture.mix(1e-3 * torch.randn(1, 4, T, generator=seeded(1)))
    assert faint.abs().max() < 0.05
    assert not gen.texture.mix(torch.zeros(1, 4, T + 5), periodic=True).any()


@pytest.mark.parametrize("n", [4, 8, 12])
def test_a_short_loop_is_as_loud_as_an_open_video_with_sparse_noise_too(n: int):
    """The mean square over pixels, 3000 draws: of 4, 8 or 12 numbers like exp(2 z) most are small, and evened as if
    there were 24 the loop would have .75, .87 or .91 of the open video's power; here .93, 1.02 or 1.02, by another
    seed the same to .01."""
    gen = made(SPARSE)
    with torch.no_grad():
        z = torch.randn(3000, 4, n + T - 1, generator=seeded(3))
        power = [float(gen.texture.mix(z, periodic=loop)[:, :, 0].square().mean()) for loop in (True, False)]
    assert power[0] / power[1] == pytest.approx(1.0, abs=0.08)


def test_sparse_samples_are_distributed_as_the_clip_s_values():
    """Over the pixels, the share of long samples below each of the clip's levels is that of the clip's own values.

    The stirred levels are seen in 6 lengths of the clip, about 30 independent pictures: a share of p is known to
    sqrt(p (1 - p) / 30) at a pixel, and to about a third of it in the mean over the frame.
    """
    gen = made(SPARSE)
    values = mixed_values(gen, clip())
    with torch.no_grad():
        sample = gen.texture.match_marginals(gen.texture.mix(torch.randn(1, 4, 4000, generator=seeded(7))))[
            0
        ].transpose(0, 1)
    for level in levels_of(values.sort(dim=0).values, 4):
        p = (values < level).float().mean()
        assert abs((sample < level).float().mean() - p) < SIGMAS * math.sqrt(p * (1 - p) / 30) / 3
    # Gaussian levels would be wrong: sparse values are not Gaussian, and these are seen at every pixel.
    assert (gen.texture.mixture_levels - made().texture.mixture_levels).abs().max() > 0.3


def test_the_gaussian_levels_are_the_normal_quantiles_share_by_share():
    gen = made(WHOLE)
    scores = norm.ppf((np.arange(T) + 0.5) / T)
    expected = scores.reshape(6, T // 6).mean(1)
    np.testing.assert_allclose(gaussian_levels(T, 6).numpy(), expected, atol=1e-6)
    # Gaussian noise is Gaussian at every pixel.
    assert torch.equal(gen.texture.mixture_levels, gaussian_levels(T, 6).view(6, 1, 1, 1).expand(6, 3, H, W))


def curve(gen: ShotNoiseResidual, values: np.ndarray, g: np.ndarray) -> np.ndarray:
    """The same curve from one pixel's values, by numpy: linear between and beyond the levels, then bounded."""
    ordered, at = np.sort(values), gen.texture.mixture_levels[:, 0, 0, 0].double().numpy()
    levels = ordered.reshape(len(at), -1).mean(1)
    y = np.interp(g, at, levels)
    first, last = (levels[1] - levels[0]) / (at[1] - at[0]), (levels[-1] - levels[-2]) / (at[-1] - at[-2])
    y = np.where(g < at[0], levels[0] + first * (g - at[0]), y)
    y = np.where(g > at[-1], levels[-1] + last * (g - at[-1]), y)
    margin = 0.1 * (ordered[-1] - ordered[0])
    bounded: np.ndarray = np.clip(y, ordered[0] - margin, ordered[-1] + margin)
    return bounded


def test_the_curve_is_monotone_bounded_and_the_clip_s_own_pixel_by_pixel():
    gen = made(WHOLE).double()
    values = mixed_values(gen, clip()).numpy()
    g = torch.linspace(-6, 6, 241, dtype=torch.float64)
    bent = gen.texture.match_marginals(g.view(1, 1, -1, 1, 1).expand(1, 3, -1, H, W))[0].transpose(
        0, 1
    )  # (241, C, H, W)
    assert (bent[1:] - bent[:-1]).min() >= -1e-12
    for c, y, x in ((0, 0, 0), (0, 5, 7), (1, 3, 11), (2, 7, 2)):
        np.testing.assert_allclose(bent[:, c, y, x].numpy(), curve(gen, values[:, c, y, x], g.numpy()), atol=1e-5)
    # Six steep standard deviations are past both bounds at some pixel, or the bounds were not tried.
    low, high = torch.from_numpy(values).amin(0), torch.from_numpy(values).amax(0)
    margin = 0.1 * (high - low)
    torch.testing.assert_close(bent[0], low - margin, rtol=0, atol=1e-5)
    torch.testing.assert_close(bent[-1], high + margin, rtol=0, atol=1e-5)


def test_a_pixel_s_samples_are_distributed_as_its_values_in_the_clip():
    """The share of samples below level k is Phi(level k of a Gaussian), within 6 sqrt(p (1 - p) / N); their mean is
    the curve's expectation (its integral against the normal density), within 6 sigma / sqrt(N)."""
    gen, N = made(WHOLE).double(), 4000
    values = mixed_values(gen, clip())
    with torch.no_grad():
        e = torch.randn(N, 1, T, generator=seeded(7), dtype=torch.float64)
        sample = gen.texture.match_marginals(gen.texture.mix(e))[:, :, 0]  # (N, C, H, W), independent along N
    levels = values.sort(dim=0).values.view(6, T // 6, 3, H, W).mean(1)
    for level, at in zip(levels, gaussian_levels(T, 6).double().tolist(), strict=True):
        p = norm.cdf(at)
        assert ((sample < level).double().mean(0) - p).abs().max() < SIGMAS * math.sqrt(p * (1 - p) / N)
    grid = np.linspace(-8, 8, 4001)
    weight = norm.pdf(grid) * (grid[1] - grid[0])
    sigma = sample.std(0) / math.sqrt(N)
    for c, y, x in ((0, 0, 0), (0, 5, 7), (1, 3, 11), (2, 7, 2)):
        expected = float((curve(gen, values[:, c, y, x].numpy(), grid) * weight).sum())
        assert abs(float(sample[:, c, y, x].mean()) - expected) < SIGMAS * float(sigma[c, y, x])
        # And that is the clip's mean, but for the tails' curvature: a tenth of its own spread.
        assert abs(expected - float(values[:, c, y, x].mean())) < 0.1 * float(values[:, c, y, x].std())


@pytest.mark.parametrize("config", [TINY, WHOLE], ids=["four regions", "one region"])
def test_a_still_clip_stays_still(config: ShotNoiseResidualConfig):
    still = clip()[:, :, :1].expand(-1, -1, T, -1, -1).contiguous()
    gen = made(config, still)
    z = draw(gen, 50)
    # The mean of equal numbers may round; what is left of it is a hundredth of a grey level at most.
    assert (gen(z, none(z)) - still[:, :, :1]).abs().max() < 0.01 * GREY_LEVEL


def test_the_camera_s_noise_comes_back_at_its_own_level():
    """A clip that stands still but for noise of a tenth of STILL is given neither unit variance nor none."""
    noise = 0.1 * STILL * torch.randn(1, 3, T, H, W, generator=seeded(1))
    y = clip()[:, :, :1] + noise
    gen = made(WHOLE, y)
    z = draw(gen, 200)
    moved = gen(z, none(z)).detach()[0].std(1)
    # A pixel's spread is estimated from T frames, and its levels share neighbours: a sixth either way on the average.
    assert float(moved.mean() / noise.std()) == pytest.approx(1.0, rel=1 / 6)


def test_the_motion_keeps_its_direction():
    """A texture that drifts right by a pixel a frame: in a sample the next frame matches one to the right."""
    wide = 16
    texture = torch.randn(8, wide, generator=seeded(3))
    y = torch.stack([texture.roll(t, 1) for t in range(48)])[None, None].expand(1, 3, -1, -1, -1) * 0.3
    gen = made(WHOLE, y.contiguous())
    for seed in range(3):
        z = draw(gen, 60, seed=seed)
        g = gen(z, z.new_zeros(1, 0, 60, 8, wide)).detach()[0].mean(0)
        g = g - g.mean(0)
        match = [float((g[:-1].roll(shift, 2) * g[1:]).mean()) for shift in range(-4, 5)]
        assert match.index(max(match)) - 4 == 1


def test_at_the_start_the_residual_is_exactly_zero():
    gen = made()
    z = draw(gen, 7, batch=2)
    linear = gen.texture.colours.to_rgb(gen.texture.match_marginals(gen.texture.mix(z[:, :4, :, 0, 0])))
    assert torch.equal(gen(z, none(z)), linear)


def test_the_residual_hears_the_noise_where_it_lies():
    gen = taught(WHOLE).double()
    z = draw(gen, 9)
    base = gen(z, none(z)).detach()
    other = z.clone()
    other[:, 1, 5] += 1.0  # after the region's channel: depth 0, first row, first column of the 2x3 grid
    change = (gen(other, none(z)) - base).detach()[0].abs().sum(0)  # (T, H, W)
    assert change[5].max() > 1e-4
    assert change[4].max() > 1e-6  # three frames wide: the residual is convolutional in time
    assert change[:4].max() < 1e-12
    assert change[5, :4, :4].sum() > 2 * change[5, 4:, 8:].sum()
    other = z.clone()
    other[:, -1, 5] += 1.0  # depth 1, last row, last column
    change = (gen(other, none(z)) - base).detach()[0].abs().sum(0)
    assert change[5, 4:, 8:].sum() > 2 * change[5, :4, :4].sum()


def test_gradients_reach_every_parameter_but_no_buffer():
    gen = taught()
    z = draw(gen, 5)
    gen(z, none(z)).square().sum().backward()
    assert [name for name, p in gen.named_parameters() if p.grad is None or not p.grad.any()] == []
    closed_form = ("mean", "spread", "kernel", "windows", "mixture_levels", "clip_levels", "bounds")
    colours = ("colours.axes", "colours.knots", "colours.ramp")
    fitted = {"residual_gain", *(f"texture.{name}" for name in (*closed_form, *colours))}
    assert set(dict(gen.named_buffers())) == fitted


def test_gradients_reach_the_noise_and_are_those_of_finite_differences():
    """In-place sums must not spoil what inference of z needs: a directional derivative, in float64, away from kinks."""
    gen = taught().double()
    z = draw(gen, 5).requires_grad_(True)
    weight = torch.randn(1, 3, 5, H, W, generator=seeded(6), dtype=torch.float64)
    along = torch.randn(z.shape, generator=seeded(7), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((gen(z, none(z)) * weight).sum(), z)
    small = 1e-7  # so small a step crosses hardly any of the kinks
    values = [float((gen(z.detach() + s * along, none(z)) * weight).sum().detach()) for s in (-small, small)]
    assert float((gradient * along).sum()) == pytest.approx((values[1] - values[0]) / (2 * small), rel=1e-3)


def test_a_latent_has_the_regions_and_the_noise_and_the_clip_s_length_more():
    gen = made(WHOLE)
    assert gen.latent_shape(11) == (1 + 2 * 2 * 3, 11 + T - 1, 1, 1)
    assert made().latent_shape(1) == (4 + 1 * 2 * 2, T, 1, 1)
    for n_frames in (1, 2, 100):
        z = draw(gen, n_frames)
        assert gen(z, none(z)).shape == (1, 3, n_frames, H, W)


def test_a_longer_latent_goes_on_where_the_shorter_one_ended():
    gen = taught().eval()
    z = draw(gen, 20)
    cut = z[:, :, : 12 + T - 1]
    short, long = gen(cut, none(cut)), gen(z, none(z))
    # Each block reaches one frame ahead.
    torch.testing.assert_close(long[:, :, :11], short[:, :, :11], rtol=0, atol=1e-5)
    start = made()
    torch.testing.assert_close(start(z, none(z))[:, :, :12], start(cut, none(cut)), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_frames", [10, T, 40])
def test_a_loop_has_no_seam(n_frames: int):
    """A roll of the noise in time rolls the clip, so that no step is the last: shorter and longer than the kernel."""
    gen = taught()
    z = draw(gen, n_frames)
    rolled = z.clone()
    rolled[:, :, :n_frames] = z[:, :, :n_frames].roll(3, 2)
    loop = (True, False, False)
    for g in (gen, made(), made(SPARSE)):
        y = g(z, none(z), periodic=loop)
        assert y.shape[2] == n_frames
        torch.testing.assert_close(g(rolled, none(z), periodic=loop), y.roll(3, 2), rtol=0, atol=1e-5)
        assert (y - g(z, none(z))).abs().max() > 0.01
    # Inside a long loop the law is the open one's: sum_k d_k e_{t-k} where no index wraps.
    if n_frames > T:
        e = z[:, :4, :, 0, 0]
        inside = gen.texture.mix(e, periodic=True)[:, :, T - 1 :]
        torch.testing.assert_close(inside, gen.texture.mix(e[:, :, :n_frames]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n", [1, 5, 12, T - 1])
def test_a_short_loop_s_frames_are_the_clip_on_a_circle_and_its_running_mean_at_unit_variance(n: int):
    """By the definition, frame by frame: D_j = sum of d_k with k = j mod n, and means of n in a row around the end."""
    d = made(WHOLE).double().texture.kernel.numpy()
    circle = np.zeros((n, *d.shape[1:]))
    for k in range(T):
        circle[k % n] += d[k]
    still = np.stack([sum(d[(k + i) % T] for i in range(n)) / n for k in range(T)])
    still[0] = 0.0
    scale = 1.0 / np.sqrt((circle**2).sum(0) + (still**2).sum(0))
    for got, expected in zip(on_circle(torch.from_numpy(d), n), (d * scale, still * scale), strict=True):
        # A pixel of which the circle leaves 1e-3 would be scaled a thousand times, and its rounding with it.
        np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("config", [WHOLE, TINY], ids=["one region", "four regions"])
@pytest.mark.parametrize("n", [5, 12, T - 1, T, T + 6])
def test_a_loop_s_autocovariance_is_the_clip_s_on_a_circle_and_its_variance_is_one(
    config: ShotNoiseResidualConfig, n: int
):
    """E g_t(p) g_{t+h}(q) = sum_r w_r(p) w_r(q) (sum_j D_j(p) D_{j+h}(q) + sum_k s_k(p) s_k(q)), by unit impulses.

    A loop as long as the clip or longer has no still part, and what is left of its noise does not sound.
    """
    gen = made(config).double()
    R, length = config.texture.regions**2, n + T - 1
    impulses = torch.eye(R * length, dtype=torch.float64).view(R * length, R, length)
    M = gen.texture.mix(impulses, periodic=True).transpose(1, 2).flatten(2)  # (impulses, n, C*H*W)
    windows = overlapping(H, W, config.texture.regions).double()[:, None].expand(-1, 3, -1, -1).flatten(1)
    together = windows.T @ windows
    moving, still = (
        on_circle(gen.texture.kernel, n) if n < T else (gen.texture.kernel, torch.zeros(1, dtype=torch.float64))
    )
    circle = torch.zeros(n, *moving.shape[1:], dtype=torch.float64)
    for k in range(T):
        circle[k % n] += moving[k]
    D, s = circle.flatten(1), still.expand(T, *moving.shape[1:]).flatten(1)
    for h in (0, 1, n - 1):  # the last step is the seam's
        expected = together * (D.T @ D.roll(-h, 0) + s.T @ s)
        for t in (0, n - 1):
            torch.testing.assert_close(M[:, t].T @ M[:, (t + h) % n], expected, rtol=0, atol=1e-6)
    # Windows are made in single precision; the deviations' unit variance is, too.
    torch.testing.assert_close(M.square().sum(0), torch.ones_like(M[0]), rtol=0, atol=1e-5)
    unheard = M.view(R, length, n, -1)[:, n:]
    assert (unheard != 0).any() == (n < T)
    torch.testing.assert_close(unheard, unheard[:, :, :1].expand_as(unheard), rtol=0, atol=1e-12)  # it stands still


def test_a_short_loop_of_a_slow_clip_keeps_its_contrast_and_does_not_hurry():
    """Each pixel goes once up and down in the clip: a loop of a quarter of it can hardly move, and must not be made to.

    Stirred by a circle alone it has a tenth of the clip's contrast; scaled up to all of it, it moves as many times
    too fast.
    """
    phase = torch.rand(1, 3, 1, H, W, generator=seeded(1)) * 2 * math.pi
    t = torch.arange(T).view(1, 1, T, 1, 1)
    gen = made(WHOLE, 0.4 * torch.sin(2 * math.pi * t / T + phase)).double()
    n = T // 4
    impulses = torch.eye(n + T - 1, dtype=torch.float64)[:, None]
    circle = gen.texture._convolve(impulses[:, :, torch.arange(1 - T, n) % n], gen.texture.kernel)
    open_, loop = gen.texture.mix(impulses), gen.texture.mix(impulses, periodic=True)

    def contrast_and_step(g: Tensor) -> tuple[float, float]:
        return float(g.square().sum(0).mean().sqrt()), float((g.roll(-1, 2) - g)[:, :, 0].square().sum(0).mean().sqrt())

    (_, natural), (pale, step), (full, calm) = map(contrast_and_step, (open_, circle, loop))
    assert pale < 0.2
    assert step / pale > 2 * natural
    assert full == pytest.approx(1.0, abs=1e-5)
    assert calm < natural


def test_a_condition_reaches_the_residual_where_it_lies():
    gen = taught(condition_channels=2)
    z = draw(gen, 5)
    cond = torch.zeros(1, 2, 5, H, W)
    base = gen(z, cond)
    cond[..., :2, :2] = 1.0
    change = (gen(z, cond) - base).detach().abs().sum((0, 1, 2))
    assert change[:2, :2].min() > 1e-4
    # A stem, a block and the pixels reach two patches and a half far.
    assert change[-1, -1] == 0.0


def test_a_shape_alone_builds_the_same_tensors():
    """On the meta device, for a checkpoint to fill in."""
    with torch.device("meta"):
        blank = ShotNoiseResidual(TINY, torch.empty(1, 3, T, H, W), rng=seeded())
    full = made()
    shapes = {key: value.shape for key, value in full.state_dict().items()}
    assert {key: value.shape for key, value in blank.state_dict().items()} == shapes
    blank.load_state_dict(full.state_dict(), assign=True)
    z = draw(full, 5)
    assert torch.equal(blank(z, none(z)), full(z, none(z)))


def test_a_clip_of_as_few_frames_as_levels_is_enough():
    gen = made(y=clip(TINY.texture.levels))
    z = draw(gen, 30)
    assert gen(z, none(z)).isfinite().all()


@pytest.mark.parametrize(("height", "width"), [(9, 12), (8, 13)])
def test_frames_that_patches_do_not_tile_are_refused(height: int, width: int):
    with pytest.raises(UsageError, match=f"{height}x{width} frames are no multiples of 2 pixels"):
        made(y=clip(height=height, width=width))


def test_the_seed_decides_the_residual_alone():
    one, two, other = made(), made(), made(seed=1)
    assert torch.equal(one.unfold.weight, two.unfold.weight)
    assert not torch.equal(one.unfold.weight, other.unfold.weight)
    assert all(torch.equal(a, b) for a, b in zip(one.buffers(), other.buffers(), strict=True))


def test_a_residual_has_no_room_where_the_clip_stands_still():
    y = clip().clone()
    y[..., :6] = -1.0
    gen = made(WHOLE, y)
    z = draw(gen, 2)
    before = gen(z, none(z)).detach()
    with torch.no_grad():
        gen.to_pixels.bias.fill_(0.5)
    change = gen(z, none(z)).detach() - before
    assert change[..., :6].abs().max() == 0
    # Elsewhere the share is the pixel's own standard deviation over MOVING, at most 1.
    share = (y[0].std(1, correction=0, keepdim=True) / MOVING).clamp_max(1.0)
    torch.testing.assert_close(change, (0.5 * share).expand_as(change))
