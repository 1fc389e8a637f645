"""The descriptor's energy against closed forms, finite differences and its own symmetries."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.coopnets.presets import FAST, FC_S, ST
from dyntex.errors import UsageError
from dyntex.networks.architecture import FULL, DescriptorConfig, Head, Layer
from dyntex.networks.descriptor import Descriptor

ALWAYS = (True, True, True)
CONV = Head((Layer(4, (3, 4, 4), (1, 2, 2), activation="silu"), Layer(2, (2, 3, 3), (2, 1, 1), activation="tanh")))
WHOLE = Head((Layer(3, (2, FULL, FULL), activation="silu"), Layer(2, (FULL, 1, 1), padding="valid", activation="none")))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def none(y: Tensor) -> Tensor:
    return y[:, :0]


def config(*heads: Head, **more: object) -> DescriptorConfig:
    return DescriptorConfig(heads, **{"ref_std": 0.3, "init_std": 0.0, **more})  # type: ignore[arg-type]


def zeroed(des: Descriptor) -> Descriptor:
    for p in des.parameters():
        nn.init.zeros_(p)
    return des


@pytest.mark.parametrize("heads", [(CONV,), (WHOLE,), (CONV, WHOLE)], ids=["conv", "full frame", "both"])
def test_the_energy_s_gradient_is_its_finite_difference(heads: tuple[Head, ...]):
    des = Descriptor(config(*heads), (2, 4, 6, 6), rng=seeded()).double()
    y = randn(2, 2, 4, 6, 6).mul(0.3).requires_grad_()
    assert torch.autograd.gradcheck(lambda y: des.energy(y, none(y)), (y,))


def test_a_frozen_descriptor_has_the_same_energy_and_takes_no_gradient():
    des = Descriptor(config(CONV, WHOLE, reference="pixel"), (2, 4, 6, 6), rng=seeded()).double()
    y = randn(2, 2, 4, 6, 6).mul(0.3).requires_grad_()
    des.fit_reference(y.detach())
    still = des.frozen()
    for ours, theirs in ((still.energy(y, none(y)), des.energy(y, none(y))), (still.scale, des.scale)):
        torch.testing.assert_close(ours, theirs, rtol=0.0, atol=0.0)
    mine, other = (torch.autograd.grad(net.energy(y, none(y)).sum(), y)[0] for net in (still, des))
    torch.testing.assert_close(mine, other, rtol=0.0, atol=0.0)
    assert not any(p.requires_grad for p in still.parameters())
    assert all(p.requires_grad for p in des.parameters())
    assert len(list(still.parameters())) == len(list(des.parameters()))


def test_a_frozen_descriptor_s_weights_are_rounded_in_bf16_and_the_descriptor_s_are_not():
    des = Descriptor(config(WHOLE), (2, 4, 6, 6), rng=seeded(), precision="bf16")
    before = [p.detach().clone() for p in des.parameters()]
    still = des.frozen()
    assert {p.dtype for p in still.parameters() if p.ndim > 1} == {torch.bfloat16}
    assert {b.dtype for b in still.buffers()} == {torch.float32}
    for p, was, rounded in zip(des.parameters(), before, still.parameters(), strict=True):
        assert torch.equal(p, was)
        assert torch.equal(rounded.bfloat16(), was.bfloat16())
    y = torch.rand(1, 2, 4, 6, 6, generator=seeded(1))
    assert torch.equal(still.energy(y, none(y)), des.energy(y, none(y)))


def test_zero_weights_leave_the_gaussian_reference():
    """U = |y|^2 / 2 s^2, a sum over every element and one number for each clip."""
    des = zeroed(Descriptor(config(CONV), (2, 4, 6, 8), rng=seeded())).double()
    y = randn(3, 2, 4, 6, 8)
    torch.testing.assert_close(
        des.energy(y, none(y)), (y * y).sum(dim=(1, 2, 3, 4)) / (2 * 0.3**2), rtol=1e-6, atol=0.0
    )  # 1e-6: the reference's 0.3 is kept in float32
    torch.testing.assert_close(des.reference_energy(y), des.energy(y, none(y)))


def test_the_score_lowers_the_energy():
    """U = reference - f: with a bias of 1 in a linear last layer, f counts positions and channels."""
    head = Head((Layer(3, (1, 1, 1), (2, 2, 2), activation="none"),))
    des = zeroed(Descriptor(config(head), (1, 4, 6, 8), rng=seeded()))
    des.heads[0].trunk[0].bias.data.fill_(1.0)
    y = torch.zeros(2, 1, 4, 6, 8)
    score = 3.0 * 2 * 3 * 4  # a sum, not a mean: the paper's
    assert des(y, none(y)).tolist() == [score, score]
    assert des.energy(y, none(y)).tolist() == [-score, -score]


def test_gain_pool_heads_and_ends_add_up():
    """One pointwise linear unit, so that every score is a sum of pixels by hand."""
    unit = Layer(1, (1, 1, 1), activation="none")
    double = Head((unit,), ends=((), (unit, unit)), pool=(2, 1, 2), gain=5.0)
    des = zeroed(Descriptor(config(double, Head((unit,))), (1, 4, 3, 6), rng=seeded())).double()
    trunk, ends, plain = des.heads[0].trunk, des.heads[0].ends, des.heads[1].trunk
    trunk[0].weight.data.fill_(2.0)
    ends[1][0].weight.data.fill_(3.0)
    ends[1][1].weight.data.fill_(7.0)
    plain[0].weight.data.fill_(11.0)
    y = randn(2, 1, 4, 3, 6)
    total = y.sum(dim=(1, 2, 3, 4))
    pooled = 2.0 * total / 4.0  # averaging over 2 x 2 leaves a quarter of the positions, and so of the sum
    torch.testing.assert_close(des(y, none(y)), 5.0 * (pooled + 3.0 * 7.0 * pooled) + 11.0 * total)


def test_pooling_is_an_average_of_neighbours():
    head = replace(CONV, pool=(1, 2, 2))
    pyramid = Descriptor(config(head), (2, 4, 12, 16), rng=seeded()).double()
    plain = Descriptor(config(CONV), (2, 4, 6, 8), rng=seeded()).double()
    y = randn(2, 2, 4, 12, 16)
    small = F.interpolate(y, scale_factor=(1, 0.5, 0.5), mode="area")
    torch.testing.assert_close(pyramid(y, none(y)), plain(small, none(small)))


@pytest.mark.parametrize("axis", [2, 3, 4])
def test_periodic_energy_does_not_feel_a_roll_by_the_stride(axis: int):
    des = Descriptor(config(CONV), (2, 8, 8, 8), rng=seeded()).double()
    y = randn(2, 2, 8, 8, 8)
    rolled = y.roll(4, axis)  # a multiple of every stride of CONV
    torch.testing.assert_close(des.energy(rolled, none(y), periodic=ALWAYS), des.energy(y, none(y), periodic=ALWAYS))
    # Zero padding does feel it, or the roll has proved nothing.
    assert (des(rolled, none(y)) - des(y, none(y))).abs().min() > 1e-3


def test_the_score_is_not_periodic_where_it_was_not_asked_to_be():
    des = Descriptor(config(CONV), (2, 8, 8, 8), rng=seeded()).double()
    y = randn(1, 2, 8, 8, 8)
    axes = ((False, False, False), (True, False, False), (False, True, False))
    scores = {p: float(des(y, none(y), periodic=p).detach()) for p in axes}
    assert len(set(scores.values())) == 3


def test_a_pixel_reference_is_the_clip_s_own_mean_and_spread():
    des = zeroed(Descriptor(config(CONV, reference="pixel"), (2, 5, 3, 4), rng=seeded())).double()
    y_obs = randn(1, 2, 5, 3, 4)
    des.fit_reference(y_obs)
    mean, var = y_obs[0].mean(1), y_obs[0].var(1, correction=0)
    y = randn(2, 2, 5, 3, 4, seed=1)
    expected = ((y - mean[:, None]) ** 2 / (2 * (var[:, None] + 0.3**2))).sum(dim=(1, 2, 3, 4))
    torch.testing.assert_close(des.energy(y, none(y)), expected)
    # The preconditioner is that spread: what stands still hardly moves under the Langevin dynamics.
    torch.testing.assert_close(des.scale, (var + 0.3**2).sqrt()[None, :, None])


def test_a_white_reference_is_fitted_to_nothing():
    des = zeroed(Descriptor(config(CONV), (2, 5, 3, 4), rng=seeded()))
    des.fit_reference(torch.ones(1, 2, 5, 3, 4))
    assert float(des.ref_mean) == 0.0
    assert float(des.ref_std) == pytest.approx(0.3)
    assert float(des.scale) == 1.0


def test_a_condition_is_scored_beside_the_clip_and_is_no_part_of_the_reference():
    des = Descriptor(config(CONV), (3, 4, 6, 6), rng=seeded()).double()
    y, one, other = randn(1, 2, 4, 6, 6), randn(1, 1, 4, 6, 6, seed=1), randn(1, 1, 4, 6, 6, seed=2)
    difference = des.energy(y, one) - des.energy(y, other)
    torch.testing.assert_close(difference, des(y, other) - des(y, one))
    assert float(difference.detach().abs()) > 1e-6
    plain = Descriptor(config(CONV), (3, 4, 6, 6), rng=seeded()).double()
    both = torch.cat((y, one), 1)
    torch.testing.assert_close(des(y, one), plain(both, none(both)))


def test_clips_are_scored_one_by_one():
    des = Descriptor(config(CONV, WHOLE), (2, 4, 6, 6), rng=seeded()).double()
    y = randn(3, 2, 4, 6, 6)
    torch.testing.assert_close(des(y, none(y)), torch.cat([des(one[None], none(one[None])) for one in y]))


def test_longer_clips_are_scored_by_the_same_weights():
    des = Descriptor(config(CONV), (2, 4, 6, 6), rng=seeded()).double()
    y = randn(1, 2, 9, 6, 6)
    assert des(y, none(y)).shape == (1,)


@pytest.mark.parametrize("head", [FC_S, ST], ids=["FC_S", "ST"])
def test_the_paper_s_descriptors_score_a_clip(head: Head):
    """Finite, and not a constant: initial weights of the paper's size give small scores, but they do see the clip."""
    des = Descriptor(DescriptorConfig((head,), init_std=0.0), (1, 21, 42, 42), rng=seeded())
    y = torch.randn(2, 1, 21, 42, 42, generator=seeded())
    scores = des(y, none(y)).detach()
    assert scores.shape == (2,)
    assert scores.isfinite().all()
    assert float((scores[0] - scores[1]).abs()) > 1e-6


@pytest.mark.parametrize(
    ("head", "parameters"),
    [
        # (taps * channels in + 1) * channels out, layer by layer, for 3 x 21 x 64 x 64
        (FC_S, (125 * 3 + 1) * 120 + (5 * 32 * 32 * 120 + 1) * 30 + (5 * 30 + 1) * 10),
        (ST, (3375 * 3 + 1) * 120 + (343 * 120 + 1) * 40 + (18 * 40 + 1) * 20),
    ],
    ids=["FC_S", "ST"],
)
def test_the_paper_s_descriptors_have_their_number_of_parameters(head: Head, parameters: int):
    with torch.device("meta"):
        des = Descriptor(DescriptorConfig((head,)), (3, 21, 64, 64), rng=seeded())
    assert sum(p.numel() for p in des.parameters()) == parameters


def test_fast_scores_a_clip_of_any_multiple_of_its_size():
    des = Descriptor(FAST.descriptor, (3, 16, 16, 24), rng=seeded())
    y = torch.randn(2, 3, 16, 16, 24, generator=seeded())
    des.fit_reference(y[:1])
    assert des.energy(y, none(y)).isfinite().all()


def test_frames_too_small_are_refused():
    head = Head((Layer(2, (1, 5, 5), padding="valid"),))
    with pytest.raises(UsageError, match=r"\(1, 5, 5\) kernel meets 4x4x6 positions.*larger size"):
        Descriptor(config(head), (1, 4, 4, 6), rng=seeded())


def test_another_seed_gives_other_weights():
    one, two, other = (Descriptor(config(CONV), (1, 4, 6, 6), rng=seeded(s)) for s in (0, 0, 1))
    y = torch.ones(1, 1, 4, 6, 6)
    assert torch.equal(one(y, none(y)), two(y, none(y)))
    assert not torch.equal(one(y, none(y)), other(y, none(y)))
