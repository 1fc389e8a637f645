"""The contract that every method obeys, neural or classical. A new method is one more line in METHOD_CASES."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, get_args

import psutil
import pytest
import torch

from dyntex.baselines import CONTROLS, METHODS
from dyntex.baselines.patch_nn import PatchNN, PatchNNConfig
from dyntex.clip import Clip, concatenate
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.errors import InputError, UsageError
from dyntex.method import Capabilities, Feature, Synthesizer
from dyntex.networks.architecture import DescriptorConfig, Head, Layer, ShotNoiseResidualConfig
from dyntex.textures.config import ShotNoiseConfig

FPS = Fraction(30000, 1001)
T = 18

Fit = Callable[[Clip, torch.Generator], Synthesizer]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def waves(n_frames: int = T, channels: int = 3, height: int = 12, width: int = 20) -> Clip:
    """Three plane waves with wandering amplitudes over a gradient: not square, so that axes cannot be mixed up."""
    g = seeded(99)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    amplitude, frames = torch.zeros(3), []
    for _ in range(n_frames):
        amplitude = 0.7 * amplitude + 0.1 * torch.randn(3, generator=g)
        frames.append(sum(a * torch.sin(0.4 * k * x + 0.7 * y / k) for k, a in enumerate(amplitude, start=1)))
    grey = torch.stack([torch.as_tensor(f) for f in frames]) + 0.3 * x / width
    tint = torch.linspace(0.5, 1.0, channels)
    detail = 0.01 * torch.randn(channels, n_frames, height, width, generator=g)
    return Clip((tint[:, None, None, None] * grey + detail).clamp(-1, 1), FPS)


def fit_default(method: type[Any]) -> Fit:
    return lambda clip, rng: method.fit(clip, rng=rng)


# CoopNets with networks that train in a tenth of a second.
TINY = CoopConfig.of(
    "tiny",
    DescriptorConfig(
        (Head((Layer(4, (3, 4, 4), (1, 2, 2), activation="silu"),)),), ref_std=0.02, reference="pixel", init_std=0.0
    ),
    ShotNoiseResidualConfig(
        ShotNoiseConfig(regions=2, levels=4, colours=4), noise=(1, 3, 5), patch=4, width=4, blocks=1
    ),
    min_frames=4, window=8, iterations=2, n_steps=2, step=0.05, temperature=0.01, lr_des=1e-3, ema=0.9,
)  # fmt: skip


def fit_coopnets(clip: Clip, rng: torch.Generator) -> CoopNets:
    return CoopNets.fit(clip, TINY, rng=rng)


METHOD_CASES: dict[str, Fit] = {name: fit_default(method) for name, method in METHODS.items()}
METHOD_CASES["coopnets"] = fit_coopnets
# As it is by default, in a fifth of the time.
METHOD_CASES["patch-nn"] = lambda clip, rng: PatchNN.fit(clip, PatchNNConfig(patch=(3, 3, 3), rounds=(2, 1)), rng=rng)
CONTROL_CASES: dict[str, Fit] = {name: fit_default(control) for name, control in CONTROLS.items()}
ALL_CASES = METHOD_CASES | CONTROL_CASES
BY_SEED_ALONE = {name: fit for name, fit in ALL_CASES.items() if name not in ("mean-frame", "copy")}

every_method = pytest.mark.parametrize("fit", METHOD_CASES.values(), ids=METHOD_CASES)
every_case = pytest.mark.parametrize("fit", ALL_CASES.values(), ids=ALL_CASES)
random_case = pytest.mark.parametrize("fit", BY_SEED_ALONE.values(), ids=BY_SEED_ALONE)
every_baseline = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def that(feature: Feature) -> pytest.MarkDecorator:
    """The methods that say they can do it."""
    able = {name: method for name, method in METHODS.items() if method.capabilities().supports(feature)}
    return pytest.mark.parametrize("method", able.values(), ids=able)


@every_case
@pytest.mark.parametrize("n_frames", [1, T, 2 * T, 130])
def test_shape_rate_range_and_stream(fit: Fit, n_frames: int):
    fitted = fit(waves(), seeded(0))
    clip = fitted.synthesize(n_frames, rng=seeded(1))  # a Clip is finite, float32 and in [-1, 1], or does not exist
    assert clip.video.shape == (3, n_frames, 12, 20)
    assert clip.fps == FPS
    chunks = list(fitted.stream(n_frames, rng=seeded(1)))
    assert torch.equal(concatenate(chunks).video, clip.video)
    assert all(chunk.fps == FPS for chunk in chunks)


@every_case
def test_same_seed_same_clip(fit: Fit):
    first, again = (fit(waves(), seeded(0)).synthesize(T, rng=seeded(1)) for _ in range(2))
    assert torch.equal(first.video, again.video)


@random_case
def test_another_seed_gives_another_clip(fit: Fit):
    fitted = fit(waves(), seeded(0))
    one, other = (fitted.synthesize(T, rng=seeded(s)).video for s in (1, 2))
    # In every method the first frame is random too: starting always from one frame would be a copy in disguise.
    assert not torch.equal(one[:, 0], other[:, 0])
    assert not torch.equal(one, other)


@random_case
def test_a_generator_goes_on_where_it_stopped(fit: Fit):
    fitted, rng = fit(waves(), seeded(0)), seeded(1)
    assert not torch.equal(fitted.synthesize(T, rng=rng).video, fitted.synthesize(T, rng=rng).video)


@every_case
def test_nothing_else_is_touched(fit: Fit):
    clip, state = waves(), torch.get_rng_state()
    before = clip.video.clone()
    fitted = fit(clip, seeded(0))
    produced = fitted.synthesize(T, rng=seeded(1))
    produced.video.zero_()
    assert torch.equal(clip.video, before)
    assert torch.equal(torch.get_rng_state(), state)
    # Nor does a caller who writes into a result reach into the model.
    again = fitted.synthesize(T, rng=seeded(1))
    assert torch.equal(again.video, fit(waves(), seeded(0)).synthesize(T, rng=seeded(1)).video)


@every_method
def test_a_model_keeps_nothing_of_a_clip_that_is_later_changed(fit: Fit):
    clip = waves()
    fitted = fit(clip, seeded(0))
    before = fitted.synthesize(T, rng=seeded(1)).video.clone()
    clip.video.zero_()
    assert torch.equal(fitted.synthesize(T, rng=seeded(1)).video, before)


@every_case
def test_no_frames_are_refused(fit: Fit):
    fitted = fit(waves(), seeded(0))
    for n in (0, -3):
        with pytest.raises(UsageError, match=f"{n} frames were asked for"):
            fitted.synthesize(n, rng=seeded(1))
        with pytest.raises(UsageError, match="at least 1"):
            fitted.stream(n, rng=seeded(1))  # at once, not at the first chunk


@every_method
def test_motion_has_about_the_amplitude_of_the_clip(fit: Fit):
    """No method freezes and none explodes. The bounds are wide: one short clip says little of its own variance."""
    clip = waves(n_frames=60)
    out = fit(clip, seeded(0)).synthesize(600, rng=seeded(1)).video
    mean = clip.video.mean(dim=1, keepdim=True)
    ratio = float((out - mean).square().mean() / (clip.video - mean).square().mean())
    assert 0.4 < ratio < 2.5


@every_baseline
@pytest.mark.parametrize(("channels", "height", "width"), [(1, 9, 7), (3, 1, 8), (4, 8, 1)])
def test_grey_alpha_and_odd_sizes(method: Any, channels: int, height: int, width: int):
    out = method.fit(waves(20, channels, height, width), rng=seeded(0)).synthesize(5, rng=seeded(1))
    assert out.video.shape == (channels, 5, height, width)


@every_baseline
def test_a_still_clip_stays_still(method: Any):
    frame = waves(1)
    still = Clip(frame.video.expand(-1, T, -1, -1).contiguous(), FPS)
    fitted = method.fit(still, rng=seeded(0))
    # The mean of T equal float32 numbers may round by a few units of 6e-8; that residue is all that can move.
    made = [fitted.synthesize(T, rng=seeded(1))]
    for out in (*made, fitted.predict(still, 3)) if method.capabilities().supports("predict") else made:
        torch.testing.assert_close(out.video, frame.video.expand_as(out.video), rtol=0, atol=1e-5)


@every_baseline
@pytest.mark.parametrize("n_frames", [1, 2])
def test_a_clip_too_short_is_refused(method: Any, n_frames: int):
    with pytest.raises(InputError, match=f"clip has {n_frames} frames; .* needs at least 3"):
        method.fit(waves(n_frames), rng=seeded(0))
    method.fit(waves(3), rng=seeded(0)).synthesize(4, rng=seeded(1))


@that("anchor")
def test_frames_of_another_size_are_refused(method: Any):
    fitted = method.fit(waves(), rng=seeded(0))
    other = waves(height=20, width=12)
    with pytest.raises(InputError, match=r"3x20x12.*3x12x20.*resize"):
        fitted.stream(1, rng=seeded(1), anchor=other)
    if method.capabilities().supports("predict"):
        with pytest.raises(InputError, match=r"3x20x12.*3x12x20"):
            fitted.predict(other, 1)
        with pytest.raises(UsageError, match="0 frames"):
            fitted.predict(waves(), 0)


@that("predict")
def test_prediction_is_deterministic_and_reads_the_last_frame_alone(method: Any):
    clip = waves()
    fitted = method.fit(clip, rng=seeded(0))
    forecast = fitted.predict(clip, 5)
    assert forecast.video.shape == (3, 5, 12, 20)
    assert forecast.fps == FPS
    assert torch.equal(fitted.predict(clip.segment(T - 1, 1), 5).video, forecast.video)
    assert not torch.equal(fitted.predict(clip.segment(0, T - 1), 5).video, forecast.video)
    # One step of two is one step of one, then one more: the horizon is not part of the model.
    torch.testing.assert_close(fitted.predict(clip, 1).video, forecast.video[:, :1], rtol=0, atol=1e-6)


@that("predict")
def test_anchored_synthesis_starts_at_the_anchor_and_goes_where_prediction_points(method: Any):
    clip = waves()
    fitted = method.fit(clip, rng=seeded(0))
    anchor, rng, N = clip.segment(4, 3), seeded(1), 300
    runs = torch.stack([fitted.synthesize(2, rng=rng, anchor=anchor).video for _ in range(N)])  # (N, C, 2, H, W)
    first, second = runs[:, :, 0], runs[:, :, 1]
    assert torch.equal(first, first[:1].expand_as(first))  # no noise in the first frame ...
    still = clip.video.mean(dim=1)
    error = (first[0] - clip.video[:, 4]).square().mean()
    assert error < 0.2 * (still - clip.video[:, 4]).square().mean()  # ... which is the anchor's, less what is cut off
    # Sample mean against the expectation, 6 standard errors a pixel; 1e-6 is float32.
    sigma = second.std(dim=0) / math.sqrt(N)
    assert ((second.mean(dim=0) - fitted.predict(clip.segment(4, 1), 1).video[:, 0]).abs() < 6 * sigma + 1e-6).all()
    # A method that replays may go on for sure, and change nothing where two of its frames are equal.
    assert (sigma > 0).any() if method.capabilities().replays else (sigma > 0).all()


@every_case
def test_a_stream_without_end_begins_at_once(fit: Fit):
    """What is made or kept for each frame beforehand would take years, or all memory."""
    chunks = fit(waves(), seeded(0)).stream(10**12, rng=seeded(1))
    assert next(chunks).n_frames + next(chunks).n_frames <= 2 * 64


QUICK = {name: method for name, method in METHODS.items() if name != "patch-nn"}  # 3000 frames would take it minutes


@pytest.mark.parametrize("method", QUICK.values(), ids=QUICK)
def test_long_streams_need_no_more_memory_than_short_ones(method: Any):
    fitted = method.fit(waves(height=48, width=64), rng=seeded(0))
    process = psutil.Process()
    sizes = [process.memory_info().rss for _ in fitted.stream(3000, rng=seeded(1))]
    # All 3000 frames are 110 MB; after the first chunks nothing may pile up (20 MB: a few chunks and their temporaries,
    # which the allocator returns when it likes).
    assert max(sizes) - max(sizes[:5]) < 20e6


@every_baseline
def test_parameters_are_counted(method: Any):
    small, tall = (method.fit(waves(height=h), rng=seeded(0)).n_parameters for h in (12, 24))
    assert 3 * 12 * 20 < small < tall  # at least the mean frame


FEATURES = get_args(Feature)


@every_baseline
def test_a_loop_is_made_or_refused_as_the_method_says(method: Any):
    fitted, able = method.fit(waves(), rng=seeded(0)), method.capabilities()
    assert set(able.lacks) <= set(FEATURES)
    assert all(reason and reason[0].islower() for reason in able.lacks.values())
    for feature, ask in {
        "anchor": lambda: fitted.stream(4, rng=seeded(1), anchor=waves()),
        "predict": lambda: fitted.predict(waves(), 2),
    }.items():
        if feature in able.lacks:
            with pytest.raises(UsageError, match=re.escape(able.lacks[feature])):
                ask()
    if able.supports("loop"):
        made = fitted.synthesize(able.min_loop + 5, rng=seeded(1), loop=True)
        assert made.n_frames == able.min_loop + 5
        assert not torch.equal(made.video, fitted.synthesize(able.min_loop + 5, rng=seeded(1)).video)
    else:
        with pytest.raises(UsageError, match=re.escape(able.lacks["loop"])):
            fitted.stream(16, rng=seeded(1), loop=True)
    if not able.supports("predict"):
        with pytest.raises(UsageError, match=re.escape(able.lacks["predict"])):
            fitted.predict(waves(), 1)


def test_what_a_method_lacks_is_refused_with_reason_and_remedy():
    able = Capabilities({"tile": "it knows each pixel by its place"})
    with pytest.raises(UsageError, match=r"--tile x is not possible with lds, because it knows.*place: use another"):
        able.require("tile", asked="--tile x", method="lds", instead="use another")
    able.require("loop", asked="--loop", method="lds")
    assert (able.supports("tile"), able.supports("loop")) == (False, True)


@pytest.mark.parametrize(
    ("n_frames", "said"),
    [(5, "ask for at least 8 frames"), (7, "ask for at least 8 frames"), (9, "ask for 8 or 12"), (8, None), (12, None)],
)
def test_a_loop_of_a_length_that_cannot_close_is_refused(n_frames: int, said: str | None):
    able = Capabilities(min_loop=6, loop_step=4)
    if said is None:
        able.require_loop(n_frames, method="m")
    else:
        with pytest.raises(UsageError, match=said):
            able.require_loop(n_frames, method="m")
