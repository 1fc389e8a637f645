"""``dyntex benchmark --task questions``: the paper's research questions, answered with numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dyntex.cli import options
from dyntex.errors import UsageError

PLANNED = {"frames": "frames", "seeds": "seeds", "budget": "seconds"}
"""Numbers of the benchmark, and what the plan calls them."""


def questions(
    tasks: Iterable[str],
    clips: Sequence[str],
    out: Path,
    *,
    numbers: Mapping[str, float],
    unfit: Sequence[str],
    quick: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Train what the folder does not hold yet, write the page, and print the folder, or the results as JSON.

    Args:
        tasks: asked for; questions has to be the only one.
        clips: that the questions are asked of, besides digits.
        out: the folder.
        numbers: those that were given; frames, seeds and the budget of each training mean something here.
        unfit: other options that were given and do not.
        quick, quiet, as_json: as everywhere.
    """
    others = [task for task in tasks if task != "questions"]
    if others:
        raise UsageError(
            f"--task questions trains networks of its own: give {','.join(others)} a command and a folder of its own"
        )
    unfit = [*unfit, *(f"--{name}" for name in numbers if name not in PLANNED)]
    if unfit:
        raise UsageError(f"{', '.join(unfit)} means nothing to --task questions: leave it out")
    options.check_numbers(positive={f"--{name}": value for name, value in numbers.items()})
    from rich.console import Console

    from benchmarks.data import find_clips
    from benchmarks.questions.page import page
    from benchmarks.questions.subjects import QUICK, Plan
    from benchmarks.questions.sweep import PAGE, run

    console = Console(stderr=True, highlight=False, emoji=False)

    def say(key: str, cell: dict[str, Any]) -> None:
        if not quiet:
            console.print(
                f"questions {key}: score {cell['numbers'].get('score', math.nan):.2f}", markup=False, soft_wrap=True
            )

    changes: dict[str, Any] = {PLANNED[name]: value for name, value in numbers.items()}
    plan = replace(QUICK if quick else Plan(), **changes)
    results = run(find_clips(clips), out, plan, command=options.command_line(), on_cell=say)
    (out / PAGE).write_text(page(results), encoding="utf-8")
    if not quiet:
        console.print(f"the page is {out / PAGE}", markup=False, soft_wrap=True)
    print(json.dumps(results) if as_json else out)
