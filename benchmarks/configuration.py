"""What a study's folder is about: ``config.json``, which may grow, and studies made of it again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from dyntex.benchmarks.data import Source
from dyntex.coopnets.checkpoint import load_json, save_json
from dyntex.errors import InputError, UsageError

CONFIG = "config.json"

S = TypeVar("S")
"""A study; see :class:`dyntex.benchmarks.study.Study`."""


def setting(
    default: Any = dataclasses.MISSING,
    *,
    quick: Any = dataclasses.MISSING,
    is_kept: bool = True,
    is_sources: bool = False,
) -> Any:
    """A field of a study.

    Args:
        default: where nothing is asked.
        quick: its value for a look at the whole in a minute; of clips, the words for them.
        is_kept: whether it is asked for in ``config.json``; if not, it says how the work is done, and no number
            depends on it.
        is_sources: whether it holds clips, or other files, which are known by their content.
    """
    return dataclasses.field(default=default, metadata={"quick": quick, "is_kept": is_kept, "is_sources": is_sources})


def quick_of(kind: type) -> dict[str, Any]:
    """The fields that make a study quick."""
    found = {f.name: f.metadata.get("quick", dataclasses.MISSING) for f in dataclasses.fields(kind)}
    return {name: value for name, value in found.items() if value is not dataclasses.MISSING}


def config_of(study: Any, command: str) -> dict[str, Any]:
    """What a study's ``config.json`` holds. Clips are known by their content, so that files may move."""
    commands = [command] if command else []
    values = {f.name: _plain(f, getattr(study, f.name)) for f in _fields(study)}
    return {"study": study.name, "commands": commands} | values


def _fields(study: Any) -> list[dataclasses.Field[Any]]:
    """The fields of a study, or of its class, that say what is asked."""
    return [f for f in dataclasses.fields(study) if f.init and f.metadata.get("is_kept", True)]


def _plain(f: dataclasses.Field[Any], value: Any) -> Any:
    if f.metadata.get("is_sources"):
        return {source.name: source.digest() for source in value}
    return list(value) if isinstance(value, tuple) else value


def study_of(kind: type[S], config: Mapping[str, Any], *, like: S | None = None) -> S:
    """The study that a ``config.json`` is of; its clips have names and digests, and cannot be read.

    What no configuration holds is as in the study ``like``.

    Raises:
        InputError: it is of no such study.
    """

    def value(kept: Any) -> Any:
        if isinstance(kept, dict):
            return tuple(Source(name, digest, sha256=digest) for name, digest in kept.items())
        return tuple(kept) if isinstance(kept, list) else kept

    known = {f.name for f in _fields(kind)}
    values = {key: value(kept) for key, kept in config.items() if key in known}
    try:
        return kind(**values) if like is None else dataclasses.replace(like, **values)  # type: ignore[type-var]
    except TypeError as error:
        raise InputError(f"this is no configuration of the study {config.get('study')}: {error}") from error


def claim(kind: type, asked: dict[str, Any], out: Path) -> dict[str, Any]:
    """Make the folder a study's of this configuration, or widen the one that it holds; returns all that it is about.

    Raises:
        UsageError: its rows would not compare with the new ones, or something else is in it, or it cannot be made.
            Nothing was changed.
    """
    if (out / CONFIG).exists():
        held = load_json(out / CONFIG)
        wide = widen(kind, held, asked, f"{out} holds a benchmark of another configuration")
        if wide != held:
            save_json(out / CONFIG, wide)
        return wide
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is no benchmark's folder: name another with -o")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {out} cannot be made ({error.strerror}): name another with -o") from error
    save_json(out / CONFIG, asked)
    return asked


def widen(kind: type, held: Any, asked: dict[str, Any], problem: str) -> dict[str, Any]:
    """One configuration for two: the entries of either, the held ones first, and the greater number of seeds.

    Raises:
        UsageError: they are of two studies, differ in what all rows share, or mean two clips by one name; the message
            begins with ``problem``.
    """
    name = held.get("study") if isinstance(held, dict) else None
    if name != asked["study"]:
        raise UsageError(f"{problem} (study is {name}, not {asked['study']}): name another folder with -o")
    # A field that is newer than the folder had its default there.
    defaults = {f.name: _plain(f, f.default) for f in _fields(kind) if f.default is not dataclasses.MISSING}
    wide, differ = dict(held), []
    for key, value in asked.items():
        before = held.get(key, defaults.get(key))
        if isinstance(value, dict):
            others = [name for name in before if before[name] != value.get(name, before[name])]
            differ += [f"{key.removesuffix('s')} {name} has other content" for name in others]
            wide[key] = before | value
        elif isinstance(value, list):
            wide[key] = list(dict.fromkeys((*before, *value)))
        elif key == "seeds":
            wide[key] = max(before, value)
        else:
            differ += [f"{key} is {before}, not {value}"] if before != value else []
            wide[key] = value
    if differ:
        raise UsageError(f"{problem} ({'; '.join(differ)}): name another folder with -o, or ask for the same")
    return wide
