"""The toolkit against the obvious implementation: same weights, same noise, same numbers; and how the two are timed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from commands import done, dyntex
from torch import Tensor, nn

from dyntex.benchmarks.reference import Reference
from dyntex.benchmarks.studies.iteration import STAGES, Pace, Toolkit, count, measure_pace, run_stages
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.observe import no_condition
from dyntex.coopnets.presets import FAST, preset
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.train import train
from dyntex.errors import UsageError
from dyntex.networks.architecture import FULL, ConvGeneratorConfig, DescriptorConfig, Head, Layer

# Float32 sums of some thousand terms in two orders: errors near sqrt(1000) * 6e-8 = 2e-6 of the largest terms, which
# cancel to a tenth in gradients and go through three layers. A forgotten tap, pad or bias is a change of 1e-2 or more.
CLOSE = 1e-4

DESCRIPTOR = (
    Layer(12, (5, 5, 5), (2, 2, 2)),
    Layer(6, (5, FULL, FULL), (2, 1, 1), padding=(2, 0, 0)),
    Layer(4, (5, 1, 1), (2, 1, 1), padding=(2, 0, 0), activation="none"),
)
TOP = (
    Layer(8, (5, 1, 1), padding="valid", batch_norm=True),
    Layer(10, (5, 4, 4), (2, 1, 1), padding="valid", extra=(1, 0, 0), batch_norm=True),
)
SHORT = (*TOP, Layer(0, (5, 5, 5), (2, 2, 2), activation="tanh"))
LONG = (
    *TOP,
    Layer(9, (5, 5, 5), (2, 2, 2), batch_norm=True),
    Layer(0, (2, 5, 5), (1, 2, 2), activation="tanh"),
)


def tiny(layers: tuple[Layer, ...], size: int) -> CoopConfig:
    """The paper's model with a few channels, and weights large enough for every layer to matter."""
    return CoopConfig.of(
        "tiny",
        DescriptorConfig((Head(DESCRIPTOR),), ref_std=0.3, init_std=0.1),
        ConvGeneratorConfig((3, 1, 1), layers, init_std=0.2),
        size=size,
        n_frames=10,
        n_steps=2,
        step=0.1,
    )


CONFIGS = {"three layers": tiny(SHORT, 8), "four layers": tiny(LONG, 16)}


def both(config: CoopConfig) -> tuple[TrainState, Reference, Tensor]:
    rng = torch.Generator().manual_seed(0)
    shape = (3, config.data.n_frames, config.data.size, config.data.size)
    y_obs = torch.rand((1, *shape), generator=rng) * 2.0 - 1.0
    t = TrainState(config, y_obs, rng=rng)
    with torch.no_grad():
        for net in (t.des, t.gen):
            for name, p in net.named_parameters():
                if name.endswith(("bias", "shift")):
                    p.normal_(std=0.1, generator=rng)
    naive = Reference(config, shape)
    naive.copy(t)
    return t, naive, y_obs


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) < CLOSE * float(theirs.abs().max())


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_same_weights_give_the_same_clips_and_energies(config: CoopConfig):
    t, naive, y_obs = both(config)
    z = torch.randn((2, *naive.latent_shape()), generator=torch.Generator().manual_seed(1))
    assert naive.latent_shape() == t.gen.latent_shape(config.data.n_frames)
    ours, theirs = t.gen(z, z[:, :0])[:, :, : config.data.n_frames], naive.generate(z)
    assert 0.1 < float(theirs.detach().std()) < 0.9  # the tanh is neither idle nor saturated
    assert_close(ours, theirs)
    y = torch.cat((y_obs, theirs.detach()))
    f = naive.des(y).detach().sum((1, 2, 3, 4))
    assert float((f[0] - f[1]).abs()) > 0.01
    assert_close(t.des(y, no_condition(y)), f)
    assert_close(t.des.energy(y, no_condition(y)), naive.energy(y))


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_one_iteration_of_teach_is_that_of_the_reference(config: CoopConfig):
    """The gradients of every parameter, and the weights wherever a gradient is surely not rounding: Adam's first step
    is lr * sign(gradient)."""
    t, naive, y_obs = both(config)
    rng, same = torch.Generator().manual_seed(2), torch.Generator().manual_seed(2)
    info = next(train(t, y_obs, no_condition(y_obs), rng=rng))

    z = torch.randn((2, *naive.latent_shape()), generator=same)
    y_gen = naive.generate(z)
    y_rev = naive.revise(y_gen, n_steps=config.sampling.n_steps, rng=same)
    with torch.no_grad():
        gap = naive.des(y_rev).sum() / 2 - naive.des(y_obs).sum()
    naive.learn_descriptor(y_obs, y_rev)
    naive.learn_generator(y_gen, y_rev)
    gradients = [p.grad.clone() for p in parameters(naive)]
    naive.update()
    assert torch.equal(rng.get_state(), same.get_state())

    moved = in_its_layout(t)
    with torch.no_grad():
        for p in (*t.des.parameters(), *t.gen.parameters()):
            p.copy_(p.grad)
    for mine, theirs, new, expected in zip(in_its_layout(t), gradients, moved, parameters(naive), strict=True):
        scale = max(float(theirs.abs().max()), 1e-3)  # a bias under batch norm has a gradient of nothing but rounding
        assert float((mine - theirs).abs().max()) < CLOSE * scale
        sure = theirs.abs() > 0.01 * scale
        # The learning rates are 1e-2 and 2e-4: no update, or one of the wrong sign, would be that far off.
        assert float((new - expected).abs()[sure].sum()) <= 1e-6 * int(sure.sum())
    assert info.gap == pytest.approx(-float(gap), rel=1e-3)


def in_its_layout(t: TrainState) -> list[nn.Parameter]:
    """The toolkit's parameters as the reference keeps them."""
    naive = Reference(t.config, (3, t.config.data.n_frames, t.config.data.size, t.config.data.size))
    naive.copy(t)
    return parameters(naive)


def parameters(naive: Reference) -> list[nn.Parameter]:
    return [p for net in (naive.des, naive.gen) for p in net.parameters() if p.requires_grad]


def test_the_timed_stages_are_an_iteration_of_teach():
    """Bit for bit, so that what is timed is what is run."""
    config = CONFIGS["four layers"].replaced(n_steps=1)
    (t, _, y_obs), (other, naive, _) = both(config), both(config)
    rng, same = torch.Generator().manual_seed(2), torch.Generator().manual_seed(2)
    next(train(t, y_obs, no_condition(y_obs), rng=rng))
    z = torch.randn((2, *naive.latent_shape()), generator=same)
    way = Toolkit(other, n_frames=config.data.n_frames)
    other.gen.train()
    read = run_stages(way, z, y_obs, rng=same, meter=lambda work: (work(), 1.0))
    assert list(read) == list(STAGES)
    for a, b in zip(
        (*t.des.parameters(), *t.gen.parameters()), (*other.des.parameters(), *other.gen.parameters()), strict=True
    ):
        assert torch.equal(a, b)


def test_arithmetic_is_counted_as_the_paper_has_it():
    """Of paper-fc128, by hand: 2 * taps * channels in * channels out * positions, and as much for each gradient."""
    config = preset("paper-fc128")
    gflop = {stage: n / 1e9 for stage, n in count(config, (3, 64, 128, 128)).items()}
    conv1 = 2 * 125 * 3 * 120 * 32 * 64 * 64
    conv2 = 2 * 5 * 64 * 64 * 120 * 30 * 16
    conv3 = 2 * 5 * 30 * 10 * 8
    forward = (conv1 + conv2 + conv3) / 1e9
    assert gflop["D1"] == pytest.approx(2 * 2 * forward, rel=1e-6)
    # All of it forward; all but the gradient to the clip backward.
    assert gflop["D2"] == pytest.approx(3 * (3 * forward - conv1 / 1e9), rel=1e-6)
    assert gflop["G2"] == pytest.approx(2 * gflop["G0"], rel=1e-3)
    assert gflop["optimiser"] == 0.0
    assert sum(gflop.values()) + 9 * gflop["D1"] == pytest.approx(1.12e3, rel=0.01)


def test_pace_of_a_tiny_model_has_every_stage_and_scales_the_langevin_step():
    config = CONFIGS["three layers"].replaced(n_steps=7)
    told: list[tuple[int, int]] = []
    *stages, whole = measure_pace(
        config, rounds=1, rng=torch.Generator().manual_seed(0), on_round=lambda *n: told.append(n)
    )
    assert [pace.stage for pace in stages] == list(STAGES)
    assert told == [(1, 2), (2, 2)]
    for name in ("naive", "toolkit", "gflop"):
        values = [getattr(pace, name) for pace in stages]
        assert getattr(whole, name) == pytest.approx(sum(values) + 6 * values[1])
    assert all(pace.naive > 0.0 and pace.toolkit > 0.0 and pace.peak == whole.peak for pace in stages)


def test_pace_is_arithmetic():
    pace = Pace("G0", naive=6.0, toolkit=2.0, gflop=50.0, peak=100.0)
    assert (pace.ratio, pace.gflops, pace.share) == (3.0, 25.0, 0.25)


def test_the_reference_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    both(CONFIGS["three layers"])
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("config", [FAST, preset("paper-st")], ids=["fast", "paper-st"])
def test_a_preset_without_a_reference_is_refused(config: CoopConfig):
    with pytest.raises(UsageError, match=f"{config.preset}.*paper-"):
        Reference(config, (3, 64, 64, 64))


def test_the_command_measures_the_presets_named_or_paper_fc64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    measured = []

    def measure(config: CoopConfig, **_: object) -> list[Pace]:
        measured.append(config.preset)
        return [Pace("G0", naive=6.0, toolkit=2.0, gflop=50.0, peak=100.0)]

    monkeypatch.setattr("dyntex.benchmarks.studies.iteration.measure_pace", measure)
    first = done("benchmark", "iteration", "-o", tmp_path / "one")
    assert measured == ["paper-fc64"]
    assert all(word in first.err for word in ("G0", "6.00", "2.00", "3.0", "25", "25%"))
    assert "the peak is 100 GFLOP/s" in (tmp_path / "one" / "page.md").read_text()
    words = ("benchmark", "iteration", "--presets", "paper-fc128,paper-fc64", "--quiet", "--json")
    rows = done(*words, "-o", tmp_path / "two").json["rows"]
    assert [row["preset"] for row in rows] == ["paper-fc128", "paper-fc64"]
    assert rows[1]["stages"][0]["ratio"] == 3.0


def test_the_command_measures_each_precision_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def measure(config: CoopConfig, **_: object) -> list[Pace]:
        seconds = {"fp32": 4.0, "bf16": 2.0}[config.precision]
        return [Pace("G0", naive=8.0, toolkit=seconds, gflop=50.0, peak=100.0)]

    monkeypatch.setattr("dyntex.benchmarks.studies.iteration.measure_pace", measure)
    rows = done("benchmark", "iteration", "--precisions", "fp32,bf16", "--json", "-o", tmp_path / "out").json["rows"]
    assert [(row["precision"], row["stages"][0]["ratio"]) for row in rows] == [("fp32", 2.0), ("bf16", 4.0)]
    page = (tmp_path / "out" / "page.md").read_text()
    assert "| naive fp32 | dyntex bf16 |" in page
    assert "a matrix product in bf16" in page


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("iteration", "--presets", "fast"), "fast"),
        (("iteration", "--presets", "lds"), "lds"),
        (("iteration", "--frames", "0"), "--frames 0"),
        (("iteration", "--precisions", "fp16"), "'fp16'; the precisions are fp32, bf16"),
        (("--task", "speed", "--reference"), "dyntex benchmark iteration"),
    ],
)
def test_what_has_no_reference_is_refused_in_a_sentence(tmp_path: Path, words: tuple[str, ...], said: str):
    outcome = dyntex("benchmark", *words, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert outcome.code == 2
    assert outcome.err.startswith("dyntex:")
    assert said in outcome.err
