"""Sets and conditions in the networks, the loop and the stream: one path, whatever K and N are."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets import stream as streaming
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.langevin import langevin
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.observe import crops, observe
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.stream import stretch
from dyntex.coopnets.train import mean_loss, train
from dyntex.errors import InputError, UsageError
from dyntex.networks.architecture import (
    FULL,
    ConvGeneratorConfig,
    DescriptorConfig,
    Head,
    Layer,
    ShotNoiseResidualConfig,
)
from dyntex.networks.conv_generator import ConvGenerator
from dyntex.networks.layers import beside
from dyntex.textures.config import ShotNoiseConfig

T, H, W, K = 6, 8, 8, 2
DESCRIPTOR = DescriptorConfig(
    (Head((Layer(4, (2, 3, 3), (1, 2, 2)), Layer(2, (1, FULL, FULL), padding="valid"))),), init_std=0.1
)
GENERATOR = ConvGeneratorConfig(
    (3, 1, 1),
    (
        Layer(5, (1, FULL, FULL), padding="valid", batch_norm=True),
        Layer(4, (3, 4, 4), (2, 2, 2)),
        Layer(0, (1, 3, 3), activation="tanh"),
    ),
    init_std=0.3,
)
CONFIG = CoopConfig.of("tiny", DESCRIPTOR, GENERATOR, min_frames=4, window=4, n_chains=3, iterations=2, n_steps=1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clips(n: int, *, n_frames: int = T, size: int = H) -> list[Clip]:
    video = torch.rand(n, 3, n_frames, size, size, generator=seeded(3)) * 2 - 1
    return [Clip(v, Fraction(25)) for v in video]


def labels(*which: int, n_frames: int = T) -> Tensor:
    return torch.eye(K)[list(which)].view(-1, K, 1, 1, 1).expand(-1, -1, n_frames, H, W)


def first_frames(model: CoopNets, **more: Any) -> Tensor:
    return model.synthesize(4, rng=seeded(5), **more).video


# --- networks ----------------------------------------------------------------


def test_beside_averages_the_condition_to_the_grid():
    x, cond = torch.zeros(1, 1, 2, 2, 2), torch.arange(4 * 4 * 4.0).view(1, 1, 4, 4, 4)
    y = beside(x, cond)
    assert y.shape == (1, 2, 2, 2, 2)
    assert float(y[0, 1, 0, 0, 0]) == pytest.approx(float(cond[0, 0, :2, :2, :2].mean()))
    assert beside(x, cond[:, :0]) is x


def test_every_layer_of_the_generator_hears_the_condition():
    gen = ConvGenerator(GENERATOR, (3, T, H, W), rng=seeded(), condition_channels=K).double().eval()
    z = torch.randn(1, *gen.latent_shape(T), generator=seeded(), dtype=torch.float64)
    cond = torch.rand(1, K, T, H, W, generator=seeded(1), dtype=torch.float64)
    whole = gen(z, cond)
    for i in range(len(gen.layers)):
        deaf = ConvGenerator(GENERATOR, (3, T, H, W), rng=seeded(), condition_channels=K).double().eval()
        deaf.load_state_dict(gen.state_dict())
        weight = deaf.layers[i].weight
        with torch.no_grad():  # input channels come last in a full-frame layer and first in the others
            (weight[..., -K:] if i == 0 else weight[-K:]).zero_()
        assert not torch.allclose(deaf(z, cond), whole, atol=1e-6), i


def test_a_condition_whose_weights_are_zero_is_ignored():
    gen = ConvGenerator(GENERATOR, (3, T, H, W), rng=seeded(), condition_channels=K).eval()
    with torch.no_grad():
        gen.layers[0].weight[..., -K:] = 0.0
        for layer in gen.layers[1:]:
            layer.weight[-K:] = 0.0
    z = torch.randn(1, *gen.latent_shape(T), generator=seeded())
    assert torch.equal(gen(z, labels(0)), gen(z, labels(1)))


@pytest.mark.parametrize("size", [8, 16, 32])
def test_a_full_first_kernel_makes_frames_of_any_size_that_the_strides_allow(size: int):
    gen = ConvGenerator(GENERATOR, (3, T, size, size), rng=seeded())
    assert gen(torch.zeros(1, *gen.latent_shape(T)), torch.zeros(1, 0, T, size, size)).shape == (1, 3, T, size, size)


def test_a_size_that_the_strides_do_not_allow_is_refused():
    with pytest.raises(UsageError, match="multiples of 2x2"):
        ConvGenerator(GENERATOR, (3, T, 9, 9), rng=seeded())


# --- the set -----------------------------------------------------------------


def test_every_window_of_every_clip_is_drawn_with_its_own_condition(monkeypatch: pytest.MonkeyPatch):
    """Each clip is filled with its number and time, each condition with the same: they must stay together."""
    video = (torch.arange(2.0).view(2, 1, 1, 1, 1) * 0.5 + torch.arange(T).view(1, 1, T, 1, 1) * 0.05).expand(
        2, 3, T, H, W
    )
    cond = video[:, :K].contiguous()
    t = TrainState(CONFIG.replaced(iterations=40), video, rng=seeded(), condition_channels=K)
    seen: set[float] = set()

    def pairs(y: Tensor, cond: Tensor, *, periodic: Any = None) -> Tensor:
        real = y[:3]
        assert torch.equal(real[:, :K], cond[:3])
        seen.update(real[:, 0, 0, 0, 0].tolist())
        return t.des.__class__.forward(t.des, y, cond)

    monkeypatch.setattr("dyntex.coopnets.train.revise", lambda des, y, *_, **__: y)
    monkeypatch.setattr(t.des, "forward", pairs)
    for _ in train(t, video, cond, rng=seeded()):
        pass
    assert len(seen) == 2 * (T - 4 + 1)


def test_a_recalled_chain_keeps_its_condition():
    y = torch.stack([clip.video for clip in clips(4)])
    cond = torch.arange(4.0).view(4, 1, 1, 1, 1).expand(4, 1, T, H, W)
    config = CONFIG.replaced(reuse=1.0, capacity=3, iterations=3)
    t, rng = TrainState(config, y, rng=seeded(), condition_channels=1), seeded(1)
    heard: list[list[float]] = []
    t.gen.register_forward_pre_hook(lambda _, args: heard.append(args[1][:, 0, 0, 0, 0].tolist()))
    steps = train(t, y, cond, rng=rng)
    next(steps)
    of_slot = [chain.window // (T - 4 + 1) for chain in t.replay.chains]
    assert heard[0] == of_slot
    zs = [chain.z.clone() for chain in t.replay.chains]
    recalled: list[int] = []
    t.gen.register_forward_pre_hook(
        lambda _, args: recalled.extend(next(i for i, z in enumerate(zs) if torch.equal(z, x)) for x in args[0])
    )
    next(steps)
    assert heard[1] == [of_slot[slot] for slot in recalled]


def test_no_condition_is_the_unconditional_model_bit_for_bit():
    plain = CoopNets.fit(clips(2), CONFIG, rng=seeded())
    empty = CoopNets.fit(clips(2), CONFIG, rng=seeded(), cond=torch.zeros(2, 0, T, H, W))
    assert torch.equal(first_frames(plain), first_frames(empty, cond=torch.zeros(1, 0, 1, H, W)))


def test_a_set_of_one_clip_is_the_clip():
    (clip,) = clips(1)
    assert torch.equal(
        first_frames(CoopNets.fit(clip, CONFIG, rng=seeded())), first_frames(CoopNets.fit([clip], CONFIG, rng=seeded()))
    )


@pytest.mark.parametrize(("others", "match"), [([], "no clip"), ([8, 4], "clip 2 of the set")])
def test_a_set_must_be_of_one_size(others: list[int], match: str):
    with pytest.raises(InputError, match=match):
        observe([clip for size in others for clip in clips(1, size=size)], CONFIG)


def test_conditions_must_fit_the_clips():
    with pytest.raises(InputError, match="conditions are for 1x6x8x8"):
        observe(clips(2), CONFIG, labels(0))


def test_what_stirs_one_clip_learns_no_set():
    config = CONFIG.replaced(generator=ShotNoiseResidualConfig(ShotNoiseConfig(levels=4, colours=4)))
    with pytest.raises(
        UsageError, match="a set of 2 is not possible with preset 'tiny', because it mixes the frames of one clip"
    ):
        observe(clips(2), config)
    observe(clips(1), config)


def test_crops_are_the_squares_of_the_frame():
    y = torch.arange(8 * 12.0).view(1, 1, 1, 8, 12)
    cut = crops(y, 4)
    assert cut.shape == (3 * 5, 1, 1, 4, 4)
    at = {tuple(divmod(int(square.flatten()[0]), 12)) for square in cut}
    assert at == {(row, column) for row in (0, 2, 4) for column in (0, 2, 4, 6, 8)}
    assert all(torch.equal(s[0, 0], y[0, 0, 0, r : r + 4, c : c + 4])
               for s in cut for r, c in [divmod(int(s.flatten()[0]), 12)])  # fmt: skip
    assert torch.equal(crops(y, 20), y)


def test_taught_by_crops_it_makes_whole_frames():
    des = DescriptorConfig((Head((Layer(4, (1, 4, 4), (1, 2, 2)),)),))
    gen = ConvGeneratorConfig((3, 4, 4), (Layer(4, (1, 4, 4), (1, 2, 2)), Layer(0, (1, 3, 3), activation="tanh")))
    config = CoopConfig.of("t", des, gen, crop=8, n_frames=1, min_frames=1, window=1, iterations=1, n_steps=1)
    model = CoopNets.fit(clips(1, n_frames=1, size=16), config, rng=seeded())
    assert model.shape == (3, 1, 16, 16)
    assert model.synthesize(2, rng=seeded()).video.shape == (3, 2, 16, 16)


# --- synthesis ---------------------------------------------------------------


def conditional(**more: Any) -> CoopNets:
    return CoopNets.fit(clips(2), CONFIG.replaced(**more), rng=seeded(), cond=labels(0, 1), condition={"kind": "label"})


def test_another_label_is_another_clip_from_the_same_numbers():
    model = conditional(iterations=3, lr_gen=0.01)
    same, again, other = (first_frames(model, cond=labels(i)[:, :, :1], n_steps=0) for i in (0, 0, 1))
    assert torch.equal(same, again)
    assert not torch.equal(same, other)


@pytest.mark.parametrize("cond", [None, torch.zeros(1, K + 1, 1, H, W), torch.zeros(1, K, 1, H, W + 1)])
def test_a_condition_of_another_kind_is_refused(cond: Tensor | None):
    with pytest.raises(UsageError, match=f"the model's condition is 1x{K}xTx{H}x{W} numbers"):
        conditional().synthesize(4, rng=seeded(), cond=cond)


def test_a_saved_model_keeps_its_condition(tmp_path: Path):
    model = conditional()
    model.save(tmp_path)
    again = CoopNets.load(tmp_path)
    assert (again.condition_channels, again.condition) == (K, {"kind": "label"})
    assert torch.equal(first_frames(model, cond=labels(1)), first_frames(again, cond=labels(1)))


def test_a_streamed_condition_is_that_of_one_long_pass(monkeypatch: pytest.MonkeyPatch):
    model, n = conditional(), 2 * streaming.CHUNK + 10
    cond = torch.rand(1, K, n, H, W, generator=seeded(4))
    drawn: list[Tensor] = []
    draw = streaming._Frames._draw

    def kept(self: streaming._Frames, n: int) -> Tensor:
        drawn.append(draw(self, n))
        return drawn[-1]

    monkeypatch.setattr(streaming._Frames, "_draw", kept)
    made = model.synthesize(n, rng=seeded(), cond=cond, n_steps=0).video
    z = torch.cat(drawn, dim=2)
    heard = stretch(cond, 0, model.gen.n_frames(z.shape[2]))
    whole = model.gen(z, heard).detach()[0, :, :n]
    torch.testing.assert_close(made, whole, rtol=0, atol=2e-5)  # sums of other sizes: float32 rounding
    still = model.gen(z, torch.zeros_like(heard)).detach()[0, :, :n]
    assert float((made - still).abs().max()) > 1e-3


def test_stretch_repeats_the_last_frame():
    cond = torch.arange(3.0).view(1, 1, 3, 1, 1)
    assert stretch(cond, 1, 5).flatten().tolist() == [1.0, 2.0, 2.0, 2.0]
    assert stretch(cond, 4, 6).flatten().tolist() == [2.0, 2.0]
    assert stretch(cond, 0, 2).flatten().tolist() == [0.0, 1.0]


# --- learning ----------------------------------------------------------------

LINEAR = ConvGeneratorConfig((1, 1, 1), (Layer(0, (1, FULL, FULL), padding="valid", activation="none"),), init_std=0.3)
"""g(z, c) = W z + M c: its mean over z is g(0, c)."""


def test_taught_by_a_linear_gaussian_law_the_generator_learns_its_conditional_mean(monkeypatch: pytest.MonkeyPatch):
    """p(y | c) = N(M c, s^2): Langevin steps shrink y - M c by a factor, so that E[y_rev | z, c] = r g + (1 - r) M c.

    The only g that this teaches nothing is M c, whatever z is; an affine generator can be it exactly.
    """
    des = DescriptorConfig((Head((Layer(1, (1, 1, 1), activation="none"),)),))
    config = CoopConfig.of(
        "linear",
        des,
        LINEAR,
        n_frames=1,
        min_frames=1,
        window=1,
        n_chains=64,
        iterations=400,
        lr_gen=0.02,
        lr_decay=0.01,
    )
    means = torch.rand(K, 1, 1, 4, 4, generator=seeded(1)) - 0.5

    def revise(des: object, y: Tensor, cond: Tensor, *_: object, rng: torch.Generator, **__: object) -> Tensor:
        mean = torch.einsum("bk,kcthw->bcthw", cond[:, :, 0, 0, 0], means)
        return langevin(
            lambda y: (y - mean).square().flatten(1).sum(1) / (2 * 0.1**2), y, n_steps=3, step=0.05, rng=rng
        )

    monkeypatch.setattr("dyntex.coopnets.train.revise", revise)
    cond = torch.eye(K).view(K, K, 1, 1, 1).expand(-1, -1, 1, 4, 4)
    video = torch.zeros(K, 1, 1, 4, 4)
    t = TrainState(config, video, rng=seeded(), condition_channels=K)
    for _ in train(t, video, cond, rng=seeded()):
        pass
    z = torch.randn(K, *t.gen.latent_shape(1), generator=seeded(2))
    # The noise of the last of 64 chains' steps, s d ~ .1 each, averaged by Adam at a rate of 2e-4: about .01.
    torch.testing.assert_close(t.gen(z, cond).detach(), means, rtol=0, atol=0.04)


def test_a_regression_on_the_mean_says_nothing_about_the_spread():
    """E[mean_loss] = |M c - y|^2 for g(z, c) = W z + M c, whose slope in W is 0; |g(z, c) - y|^2 would have 2 W."""
    gen = ConvGenerator(LINEAR, (1, 1, 4, 4), rng=seeded(), condition_channels=K)
    n = 40_000
    y = torch.rand(1, 1, 1, 4, 4, generator=seeded(1)).expand(n, -1, -1, -1, -1)
    cond = torch.eye(K)[:1].view(1, K, 1, 1, 1).expand(n, -1, 1, 4, 4)
    loss = 2.0 * mean_loss(gen, y, cond, 1.0, rng=seeded(2))
    with torch.no_grad():
        expected = (gen(torch.zeros(1, *gen.latent_shape(1)), cond[:1]) - y[:1]).square().mean()
    assert loss.item() == pytest.approx(float(expected), rel=0.03)
    loss.backward()
    weight = gen.layers[0].weight
    W, slope = weight.detach()[..., 0], weight.grad[..., 0]
    assert float(slope.norm()) < 0.1 * float((2.0 * W / W.numel()).norm())


def test_by_regression_the_generator_learns_the_mean_of_each_condition_where_the_chains_stand_still(
    monkeypatch: pytest.MonkeyPatch,
):
    des = DescriptorConfig((Head((Layer(1, (1, 1, 1), activation="none"),)),))
    config = CoopConfig.of(
        "linear", des, LINEAR, n_frames=1, min_frames=1, window=1, n_chains=64, iterations=300,
        lr_gen=0.02, lr_decay=0.01,
    )  # fmt: skip
    means = torch.rand(K, 1, 1, 4, 4, generator=seeded(1)) - 0.5
    each = torch.eye(K).view(K, K, 1, 1, 1).expand(-1, -1, 1, 4, 4)
    # Two clips of each condition, as far on either side of its mean.
    video, cond = torch.cat((means - 0.2, means + 0.2)), torch.cat((each, each))
    monkeypatch.setattr("dyntex.coopnets.train.revise", lambda des, y, *_, **__: y)
    for weight in (0.0, 1.0):
        t = TrainState(config.replaced(regression_weight=weight), video, rng=seeded(), condition_channels=K)
        z = torch.zeros(K, *t.gen.latent_shape(1))
        before = t.gen(z, each).detach()
        for info in train(t, video, cond, rng=seeded()):
            assert info.frame_step == 1.0  # an image is as still as the one it learns from
        taught = t.gen(z, each).detach()
        assert float((before - means).abs().max()) > 0.3
        if weight:
            torch.testing.assert_close(taught, means, rtol=0, atol=0.06)
        else:
            assert torch.equal(taught, before)
