"""The folder of a benchmark as a whole: what it is about, what is in it so far, and several joined into one."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.cells import TIMINGS, Row, Settings, groups, read_row
from benchmarks.data import Source
from dyntex.coopnets.checkpoint import load_json, save_json
from dyntex.errors import InputError, UsageError
from dyntex.experiment.run import environment

SCHEMA_VERSION = 1
CONFIG = "config.json"
RESULTS = "results.json"

AGREE = ("size", "frames", "iterations", "budget")
"""What all rows of a folder have in common. The rest of its configuration says which rows there are, and may grow."""
GROW = ("tasks", "methods", "masks")


def claim(out: Path, config: dict[str, Any]) -> None:
    """Make the folder a benchmark's of this configuration, or widen the one that it holds by what is new.

    Raises:
        UsageError: its rows would not compare with the new ones, or something else is in it, or it cannot be made.
            Nothing was changed.
    """
    if (out / CONFIG).exists():
        held = load_json(out / CONFIG)
        wide = widen(held, config, f"{out} holds a benchmark of another configuration")
        if wide != held:
            save_json(out / CONFIG, wide)
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is no benchmark's folder: name another with -o")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the folder {out} cannot be made ({error.strerror}): name another with -o") from error
    save_json(out / CONFIG, config)


def widen(held: Any, asked: dict[str, Any], problem: str) -> dict[str, Any]:
    """One configuration for two: the tasks, methods, clips and seeds of either, the held ones first.

    Raises:
        UsageError: they differ in what all rows share, or mean different clips by one name; it begins with ``problem``.
    """
    if not isinstance(held, dict) or not asked.keys() <= held.keys():
        raise UsageError(f"{problem}: name another folder with -o")
    differ = [f"{key} is {held.get(key)}, not {asked.get(key)}" for key in AGREE if held.get(key) != asked.get(key)]
    clips = held["clips"] | asked["clips"]
    differ += [f"clip {name} has other content" for name in held["clips"] if clips[name] != held["clips"][name]]
    if differ:
        raise UsageError(f"{problem} ({'; '.join(differ)}): name another folder with -o, or ask for the same")
    grown = {key: list(dict.fromkeys((*held[key], *asked[key]))) for key in GROW if key in held}
    return held | grown | {"seeds": max(held["seeds"], asked["seeds"]), "clips": clips}


def collect(out: Path, *, command: str) -> dict[str, Any]:
    """The results so far of a benchmark's folder, its rows in the order of the cells, whenever they were made."""
    config = load_json(out / CONFIG)
    settings, sources = _from_json(config, out)
    found = [read_row(cell.folder(out)) for group in groups(settings, sources) for cell in group]
    rows = [row for row in found if row is not None]
    about = environment()
    machine = {key: about[key] for key in ("platform", "processor_threads", "memory_bytes")}
    return {
        "schema_version": SCHEMA_VERSION,
        "config": config,
        "command": command,
        "versions": {key: value for key, value in about.items() if key not in {*machine, "command"}},
        "machine": machine | {"processor": _processor(), "accelerator": _accelerator(rows)},
        "complete": None not in found,
        "rows": rows,
    }


def load_results(folder: Path) -> dict[str, Any]:
    """What ``results.json`` of a benchmark's folder holds.

    Raises:
        InputError: it is missing, or no such thing.
    """
    results = load_json(folder / RESULTS)
    if not isinstance(results, dict) or results.get("schema_version") != SCHEMA_VERSION:
        raise InputError(f"{folder / RESULTS} is not the results of a benchmark of version {SCHEMA_VERSION}")
    return results


def merge(folders: Sequence[Path], out: Path) -> dict[str, Any]:
    """Bring the cells of several folders (shards, methods, machines) together in one, and write their results.

    Of a cell that several have, the first that is not a failure is taken. Trained networks stay where they are.

    Raises:
        InputError: a folder holds no benchmark.
        UsageError: their rows do not compare, or ``out`` holds a benchmark whose rows do not compare with theirs.
    """
    loaded = [load_results(folder) for folder in folders]
    config = loaded[0]["config"]
    for folder, results in zip(folders, loaded, strict=True):
        config = widen(config, results["config"], f"{folder} and {folders[0]} hold benchmarks that do not compare")
    settings, sources = _from_json(config, folders[0])
    claim(out, config)
    for cell in (cell for group in groups(settings, sources) for cell in group):
        for folder in folders:
            if cell.finished(out) is None and read_row(cell.folder(folder)) is not None and folder != out:
                shutil.copytree(cell.folder(folder), cell.folder(out), dirs_exist_ok=True)
    machines = [results["machine"] for results in loaded]
    same = all(machine == machines[0] for machine in machines)
    about = {"versions": loaded[0]["versions"], "machine": machines[0] if same else {"several": machines}}
    merged = collect(out, command=loaded[0]["command"]) | about
    save_json(out / RESULTS, merged)
    return merged


def without_timings(results: dict[str, Any]) -> dict[str, Any]:
    """Results less what two runs of one sweep may differ in: the rest is equal, on one machine, bit for bit."""
    rows = [{key: value for key, value in row.items() if key not in TIMINGS} for row in results["rows"]]
    return results | {"rows": rows}


def _from_json(config: Any, folder: Path) -> tuple[Settings, list[Source]]:
    try:
        words: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in config.items()}
        # An example's digest is its name; other clips' are of no use but to tell them apart, and need no place here.
        sources = [Source(name, digest) for name, digest in words.pop("clips").items()]
        return Settings(**words), sources
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{folder / CONFIG} is not the configuration of a benchmark: {error}") from error


def _processor() -> str:
    """The processor's name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _accelerator(rows: Sequence[Row]) -> str | None:
    """The name of what the rows were computed on, if this machine has one."""
    on_cuda = any(row.get("device", "").startswith("cuda") for row in rows)
    return torch.cuda.get_device_name() if on_cuda and torch.cuda.is_available() else None
