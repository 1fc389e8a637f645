"""Cooperative training against what can be worked out by hand: signs, closed forms, memory, going on bit for bit."""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor, nn

from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.inference import infer
from dyntex.coopnets.revise import revise
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.train import train
from dyntex.errors import InputError
from dyntex.networks.architecture import ConvGeneratorConfig, DescriptorConfig, Head, Layer, ShotNoiseResidualConfig
from dyntex.textures.config import ShotNoiseConfig

T, H, W = 12, 8, 8
LINEAR = DescriptorConfig((Head((Layer(1, (1, 1, 1), activation="none"),)),), ref_std=0.3)
BENT = DescriptorConfig((Head((Layer(4, (3, 4, 4), (1, 2, 2), activation="silu"),)),), ref_std=0.3, init_std=0.0)
GENERATOR = ConvGeneratorConfig(
    (3, 1, 1),
    (Layer(6, (3, 8, 8), (2, 1, 1), padding="valid", batch_norm=True), Layer(0, (3, 3, 3), activation="tanh")),
    init_std=0.0,
)
TEXTURE = ShotNoiseResidualConfig(
    ShotNoiseConfig(regions=2, levels=4, colours=4), noise=(2, 2, 2), patch=4, width=6, blocks=1
)
TINY = CoopConfig.of("tiny", BENT, GENERATOR, iterations=6, n_steps=2, step=0.05, lr_des=1e-3, lr_gen=1e-3)
EVERYTHING = TINY.replaced(
    window=6, n_chains=3, n_steps_z=2, data_noise=0.1, reuse=0.6, capacity=4, ema=0.9, lr_decay=0.1, drift_limit=0.02,
    descriptor=replace(BENT, reference="pixel"), generator=TEXTURE,
)  # fmt: skip


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def clip(n_frames: int = T) -> Tensor:
    wave = torch.sin(torch.arange(n_frames).view(1, 1, -1, 1, 1) * 0.7 + torch.arange(W) * 0.5).expand(1, 2, -1, H, W)
    return 0.4 * wave + 0.05 * torch.randn(1, 2, n_frames, H, W, generator=seeded(9))


def none(y: Tensor) -> Tensor:
    return y[:, :0]


def taught(config: CoopConfig, n: int | None = None, *, seed: int = 0, y: Tensor | None = None) -> TrainState:
    """After ``n`` iterations, or all of them."""
    y_obs, rng = clip() if y is None else y, seeded(seed)
    t = TrainState(config, y_obs, rng=rng)
    n = config.optimisation.iterations if n is None else n
    for info in islice(train(t, y_obs, none(y_obs), rng=rng), n):
        assert info.iteration == t.iteration
    return t


def weights(t: TrainState) -> dict[str, Tensor]:
    nets = {"des": t.des, "gen": t.gen, "sampler": t.sampler}
    return {f"{name}.{key}": value.clone() for name, net in nets.items() for key, value in net.state_dict().items()}


def assert_equal(a: dict[str, Tensor], b: dict[str, Tensor]):
    assert a.keys() == b.keys()
    assert [key for key in a if not torch.equal(a[key], b[key])] == []


class Spy:
    """An optimiser that stands still, so that the loss's gradient can be read off a network that has not moved."""

    def __init__(self, t: TrainState, which: str) -> None:
        net, optimiser = (t.des, t.opt_des) if which == "des" else (t.gen, t.opt_gen)
        optimiser.step = lambda: None  # type: ignore[method-assign, assignment]
        self.parameters = dict(net.named_parameters())

    def gradient(self, name: str) -> Tensor:
        grad = self.parameters[name].grad
        assert grad is not None
        return grad


def one_iteration(t: TrainState, y_obs: Tensor, *, seed: int = 1):
    return next(train(t, y_obs, none(y_obs), rng=seeded(seed), progress=lambda _: 0.0))


def test_d2_of_a_linear_score_is_mean_y_rev_minus_mean_y_obs(monkeypatch: pytest.MonkeyPatch):
    """f = sum of w_c y_c: the loss's gradient for w_c is the mean over clips of sum y_rev, less that of sum y_obs."""
    y_obs = clip()
    t = TrainState(TINY.replaced(descriptor=LINEAR), y_obs, rng=seeded())
    spy = Spy(t, "des")
    y_rev = torch.randn(2, 2, T, H, W, generator=seeded(3))
    monkeypatch.setattr("dyntex.coopnets.train.revise", lambda *_, **__: y_rev)
    info = one_iteration(t, y_obs)
    expected = y_rev.sum((2, 3, 4)).mean(0) - y_obs.sum((2, 3, 4)).mean(0)
    torch.testing.assert_close(spy.gradient("heads.0.trunk.0.weight").flatten(), expected, rtol=1e-4, atol=1e-3)
    f_obs, f_rev = (t.des(y, none(y)).mean() for y in (y_obs, y_rev))
    assert info.gap == pytest.approx(float((f_obs - f_rev).detach()), rel=1e-4)
    assert info.energy == pytest.approx(float(t.des.energy(y_rev, none(y_rev)).mean().detach()), rel=1e-4)
    # Through the true optimiser: after the step the observed clip scores higher against the samples.
    again = TrainState(TINY.replaced(descriptor=LINEAR), y_obs, rng=seeded())
    one_iteration(again, y_obs)
    gap = (again.des(y_obs, none(y_obs)).mean() - again.des(y_rev, none(y_rev)).mean()).detach()
    assert float(gap) > info.gap


def test_d2_learns_nothing_from_samples_that_are_the_data(monkeypatch: pytest.MonkeyPatch):
    y_obs = clip()
    t = TrainState(TINY, y_obs, rng=seeded())
    Spy(t, "des")
    monkeypatch.setattr("dyntex.coopnets.train.revise", lambda *_, **__: y_obs.expand(2, -1, -1, -1, -1).clone())
    info = one_iteration(t, y_obs)
    assert info.gap == pytest.approx(0.0, abs=1e-4)
    # The gradient is a difference of two equal sums of about 1e3 float32 terms.
    assert info.des_grad < 1e-3


def test_g2_is_the_gradient_of_the_squared_distance(monkeypatch: pytest.MonkeyPatch):
    """Of mean |y_rev - g(z)|^2 / 2 gen_std^2, towards y_rev; recomputed on a copy of the generator with the same z."""
    y_obs, y_rev = clip(), torch.randn(2, 2, T, H, W, generator=seeded(3))
    t = TrainState(TINY.replaced(gen_std=0.5), y_obs, rng=seeded())
    spy, twin = Spy(t, "gen"), copy.deepcopy(t.gen)
    made: list[Tensor] = []
    t.gen.register_forward_pre_hook(lambda _, args: made.append(args[0]))
    monkeypatch.setattr("dyntex.coopnets.train.revise", lambda *_, **__: y_rev)
    info = one_iteration(t, y_obs)
    y = twin(made[0], none(y_rev))[:, :, :T]
    loss = (y - y_rev).square().mean() / (2 * 0.5**2)
    loss.backward()
    assert info.gen_loss == pytest.approx(float(loss.detach()), rel=1e-5)
    for name, p in twin.named_parameters():
        torch.testing.assert_close(spy.gradient(name), p.grad, rtol=1e-4, atol=1e-7)


def test_no_revision_teaches_the_generator_nothing():
    t = TrainState(TINY.replaced(n_steps=0), clip(), rng=seeded())
    info = one_iteration(t, clip())
    assert (info.gen_loss, info.move, info.gen_grad) == (0.0, 0.0, 0.0)


def test_d1_starts_from_what_the_generator_made_and_moves_by_langevin():
    y_obs = clip()
    t = TrainState(TINY.replaced(temperature=0.0), y_obs, rng=seeded())
    t.step_scale = 0.5  # what the watchdog left
    gen, made = copy.deepcopy(t.gen), []
    t.gen.register_forward_pre_hook(lambda _, args: made.append(args[0]))
    des = copy.deepcopy(t.des)
    info = one_iteration(t, y_obs)
    y_gen = gen(made[0], none(y_obs))[:, :, :T].detach()
    y_rev = revise(des, y_gen, none(y_gen), t.config, rng=seeded(), step_scale=0.5)
    assert info.move == pytest.approx(float((y_rev - y_gen).square().mean().sqrt()), rel=1e-4)
    assert info.move > 0.0
    # Downhill: the energy of the revised is lower.
    assert (des.energy(y_rev, none(y_rev)) < des.energy(y_gen, none(y_gen))).all()


def test_revise_takes_every_setting_of_the_config():
    """Against the update written out, for a linear score whose gradient is its weight."""
    config = TINY.replaced(descriptor=replace(LINEAR, reference="pixel"), n_steps=1, step=0.2, temperature=0.0)
    t = TrainState(config, clip(), rng=seeded())
    y = clip() + 0.3
    w = t.des.heads[0].trunk[0].weight.detach().view(1, 2, 1, 1, 1)
    gradient = (y - t.des.ref_mean) / t.des.ref_std**2 - w
    drift = -(0.2**2) / 2 * t.des.ref_std**2 * gradient

    def moved(config: CoopConfig, **more: float) -> Tensor:
        return revise(t.des, y, none(y), config, rng=seeded(), **more) - y  # type: ignore[arg-type]

    torch.testing.assert_close(moved(config), drift, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(moved(config, step_scale=0.5), drift / 4, rtol=1e-3, atol=1e-6)
    assert not moved(config, n_steps=0).any()
    limited = moved(config.replaced(drift_limit=1e-4))
    assert float(limited.square().mean().sqrt()) == pytest.approx(1e-4, rel=1e-2)
    hot = moved(config.replaced(temperature=4.0)) - drift
    noise = torch.randn(y.shape, generator=seeded())
    torch.testing.assert_close(hot, 0.2 * 2.0 * t.des.ref_std * noise, rtol=1e-3, atol=1e-5)


def test_held_frames_are_heard_and_not_moved():
    """One step without noise, of a score that hears three frames, is the whole's step on the frames that are free."""
    hears = Head((Layer(2, (3, 3, 3), activation="silu"), Layer(1, (1, 1, 1), activation="none")))
    config = TINY.replaced(descriptor=DescriptorConfig((hears,), init_std=1.0), n_steps=1, temperature=0.0, step=0.2)
    t = TrainState(config, clip(), rng=seeded())
    y = clip()
    free = y[:, :, 3:]
    whole = revise(t.des, y, none(y), config, rng=seeded())
    got = revise(t.des, free, none(y), config, rng=seeded(), held=y[:, :, :3])
    torch.testing.assert_close(got, whole[:, :, 3:], rtol=0, atol=1e-5)
    deaf = revise(t.des, free, none(free), config, rng=seeded())
    assert (got - deaf)[:, :, 0].abs().max() > 1e-3


class LinearGenerator(nn.Module):
    """g(z) = W z, for which the posterior of z is Gaussian."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2 * H * W, 3, generator=seeded(2)) * 0.3)

    def frozen(self) -> LinearGenerator:
        return self

    def forward(self, z: Tensor, cond: Tensor) -> Tensor:
        return torch.einsum("pd,bdt->bpt", self.weight, z[..., 0, 0]).view(len(z), 2, H, W, -1).movedim(-1, 2)


def test_g1_finds_the_posterior_mean_of_a_linear_generator():
    """E z|y = (I + W'W / s^2)^-1 W' y / s^2 (s = gen_std); temperature 1, so the mean over 2000 chains, 6 sigma."""
    gen, s, N = LinearGenerator(), 0.7, 2000
    z_true = torch.randn(1, 3, 1, 1, 1, generator=seeded(4))
    y = gen(z_true, z_true).detach() + 0.1
    config = TINY.replaced(n_steps_z=150, step_z=0.2, gen_std=s)
    z = infer(gen, torch.zeros(N, 3, 1, 1, 1), y.expand(N, -1, -1, -1, -1), y[:, :0], config, rng=seeded(5))  # type: ignore[arg-type]
    Wm = gen.weight.detach().double()
    precision = torch.eye(3, dtype=torch.float64) + Wm.T @ Wm / s**2
    mean = torch.linalg.solve(precision, Wm.T @ y.double().movedim(2, -1).reshape(-1) / s**2)
    # The discretised chain's covariance is (M - step^2/4 M^2)^-1, its mean is exact.
    covariance = torch.linalg.inv(precision - 0.2**2 / 4 * precision @ precision)
    got = z.double().view(N, 3)
    assert ((got.mean(0) - mean).abs() < 6 * (covariance.diagonal() / N).sqrt()).all()
    d = covariance.diagonal()
    bound = 6 * ((torch.outer(d, d) + covariance**2) / N).sqrt()
    assert ((torch.cov(got.T) - covariance).abs() < bound).all()


def test_g1_is_off_at_zero_steps_and_lowers_the_reconstruction_error():
    base = TINY.replaced(n_steps=5, step=0.3, gen_std=0.1)
    off, on = (one_iteration(TrainState(base.replaced(n_steps_z=k), clip(), rng=seeded()), clip()) for k in (0, 20))
    assert off.gap == on.gap  # the same chains: G1 comes after D1
    assert off.move == on.move  # and what Langevin moved is no matter of z
    assert on.gen_loss < off.gen_loss


def test_same_seed_same_weights_and_the_global_randomness_untouched():
    state = torch.get_rng_state()
    one, two, other = (taught(EVERYTHING, 3, seed=s) for s in (0, 0, 1))
    assert_equal(weights(one), weights(two))
    assert not torch.equal(one.des.heads[0].trunk[0].weight, other.des.heads[0].trunk[0].weight)
    assert torch.equal(torch.get_rng_state(), state)


def test_the_clip_is_not_modified():
    y_obs = clip()
    taught(EVERYTHING, 2, y=y_obs)
    assert torch.equal(y_obs, clip())


def test_training_ends_after_its_iterations_or_where_progress_says():
    assert taught(TINY, 100).iteration == 6
    y, rng = clip(), seeded()
    t = TrainState(TINY, y, rng=rng)
    assert len(list(train(t, y, none(y), rng=rng, progress=lambda i: i / 3))) == 3


def test_rates_are_constant_then_fall_linearly():
    y, rng = clip(), seeded()
    t = TrainState(TINY.replaced(lr_decay=0.2, lr_des=0.01, lr_gen=0.002), y, rng=rng)
    t.step_scale = 0.5
    rates = []
    for share in (0.0, 0.5, 0.75, 0.999999):
        next(train(t, y, none(y), rng=rng, progress=lambda _, share=share: share))
        rates.append((t.opt_des.param_groups[0]["lr"] / 0.01, t.opt_gen.param_groups[0]["lr"] / 0.002))
    expected = [0.5, 0.5, 0.5 * 0.6, 0.5 * 0.2]
    assert [a for a, _ in rates] == pytest.approx(expected, rel=1e-4)
    assert [b for _, b in rates] == pytest.approx(expected, rel=1e-4)


def test_the_average_is_the_exponential_one_with_a_quick_start():
    """m <- d m + (1 - d) w with d = min(ema, (1 + i) / (10 + i)) at iteration i; buffers too."""
    y, rng = clip(), seeded()
    t = TrainState(TINY.replaced(ema=0.15), y, rng=rng)
    assert t.sampler is t.ema
    mean = {key: value.clone() for key, value in t.gen.state_dict().items()}
    for i, _ in zip(range(4), train(t, y, none(y), rng=rng)):  # noqa: B905
        d = min(0.15, (1 + i) / (10 + i))
        mean = {key: d * mean[key] + (1 - d) * value for key, value in t.gen.state_dict().items()}
    assert (1 + 1) / (10 + 1) > 0.15 > 1 / 10  # both arms were taken
    for key, value in t.sampler.state_dict().items():
        torch.testing.assert_close(value, mean[key], rtol=1e-5, atol=1e-7)
    assert TrainState(TINY, y, rng=rng).ema is None


def test_windows_are_cut_everywhere_and_with_their_condition():
    """Each of the 7 starts is seen about equally often; the condition is of the same frames."""
    config = TINY.replaced(descriptor=LINEAR, window=6, n_chains=50, n_steps=0)
    y = torch.arange(float(T)).view(1, 1, T, 1, 1).expand(1, 2, T, H, W) / 100.0
    t = TrainState(config, y, rng=seeded(), condition_channels=1)
    seen: list[tuple[Tensor, Tensor]] = []
    t.des.register_forward_pre_hook(lambda _, args: seen.append(args))
    next(train(t, y, y[:, :1], rng=seeded(1)))
    real, cond = (x[:50].detach() for x in seen[-1])
    assert real.shape == (50, 2, 6, H, W)
    assert torch.equal(real[:, :1], cond)
    starts = (real[:, 0, 0, 0, 0] * 100).round().int()
    assert set(starts.tolist()) == set(range(7))
    assert torch.equal(real[:, 0, :, 0, 0], (starts[:, None] + torch.arange(6)) / 100.0)


def test_data_noise_has_its_size_and_is_fresh_at_every_use():
    y = torch.zeros(1, 2, T, H, W)
    t = TrainState(TINY.replaced(descriptor=LINEAR, data_noise=0.1, n_steps=0), y, rng=seeded())
    seen: list[Tensor] = []
    t.des.register_forward_pre_hook(lambda _, args: seen.append(args[0][:1].clone()))
    steps = train(t, y, none(y), rng=seeded(1))
    next(steps), next(steps)
    first, second = seen[0], seen[-1]
    assert not torch.equal(first, second)
    n = first.numel()
    assert abs(float(first.std()) / 0.1 - 1.0) < 6 / (2 * n) ** 0.5


def test_without_a_replay_buffer_every_chain_starts_afresh():
    t = taught(TINY.replaced(reuse=1.0), 3)
    assert t.replay.chains == []


def test_the_replay_buffer_fills_up_and_never_overflows():
    y, rng = clip(), seeded()
    t = TrainState(TINY.replaced(reuse=0.5, capacity=5, n_chains=2, iterations=30), y, rng=rng)
    sizes = []
    for _ in train(t, y, none(y), rng=rng):
        sizes.append(len(t.replay.chains))
    assert sizes[0] == 2
    assert sizes == sorted(sizes)
    assert sizes[-1] == 5


def test_a_recalled_chain_goes_on_from_its_y_rev_with_its_z(monkeypatch: pytest.MonkeyPatch):
    """Persistent 1: after the first iteration every start is an earlier y_rev, and z is the one that came with it."""
    y, rng = clip(), seeded()
    t = TrainState(TINY.replaced(reuse=1.0, capacity=3, n_chains=3), y, rng=rng)
    starts: list[Tensor] = []
    zs: list[Tensor] = []

    def spied(des: object, start: Tensor, *args: object, **more: object) -> Tensor:
        starts.append(start.clone())
        return start + 1.0  # an unmistakable mark

    monkeypatch.setattr("dyntex.coopnets.train.revise", spied)
    t.gen.register_forward_pre_hook(lambda _, args: zs.append(args[0].clone()))
    steps = train(t, y, none(y), rng=rng)
    next(steps)
    assert len(t.replay.chains) == 3
    before = [(chain.z.clone(), chain.y.clone()) for chain in t.replay.chains]
    for b, (z, r) in enumerate(before):
        assert torch.equal(z, zs[0][b])
        assert torch.equal(r, starts[0][b] + 1.0)
    info = next(steps)
    slots = []
    for b in range(3):
        matches = [i for i, (_, r) in enumerate(before) if torch.equal(r, starts[1][b])]
        assert matches
        assert torch.equal(zs[1][b], before[matches[0]][0])
        slots.append(matches[0])
    # What was revised replaces what was recalled, in its slot.
    for i, chain in enumerate(t.replay.chains):
        assert torch.equal(chain.y, before[i][1] + (1.0 if i in slots else 0.0))
        assert torch.equal(chain.z, before[i][0])
    assert info.move == pytest.approx(1.0, rel=1e-6)  # of the Langevin dynamics, not the distance from g(z)


def test_persistent_zero_never_recalls(monkeypatch: pytest.MonkeyPatch):
    y, rng = clip(), seeded()
    t = TrainState(TINY.replaced(reuse=0.0, capacity=2), y, rng=rng)
    monkeypatch.setattr("dyntex.coopnets.train.revise", lambda des, start, *_, **__: start + 1.0)
    infos = [next(steps) for steps in [train(t, y, none(y), rng=rng)] for _ in range(4)]
    # From g(z), a revision by 1 leaves a loss of exactly 1/2: a recalled start would add its distance from g(z).
    assert [info.gen_loss for info in infos] == pytest.approx([0.5] * 4, rel=1e-5)


def test_records_say_what_they_say(monkeypatch: pytest.MonkeyPatch):
    y = clip()
    t = TrainState(TINY, y, rng=seeded())
    frozen = y[:, :, :1].expand(2, -1, T, -1, -1).clone()
    monkeypatch.setattr("dyntex.coopnets.train.revise", lambda *_, **__: frozen)
    info = one_iteration(t, y)
    real_step = float((y[:, :, 1:] - y[:, :, :-1]).abs().mean())
    assert info.frame_step == pytest.approx(1e-6 / (real_step + 1e-6), rel=1e-4)
    assert info.chain_difference == 0.0
    alive = torch.cat((y, y.flip(2)))
    monkeypatch.setattr("dyntex.coopnets.train.revise", lambda *_, **__: alive + 0.1)
    info = one_iteration(t, y)
    assert info.frame_step == pytest.approx(1.0, rel=1e-4)
    assert info.chain_difference == pytest.approx(float((y - y.flip(2)).abs().mean()) / 0.1, rel=1e-3)


@pytest.mark.parametrize("config", [TINY, EVERYTHING.replaced(window=0, n_steps_z=0)], ids=["tiny", "gaussian texture"])
def test_a_still_clip_and_a_single_chain_give_finite_records(config: CoopConfig):
    still = clip()[:, :, :1].expand(-1, -1, T, -1, -1).contiguous()
    t = TrainState(config.replaced(n_chains=1), still, rng=seeded())
    info = one_iteration(t, still)
    assert all(torch.tensor(v).isfinite() for v in vars(info).values())


@pytest.mark.parametrize("config", [TINY, EVERYTHING], ids=["tiny", "everything"])
def test_a_saved_state_goes_on_bit_for_bit(config: CoopConfig):
    """Six iterations, or three, a state, a fresh TrainState of another seed, and three more."""
    whole = taught(config)
    y, rng = clip(), seeded()
    t = TrainState(config, y, rng=rng)
    steps = train(t, y, none(y), rng=rng)
    for _ in range(3):
        next(steps)
    t.step_scale = 1.0
    state = {key: value.clone() for key, value in t.state(rng).items()}
    next(steps)  # going on does not reach into the copy
    other = seeded(77)
    fresh = TrainState(config, y, rng=other)
    fresh.load(state, other)
    assert fresh.iteration == 3
    kept = {key: value.clone() for key, value in state.items()}
    for _ in train(fresh, y, none(y), rng=other):
        pass
    assert_equal(weights(fresh), weights(whole))
    assert_equal(state, kept)  # nor does training write into what was loaded
    for one, other in zip(fresh.replay.chains, whole.replay.chains, strict=True):
        assert torch.equal(one.z, other.z)
        assert torch.equal(one.y, other.y)
        assert one.window == other.window


def test_a_state_keeps_the_step_scale():
    y, rng = clip(), seeded()
    t = TrainState(TINY, y, rng=rng)
    t.step_scale = 0.125
    fresh = TrainState(TINY, y, rng=seeded(1))
    fresh.load(t.state(rng), seeded(2))
    assert fresh.step_scale == 0.125
    assert fresh.opt_des.state == {}


def test_a_state_that_lacks_or_misshapes_a_tensor_changes_nothing():
    y, rng = clip(), seeded()
    t = TrainState(EVERYTHING, y, rng=rng)
    steps = train(t, y, none(y), rng=rng)
    next(steps), next(steps)
    state = {key: value.clone() for key, value in t.state(rng).items()}
    other = seeded(77)
    fresh = TrainState(EVERYTHING, y, rng=other)
    before = {key: value.clone() for key, value in fresh.state(other).items()}
    for key in state:
        with pytest.raises(InputError, match="lacks the tensor") as caught:
            fresh.load({k: v for k, v in state.items() if k != key}, other)
        assert repr(key) in str(caught.value)
        if key.startswith("replay."):
            continue
        with pytest.raises(InputError, match=r"use the preset and size it was made with"):
            fresh.load(state | {key: torch.zeros(2, 3, 5, 7)}, other)
        assert_equal(fresh.state(other), before)
    fresh.load(state, other)
    assert_equal(fresh.state(other), state)
