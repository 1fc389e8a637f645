"""Descriptors that learn by contrast: logistic loss on crops of the clip and crops of samples.

At its optimum such a descriptor's terms are log p(clip) - log p(samples), so that their scale means something.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.networks.architecture import DescriptorConfig, Head, Layer
from dyntex.networks.descriptor import Descriptor

CROP = (12, 32, 32)
"""Frames, rows and columns of a crop, at most."""
BATCH = 8
"""Crops of the clip, and as many of the samples, in an iteration."""
SMALL = 24
"""Frames with a shorter side than this need descriptors whose terms see less."""
NOISE = 0.02
"""Standard deviation, in [-1, 1], of the noise on crops: 2.5 grey levels, more than coding leaves."""


def convolutions(*layers: Layer) -> DescriptorConfig:
    """A descriptor whose terms are the logits of 3-D convolutions, one at every place."""
    head = Head((*layers, Layer(1, (1, 1, 1), activation="none")))
    return DescriptorConfig((head,), ref_std=0.01, reference="colour", init_std=0.0, init_gain=1.5)


SMALL_SHAPE = convolutions(
    Layer(16, (3, 4, 4), (1, 2, 2), padding="valid", activation="silu"),
    Layer(16, (3, 3, 3), (2, 1, 1), padding="valid", activation="silu"),
)
"""Of small frames; its terms see 5 frames of 8x8 pixels."""


def contrast(
    des: Descriptor, seen: Tensor, made: Tensor, *, noise: float = NOISE, rng: torch.Generator
) -> tuple[Tensor, float]:
    """The logistic loss on noisy crops of the clip and of samples, and the difference of their mean logits.

    Args:
        des: whose terms are logits.
        seen: (1, C, T, H, W), the clip.
        made: (n, C, T, H, W), the samples.
        noise: standard deviation of the noise on both kinds of crops, in [-1, 1].
        rng: on the clip's device.
    """
    crop = torch.cat([crops([seen], BATCH, rng), crops([made], BATCH, rng)])
    noisy = crop + noise * torch.randn(crop.shape, generator=rng, device=crop.device)
    f_real, f_made = des.local(noisy).chunk(2)
    loss = F.softplus(-f_real).mean() + F.softplus(f_made).mean()
    return loss, float((f_real.mean() - f_made.mean()).detach())


def crops(ys: Sequence[Tensor], n: int, rng: torch.Generator) -> Tensor:
    """``n`` crops of :data:`CROP` (less where the clips are smaller) at random places of random clips, each kind
    (N, C, T, H, W) as likely as another: (n, C, t, h, w)."""
    sides = [min(crop, *(y.shape[axis] for y in ys)) for axis, crop in zip((2, 3, 4), CROP, strict=True)]
    found = []
    for kind, which, *at in torch.rand((n, 5), generator=rng, device=rng.device).tolist():
        y = ys[int(kind * len(ys))]
        first = [int(u * (side - crop + 1)) for u, side, crop in zip(at, y.shape[2:], sides, strict=True)]
        a, b, c = (slice(i, i + crop) for i, crop in zip(first, sides, strict=True))
        found.append(y[int(which * len(y)), :, a, b, c])
    return torch.stack(found)
