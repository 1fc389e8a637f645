"""A captioned set whose truth is known: procedural clips, described by the attributes that they were made with.

Of each kind one hue is held out, so that this pair of words is met in no training caption. Every scene can
also be said in another sentence, and in other words.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from dyntex import examples
from dyntex.clip import Clip

FPS = Fraction(12)

HUES = {"red": 0.0, "green": 1 / 3, "blue": 0.61, "purple": 0.8}
"""Turns of the colour wheel from red."""


@dataclass(frozen=True)
class Kind:
    """One of the examples, and the words for it.

    Attributes:
        example: its name.
        natural: the hue that it has where it is not turned, by measurement.
        ways: by word, the parameters of the attribute that only some kinds have: height, or direction.
        speeds: by word, those of its speed.
        fixed: parameters that all have.
    """

    example: str
    natural: float
    ways: dict[str, dict[str, float]]
    speeds: dict[str, dict[str, float]]
    fixed: dict[str, float]


_RIGHT_LEFT = {"left": {"direction": 180.0}, "right": {"direction": 0.0}}
_SLOW_FAST = {"slow": {"speed": 0.6}, "fast": {"speed": 2.0}}
KINDS = {
    "flame": Kind("flame", 0.07, {"low": {"height": 0.3}, "tall": {"height": 0.8}}, _SLOW_FAST, {"width": 0.6}),
    "sea": Kind("ocean", 0.56, _RIGHT_LEFT, {"slow": {"speed": 1.0}, "fast": {"speed": 3.0}}, {"extent": 30.0}),
    "clouds": Kind("clouds", 0.587, _RIGHT_LEFT, {"slow": {"wind": 0.2}, "fast": {"wind": 0.7}}, {"scale": 0.6}),
}
HELD_OUT = {("flame", "blue"), ("sea", "red"), ("clouds", "green")}

TEMPLATES = {
    "height": ("a {way} {hue} {kind}, {speed}", "{speed} {hue} {kind}, {way}", "{kind}: {hue}, {way} and {speed}"),
    "direction": (
        "{speed} {hue} {kind} moving {way}",
        "{hue} {kind}, {speed}, moving {way}",
        "{kind}: {hue}, moving {way}, {speed}",
    ),
}
REWORDED = {
    "height": "{hue} {kind} that burns {way} and {speed}",
    "direction": "{speed} {hue} {kind} that drifts {way}",
}
SYNONYMS = {
    "red": "crimson",
    "green": "emerald",
    "blue": "azure",
    "purple": "violet",
    "flame": "fire",
    "sea": "ocean water",
    "clouds": "cloudy sky",
    "low": "short",
    "tall": "high",
    "left": "leftwards",
    "right": "rightwards",
    "slow": "calm",
    "fast": "rapid",
}


@dataclass(frozen=True)
class Scene:
    """What a caption says, a word an attribute."""

    kind: str
    hue: str
    way: str
    speed: str

    @property
    def height_or_direction(self) -> str:
        return "height" if self.kind == "flame" else "direction"

    @property
    def held_out(self) -> bool:
        """Whether its pair of kind and hue is in no training caption."""
        return (self.kind, self.hue) in HELD_OUT

    def attributes(self) -> dict[str, str]:
        """Its words by attribute; ``height`` and ``direction`` are not everything's."""
        return {"kind": self.kind, "hue": self.hue, self.height_or_direction: self.way, "speed": self.speed}

    def caption(self, template: int = 0) -> str:
        templates = TEMPLATES[self.height_or_direction]
        return templates[template % len(templates)].format(**vars(self))

    def reworded(self) -> str:
        """The same words in a sentence that no training caption has."""
        return REWORDED[self.height_or_direction].format(**vars(self))

    def paraphrase(self) -> str:
        """That sentence in other words."""
        words = {name: SYNONYMS[word] for name, word in vars(self).items()}
        return REWORDED[self.height_or_direction].format(**words)

    def clip(self, *, size: int, n_frames: int, seed: int) -> Clip:
        """A sample of it; another seed, an independent one."""
        kind = KINDS[self.kind]
        turn = (HUES[self.hue] - kind.natural + 0.5) % 1.0 - 0.5
        chosen = {"hue": turn, **kind.fixed, **kind.ways[self.way], **kind.speeds[self.speed]}
        return examples.make(kind.example, size=size, n_frames=n_frames, fps=FPS, seed=seed, **chosen)


def scenes() -> Iterator[Scene]:
    """All there are, 48."""
    for name, kind in KINDS.items():
        for hue, way, speed in itertools.product(HUES, kind.ways, kind.speeds):
            yield Scene(name, hue, way, speed)
