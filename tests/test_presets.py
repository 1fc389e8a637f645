"""The presets: the paper's settings, to the number, and that each makes what it is meant for."""

from __future__ import annotations

import pytest
import torch

from dyntex.coopnets.capabilities import capabilities
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.observe import no_condition
from dyntex.coopnets.presets import FC_S, FC_S_64, FC_S_128, PRESETS, ST, ST_GENERATOR, preset
from dyntex.coopnets.state import networks
from dyntex.errors import UsageError
from dyntex.networks.architecture import FULL, ConvGeneratorConfig

PAPER = ["paper-fc64", "paper-fc128", "paper-st"]


@pytest.mark.parametrize("name", PAPER)
def test_the_paper_s_settings(name: str):
    """Xie et al. (2020) and its released code, experiment 7; whatever the paper has not is off."""
    config = preset(name)
    paper = {
        "n_chains": 2, "n_steps": 10, "step": 0.002, "temperature": 1.0, "lr_des": 0.01, "lr_gen": 0.0002,
        "beta1": 0.5, "gen_std": 1.0, "iterations": 1000, "n_steps_z": 0, "n_frames": 64, "window": 0,
    }  # fmt: skip
    off = dict.fromkeys(("drift_limit", "data_noise", "reuse", "ema", "capacity", "regression_weight", "head_start"), 0)
    assert config == config.replaced(lr_decay=1.0, precision="fp32", **paper, **off)
    assert (config.descriptor.ref_std, config.descriptor.reference, config.descriptor.init_std) == (
        0.016,
        "white",
        0.001,
    )
    assert config.generator.init_std == 0.005  # type: ignore[union-attr]


def test_the_paper_s_layers():
    """Channels, kernels and strides as published."""
    shown = {
        name: [(layer.channels, layer.kernel, layer.stride) for layer in layers]
        for name, layers in {
            "FC_S": FC_S.layers, "ST": ST.layers,
            "FC_S_64": FC_S_64.layers, "FC_S_128": FC_S_128.layers, "ST generator": ST_GENERATOR.layers,
        }.items()
    }  # fmt: skip
    up, cube = (2, 2, 2), (4, 4, 4)
    assert shown == {
        "FC_S": [(120, (5, 5, 5), up), (30, (5, FULL, FULL), (2, 1, 1)), (10, (5, 1, 1), (2, 1, 1))],
        "ST": [(120, (15,) * 3, (7,) * 3), (40, (7,) * 3, (3,) * 3), (20, (2, 3, 3), (1, 2, 2))],
        "FC_S_64": [(256, (5, 1, 1), (1, 1, 1)), (128, (5, 32, 32), (2, 1, 1)), (0, (5, 5, 5), up)],
        "FC_S_128": [
            (256, (5, 1, 1), (1, 1, 1)), (128, (5, 32, 32), (2, 1, 1)), (64, (5, 5, 5), up), (0, (2, 5, 5), (1, 2, 2)),
        ],
        "ST generator": [(512, cube, (1, 1, 1)), (256, cube, up), (128, cube, up), (64, cube, up), (0, cube, up)],
    }  # fmt: skip
    for head in (FC_S, ST):
        assert [layer.activation for layer in head.layers] == ["relu"] * (len(head.layers) - 1) + ["none"]
    for generator in (FC_S_64, FC_S_128, ST_GENERATOR):
        assert [layer.batch_norm for layer in generator.layers] == [True] * (len(generator.layers) - 1) + [False]
        assert generator.layers[-1].activation == "tanh"


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_each_makes_and_scores_clips_of_its_size_and_of_its_fewest_frames(config: CoopConfig):
    """On the meta device: every shape is computed and nothing else."""
    with torch.device("meta"):
        for n_frames in (config.data.min_frames, config.data.n_frames):
            y = torch.empty(1, 3, n_frames, config.data.size, config.data.size)
            des, gen = networks(config, y, rng=torch.Generator())
            z = torch.empty(2, *gen.latent_shape(n_frames))
            made = gen(z, y.new_empty(2, 0, n_frames, config.data.size, config.data.size))[:, :, :n_frames]
            assert made.shape == (2, 3, n_frames, config.data.size, config.data.size)
            assert des.energy(made, no_condition(made)).shape == (2,)


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_each_makes_sense(config: CoopConfig):
    assert PRESETS[config.preset] is config
    assert config.data.size % config.data.multiple == 0
    assert config.data.window <= config.data.min_frames <= config.data.n_frames or not config.data.window
    assert 0.0 <= config.replay.reuse <= 1.0
    assert bool(config.replay.reuse) == bool(config.replay.capacity)


@pytest.mark.parametrize(("size", "fits"), [(64, True), (32, False), (128, False)])
def test_a_fixed_size_is_the_only_one(size: int, fits: bool):
    with torch.device("meta"):
        blank = torch.empty(1, 3, 64, size, size)
        if fits:
            networks(preset("paper-fc64"), blank, rng=torch.Generator())
        else:
            with pytest.raises(UsageError, match=f"64x64 pixels, not {size}x{size}"):
                networks(preset("paper-fc64"), blank, rng=torch.Generator())


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(
        UsageError, match=r"no preset 'paper-fc256'; did you mean 'paper-fc\d+'\?; the presets are fast"
    ):
        preset("paper-fc256")
    assert preset("fast").preset == "fast"


def test_a_texture_s_networks_treat_all_places_alike_and_its_chains_stay_within_the_noise():
    """The latter bounds the feedback that made stripes: a step's overshoot is no larger than what data noise hides."""
    texture = preset("image-texture")
    assert capabilities(texture).supports("resize")
    assert not capabilities(preset("image-set")).supports("resize")
    assert 0.0 < texture.stabilisers.drift_limit <= texture.stabilisers.data_noise
    for name in ("image-texture", "image-set"):
        config = preset(name)
        assert isinstance(config.generator, ConvGeneratorConfig)
        layers = [*config.generator.layers, *(layer for _, chain in config.descriptor.chains for layer in chain)]
        assert {(layer.kernel[0], layer.stride[0]) for layer in layers} == {(1, 1)}  # a frame is an image of its own
