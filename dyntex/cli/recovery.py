"""``dyntex benchmark --task recovery``: how far from the truth each method fills the literature's holes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dyntex.cli import options
from dyntex.errors import UsageError

DEFAULTS = {"size": 64, "frames": 64, "seeds": 3}


def recovery(
    tasks: Iterable[str],
    methods: Sequence[str],
    clips: Sequence[str],
    masks: Sequence[Path],
    out: Path,
    *,
    numbers: Mapping[str, float],
    unfit: Sequence[str],
    quiet: bool,
    as_json: bool,
) -> None:
    """Measure what the folder does not hold yet, write the page, and print a table, or the rows as JSON.

    Args:
        tasks: asked for; recovery has to be the only one.
        numbers: size, frames and seeds where they were given; no other number means anything here.
        unfit: other options that were given and do not either.
    """
    others = [task for task in tasks if task != "recovery"]
    if others:
        raise UsageError(
            f"--task recovery fills clips that the other tasks learn from: give {','.join(others)} a command and a "
            "folder of its own"
        )
    unfit = [*unfit, *(f"--{name}" for name in numbers if name not in DEFAULTS)]
    if unfit:
        raise UsageError(f"{', '.join(unfit)} means nothing to --task recovery: leave it out")
    size, frames, seeds = (int(numbers.get(name, value)) for name, value in DEFAULTS.items())
    from rich.console import Console
    from rich.table import Table

    from benchmarks.data import find_clips
    from benchmarks.recovery import Row, run
    from benchmarks.recovery_page import NUMBERS, PAGE, overall, page
    from dyntex.inpainting import METHODS

    console = Console(stderr=True, highlight=False, emoji=False)

    def say(row: Row, done: int, total: int) -> None:
        if not quiet:
            name = f"recovery {row.method} {row.clip} {row.mask} seed {row.seed}"
            console.print(f"{done:>{len(str(total))}}/{total} {name}: {row.error:.2f}", markup=False, soft_wrap=True)

    rows = run(
        find_clips(clips),
        out,
        size=size,
        n_frames=frames,
        methods=methods or list(METHODS),
        mask_files=masks,
        seeds=seeds,
        on_row=say,
    )
    text = page(rows, size=size, n_frames=frames, command=options.command_line())
    (out / PAGE).write_text(text + "\n", encoding="utf-8")
    if not quiet:
        table = Table("method", title="Recovery: error of 255 where pixels were missing", title_justify="left")
        for name in NUMBERS.values():
            table.add_column(name, justify="right")
        for line in overall(rows):
            table.add_row(*line)
        console.print(table)
        console.print(f"the page is {out / PAGE}", markup=False, soft_wrap=True)
    print(json.dumps({"rows": [_finite(asdict(row)) for row in rows]}) if as_json else out)


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: the PSNR of what is exact is null."""
    return {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in row.items()}
