"""The harness: rows that outlive a kill, parts that add up, settings that matter, and failures that say why."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, make_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from commands import done

from dyntex.benchmarks import catalogue
from dyntex.benchmarks.configuration import quick_of
from dyntex.benchmarks.data import Source
from dyntex.benchmarks.record import Settings, load_record, save_record
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.study import PAGE, RESULTS, Cell, Results, Row, Shard, page_of, path_of, run, setting
from dyntex.errors import InputError, MissingDependencyError, UsageError


@dataclass(frozen=True)
class Rates:
    """Settings of a training, with defaults."""

    slow: float = 0.1
    fast: float = 1.0


@dataclass(frozen=True)
class Powers:
    """Squares and cubes of the seeds, by clip; ``note`` is asked for the cubes alone."""

    name: ClassVar[str] = "powers"

    clips: tuple[Source, ...] = setting(is_sources=True)
    powers: tuple[int, ...] = (2, 3)
    seeds: int = 3
    scale: int = 1
    rates: Rates = setting(Rates(), is_kept=False)  # noqa: RUF009
    on_make: Callable[[Cell, Path], None] = setting(lambda cell, out: None, is_kept=False)  # noqa: RUF009
    made: list[str] = field(default_factory=list, init=False, compare=False)

    def cells(self) -> Iterator[Cell]:
        for source in self.clips:
            for seed in range(self.seeds):
                for power in self.powers:
                    about = {"clip": source.name, "part": power, "seed": seed}
                    settings = {"clip": source.digest(), "scale": self.scale}
                    settings |= {"rates": self.rates} if power == 3 else {}
                    yield Cell(path_of(power, source.name, seed), about, settings, f"{source.name} {seed}")

    def make(self, cell: Cell, out: Path) -> Row:
        self.made.append(cell.path)
        self.on_make(cell, out)
        return {"value": self.scale * cell.about["seed"] ** cell.about["part"], "ratio": float("inf")}

    def page(self, results: Results) -> list[str | Table]:
        rows = [
            [str(row[key]) for key in ("clip", "part", "seed", "value")] for row in results["rows"] if "value" in row
        ]
        return ["# Powers", f"Made by `{results['command']}`.", Table(["clip", "power", "seed", "value"], rows)]


CLIPS = (Source("a", "example:flame"), Source("b c", "example:ocean"))


def timeless(results: Results) -> list[Row]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in results["rows"]]


def test_rows_come_in_the_cells_order_and_the_page_is_of_them(tmp_path: Path):
    told: list[tuple[int, int]] = []
    results = run(Powers(CLIPS), tmp_path / "out", command="RUN", on_row=lambda _, *n: told.append(n))  # type: ignore[arg-type]
    assert [row["value"] for row in results["rows"]] == [0, 0, 1, 1, 4, 8] * 2
    assert told == [(i + 1, 12) for i in range(12)]
    assert results["complete"]
    assert json.loads((tmp_path / "out" / RESULTS).read_text()) == results
    assert results["rows"][0]["ratio"] is None  # JSON has no infinity
    assert all(row["seconds"] >= 0 and row["status"] == "ok" for row in results["rows"])
    text = (tmp_path / "out" / PAGE).read_text()
    assert text.startswith(
        "# Powers\n\nMade by `RUN`.\n\n| clip | power | seed | value |\n| --- | ---: | ---: | ---: |\n"
    )
    assert "| b c | 3 | 2 | 8 |" in text


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_study import CLIPS, Powers
from dyntex.benchmarks.study import run

def kill(cell, out):
    if cell.path == "3/a/2":
        os.kill(os.getpid(), signal.SIGKILL)

run(Powers(CLIPS, on_make=kill), Path(sys.argv[2]), command="RUN")
"""


def test_a_killed_run_goes_on_to_equal_rows_and_makes_none_twice(tmp_path: Path):
    here = Path(__file__).parent
    words = [sys.executable, "-c", KILLED, str(here), str(tmp_path / "out")]
    ended = subprocess.run(words, cwd=here.parent, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not (tmp_path / "out" / RESULTS).exists()
    study = Powers(CLIPS)
    resumed = run(study, tmp_path / "out", command="RUN")
    assert study.made == [cell.path for cell in study.cells()][5:]
    whole = run(Powers(CLIPS), tmp_path / "whole", command="RUN")
    assert timeless(resumed) == timeless(whole)
    assert (tmp_path / "out" / PAGE).read_text() == (tmp_path / "whole" / PAGE).read_text()
    again = Powers(CLIPS)
    assert run(again, tmp_path / "out", command="RUN") == resumed
    assert again.made == []


def test_parts_add_up_to_the_whole_and_keep_groups_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(catalogue, "STUDIES", {"powers": "test_study:Powers"})
    monkeypatch.setattr(catalogue, "find", lambda name: Powers)
    whole = run(Powers(CLIPS), tmp_path / "whole", command="RUN")
    parts = [tmp_path / str(i) for i in range(1, 5)]
    for i, part in enumerate(parts, start=1):
        study = Powers(CLIPS)
        assert not run(study, part, shard=Shard(i, 4), command="RUN")["complete"]
        (part / RESULTS).unlink()  # as a kill leaves it, too
        groups = [path.split("/", 1)[1] for path in study.made]
        assert groups[::2] == groups[1::2]  # square and cube
    known, so_far = catalogue.load(parts[1])
    assert timeless(so_far) == timeless(whole)[2:4] + timeless(whole)[10:]
    assert "| b c | 3 | 2 | 8 |" in page_of(known, so_far)
    study, merged = catalogue.merge(parts, tmp_path / "merged")
    assert timeless(merged) == timeless(whole)
    assert merged["complete"]
    assert merged["command"] == "RUN"
    assert (tmp_path / "merged" / PAGE).read_text() == (tmp_path / "whole" / PAGE).read_text()
    run(Powers(CLIPS[:1], scale=2), tmp_path / "other")
    with pytest.raises(UsageError, match=r"do not compare \(scale is 1, not 2\)"):
        catalogue.merge([parts[0], tmp_path / "other"], tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_only_rows_of_changed_settings_are_made_again(tmp_path: Path):
    out = tmp_path / "out"
    run(Powers(CLIPS[:1]), out)
    changed = Powers(CLIPS[:1], rates=Rates(fast=2.0))
    results = run(changed, out)
    assert changed.made == ["3/a/0", "3/a/1", "3/a/2"]  # the squares do not depend on the rates
    assert results["complete"]
    # A row of other settings is on no page, also where it is not this part's to make.
    once = Powers(CLIPS[:1], rates=Rates(fast=3.0))
    part = run(once, out, shard=Shard(1, 3))
    assert once.made == ["3/a/0"]
    assert [(row["part"], row["seed"]) for row in part["rows"]] == [(2, 0), (3, 0), (2, 1), (2, 2)]
    assert not part["complete"]


def test_a_new_setting_at_its_default_throws_nothing_away_but_a_changed_default_does(tmp_path: Path):
    path = tmp_path / "record.json"

    def config(name: str, **defaults: Any) -> type:
        return make_dataclass(
            name, [(key, object, field(default=value)) for key, value in defaults.items()], frozen=True
        )

    old = config("C", lr=0.1, steps=3, inner=Rates())
    save_record(path, {"x": 1}, {"config": (old(lr=0.5),), "seed": 0})

    def held(of: Any, seed: int = 0) -> bool:
        return load_record(path, {"config": (of,), "seed": seed}) == {"x": 1}

    assert held(old(lr=0.5))
    assert not held(old(lr=0.4))
    assert not held(old(lr=0.5, steps=4))
    assert not held(old(lr=0.5, inner=Rates(slow=0.2)))
    assert not held(old(lr=0.5), seed=1)
    assert load_record(path, {"config": (old(lr=0.5), old()), "seed": 0}) is None
    new = config("C", lr=0.1, steps=3, inner=Rates(), momentum=0.9)
    assert held(new(lr=0.5))
    assert not held(new(lr=0.5, momentum=0.5))
    assert held(config("C", lr=0.1, inner=Rates())(lr=0.5))  # one that had its default, and is gone
    assert not held(config("C", steps=3, inner=Rates())())  # one that had not
    assert not held(config("C", lr=0.1, steps=5, inner=Rates())(lr=0.5))
    assert not held(config("D", lr=0.1, steps=3, inner=Rates())(lr=0.5))
    # A value is the same whether it is chosen or a default.
    assert held(config("C", lr=0.5, steps=3, inner=Rates())())


def test_settings_that_agree_agree_both_ways():
    a, b = Settings({"x": 1}, {"y": 2}), Settings({"x": 1}, {"z": 3})
    assert a.agree(b)
    assert b.agree(a)
    assert not a.agree(Settings({"x": 1, "z": 3}, {}))
    assert not Settings({"x": 1, "z": 3}, {}).agree(a)


def test_a_folder_grows_but_not_by_rows_that_do_not_compare(tmp_path: Path):
    out = tmp_path / "out"
    run(Powers(CLIPS[:1], powers=(2,), seeds=2), out, command="FIRST")
    other = Powers(CLIPS[1:], powers=(3,), seeds=1)
    grown = run(other, out, command="SECOND")
    assert other.made == ["3/b c/0"]
    assert grown["config"]["powers"] == [2, 3]
    assert grown["config"]["seeds"] == 2
    assert list(grown["config"]["clips"]) == ["a", "b c"]
    assert grown["command"] == "FIRST; SECOND"
    assert [(row["clip"], row["part"]) for row in grown["rows"]] == [("a", 2), ("a", 2), ("b c", 3)]
    assert not grown["complete"]
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match=r"another configuration \(scale is 1, not 5\): name another folder with -o"):
        run(Powers(CLIPS, scale=5), out)
    with pytest.raises(UsageError, match="clip a has other content"):
        run(Powers((Source("a", "example:smoke"),)), out)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    # A folder that was begun before the study had a field is one with its default.
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({key: value for key, value in config.items() if key != "scale"}))
    with pytest.raises(UsageError, match="scale is 1, not 5"):
        run(Powers(CLIPS, scale=5), out)
    assert run(Powers(CLIPS), out)["complete"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").touch()
    with pytest.raises(UsageError, match="is no benchmark's folder"):
        run(Powers(CLIPS), tmp_path / "full")


def test_a_failure_is_a_row_that_says_why_and_is_tried_again(tmp_path: Path):
    out = tmp_path / "out"

    def trouble(cell: Cell, _: Path) -> None:
        if cell.path == "2/a/1":
            raise RuntimeError("singular\nmatrix")
        if cell.path == "3/a/1":
            raise InputError("a is too short")

    results = run(Powers(CLIPS[:1], on_make=trouble), out)
    bad = {row["part"]: row for row in results["rows"] if row["status"] == "failed"}
    assert {part: row["reason"] for part, row in bad.items()} == {
        2: "RuntimeError: singular matrix",
        3: "a is too short",
    }
    text = (out / PAGE).read_text()
    assert "Failed, and left out above:\n\n* a, 2, seed 1: RuntimeError: singular matrix\n* a, 3, seed 1: a is" in text
    again = Powers(CLIPS[:1])
    assert "Failed" not in json.dumps(run(again, out))
    assert again.made == ["2/a/1", "3/a/1"]
    assert "Failed" not in (out / PAGE).read_text()

    def nothing(cell: Cell, _: Path) -> None:
        raise ValueError("no")

    with pytest.raises(InputError, match="nothing could be run: ValueError: no"):
        run(Powers(CLIPS[:1], on_make=nothing), tmp_path / "none")

    def missing(cell: Cell, _: Path) -> None:
        raise MissingDependencyError("pip install it")

    with pytest.raises(MissingDependencyError):
        run(Powers(CLIPS[:1], on_make=missing), tmp_path / "missing")
    assert not list((tmp_path / "missing").rglob("row.json"))


def test_a_record_is_whole_or_not_there(tmp_path: Path):
    path = tmp_path / "record.json"
    save_record(path, {"x": [1.0, float("nan")]}, {})
    assert load_record(path, {}) == {"x": [1.0, None]}
    assert os.listdir(tmp_path) == ["record.json"]
    for text in ("", "[]", "3", '{"data": {}}', path.read_text()[:-9]):
        path.write_text(text)
        assert load_record(path, {}) is None
    assert load_record(tmp_path / "nothing.json", {}) is None


SCHEMA = {"schema_version", "study", "config", "command", "versions", "machine", "complete", "rows"}


def test_json_is_the_results_of_any_study(tmp_path: Path):
    words = ("benchmark", "degradations", "--quick", "-o", tmp_path / "out", "--quiet", "--json")
    first = done(*words)
    assert first.json.keys() == SCHEMA
    assert first.json["study"] == "degradations"
    assert first.json["config"]["size"] == 32
    assert first.json["config"]["clips"] == {"ripples": "example:ripples"}
    assert [row["clip"] for row in first.json["rows"]] == ["ripples"]
    assert str(tmp_path) not in first.out
    assert first.err == ""
    assert done(*words).json == first.json  # seconds among them: nothing is made again
    assert json.loads((tmp_path / "out" / RESULTS).read_text()) == first.json


@pytest.mark.parametrize("name", catalogue.STUDIES)
def test_every_study_is_found_and_has_cells_of_their_own(name: str):
    kind = catalogue.find(name)
    assert kind.name == name
    words = {"clips": CLIPS} if "clips" in kind.__dataclass_fields__ else {}  # type: ignore[attr-defined]
    quick = {key: value for key, value in quick_of(kind).items() if key != "clips"}
    try:
        study = kind(**(quick | words))
    except MissingDependencyError:
        pytest.skip("scikit-learn is not installed")
    cells = list(study.cells())
    assert len({cell.path for cell in cells}) == len(cells) > 0
    assert len({repr(cell.about) for cell in cells}) == len(cells)
    assert [Settings.of(cell.settings) for cell in cells] == [Settings.of(cell.settings) for cell in study.cells()]
    if words:  # other content makes other settings, where a clip matters
        others = kind(**(quick | {"clips": tuple(replace(clip, sha256="other") for clip in CLIPS)}))
        changed = [
            not Settings.of(a.settings).agree(Settings.of(b.settings))
            for a, b in zip(cells, others.cells(), strict=True)
            if "clip" in a.about
        ]
        assert all(changed)
