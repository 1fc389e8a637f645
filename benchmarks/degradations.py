"""Real clips degraded by known amounts: a score that is worth anything rises with every step."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.benchmarks.data import Source, has_known_law
from dyntex.benchmarks.metrics.statistics import Score, calibrate
from dyntex.clip import Clip
from dyntex.errors import InputError
from dyntex.media import read_clip

DEGRADATIONS = {
    "blur": (0.4, 0.8, 2.0),  # sigma, pixels
    "noise": (0.02, 0.08, 0.3),  # standard deviation, in [-1, 1]
    "colour shift": (0.03, 0.08, 0.15),  # of red up and of the last channel down, in [-1, 1]
    "freezing": (2.0, 4.0, 16.0),  # frames for which each is held
    "fading": (0.8, 0.5, 0.2),  # of the deviation from the mean frame, what is kept
    "speed": (2.0, 4.0),  # times
    "ghosting": (0.25, 0.6, 1.0),  # share of the variance that is a Gaussian ghost's
    "reversal": (1.0,),  # there is but one
}
"""By name, the amounts, from hardly seen to plain."""

Step = tuple[str, float]
NOTHING: Step = ("nothing", 0.0)
REVERSIBLE = ("ripples",)
"""Examples whose law is the same backwards (waves run every way): reversing them degrades nothing."""


def degrade(real: Clip, name: str, amount: float, *, n_frames: int, seed: int = 0) -> Clip:
    """The first ``n_frames`` of a clip, or as many of one that runs faster, degraded.

    Args:
        real: (C, T, H, W), T >= ``n_frames`` (times ``amount`` for "speed").
        name: one of :data:`DEGRADATIONS`.
        amount: how much, in the unit that is written there.
        n_frames: of the result.
        seed: of noise and ghosts.
    """
    rng = torch.Generator().manual_seed(seed)
    y = real.video[:, :n_frames]
    mean = y.mean(dim=1, keepdim=True)
    match name:
        case "blur":
            made = blurred(y, amount)
        case "noise":
            made = y + amount * torch.randn(y.shape, generator=rng)
        case "colour shift":
            made = y + amount * torch.linspace(1.0, -1.0, len(y)).view(-1, 1, 1, 1)
        case "freezing":
            made = y[:, torch.arange(n_frames) // int(amount) * int(amount)]
        case "fading":
            made = mean + amount * (y - mean)
        case "speed":
            made = real.video[:, : n_frames * int(amount) : int(amount)]
        case "ghosting":
            # The shares are of the variance: the sum keeps the second-order statistics of y.
            made = mean + math.sqrt(1 - amount) * (y - mean) + math.sqrt(amount) * (ghost(y, rng=rng) - mean)
        case _:
            made = y.flip(1)
    return Clip(made.clamp(-1.0, 1.0).contiguous(), real.fps)


def blurred(video: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of each frame, cut at 6 pixels: (C, T, H, W) -> the same."""
    taps = torch.exp(-(torch.arange(-6.0, 7.0) ** 2) / (2 * sigma**2))
    taps = taps / taps.sum()
    flat = F.pad(video.flatten(0, 1).unsqueeze(1), (6,) * 4, mode="replicate")
    made: Tensor = F.conv2d(F.conv2d(flat, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))
    return made.reshape(video.shape)


def ghost(video: Tensor, *, rng: torch.Generator) -> Tensor:
    """The linear reconstruction at its best: every second-order statistic in time kept, all else Gaussian.

    Circular averages over time with random weights, (C, T, H, W) -> the same.
    """
    T = video.shape[1]
    mean = video.mean(dim=1, keepdim=True)
    weights = torch.fft.fft(torch.randn(T, generator=rng)) / math.sqrt(T)
    stirred: Tensor = torch.fft.ifft(torch.fft.fft(video - mean, dim=1) * weights.view(1, -1, 1, 1), dim=1).real
    return mean + stirred


def degraded_scores(source: Source, *, size: int, n_frames: int, n_draws: int) -> list[dict[Step, Score]]:
    """For each draw of a clip, the score of every step against its last ``n_frames`` frames, which are never degraded.

    An example is drawn anew ``n_draws`` times, so that what its law does by chance averages out; other footage is there
    once. Steps of speed for which the clip is too short are left out.

    Raises:
        InputError: the clip is shorter than twice ``n_frames``, or too short for the score.
    """
    return [_scores_of_draw(source, k, size, n_frames) for k in range(n_draws if has_known_law(source) else 1)]


def _scores_of_draw(source: Source, draw: int, size: int, n_frames: int) -> dict[Step, Score]:
    fastest = int(max(DEGRADATIONS["speed"]))
    where = f"{source.where}{'&' if '?' in source.where else '?'}seed={draw}" if draw else source.where
    real = read_clip(where, size=size, n_frames=(fastest + 1) * n_frames)
    before = real.n_frames - n_frames
    if before < n_frames:
        raise InputError(f"{source.name} has {real.n_frames} frames: lower --frames to {real.n_frames // 2} or less")
    train = real.segment(0, n_frames)
    yardstick = calibrate(train, real.segment(before, n_frames))
    found = {NOTHING: yardstick.score(train)}
    for name, amounts in DEGRADATIONS.items():
        for amount in amounts:
            if name != "speed" or amount * n_frames <= before:
                found[name, amount] = yardstick.score(degrade(real, name, amount, n_frames=n_frames, seed=draw))
    return found
