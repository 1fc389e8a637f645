"""Cooperative training of a segment field: what the descriptor says of seams and jumps, and what is made of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets.contrast import SMALL_SHAPE
from dyntex.coopnets.potentials import field_of, jump_logits, seam_logits
from dyntex.coopnets.tilting import TiltConfig, TiltInfo, draw, held_frames, tilt
from dyntex.networks.architecture import DescriptorConfig, Head, Layer
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.segment_field import SegmentField, SegmentFieldConfig

FIELD = SegmentFieldConfig(regions=2, length=8, overlap=2, sweeps=2)
TRAINING = TiltConfig(iterations=4, every=2, n_chains=3)
# Terms that see 5 frames of 10x10 pixels, 2, 4, 4 apart.
TERMS = DescriptorConfig(
    (Head((Layer(8, (3, 4, 4), (1, 2, 2)), Layer(8, (3, 4, 4), (2, 2, 2)), Layer(1, (1, 1, 1), activation="none"))),)
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def trained(clip: Clip, training: TiltConfig, field: SegmentFieldConfig = FIELD) -> tuple[SegmentField, list[TiltInfo]]:
    gen = SegmentField(field, clip.video[None])
    return gen, list(tilt(gen, clip.video[None], training, rng=seeded(0)))


def rolling(T: int = 40, side: int = 32) -> Clip:
    """A bar as high as the frame that moves to the right, one pixel a frame: regions that disagree break it in two."""
    x = torch.arange(side).view(1, 1, side)
    at = (torch.arange(T) * 1.0 % 16).view(T, 1, 1)
    bars = torch.cos((x - at) * (2 * torch.pi / 16)).expand(T, side, side)
    return Clip(0.9 * bars[None].expand(3, -1, -1, -1).contiguous(), Fraction(25))


class Brightness:
    """A descriptor that says how bright the middle of each of its fields is, 5 frames of 10 x 10 pixels, 2, 4, 4 apart:
    what it makes of seams and jumps can be said in advance."""

    config = TERMS

    def local(self, y: Tensor) -> Tensor:
        middle = y[:, :1, 2 : y.shape[2] - 2, 2:-2, 2:-2]
        n = [(side - span) // step + 1 for side, span, step in zip(y.shape[2:], (5, 10, 10), (2, 4, 4), strict=True)]
        means = F.avg_pool3d(middle, (1, 6, 6), stride=(2, 4, 4))[:, 0]
        return means[:, : n[0], : n[1], : n[2]]


def two_sided(T: int) -> tuple[SegmentField, Tensor, Tensor]:
    """Frame t has brightness left[t] in its left half and right[t] in its right."""
    left, right = torch.rand(2, T, generator=seeded(7))
    frames = torch.cat((left.view(T, 1, 1).expand(T, 32, 16), right.view(T, 1, 1).expand(T, 32, 16)), dim=2)
    return SegmentField(replace(FIELD, sharpness=30.0), frames[None, None]), left, right


def test_the_field_of_a_descriptor():
    assert field_of(TERMS) == ([5, 10, 10], [2, 4, 4])


def test_seam_logits_belong_to_their_frames_and_edges():
    gen, left, right = two_sided(30)
    smooth = seam_logits(Brightness(), gen)  # type: ignore[arg-type]
    assert smooth.shape == (4, 30, 30)
    assert gen.edges == [(0, 1), (2, 3), (0, 2), (1, 3)]
    # Every second frame is scored; between them the mean of both. The border leaks a little of the other half.
    l2, r2 = (torch.stack([v, (v.roll(1) + v.roll(-1)) / 2]) for v in (left, right))
    for e in (0, 1):  # left beside right: half the brightness is each's
        for a, b in [(10, 10), (8, 19), (19, 8), (25, 6)]:
            options = [float(l2[i, a] + r2[i, b]) / 2 for i in (0, 1)]
            assert min(abs(float(smooth[e, a, b]) - option) for option in options) < 0.12
    for e, side in ((2, l2), (3, r2)):  # above and below: two frames of the same half
        for a, b in [(10, 10), (8, 19), (25, 6)]:
            options = [float(side[i, a] + side[i, b]) / 2 for i in (0, 1)]
            assert min(abs(float(smooth[e, a, b]) - option) for option in options) < 0.1


def test_pairs_that_no_clip_shows_are_neither_good_nor_bad():
    gen, *_ = two_sided(30)
    found = seam_logits(Brightness(), gen)  # type: ignore[arg-type]
    assert found.isfinite().all()
    assert float(found[0, 0, 29]) == float(found[0, 29, 0])
    assert float(found.min()) <= float(found[0, 0, 29]) <= float(found.max())


def test_jump_logits_tell_leaving_from_arriving():
    T = 30
    brightness = torch.zeros(T)
    brightness[15:] = 1.0
    gen = SegmentField(FIELD, brightness.view(1, 1, T, 1, 1).expand(1, 1, T, 32, 32))
    found = jump_logits(Brightness(), gen)  # type: ignore[arg-type]
    assert found.shape == (4, T + 1, T + 1)
    # Within the dark part, within the bright part, and from one to the other: half of the frames are bright.
    assert torch.allclose(found[:, 6, 8], torch.zeros(4), atol=0.02)
    assert torch.allclose(found[:, 24, 22], torch.ones(4), atol=0.02)
    assert torch.allclose(found[:, 6, 24], torch.full((4,), 0.5), atol=0.2)
    # What was due at frame 17 is bright before, and what begins at frame 15 - 2 is dark at first.
    assert bool((found[:, 20, 6] > found[:, 6, 6] + 0.2).all())


def test_samples_to_learn_from_do_not_show_the_last_frames():
    clip = rolling(40)
    video = clip.video.clone()
    video[:, 32:] = 1.0
    gen = SegmentField(FIELD, video[None])
    seen = 40 - held_frames(40)
    assert seen == 32
    ys = draw(gen, 4, seen, rng=seeded(0))
    assert ys.shape == (4, 3, 32, 32, 32)
    # No frame of a sample is as bright all over as the last ones are.
    assert float(ys.mean((1, 3, 4)).max()) < 0.5


def test_training_teaches_regions_to_agree():
    """On a bar that rolls through, seams between frames of one phase must come to be worth more than all others."""
    clip = rolling()
    gen, infos = trained(clip, replace(TRAINING, iterations=120, every=120, novelty=0.0))
    assert [info.iteration for info in infos] == list(range(1, 121))
    assert infos[-1].gap > infos[0].gap + 0.5, "the descriptor tells broken bars from whole ones"
    assert infos[-1].change > 0.0, "and the potentials have changed"
    beside = gen.seam.detach()[:2, 5:35, 5:35]  # bars break between left and right alone
    phase = (torch.arange(5, 35)[:, None] - torch.arange(5, 35)) % 16
    assert float(beside[:, phase == 0].mean()) > float(beside[:, phase == 8].mean()) + 0.1
    untrained = SegmentField(FIELD, clip.video[None])
    assert gen.trained
    assert not untrained.trained

    def broken(net: SegmentField) -> float:
        y = torch.cat([y for s in (1, 2) for y in net.stream(200, rng=seeded(s))], dim=2)[0]
        # The bars are 16 pixels apart: both halves show the same where they agree.
        return float((y[0, :, :, 4] - y[0, :, :, 20]).abs().mean())

    assert broken(gen) < broken(untrained)


def test_training_teaches_time_fronts_where_to_jump():
    """A bar that rolls is whole where a jump goes to the phase that was due, whatever is cut where."""
    gen, infos = trained(
        rolling(), replace(TRAINING, iterations=120, every=120, novelty=0.0), replace(FIELD, front=3, overlap=6)
    )
    assert infos[-1].change > 0.0
    jump = gen.jump.detach()[:, 5:35, 5:35].mean(0)
    phase = (torch.arange(5, 35)[:, None] - torch.arange(5, 35)) % 16
    assert float(jump[phase == 0].mean()) > float(jump[phase == 8].mean()) + 0.1
    # Of seams, only those that fronts allow are scored; all others are worth the same.
    seam = gen.seam.detach()[0]
    apart = (torch.arange(40)[:, None] - torch.arange(40)).abs()
    assert seam[apart > 3].unique().numel() == 1
    assert seam[apart == 3].unique().numel() > 10


def test_novelty_bounds_what_is_learnt():
    gen, infos = trained(rolling(), replace(TRAINING, novelty=10.0))  # more than any sample has
    assert not gen.seam.any(), "no step leaves so much, so none is taken"
    assert all(info.change == 0.0 for info in infos)


def test_the_same_seed_learns_the_same():
    training = replace(TRAINING, iterations=2, novelty=0.0)
    fits = [trained(rolling(), training)[0] for _ in range(2)]
    assert fits[0].seam.any()
    assert torch.equal(fits[0].seam, fits[1].seam)


def test_local_terms_add_up_to_the_score():
    des = Descriptor(SMALL_SHAPE, (3, 12, 32, 32), rng=seeded(0))
    y = torch.rand((2, 3, 12, 32, 32), generator=seeded(1))
    des.fit_reference(y)
    terms = des.local(y)
    assert terms.shape == (2, 4, 13, 13)
    assert torch.allclose(terms.sum((1, 2, 3)), des(y, y[:, :0]), rtol=1e-4, atol=1e-3)
    # Colours are seen in units of their own spread: a clip twice as contrasty is the same to a descriptor fitted to it.
    other = Descriptor(SMALL_SHAPE, (3, 12, 32, 32), rng=seeded(0))
    other.fit_reference(5.0 * y + 1.0)
    assert torch.allclose(other.local(5.0 * y + 1.0), terms, rtol=0.02, atol=0.02)
