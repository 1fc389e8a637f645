"""``python -m benchmarks.questions run`` and ``... page``; run it with OMP_NUM_THREADS=1."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import torch

from benchmarks.data import find_clips, prepare
from benchmarks.questions.digits import read_digits
from benchmarks.questions.nets import CLIP_SIZE
from benchmarks.questions.page import page
from benchmarks.questions.subjects import Subject, digits, stacked, texture, texture_set
from benchmarks.questions.sweep import RESULTS, STEPS, run
from dyntex.checkpoint import load_json

N_TEXTURES = 4
"""Clips of RQ1, the first of those that are given; RQ3 has them all in one set."""


def subjects(where: list[str], *, n_frames: int) -> list[Subject]:
    """Textures one by one, the digits, the digits stacked, and the textures as a set.

    Raises:
        InputError: a clip cannot be read or is too short.
        MissingDependencyError: scikit-learn, which brings the digits, is not installed.
    """
    grounds = [prepare(source, size=CLIP_SIZE, n_frames=n_frames) for source in find_clips(where)]
    found = read_digits(rng=torch.Generator().manual_seed(0))
    return [*map(texture, grounds[:N_TEXTURES]), digits(found), stacked(found), texture_set(grounds)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.questions", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    sweep = commands.add_parser("run", help="make the cells that are missing, and the page beside them")
    sweep.add_argument("--clips", nargs="+", default=["examples"], help="a folder, files, example:NAME or examples")
    sweep.add_argument("--frames", type=int, default=64)
    sweep.add_argument("--seconds", type=float, default=40.0, help="of one core, for each training")
    sweep.add_argument("--seeds", type=int, default=3)
    write = commands.add_parser("page", help="write the page of a folder of results")
    for each in (sweep, write):
        each.add_argument("out", type=Path, help="the folder of the results")
    write.add_argument("--page", type=Path, required=True, help="the Markdown file")
    a = parser.parse_args()
    words = shlex.join(["python", "-m", "benchmarks.questions", *sys.argv[1:]])
    if a.command == "page":
        a.page.write_text(page(load_json(a.out / RESULTS), command=words), encoding="utf-8")
        return
    asked = subjects(a.clips, n_frames=a.frames)
    run(asked, a.out, seconds=a.seconds, seeds=a.seeds, steps=STEPS, command=words)


if __name__ == "__main__":
    main()
