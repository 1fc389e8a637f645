"""Loops, tiles and larger frames: what a model can make, exactly, and what the commands say and refuse."""

from __future__ import annotations

import dataclasses
import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import TINY, done, dyntex

from dyntex.clip import Clip, concatenate
from dyntex.coopnets.capabilities import capabilities
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import PRESETS
from dyntex.coopnets.resize import check_space, resized
from dyntex.errors import UsageError
from dyntex.experiment.boundaries import Boundaries, _verdict, keep_ends
from dyntex.networks.architecture import FULL, ConvGeneratorConfig, DescriptorConfig, Head, Layer
from dyntex.textures.loop_seam import Seam

# Fully convolutional in space and time, as paper-st is, and small: latents 2 frames and 4 pixels apart.
SMALL = CoopConfig.of(
    "small-st",
    DescriptorConfig((Head((Layer(6, (3, 3, 3), (1, 2, 2)), Layer(2, (3, 3, 3), activation="none"))),), ref_std=0.2),
    ConvGeneratorConfig((3, 4, 4), (Layer(8, (3, 3, 3), (2, 2, 2)), Layer(0, (3, 4, 4), (1, 2, 2), activation="tanh")),
                    init_std=0.3),
    size=16, multiple=4, min_frames=5, iterations=1, n_steps=2, step=0.01,
)  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def model() -> CoopNets:
    video = 0.3 * torch.randn(3, 12, 16, 16, generator=seeded(1)).clamp(-3, 3)
    return CoopNets.fit(Clip(video, Fraction(25)), SMALL, rng=seeded())


def test_which_presets_know_a_texture_apart_from_its_place():
    placeless = [name for name, config in PRESETS.items() if capabilities(config).supports("tile")]
    assert placeless == ["fast-st", "image-texture", "paper-st"]
    assert capabilities(SMALL).supports("resize")
    des, gen = SMALL.descriptor, SMALL.generator
    assert isinstance(gen, ConvGeneratorConfig)
    spanning = Head((Layer(2, (1, FULL, FULL), activation="none"),))
    for other in (
        SMALL.replaced(descriptor=dataclasses.replace(des, heads=(*des.heads, spanning))),
        SMALL.replaced(descriptor=dataclasses.replace(des, reference="pixel")),
        SMALL.replaced(generator=dataclasses.replace(gen, latent=(3, 1, 1))),
    ):
        assert not capabilities(other).supports("tile")
        with pytest.raises(
            UsageError, match="--tile x is not possible with preset 'small-st', because it learns what belongs where"
        ):
            check_space(other, "--tile x")


@pytest.mark.parametrize(
    ("name", "good", "bad", "words"),
    [
        ("fast", (16, 17, 64), 15, "15 frames is too short for preset 'fast': ask for at least 16"),
        ("paper-st", (32, 64), 31, "too short for preset 'paper-st': ask for at least 32"),
        ("paper-st", (48,), 40, "loops of multiples of 16 frames, not 40: ask for 32 or 48"),
    ],
)
def test_loops_that_cannot_close_are_refused(name: str, good: tuple[int, ...], bad: int, words: str):
    for n in good:
        capabilities(PRESETS[name]).require_loop(n, method=f"preset {name!r}")
    with pytest.raises(UsageError, match=words):
        capabilities(PRESETS[name]).require_loop(bad, method=f"preset {name!r}")


def test_a_loop_is_as_long_as_asked_and_turns_with_its_latents(model: CoopNets):
    for n in (6, 8, 70):
        capabilities(SMALL).require_loop(n, method="small")
        assert model.synthesize(n, rng=seeded(), periodic=(True, False, False)).n_frames == n
    z = torch.randn(1, *model.gen.latent_shape(8), generator=seeded(2))
    with torch.no_grad():
        made, turned = (model.gen(x, z[:, :0], periodic=(True, False, False)) for x in (z, z.roll(1, 2)))
    torch.testing.assert_close(turned, made.roll(2, 2), rtol=0, atol=1e-6)


def test_a_larger_frame_is_made_by_the_same_weights(model: CoopNets):
    wide = resized(model, 32, 24, rng=seeded())
    assert wide.synthesize(7, rng=seeded()).video.shape == (3, 7, 32, 24)
    # Far from every border the generator hears latents alone, so the same ones give the same pixels.
    z = torch.randn(1, *wide.gen.latent_shape(8), generator=seeded(3))
    with torch.no_grad():
        large = wide.gen(z, z[:, :0])
        small = model.gen(z[..., 2:6, 1:5], z[:, :0])
    torch.testing.assert_close(small[..., 4:12, 4:12], large[..., 12:20, 8:16], rtol=0, atol=1e-6)
    # So does the energy's gradient, which moves the chains.
    y = torch.randn(1, 3, 8, 32, 24, generator=seeded(4))
    grads = [
        torch.autograd.grad(m.energy(part).sum(), part)[0]
        for m, part in ((wide, y.clone().requires_grad_()), (model, y[..., 8:24, 4:20].clone().requires_grad_()))
    ]
    torch.testing.assert_close(grads[1][..., 6:10, 6:10], grads[0][..., 14:18, 10:14], rtol=1e-4, atol=1e-4)
    assert resized(model, 16, 16, rng=seeded()) is model
    assert resized(model, 16, 16, rng=seeded(), tile=True) is model  # it tiles by its padding
    assert model.shape == (3, 12, 16, 16)  # untouched


def test_sizes_off_the_strides_are_refused(model: CoopNets):
    with pytest.raises(UsageError, match=r"needs sides that are multiples of 4: choose --size 16x16"):
        resized(model, 18, 16, rng=seeded())


def test_what_is_kept_holds_the_first_frames_and_the_last():
    video = torch.linspace(-1, 1, 100).view(1, 100, 1, 1)
    chunks = [Clip(part, Fraction(25)) for part in video.split(16, dim=1)]
    for n_frames, expected in (
        (20, [*range(32), *range(96, 100)]),
        (16, [*range(16), *range(96, 100)]),
        (100, range(100)),
    ):
        parts: list[Clip] = []
        assert sum(chunk.n_frames for chunk in keep_ends(iter(chunks), parts, n_frames)) == 100
        assert torch.equal(concatenate(parts).video[0, :, 0, 0], video[0, list(expected), 0, 0])


def test_axes_as_the_networks_take_them():
    assert Boundaries(True, "").periodic == (True, False, False)
    assert Boundaries(False, "x").periodic == (False, False, True)
    assert Boundaries(True, "xy").periodic == (True, True, True)
    assert Boundaries(False, "y").periodic == (False, True, False)


def test_a_seam_is_judged_by_the_clip_and_then_by_the_result_itself():
    def verdict(real: float | None, own: float) -> str:
        return _verdict(Seam("t", 0.1, 0.1, real, real, own, own))

    assert verdict(50, 99) == verdict(None, 50) == "like any other"
    assert "unlike the clip" in verdict(0, 50)
    assert verdict(0, 99).startswith("NOT")
    assert verdict(None, 99).startswith("NOT")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 frames of a wave that runs, with grain: no loop."""
    t, y, x = np.ogrid[:24, :16, :16]
    grain = np.random.default_rng(0).normal(0, 4, (24, 16, 16, 3))
    video = 128 + 60 * np.sin(0.21 * t + 0.4 * x + 0.2 * y)[..., None] + grain
    path = tmp_path_factory.mktemp("ends") / "wave.npy"
    np.save(path, video.clip(0, 255).astype(np.uint8))
    return path


def read(path: Path) -> np.ndarray:
    with io.BytesIO(path.read_bytes()) as file:
        return np.load(file).astype(float)


@pytest.fixture(scope="module")
def taught(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("taught") / "model"
    done("train", source, "-o", folder, *TINY, "-q")
    return folder


@pytest.mark.parametrize("method", ["lds", "fft-lds", "hosvd", "video-texture"])
def test_a_baseline_loops_and_its_seam_is_told(source: Path, tmp_path: Path, method: str):
    out = tmp_path / "a.npy"
    outcome = done(
        "synthesize", source, "-o", out, "--method", method, "--size", 16, "--frames", 70, "--loop", "--json"
    )
    seam = outcome.json["seam"]["t"]
    y = read(out)
    # What is told is the seam of what was written, but for rounding to 8 bits: each frame's error is uniform over a
    # level, which adds 2/12 levels^2 to a step's mean square. The rest is the chance of 768 values.
    power = ((y[0] - y[-1]) ** 2).mean() / 127.5**2
    assert seam["step"] ** 2 + 1 / 6 / 127.5**2 == pytest.approx(power, rel=0.04)
    assert 0 <= seam["own_step_percentile"] <= 100
    assert "the step from the last frame to the first is at percentile" in outcome.err
    assert "of the clip's steps and" in outcome.err
    assert f" {seam['own_step_percentile']:.0f} of the result's own" in outcome.err


def test_a_model_loops_by_the_generator_and_sample_tells_its_own_percentiles(taught: Path, tmp_path: Path):
    out = tmp_path / "a.npy"
    outcome = done("sample", taught, "-o", out, "--frames", 20, "--loop", "--json")
    seam = outcome.json["seam"]["t"]
    assert (seam["step_percentile"], seam["acceleration_percentile"]) == (None, None)
    assert read(out).shape[0] == 20
    assert f"is at percentile {seam['own_step_percentile']:.0f} of the result's own" in outcome.err
    assert "clip's" not in outcome.err
    open_end = tmp_path / "b.npy"
    assert done("sample", taught, "-o", open_end, "--frames", 20, "--json").json["seam"] == {}
    assert not np.array_equal(read(out), read(open_end))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--loop", "--preset", "fast", "--frames", 10), "loop of 10 frames is too short for preset 'fast'"),
        (("--loop", "--frames", 2), "2 frames has no motion to close"),
        (("--loop", "--method", "kpcr"), "--loop is not possible with --method kpcr, because its law is not linear"),
        (("--loop", "--method", "lds", "--frames", 2), "2 frames has no motion to close"),
        (("--tile", "x"), "--tile x is not possible with preset 'fast', because it learns what belongs where"),
        (("--tile", "z"), "--tile z is not a direction"),
        (("--tile", "xy", "--method", "lds"), "--tile xy is not possible with --method lds"),
    ],
)
def test_synthesize_refuses_before_anything_is_learnt(source: Path, tmp_path: Path, options: tuple, words: str):
    outcome = dyntex("synthesize", source, "-o", tmp_path / "a.mp4", *options)
    assert outcome.code == 2
    assert words in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--loop", "--frames", 10), "too short for preset 'fast'"),
        (("--tile", "y"), "--tile y is not possible with preset 'fast'"),
        (("--size", 32), "--size 32x32, other than the learnt 16x16, is not possible with preset 'fast'"),
    ],
)
def test_sample_refuses_what_the_model_cannot(taught: Path, tmp_path: Path, options: tuple, words: str):
    outcome = dyntex("sample", taught, "-o", tmp_path / "a.mp4", *options)
    assert outcome.code == 2
    assert words in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_convolutional_model_tiles_and_grows(model: CoopNets, tmp_path: Path):
    model.save(tmp_path / "model")
    out = tmp_path / "a.npy"
    words = ("--tile", "x", "--size", "16x32", "--frames", 8)
    report = done("sample", tmp_path / "model", "-o", out, *words, "--json").json
    assert set(report["seam"]) == {"x"}
    assert (report["height"], report["width"]) == (16, 32)
    assert read(out).shape == (8, 16, 32, 3)


def test_a_source_that_loops_is_recognised_and_one_that_does_not_is_not(source: Path, tmp_path: Path):
    ring = tmp_path / "ring.npy"
    t, x = np.ogrid[:40, :16]
    wave = 128 + 60 * np.sin(2 * np.pi * t / 40 + 0.4 * x)
    np.save(ring, np.broadcast_to(wave[:, None, :, None], (40, 16, 16, 3)).astype(np.uint8))
    for clip, loops in ((ring, True), (source, False)):
        about = done("info", clip, "--no-measure", "--json").json
        assert about["loops_already"] is loops
        assert isinstance(about["stationary_in_space"], bool)
        assert set(about["spatial"]) == {"motion", "swing", "detail", "brightness"}
        said = done("synthesize", clip, "-o", tmp_path / f"{loops}.npy", "--method", "lds", "--size", 16).err
        assert ("already loop" in said) is loops
    assert "parts of the frame: motion differs by a factor of" in done("info", ring, "--no-measure").out
