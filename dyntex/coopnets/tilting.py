"""Cooperative training in the space of time indices, for a segment field.

The four steps of algorithm 1 (Xie et al. 2020), and the space that each works in:

* **G0, D1**: the revised samples are drawn by Gibbs sampling of the time indices under the energy that is learnt so
  far. A chain in pixels would leave what looks real within a few steps; a chain over indices cannot, whatever the
  descriptor says. (Sampling in the latent space of a strong generator: Xiao et al., "VAEBM", ICLR 2021; Pang et al.,
  "Learning latent space energy-based prior model", NeurIPS 2020.)
* **D2**: the descriptor learns to tell crops of the clip from crops of the samples, with the logistic loss. At its
  optimum its logit is log p(clip) - log p(samples), so its scale means something.
* **G2**: the generator's log-potentials take over that difference: S <- S + eta f, with f the logit where two regions
  show frames a and b side by side, and J likewise at jumps. With eta = 1 and independent crops the samples would then
  be distributed as the clip (Tu, "Learning generative models via discriminative approaches", CVPR 2007). So the
  generator alone reproduces what the chains would do, and no chain runs at synthesis.

The last frames of the clip are kept from all of it: the samples that the descriptor learns from do not show them. By
them eta is chosen: the least with which the samples' mean logit meets theirs. A step is taken back where it costs
novelty, or where a fresh critic prefers the samples from before it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.networks.architecture import DescriptorConfig, Head, Layer, Precision
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.segment_field import SegmentField
from dyntex.textures.novelty import novelty

CROP = (12, 32, 32)
"""Frames, rows and columns of a crop, at most."""
BATCH = 8
"""Crops of the clip, and as many of the samples, in an iteration."""
STEPS = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)
"""Values of eta that are tried, the least first. Beyond 1 a step asks for more than the descriptor has seen."""
TRIED = 4
"""Samples by which one is judged."""
CRITIC_ITERATIONS = 120
MOMENTS = 2
"""A jump is scored at every second frame; between, its logit is interpolated."""


def _local(*layers: Layer) -> DescriptorConfig:
    head = Head((*layers, Layer(1, (1, 1, 1), activation="none")))
    return DescriptorConfig((head,), ref_std=0.01, reference="colour", init_std=0.0, init_gain=1.5)


DESCRIPTOR = _local(
    Layer(32, (3, 4, 4), (1, 2, 2), padding="valid", activation="silu"),
    Layer(48, (3, 4, 4), (2, 2, 2), padding="valid", activation="silu"),
    Layer(48, (3, 3, 3), padding="valid", activation="silu"),
)
"""Its terms see 9 frames of 18x18 pixels."""
SMALL = 24
"""Frames with a shorter side than this are seen by"""
SMALL_DESCRIPTOR = _local(
    Layer(16, (3, 4, 4), (1, 2, 2), padding="valid", activation="silu"),
    Layer(16, (3, 3, 3), (2, 1, 1), padding="valid", activation="silu"),
)
"""whose terms see 5 frames of 8x8 pixels."""
CRITIC = _local(
    Layer(16, (3, 4, 4), (2, 2, 2), padding="valid", activation="silu"),
    Layer(32, (3, 4, 4), (1, 2, 2), padding="valid", activation="silu"),
)
"""Another network than any descriptor that learns, with which steps are judged."""


@dataclass(frozen=True)
class TiltConfig:
    """The training of a segment field.

    Attributes:
        iterations: updates of the descriptor; 0 leaves the field untrained.
        every: updates between two steps of the potentials.
        n_chains: samples that the descriptor learns from at a time.
        lr_des: Adam's learning rate.
        data_noise: noise on both kinds of crops, in [-1, 1].
        novelty: the share of the untrained samples' novelty that must be left.
        precision: of the convolutions.
    """

    iterations: int = 900
    every: int = 300
    n_chains: int = 6
    lr_des: float = 1e-3
    data_noise: float = 0.02
    novelty: float = 0.75
    precision: Precision = "fp32"


@dataclass(frozen=True)
class TiltInfo:
    """One update.

    Attributes:
        iteration: counted from 1.
        gap: mean logit of the clip's crops less that of the samples'.
        change: mean square by which the potentials changed after it; 0 where they did not.
    """

    iteration: int
    gap: float
    change: float


def held_frames(n_frames: int) -> int:
    """How many of a clip's last frames are kept from the training."""
    return n_frames // 5


def tilt(gen: SegmentField, y_obs: Tensor, config: TiltConfig, *, rng: torch.Generator) -> Iterator[TiltInfo]:
    """Train the potentials of ``gen`` in place; a record for each update of the descriptor.

    Args:
        gen: its generator.
        y_obs: (1, C, T, H, W), the observed clip.
        config: the training.
        rng: on the clip's device.
    """
    cpu = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=rng, device=rng.device)))
    _, channels, T, height, width = y_obs.shape
    seen = y_obs[:, :, : T - held_frames(T)]
    shape = DESCRIPTOR if min(height, width) >= SMALL else SMALL_DESCRIPTOR
    des = Descriptor(shape, (channels, T, height, width), rng=cpu, precision=config.precision)
    des.fit_reference(seen)
    adam = torch.optim.Adam(des.parameters(), config.lr_des, fused=True)
    y_rev = draw(gen, config.n_chains, seen.shape[2], rng=rng)
    for iteration in range(1, config.iterations + 1):
        # D2: the descriptor learns to tell the clip from the samples
        loss, gap = contrast(des, seen, y_rev, config, rng=rng)
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
        change = 0.0
        if iteration % config.every == 0:
            change = take_step(des, gen, y_obs, config, rng=rng)  # G2
            y_rev = draw(gen, config.n_chains, seen.shape[2], rng=rng)  # G0, D1
        yield TiltInfo(iteration, gap, change)


def contrast(
    des: Descriptor, seen: Tensor, made: Tensor, config: TiltConfig, *, rng: torch.Generator
) -> tuple[Tensor, float]:
    """The logistic loss on noisy crops of both clips, and the difference of their mean logits."""
    crop = torch.cat([crops(y, BATCH, rng) for y in (seen, made)])
    noise = torch.randn(crop.shape, generator=rng, device=crop.device)
    f_real, f_made = des.local(crop + config.data_noise * noise).chunk(2)
    loss = F.softplus(-f_real).mean() + F.softplus(f_made).mean()
    return loss, float((f_real.mean() - f_made.mean()).detach())


@torch.no_grad()
def draw(gen: SegmentField, n: int, n_frames: int, *, rng: torch.Generator) -> Tensor:
    """``n`` samples of so many frames that show only the first ``n_frames`` of the clip: (n, C, n_frames, H, W)."""
    z = torch.randn((n, *gen.latent_shape(n_frames)), generator=rng, device=rng.device)
    y: Tensor = gen.shortened(n_frames)(z)
    return y[:, :, :n_frames]


@torch.no_grad()
def take_step(des: Descriptor, gen: SegmentField, y_obs: Tensor, config: TiltConfig, *, rng: torch.Generator) -> float:
    """G2: add the descriptor's logits to the generator's potentials, as far as that is for the better.

    Returns:
        The mean square by which they changed; 0 where the step was not taken.
    """
    n_seen = y_obs.shape[2] - held_frames(y_obs.shape[2])
    seen, held = y_obs[:, :, :n_seen], y_obs[:, :, n_seen:]
    seams, jumps = seam_logits(des, gen), jump_logits(des, gen)
    # Of the clip's two parts, the one that the descriptor likes less: a young one overrates what it has seen.
    parts = [part for part in (seen, held) if part.shape[2] >= CROP[0]]
    aim = min(float(des.local(part).mean()) for part in parts)
    untrained = copy.deepcopy(gen)
    untrained.seam.zero_()
    untrained.jump.zero_()
    least = config.novelty * novelty(draw(untrained, TRIED, n_seen, rng=rng), seen[0])

    best = None
    for eta in STEPS:
        trial = copy.deepcopy(gen)
        trial.seam.add_(seams, alpha=eta)
        trial.jump.add_(jumps, alpha=eta)
        samples = draw(trial, TRIED, n_seen, rng=rng)
        if novelty(samples, seen[0]) < least:
            break
        best = trial
        if float(des.local(samples).mean()) >= aim:
            break
    if best is None or not prefers(best, gen, seen, config, rng=rng):
        return 0.0
    change = torch.cat([(best.seam - gen.seam).flatten(), (best.jump - gen.jump).flatten()])
    gen.seam.copy_(best.seam)
    gen.jump.copy_(best.jump)
    return float(change.square().mean())


@torch.no_grad()
def prefers(new: SegmentField, old: SegmentField, seen: Tensor, config: TiltConfig, *, rng: torch.Generator) -> bool:
    """Whether a fresh critic finds the samples of ``new`` more like the clip than those of ``old``.

    It learns to tell the clip from equally many samples of both, and is asked about others.
    """
    n = seen.shape[2]
    samples = torch.cat([draw(gen, TRIED, n, rng=rng) for gen in (old, new)])
    cpu = torch.Generator().manual_seed(int(torch.randint(2**31, (1,), generator=rng, device=rng.device)))
    critic = Descriptor(CRITIC, (seen.shape[1], *CROP), rng=cpu, precision=config.precision)
    critic.fit_reference(seen)
    adam = torch.optim.Adam(critic.parameters(), 1e-3)
    with torch.enable_grad():
        for _ in range(CRITIC_ITERATIONS):
            loss, _ = contrast(critic, seen, samples, config, rng=rng)
            adam.zero_grad()
            torch.autograd.backward(loss)
            adam.step()
    asked = [critic.local(draw(gen, TRIED, n, rng=rng)).mean() for gen in (old, new)]
    return bool(asked[1] > asked[0])


def crops(y: Tensor, n: int, rng: torch.Generator) -> Tensor:
    """``n`` crops of :data:`CROP` (less where the clip is smaller) at random places: (N, C, T, H, W) -> (n, C, ...)."""
    sides = [min(crop, side) for crop, side in zip(CROP, y.shape[2:], strict=True)]
    places = torch.rand((n, 4), generator=rng, device=rng.device).tolist()
    found = []
    for which, *at in places:
        first = [int(u * (side - crop + 1)) for u, side, crop in zip(at, y.shape[2:], sides, strict=True)]
        a, b, c = (slice(i, i + crop) for i, crop in zip(first, sides, strict=True))
        found.append(y[int(which * len(y)), :, a, b, c])
    return torch.stack(found)


def field_of(config: DescriptorConfig) -> tuple[list[int], list[int]]:
    """The pixels that one term of a descriptor of one head sees, and by how many the terms step: (T, H, W) each."""
    spans, steps = list(config.heads[0].pool), list(config.heads[0].pool)
    for layer in config.heads[0].layers:
        for axis in range(3):
            spans[axis] += (int(layer.kernel[axis]) - 1) * steps[axis]
            steps[axis] *= layer.stride[axis]
    return spans, steps


def _at_terms(maps: Tensor, des: Descriptor) -> Tensor:
    """Weights (N, H, W) averaged over what the descriptor's terms are about, each summing to 1: (N, H' W')."""
    spans, steps = field_of(des.config)
    # The middle half of a term's field is what it mostly speaks of.
    middle = [max(1, span // 2) for span in spans[1:]]
    edge = [(span - m) // 2 for span, m in zip(spans[1:], middle, strict=True)]
    inner = maps[:, edge[0] : maps.shape[1] - edge[0], edge[1] : maps.shape[2] - edge[1]]
    found = F.avg_pool2d(inner[:, None], middle, stride=steps[1:])[:, 0]
    n = [(side - span) // step + 1 for side, span, step in zip(maps.shape[1:], spans[1:], steps[1:], strict=True)]
    found = found[:, : n[0], : n[1]].flatten(1)
    return found / found.sum(1, keepdim=True).clamp_min(1e-12)


@torch.no_grad()
def seam_logits(des: Descriptor, gen: SegmentField) -> Tensor:
    """The mean logit where two neighbours meet, the one showing frame a and the other b: (edges, T, T).

    Of a chequerboard of regions, the dark ones show the clip, the light ones show it some frames later: one clip for
    every lag scores all pairs of neighbours at all times.
    """
    T, n = len(gen.frames), gen.config.regions
    span = field_of(des.config)[0][0]
    dark = (np.add.outer(np.arange(n), np.arange(n)) % 2 == 0).reshape(-1)
    mask = gen.weights[torch.from_numpy(dark)].sum(0)
    meet = _at_terms(torch.stack([gen.weights[a] * gen.weights[b] for a, b in gen.edges]), des)
    found = torch.full((len(gen.edges), T, T), float("nan"), device=gen.frames.device)
    video = gen.frames.transpose(0, 1)
    for lag in range(span - T, T - span + 1):
        a = torch.arange(max(0, -lag), min(T, T - lag), device=video.device)
        y = mask * video[:, a] + (1 - mask) * video[:, a + lag]
        by_time = meet @ des.local(y[None])[0].flatten(1).T  # (edges, T')
        worth = _every_frame(by_time, len(a), span)
        for e, (r, _) in enumerate(gen.edges):
            if dark[r]:
                found[e, a, a + lag] = worth[e]
            else:
                found[e, a + lag, a] = worth[e]
    # Frames so far apart that no clip of the descriptor's span shows both: neither good nor bad.
    usual = found.nanmean((1, 2), keepdim=True)
    return torch.where(found.isnan(), usual, found)


def _every_frame(x: Tensor, n: int, span: int) -> Tensor:
    """(E, T') terms, each about the middle of ``span`` frames, -> (E, n): linear between, the outermost held."""
    inner = n - span + 1
    between = F.interpolate(x[None], size=inner, mode="linear", align_corners=True)[0] if inner > 1 else x[:, :1]
    before = (span - 1) // 2
    return F.pad(between[None], (before, n - inner - before), mode="replicate")[0]


@torch.no_grad()
def jump_logits(des: Descriptor, gen: SegmentField) -> Tensor:
    """The mean logit in each region around a jump to frame b where frame a was due: (R, T + 1, T + 1)."""
    T, (span, step) = len(gen.frames), (part[0] for part in field_of(des.config))
    reach = min(span // 2 + step, T // 2 - 1)
    t = torch.arange(-reach, reach)
    linear = ((t + 0.5 + gen.blend) / max(1, 2 * gen.blend)).clamp(0.0, 1.0)
    s = gen.config.sharpness
    share = (linear**s / (linear**s + (1 - linear) ** s)).view(-1, 1, 1).to(gen.frames)
    where = _at_terms(gen.weights, des)
    moments = list(range(reach, T - reach + 1, MOMENTS))
    video = gen.frames.transpose(0, 1)
    arriving = torch.stack([video[:, b - reach : b + reach] for b in moments])
    found = []
    for a in moments:
        leaving = video[:, a - reach : a + reach]
        logits = [des.local(leaving.lerp(part, share)).mean(1).flatten(1) for part in torch.split(arriving, BATCH)]
        found.append(torch.cat(logits) @ where.T)  # (moments, R)
    scored = torch.stack(found).permute(2, 0, 1)  # (R, a, b)
    side = moments[-1] - moments[0] + 1
    whole = F.interpolate(scored[None], size=(side, side), mode="bilinear", align_corners=True)[0]
    pad = (moments[0], T - moments[-1])
    return F.pad(whole[None], (*pad, *pad), mode="replicate")[0]
