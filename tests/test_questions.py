"""The questions: every trainer against closed forms, the classifier, and the study."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from commands import dyntex
from torch import Tensor

from dyntex.benchmarks.cpu_budget import CpuBudget
from dyntex.benchmarks.data import Source, Split, find_clips, split_clip
from dyntex.benchmarks.report.markdown import render
from dyntex.benchmarks.studies.questions.classifier import (
    frechet,
    mean_nearest,
    modes,
    relative_frechet,
    train_classifier,
)
from dyntex.benchmarks.studies.questions.datasets import Data, Dataset, datasets, stacked, texture, texture_set
from dyntex.benchmarks.studies.questions.digits import Digits
from dyntex.benchmarks.studies.questions.fitting import Trainer, fit
from dyntex.benchmarks.studies.questions.nets import DIGITS, TEXTURES, Encoder
from dyntex.benchmarks.studies.questions.page import page
from dyntex.benchmarks.studies.questions.sweep import Questions, settings_of
from dyntex.benchmarks.studies.questions.trainers import (
    adversarial,
    descriptor_alone,
    generator_alone,
    negative_elbo,
    windows,
)
from dyntex.benchmarks.study import PAGE, RESULTS, Row, run
from dyntex.clip import Clip
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.state import TrainState
from dyntex.errors import UsageError
from dyntex.networks.architecture import FULL, ConvGeneratorConfig, DescriptorConfig, Head, Layer

SIDE = 4
PIXELS = SIDE * SIDE


def linear(depth: int = 2, **settings: object) -> CoopConfig:
    """f(y) = w.y + b on 4x4 images, and g(z) = W z + c."""
    score = Layer(1, (1, FULL, FULL), padding="valid", activation="none")
    image = Layer(0, (1, SIDE, SIDE), padding="valid", activation="none")
    config = CoopConfig.of(
        "linear",
        DescriptorConfig((Head((score,)),), ref_std=1.0, init_std=0.001),
        ConvGeneratorConfig((depth, 1, 1), (image,), init_std=0.1),
        size=SIDE,
        n_frames=1,
        min_frames=1,
        window=1,
        n_chains=64,
        n_steps=5,
        step=0.7,
    )
    return config.replaced(**settings)


def upto(n: int) -> Callable[[int], float]:
    return lambda iteration: iteration / n


def weights_of(t: TrainState) -> Tensor:
    """w of the linear descriptor, (H*W,)."""
    images = torch.eye(PIXELS).view(PIXELS, 1, 1, SIDE, SIDE)
    with torch.no_grad():
        return t.des(images, images[:, :0]) - t.des(0 * images, images[:, :0])


def map_of(t: TrainState, depth: int) -> tuple[Tensor, Tensor]:
    """W (H*W, depth) and c (H*W,) of the linear generator."""
    z = torch.cat((torch.zeros(1, depth), torch.eye(depth)))[:, :, None, None, None]
    with torch.no_grad():
        y = t.gen(z, z[:, :0]).flatten(1)
    return (y[1:] - y[0]).T, y[0]


def images(n: int, mean: Tensor, *, rng: torch.Generator) -> Tensor:
    return mean.view(1, 1, 1, SIDE, SIDE) + torch.randn((n, 1, 1, SIDE, SIDE), generator=rng)


def test_windows_are_cut_where_they_say_and_everywhere(rng: torch.Generator):
    y = torch.arange(2 * 7.0).view(2, 1, 7, 1, 1)
    cut, which = windows(y, 3, 400, rng=rng)
    assert cut.shape == (400, 1, 3, 1, 1)
    assert set(which.tolist()) == set(range(2 * 5))
    for window, place in zip(cut.flatten(1).tolist(), which.tolist(), strict=True):
        first = 7 * (place // 5) + place % 5
        assert window == [first, first + 1, first + 2]


def test_the_descriptor_alone_finds_the_mean_of_gaussian_data(rng: torch.Generator):
    # exp(w.y) N(0, I) is N(w, I): the likelihood of data is greatest where w is their mean.
    mean = torch.linspace(-1.0, 1.0, PIXELS)
    y = images(500, mean, rng=rng)
    t = TrainState(linear(lr_des=0.03), y, rng=rng)
    chains = torch.randn((64, 1, 1, SIDE, SIDE), generator=rng)
    found = torch.zeros(PIXELS)
    for i in descriptor_alone(t, y, chains, n=32, rng=rng, progress=upto(120)):
        found += weights_of(t) / 60 if i > 60 else 0.0
    # Adam moves at .03 an iteration; over 60 of them that noise averages to under .15. A lost sign runs away.
    torch.testing.assert_close(found, y.mean((0, 1, 2)).flatten(), atol=0.15, rtol=0.0)
    # The chains have the model's law: variance 1 about a mean that follows the weights.
    assert float(chains.flatten(1).var(0).mean()) == pytest.approx(1.0, abs=0.2)


def test_chains_of_the_descriptor_go_on_where_they_were(rng: torch.Generator):
    y = images(10, torch.zeros(PIXELS), rng=rng)
    t = TrainState(linear(lr_des=0.0, step=1e-3), y, rng=rng)
    chains = 5.0 + torch.randn((20, 1, 1, SIDE, SIDE), generator=rng)
    before = chains.clone()
    next(descriptor_alone(t, y, chains, n=6, rng=rng, progress=upto(1)))
    moved = (chains != before).flatten(1).any(1)
    assert int(moved.sum()) == 6
    # Five steps of .001 keep a chain within .02 of where it was: nothing was drawn afresh, and nothing was swapped.
    assert float((chains - before).abs().max()) < 0.02


def test_the_generator_alone_finds_the_factors_of_gaussian_data(rng: torch.Generator):
    # y = W z + e is probabilistic PCA (Tipping, Bishop 1999): the likelihood is greatest where W W' is the covariance's
    # leading part, U (L - sigma^2) U'.
    sigma, n = 0.7, 200
    factors = 0.35 * torch.randn((PIXELS, 2), generator=rng)
    noise = sigma * torch.randn((n, PIXELS), generator=rng)
    flat = torch.randn((n, 2), generator=rng) @ factors.T + noise + 0.5
    y = flat.view(-1, 1, 1, SIDE, SIDE)
    values, vectors = torch.linalg.eigh(flat.T.cov())
    expected = vectors[:, -2:] * (values[-2:] - sigma**2) @ vectors[:, -2:].T
    # The posterior's precision is 1 + |w|^2 / sigma^2, up to 8: steps of .15 inflate z's
    # conditional variance by 4 % and ten of them forget two thirds of where they began.
    t = TrainState(linear(gen_std=sigma, n_steps_z=10, step_z=0.15, lr_gen=0.02, beta1=0.9), y, rng=rng)
    latents = torch.randn((n, *t.gen.latent_shape(1)), generator=rng)
    found = torch.zeros(PIXELS, PIXELS)
    for i in generator_alone(t, y, latents, rng=rng, progress=upto(160)):
        if i > 80:
            W, _ = map_of(t, 2)
            found += W @ W.T / 80
    # Without the prior on z the norm would run off; another plane of 16 dimensions would be off by more than 1.
    assert float((found - expected).norm() / expected.norm()) < 0.15


@pytest.mark.parametrize("encoder_is_right", [True, False])
def test_the_bound_of_the_vae_is_tight_for_the_posterior_and_only_for_it(rng: torch.Generator, encoder_is_right: bool):
    # One factor w: p(y) = N(c, w w' + sigma^2 I), and the posterior is N(w'(y - c) / (sigma^2 + w'w), sigma^2 / (...)).
    sigma = 0.5
    y0 = torch.randn((1, 1, 1, SIDE, SIDE), generator=rng)
    t = TrainState(linear(1, gen_std=sigma), y0, rng=rng)
    W, c = map_of(t, 1)
    w = W[:, 0]
    precision = 1.0 + float(w @ w) / sigma**2

    def encode(y: Tensor) -> tuple[Tensor, Tensor]:
        mean = (y.flatten(1) - c) @ w / sigma**2 / precision
        mean = mean.view(-1, 1, 1, 1, 1) + (0.0 if encoder_is_right else 0.5)
        return mean, torch.full_like(mean, -math.log(precision))

    n = 20000
    with torch.no_grad():
        found = float(negative_elbo(t.gen, encode, y0.expand(n, -1, -1, -1, -1), gen_std=sigma, rng=rng))
    law = torch.distributions.MultivariateNormal(c, W @ W.T + sigma**2 * torch.eye(PIXELS))
    exact = -float(law.log_prob(y0.flatten())) - 0.5 * PIXELS * math.log(2 * math.pi * sigma**2)
    # The gap is the divergence from the posterior: of means .5 apart, .5^2 precision / 2.
    gap = 0.0 if encoder_is_right else 0.5**2 * precision / 2
    assert found == pytest.approx(exact + gap, abs=0.02)


def test_the_first_step_of_the_gan_goes_the_right_way(rng: torch.Generator):
    # For f = w.y from w = 0, the discriminator descends along mean(fake) - mean(real), and the generator then along -w;
    # Adam's first step is its rate times the sign.
    mean = torch.where(torch.arange(PIXELS) % 3 == 0, 2.0, -2.0)
    y = images(500, mean, rng=rng)
    t = TrainState(linear(lr_des=0.01, lr_gen=0.003), y, rng=rng)
    _, before = map_of(t, 2)
    start = weights_of(t)
    next(adversarial(t, y, rng=rng, progress=upto(1)))
    torch.testing.assert_close(weights_of(t) - start, 0.01 * mean.sign(), atol=1e-4, rtol=0.0)
    _, after = map_of(t, 2)
    # One bias for the only channel: it follows the sum of w, which is negative here.
    assert float((after - before).mean()) == pytest.approx(0.003 * float(weights_of(t).sum().sign()), abs=1e-4)


def test_the_generator_of_the_gan_learns_from_what_is_plainly_fake(rng: torch.Generator):
    # The non-saturating loss has the gradient -s(-f) df/dy, about -w where f is far below 0; log(1 - s(f)) would have
    # s(f), about e^-20, of it.
    y = images(500, torch.full((PIXELS,), 10.0), rng=rng)
    t = TrainState(linear(lr_des=0.0), y, rng=rng)
    with torch.no_grad():
        t.des.heads[0].trunk[0].weight.fill_(0.1)  # type: ignore[index, union-attr]
        t.des.heads[0].trunk[0].bias.fill_(-20.0)  # type: ignore[index, union-attr]
    next(adversarial(t, y, rng=rng, progress=upto(1)))
    bias = next(p for p in t.gen.parameters() if p.shape == (1,))
    assert bias.grad is not None
    assert float(bias.grad) == pytest.approx(-0.1 * PIXELS, rel=1e-3)


@pytest.mark.parametrize("config", [DIGITS, TEXTURES], ids=["digits", "textures"])
def test_the_encoder_gives_a_latent_of_the_generators_shape(config: CoopConfig, rng: torch.Generator):
    y = torch.rand((2, 3, config.data.window, config.data.size, config.data.size), generator=rng)
    t = TrainState(config, y, rng=rng)
    mean, log_var = Encoder(config, (3, config.data.size, config.data.size), rng=rng)(y)
    assert mean.shape == log_var.shape == (2, *t.gen.latent_shape(config.data.window))


def test_the_frechet_distance_of_gaussians(rng: torch.Generator):
    # Of exact moments: whitened draws, stretched. For covariances that commute it is |m|^2 + sum (s - t)^2, squared.
    x = torch.randn((500, 3), generator=rng, dtype=torch.float64)
    x = x - x.mean(0)
    x = torch.linalg.solve_triangular(torch.linalg.cholesky(x.T.cov()), x.T, upper=False).T
    turn, _ = torch.linalg.qr(torch.randn((3, 3), generator=rng, dtype=torch.float64))
    a = x * torch.tensor([1.0, 2.0, 3.0]) @ turn
    b = x * torch.tensor([2.0, 2.0, 0.5]) @ turn + torch.tensor([1.0, 0.0, -2.0], dtype=torch.float64) @ turn
    assert frechet(a, b) == pytest.approx(math.sqrt(5.0 + 1.0 + 2.5**2), rel=1e-6)
    assert frechet(a, a) == pytest.approx(0.0, abs=1e-5)
    # Of covariances that do not commute, from the formula with matrix roots.
    skew = torch.tensor([[1.0, 1.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]], dtype=torch.float64)
    c = x @ skew
    values, vectors = torch.linalg.eigh(a.T.cov())
    root = vectors * values.sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ c.T.cov() @ root).sqrt().sum()
    assert frechet(a, c) ** 2 == pytest.approx(float(a.T.cov().trace() + c.T.cov().trace() - 2 * cross), rel=1e-6)


def test_real_is_at_one_of_the_relative_distance_and_a_shift_is_beyond(rng: torch.Generator):
    heldout, fresh = torch.randn((2, 600, 4), generator=rng)
    # Distances of 300 draws to 300 scatter by some 15 % about their mean, and four splits by half of that.
    assert relative_frechet(fresh, heldout, rng=rng) == pytest.approx(1.0, abs=0.3)
    # 2 against sqrt(4 / 300 * 2 + ...), about .2 with the covariances.
    assert relative_frechet(fresh + 1.0, heldout, rng=rng) > 5.0


def test_modes_are_counted_and_compared_with_the_uniform_law():
    assert modes(torch.arange(10).repeat(3), 10) == (10, 0.0)
    covered, kl = modes(torch.tensor([0, 0, 5, 5]), 10)
    assert (covered, kl) == (2, pytest.approx(math.log(5)))
    assert modes(torch.zeros(7, dtype=torch.long), 10)[1] == pytest.approx(math.log(10))
    covered, kl = modes(torch.tensor([0, 0, 0, 1]), 2)
    assert kl == pytest.approx(0.75 * math.log(1.5) + 0.25 * math.log(0.5))


def test_the_nearest_is_another_one():
    a, b = torch.tensor([[0.0], [3.0], [4.0]]), torch.tensor([[0.0], [10.0]])
    assert mean_nearest(a, a) == 0.0
    assert mean_nearest(a, a, itself=True) == pytest.approx((3 + 1 + 1) / 3)
    assert mean_nearest(a, b) == pytest.approx((0 + 3 + 4) / 3)


def swapped(clip: Clip) -> Clip:
    """Its colours in the opposite order."""
    return Clip(clip.video.flip(0), clip.fps)


@pytest.fixture(scope="module")
def bars() -> Digits:
    """Ten classes of images: a bright row of 16 at one of ten heights, with noise; and their classifier."""
    rng = torch.Generator().manual_seed(0)
    labels = torch.arange(240) % 10
    y = -0.8 + 0.1 * torch.randn((240, 1, 1, 16, 16), generator=rng)
    y[torch.arange(240), 0, 0, labels + 3] = 0.8
    y = y.clamp(-1.0, 1.0)
    classifier = train_classifier(y[:160], labels[:160], y[160:], labels[160:], steps=60, rng=rng)
    return Digits(y[:160], labels[:160], y[160:], classifier)


def test_the_judge_tells_classes_apart(bars: Digits):
    assert bars.classifier.accuracy > 0.95
    assert (bars.classifier.classes(bars.train) == bars.labels).float().mean() > 0.95


def test_digits_are_measured_by_what_is_wrong_with_them(bars: Digits, rng: torch.Generator):
    copy = bars.measure(bars.train[:40])
    assert copy["copy_distance"] == 0.0
    assert 0.5 < copy["diversity"] < 1.5
    assert bars.measure(bars.train[:1].repeat(40, 1, 1, 1, 1))["diversity"] == 0.0
    noisy = bars.measure(bars.heldout[:40] + 0.3 * torch.randn((40, 1, 1, 16, 16), generator=rng))
    assert noisy["texture"] > 1.5 * copy["texture"]
    one_class = bars.heldout[bars.classifier.classes(bars.heldout) == 3].repeat(6, 1, 1, 1, 1)
    assert bars.measure(one_class)["shape"] > 1.5 * copy["shape"]


def test_stacked_digits_are_as_many_modes_as_triples_of_classes(bars: Digits, rng: torch.Generator):
    y = bars.stacked(rng=rng, n=400)
    assert y.shape == (400, 3, 1, 16, 16)
    found = bars.measure_stacked(y)
    expected = 1000 * (1 - 0.999**400)  # 330, of which chance and a few errors of the classifier change some tens
    assert found["modes"] == pytest.approx(expected, abs=40)
    planes = [bars.heldout[bars.classifier.classes(bars.heldout) == c][:1] for c in (1, 2, 3)]
    same = torch.cat([plane.expand(200, -1, -1, -1, -1) for plane in planes], dim=1)
    assert bars.measure_stacked(same)["modes"] == 1
    assert bars.measure_stacked(torch.cat((same, same.flip(1))))["modes"] == 2  # 123 is not 321


@pytest.fixture(scope="module")
def ripples() -> Split:
    return split_clip(find_clips(["example:ripples"])[0], size=32, n_frames=32)


def test_a_set_of_textures_knows_which_are_covered(ripples: Split):
    other = replace(ripples, train=swapped(ripples.train), heldout=swapped(ripples.heldout))
    splits = [ripples, other]
    data = texture_set(splits, n=12, steps=12)
    assert data.y_obs.shape == (2, 3, 32, 32, 32)
    both = torch.stack([g.heldout.video[:, s : s + 16] for g in splits for s in (0, 3, 6, 9, 12, 15)])
    found = data.measure(both)
    assert (found["modes"], found["kl"], found["classifier_accuracy"]) == (2.0, 0.0, 1.0)
    assert data.measure(both[:6])["modes"] == 1.0
    assert data.measure(both[:6])["score"] > found["score"]


def test_looks_are_free_of_the_budget():
    budget = CpuBudget(1.0)
    with budget.stopped():
        sum(range(3_000_000))
    assert budget.share(1) < 0.02  # the sum takes some .05 s


def test_a_budget_is_of_the_processor_and_begins_with_the_first_question(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr("dyntex.benchmarks.cpu_budget.time.process_time", lambda: now[0])
    budget = CpuBudget(40.0)
    now[0] += 7.0
    assert budget.share(0) == 0.0
    now[0] += 10.0
    assert budget.share(1) == 0.25
    with budget.stopped():
        now[0] += 5.0
    assert budget.share(1) == 0.25
    assert CpuBudget(0.0).share(0) == 1.0


def tiny(bars: Digits, *, modes: int = 40) -> Callable[..., list[Dataset]]:
    """Bars as digits, stacked too, for networks of a few channels."""
    config = linear().replaced(
        n_chains=4, n_steps=2, step=0.1, size=16, descriptor=DIGITS.descriptor, generator=DIGITS.generator
    )
    grey = Data(bars.train, 40, 1, bars.measure, bars.train[:40])

    def load(sources: Sequence[Source], **_: int) -> list[Dataset]:
        return [
            Dataset("bars", config, lambda: grey, "training bars"),
            Dataset("stacked digits", config, lambda: stacked(bars, n=modes), "held-out digits", alone=False),
        ]

    return load


def test_a_sweep_is_resumed_and_its_page_is_of_its_cells(bars: Digits, tmp_path: Path):
    told: list[Row] = []
    study = Questions((), seconds=0.05, seeds=1, steps=(0, 1, 3), load=tiny(bars))
    results = run(study, tmp_path, command="RUN", on_row=lambda row, *_: told.append(row))
    compared = (Trainer.COOP, Trainer.REPLAY, Trainer.GAN)
    trainings = [("bars", t) for t in Trainer] + [("stacked digits", t) for t in compared]
    assert [(row["dataset"], row["trainer"]) for row in told if "trainer" in row] == trainings
    assert [row["real"] for row in told if "real" in row] == ["training bars", "held-out digits"]
    assert all((tmp_path / name / trainer / "0" / "samples.png").exists() for name, trainer in trainings)
    assert json.loads((tmp_path / RESULTS).read_text()) == results
    (tmp_path / "bars" / "GAN" / "0" / "row.json").unlink()
    again = run(study, tmp_path, command="RUN")["rows"]
    assert [row for row in again if row.get("trainer") != "GAN"] == [
        row for row in results["rows"] if row.get("trainer") != "GAN"
    ]  # the seconds among them
    cell = next(row for row in again if row.get("trainer") == "cooperative")
    text = (tmp_path / PAGE).read_text()
    assert f"{cell['numbers']['score']:.2f}" in text
    rows = cell["chains"]["noise"]
    assert [row["steps"] for row in rows] == [0, 1, 3]
    assert rows[0]["milliseconds"] < rows[1]["milliseconds"] < rows[2]["milliseconds"]
    # Steps of the generator's chain begin at what the generator makes: y_gen of RQ4 is no y_rev.
    assert cell["chains"]["generator"][0]["score"] != cell["chains"]["noise"][0]["score"]
    for heading in ("RQ1", "RQ2", "RQ3", "RQ4"):
        assert f"## {heading}" in text


def test_a_folder_of_other_trainings_is_left_alone(bars: Digits, tmp_path: Path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UsageError, match="name another folder"):
        run(Questions((), load=tiny(bars)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_the_datasets_are_digits_and_the_clips_one_by_one_and_in_one_set():
    names = [f"example:{name}" for name in ("ocean", "smoke", "flame", "ripples", "clouds")]
    study = Questions(tuple(find_clips(names)), seeds=1, load=partial(datasets))
    cells = list(study.cells())
    assert list(study.datasets) == ["digits", "stacked digits", "5 textures", "ocean", "smoke", "flame", "ripples"]
    seconds = {cell.about["dataset"]: cell.settings["seconds"] for cell in cells if "trainer" in cell.about}
    assert seconds == dict.fromkeys(study.datasets, 30.0) | {"5 textures": 120.0}
    trainers = [
        cell.about["trainer"] for cell in cells if cell.about["dataset"] == "5 textures" and "seed" in cell.about
    ]
    assert trainers == ["cooperative", "cooperative with replay", "GAN"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--size", 64), "No such option: --size"),
        (("--methods", "lds"), "No such option: --methods"),
        (("--no-models",), "No such option: --no-models"),
        (("--shard", "2/1"), "--shard 2/1"),
        (("--cpu-seconds", -1), "--cpu-seconds -1 is not positive"),
        (("--cpu-seconds", "nan"), "--cpu-seconds nan is not positive"),
        (("--seeds", 0), "--seeds 0 is not positive"),
    ],
)
def test_what_means_nothing_to_the_questions_is_refused_and_nothing_is_made(tmp_path: Path, words: tuple, said: str):
    refused = dyntex("benchmark", "questions", *words, "-o", tmp_path / "out")
    assert refused.code == 2
    assert said in refused.err
    assert not (tmp_path / "out").exists()


def test_without_scikit_learn_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    for name in ("questions", "conditions"):
        refused = dyntex("benchmark", name, "--quick", "--clips", "example:ripples", "-o", tmp_path / "out")
        assert refused.code == 6
        assert not (tmp_path / "out").exists()
    assert "pip install scikit-learn" in refused.err


@pytest.mark.slow
def test_a_quick_look_answers_all_four(tmp_path: Path):
    pytest.importorskip("sklearn")
    done = dyntex("benchmark", "questions", "--quick", "-o", tmp_path)
    assert (done.code, done.out.strip()) == (0, str(tmp_path))
    text = (tmp_path / PAGE).read_text()
    for heading in ("RQ1", "RQ2", "RQ3", "RQ4", "### 2 textures", "### digits", "### stacked digits"):
        assert heading in text


def test_the_verdict_counts_subjects_by_their_means_over_seeds():
    def cell(dataset: str, trainer: Trainer, seed: int, score: float) -> dict[str, object]:
        numbers = {"score": score, "diversity": 1.0, "copy_distance": 1.0}
        return {"dataset": dataset, "trainer": trainer, "seed": seed, "iterations": 9, "numbers": numbers}

    scores = {Trainer.COOP: [(1.0, 3.0), (2.0, 2.0)], Trainer.GAN: [(2.5, 2.5), (1.0, 1.0)]}
    rows = [
        cell(f"clip{i}", trainer, seed, score if (found := scores.get(trainer)) is None else found[i][seed])
        for trainer in Trainer
        for i in range(2)
        for seed, score in enumerate((4.0, 4.0))
    ]
    text = render(page(rows, seconds=1.0, command="RUN"))
    assert "descriptor alone on 2 of 2; generator alone on 2 of 2; VAE on 2 of 2; GAN on 1 of 2." in text
    assert "| cooperative | 2.00 ± 1.41 | 2.00 ± 0.00 | 2.00 |" in text
    assert "| GAN | 2.50 ± 0.00 | 1.00 ± 0.00 | 1.58 |" in text


@pytest.mark.parametrize("trainer", list(Trainer))
def test_what_is_drawn_is_new_in_range_and_repeatable(trainer: Trainer, ripples: Split):
    dataset = Dataset("ripples", TEXTURES, lambda: texture(ripples), "training clip")
    config = settings_of(dataset, trainer).replaced(n_chains=2, n_steps=1)
    drawn = []
    for _ in range(2):
        rng = torch.Generator().manual_seed(3)
        fitted = fit(trainer, dataset.load().y_obs, config, rng=rng, progress=upto(1))
        assert fitted.t.iteration == 1
        drawn.append(fitted.draw(2, 32, rng))
    assert drawn[0].shape == (2, 3, 32, 32, 32)
    assert float(drawn[0].abs().max()) <= 1.0
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0][0], drawn[0][1])
