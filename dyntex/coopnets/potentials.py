"""What a descriptor says of all seams and jumps of a segment field: the logits that G2 adds to its potentials."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.networks.architecture import DescriptorConfig
from dyntex.networks.descriptor import Descriptor
from dyntex.networks.segment_field import SegmentField, cut

MOMENTS = 2
"""A jump is scored at every second frame; between, its logit is interpolated."""
AT_ONCE = 8
"""Jumps that are scored at once."""


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
    every lag scores all pairs of neighbours at all times. Where time fronts join the regions, only lags that they allow
    are scored.
    """
    T, n = len(gen.frames), gen.config.regions
    span = field_of(des.config)[0][0]
    dark = (np.add.outer(np.arange(n), np.arange(n)) % 2 == 0).reshape(-1)
    front = gen.config.front
    mask = (gen.nearness if front else gen.weights)[torch.from_numpy(dark)].sum(0)
    meet = _at_terms(torch.stack([gen.weights[a] * gen.weights[b] for a, b in gen.edges]), des)
    found = torch.full((len(gen.edges), T, T), float("nan"), device=gen.frames.device)
    video = gen.frames.transpose(0, 1)
    most = min(front or T, T - span)
    for lag in range(-most, most + 1):
        a = torch.arange(max(0, -lag), min(T, T - lag), device=video.device)
        if front:
            y = gen.at(a.view(-1, 1, 1) + (lag * (1 - mask)).round().long())
        else:
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
        logits = []
        for part in torch.split(arriving, AT_ONCE):
            joined = _joined(leaving, part, gen.blend) if gen.config.front else leaving.lerp(part, share)
            logits.append(des.local(joined).mean(1).flatten(1))
        found.append(torch.cat(logits) @ where.T)  # (moments, R)
    scored = torch.stack(found).permute(2, 0, 1)  # (R, a, b)
    side = moments[-1] - moments[0] + 1
    whole = F.interpolate(scored[None], size=(side, side), mode="bilinear", align_corners=True)[0]
    pad = (moments[0], T - moments[-1])
    return F.pad(whole[None], (*pad, *pad), mode="replicate")[0]


def _joined(leaving: Tensor, arriving: Tensor, blend: int) -> Tensor:
    """Cuts in the middle, as time fronts have them: (C, T, H, W) and (N, C, T, H, W) -> (N, C, T, H, W)."""
    middle = leaving.shape[1] // 2
    window = slice(middle - blend, middle + blend)
    y = torch.cat([leaving[:, :middle].expand_as(arriving[:, :, :middle]), arriving[:, :, middle:]], dim=2)
    before, after = leaving[:, window].expand_as(arriving[:, :, window]), arriving[:, :, window]
    y[:, :, window] = torch.where(cut(before, after), after, before)
    return y
