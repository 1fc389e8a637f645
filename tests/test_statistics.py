"""The statistics against closed forms, over known degradations, and on a process of known law."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import combinations, pairwise, product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance
from torch import Tensor

from dyntex.benchmarks.degradations import DEGRADATIONS, blurred, degrade, ghost
from dyntex.benchmarks.metrics.statistics import (
    STATISTICS,
    Yardstick,
    calibrate,
    copy_distance,
    distances,
    diversity,
    dynamics,
    filters,
    score,
    stills,
)
from dyntex.benchmarks.metrics.statistics.edges import edges
from dyntex.clip import Clip
from dyntex.errors import InputError

SIDE, FRAMES = 32, 64
LEVEL = 2 / 255


def clip(video: Tensor) -> Clip:
    return Clip(video.float().clamp(-1, 1).contiguous(), Fraction(25))


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def process(seed: int, n_frames: int = FRAMES) -> Clip:
    """A stationary process of known law: sparse warm blobs that rise and dissolve above a still, textured floor.

    A Gaussian field whose Fourier modes are AR(1) (memory 0.6 a frame, so that 64 frames hold some twenty independent
    looks) and travel upwards by 1 pixel a frame, cut at a fifth of a deviation and squared: sparse, as fire is.
    """
    fy, fx = torch.fft.fftfreq(SIDE).view(-1, 1), torch.fft.fftfreq(SIDE).view(1, -1)
    amplitude = torch.exp(-(fx**2 + fy**2) / (2 * 0.14**2))
    amplitude = amplitude / amplitude.square().mean().sqrt()
    memory = torch.polar(torch.tensor(0.6), 2 * math.pi * fy)
    shocks = amplitude * torch.fft.fft2(torch.randn(n_frames, SIDE, SIDE, generator=generator(seed)))
    modes = [shocks[0]]
    for shock in shocks[1:]:
        modes.append(memory * modes[-1] + math.sqrt(1 - 0.6**2) * shock)
    heat = (torch.fft.ifft2(torch.stack(modes)).real - 0.2).clamp(min=0).square().clamp(max=1)
    floor = torch.rand(SIDE // 4, SIDE, generator=generator(1234)) * 0.4 - 0.6
    video = torch.stack([2 * heat - 0.9, 1.6 * heat - 0.9, 0.8 * heat - 0.8])
    video[:, :, -SIDE // 4 :] = floor
    return clip(video)


@pytest.fixture(scope="module")
def real() -> Clip:
    return process(0, 4 * FRAMES)


@pytest.fixture(scope="module")
def train(real: Clip) -> Clip:
    return real.segment(0, FRAMES)


@pytest.fixture(scope="module")
def heldout(real: Clip) -> Clip:
    return real.segment(FRAMES, FRAMES)


@pytest.fixture(scope="module")
def yardstick(train: Clip, heldout: Clip) -> Yardstick:
    return calibrate(train, heldout)


# --- what every distance promises ------------------------------------------------------------------------------------


def test_identical_clips_are_at_zero_and_the_order_does_not_matter(train: Clip, heldout: Clip) -> None:
    assert set(distances(train, train).values()) == {0.0}
    forth, back = distances(train, heldout), distances(heldout, train)
    assert all(value > 0 for value in forth.values())
    assert forth == pytest.approx(back, rel=1e-6)  # |x - y| = |y - x| up to the order of a sum


def test_the_order_of_frames_is_invisible_to_stills_and_plain_to_the_rest(train: Clip, heldout: Clip) -> None:
    shuffled = clip(train.video[:, torch.randperm(FRAMES, generator=generator(3))])
    found, natural = distances(shuffled, train), distances(train, heldout)
    # Sums of the same float32 numbers in another order: 1e-5 is some hundred roundings.
    assert max(found[name] for name in ("appearance", "layout", "colour")) < 1e-5
    for name in ("motion", "direction", "spectrum", "autocorrelation", "change", "flicker"):
        assert found[name] > natural[name], name


def test_stills_rhythm_memory_and_change_ignore_the_arrow_of_time(train: Clip) -> None:
    found = distances(clip(train.video.flip(1)), train)
    blind = set(STATISTICS) - {"motion", "direction", "burstiness"}
    assert max(found[name] for name in blind) < 1e-5
    # Opponent energies change sign: sum |2 o| / (sum |o| + LEVEL) is 2 but for the constant entry.
    assert 1.95 < found["direction"] <= 2.0
    assert found["motion"] > 0.1


def test_one_channel_odd_sizes_and_unequal_lengths_are_welcome() -> None:
    grey = clip(process(0).video[:1, :, :37, :45])
    assert set(distances(grey, grey).values()) == {0.0}
    assert all(0 < value < 2 for value in distances(grey.segment(0, 24), grey.segment(24, 40)).values())


# --- closed forms, one per statistic ---------------------------------------------------------------------------------


def flat(levels: Tensor, channels: int = 1) -> Clip:
    """Frames of one value each."""
    return clip(levels.view(1, -1, 1, 1).expand(channels, -1, 32, 32))


def test_colour_of_a_brightness_shift_in_closed_form() -> None:
    # Along a unit direction d a shift by s (1, 1, 1) is |sum d| s, and in each cell's channels it is s.
    found = distances(flat(torch.zeros(16), 3), flat(torch.full((16,), 0.3), 3))["colour"]
    slices = [v for v in product((-1, 0, 1), repeat=3) if v > (0, 0, 0)]
    assert len(slices) == 13
    along = [abs(sum(v)) / math.sqrt(sum(x * x for x in v)) for v in slices]
    assert found == pytest.approx(0.3 * (sum(along) / 13 + 1) / 2, rel=1e-5)


def test_colour_is_the_wasserstein_distance() -> None:
    a = torch.rand(1, 32, 64, 64, generator=generator(0)) - 0.5
    b = (torch.rand(1, 32, 64, 64, generator=generator(1)) - 0.5) ** 3
    # Pixels are independent, so the whole and all cells have one law, which scipy measures on all pixels. Cells hold
    # 8192 values: their quantiles err by up to .5/sqrt(8192) = .006, which is 4 % of .15 and averages out over 16;
    # 32 mid-points of a smooth quantile function err by less.
    expected = wasserstein_distance(a.flatten().numpy(), b.flatten().numpy())
    assert distances(clip(a), clip(b))["colour"] == pytest.approx(expected, rel=0.02)


def test_change_and_flicker_of_a_blink_in_closed_form() -> None:
    # Brightness alternates by s: every |y(t+1) - y(t)| is s, and steps over 2, 4 and 8 frames are nil.
    s = 0.2
    found = distances(flat(torch.tensor([0.0, s] * 12)), flat(torch.zeros(24)))
    assert found["change"] == pytest.approx(0.5 * math.log(1 + (s / (2 * LEVEL)) ** 2), rel=1e-4)
    assert found["flicker"] == pytest.approx(math.log(1 + s / (LEVEL / 2)) / 4, rel=1e-4)
    # A uniform blink has no contrast, no place and no direction.
    for name in ("appearance", "layout", "motion", "direction", "burstiness"):
        # Filters whose taps sum to 1e-7 times their size answer with rounding errors, a thousandth of a grey level.
        assert found[name] == pytest.approx(0, abs=2e-3), name


def test_spectrum_of_white_noise_is_its_variance_at_every_frequency() -> None:
    std = 0.4
    frames = torch.randn(1, 64, 64, 64, generator=generator(0)) * std
    (log_power,) = dynamics.spectrum(filters.look(Clip(frames.clamp(-1, 1), Fraction(25))))
    # Clamping at 2.5 sigma leaves .9742 of the variance; filters of unit norm keep it, complex ones whole; half the
    # resolution quarters it: scales get 1, 1/4, 1/16 and the rest 1/64. Both signs of a frequency count: times 2.
    # The coarsest rows average about 64 values x 7 windows, a relative error of 7 %; 0.3 is four of them, and half
    # of the smallest mistake, a factor 2.
    variance = 0.9742 * std**2
    for row, quarterings in zip(log_power, range(4), strict=True):
        expected = math.log(2 * variance / 4**quarterings + LEVEL**2)
        # The first frequency loses some power to the removed mean.
        assert (row[1:] - expected).abs().max() < 0.3, quarterings
        assert row[1:].mean().item() == pytest.approx(expected, abs=0.1)


def test_autocorrelation_of_an_ar1_process_in_closed_form() -> None:
    memory, frames = 0.7, [torch.randn(32, 32, generator=generator(0))]
    rng = generator(1)
    for _ in range(199):
        frames.append(memory * frames[-1] + math.sqrt(1 - memory**2) * torch.randn(32, 32, generator=rng))
    shapes = dynamics.autocorrelation(filters.look(clip(0.2 * torch.stack(frames).unsqueeze(0))))
    # E (y(t + lag) - y(t))^2 = 2 var (1 - memory^lag). A cell averages 64 pixels x 200 frames, about 2300 independent
    # values: 3 %; all cells .75 %, four of which are 3 %.
    law = 1 - memory ** torch.arange(1.0, 9.0)
    assert shapes[0].shape == (8, 16)
    torch.testing.assert_close(shapes[0].mean(dim=1), law / law.mean(), rtol=0.03, atol=0)


def test_burstiness_of_gaussian_noise_is_that_of_a_rayleigh_law() -> None:
    # |r| of a circular complex Gaussian: E m / sqrt(E m^2) = sqrt(pi) / 2. The real and imaginary parts of the
    # filters have nearly equal power, but not under the mirrored borders, a sixth of the coarsest frame: .012 of 0.12.
    noise = clip(0.25 * torch.randn(1, 64, 64, 64, generator=generator(0)))
    groups = dynamics.burstiness(filters.look(noise))
    for k, group in enumerate(groups):
        std = 0.25 / 2 ** (k // 2)  # two groups a scale, and halving the resolution halves the deviation
        expected = math.log((std * math.sqrt(math.pi) / 2 + LEVEL) / (std + LEVEL))
        assert group.mean().item() == pytest.approx(expected, abs=0.012)


def grating(angle: float, speed: float, n_frames: int = 24) -> Clip:
    """Wavelength 4 pixels, travelling by ``speed`` pixels a frame."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    along = x * math.cos(angle) + y * math.sin(angle)
    t = torch.arange(n_frames).view(-1, 1, 1)
    return clip(0.5 * torch.cos(math.pi / 2 * (along - speed * t)).unsqueeze(0))


def test_filters_answer_to_their_own_orientation_and_to_no_flat_image() -> None:
    for k in range(filters.N_ORIENTATIONS):
        response = filters.look(grating(math.pi * k / filters.N_ORIENTATIONS, 0.0)).oriented[0][0]
        energy = response.abs()[:, 0, 8:-8, 8:-8]
        assert int(energy.mean(dim=(1, 2)).argmax()) == k
        # In quadrature: the modulus ignores the phase. Seven taps cut the Gaussian at 2 sigma, which leaves a few %.
        assert energy[k].std() < 0.04 * energy[k].mean()
    assert max(float(level.abs().max()) for level in filters.look(flat(torch.full((16,), 0.7))).oriented) < 1e-6


def test_filters_tell_which_way_and_how_fast_a_grating_travels() -> None:
    # One pixel a frame at wavelength 4 is period 4 (the first temporal filter), half a pixel is period 8 (the second).
    for column, speed in ((0, 1.0), (1, 0.5)):
        there = filters.look(grating(0.0, speed)).moving[0][0].mean(dim=(2, 3, 4))  # (periods, directions)
        back = filters.look(grating(0.0, -speed)).moving[0][0].mean(dim=(2, 3, 4))
        # Motion along the filter's own axis turns the phase backwards in time: the second direction.
        assert there.argmax() == 2 * column + 1
        assert there[column, 1] > 5 * there[column, 0]
        torch.testing.assert_close(back, there.flip(1), rtol=1e-2, atol=1e-3)
    still = filters.look(grating(0.0, 0.0)).moving[0]
    assert still.max() < 1e-5


def test_second_layer_sees_how_contrast_is_arranged() -> None:
    # Noise in stripes of 4 pixels: half resolution makes them a contrast grating of wavelength 4, the filters' own.
    # The carrier is the same either way, so the first layer hardly tells vertical stripes from horizontal ones.
    noise = 0.3 * torch.randn(1, 16, 64, 64, generator=generator(0))
    stripes = (torch.arange(64) // 4 % 2).float()
    for orientation, mask in ((0, stripes.view(1, -1)), (2, stripes.view(-1, 1))):
        first, second = stills.appearance(filters.look(clip(noise * mask)))[:2]
        arranged = second[:16].view(4, 4).mean(dim=0)
        assert int(arranged.argmax()) == orientation
        assert arranged.max() > 1.5 * arranged.median()
        assert first[:4].max() < 1.3 * first[:4].min()


def test_a_negative_differs_in_colour_and_in_bright_against_dark_alone(train: Clip, heldout: Clip) -> None:
    found, natural = distances(clip(-train.video), train), distances(train, heldout)
    for name, value in found.items():
        if name in ("appearance", "colour"):
            assert value > natural[name], name
        else:
            assert value < 1e-5, name


def stripes(n: int, contrast: float = 1.0) -> Tensor:
    """(1, 16, 64, 64): ``n`` black and white gratings of 16 pixels on each other, at angles that are far apart."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    angles = [math.pi * k / n for k in range(n)]
    waves = [torch.sin(2 * math.pi / 16 * (x * math.cos(a) + y * math.sin(a))).sign() for a in angles]
    return (contrast * sum(waves, torch.zeros_like(x)) / n * 0.8).expand(1, 16, 64, 64)


def test_edges_tell_one_edge_from_two_sharp_from_soft_and_few_from_many() -> None:
    def of(video: Tensor) -> tuple[float, float, float]:
        """Coherence and sparsity at full resolution, and the sharpness there."""
        frames = edges(filters.look(clip(video)))[0]
        assert frames.shape == (9,)  # coherence and sparsity at 3 scales, sharpness of each against the next
        return float(frames[0]), float(frames[1]), float(frames[6])

    one, many, soft = of(stripes(1)), of(stripes(2)), of(blurred(stripes(1), 2.0))
    assert one[0] > 0.97  # a straight edge has one direction wherever it is looked at
    assert many[0] < 0.9 * one[0]  # where edges cross there are two
    assert soft[2] < one[2] - 0.5
    # Central differences answer on 2 columns of each 8, by one value: E|g| / rms g is the root of the share.
    assert one[1] == pytest.approx(0.5 * math.log(2 / 8), abs=0.1)
    assert of(0.2 * torch.randn(1, 16, 64, 64, generator=generator(0)))[1] > one[1] + 0.3


def test_edges_ignore_contrast() -> None:
    noise = 0.05 * torch.randn(1, 16, 64, 64, generator=generator(1))
    plain, faint = (edges(filters.look(clip(c * (stripes(2) + noise)))) for c in (1.0, 0.5))
    for a, b in zip(plain, faint, strict=True):
        # What is left is the quarter of a grey level that is added; half the contrast is log(2) = .7 of an energy.
        torch.testing.assert_close(a, b, atol=0.06, rtol=0)


def test_layout_sees_where_and_appearance_does_not(train: Clip) -> None:
    # Half a turn of the frame: the same content elsewhere (but for what crosses the borders).
    turned = distances(clip(train.video.roll(SIDE // 2, dims=2)), train)
    assert turned["layout"] > 5 * turned["appearance"]


# --- more of a known degradation is further away ----- -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "seen_by"),
    [
        ("blur", ["appearance", "layout", "motion", "edges"]),
        ("noise", ["appearance", "layout", "colour", "burstiness", "change", "flicker", "edges"]),
        ("colour shift", ["colour"]),
        ("freezing", ["motion", "spectrum", "change", "autocorrelation", "flicker"]),
        ("fading", ["appearance", "layout", "colour", "motion", "spectrum", "change", "flicker"]),
        ("speed", ["motion", "spectrum", "change", "autocorrelation", "flicker"]),
        ("ghosting", ["appearance", "burstiness", "change", "colour", "edges"]),
    ],
)
def test_more_of_a_degradation_is_further_away(
    name: str, seen_by: list[str], real: Clip, train: Clip, yardstick: Yardstick
) -> None:
    made = [degrade(real, name, amount, n_frames=FRAMES, seed=5) for amount in DEGRADATIONS[name]]
    steps, scores = [distances(clip, train) for clip in made], [yardstick.score(clip) for clip in made]
    for seen in seen_by:
        values = [step[seen] for step in steps]
        assert all(b > 1.05 * a for a, b in pairwise(values)), (seen, values)
        # The largest amount is not a matter of chance: further than real from real.
        assert scores[-1].ratios[seen] > 1.2, (seen, scores[-1])
    # And the headline rises from that of the clip as it is.
    assert all(b > a for a, b in pairwise([yardstick.score(train).value, *(score.value for score in scores)]))


# --- the score on a process of known law -----------------------------------------------------------------------------


def blocks_of(clip: Clip, describe: Any) -> np.ndarray:
    """(4, entries) of the four blocks of 16 frames."""
    parts = [Clip(clip.video[:, t : t + 16].contiguous(), clip.fps) for t in range(0, 64, 16)]
    return np.stack([torch.cat([g.flatten() for g in describe(filters.look(part))]).numpy() for part in parts])


@pytest.mark.parametrize("name", ["flicker", "edges"])
def test_the_unit_is_the_mean_over_all_ways_to_deal_real_blocks(
    name: str, train: Clip, heldout: Clip, yardstick: Yardstick
) -> None:
    describe = {"flicker": dynamics.flicker, "edges": edges}[name]
    noise = torch.randn(heldout.video.shape, generator=generator(0)) * (LEVEL / 2)
    learnt, held, noisy = (blocks_of(c, describe) for c in (train, heldout, clip(heldout.video + noise)))
    real = np.concatenate([learnt, held])
    unseen = abs((noisy - held).mean(axis=0))
    variance = real.var(axis=0, ddof=1) + (2 * unseen) ** 2
    spread = np.sqrt(variance + 0.01 * variance.mean())

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float((abs(a.mean(axis=0) - b.mean(axis=0)) / spread).mean())

    hands = [list(hand) for hand in combinations(range(8), 4)]
    dealt = [apart(real[hand], np.delete(real, hand, axis=0)) for hand in hands]
    assert yardstick.real[name] == pytest.approx(float(np.mean(dealt)), rel=1e-4)
    found = yardstick.score(process(7))
    assert found.distances[name] == pytest.approx(apart(blocks_of(process(7), describe), held), rel=1e-4)
    # One of the 70 is that of the segments themselves: the training segment's ratio.
    assert yardstick.score(train).ratios[name] == pytest.approx(dealt[0] / float(np.mean(dealt)), rel=1e-4)


def test_real_segments_have_a_z_near_zero_and_a_score_near_one(real: Clip) -> None:
    values = []
    for start in (0, 64, 128):
        train, heldout = real.segment(start, 64), real.segment((start + 64) % 256, 64)
        found = calibrate(train, heldout).score(train)
        assert abs(found.z) < 3
        values.append(found.value)
    assert 0.7 < math.prod(values) ** (1 / 3) < 1.4


def test_the_headline_is_the_geometric_mean(heldout: Clip, yardstick: Yardstick) -> None:
    found = yardstick.score(process(7))
    assert len(found.ratios) == 11
    assert found.value**11 == pytest.approx(math.prod(d / yardstick.real[n] for n, d in found.distances.items()))
    assert found.z == pytest.approx((math.log(found.value) - yardstick.level) / yardstick.deviation)
    same = yardstick.score(heldout)
    assert same.value == 0.0
    assert math.isfinite(same.z)


def test_what_keeps_still_counts_more_than_what_varies() -> None:
    # The brightness of a texture differs from block to block, its grain does not: a tenth off in either is not alike.
    rng = generator(0)
    levels = torch.tensor([-0.3, 0.1, 0.3, -0.1, 0.2, -0.2, 0.0, 0.25]).repeat_interleave(16)
    video = 0.2 * torch.randn(3, 128, SIDE, SIDE, generator=rng) + levels.view(-1, 1, 1)
    bright, coarse = video[:, :64] + 0.05, blurred(video[:, :64] - levels[:64].view(-1, 1, 1), 0.4)
    yardstick = calibrate(clip(video[:, :64]), clip(video[:, 64:]))
    assert yardstick.score(clip(bright)).ratios["colour"] < 1.3
    assert yardstick.score(clip(coarse + levels[:64].view(-1, 1, 1))).ratios["appearance"] > 3


def test_fresh_samples_score_about_one() -> None:
    scores = []
    for seed in range(20, 25):
        real = process(seed, 2 * FRAMES)
        scores.append(score(process(seed + 100), real.segment(0, FRAMES), real.segment(FRAMES, FRAMES)).value)
    # Sample and training segment are draws of one law, as real blocks are of each other: about 1. The deviation of the
    # logarithm is .12 (measured), of a mean of five .054: 0.22 is four of these.
    assert abs(sum(map(math.log, scores)) / len(scores)) < 0.22, scores


def test_every_fake_scores_worse_than_real(train: Clip, yardstick: Yardstick) -> None:
    video, mean = train.video, train.video.mean(dim=1, keepdim=True)
    noise = torch.randn(video.shape, generator=generator(11))
    fakes = {
        "mean frame": mean.expand_as(video),
        "shuffled frames": video[:, torch.randperm(FRAMES, generator=generator(12))],
        "white noise": mean + noise * video.std(dim=1, keepdim=True),
        "gaussian": ghost(video, rng=generator(13)),
        "blurred": blurred(video, 1.0),
    }
    for name, fake in fakes.items():
        # Fresh samples of this law stay under 1.3 (the test above: exp of two deviations).
        assert yardstick.score(clip(fake)).value > 1.5, name
    # Reversal shows in three of eleven distances: not so much in the headline as in one that cannot be missed.
    reverse, plain = yardstick.score(clip(video.flip(1))), yardstick.score(train)
    assert reverse.value > 1.1 * plain.value
    assert reverse.ratios["direction"] > 3 * plain.ratios["direction"]


def test_noise_below_what_an_eye_sees_costs_little(train: Clip, yardstick: Yardstick) -> None:
    noise = torch.randn(train.video.shape, generator=generator(0))
    assert yardstick.score(clip(train.video + 0.5 * LEVEL * noise)).value < 1.05
    assert yardstick.score(clip(train.video + 10 * LEVEL * noise)).value > 1.5


def test_segments_that_repeat_exactly_do_not_blow_the_ratio_up(train: Clip) -> None:
    yardstick = calibrate(train, train)
    assert yardstick.score(train).value == 0.0
    # A frozen source: real is at 0 from real, and the unit is what half a grey level of noise does instead.
    still = clip(train.video[:, :1].expand(-1, FRAMES, -1, -1))
    yardstick = calibrate(still, still)
    assert all(value > 0 for value in yardstick.real.values())
    unseen = clip(still.video + 0.5 * LEVEL * torch.randn(still.video.shape, generator=generator(99)))
    assert yardstick.score(unseen).value == pytest.approx(1.0, abs=0.2)
    plain = yardstick.score(clip(still.video + 10 * LEVEL * torch.randn(still.video.shape, generator=generator(99))))
    assert plain.value > 3
    assert math.isfinite(plain.z)


def test_the_score_leaves_the_global_random_state_alone(train: Clip, heldout: Clip) -> None:
    before = torch.random.get_rng_state()
    calibrate(train, heldout)
    assert torch.equal(torch.random.get_rng_state(), before)


# --- copies and collapse ---------------------------------------------------------------------------------------------


def test_copy_distance_and_diversity_of_flat_clips_in_closed_form() -> None:
    black, near, far = (flat(torch.full((16,), v)) for v in (0.0, 0.1, 0.4))
    assert copy_distance(near, black, far) == pytest.approx(0.25, rel=1e-5)
    assert diversity([black, near, far], black, far) == pytest.approx((0.1 + 0.3 + 0.4) / 3 / 0.4, rel=1e-5)


def test_copies_are_exposed_and_fresh_samples_are_not(train: Clip, heldout: Clip) -> None:
    assert copy_distance(train.segment(13, 40), train, heldout) == 0.0
    noise = torch.randn(train.video.shape, generator=generator(0))
    assert copy_distance(clip(train.video + 0.1 * noise), train, heldout) < 0.3
    fresh = [copy_distance(process(seed), train, heldout) for seed in range(1, 5)]
    # One law: about 1. The spread is that of the mean of some ten independent windows' distances, a few %.
    assert all(0.85 < value < 1.18 for value in fresh), fresh


def test_copying_is_of_windows_not_of_frames() -> None:
    # Every frame of the reverse is in the training clip, yet no window: the nearest one lies turned about its middle.
    ramp = torch.linspace(-0.8, 0.8, 33)
    train_, back = flat(ramp), flat(ramp.flip(0))
    # Window t..t+7 against its mirror: differences (7, 5, 3, 1, 1, 3, 5, 7) steps, root mean square sqrt(21).
    heldout_ = flat(torch.full((16,), 0.8))
    # The nearest window to eight times 0.8 is the last: differences (0..7) steps, root mean square sqrt(17.5).
    assert copy_distance(back, train_, heldout_) == pytest.approx(math.sqrt(21) / math.sqrt(17.5), rel=1e-4)


def test_collapsed_chains_have_no_diversity_and_fresh_ones_do(train: Clip, heldout: Clip) -> None:
    assert diversity([train, train], train, heldout) == 0.0
    long = process(3, FRAMES + 20)
    shifted = [long.segment(0, FRAMES), long.segment(20, FRAMES)]
    # Two stretches that share 44 of 64 frames find each other again.
    assert diversity(shifted, train, heldout) < 0.5
    assert diversity([process(seed) for seed in (1, 2, 3)], train, heldout) == pytest.approx(1.0, abs=0.15)


def test_longer_samples_do_not_look_less_diverse(train: Clip, heldout: Clip) -> None:
    samples = [process(seed, 2 * FRAMES) for seed in (1, 2)]
    cut = [sample.segment(0, FRAMES) for sample in samples]
    assert diversity(samples, train, heldout) == diversity(cut, train, heldout)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_bad_inputs_are_refused_with_the_value(train: Clip, heldout: Clip, yardstick: Yardstick) -> None:
    with pytest.raises(InputError, match=f"{SIDE}x31 and the statistics need 32"):
        distances(clip(train.video[..., :31]), clip(train.video[..., :31]))
    with pytest.raises(InputError, match="15 frames and the statistics need 16"):
        distances(train.segment(0, 15), heldout)
    with pytest.raises(InputError, match="23 and 16 frames make 2 blocks of 16 frames, and the score needs 3"):
        calibrate(train.segment(0, 23), heldout.segment(0, 16))
    calibrate(train.segment(0, 24), heldout.segment(0, 16))
    with pytest.raises(InputError, match="one size and colour"):
        calibrate(clip(train.video[:1]), heldout)
    with pytest.raises(InputError, match=r"sample is \(3, 63, 32, 32\)"):
        yardstick.score(train.segment(0, FRAMES - 1))
    with pytest.raises(InputError, match="7 frames and a window has 8"):
        copy_distance(train.segment(0, 7), train, heldout)
    with pytest.raises(InputError, match="bring them to one size"):
        copy_distance(clip(train.video[:, :, :20]), train, heldout)
    with pytest.raises(InputError, match="1 was given"):
        diversity([train], train, heldout)
    with pytest.raises(InputError, match="repeats the training segment"):
        copy_distance(heldout, train, train)
