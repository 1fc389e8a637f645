"""A training that was killed, stopped or rolled back, and resumed, is bit for bit the one that never was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import safetensors.torch
import torch
from commands import done, dyntex
from test_run import CONFIG, assert_same, clip, journal, runaway

from dyntex.cli.console import ConsoleProgress
from dyntex.clip import Clip
from dyntex.coopnets.watchdog import SHRINK
from dyntex.errors import StoppedError
from dyntex.experiment import run as run_module
from dyntex.experiment.run import Run

__all__ = ["clip"]  # a fixture

N = 12
WORDS = ("train", "example:ripples", "--size", "16", "--clip-frames", "16", "--iterations", str(N), "--seed", "7", "-q")

# Deaths that a shell cannot time: each in a process of its own, which kills itself at the worst moment.
DEATHS = {
    "after the journal's line, before its checkpoint": """
import dyntex.coopnets.checkpoint as module
save = module.Checkpoints.save
def die(self, iteration, state):
    if iteration >= 5:
        os.kill(os.getpid(), signal.SIGKILL)
    save(self, iteration, state)
module.Checkpoints.save = die
""",
    "in the middle of saving": """
import safetensors.torch as module
save, calls = module.save_file, []
def die(tensors, path):
    calls.append(path)
    if len(calls) > 5:
        path.write_bytes(bytes(1000))
        os.kill(os.getpid(), signal.SIGKILL)
    save(tensors, path)
module.save_file = die
""",
}
# Every iteration is saved, so that the kill finds a checkpoint of the middle of the run.
START = "import os, signal, sys\nimport dyntex.experiment.run\ndyntex.experiment.run.SAVE_SHARE = float('inf')\n"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model and the run of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    done(*WORDS, "-o", folder / "m")
    return folder


def process(out: Path, before: str = "") -> subprocess.Popen[bytes]:
    code = START + before + "from dyntex.cli import main\nmain()\n"
    words = [sys.executable, "-c", code, *WORDS, "-o", str(out), "--checkpoint-every", "1e-9"]
    # As many threads as here: sums in another order round otherwise.
    env = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def assert_resumes(folder: Path, undisturbed: Path) -> None:
    """Resume ``folder/m.run``; the model's tensors and the journal are those of the undisturbed training."""
    assert not (folder / "m").exists()
    done(*WORDS, "-o", folder / "m", "--resume")
    resumed, expected = (
        safetensors.torch.load_file(place / "m" / "model.safetensors") for place in (folder, undisturbed)
    )
    assert resumed.keys() == expected.keys()
    for key, value in expected.items():
        assert torch.equal(resumed[key].view(torch.uint8), value.view(torch.uint8)), key
    lines, wanted = journal(folder / "m.run"), journal(undisturbed / "m.run")
    assert [line["iteration"] for line in lines] == list(range(1, N + 1))
    for line, want in zip(lines, wanted, strict=True):
        assert line | {"seconds": 0} == want | {"seconds": 0}
    assert len(list((folder / "m.run" / "checkpoints").iterdir())) == 1  # nothing half-written is left


def last_saved(run: Path) -> int:
    return max((int(path.stem) for path in run.glob("checkpoints/[0-9]*.safetensors")), default=-1)


def test_killed_from_outside(undisturbed: Path, tmp_path: Path) -> None:
    child = process(tmp_path / "m")
    try:
        deadline = time.monotonic() + 60
        while last_saved(tmp_path / "m.run") < 3 and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
    finally:
        child.kill()
        _, err = child.communicate()
    assert child.returncode == -signal.SIGKILL, err
    assert 3 <= last_saved(tmp_path / "m.run") < N
    assert_resumes(tmp_path, undisturbed)


@pytest.mark.parametrize("death", DEATHS)
def test_killed_at_the_worst_moment(death: str, undisturbed: Path, tmp_path: Path) -> None:
    child = process(tmp_path / "m", DEATHS[death])
    _, err = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, err
    assert last_saved(tmp_path / "m.run") == 4
    assert_resumes(tmp_path, undisturbed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_politely(
    number: signal.Signals, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def training(self: ConsoleProgress, info: object, share: float) -> None:
        told.append(info.iteration)  # type: ignore[attr-defined]
        if len(told) == 3:
            signal.raise_signal(number)

    with monkeypatch.context() as patch:
        patch.setattr(ConsoleProgress, "training", training)
        outcome = dyntex(*WORDS, "-o", tmp_path / "m")
    assert outcome.code == 130
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert "stopped after iteration 3" in outcome.err
    assert "--resume" in outcome.err
    assert told == [1, 2, 3]
    assert last_saved(tmp_path / "m.run") == 3
    assert_resumes(tmp_path, undisturbed)


def test_a_checkpoint_cut_short_or_of_another_preset(undisturbed: Path, tmp_path: Path) -> None:
    command = ("train", "example:ripples", "--size", 16, "--clip-frames", 16, "--iterations", 2, "-q")
    done(*command, "-o", tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").rename(tmp_path / "kept")
    (tmp_path / "m" / "config.json").unlink()
    (file,) = (tmp_path / "m.run" / "checkpoints").iterdir()
    whole = file.read_bytes()

    file.write_bytes(whole[:-100])
    cut = dyntex(*command, "-o", tmp_path / "m", "--resume")
    assert (cut.code, cut.err.count("\n")) == (3, 1)
    assert file.name in cut.err
    assert "cut short" in cut.err

    # The tensors of another training in this one's place, as after a mistaken copy.
    tensors = safetensors.torch.load(whole)
    key = next(key for key in tensors if key.startswith("descriptor.") and tensors[key].ndim > 1)
    tensors[key] = tensors[key][1:].clone()
    safetensors.torch.save_file(tensors, file)
    other = dyntex(*command, "-o", tmp_path / "m", "--resume")
    assert (other.code, other.err.count("\n")) == (3, 1)
    assert key in other.err

    file.write_bytes(whole)
    preset = dyntex(
        "train", "example:ripples", "--preset", "paper-fc64", "-o", tmp_path / "m", "--iterations", 2, "--resume", "-q"
    )
    assert (preset.code, preset.err.count("\n")) == (2, 1)
    assert "'fast'" in preset.err
    assert "'paper-fc64'" in preset.err
    assert file.read_bytes() == whole
    done(*command, "-o", tmp_path / "m", "--resume")
    assert (tmp_path / "m" / "model.safetensors").read_bytes() == (tmp_path / "kept").read_bytes()


@pytest.mark.parametrize("at", range(1, 9))
def test_everything_that_has_a_state_is_saved(at: int, clip: Clip, tmp_path: Path) -> None:
    """Replayed chains, inferred z, batch statistics, the average and the falling rates, stopped at every iteration."""
    expected = Run(tmp_path / "a", CONFIG).train(clip)
    left = iter(range(at, 0, -1))
    with pytest.raises(StoppedError):
        Run(tmp_path / "b", CONFIG, stop=lambda: next(left) == 1).train(clip)
    assert_same(Run(tmp_path / "b", CONFIG, resume=True).train(clip), expected)
    assert [line["iteration"] for line in journal(tmp_path / "b")] == list(range(1, 9))


def test_resumed_after_a_rollback(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watchdog barks once at iteration 5, back to 4 at half the step; then one of two trainings is stopped at 6."""
    monkeypatch.setattr(run_module, "SAVE_SHARE", float("inf"))
    with monkeypatch.context() as patch:
        runaway(patch, at=5, times=1)
        expected = Run(tmp_path / "a", CONFIG, save_every=0.0).train(clip)
    with monkeypatch.context() as patch:
        runaway(patch, at=5, times=1)
        run = Run(tmp_path / "b", CONFIG, save_every=0.0)
        run.stop = lambda: int(run.checkpoints.load()["iteration"]) == 5  # asked before iteration 6 is saved
        with pytest.raises(StoppedError, match="iteration 6"):
            run.train(clip)
    assert float(run.checkpoints.load()["step_scale"]) == SHRINK
    assert_same(Run(tmp_path / "b", CONFIG, resume=True).train(clip), expected)
    assert [line["iteration"] for line in journal(tmp_path / "b")] == list(range(1, 9))
    plain = Run(tmp_path / "c", CONFIG).train(clip)
    with pytest.raises(AssertionError):
        assert_same(plain, expected)


def test_a_finished_run_resumed_trains_no_more(clip: Clip, tmp_path: Path) -> None:
    expected = Run(tmp_path / "run", CONFIG).train(clip)
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    assert_same(Run(tmp_path / "run", CONFIG, resume=True).train(clip), expected)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before
    assert json.loads(before.splitlines()[-1])["iteration"] == 8
