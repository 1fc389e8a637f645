"""The studies by name, and what can be done with the folder of any of them."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dyntex.benchmarks.configuration import CONFIG, claim, study_of, widen
from dyntex.benchmarks.study import RESULTS, Results, Study, collect, finish, write
from dyntex.coopnets.checkpoint import load_json
from dyntex.errors import InputError

STUDIES = {
    "methods": "dyntex.benchmarks.tasks.comparison:Comparison",
    "paper-table": "dyntex.benchmarks.studies.paper_table.table:PaperTable",
    "recovery": "dyntex.benchmarks.studies.recovery:Recovery",
    "questions": "dyntex.benchmarks.studies.questions.sweep:Questions",
    "conditions": "dyntex.benchmarks.studies.conditions.conditions:Conditions",
    "ablation": "dyntex.benchmarks.studies.ablation:Ablation",
    "faces": "dyntex.benchmarks.studies.faces:Faces",
    "loops": "dyntex.benchmarks.studies.loops:Loops",
    "tiles": "dyntex.benchmarks.studies.tiles:Tiles",
    "degradations": "dyntex.benchmarks.studies.degradations:Degradations",
    "iteration": "dyntex.benchmarks.studies.iteration:Iteration",
}
"""Where each is: one is imported when it is asked for, since they need much that the others do not."""


def find(name: str) -> type[Study]:
    """The class of a study."""
    module, _, kind = STUDIES[name].partition(":")
    found: type[Study] = getattr(importlib.import_module(module), kind)
    return found


def load(folder: Path) -> tuple[Study, Results]:
    """The study of a folder, and its results so far, of one that runs or was killed, too.

    Raises:
        InputError: it holds none.
    """
    config = load_json(folder / CONFIG)
    name = config.get("study") if isinstance(config, dict) else None
    if name not in STUDIES:
        raise InputError(f"{folder} holds no study that is known here: name the folder -o of a dyntex benchmark")
    study = study_of(find(name), config)
    results = collect(study, folder)
    if (folder / RESULTS).exists():
        held = load_json(folder / RESULTS)
        # Some studies have rows of what no configuration holds, of networks that were trained elsewhere for example.
        if len(held["rows"]) >= len(results["rows"]):
            return study, held
        results |= {key: held[key] for key in ("versions", "machine")}
    return study, results


def merge(folders: Sequence[Path], out: Path) -> tuple[Study, Results]:
    """Bring the rows of several folders (shards, methods, machines) together in one, and write its results and page.

    Of a row that several have, the first that is no failure is taken. Trained networks stay where they are.

    Raises:
        InputError: a folder holds no study.
        UsageError: their rows do not compare, or ``out`` holds rows that do not compare with theirs.
    """
    loaded = [load(folder) for folder in folders]
    configs = [load_json(folder / CONFIG) for folder in folders]
    kind, wide = type(loaded[0][0]), configs[0]
    for folder, config in zip(folders, configs, strict=True):
        wide = widen(kind, wide, config, f"{folder} and {folders[0]} hold benchmarks that do not compare")
    wide = claim(kind, wide, out)
    study = study_of(kind, wide)
    for cell in study.cells():
        for folder in folders:
            row = cell.row(out)
            if (row is None or row["status"] != "ok") and cell.row(folder) is not None and folder != out:
                shutil.copytree(cell.folder(folder), cell.folder(out), dirs_exist_ok=True)
    results = finish(study, out) | _about([results for _, results in loaded])
    write(study, results, out)
    return study, results


def _about(parts: Sequence[Results]) -> dict[str, Any]:
    """The versions and the machines of the parts, not those of the merging."""
    machines = [machine for part in parts for machine in part["machine"].get("several", [part["machine"]])]
    same = all(machine == machines[0] for machine in machines)
    return {"versions": parts[0]["versions"], "machine": machines[0] if same else {"several": machines}}
