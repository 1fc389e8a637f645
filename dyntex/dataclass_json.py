"""Frozen dataclasses to JSON and back, with messages that name the key that is wrong."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from typing import Any, Literal

from dyntex.errors import UsageError, suggest


def to_json(config: Any) -> Any:
    """A config as plain dictionaries, lists, numbers and strings."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: to_json(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, tuple):
        return [to_json(item) for item in config]
    return config


def from_json(data: Any, kind: Any, *, where: str = "config") -> Any:
    """The inverse of :func:`to_json`.

    Raises:
        UsageError: a key is unknown, missing, or holds a value of another type; the message names it.
    """
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass_from_json(data, kind, where)
    if origin in (typing.Union, types.UnionType):
        return _union_from_json(data, kind, where)
    if origin is Literal:
        if data in typing.get_args(kind):
            return data
        raise UsageError(f"{where} is {data!r}; it is one of {', '.join(map(repr, typing.get_args(kind)))}")
    if origin is tuple:
        args = typing.get_args(kind)
        if not isinstance(data, list):
            raise UsageError(f"{where} is {data!r}; it is a list")
        if len(args) == 2 and args[1] is Ellipsis:
            args = (args[0],) * len(data)
        if len(args) != len(data):
            raise UsageError(f"{where} has {len(data)} entries; it has {len(args)}")
        return tuple(
            from_json(item, arg, where=f"{where}[{i}]") for i, (item, arg) in enumerate(zip(data, args, strict=True))
        )
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise UsageError(f"{where} is {data!r}; it is of type {kind.__name__}")
    return data


def _dataclass_from_json(data: Any, kind: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise UsageError(f"{where} is {data!r}; it is an object")
    hints = typing.get_type_hints(kind)
    for key in data:
        if key not in hints:
            raise UsageError(f"{where} has the unknown key {key!r}{_suggest(key, hints)}")
    for field in dataclasses.fields(kind):
        if field.default is dataclasses.MISSING and field.name not in data:
            raise UsageError(f"{where} lacks the key {field.name!r}")
    return kind(**{key: from_json(value, hints[key], where=f"{where}.{key}") for key, value in data.items()})


def _suggest(key: str, hints: dict[str, Any]) -> str:
    """The nearest key here, or else in one of the objects here, with its path."""
    inside = {
        field.name: f"{name}.{field.name}"
        for name, kind in hints.items()
        if dataclasses.is_dataclass(kind)
        for field in dataclasses.fields(kind)
    }
    near = difflib.get_close_matches(key, list(inside), n=1)
    return suggest(key, hints) or (f"; did you mean {inside[near[0]]!r}?" if near else "")


def _union_from_json(data: Any, kind: Any, where: str) -> Any:
    problems = []
    for arm in typing.get_args(kind):
        try:
            return from_json(data, arm, where=where)
        except UsageError as error:
            problems.append(str(error))
    arms = [arm for arm in typing.get_args(kind) if dataclasses.is_dataclass(arm)]
    if arms and isinstance(data, dict):
        # An object was meant for the dataclass that knows the most of its keys: that one says what is wrong.
        return from_json(data, max(arms, key=lambda arm: len(data.keys() & typing.get_type_hints(arm))), where=where)
    raise UsageError(f"{where} is {data!r}; {problems[-1]}")
