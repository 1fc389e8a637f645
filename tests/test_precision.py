"""bf16 rounds what convolutions multiply, and nothing else; and the choice of a precision follows the measurement."""

from __future__ import annotations

import json
import math
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import TINY, done

from dyntex.coopnets import precision
from dyntex.coopnets.config import CoopConfig, from_json, to_json
from dyntex.coopnets.observe import no_condition
from dyntex.coopnets.presets import preset
from dyntex.coopnets.revise import revise
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.train import train
from dyntex.networks.architecture import DescriptorConfig, Head, Layer
from dyntex.networks.conv_generator import ConvGenerator
from dyntex.networks.descriptor import Descriptor

ROUNDING = 2.0**-8
"""Of one bf16 number: 8 bits of significand."""


def small(name: str) -> CoopConfig:
    """A paper preset with few channels in its full-frame layers."""
    config = preset("paper-fc64")
    head = config.descriptor.heads[0]
    layers = tuple(replace(layer, channels=min(layer.channels, 12)) for layer in head.layers)
    up = config.generator.layers  # type: ignore[union-attr]
    generator = replace(
        config.generator,  # type: ignore[type-var]
        layers=(replace(up[0], channels=16), replace(up[1], channels=9, kernel=(5, 4, 4)), up[2]),
        init_std=0.1,
    )
    descriptor = replace(config.descriptor, heads=(Head(layers),), init_std=0.1)
    return config.replaced(descriptor=descriptor, generator=generator, size=8, precision=name)  # type: ignore[arg-type]


def taught(name: str) -> tuple[TrainState, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    y_obs = torch.rand((1, 3, 8, 8, 8), generator=rng) * 2.0 - 1.0
    t = TrainState(small(name).replaced(n_steps=1), y_obs, rng=rng)
    next(train(t, y_obs, no_condition(y_obs), rng=rng))
    return t, y_obs


def test_bf16_rounds_gradients_a_little_and_keeps_everything_that_lasts_in_float32():
    (exact, y_obs), (rounded, _) = taught("fp32"), taught("bf16")
    for name in ("des", "gen"):
        ours, theirs = getattr(rounded, name), getattr(exact, name)
        assert {p.dtype for p in ours.parameters()} | {p.grad.dtype for p in ours.parameters()} == {torch.float32}
        g, h = (torch.cat([p.grad.flatten() for p in net.parameters()]) for net in (ours, theirs))
        # Each of four layers rounds input, weights and output, each way: some 20 errors of a rounding, in quadrature 4;
        # and the descriptor's gradient is a difference of two that are a few times larger.
        assert 0.0 < float((g - h).norm() / h.norm()) < 20 * ROUNDING
        state = getattr(rounded, f"opt_{name}").state
        assert {v.dtype for slots in state.values() for v in slots.values()} == {torch.float32}
    y = revise(rounded.des, y_obs, no_condition(y_obs), rounded.config, rng=torch.Generator().manual_seed(1))
    assert y.dtype == torch.float32
    assert rounded.des.energy(y, no_condition(y)).dtype == torch.float32


def test_a_score_is_summed_in_float32():
    """4096 ones and a half: bf16 cannot tell 4097 from 4096, float32 can."""
    config = DescriptorConfig((Head((Layer(1, (1, 1, 1), activation="none"),)),))
    des = Descriptor(config, (1, 4, 32, 33), rng=torch.Generator(), precision="bf16")
    des.heads[0].trunk[0].weight.data.fill_(1.0)
    y = torch.ones(1, 1, 4, 32, 33)
    assert float(des(y, no_condition(y))) == 4 * 32 * 33


def test_bf16_leaves_the_stationary_law_of_the_langevin_dynamics():
    """A linear f moves q = N(0, s^2) by s^2 w: after 40 steps of step = s the chain is AR(1) with a = 1/2.

    Its variance is s^2 / (1 - 1/4), discretisation included; w = 1/4 is exact in bf16, so that nothing is rounded but
    the input, on which a linear f's gradient does not depend. 6 standard errors of 98304 pixels.
    """
    s, w = 0.5, 0.25
    config = CoopConfig.of(
        "linear",
        DescriptorConfig((Head((Layer(1, (1, 1, 1), activation="none"),)),), ref_std=s),
        preset("paper-fc64").generator,
        step=s,
        precision="bf16",
    )
    des = Descriptor(config.descriptor, (1, 24, 64, 64), rng=torch.Generator(), precision="bf16")
    des.heads[0].trunk[0].weight.data.fill_(w)
    y = torch.zeros(1, 1, 24, 64, 64)
    y = revise(des, y, no_condition(y), config, rng=torch.Generator().manual_seed(0), n_steps=40)
    var = s**2 / (1.0 - 0.25)
    assert abs(float(y.mean()) - s**2 * w) < 6.0 * math.sqrt(var / y.numel())
    assert abs(float(y.var()) / var - 1.0) < 6.0 * math.sqrt(2.0 / y.numel())


def slowed(monkeypatch: pytest.MonkeyPatch, network: type, *, bf16: float, fp32: float) -> None:
    """Let one of the networks take so much longer, in seconds."""
    forward = network.forward

    def slow(self: torch.nn.Module, *args: torch.Tensor, **more: object) -> torch.Tensor:
        time.sleep(bf16 if getattr(self, "precision", "") == "bf16" else fp32)
        return forward(self, *args, **more)

    monkeypatch.setattr(network, "forward", slow)


@pytest.mark.parametrize(("network", "times"), [(Descriptor, 1), (ConvGenerator, 1)], ids=["descriptor", "generator"])
@pytest.mark.parametrize(("bf16", "fp32"), [(0.2, 0.0), (0.0, 0.2)], ids=["bf16 slow", "fp32 slow"])
def test_auto_times_the_layers_of_both_networks(monkeypatch, network: type, times: int, bf16: float, fp32: float):
    """A fifth of a second is many times what these small networks need: whichever of them is slow decides."""
    config = small("fp32").replaced(n_steps=times)
    slowed(monkeypatch, network, bf16=bf16, fp32=fp32)
    chosen, sentence = precision.choose_precision(config, torch.device("cpu"))
    assert chosen == ("fp32" if bf16 else "bf16")
    assert sentence.startswith(f"precision {chosen}: here the layers of paper-fc64 are ")
    assert f"times as {'slow' if bf16 else 'fast'} in bf16 as in fp32" in sentence


def test_auto_stays_with_fp32_where_neither_is_faster(monkeypatch: pytest.MonkeyPatch):
    slowed(monkeypatch, Descriptor, bf16=0.2, fp32=0.2)
    assert precision.choose_precision(small("fp32").replaced(n_steps=1), torch.device("cpu"))[0] == "fp32"


@pytest.mark.parametrize("name", ["fast", "image-texture"])
def test_a_measured_choice_is_one_that_a_config_can_hold(name: str):
    config = preset(name).replaced(size=16)
    chosen, _ = precision.choose_precision(config, torch.device("cpu"))
    config = config.replaced(precision=chosen)
    assert from_json(to_json(config)) == config


@pytest.mark.parametrize(("words", "expected"), [((), "fp32"), (("--precision", "bf16"), "bf16")])
def test_the_run_keeps_the_precision_that_it_was_asked_for(tmp_path: Path, words: tuple[str, ...], expected: str):
    done("train", "example:ripples", "-o", tmp_path / "m", *TINY, *words, "--quiet")
    assert json.loads((tmp_path / "m" / "config.json").read_text())["config"]["precision"] == expected


def test_auto_says_what_it_chose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(precision, "choose_precision", lambda _config, _device: ("bf16", "precision bf16: because"))
    outcome = done("train", "example:ripples", "-o", tmp_path / "m", *TINY, "--precision", "auto")
    assert "precision bf16: because" in outcome.err
    assert json.loads((tmp_path / "m" / "config.json").read_text())["config"]["precision"] == "bf16"
