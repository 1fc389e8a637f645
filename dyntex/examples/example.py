"""What an example is, and how its adjustable attributes are declared."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from numpy.typing import NDArray

from dyntex.errors import UsageError

Array = NDArray[Any]


class Size(NamedTuple):
    """Pixels of a frame. A scene is as wide as its shorter side, whatever the number of pixels that samples it."""

    height: int
    width: int

    def scaled(self, shorter: int) -> Size:
        """The grid of about this shape whose shorter side has ``shorter`` cells."""
        unit = min(self)
        return Size(round(shorter * self.height / unit), round(shorter * self.width / unit))


def knob(default: float, low: float, high: float, doc: str) -> Any:
    """A field of a parameters dataclass: a number with a range and a sentence that says what it does and in what unit.

    The range is data, so that a set of clips with known attributes can be drawn from it.
    """
    return dataclasses.field(default=default, metadata={"low": low, "high": high, "doc": doc})


@dataclass(frozen=True)
class Example:
    """A procedural texture whose law is known.

    Attributes:
        name: what :func:`dyntex.examples.make` calls it.
        summary: one sentence for a person who chooses among them.
        law: the law in words and a formula, with its source.
        stationary_in_space: whether every pixel has the same law (such a clip can be tiled and cropped anywhere).
        parameters: a frozen dataclass whose fields are :func:`knob` s.
        frames: ``(parameters, size, fps=, rng=)`` to an endless iterator of ``(H, W, 3)`` frames in [0, 1]. Endless,
            so that a longer clip can only ever continue a shorter one.
    """

    name: str
    summary: str
    law: str
    stationary_in_space: bool
    parameters: type[Any]
    frames: Callable[..., Iterator[Array]]

    def configure(self, **overrides: float) -> Any:
        """The parameters with these values in place of the defaults.

        Raises:
            UsageError: a name that is not a parameter of this example, or a value outside its range.
        """
        knobs = {field.name: field for field in dataclasses.fields(self.parameters)}
        for name, value in overrides.items():
            if name not in knobs:
                raise UsageError(f"example '{self.name}' has no parameter '{name}'; it has {', '.join(knobs)}")
            low, high = knobs[name].metadata["low"], knobs[name].metadata["high"]
            if not (isinstance(value, numbers.Real) and math.isfinite(value) and low <= value <= high):
                raise UsageError(
                    f"'{name}' of example '{self.name}' is a number from {low:g} to {high:g}; this is {value!r}"
                )
        return self.parameters(**overrides)
