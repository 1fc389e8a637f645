"""The seeds by which the fuzzer found a fault, each of a kind of its own, and that it finds one."""

from __future__ import annotations

import os
from pathlib import Path

import fuzz
import numpy as np
import pytest

SEEDS = {
    1060: "a PNG that ends in its tags",
    1074: "a PNG whose pixels are no stream",
    1323: "a TIFF that has no size",
    1331: "the same, asked what it is",
}


@pytest.fixture(scope="module", autouse=True)
def files() -> None:
    fuzz.prepare()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_the_fuzzer_found_stays_mended(seed: int) -> None:
    _, fault = fuzz.run_case(seed)
    assert fault is None, fault


def test_a_case_is_told_by_its_seed(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        words = fuzz.command_of(tmp_path / name, np.random.default_rng(7))
        made.append((words, {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}))
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("code", "printed", "said", "left", "words"),
    [
        (1, "", "dyntex: internal error\n", None, "no documented exit code"),
        (-11, "", "", None, "no documented exit code"),
        (3, "", "Traceback (most recent call last)\n", None, "a traceback"),
        (3, "", "one\ndyntex: two\n", None, "no single line"),
        (3, "", "", None, "no single line"),
        (2, "", "dyntex: no\n", "out.mkv", "left a result"),
        (2, "", "dyntex: no\n", ".dyntex.0.1.2.mkv", "temporary file"),
        (0, "{}", "", None, "nothing is printed"),
        (3, "", "dyntex: no\n", None, None),
        (0, '{"a": 1}', "", None, None),
    ],
)
def test_the_oracle(tmp_path: Path, code: int, printed: str, said: str, left: str | None, words: str | None) -> None:
    if left is not None:
        (tmp_path / left).write_bytes(b"x")
    out = None if code == 0 else "out.mkv"
    fault = fuzz._fault(tmp_path, ["info", "-q"], out, {}, code=code, printed=printed, said=said)
    assert (fault is None) if words is None else (fault is not None and words in fault)


def test_a_mutation_changes_a_file_and_boxes_stay_a_file(tmp_path: Path) -> None:
    data = fuzz.CACHE["a.mp4"]
    changed = [fuzz.mutated(data, np.random.default_rng(k)) for k in range(20)]
    assert sum(other != data for other in changed) >= 18
    exchanged = fuzz._with_boxes_exchanged(data, np.random.default_rng(1))
    assert b"ftyp" in exchanged or b"moov" in exchanged
    assert os.environ["OMP_NUM_THREADS"] == "1"
