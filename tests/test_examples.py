"""The procedural examples against the laws that they claim.

Every Monte Carlo bound here is derived: a statistic whose expectation is known is compared at 6 standard errors, where
the error comes from theory (a mean of n exponential variables has relative error 1/sqrt(n)) or from independent seeds.
Seeds are fixed, so nothing is flaky.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dyntex.errors import InputError, UsageError
from dyntex.examples import EXAMPLES, flag, fluid, make, ocean, picture, smoke
from dyntex.examples.example import Size

Array = NDArray[Any]
FPS = Fraction(25)


@pytest.fixture(autouse=True)
def coarse_smoke(monkeypatch: pytest.MonkeyPatch) -> None:
    """The solver costs what its own grid costs, whatever the clip's size: a coarse one shows the same physics."""
    monkeypatch.setattr(smoke, "_CELLS", 24)
    monkeypatch.setattr(smoke, "_MARGIN", 8)
    monkeypatch.setattr(smoke, "_BURN_IN", 2.0)


@pytest.fixture(params=EXAMPLES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def grid_wavenumbers(size: int, length: float, depth: float) -> tuple[Array, Array]:
    """k_x (to the right) and k_y (downwards) of numpy's own transform of a square frame."""
    cycles = np.fft.fftfreq(size, 1 / size)
    return (2 * np.pi / length * cycles)[None, :], (2 * np.pi / depth * cycles)[:, None]


def z_score(per_seed: list[float]) -> float:
    """How many standard errors the mean over independent seeds is from zero."""
    return float(np.mean(per_seed) / (np.std(per_seed, ddof=1) / np.sqrt(len(per_seed))))


# ---------------------------------------------------------------------------------------------- what every one keeps


def test_a_seed_names_one_clip_and_more_frames_continue_it(name: str) -> None:
    short = make(name, size=(16, 24), n_frames=4, seed=3)
    assert short.video.shape == (3, 4, 16, 24)
    assert torch.equal(make(name, size=(16, 24), n_frames=9, seed=3).video[:, :4], short.video)
    assert torch.equal(make(name, size=(16, 24), n_frames=1, seed=3).video, short.video[:, :1])


def test_no_two_seeds_share_a_picture(name: str) -> None:
    pictures = [make(name, size=16, n_frames=1, seed=seed).video for seed in range(7)]
    apart = [float(torch.mean((p - q) ** 2)) for i, p in enumerate(pictures) for q in pictures[:i]]
    assert min(apart) > np.mean(apart) / 5 > 1e-4


def test_the_global_random_state_is_neither_read_nor_written(name: str) -> None:
    np.random.seed(1)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    clip = make(name, size=16, n_frames=2)
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)  # type: ignore[index]
    np.random.seed(2)
    assert torch.equal(make(name, size=16, n_frames=2).video, clip.video)


def test_a_smaller_size_shows_the_same_scene(name: str) -> None:
    fine = make(name, size=64, n_frames=2, seed=1).video
    halved = torch.nn.functional.avg_pool2d(fine, 2)
    coarse, other = (make(name, size=32, n_frames=2, seed=seed).video for seed in (1, 2))
    assert torch.mean((halved - coarse) ** 2) < torch.mean((coarse - other) ** 2) / 16


def test_motion_is_smooth(name: str) -> None:
    video = make(name, size=32, n_frames=26).video
    step = torch.mean((video[:, 1:] - video[:, :-1]) ** 2)
    apart = torch.mean((video[:, 13:] - video[:, :-13]) ** 2)
    assert step < apart / 2  # independent frames would give 1, and footage of fire gives 0.3 to 0.6


def test_the_first_frames_have_the_law_of_the_last(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "_BURN_IN", 6.0)  # what it is
    clips = [make(name, size=16, n_frames=12, fps=Fraction(4), seed=seed).video for seed in range(7)]
    spread = [float(clip[:, :4].std() - clip[:, 8:].std()) for clip in clips]
    assert abs(z_score(spread)) < 6
    level = [float(clip[:, :4].mean() - clip[:, 8:].mean()) for clip in clips]
    # The mean of ripples and clouds is one constant, but for the clamp: no error to measure a deviation with.
    assert max(map(abs, level)) < 1e-3 if name in {"ripples", "clouds"} else abs(z_score(level)) < 6


def test_only_what_claims_it_is_stationary_in_space(name: str) -> None:
    energy = [make(name, size=16, n_frames=1, seed=seed).video ** 2 for seed in range(12)]
    upper_lower = z_score([float(e[..., :8, :].mean() - e[..., 8:, :].mean()) for e in energy])
    left_right = z_score([float(e[..., :8].mean() - e[..., 8:].mean()) for e in energy])
    if EXAMPLES[name].stationary_in_space:
        assert max(abs(upper_lower), abs(left_right)) < 6
    else:
        assert abs(upper_lower) > 6


def test_every_knob_does_something_and_its_ends_work(name: str) -> None:
    plain = make(name, size=16, n_frames=2).video
    for field in dataclasses.fields(EXAMPLES[name].parameters):
        assert field.metadata["low"] <= field.default <= field.metadata["high"]
        assert field.metadata["doc"]
        for end in ("low", "high"):
            value = field.metadata[end]
            changed = make(name, size=16, n_frames=2, **{field.name: value}).video
            assert (value == field.default) == torch.equal(changed, plain), (field.name, value)


def test_speed_and_rate_are_two_names_of_one_time_step(name: str) -> None:
    if name == "clouds":  # its knobs are rates themselves
        twice: dict[str, Any] = {"lifetime": 2.5 / 2, "wind": 0.15 * 2}
    else:
        twice = {"speed": 2 * EXAMPLES[name].parameters().speed}
    plain = make(name, size=16, n_frames=4, fps=Fraction(25))
    faster = make(name, size=16, n_frames=4, fps=Fraction(50), **twice)
    assert torch.allclose(plain.video, faster.video, atol=1e-5)
    assert (plain.fps, faster.fps) == (Fraction(25), Fraction(50))


def test_a_higher_rate_shows_more_of_the_same_motion() -> None:
    # Nothing is random in the sea after the first frame, so every second frame at 50 per second is the clip at 25.
    fast, slow = (make("ocean", size=16, n_frames=n, fps=Fraction(rate)) for n, rate in ((9, 50), (5, 25)))
    assert torch.allclose(fast.video[:, ::2], slow.video, atol=1e-5)


def test_words_that_are_wrong() -> None:
    with pytest.raises(InputError, match=r"did you mean 'ocean'.*smoke, flame"):
        make("ocaen")
    with pytest.raises(UsageError, match=r"no parameter 'wnd'; it has wind, "):
        make("ocean", wnd=5.0)
    for value in (np.nan, 2.9, "6"):
        with pytest.raises(UsageError, match="from 3 to 10"):
            make("ocean", wind=value)  # type: ignore[arg-type]
    for wrong, said in (
        ({"size": 7}, "7x7"),
        ({"size": (8, 65)}, "8x65"),
        ({"n_frames": 0}, "n_frames=0"),
        ({"fps": Fraction(0)}, "fps=0"),
        ({"seed": -1}, "seed=-1"),
    ):
        with pytest.raises(UsageError, match=said):
            make("ocean", **wrong)


def test_knobs_never_hide_an_argument_of_make() -> None:
    for example in EXAMPLES.values():
        knobs = {field.name for field in dataclasses.fields(example.parameters)}
        assert not knobs & {"name", "size", "n_frames", "fps", "seed"}


# ------------------------------------------------------------------------------------------------------------- ocean


def heights(parameters: ocean.OceanParameters, n_frames: int, seed: int, size: int) -> Array:
    """(T, N, N) Fourier coefficients of the height, per pixel, by numpy's own transform."""
    view = Size(size, size)
    waves = ocean.lattice(parameters, view)
    z = islice(ocean.amplitudes(parameters, waves, fps=FPS, rng=np.random.default_rng(seed)), n_frames)
    return np.fft.fft2([waves.field(a, view).real for a in z]) / size**2


def test_each_ocean_wave_keeps_its_own_time_and_goes_where_the_wind_blows() -> None:
    parameters = ocean.OceanParameters(direction=50.0, extent=60.0)
    h = heights(parameters, 6, 0, 32)
    kx, ky = grid_wavenumbers(32, 60.0, 60.0 / np.sin(np.deg2rad(25)))
    omega = np.sqrt(9.81 * np.hypot(kx, ky))
    for t in range(1, 6):
        # exp(i (k.x - omega t)) travels along k, and only waves down the wind are alive (y points down, angles go up)
        expected = h[0] * np.exp(-1j * omega * t / 25)
        seen = (kx * np.cos(np.deg2rad(50)) - ky * np.sin(np.deg2rad(50)) > 0) & (abs(h[0]) > 1e-3 * abs(h[0]).max())
        assert seen.sum() > 200
        assert abs(h[t][seen] / expected[seen] - 1).max() < 1e-9  # nothing random happens after the first frame


def test_ocean_waves_have_the_variance_of_the_spectrum() -> None:
    parameters = ocean.OceanParameters(wind=10.0, extent=200.0, direction=90.0)
    waves = ocean.lattice(parameters, Size(32, 32))
    # Pierson and Moskowitz's integral over all waves, alpha U^4 / (4 beta g^2). The lattice lacks the shortest,
    # 1 - exp(-beta g^2 / (k^2 U^4)) = 1.3 % beyond its nearest edge, and sums where the law integrates.
    whole = 8.1e-3 * 10.0**4 / (4 * 0.74 * 9.81**2)
    assert ocean.variance(parameters, waves).sum() == pytest.approx(whole, rel=0.03)
    # In a sample, |h_k|^2 / E|h_k|^2 is exponential with mean 1.
    sampled, expected = np.zeros((32, 32)), ocean_spectrum(32, wind=10.0, extent=200.0)
    for seed in range(12):
        sampled += abs(heights(parameters, 1, seed, 32)[0]) ** 2 / 12
    alive = expected > 1e-4 * expected.max()
    ratios = (sampled[alive] / expected[alive]).ravel()
    assert abs(ratios.mean() - 1) < 6 / np.sqrt(12 * alive.sum() / 2)  # k and -k are one wave


def ocean_spectrum(size: int, *, wind: float, extent: float) -> Array:
    """E|h_k|^2 for waves that travel up the frame, written from the paper without the library's lattice."""
    kx, ky = grid_wavenumbers(size, extent, extent / np.sin(np.deg2rad(25)))
    k = np.hypot(kx, ky)
    k[0, 0] = np.inf
    density = 8.1e-3 / 2 / k**3 * np.exp(-0.74 * 9.81**2 / (k**2 * wind**4)) / k * 2 / np.pi * (ky / k) ** 2
    density[:, size // 2] = density[size // 2] = 0.0  # the Nyquist frequency of this grid is left out
    d2k = (2 * np.pi / extent) ** 2 * np.sin(np.deg2rad(25))
    return np.asarray(density * d2k / 2)  # a cosine of variance S puts S/2 into each of k and -k


# --------------------------------------------------------------------------------------------- the two linear examples


def modes(name: str, seed: int, n_frames: int, channel: int, **knobs: Any) -> Array:
    """(T, 32, 32) Fourier coefficients of one colour of a clip."""
    video = make(name, size=32, n_frames=n_frames, seed=seed, **knobs).video[channel].numpy()
    return np.fft.fft2(video) / 32**2


def bands(k: Array, inside: Array) -> list[Array]:
    """The modes in three ranges of wavenumber, so that an error in an exponent cannot average out."""
    edges = np.quantile(k[inside], [0.0, 0.1, 0.4, 1.0])
    return [inside & (k >= low) & (k <= high) for low, high in pairwise(edges)]


def test_clouds_are_autoregressive_in_every_mode() -> None:
    knobs = {"scale": 0.5, "lifetime": 0.5, "wind": 0.4, "direction": 30.0}
    kx, ky = grid_wavenumbers(32, 1.0, 1.0)
    k2, k0 = kx**2 + ky**2, 2 * np.pi / 0.5
    decay = (np.sqrt(k2) / k0) ** (2 / 3) / 0.5
    omega = 0.4 * (kx * np.cos(np.pi / 6) - ky * np.sin(np.pi / 6))  # rows run downwards, angles upwards
    p = np.exp(-(decay + 1j * omega) / 25)
    # The whole law has 64 x 64 modes and unit variance; red is 0.1 of one field and 0.012 of another, on [-1, 1].
    all_kx, all_ky = (2 * np.pi * a for a in np.meshgrid(np.arange(-32, 33), np.arange(-32, 33)))
    norm = np.sum((all_kx**2 + all_ky**2 + k0**2) ** (-11 / 6)) - k0 ** (-11 / 3)
    expected = 4 * (0.1**2 + 0.012**2) * (k2 + k0**2) ** (-11 / 6) / norm
    y = modes("clouds", 0, 400, 0, **knobs)
    inside = half_plane(kx, ky)
    innovation = y[1:] - p * y[:-1]
    for band in bands(np.sqrt(k2), inside):
        n = 399 * band.sum()
        shocks = innovation[:, band] / np.sqrt(expected * (1 - abs(p) ** 2))[band]
        past = y[:-1, band] / np.sqrt(expected)[band]
        assert abs(np.mean(abs(shocks) ** 2) - 1) < 6 / np.sqrt(n)
        assert abs(np.mean(shocks * past.conj())) < 6 / np.sqrt(n)  # news is orthogonal to the past
    # The first frame is already stationary: over seeds, |y_k|^2 / E is exponential with mean 1.
    first = np.mean([abs(modes("clouds", seed, 1, 0, **knobs)[0]) ** 2 for seed in range(12)], axis=0)
    assert abs((first / expected)[inside].mean() - 1) < 6 / np.sqrt(12 * inside.sum())


def test_ripples_oscillate_and_decay_as_water_does() -> None:
    # Ripples so fine, and frames so far apart, that surface tension and viscosity show: 8 % of omega^2, half the decay.
    knobs = {"extent": 0.5, "wavelength": 0.06, "lifetime": 20.0, "light": 0.0, "speed": 4.0, "fps": Fraction(2)}
    kx, ky = grid_wavenumbers(32, 0.5, 1.0)  # seen at 30 degrees
    k = np.hypot(kx, ky)
    pole = np.exp(-(1 / 20.0 + 2e-6 * k**2 + 1j * np.sqrt(9.81 * k + 7.28e-5 * k**3)) * 2.0)
    inside = half_plane(kx, ky) & (abs(np.log(k * 0.06 / (2 * np.pi) + 1e-9)) < 2 * 0.35)
    clips = [modes("ripples", seed, 150, 0, **knobs) for seed in range(12)]
    expected = ripples_spectrum(kx, ky, extent=0.5, wavelength=0.06)
    power = [float(np.mean((abs(y) ** 2 / expected)[:, inside]) - 1) for y in clips]
    assert abs(z_score(power)) < 6
    assert np.std(power) < 0.05  # else the bound says nothing
    for lag in (1, 2):
        predicted = (pole**lag).real  # the autocorrelation of a real mode, half of which goes with k and half with -k
        for band in bands(k, inside):
            errors = [
                float(np.mean((((y[lag:] * y[:-lag].conj()).real / expected - predicted) * predicted)[:, band]))
                for y in clips
            ]
            assert abs(z_score(errors)) < 6
            assert np.std(errors) < 0.05


def ripples_spectrum(kx: Array, ky: Array, *, extent: float, wavelength: float) -> Array:
    """E|y_k|^2 of red for light from the right: -0.085 of the slope along x, -0.012 of that along y, on [-1, 1]."""
    i = np.arange(-40, 41)
    every_k = 2 * np.pi * np.hypot(i[None, :], i[:, None] / 2) / extent
    every_k[40, 40] = 1e9  # the mean level

    def slope(k: Array) -> Array:
        return np.asarray(np.exp(-0.5 * (np.log(k * wavelength / (2 * np.pi)) / 0.35) ** 2) / k**2)

    k = np.hypot(kx, ky)
    k[0, 0] = 1e9
    height = 2 * slope(k) / slope(every_k).sum() / k**2
    return np.asarray(np.maximum(4 * (0.085 * kx + 0.012 * ky) ** 2 * height, 1e-30))


def half_plane(kx: Array, ky: Array) -> Array:
    """One of each pair k, -k, without the Nyquist frequency: the independent coefficients of a real frame."""
    half = (kx > 0) | ((kx == 0) & (ky > 0))
    return np.asarray(half & (abs(kx) < abs(kx).max()) & (abs(ky) < abs(ky).max()))


@pytest.mark.parametrize("name", ["ripples", "clouds"])
def test_linear_examples_leave_the_range_only_beyond_four_deviations(name: str) -> None:
    # Else the clamp would make them nonlinear; P(|N| > 4) is 6e-5, and turning the hue must not change that much.
    for hue in (-0.5, -0.3, -0.1, 0.0, 0.2, 0.4):
        video = make(name, size=64, n_frames=20, hue=hue).video
        assert (video.abs() == 1.0).float().mean() < 2e-4


# ------------------------------------------------------------------------------------------------------ fluid, smoke


def random_flow(seed: int, shape: tuple[int, int] = (24, 31)) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape), rng.standard_normal(shape)


def derivative(field: Array, axis: int) -> Array:
    """By numpy's transform, the Nyquist frequency left out."""
    n = field.shape[axis]
    k = 2j * np.pi * np.fft.fftfreq(n)
    if n % 2 == 0:
        k[n // 2] = 0.0
    return np.fft.ifft(np.fft.fft(field, axis=axis) * (k[:, None] if axis == 0 else k), axis=axis).real


def test_projection_leaves_no_divergence_and_nothing_else_out() -> None:
    u, v = random_flow(0)
    pu, pv = fluid.project(u, v)
    assert abs(derivative(pu, 1) + derivative(pv, 0)).max() < 1e-12
    potential = random_flow(1)[0]  # what was removed is a gradient: its curl is zero
    assert abs(derivative(v - pv, 1) - derivative(u - pu, 0)).max() < 1e-12
    gone = fluid.project(derivative(potential, 1), derivative(potential, 0))
    assert max(abs(gone[0]).max(), abs(gone[1]).max()) < 1e-12
    assert pu.mean() == pytest.approx(u.mean(), abs=1e-14)  # the mean wind stays


def test_advection_carries_downstream() -> None:
    field = random_flow(2)[0]
    one = np.ones_like(field)
    assert np.allclose(fluid.advect(field, 3 * one, -2 * one, dt=1.0), np.roll(field, (-2, 3), (0, 1)), atol=1e-12)
    quarter = fluid.advect(field, 0.5 * one, 0 * one, dt=0.5)
    assert np.allclose(quarter, 0.75 * field + 0.25 * np.roll(field, 1, 1), atol=1e-12)
    u, v = random_flow(3)
    carried = fluid.advect(field, 5 * u, 5 * v, dt=1.0)
    assert field.min() <= carried.min() <= carried.max() <= field.max()
    assert np.allclose(fluid.advect(one, u, v, dt=9.0), 1.0, atol=1e-12)
    assert np.allclose(fluid.advect(field, 3 * one, 0 * one, dt=1.0, order=3), np.roll(field, 3, 1), atol=1e-10)


def test_confinement_pushes_an_eddy_round() -> None:
    y, x = np.mgrid[-15:16, -15:16].astype(float)
    swirl = np.exp(-(x**2 + y**2) / 50)
    for sense in (1.0, -1.0):
        u, v = -sense * y * swirl, sense * x * swirl
        fx, fy = fluid.confine(u, v)
        ring = (np.hypot(x, y) > 2) & (np.hypot(x, y) < 6)  # where |omega| falls outwards
        assert (fx * u + fy * v)[ring].min() > 0
        omega = sense * (2 - 2 * (x**2 + y**2) / 50) * swirl  # and |f| = |omega|, to the central difference's error
        assert np.allclose(np.hypot(fx, fy)[ring], abs(omega)[ring], atol=0.05)


def test_smoke_flows_without_divergence_rises_and_stays_positive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "_BURN_IN", 6.0)  # long enough for smoke to reach the seam
    parameters = smoke.SmokeParameters()
    states = list(islice(smoke.simulate(parameters, Size(24, 24), fps=FPS, rng=np.random.default_rng(0)), 0, 60, 6))
    for air in states:
        speed = np.hypot(air.u, air.v).max()
        assert abs(derivative(air.u, 1) + derivative(air.v, 0)).max() < 1e-12 * speed
        assert air.density.min() >= 0.0
    density, v = (np.stack([getattr(air, what) for air in states]) for what in ("density", "v"))
    assert np.sum(density * v) / density.sum() < -0.2 * 24  # upwards, more than a fifth of a frame per second
    assert density[:, :2].mean() < 0.03 * density[:, 8:-8].mean()  # none crosses the seam of the box


def test_wind_carries_the_smoke_sideways() -> None:
    for wind in (-0.15, 0.15):
        view = [
            make("smoke", size=24, n_frames=1, seed=seed, wind=wind, thickness=0.5).video[0, 0].numpy() + 1
            for seed in range(6)
        ]
        across = np.mean(view, axis=(0, 1))
        centre = np.sum(across * (np.arange(24) - 11.5)) / across.sum()
        assert centre * np.sign(wind) > 1.0  # cells of 24


# ------------------------------------------------------------------------------------------------------------- flame


def test_the_bowl_stands_still_and_the_fire_above_it_moves() -> None:
    clips = [make("flame", size=64, n_frames=40, seed=seed).video.numpy() for seed in (0, 1)]
    bowl = [clip[:, :, 58:, 22:42] for clip in clips]
    assert np.ptp(bowl[0], axis=1).max() == 0.0
    assert np.array_equal(bowl[0], bowl[1])
    assert bowl[0].std() > 0.05  # it is a thing, not blackness
    assert clips[0][:, :, 30:52, 24:40].std(axis=1).mean() > 0.1


def test_flames_rise_at_the_stated_speed() -> None:
    # Over 2 frames 0.9 sides/s is 0.9 x 64 x 2 / 25 = 4.6 pixels. The envelope stands still: its mean goes first, and
    # what it still does to the tongues can only hold them back.
    red_green = make("flame", size=64, n_frames=150, seed=0).video[:2].sum(0).numpy()
    moving = (red_green - red_green.mean(axis=0))[:, 14:50, 20:44]
    similarity = [np.mean(moving[2:, 10:26] * moving[:-2, 10 + rise : 26 + rise]) for rise in range(-10, 11)]
    best = int(np.argmax(similarity))
    before, at, after = similarity[best - 1 : best + 2]
    rise = best - 10 + 0.5 * (before - after) / (before - 2 * at + after)  # the top of a parabola through three points
    assert 0.7 * 4.6 < rise <= 4.6


# -------------------------------------------------------------------------------------------------------------- flag


def upper_edge(seed: int, *, n_frames: int, size: int, **knobs: float) -> Array:
    """(T, columns) rows from the top of the frame to the cloth, in pixels, with the sky left of the pole as a ruler."""
    video = make("flag", size=size, n_frames=n_frames, seed=seed, **knobs).video.numpy()
    cloth = abs(video - video[..., :1]).sum(axis=0) > 0.5
    return np.asarray(cloth.argmax(axis=1), dtype=float)


def test_sky_and_pole_stand_still_and_the_flag_does_not() -> None:
    clips = [make("flag", size=64, n_frames=30, seed=seed).video.numpy() for seed in (0, 1)]
    for still in (np.s_[:, :, :, :6], np.s_[:, :, 60:, :], np.s_[:, :, :, 62:]):
        assert np.ptp(clips[0][still], axis=1).max() == 0.0
        assert np.array_equal(clips[0][still], clips[1][still])
    assert clips[0][:, :, 10:44, 30:54].std(axis=1).mean() > 0.1


def test_the_cloth_is_lifted_more_the_further_it_is_from_the_pole() -> None:
    # One independent frame a seed: 60 values of a Gaussian of deviation amplitude (1 - exp(-3 u)), rounded to pixels.
    edges = np.stack([upper_edge(seed, n_frames=1, size=64, amplitude=0.06)[0] for seed in range(60)])
    for column in (12, 24, 36, 50):
        u = (column + 0.5) / 64 - 0.10
        expected = np.hypot(64 * 0.06 * (1 - np.exp(-3 * u)), 1 / np.sqrt(12))
        # A deviation of 60 values has a relative error of 1 / sqrt(120): three of them.
        assert edges[:, column].std(ddof=1) == pytest.approx(expected, rel=0.28), column


@pytest.mark.parametrize("wind", [0.4, 1.2])
def test_waves_run_to_the_free_end_with_the_wind(wind: float) -> None:
    edges = np.stack([upper_edge(seed, n_frames=60, size=128, wind=wind) for seed in range(3)])[:, :, 40:110]
    waves = edges - edges.mean(axis=(0, 1))
    lag = 3
    ahead = [np.mean(waves[:, lag:, 20:50] * waves[:, :-lag, 20 - d : 50 - d]) for d in range(0, 20)]
    # Pixels in 3 frames; what grows towards the free end, and dies on the way, moves the peak by a pixel or two.
    assert int(np.argmax(ahead)) == pytest.approx(wind * 128 * lag / 25, abs=2.5)


def test_each_wave_of_the_cloth_has_its_own_pole_and_variance() -> None:
    parameters = flag.FlagParameters(wavelength=0.4, wind=0.9)
    waves = flag.lattice(Size(32, 32))
    decay, omega = flag.rates(parameters, waves)
    cycles = np.arange(-16, 17)
    kx, ky = 2 * np.pi * cycles[None, :], 2 * np.pi * cycles[:, None]
    k = np.hypot(kx, ky)
    assert np.allclose(decay, 0.5 + 0.9 * k / (4 * np.pi))
    assert np.allclose(omega, 0.9 * kx)  # odd in k: all travel to the right
    s = flag.variance(parameters, waves)
    assert s.sum() == pytest.approx(1.0)
    at = {(m, n): s[16 + m, 16 + n] for m, n in ((0, 2), (0, -2), (0, 4), (2, 2))}
    # k S k is log-normal around one wave in 0.4, of deviation 0.4, and spread by 0.3 radians.
    assert at[0, 2] == pytest.approx(at[0, -2])
    octaves = (np.log(np.array([2, 4]) * 0.4) / 0.4) ** 2 / 2
    assert at[0, 4] / at[0, 2] == pytest.approx(np.exp(octaves[0] - octaves[1]) / 4)
    diagonal = (np.log(np.sqrt(8) * 0.4) / 0.4) ** 2 / 2 + (np.pi / 4 / 0.3) ** 2 / 2
    assert at[2, 2] / at[0, 2] == pytest.approx(np.exp(octaves[0] - diagonal) / 2)


# ----------------------------------------------------------------------------------------------------------- pictures


def test_resampling_keeps_constants_ramps_and_pixels() -> None:
    frame = np.random.default_rng(0).random((12, 9, 3))
    assert np.array_equal(picture.resample(frame, Size(12, 9)), frame)
    assert np.allclose(picture.resample(np.ones((12, 9, 3)), Size(5, 31)), 1.0)
    ramp = np.broadcast_to(np.arange(12.0)[:, None, None], (12, 9, 3))
    for rows in (6, 24):  # away from the border, a ramp is sampled at the pixels' centres
        inner = slice(rows // 6, -(rows // 6))
        expected = (np.arange(rows) + 0.5) * 12 / rows - 0.5
        assert np.allclose(picture.resample(ramp, Size(rows, 9))[inner, 4, 0], expected[inner])


def test_hue_turns_red_to_green_to_blue() -> None:
    red = (0.9, 0.1, 0.1)
    assert np.allclose(picture.turn_hue(red, 0.0), red)
    assert np.allclose(picture.turn_hue(red, 1 / 3), (0.1, 0.9, 0.1))
    assert np.allclose(picture.turn_hue(red, -1 / 3), (0.1, 0.1, 0.9))
    assert np.allclose(picture.turn_step(red, (0.0, 0.2, 0.2), 1 / 3), (0.2, 0.0, 0.2))


def test_a_gradient_goes_through_its_stops() -> None:
    black, red = np.zeros(3), np.array([1.0, 0.0, 0.0])
    colours = picture.gradient(np.array([-1.0, 0.5, 0.75, 9.0]), [(0.5, black), (1.0, red)])
    assert np.allclose(colours, [black, black, red / 2, red])
