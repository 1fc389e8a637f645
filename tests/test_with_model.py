"""Completion by a taught model, by closed forms: a linear generator's posterior mode, a quadratic energy's descent."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import dyntex
from test_bad_input import one_line
from torch import Tensor, nn

from dyntex.clip import Clip
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import PRESETS, preset
from dyntex.errors import InputError, UsageError
from dyntex.inpainting.with_model import complete, explained, fitted_in
from dyntex.media import read_clip, write_png
from dyntex.networks.architecture import ConvGeneratorConfig, Layer

FPS = Fraction(25)
C, T, H, W, D = 3, 2, 4, 5, 6
NOISE, STEPS = 0.2, 7
STILL = preset("image-set").replaced(gen_std=NOISE, n_steps=STEPS, temperature=0.0, step=0.4, drift_limit=0.0)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Linear(nn.Module):
    """g(z) = A z + b + the condition, which is one frame longer than asked for, as generators may be."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = (0.1 * torch.randn(C * (T + 1) * H * W, n, generator=rng(n)) for n in (D, 1))

    def frozen(self) -> Linear:
        return self

    def latent_shape(self, n_frames: int) -> tuple[int, ...]:
        return (D, 1, 1, 1)

    def forward(self, z: Tensor, cond: Tensor) -> Tensor:
        y: Tensor = (z.flatten(1) @ self.a.T + self.b.T).view(len(z), C, T + 1, H, W)
        return y + nn.functional.pad(cond.sum(1, keepdim=True), (0, 0, 0, 0, 0, 1))


def hills(z: Tensor) -> Tensor:
    """The highest at 0, and lower ones on either side."""
    return 0.5 * torch.cos(3.0 * z) * torch.exp(-z.square() / 4)


class Hilly(nn.Module):
    """Those in every pixel, of one latent: what is brighter than all of them has a valley of U for each."""

    def frozen(self) -> Hilly:
        return self

    def latent_shape(self, n_frames: int) -> tuple[int, ...]:
        return (1, 1, 1, 1)

    def forward(self, z: Tensor, cond: Tensor) -> Tensor:
        return hills(z).expand(-1, C, T, H, W)


class Quadratic(nn.Module):
    """U = w/2 |y - m|^2, so that a descent by step d is m + (1 - w d^2 / 2)^K (y - m)."""

    def __init__(self, middle: float, weight: float) -> None:
        super().__init__()
        self.middle, self.weight, self.scale = middle, weight, torch.ones(1, 1, 1, 1, 1)

    def frozen(self) -> Quadratic:
        return self

    def energy(self, y: Tensor, cond: Tensor, *, periodic: object = None) -> Tensor:
        u: Tensor = 0.5 * self.weight * (y - self.middle).square().flatten(1).sum(1)
        return u


def model(gen: nn.Module, des: nn.Module | None = None, **changes: Any) -> CoopNets:
    k = changes.pop("k", 0)
    des = des or Quadratic(0.0, 0.0)
    return CoopNets(STILL.replaced(**changes), des, gen, (C, T, H, W), FPS, 1, k)  # type: ignore[arg-type]


def thinned(config: CoopConfig) -> CoopConfig:
    """Narrow, and as good as untaught; with weights so large that latents and conditions show."""
    assert isinstance(config.generator, ConvGeneratorConfig)

    def thin(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
        return tuple(replace(layer, channels=min(layer.channels, 4)) for layer in layers)

    heads = tuple(replace(head, layers=thin(head.layers)) for head in config.descriptor.heads)
    latent = (4, *config.generator.latent[1:])
    gen = replace(config.generator, latent=latent, layers=thin(config.generator.layers), init_std=0.5)
    des = replace(config.descriptor, heads=heads)
    return config.replaced(descriptor=des, generator=gen, n_chains=2, n_steps=2, iterations=1, temperature=1.0)


def case(seed: int = 3) -> tuple[Clip, Tensor]:
    """A clip of uniform noise, half of whose pixels are missing."""
    video = torch.rand(C, T, H, W, generator=rng(seed)) * 2 - 1
    return Clip(video, FPS), torch.rand(T, H, W, generator=rng(seed + 1)) < 0.5


def mode(gen: Linear, video: Tensor, missing: Tensor) -> Tensor:
    """g at argmin |z|^2 / 2 + |seen - A z - b|^2 / 2 NOISE^2, by the normal equations in float64."""
    a, b = (part.view(C, T + 1, H, W, -1)[:, :T].double() for part in (gen.a, gen.b))
    seen = (~missing).expand(C, T, H, W)
    rows, rest = a[seen], video[seen].double() - b[seen][:, 0]
    z = torch.linalg.solve(rows.T @ rows / NOISE**2 + torch.eye(D, dtype=torch.float64), rows.T @ rest / NOISE**2)
    y: Tensor = a @ z + b[..., 0]
    return y.float()


def test_a_linear_generator_is_asked_for_its_posterior_mode() -> None:
    """To 3e-3 of [-1, 1], less than half a grey level, being left of steps that fall to 0."""
    clip, missing = case()
    gen, hole = Linear(), missing[None, None]
    seen = clip.video[None].masked_fill(hole, 0.0)
    asked = explained(model(gen), seen, hole, seen[:, :0], rng=rng())[0]
    want = mode(gen, clip.video, missing)
    prior = gen.b.view(C, T + 1, H, W)[:, :T]
    assert float((want - prior).abs().max()) > 0.1  # what z = 0 says is another answer
    torch.testing.assert_close(asked, want, atol=3e-3, rtol=0)
    whole = complete(model(gen), clip, missing, rng=rng())
    shifted = fitted_in(want[None], seen, hole)[0].clamp(-1.0, 1.0)
    torch.testing.assert_close(whole.video[:, missing], shifted[:, missing], atol=6e-3, rtol=0)
    assert torch.equal(whole.video[:, ~missing], clip.video[:, ~missing])


def test_what_is_too_dark_all_around_is_too_dark_in_the_hole() -> None:
    """A constant error is spread as it is, in each frame and channel; where nothing is seen there is none."""
    y = torch.rand(1, C, 3, 16, 16, generator=rng()) - 0.5
    hole = torch.zeros(1, 1, 3, 16, 16, dtype=torch.bool)
    hole[..., :2, 4:12, 4:12] = True
    hole[:, :, 2] = True
    wrong = torch.randn(1, C, 3, 1, 1, generator=rng(1))
    seen = (y + wrong).masked_fill(hole, 7.0)
    want = y + torch.where(torch.arange(3).view(1, 1, 3, 1, 1) < 2, wrong, 0.0)
    torch.testing.assert_close(fitted_in(y, seen, hole), want, atol=1e-5, rtol=0)


def test_what_lies_under_the_mask_is_not_looked_at() -> None:
    clip, missing = case()
    other = Clip(torch.where(missing, -clip.video, clip.video), FPS)
    first, second = (complete(model(Linear()), c, missing, rng=rng()).video for c in (clip, other))
    assert torch.equal(first, second)


def test_the_condition_is_heard_and_its_one_frame_lasts() -> None:
    """A linear generator to which 0.3 is added explains what it explained of a clip that is 0.3 brighter."""
    clip, missing = case()
    clip = Clip(0.5 * clip.video, FPS)
    gen = Linear()
    brighter = Clip(clip.video + 0.3, FPS)
    cond = torch.full((1, 1, 1, H, W), 0.3)
    told = complete(model(gen, k=1), brighter, missing, rng=rng(), cond=cond).video
    plain = complete(model(gen), clip, missing, rng=rng()).video
    torch.testing.assert_close(told, plain + 0.3, atol=1e-3, rtol=0)


def test_the_lowest_of_all_valleys_wins() -> None:
    clip, missing = Clip(torch.full((C, T, H, W), 0.9), FPS), case()[1]
    hole = missing[None, None]
    y = clip.video[None].masked_fill(hole, 0.0)

    def asked(n: int, seed: int) -> float:
        return float(explained(model(Hilly()), y, hole, y[:, :0], rng=rng(seed), n_restarts=n)[0, 0, 0, 0, 0])

    z = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    n_seen = int((~missing).sum()) * C
    energy = 0.5 * z**2 + n_seen * (0.9 - hills(z)) ** 2 / (2 * NOISE**2)
    want = float(hills(z[energy.argmin()]))
    assert [asked(32, seed) for seed in range(2)] == pytest.approx([want] * 2, abs=1e-3)
    assert min(asked(1, seed) for seed in range(6)) < want - 0.1  # one start alone goes astray


def test_the_descriptor_descends_over_the_hole_alone() -> None:
    """With nothing but the quadratic to say, K steps leave (1 - w d^2 / 2)^K of the distance."""
    clip, missing = case()
    gen, weight = Linear(), 0.5
    whole = complete(model(gen, Quadratic(0.2, weight)), clip, missing, rng=rng()).video
    start = complete(model(gen), clip, missing, rng=rng()).video
    left = (1.0 - weight * STILL.sampling.step**2 / 2.0) ** STEPS
    assert 0.1 < left < 0.9
    want = 0.2 + left * (start - 0.2)
    torch.testing.assert_close(whole[:, missing], want[:, missing], atol=1e-5, rtol=0)
    assert torch.equal(whole[:, ~missing], clip.video[:, ~missing])


def test_nothing_is_drawn_but_where_the_search_begins() -> None:
    """A linear generator has one answer, to what is left of the search (see above), however hot the training was."""
    clip, missing = case()
    hot = model(Linear(), temperature=100.0)
    one, other = (complete(hot, clip, missing, rng=rng(seed)).video for seed in (0, 1))
    torch.testing.assert_close(one, other, atol=6e-3, rtol=0)


@pytest.mark.parametrize(("name", "side"), [("image-set", 16), ("image-texture", 32), ("video-set", 16)])
def test_a_real_model_completes_and_stays_as_it_is(name: str, side: int) -> None:
    config = PRESETS[name]
    n = config.data.min_frames
    thin = thinned(config)
    clip = Clip(torch.rand(3, n, side, side, generator=rng(1)) * 2 - 1, FPS)
    fitted = CoopNets.fit(clip, thin, rng=rng())
    before = {key: value.clone() for key, value in fitted.gen.state_dict().items()}
    missing = torch.zeros(n, side, side, dtype=torch.bool)
    missing[:, 4:12, 5:11] = True
    one, two = (complete(fitted, clip, missing, rng=rng()).video for _ in range(2))
    assert torch.equal(one, two)
    assert torch.equal(one[:, ~missing], clip.video[:, ~missing])
    assert all(torch.equal(value, before[key]) for key, value in fitted.gen.state_dict().items())


def test_refusals() -> None:
    clip, missing = case()
    fitted = model(Linear())
    larger = Clip(torch.zeros(C, T, H, W + 1), FPS)
    with pytest.raises(InputError, match="3 channels of 6x4 pixels and the model makes 3 of 5x4"):
        complete(fitted, larger, torch.zeros(T, H, W + 1, dtype=torch.bool), rng=rng())
    with pytest.raises(InputError, match="1 channels of 5x4"):
        complete(fitted, Clip(torch.zeros(1, T, H, W), FPS), missing, rng=rng())
    with pytest.raises(InputError, match="at least 3"):
        complete(model(Linear(), min_frames=3), clip, missing, rng=rng())
    with pytest.raises(InputError, match="every pixel"):
        complete(fitted, clip, torch.ones_like(missing), rng=rng())
    with pytest.raises(InputError, match="give a boolean one"):
        complete(fitted, clip, missing[:1], rng=rng())
    with pytest.raises(UsageError, match="1x1x2x4x5 numbers, not 1x0x1x4x5"):
        complete(model(Linear(), k=1), clip, missing, rng=rng())
    with pytest.raises(UsageError, match="1x0x2x4x5 numbers, not 1x1x1x4x5"):
        complete(fitted, clip, missing, rng=rng(), cond=torch.zeros(1, 1, 1, H, W))
    with pytest.raises(UsageError, match="not 1x0x3x4x5"):
        complete(fitted, clip, missing, rng=rng(), cond=torch.zeros(1, 0, 3, H, W))


# The command.


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of images of 16x16, told by a label, an image and a mask."""
    place = tmp_path_factory.mktemp("learnt")
    thin = thinned(PRESETS["image-set"])
    clip = Clip(torch.rand(3, 1, 16, 16, generator=rng(1)) * 2 - 1, FPS)
    CoopNets.fit(clip, thin, rng=rng()).save(place / "plain")
    told = {"kind": "label", "names": ["cat", "dog"]}
    volume = torch.zeros(1, 2, 1, 16, 16)
    CoopNets.fit(clip, thin, rng=rng(), cond=volume, condition=told).save(place / "told")
    write_png(place / "damaged.png", clip.to_uint8()[0])
    mask = np.zeros((16, 16), np.uint8)
    mask[4:12, 4:12] = 1
    np.save(place / "mask.npy", mask)
    np.save(place / "wide.npy", np.pad(mask, ((0, 0), (0, 4))))
    return place


def test_recover_by_a_model(folder: Path) -> None:
    damaged, mask = folder / "damaged.png", folder / "mask.npy"
    results = {}
    for label in ("cat", "dog"):
        out = folder / f"{label}.png"
        words = ("--model", folder / "told", "--label", label, "-o", out, "--json")
        outcome = dyntex("recover", damaged, "--mask", mask, *words)
        assert outcome.code == 0, outcome.err
        assert (outcome.json["method"], outcome.json["preset"]) == ("model", "image-set")
        results[label] = read_clip(out).video
    hole = torch.from_numpy(np.load(mask) != 0)[None]
    before = read_clip(damaged).video
    for after in results.values():
        assert torch.equal(after[:, ~hole], before[:, ~hole])
        assert not torch.equal(after, before)
    assert not torch.equal(results["cat"], results["dog"])


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--model", "plain", "--method", "lds"), 2, "use only one of --model"),
        (("--model", "plain", "--iterations", "3"), 2, "--model has no training"),
        (("--model", "plain", "--label", "cat"), 2, "trained without conditions: leave out --label"),
        (("--model", "told"), 2, "give --label NAME, one of cat, dog"),
        (("--label", "cat"), 2, "--label is for a model"),
        (("--model", "nowhere"), 3, "is not a model folder"),
        (("--model", "plain", "--mask", "wide.npy"), 3, "20x16 pixels"),
    ],
)
def test_refused_commands(
    words: tuple[str, ...], code: int, says: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    one_line(dyntex("recover", "damaged.png", "--mask", "mask.npy", *words, "-o", "out.png", "-q"), code, says)
    assert not Path("out.png").exists()


def test_a_model_of_another_size_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    write_png(Path("large.png"), np.zeros((32, 32, 3), np.uint8))
    np.save("large.npy", np.eye(32, dtype=np.uint8))
    words = ("--mask", "large.npy", "--model", "plain", "-o", "out.png", "-q")
    one_line(dyntex("recover", "large.png", *words), 3, "32x32 pixels and the model makes 3 of 16x16")
