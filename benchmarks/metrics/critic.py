"""Critic AUC: can a fresh ConvNet tell what a method makes from frames that the method did not see?

A critic is trained to tell crops of the *training* segment from crops of some samples, and then asked to tell crops of
the *held-out* segment from crops of other samples. The answer is the area under the ROC curve: the probability that a
held-out crop gets a higher logit than a crop of a sample. 0.5 means that it cannot tell, 1 that it always can; under
0.5 the samples look more like the training segment than the held-out segment does, as a replay or a drift makes it.

The network and its budget are part of the protocol (``docs/benchmark.md``): they are fixed, in iterations and not in
seconds, and no method may be trained with them. A classifier two-sample test after Lopez-Paz and Oquab, ICLR 2017.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.clip import Clip
from dyntex.coopnets.selection import auc
from dyntex.errors import InputError, UsageError

CROP = (12, 32, 32)
"""Frames, rows and columns of what the critic sees at once."""
WIDTH = 32
"""Channels of its hidden layers."""
ITERATIONS = 500
BATCH = 8
"""Crops of each kind in a step."""
RATE = 1e-3
NOISE = 0.02
"""Standard deviation, in units of [-1, 1], of the noise on training crops: 2.5 grey levels, more than coding leaves."""
ASKED = 256
"""Crops of each kind in the examination."""
SEPARATED = 0.05
"""Stop when the running mean of the loss is below this: whatever can be told apart is."""
SEEDS = 2
SAMPLES = 9
"""Samples of a method in the protocol: two thirds to learn from, a third to be asked about."""
BLOCK = 16
"""Frames: the least length of a block where a real clip plays both parts."""

_MEMORY = 0.95  # of the running mean of the loss
_LEVEL = 2.0 / 255.0  # one grey level
_CHANNELS_LAST = torch.channels_last_3d


@dataclass(frozen=True)
class CriticResult:
    """What the critics of one method on one clip answered.

    Attributes:
        auc: the mean over critics; 0.5 where they cannot tell, 1 where they always can.
        aucs: that of each critic.
        iterations: how long each was trained, at most :data:`ITERATIONS`.
    """

    auc: float
    aucs: tuple[float, ...]
    iterations: tuple[int, ...]


def critic_auc(
    training: Clip,
    held_out: Clip,
    samples: Sequence[Clip],
    *,
    seed: int,
    n_seeds: int = SEEDS,
    iterations: int = ITERATIONS,
) -> CriticResult:
    """Ask fresh critics whether samples can be told from held-out frames; about 12 s a critic on one core.

    The result depends on the clips and the seed alone: it runs in one thread, whatever torch is set to, because the
    order of sums would depend on their number.

    Args:
        training: (C, T, H, W), the segment that the method was fitted on.
        held_out: frames of the same clip that it did not see.
        samples: of the method, each independent of the others; the first two thirds are learnt from, the rest asked
            about. With fewer than :data:`SAMPLES`, critics learn single samples by heart, and the answer drifts.
        seed: of the critics' weights, crops and noise.
        n_seeds: how many critics.
        iterations: of each critic at most; the protocol's unless a test is in a hurry.

    Raises:
        InputError: fewer than two samples; clips of different channels or sizes; one that is shorter or smaller than a
            crop; a training segment in which nothing moves.
        UsageError: ``n_seeds`` or ``iterations`` is not positive.
    """
    if len(samples) < 2:
        raise InputError(
            f"the critic learns from some samples and is asked about others, and {len(samples)} was given: draw at "
            f"least 2, better {SAMPLES}"
        )
    _check([training, held_out, *samples])
    n_learnt = math.ceil(len(samples) * 2 / 3) if len(samples) > 2 else 1
    videos = [sample.video for sample in samples]
    real, asked = [training.video], [held_out.video]
    return _examine(real, videos[:n_learnt], asked, videos[n_learnt:], seed, n_seeds, iterations)


def critic_real(
    training: Clip, held_out: Clip, *, seed: int, n_seeds: int = SEEDS, iterations: int = ITERATIONS
) -> CriticResult:
    """The same question with real footage in place of the samples: what the instrument says where nothing is to tell.

    Both segments are cut into an even number of blocks of at least :data:`BLOCK` frames, and every second block plays
    the sample. Interleaved, so that a drift of the clip is nearly the same on both sides. Which block is called real is
    arbitrary, so an answer under 0.5 counts as far above it: the result is from 0.5 to 1. Near 1 the clip is not a
    texture at this length (it turns or drifts), and no answer about a method on it means much.

    Raises:
        InputError: as for :func:`critic_auc`; or a segment is too short for two blocks.
    """
    _check([training, held_out])
    learnt, asked = _blocks(training), _blocks(held_out)
    found = _examine(learnt[::2], learnt[1::2], asked[::2], asked[1::2], seed, n_seeds, iterations)
    return replace(found, auc=max(found.auc, 1 - found.auc))


class Critic(nn.Module):
    """Four 3-D convolutions to a logit at every place, (B, C, 12, 32, 32) -> (B, 4, 4, 4); positive means real.

    Args:
        channels: of the video.
        mean, std: (C, 1, 1, 1), of the training segment, by which crops are standardised.
        rng: of the weights: uniform with the variance of He et al. (ICCV 2015), whose factor 2 also suits SiLU.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int, *, mean: Tensor, std: Tensor, rng: torch.Generator) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.layers = nn.Sequential(
            nn.Conv3d(channels, WIDTH, (3, 4, 4), (1, 2, 2)),  # (10, 15, 15)
            nn.SiLU(),
            nn.Conv3d(WIDTH, WIDTH, (3, 4, 4), (2, 2, 2)),  # (4, 6, 6)
            nn.SiLU(),
            nn.Conv3d(WIDTH, WIDTH, 3),  # (2, 4, 4)
            nn.SiLU(),
            nn.Conv3d(WIDTH, 1, 1),
        )
        convolutions = [layer for layer in self.layers if isinstance(layer, nn.Conv3d)]
        with torch.no_grad():
            for layer in convolutions:
                bound = math.sqrt(6.0 / layer.weight[0].numel())
                layer.weight.uniform_(-bound, bound, generator=rng)
                assert layer.bias is not None
                layer.bias.zero_()
            convolutions[-1].weight.mul_(0.3)  # logits near 0 at first

    def forward(self, crops: Tensor) -> Tensor:
        standard = ((crops - self.mean) / self.std).contiguous(memory_format=_CHANNELS_LAST)
        logits: Tensor = self.layers(standard)
        return logits[:, 0]


def _examine(
    real: Sequence[Tensor],
    made: Sequence[Tensor],
    real_asked: Sequence[Tensor],
    made_asked: Sequence[Tensor],
    seed: int,
    n_seeds: int,
    iterations: int,
) -> CriticResult:
    if min(n_seeds, iterations) < 1:
        raise UsageError(f"{n_seeds} critics of {iterations} iterations answer nothing: choose 1 or more of each")
    answers = []
    with _one_thread():
        root = np.random.SeedSequence(seed)
        for stream in root.spawn(n_seeds):
            rng = torch.Generator().manual_seed(int(stream.generate_state(1, np.uint64)[0]))
            critic, trained = train_critic(real, made, rng=rng, iterations=iterations)
            questions = [_crops(videos, ASKED, rng) for videos in (real_asked, made_asked)]
            answers.append((auc(*(_answer(critic, crops) for crops in questions)), trained))
    aucs, lengths = zip(*answers, strict=True)
    return CriticResult(sum(aucs) / n_seeds, aucs, lengths)


def train_critic(
    real: Sequence[Tensor], made: Sequence[Tensor], *, rng: torch.Generator, iterations: int
) -> tuple[Critic, int]:
    """A critic of crops of ``real`` and ``made`` videos (C, T, H, W), and for how many iterations it was trained.

    Logistic loss at every place of the logits (not of their mean: so every place learns to judge what it sees), Adam.
    """
    pixels = torch.cat([video.flatten(1) for video in real], dim=1)
    mean, std = pixels.mean(dim=1), pixels.std(dim=1).clamp(min=_LEVEL)
    critic = Critic(len(mean), mean=mean.view(-1, 1, 1, 1), std=std.view(-1, 1, 1, 1), rng=rng)
    adam = torch.optim.Adam(critic.parameters(), RATE, foreach=True)
    is_real = torch.tensor([1.0] * BATCH + [0.0] * BATCH).view(-1, 1, 1, 1)
    running, iteration = math.log(2.0), 0
    while iteration < iterations and running > SEPARATED:
        iteration += 1
        crops = torch.cat([_crops(real, BATCH, rng), _crops(made, BATCH, rng)])
        crops += NOISE * torch.randn(crops.shape, generator=rng)
        logits = critic(crops)
        loss = F.binary_cross_entropy_with_logits(logits, is_real.expand_as(logits))
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
        running = _MEMORY * running + (1 - _MEMORY) * float(loss.detach())
    return critic, iteration


def _answer(critic: Critic, crops: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([critic(part).mean(dim=(1, 2, 3)) for part in torch.split(crops, 2 * BATCH)])


def _crops(videos: Sequence[Tensor], n: int, rng: torch.Generator) -> Tensor:
    """``n`` crops at random places of random videos: (n, C, 12, 32, 32)."""
    places = torch.rand((n, 4), generator=rng).tolist()
    crops = []
    for which, *at in places:
        video = videos[int(which * len(videos))]
        spans = zip(video.shape[1:], CROP, at, strict=True)
        t, y, x = (slice(start := int(u * (side - crop + 1)), start + crop) for side, crop, u in spans)
        crops.append(video[:, t, y, x])
    return torch.stack(crops)


def _blocks(clip: Clip) -> list[Tensor]:
    """An even number of blocks of nearly equal length, as many as :data:`BLOCK` allows, but at least two."""
    n = max(2, clip.n_frames // BLOCK // 2 * 2)
    blocks = list(clip.video.tensor_split(n, dim=1))
    if min(block.shape[1] for block in blocks) < CROP[0]:
        raise InputError(
            f"a real segment of {clip.n_frames} frames is too short to be compared with itself: give a clip that "
            f"leaves at least {2 * CROP[0]} frames to learn from and as many held out"
        )
    return blocks


def _check(clips: Sequence[Clip]) -> None:
    first = clips[0]
    for clip in clips:
        if (clip.channels, clip.height, clip.width) != (first.channels, first.height, first.width):
            raise InputError(
                f"the critic compares clips of one size and colour, and these are {tuple(first.video.shape)} and "
                f"{tuple(clip.video.shape)}: bring them to one size"
            )
        if clip.n_frames < CROP[0]:
            raise InputError(f"a clip has {clip.n_frames} frames and the critic's crops {CROP[0]}: use a longer clip")
        if min(clip.height, clip.width) < CROP[1]:
            raise InputError(
                f"frames are {clip.height}x{clip.width} and the critic's crops {CROP[1]}x{CROP[2]}: use a larger size"
            )
    if bool((first.video[:, 1:] == first.video[:, :1]).all()):
        raise InputError(
            "nothing moves in the training segment, so there is no motion to judge: give a clip that moves"
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
