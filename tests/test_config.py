"""Configs in and out of JSON, and the sentences about those that are wrong."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest

from dyntex.coopnets.config import (
    CoopConfig,
    DataConfig,
    OptimisationConfig,
    ReplayConfig,
    SamplingConfig,
    StabiliserConfig,
    from_json,
    to_json,
)
from dyntex.coopnets.presets import FAST, PRESETS
from dyntex.errors import UsageError, suggest
from dyntex.networks.architecture import (
    FULL,
    ConvGeneratorConfig,
    DescriptorConfig,
    Head,
    Layer,
    ShotNoiseResidualConfig,
)
from dyntex.textures.config import ShotNoiseConfig

NAMES = ("data", "sampling", "optimisation", "replay", "stabilisers")


def data(name: str = "paper-fc64") -> Any:
    return json.loads(json.dumps(to_json(PRESETS[name])))


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_every_preset_survives_the_way_through_json(config: CoopConfig):
    text = json.dumps(to_json(config), allow_nan=False)
    again = from_json(json.loads(text))
    assert again == config
    assert type(again.generator) is type(config.generator)
    assert hash(again) == hash(config)  # tuples again and not lists


def test_every_field_is_written_and_read():
    """A config in which nothing has its default."""
    layer = Layer(3, (2, FULL, 5), (1, 2, 3), (4, 5, 6), (7, 8, 9), True, "silu")
    head = Head((layer,), ((layer, replace(layer, padding="valid")), ()), (1, 2, 3), 0.5)
    descriptor = DescriptorConfig((head,), 0.1, "pixel", 0.2)
    groups = (DataConfig, SamplingConfig, OptimisationConfig, ReplayConfig, StabiliserConfig)
    settings = [field for group in groups for field in fields(group)]
    assert len({field.name for field in settings}) == len(settings)  # each is found by its name alone
    other: dict[str, Any] = {f.name: f.default + 1 for f in settings if type(f.default) in (int, float)}
    config = CoopConfig.of(
        "mine", descriptor, ConvGeneratorConfig((1, 2, 3), (layer,), 0.3), fixed_size=True, precision="bf16", **other
    )
    assert all(getattr(config, f.name) != f.default for f in fields(CoopConfig))
    held = {f.name: getattr(getattr(config, group), f.name) for group in NAMES for f in fields(getattr(config, group))}
    assert all(held[f.name] != f.default for f in settings)
    assert from_json(json.loads(json.dumps(to_json(config)))) == config
    assert to_json(config)["descriptor"]["heads"][0]["layers"][0]["kernel"] == [2, "full", 5]


def test_a_union_is_read_as_the_kind_that_it_is():
    for generator in (ShotNoiseResidualConfig(ShotNoiseConfig(regions=7)), PRESETS["paper-st"].generator):
        assert from_json(to_json(FAST.replaced(generator=generator))).generator == generator


def test_whole_numbers_serve_as_fractions_but_not_the_other_way_round():
    whole = from_json(data() | {"sampling": {"step": 1}})
    assert whole.sampling.step == 1.0
    assert isinstance(whole.sampling.step, float)
    with pytest.raises(UsageError, match=r"config\.sampling\.n_steps is 1\.5; it is of type int"):
        from_json(data() | {"sampling": {"n_steps": 1.5}})


def test_missing_keys_with_defaults_take_them():
    little = {key: data()[key] for key in ("preset", "descriptor", "generator")}
    assert from_json(little).sampling.n_steps == 10


def change(path: str, value: Any, base: Any) -> Any:
    """``base`` with what lies at "a.b.0.c" replaced."""
    here, *rest = path.split(".")
    key: Any = int(here) if here.isdigit() else here
    base[key] = change(".".join(rest), value, base[key]) if rest else value
    return base


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("sampling.n_stepz", 3, r"config\.sampling has the unknown key 'n_stepz'; did you mean 'n_steps_z'\?"),
        ("descriptor.heds", [], r"config\.descriptor has the unknown key 'heds'; did you mean 'heads'"),
        ("qqqq", 1, r"unknown key 'qqqq'$"),
        ("sampling.n_chains", "2", r"config\.sampling\.n_chains is '2'; it is of type int"),
        ("sampling.n_chains", True, r"config\.sampling\.n_chains is True; it is of type int"),
        ("sampling.step", True, r"config\.sampling\.step is True; it is of type float"),
        ("data.fixed_size", 1, r"config\.data\.fixed_size is 1; it is of type bool"),
        ("preset", None, r"config\.preset is None; it is of type str"),
        ("descriptor", [], r"config\.descriptor is \[\]; it is an object"),
        ("descriptor.heads", {}, r"config\.descriptor\.heads is \{\}; it is a list"),
        ("descriptor.heads.0.pool", [1, 2], r"heads\[0\]\.pool has 2 entries; it has 3"),
        ("descriptor.reference", "grey", r"reference is 'grey'; it is one of 'white', 'pixel'"),
        ("descriptor.heads.0.layers.1.activation", "gelu", r"layers\[1\]\.activation is 'gelu'; it is one of 'relu', "),
        ("descriptor.heads.0.layers.1.kernel", [1, 2, "all"], r"layers\[1\]\.kernel\[2\] is 'all'"),
        ("descriptor.heads.0.layers.1.padding", "half", r"layers\[1\]\.padding is 'half'"),
        ("descriptor.heads.0.layers.1.kernel", [1, 2, {}], r"layers\[1\]\.kernel\[2\] is \{\}; "),
        ("generator", 3, r"config\.generator is 3; "),
        # Of several kinds of generator, the one that was meant speaks.
        ("generator.layerz", [], r"config\.generator has the unknown key 'layerz'; did you mean 'layers'"),
        ("generator.latent", [5, 1, "1"], r"config\.generator\.latent\[2\] is '1'; it is of type int"),
    ],
)
def test_what_is_wrong_is_named(path: str, value: Any, words: str):
    with pytest.raises(UsageError, match=words):
        from_json(change(path, value, data()))


@pytest.mark.parametrize(
    ("generator", "words"),
    [
        ({"texture": {"regions": "x"}, "patch": 4}, r"config\.generator\.texture\.regions is 'x'; it is of type int"),
        ({"latent": 3, "layers": []}, r"config\.generator\.latent is 3; it is a list"),
        ({"texture": {}, "widht": 4}, r"config\.generator has the unknown key 'widht'; did you mean 'width'"),
    ],
)
def test_the_kind_of_generator_that_was_meant_speaks(generator: Any, words: str):
    with pytest.raises(UsageError, match=words):
        from_json(data() | {"generator": generator})


def test_keys_without_a_default_are_needed():
    with pytest.raises(UsageError, match=r"config lacks the key 'descriptor'"):
        from_json({"preset": "x", "generator": {}})
    with pytest.raises(UsageError, match=r"model/config\.json lacks"):
        from_json({}, where="model/config.json")


def test_suggestions_are_near_or_absent():
    assert suggest("fats", ["fast", "paper-st"]) == "; did you mean 'fast'?"
    assert suggest("zzz", ["fast"]) == ""


def test_configs_are_values():
    with pytest.raises(FrozenInstanceError):
        FAST.sampling.step = 1.0  # type: ignore[misc]


def test_settings_are_changed_by_their_names_wherever_they_lie():
    config = FAST.replaced(iterations=3, step=0.5, capacity=7, reuse=0.5, precision="bf16")
    assert (config.optimisation.iterations, config.sampling.step, config.precision) == (3, 0.5, "bf16")
    assert (config.replay.capacity, config.replay.reuse) == (7, 0.5)  # two of one group
    untouched = {"iterations": FAST.optimisation.iterations, "step": FAST.sampling.step, "precision": FAST.precision}
    assert config.replaced(capacity=0, reuse=0.0, **untouched) == FAST
    with pytest.raises(TypeError, match="iteratons"):
        FAST.replaced(iteratons=3)
