"""A model that stirs its clip makes larger frames and tiles from the clip's pieces, laid anew."""

from __future__ import annotations

import dataclasses
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import TINY, done, dyntex
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.capabilities import capabilities
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import FAST_ST, PRESETS
from dyntex.coopnets.resize import check_space, check_stationary, resized
from dyntex.errors import UsageError
from dyntex.networks.residual import ShotNoiseResidual
from dyntex.textures.quilting import Piece, Quilt
from dyntex.textures.shot_noise import without_slow_mean, without_slow_scale

TILED = (False, True, True)
SIDE, T = 32, 16


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def texture() -> Clip:
    """Noise that drifts and changes, alike all over the frame."""
    g, frames = seeded(1), []
    state = torch.randn(3, SIDE, SIDE, generator=g)
    for _ in range(T):
        state = 0.8 * state.roll(1, 2) + 0.6 * torch.randn(3, SIDE, SIDE, generator=g)
        frames.append(0.2 * state)
    return Clip(torch.stack(frames, dim=1).clamp(-1, 1), Fraction(25))


@pytest.fixture(scope="module")
def model() -> CoopNets:
    config = FAST_ST.replaced(iterations=1, head_start=0.0, lr_gen=0.01)
    return CoopNets.fit(texture(), config, rng=seeded())


def generator(model: CoopNets) -> ShotNoiseResidual:
    assert isinstance(model.gen, ShotNoiseResidual)
    return model.gen


def made(model: CoopNets, z: Tensor, periodic: tuple[bool, bool, bool]) -> Tensor:
    with torch.no_grad():
        y: Tensor = model.gen(z, z.new_zeros(1, 0, 1, *model.shape[2:]), periodic=periodic)
    return y


def test_which_presets_can_be_laid_anew():
    assert [
        name
        for name, config in PRESETS.items()
        if config.generator.keeps_pixels and capabilities(config).supports("tile")
    ] == ["fast-st"]
    check_space(FAST_ST, "--tile x")
    # Its networks are those of fast without the ends that span the frame, and nothing else differs.
    fast = PRESETS["fast"]
    assert FAST_ST.replaced(preset="fast", descriptor=fast.descriptor) == fast
    for head, full in zip(FAST_ST.descriptor.heads, fast.descriptor.heads, strict=True):
        assert dataclasses.replace(full, ends=full.ends[1:]) == head


@pytest.mark.parametrize(("height", "width", "tile"), [(32, 32, True), (64, 40, False), (16, 104, True)])
def test_every_pixel_keeps_the_law_of_a_pixel_of_the_clip(model: CoopNets, height: int, width: int, tile: bool):
    wide = resized(model, height, width, rng=seeded(), tile=tile)
    laid, gen = generator(wide), generator(model)
    assert laid.texture.kernel.shape == (T, 3, height, width)
    # The stirred values have variance 1, also where two pieces are blended.
    torch.testing.assert_close(laid.texture.kernel.square().sum(0), torch.ones(3, height, width), rtol=0, atol=1e-4)
    # Inside the pieces these are pixels of the clip, with their own levels and times: most have an exact original.
    old = gen.texture.kernel.flatten(2).flatten(0, 1).T
    new = laid.texture.kernel.flatten(2).flatten(0, 1).T
    distance, origin = torch.cdist(new, old, compute_mode="donot_use_mm_for_euclid_dist").min(1)
    exact = distance < 1e-3  # of vectors of length sqrt(3)
    assert exact.double().mean() > 0.1
    for name in ("texture.clip_levels", "texture.mixture_levels", "texture.bounds", "residual_gain"):
        before, after = (g.get_buffer(name).flatten(-2) for g in (gen, laid))
        torch.testing.assert_close(after[..., exact], before[..., origin[exact]], rtol=0, atol=5e-3)
    # So have the mean and the spread, of the generator and of the descriptor's reference.
    for flatten, before, after in (
        (without_slow_mean, gen.texture.mean, laid.texture.mean),
        (without_slow_scale, gen.texture.spread, laid.texture.spread),
        (without_slow_mean, model.des.ref_mean, wide.des.ref_mean),
        (without_slow_scale, model.des.ref_std, wide.des.ref_std),
    ):
        expected = flatten(before).flatten(-2)[..., origin[exact]]
        torch.testing.assert_close(after.flatten(-2)[..., exact], expected, rtol=0, atol=5e-3)
    # What is learnt is the same; the noise is independent over as many pixels as before.
    for name, value in gen.named_parameters():
        assert name == "place" or torch.equal(value, laid.get_parameter(name))
    assert laid.config.noise[1:] == (height // 4, width // 4)
    assert laid.config.texture.regions >= 3 * max(height, width) / SIDE
    for name, value in model.des.named_parameters():
        assert torch.equal(value, wide.des.get_parameter(name))


def test_a_tile_hears_one_noise_at_both_ends_and_its_own_frame_around_them(model: CoopNets):
    tile = resized(model, 32, 40, rng=seeded(), tile=True)
    n = generator(tile).config.texture.regions
    z = torch.randn(1, *tile.gen.latent_shape(4), generator=seeded(2))
    for axis, other in ((1, 2), (2, 1)):
        changed = z.clone()
        regions = changed[:, : n * n].view(1, n, n, -1)
        regions.select(axis, n - 1).add_(1.0)  # a view: the last row's, or the last column's, regions
        periodic = tuple(a == axis for a in range(3))
        assert torch.equal(made(tile, changed, periodic), made(tile, z, periodic))
        for unheard in ((False, False, False), tuple(a == other for a in range(3))):
            assert not torch.equal(made(tile, changed, unheard), made(tile, z, unheard))


def test_the_ends_of_a_tile_meet(model: CoopNets):
    """White noise over space has no smoothness to judge a seam by, so the clip's mean frame is given one."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    waves = 0.5 * torch.cos((x + 2 * y) * (2 * math.pi / 16)) + 0.3 * torch.sin((3 * x - y) * (2 * math.pi / 16))
    clip = Clip((0.1 * texture().video + waves).clamp(-1, 1), Fraction(25))
    config = FAST_ST.replaced(iterations=1)
    tile = resized(CoopNets.fit(clip, config, rng=seeded()), 48, 64, rng=seeded(), tile=True)
    video = tile.synthesize(16, rng=seeded(), periodic=TILED).video
    for axis in (2, 3):
        steps = (video.roll(-1, axis) - video).square().mean(dim=tuple({0, 1, 2, 3} - {axis})).sqrt()
        assert float(steps[-1]) < 1.5 * float(steps.median())


def test_a_loop_turns_with_its_noise(model: CoopNets):
    wide = resized(model, 48, 40, rng=seeded(), tile=True)
    z = torch.randn(1, *wide.gen.latent_shape(20), generator=seeded(2))
    turned = torch.cat((z[:, :, :20].roll(3, 2), z[:, :, 20:]), dim=2)
    everywhere = (True, True, True)
    torch.testing.assert_close(made(wide, turned, everywhere), made(wide, z, everywhere).roll(3, 2), rtol=0, atol=1e-4)


def test_streams_are_one_video_and_seeds_decide(model: CoopNets):
    wide = resized(model, 40, 40, rng=seeded(1))
    chunks = list(wide.stream(130, rng=seeded(2), n_steps=0))
    assert [chunk.n_frames for chunk in chunks] == [64, 64, 2]
    again = resized(model, 40, 40, rng=seeded(1)).synthesize(130, rng=seeded(2), n_steps=0)
    assert torch.equal(torch.cat([chunk.video for chunk in chunks], dim=1), again.video)
    other = resized(model, 40, 40, rng=seeded(4)).synthesize(130, rng=seeded(2), n_steps=0)
    assert not torch.equal(other.video, again.video)


def test_a_model_remembers_its_clip():
    """Where colours are on the ramp, or there is one channel, exactly, but for how pixels scale under the window."""
    grey = Clip(texture().video[:1], Fraction(25))
    model = CoopNets.fit(grey, FAST_ST.replaced(iterations=1), rng=seeded())
    remembered = generator(model).clip()[0]
    centred, original = (v - v.mean(0) for v in (remembered, grey.video[0]))
    scale = (centred * original).sum(0) / original.square().sum(0)
    # The window weighs frames unequally: the mean of 16 and the power under it are estimates of those without.
    assert float(scale.sub(1).abs().mean()) < 0.3
    torch.testing.assert_close(centred, scale * original, rtol=0, atol=1e-4)


def test_what_varies_slowly_over_the_frame_is_taken_out_and_nothing_else():
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(60.0), indexing="ij")
    fine = torch.cos(x * 2.1) * torch.cos(y * 1.9)
    mean = without_slow_mean((fine + x / 30)[None])[0]
    # In the middle a box sees a ramp's mean as its own value there, and nearly nothing of what is fine.
    middle = (slice(10, 30), slice(10, 50))
    torch.testing.assert_close(mean[middle], (fine + (x / 30).mean())[middle], rtol=0, atol=0.02)
    assert float(mean.mean()) == pytest.approx(float((fine + x / 30).mean()), abs=0.02)
    scale = without_slow_scale((1 + x / 30)[None])[0]
    torch.testing.assert_close(scale[middle], torch.full((20, 40), 2.06), rtol=0.02, atol=0)
    for flatten in (without_slow_mean, without_slow_scale):
        constant = torch.full((2, 12, 20), 0.3)
        torch.testing.assert_close(flatten(constant), constant, rtol=0, atol=1e-6)


def test_what_is_known_by_patch_is_laid_by_its_pixels(model: CoopNets):
    """The residual's map of places, of 4x4 pixels each, under a layout that shifts the frame by half a patch."""
    gen = generator(model)
    inside, one = torch.arange(SIDE), torch.ones(SIDE, SIDE)
    shifted = Quilt(SIDE, SIDE, (Piece(0, 0, inside, (inside + 2) % SIDE, one),))
    with torch.no_grad():
        gen.place.normal_(generator=seeded(3))
        laid = gen.resized(SIDE, SIDE, shifted, tile=False).place
        torch.testing.assert_close(laid, 0.5 * (gen.place + gen.place.roll(1, 3)))


def test_textures_that_differ_over_the_frame_are_refused(model: CoopNets):
    check_stationary(texture(), "--tile x")
    video = texture().video.clone()
    video[:, :, : SIDE // 2] *= 0.1  # the factor that is told, but for the chance of 2304 values a part
    with pytest.raises(
        UsageError, match=r"--tile x needs a texture that is stationary .* by factors of (9|10|11)\.\d in motion"
    ):
        check_stationary(Clip(video, Fraction(25)), "--tile x")
    other = CoopNets.fit(Clip(video, Fraction(25)), FAST_ST.replaced(iterations=1), rng=seeded())
    with pytest.raises(
        UsageError, match="--size 64x64, other than the learnt 32x32, needs a texture that is stationary"
    ):
        resized(other, 64, 64, rng=seeded())
    assert resized(other, 32, 32, rng=seeded()) is other
    # A model made of it is refused a tile too, by what it remembers of the clip.
    with pytest.raises(UsageError, match=r"--tile needs .* by factors of \d+\.\d in motion"):
        resized(other, 32, 32, rng=seeded(), tile=True)


@pytest.mark.parametrize(
    ("size", "words"),
    [((36, 40), "needs sides that are multiples of 8: choose --size (32|40)x40"), ((8, 64), "too small .* 16 pixels")],
)
def test_sizes_that_cannot_be_laid_are_refused(model: CoopNets, size: tuple[int, int], words: str):
    with pytest.raises(UsageError, match=words):
        resized(model, *size, rng=seeded())


def test_the_commands_make_a_larger_tile_and_refuse_what_is_not_alike(tmp_path: Path):
    source, uneven = tmp_path / "even.npy", tmp_path / "uneven.npy"
    video = texture().to_uint8()
    np.save(source, video)
    video = video.copy()
    video[:, : SIDE // 2] = 128
    np.save(uneven, video)
    preset = ("--preset", "fast-st", "--size", SIDE, *TINY[2:])
    done("train", source, "-o", tmp_path / "model", *preset, "-q")
    out = tmp_path / "a.npy"
    words = ("--size", "64x48", "--tile", "xy", "--loop", "--frames", 20)
    report = done("sample", tmp_path / "model", "-o", out, *words, "--json").json
    assert set(report["seam"]) == {"t", "x", "y"}
    assert np.load(out).shape == (20, 64, 48, 3)
    refused = dyntex("synthesize", uneven, "-o", tmp_path / "b.mp4", *preset, "--tile", "x")
    assert refused.code == 2
    assert "--tile x needs a texture that is stationary in space, and parts of this frame differ" in refused.err
    assert "learn from a part of the frame that is, or leave this out" in refused.err
    assert not list(tmp_path.glob("b*"))  # before anything is learnt
    done("train", uneven, "-o", tmp_path / "uneven", *preset, "-q")
    for options in (("--tile", "y"), ("--size", "64x64")):
        refused = dyntex("sample", tmp_path / "uneven", "-o", tmp_path / "c.npy", *options)
        assert (refused.code, f"{options[0]}" in refused.err) == (2, True)
        assert "needs a texture that is stationary in space" in refused.err
        assert not (tmp_path / "c.npy").exists()
