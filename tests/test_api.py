"""``import dyntex``: the public names, imported when used; each does what the command of its name does."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import TINY, done

import dyntex
from dyntex import Clip, CoopNets, InputError, UsageError
from dyntex.coopnets.record import StepInfo
from dyntex.examples import make
from dyntex.experiment.progress import Silent
from dyntex.experiment.training import FitOptions, fit

ROOT = Path(__file__).parents[1]
SIZE = {"size": 16, "clip_frames": 16, "iterations": 2}
"""The same training as TINY is."""


@pytest.fixture(scope="module")
def clip() -> Clip:
    return make("flame", size=16, n_frames=16, seed=3)


# The names


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_importing_the_package_and_listing_its_names_imports_nothing_slow():
    code = "import dyntex, sys; print(len(dir(dyntex)), {'torch', 'numpy', 'av', 'typer'} & set(sys.modules))"
    n, *imported = python(code).split(" ", 1)
    assert imported == ["set()\n"]
    assert int(n) > len(dyntex.__all__)


def test_every_public_name_is_there_and_is_the_one_that_type_checkers_see():
    """The table of homes, the imports for type checkers and __all__ are three lists of the same."""
    tree = ast.parse((ROOT / "dyntex" / "__init__.py").read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in checked.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.name: node.module for node in imports for alias in node.names}
    assert seen == dyntex._MODULE_OF
    assert sorted(seen) == sorted(dyntex.__all__)
    for name, module in seen.items():
        assert getattr(dyntex, name) is getattr(sys.modules[str(module)], name)
    assert set(dyntex.__all__) <= set(dir(dyntex))


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'dyntex' has no attribute 'fitt'"):
        dyntex.fitt  # noqa: B018
    assert not hasattr(dyntex, "_secret")


USER = """
from typing import assert_type
import dyntex
model = dyntex.fit("example:flame", iterations=2)
assert_type(model, dyntex.CoopNets)
assert_type(dyntex.fit("example:flame", method="lds"), dyntex.Method)
assert_type(dyntex.read_clip("a.mp4"), dyntex.Clip)
assert_type(dyntex.synthesize("a.mp4", loop=True).facts["frames"], object)  # error: it is Any
dyntex.fit("example:flame", iteration=2)  # error: no such keyword
"""


@pytest.mark.slow
def test_strict_type_checkers_see_the_names(tmp_path: Path):
    (tmp_path / "user.py").write_text(USER)
    words = [sys.executable, "-m", "mypy", "--strict", "--config-file", "/dev/null", "--ignore-missing-imports"]
    cache = ["--cache-dir", str(ROOT / ".mypy_cache")]
    run = subprocess.run([*words, *cache, "user.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = [int(line) for line in re.findall(r"user\.py:(\d+): error", run.stdout)]
    assert sorted(set(lines)) == [8, 9], run.stdout


def test_type_checkers_know_every_keyword_of_fit():
    names = set(fit.__kwdefaults__ or {}) - {"method"}
    assert set(FitOptions.__annotations__) == names


def test_the_page_of_the_api_is_up_to_date(monkeypatch: pytest.MonkeyPatch):
    """Else: make docs."""
    pytest.importorskip("griffe2md")
    monkeypatch.chdir(ROOT)
    page = python("import runpy; print(runpy.run_path('docs/make_api.py')['api'](), end='')")
    assert page == (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^### `(\w+)`$", page, flags=re.MULTILINE))
    assert documented == set(dyntex.__all__)


# fit


def weights(model: CoopNets) -> dict[str, torch.Tensor]:
    return {f"des.{key}": value for key, value in model.des.state_dict().items()} | {
        f"gen.{key}": value for key, value in model.gen.state_dict().items()
    }


def assert_same(a: CoopNets, b: CoopNets) -> None:
    assert weights(a).keys() == weights(b).keys()
    assert all(torch.equal(value, weights(b)[key]) for key, value in weights(a).items())


def test_fit_train_and_the_class_are_one_training(clip: Clip, tmp_path: Path):
    model = dyntex.fit("example:flame", seed=4, **SIZE)  # type: ignore[call-overload]
    trained = dyntex.train("example:flame", tmp_path / "model", seed=4, **SIZE)
    done("train", "example:flame", "-o", tmp_path / "by-command", *TINY, "--seed", 4)
    assert_same(model, CoopNets.load(tmp_path / "by-command"))
    assert_same(model, CoopNets.load(tmp_path / "model"))
    assert isinstance(trained.model, CoopNets)
    assert_same(model, trained.model)
    assert trained.facts["iterations"] == model.iterations == 2
    config = dyntex.PRESETS["fast"].replaced(iterations=2)
    in_memory = dyntex.fit(clip, config=config, seed=4)
    assert_same(in_memory, CoopNets.fit(clip, config, rng=dyntex.generator(4, "train")))
    assert not all(torch.equal(value, weights(model)[key]) for key, value in weights(in_memory).items())


def test_fit_reads_a_part_of_a_clip(clip: Clip):
    whole = make("flame", size=16, n_frames=24, seed=3)
    assert_same(dyntex.fit(whole, clip_frames=16, iterations=1), dyntex.fit(whole.segment(0, 16), iterations=1))
    assert_same(dyntex.fit(whole, start=8, iterations=1), dyntex.fit(whole.segment(8, 16), iterations=1))
    with pytest.raises(InputError, match=r"frames of 16x16, not 32x32: read it with read_clip\(\.\.\., size="):
        dyntex.fit(whole, size=32)
    with pytest.raises(InputError, match="frames 10 to 26 were asked"):
        dyntex.fit(whole, start=10, clip_frames=16)


class Heard(Silent):
    """Progress that remembers."""

    def __init__(self) -> None:
        self.shares: list[float] = []
        self.sentences: list[str] = []

    def say(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def training(self, info: StepInfo, share: float) -> None:
        self.shares.append(share)


def test_a_budget_ends_a_fit(clip: Clip):
    heard = Heard()
    model = dyntex.fit(clip, budget=1.5, progress=heard)
    assert model.iterations == len(heard.shares) > 0
    assert heard.shares == sorted(heard.shares)
    assert heard.shares[-1] == 1.0  # the iteration that crossed the end
    assert dyntex.fit(clip, budget=1e-9).iterations == 0
    with pytest.raises(UsageError, match="use only one of --iterations 3 and --budget 5"):
        dyntex.fit(clip, iterations=3, budget=5.0)


def test_fit_stops_when_asked(clip: Clip):
    class Stops(Heard):
        def interruptible(self) -> Any:
            from contextlib import nullcontext

            return nullcontext(lambda: len(self.shares) == 2)

    with pytest.raises(dyntex.StoppedError, match="stopped after iteration 2"):
        dyntex.fit(clip, progress=Stops())


# segments trains for half a minute even on the smallest clip: tests/test_segments_command.py has shorter trainings.
@pytest.mark.parametrize("name", sorted(set(dyntex.METHODS) - {"coop", "segments"}))
def test_fit_takes_every_method(name: str):
    clip = make("ripples", size=16, n_frames=24, seed=1)
    fitted = dyntex.fit(clip, method=name, seed=5)
    rng = dyntex.generator(5, "train")
    direct = dyntex.METHODS[name].fit(clip, rng=rng)
    one, other = (m.synthesize(9, rng=dyntex.generator(1, "synthesize")) for m in (fitted, direct))
    assert torch.equal(one.video, other.video)
    with pytest.raises(UsageError, match=f"--method {name} takes none of .*: leave them out"):
        dyntex.fit(clip, method=name, iterations=3)
    with pytest.raises(UsageError, match=f"--method {name} takes neither budget nor quality"):
        dyntex.fit(clip, method=name, budget=30)
    with pytest.raises(UsageError, match="a set of clips"):
        dyntex.fit([clip, clip], method=name)


def test_an_unknown_method_is_refused(clip: Clip):
    with pytest.raises(UsageError, match="there is no method 'lsd'; did you mean 'lds'"):
        dyntex.fit(clip, method="lsd")


def test_a_set_with_labels_is_fitted_and_asked_for(tmp_path: Path):
    from dyntex.media import write_png

    for i, label in enumerate(("fire", "water")):
        (tmp_path / "set" / label).mkdir(parents=True)
        write_png(tmp_path / "set" / label / "a.png", np.full((16, 16, 3), 40 + 150 * i, np.uint8))
    model = dyntex.fit(tmp_path / "set", labels="folders", size=16, iterations=1)
    assert model.condition_channels == 2
    water = dyntex.condition_for(model, n_frames=1, label="water")
    assert water is not None
    assert water.flatten(2).mean(2).tolist() == [[0.0, 1.0]]
    with pytest.raises(UsageError, match="trained with labels, and got no condition"):
        dyntex.condition_for(model, n_frames=1)
    made = model.synthesize(1, rng=dyntex.generator(3, "synthesize"), cond=water)
    result = dyntex.sample(model, tmp_path / "a.npy", label="water", seed=3)
    assert result.clip is not None
    assert torch.equal(made.video, result.clip.video)


# synthesize, sample, recover, describe, score


def test_synthesize_does_what_the_command_does(tmp_path: Path):
    by_command = done("synthesize", "example:flame", "-o", tmp_path / "a.npy", *TINY, "--seed", 6, "--loop", "--json")
    result = dyntex.synthesize("example:flame", tmp_path / "b.npy", seed=6, loop=True, **SIZE)  # type: ignore[arg-type]
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()
    told = by_command.json
    assert result.facts.keys() == told.keys()
    for key in ("frames", "fps", "height", "width", "preset", "iterations", "seed", "seam"):
        assert result.facts[key] == told[key], key
    assert result.output == tmp_path / "b.npy"
    assert isinstance(result.model, CoopNets)
    assert result.clip is not None
    np.testing.assert_array_equal(result.clip.to_uint8(), np.load(tmp_path / "b.npy"))
    assert (tmp_path / "b.run" / "report.html").is_file()
    assert json.loads((tmp_path / "b.run" / "result.json").read_text())["seed"] == 6


def test_sample_makes_a_synthesis_again_and_another_seed_does_not(tmp_path: Path):
    made = dyntex.synthesize("example:flame", tmp_path / "a.npy", seed=6, **SIZE)  # type: ignore[arg-type]
    again = dyntex.sample(tmp_path / "a.run" / "model", tmp_path / "b.npy", seed=6)
    # Seeds that differ by one share no stream: not this one's synthesis, and not this one's training.
    others = [dyntex.sample(tmp_path / "a.run" / "model", tmp_path / f"{seed}.npy", seed=seed) for seed in (5, 7)]
    assert made.clip is not None
    assert again.clip is not None
    assert torch.equal(made.clip.video, again.clip.video)
    for other in others:
        assert other.clip is not None
        assert not torch.equal(made.clip.video, other.clip.video)


def test_a_clip_in_memory_is_synthesized_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = make("flame", size=32, n_frames=48, seed=2)
    result = dyntex.synthesize(whole, tmp_path / "a.npy", method="lds", clip_frames=24, score=True)
    assert result.facts["scores"]["result"] > 0.0
    assert result.facts["frames"] == 24
    assert result.clip is not None
    assert dyntex.score(
        dyntex.read_clip(tmp_path / "a.npy"), learnt=whole.segment(0, 24), held_out=whole.segment(24, 24)
    ) == (pytest.approx(result.facts["scores"]["result"], abs=1e-4))
    monkeypatch.chdir(tmp_path)
    assert dyntex.synthesize(whole, method="lds", clip_frames=16).output == Path("clip-synthesis.mp4")


def test_a_score_of_the_clip_itself_is_about_one_and_of_another_texture_is_not():
    whole = make("flame", size=32, n_frames=48, seed=2)
    learnt, rest = whole.segment(0, 24), whole.segment(24, 24)
    assert dyntex.score(learnt, learnt=learnt, held_out=rest) == pytest.approx(1.0, abs=0.4)
    other = make("ripples", size=32, n_frames=24, seed=2)
    assert dyntex.score(other, learnt=learnt, held_out=rest) > 2.0
    with pytest.raises(UsageError, match="23 frames are fewer than its 24"):
        dyntex.score(learnt.segment(0, 23), learnt=learnt, held_out=rest)


def test_recover_fills_a_hole_in_memory_and_by_command_alike(tmp_path: Path):
    clip = make("ripples", size=16, n_frames=12, seed=1)
    missing = torch.zeros(12, 16, 16, dtype=torch.bool)
    missing[:, 4:8, 5:9] = True
    dyntex.write_clip(tmp_path / "a.npy", clip)
    np.save(tmp_path / "mask.npy", missing.numpy())
    read = dyntex.read_clip(tmp_path / "a.npy")
    result = dyntex.recover(read, missing, method="texture", seed=2)
    assert result.output is None
    assert result.clip is not None
    assert torch.equal(result.clip.video[:, ~missing], read.video[:, ~missing])
    assert not torch.equal(result.clip.video, read.video)
    done("recover", tmp_path / "a.npy", "--mask", tmp_path / "mask.npy", "--method", "texture", "--seed", 2,
         "-o", tmp_path / "b.npy")  # fmt: skip
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), result.clip.to_uint8())


def test_describe_is_what_info_prints(tmp_path: Path):
    dyntex.write_clip(tmp_path / "a.npy", make("ripples", size=16, n_frames=12, seed=1))
    told = done("info", tmp_path / "a.npy", "--no-measure", "--json").json
    assert json.loads(json.dumps(dyntex.describe(tmp_path / "a.npy", measure=False))) == told
    assert told["n_frames"] == 12


# README


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On a smaller and shorter clip, for fewer seconds and seeds: what is replaced has to be there."""
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    for words, shorter in (
        ("size=128, n_frames=128", "size=32, n_frames=48"),
        ("clip.segment(0, 64), clip.segment(64, 64)", "clip.segment(0, 24), clip.segment(24, 24)"),
        ("budget=60", "budget=2"),
        ("range(3)", "range(1)"),
    ):
        assert words in block
        block = block.replace(words, shorter)
    monkeypatch.chdir(tmp_path)
    dyntex.write_clip("fire.mp4", make("flame", size=32, n_frames=48, seed=0))
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert {"new_fire.mp4", "loop.gif", "fire.model"} <= {path.name for path in tmp_path.iterdir()}
    assert dyntex.read_clip("loop.gif").n_frames == 64
    assert names["new"].fps == Fraction(25)
