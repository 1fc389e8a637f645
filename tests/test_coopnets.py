"""CoopNets, the method: what a fit keeps, how a clip is made of it, and what a saved folder must hold."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import safetensors.torch
import torch

import dyntex.coopnets.watchdog
from dyntex.clip import Clip
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.observe import no_condition
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.revise import revise
from dyntex.errors import DivergedError, InputError, UsageError
from dyntex.networks.architecture import ConvGeneratorConfig, DescriptorConfig, Head, Layer, ShotNoiseResidualConfig
from dyntex.textures.config import ShotNoiseConfig

FPS = Fraction(30000, 1001)
T, H, W = 12, 8, 12
DESCRIPTOR = DescriptorConfig(
    (Head((Layer(4, (3, 4, 4), (1, 2, 2), activation="silu"),), pool=(1, 2, 2)),),
    ref_std=0.1, reference="pixel", init_std=0.0,
)  # fmt: skip
TEXTURE = ShotNoiseResidualConfig(
    ShotNoiseConfig(regions=2, levels=4, colours=4), noise=(2, 2, 2), patch=4, width=6, blocks=1
)
TINY = CoopConfig.of(
    "tiny", DESCRIPTOR, TEXTURE,
    min_frames=6, window=6, iterations=3, n_steps=2, step=0.05, temperature=0.01, lr_des=1e-3, lr_gen=1e-3, ema=0.9,
)  # fmt: skip
CONVOLUTIONAL = TINY.replaced(
    descriptor=replace(DESCRIPTOR, reference="white"),
    generator=ConvGeneratorConfig(
        (3, 4, 4), (Layer(6, (4, 4, 4), batch_norm=True), Layer(0, (4, 4, 4), (2, 2, 2), activation="tanh"))
    ),
)
both = pytest.mark.parametrize("config", [TINY, CONVOLUTIONAL], ids=["gaussian texture", "convolutional"])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clip(n_frames: int = T) -> Clip:
    t, x = torch.arange(n_frames).view(-1, 1, 1), torch.arange(W)
    wave = 0.5 * torch.sin(0.6 * t + 0.5 * x).expand(3, n_frames, H, W)
    return Clip((wave + 0.02 * torch.randn(3, n_frames, H, W, generator=seeded(9))).clamp(-1, 1).contiguous(), FPS)


def fitted(config: CoopConfig = TINY, *, seed: int = 0) -> CoopNets:
    return CoopNets.fit(clip(), config, rng=seeded(seed))


def test_a_fit_tells_of_every_iteration_and_keeps_what_it_was_made_of():
    told: list[StepInfo] = []
    model = CoopNets.fit(clip(), TINY, rng=seeded(), on_step=told.append)
    assert [info.iteration for info in told] == [1, 2, 3]
    assert (model.config, model.shape, model.fps, model.iterations) == (TINY, (3, T, H, W), FPS, 3)
    assert not model.des.training
    assert not model.gen.training
    shortened = CoopNets.fit(clip(), TINY, rng=seeded(), progress=lambda i: i / 2)
    assert shortened.iterations == 2


def test_a_synthesis_is_g_of_z_revised_by_the_descriptor():
    """Step by step with the same generator of randomness: z first, then the Langevin noise; clamped to pixels."""
    model, rng = fitted(), seeded(5)
    made = model.synthesize(10, rng=seeded(5)).video
    z = torch.randn(1, *model.gen.latent_shape(10), generator=rng)
    y = model.gen(z, torch.zeros(1, 0, 10, H, W)).detach()
    revised = revise(model.des, y, no_condition(y), TINY, rng=rng)
    assert torch.equal(made, revised[0].clamp(-1, 1))
    raw = model.synthesize(10, rng=seeded(5), n_steps=0).video
    assert torch.equal(raw, y[0].clamp(-1, 1))
    assert not torch.equal(raw, made)
    more = model.synthesize(10, rng=seeded(5), n_steps=7).video
    assert not torch.equal(more, made)


def test_the_averaged_generator_synthesizes_where_there_is_one():
    """With a decay near 1 and few iterations the average has hardly left the linear start; the taught one has."""
    averaged, plain = fitted(TINY.replaced(lr_gen=0.05, ema=0.9)), fitted(TINY.replaced(lr_gen=0.05, ema=0.0))
    size = [float(m.gen.to_pixels.weight.detach().abs().mean()) for m in (averaged, plain)]  # type: ignore[union-attr]
    assert 0.0 < size[0] < size[1]


@both
@pytest.mark.parametrize("n_frames", [1, 3, T, 31])
def test_any_number_of_frames(config: CoopConfig, n_frames: int):
    made = fitted(config).synthesize(n_frames, rng=seeded(1))
    assert made.video.shape == (3, n_frames, H, W)
    assert made.fps == FPS


def test_a_clip_too_short_to_be_scored_is_the_beginning_of_one_that_is_not():
    model = fitted()
    assert torch.equal(
        model.synthesize(2, rng=seeded(1)).video, model.synthesize(TINY.data.min_frames, rng=seeded(1)).video[:, :2]
    )


@pytest.mark.parametrize("n_frames", [0, -3])
def test_no_frames_are_refused_at_once(n_frames: int):
    with pytest.raises(UsageError, match=f"{n_frames} frames were asked for"):
        fitted().stream(n_frames, rng=seeded())


def test_periodic_space_has_no_seam():
    """A roll of the latent by one position rolls the picture by its up-sampling, across the border too."""
    model = fitted(CONVOLUTIONAL)
    space = (False, True, True)
    z = torch.randn(1, *model.gen.latent_shape(T), generator=seeded(3))
    made, rolled = (model.gen(x, z[:, :0], periodic=space) for x in (z, z.roll(1, 4)))
    torch.testing.assert_close(rolled, made.roll(2, 4), rtol=0, atol=1e-5)
    one, other = (model.synthesize(T, rng=seeded(1), periodic=p).video for p in (space, (False, False, False)))
    assert not torch.equal(one, other)


def test_the_energy_is_the_descriptor_s():
    model, y = fitted(), clip().video[None]
    assert torch.equal(model.energy(y), model.des.energy(y, no_condition(y)))
    assert model.energy(torch.cat((y, y))).shape == (2,)


def test_a_seed_decides_all_and_touches_nothing_global():
    state = torch.get_rng_state()
    one, two, other = fitted(), fitted(), fitted(seed=1)
    for key, value in one.gen.state_dict().items():
        assert torch.equal(value, two.gen.state_dict()[key])
    assert not torch.equal(one.des.heads[0].trunk[0].weight, other.des.heads[0].trunk[0].weight)  # type: ignore[index, union-attr]
    assert torch.equal(torch.get_rng_state(), state)


@both
def test_a_saved_model_synthesizes_the_same_clip(config: CoopConfig, tmp_path: Path):
    model = fitted(config)
    model.save(tmp_path / "model")
    loaded = CoopNets.load(tmp_path / "model")
    assert (loaded.config, loaded.shape, loaded.fps, loaded.iterations) == (config, (3, T, H, W), FPS, 3)
    one, two = (m.synthesize(20, rng=seeded(4)).video for m in (model, loaded))
    assert torch.equal(one, two)
    y = clip().video[None]
    assert torch.equal(model.energy(y), loaded.energy(y))
    assert not loaded.gen.training


def test_a_saved_model_names_learnt_and_fitted_tensors_apart(tmp_path: Path):
    model = fitted(CONVOLUTIONAL)
    model.save(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["config.json", "model.safetensors"]
    tensors = safetensors.torch.load_file(tmp_path / "model" / "model.safetensors")
    learnt = {f"descriptor.{k}" for k, _ in model.des.named_parameters()}
    learnt |= {f"generator.{k}" for k, _ in model.gen.named_parameters()}
    buffers = {f"buffers.descriptor.{k}" for k, _ in model.des.named_buffers()}
    buffers |= {f"buffers.generator.{k}" for k, _ in model.gen.named_buffers()}
    assert tensors.keys() == learnt | buffers
    about = json.loads((tmp_path / "model" / "config.json").read_text())
    assert about["schema_version"] == 2
    assert about["fps"] == "30000/1001"
    assert about["shape"] == [3, T, H, W]


def damage(folder: Path, key: str, value: torch.Tensor | None) -> None:
    file = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(file)
    if value is None:
        del tensors[key]
    else:
        assert key in tensors
        tensors[key] = value
    safetensors.torch.save_file(tensors, file)


@pytest.mark.parametrize(
    "key", ["descriptor.heads.0.trunk.0.weight", "generator.unfold.bias", "buffers.generator.texture.kernel"]
)
def test_a_model_with_a_tensor_missing_or_of_another_shape_is_refused(key: str, tmp_path: Path):
    fitted().save(tmp_path)
    damage(tmp_path, key, torch.zeros(2, 3, 4))
    with pytest.raises(InputError, match=r"holds .* as 2x3x4, and this preset and size need"):
        CoopNets.load(tmp_path)
    damage(tmp_path, key, None)
    with pytest.raises(InputError, match=f"lacks the tensor '{key}'"):
        CoopNets.load(tmp_path)


@pytest.mark.parametrize("key", ["schema_version", "shape", "fps", "iterations", "config"])
def test_a_model_whose_config_lacks_a_key_is_refused(key: str, tmp_path: Path):
    fitted().save(tmp_path)
    about = json.loads((tmp_path / "config.json").read_text())
    del about[key]
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"config\.json is not the config of a dyntex model"):
        CoopNets.load(tmp_path)


def test_a_config_with_an_unknown_key_and_a_file_cut_short_are_refused(tmp_path: Path):
    fitted().save(tmp_path)
    file, text = tmp_path / "config.json", (tmp_path / "config.json").read_text()
    file.write_text(text.replace('"n_chains"', '"n_chainz"'))
    with pytest.raises(UsageError, match=r"unknown key 'n_chainz'; did you mean 'n_chains'"):
        CoopNets.load(tmp_path)
    file.write_text(text)
    weights = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(InputError, match=r"damaged or was cut short"):
        CoopNets.load(tmp_path)
    with pytest.raises(InputError, match="there is no file"):
        CoopNets.load(tmp_path / "nowhere")


def test_clips_that_cannot_teach_are_refused():
    with pytest.raises(InputError, match="the clip has 5 frames; preset 'tiny' needs at least 6"):
        CoopNets.fit(clip(5), TINY, rng=seeded())
    with pytest.raises(InputError, match="has 1 frame; preset 'tiny' needs at least 9"):
        CoopNets.fit(clip(1), TINY.replaced(window=9), rng=seeded())
    narrow = Clip(torch.zeros(3, T, 8, 10), FPS)
    with pytest.raises(UsageError, match="8x10 frames are no multiples of 4 pixels"):
        CoopNets.fit(narrow, TINY, rng=seeded())


def test_a_fit_that_runs_away_is_rolled_back_and_then_given_up(monkeypatch: pytest.MonkeyPatch):
    """An absurd learning rate: the notices come, each with half the step, and then the error."""
    notices: list[str] = []
    wild = CONVOLUTIONAL.replaced(lr_des=1e30, iterations=20)
    with pytest.raises(DivergedError, match="diverged at iteration"):
        CoopNets.fit(clip(), wild, rng=seeded(), notice=notices.append)
    assert len(notices) == 3
    # One bad iteration is survived, and leaves a model as if the step had been half from there on.
    trouble = dyntex.coopnets.watchdog.Watch.trouble
    once = iter([True])

    def bad_once(watch: dyntex.coopnets.watchdog.Watch, info: StepInfo) -> str | None:
        return "a test" if info.iteration == 2 and next(once, False) else trouble(watch, info)

    monkeypatch.setattr(dyntex.coopnets.watchdog.Watch, "trouble", bad_once)
    notices.clear()
    told: list[int] = []
    model = CoopNets.fit(clip(), TINY, rng=seeded(), notice=notices.append, on_step=lambda i: told.append(i.iteration))
    assert len(notices) == 1
    assert told == [1, 1, 2, 3]
    assert model.iterations == 3
    assert all(math.isfinite(float(p.detach().sum())) for p in model.gen.parameters())
