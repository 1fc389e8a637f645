"""``python -m benchmarks.conditions -o FOLDER --clips CLIPS... --page conditions.md``: teach, measure, write the page.

What is finished is in the folder and is not done again; ``--only`` runs a part of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks.conditions import labels, sketches, texts
from benchmarks.conditions.study import Effort, Found, keep, open_folder, recall
from benchmarks.questions.digits import read_digits
from benchmarks.questions.nets import DIGITS
from benchmarks.summary import grid
from dyntex.coopnets.presets import preset

CLIPS = preset("video-set")
STUDIES = ("digits", "textures", "sketch", "text")


def run(effort: Effort, where: list[str], *, only: list[str]) -> list[Found]:
    """What every study found, those that are finished as they are kept.

    Raises:
        MissingDependencyError: scikit-learn or the extra ``text`` is wanted and not installed.
        InputError, UsageError: a clip cannot be used, or the folder holds results with other settings.
    """
    open_folder(effort)
    studies: dict[str, Callable[[], Found]] = {
        "digits": lambda: labels.digits(
            effort, DIGITS, read_digits(rng=effort.rng(97), steps=100 if effort.quick else 1500)
        ),
        "textures": lambda: labels.textures(effort, CLIPS, where),
        "sketch": lambda: sketches.study(effort, CLIPS),
        "text": lambda: texts.study(effort, CLIPS),
    }
    everything = []
    for name in only:
        found = recall(effort.folder / name)
        if found is None:
            found = studies[name]()
            keep(effort.folder / name, found)
        everything.append(found)
    return everything


def page(findings: list[Found], *, effort: Effort, command: str) -> str:
    """The whole page in Markdown."""
    parts = [
        "# Conditions",
        f"Made by `{command}`: {effort.seconds:.0f} seconds of one processor core for each model.",
    ]
    for found in findings:
        parts += [f"## {found.title}", found.about]
        for heading, (header, rows) in found.tables.items():
            parts += [f"### {heading}", grid(header, rows)]
        parts += found.notes
    return "\n\n".join(parts) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure whether models do what labels, sketches and texts say.")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder of models and measurements")
    parser.add_argument("--clips", nargs="+", default=["examples"], help="of the labelled textures")
    parser.add_argument("--page", type=Path, help="the Markdown file; by default conditions.md in the folder")
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--seconds", type=float, default=600.0, help="of the processor, for each model")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="a small part of everything, to see that it runs")
    a = parser.parse_args()
    effort = Effort(a.out, a.seconds, a.size, quick=a.quick, n_samples=2 if a.quick else 4, seed=a.seed)
    found = run(effort, a.clips, only=a.only)
    command = f"python -m benchmarks.conditions --clips CLIPS --seconds {a.seconds:.0f} --size {a.size}"
    (a.page or a.out / "conditions.md").write_text(page(found, effort=effort, command=command), encoding="utf-8")


if __name__ == "__main__":
    main()
