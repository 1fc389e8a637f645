"""``dyntex benchmark --task speed --reference``: the paper's model beside the obvious way to write it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict

from dyntex.cli import options
from dyntex.errors import UsageError


def pace(
    tasks: Iterable[str], methods: Iterable[str], *, device: str, frames: int | None, quiet: bool, as_json: bool
) -> None:
    """Time both ways to compute an iteration, and print a table, or the numbers as JSON."""
    if list(tasks) != ["speed"]:
        raise UsageError(f"--reference measures speed alone, not {','.join(tasks)}: add --task speed")
    options.check_numbers(positive={"--frames": frames})
    from rich.console import Console
    from rich.table import Table

    from benchmarks.pace import measure_pace
    from dyntex.coopnets.presets import preset

    console = Console(stderr=True, highlight=False, emoji=False)
    configs = [preset(name) for name in methods]
    place = options.choose_device(device)

    import torch

    results = {}
    for config in configs:

        def say(done: int, total: int, name: str = config.preset) -> None:
            if not quiet:
                console.print(f"{name}: round {done} of {total}, the first for warming up", markup=False)

        rng = torch.Generator(place).manual_seed(0)
        paces = measure_pace(config, n_frames=frames, rng=rng, on_round=say)
        results[config.preset] = [
            asdict(p) | {"ratio": p.ratio, "gflop_per_second": p.gflops, "share_of_peak": p.share} for p in paces
        ]
        table = Table(title=f"{config.preset}: seconds of one iteration, {torch.get_num_threads()} threads")
        for column in ("stage", "naive fp32", "dyntex fp32", "times as fast", "GFLOP/s", "of the peak"):
            table.add_column(column, justify="left" if column == "stage" else "right")
        for p in paces:
            speeds = (f"{p.gflops:.0f}", f"{p.share:.0%}") if p.gflop else ("", "")
            table.add_row(p.stage, f"{p.naive:.2f}", f"{p.toolkit:.2f}", f"{p.ratio:.1f}", *speeds)
        table.caption = (
            f"D1 is one Langevin step, of which the iteration has {config.n_steps}; "
            f"the peak is {paces[0].peak:.0f} GFLOP/s, of a matrix product in fp32"
        )
        if not as_json:
            Console(highlight=False, emoji=False).print(table)
    if as_json:
        print(json.dumps(results))
