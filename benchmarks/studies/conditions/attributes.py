"""What is seen in a clip of the captioned set, by rules simple enough to be believed, fitted to real clips alone."""

from __future__ import annotations

import colorsys
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.benchmarks.studies.conditions.captions import HUES, Scene
from dyntex.clip import Clip


def luma(video: Tensor) -> Tensor:
    """Brightness (T, H, W) of RGB (3, T, H, W)."""
    return torch.einsum("c,cthw->thw", torch.tensor((0.2126, 0.7152, 0.0722)), video)


def hue(clip: Clip) -> str:
    """The word whose hue is nearest to that of the clip's mean colour."""
    red, green, blue = clip.video.add(1.0).div(2.0).flatten(1).mean(1).tolist()
    turn = colorsys.rgb_to_hsv(red, green, blue)[0]
    return min(HUES, key=lambda word: abs((turn - HUES[word] + 0.5) % 1.0 - 0.5))


def drift(clip: Clip) -> float:
    """Pixels a frame to the right: the one shift that explains the changes best (Lucas and Kanade, 1981)."""
    y = F.avg_pool2d(luma(clip.video)[:, None], 3, stride=1)[:, 0]
    # Differences of both kinds at the middle of two frames and two pixels.
    across = (y[:, :, 1:] - y[:, :, :-1])[1:] / 2 + (y[:, :, 1:] - y[:, :, :-1])[:-1] / 2
    later = (y[1:] - y[:-1])[:, :, 1:] / 2 + (y[1:] - y[:-1])[:, :, :-1] / 2
    return float(-(across * later).sum() / across.square().sum().clamp_min(1e-12))


def height(clip: Clip) -> float:
    """Mean height of what is brighter than black, 0 at the bottom of the frame and 1 at its top."""
    light = luma(clip.video).add(1.0).mean((0, 2))  # (H,)
    rows = torch.linspace(1.0, 0.0, len(light))
    return float((light * rows).sum() / light.sum().clamp_min(1e-12))


def speed(clip: Clip) -> float:
    """Mean absolute change from frame to frame, in units of the clip's standard deviation."""
    y = luma(clip.video)
    return float((y[1:] - y[:-1]).abs().mean() / y.std().clamp_min(1e-6))


MEASURES = {"direction": drift, "height": height, "speed": speed}


@dataclass(frozen=True)
class AttributeReader:
    """What reads the attributes of clips; made by :func:`fit_reader`.

    Attributes:
        kinds: by kind, the mean of its clips' :func:`look`, and the deviation of all kinds' clips from theirs.
        thresholds: by attribute and kind, the number that separates its two words, the word below and that above.
    """

    kinds: dict[str, Tensor]
    deviation: Tensor
    thresholds: dict[tuple[str, str], tuple[float, str, str]]

    def kind(self, clip: Clip) -> str:
        """The kind whose clips look most alike: the nearest mean, in units of the deviation."""
        seen = look(clip)
        return min(self.kinds, key=lambda kind: float(((seen - self.kinds[kind]) / self.deviation).square().sum()))

    def right(self, clip: Clip, scene: Scene) -> dict[str, bool]:
        """Which attributes of a clip are as its caption said.

        What is measured is read as it is in clips of the kind that was asked for.
        """
        found = {"kind": self.kind(clip), "hue": hue(clip)}
        for name in scene.attributes().keys() & MEASURES.keys():
            threshold, below, above = self.thresholds[name, scene.kind]
            found[name] = above if MEASURES[name](clip) > threshold else below
        return {name: found[name] == word for name, word in scene.attributes().items()}


def look(clip: Clip) -> Tensor:
    """What tells kinds apart: (38,), of brightness without its level and contrast, and of no colour.

    Blind to colour, because a hue that a kind never had in training must mislead nobody. Mean and deviation in each of
    4 by 4 cells of the frame, and how much of the change across the frame and down it is left at half and quarter size.
    """
    y = luma(clip.video)
    y = ((y - y.mean()) / y.std().clamp_min(1e-6))[:, None]  # (T, 1, H, W)
    mean = F.adaptive_avg_pool2d(y.mean(0), 4)
    square = F.adaptive_avg_pool2d(y.square().mean(0), 4)
    changes = []
    for factor in (1, 2, 4):
        small = F.avg_pool2d(y, factor)
        changes += [small.diff(dim=axis).abs().mean() for axis in (2, 3)]
    return torch.cat((mean.flatten(), (square - mean.square()).clamp_min(0.0).sqrt().flatten(), torch.stack(changes)))


def fit_reader(shown: Sequence[tuple[Scene, Clip]]) -> AttributeReader:
    """From real clips of the training scenes."""
    kinds = list(dict.fromkeys(scene.kind for scene, _ in shown))
    looks = {kind: torch.stack([look(clip) for scene, clip in shown if scene.kind == kind]) for kind in kinds}
    means = {kind: seen.mean(0) for kind, seen in looks.items()}
    within = torch.cat([seen - means[kind] for kind, seen in looks.items()])
    # Bounded from below, so that what hardly varies among real clips does not decide alone.
    deviation = within.square().mean(0).sqrt().clamp_min(0.05)
    thresholds = {}
    for name, measure in MEASURES.items():
        for kind in kinds:
            of_kind = [(s.attributes()[name], clip) for s, clip in shown if s.kind == kind and name in s.attributes()]
            if of_kind:
                thresholds[name, kind] = _between([(word, measure(clip)) for word, clip in of_kind])
    return AttributeReader(means, deviation, thresholds)


def _between(measured: Iterable[tuple[str, float]]) -> tuple[float, str, str]:
    """The middle between the medians of two words' measures; the lower word and the higher."""
    by_word: dict[str, list[float]] = {}
    for word, value in measured:
        by_word.setdefault(word, []).append(value)
    (low, below), (high, above) = sorted((statistics.median(values), word) for word, values in by_word.items())
    return (low + high) / 2, below, above
