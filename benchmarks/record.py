"""A JSON record on disk that counts only for the settings it was made with.

A record keeps each setting apart from those that have their default. So a setting that the program did not have when
the record was made changes nothing as long as it has its default, and a default that was changed is noticed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dyntex.coopnets.checkpoint import load_json, save_json
from dyntex.errors import InputError

Flat = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Settings:
    """Settings, flat: ``"config.optimiser.lr"`` to a number, a word, a truth value or None.

    Attributes:
        chosen: those that differ from their default, or have none.
        defaults: those that have their default.
    """

    chosen: Flat
    defaults: Flat

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Settings:
        """From values, among them dataclasses, whose fields have defaults, and sequences and mappings of such."""
        chosen: Flat = {}
        defaults: Flat = {}
        for path, value, is_default in _leaves(values, "", False):
            (defaults if is_default else chosen)[path] = value
        return cls(chosen, defaults)

    def agree(self, other: Settings) -> bool:
        """Whether what is in both is equal, and what is in one alone has its default there."""
        mine, theirs = self.chosen | self.defaults, other.chosen | other.defaults
        return (
            all(mine[key] == theirs[key] for key in mine.keys() & theirs.keys())
            and mine.keys() - theirs.keys() <= self.defaults.keys()
            and theirs.keys() - mine.keys() <= other.defaults.keys()
        )


def _leaves(value: Any, path: str, is_default: bool) -> Iterator[tuple[str, Any, bool]]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield f"{path}.kind", type(value).__name__, is_default
        for field in dataclasses.fields(value):
            inner = getattr(value, field.name)
            yield from _leaves(inner, f"{path}.{field.name}", is_default or inner == _default(field))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key), is_default)
    elif isinstance(value, list | tuple):
        # The length too: a list that lost its last entries is another one.
        yield f"{path}.length", len(value), is_default
        for i, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{i}]", is_default)
    else:
        yield path, value, is_default


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def save_record(path: Path, data: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Write a record whole or not at all; numbers that JSON does not have, infinity and NaN, become null.

    Raises:
        DyntexError: the disk is full, or the folder cannot be written.
    """
    save_json(path, {"data": finite(data), **dataclasses.asdict(Settings.of(settings))})


def load_record(path: Path, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The data of a record; None if there is none, if it was made with other settings, or if it cannot be read."""
    with suppress(InputError, AttributeError, KeyError, TypeError):
        held = load_json(path)
        if Settings(held["chosen"], held["defaults"]).agree(Settings.of(settings)):
            data: dict[str, Any] = held["data"]
            return data
    return None


def finite(data: Any) -> Any:
    """The same as JSON has it: tuples as lists, what is not a finite number as None."""
    if isinstance(data, Mapping):
        return {str(key): finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data
