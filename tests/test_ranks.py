"""One training on two processes: what one process gives, whoever dies, and one line where they differ."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import done, dyntex
from safetensors.torch import load_file
from torch import Tensor

from dyntex.coopnets.config import to_json
from dyntex.coopnets.presets import PRESETS
from dyntex.coopnets.ranks import ALONE, Ranks
from dyntex.networks.layers import ShiftNorm

SOURCE = ("train", "example:flame", "--clip-frames", "24", "--sketch", "edges")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node")


def train_on(
    count: int, *words: object, program: tuple[str, ...] = ("-m", "dyntex")
) -> subprocess.CompletedProcess[str]:
    """``torchrun --nproc-per-node COUNT -m dyntex words...``"""
    command = [*TORCHRUN, str(count), "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", *program]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *map(str, words)], env=env, capture_output=True, text=True, timeout=240, check=False
    )


def said(stderr: str) -> list[str]:
    """What dyntex said, among torchrun's own words."""
    return [line for line in stderr.splitlines() if line.startswith("dyntex:")]


def state(run: Path) -> dict[str, Tensor]:
    (file,) = (run / "checkpoints").glob("*.safetensors")
    return load_file(file)


def metrics(run: Path) -> list[dict[str, float]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "seconds"} for line in lines]


def config(tmp_path: Path) -> Path:
    """A training in which every line of algorithm 1 does something: chains, replay, G1, conditions, batch norms."""
    preset = PRESETS["video-set"]
    # Its last layer begins with zeros, and a leaky unit that is active wherever it looks adds the same to f(y_obs) and
    # f(y_rev): gradients that are rounding errors, of which Adam makes whole steps. Here it has neither.
    head = preset.descriptor.heads[0]
    layers = tuple(replace(layer, activation="silu") for layer in head.layers[:-1])
    descriptor = replace(preset.descriptor, heads=(replace(head, layers=(*layers, head.layers[-1])),), init_std=0.05)
    small = preset.replaced(
        descriptor=descriptor, size=16, window=16, data_noise=0.02, ema=0.9, regression_weight=0.5, iterations=3,
        n_chains=4, n_steps=3, n_steps_z=2, step_z=0.01, capacity=6, reuse=0.5,
    )  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(to_json(small)))
    return path


# A batch norm takes away the bias before it, whose gradient is such an error, too.
ADRIFT = re.compile(r"(generator|average)\.layers\.[012]\.bias")


def assert_close(one: Path, other: Path) -> None:
    """Two runs are one training to rounding: their metrics, and all that a checkpoint holds."""
    for a, b in zip(metrics(one), metrics(other), strict=True):
        assert b == pytest.approx(a, rel=1e-3, abs=1e-5)
    ours, theirs = state(one), state(other)
    assert ours.keys() == theirs.keys()
    assert torch.equal(ours["rng"], theirs["rng"])
    for key, value in ours.items():
        if key != "rng" and not ADRIFT.fullmatch(key):
            scale = max(1e-4, float(value.double().abs().max()))
            assert float((value.double() - theirs[key].double()).abs().max()) < 2e-3 * scale, key


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training on one process, every line of which does something."""
    folder = tmp_path_factory.mktemp("one")
    done(*SOURCE, "--config", config(folder), "--seed", "3", "-o", folder / "model", "--quiet")
    return folder


def test_two_ranks_are_one_process_to_rounding(one: Path, tmp_path: Path):
    ended = train_on(2, *SOURCE, "--config", one / "config.json", "--seed", "3", "-o", tmp_path / "model", "--json")
    assert ended.returncode == 0, ended.stderr
    assert len(ended.stdout.splitlines()) == 1  # the first rank alone speaks
    facts = json.loads(ended.stdout)
    assert (facts["iterations"], facts["output"]) == (3, str(tmp_path / "model"))
    assert ended.stderr.count("training preset") == 1
    assert_close(one / "model.run", tmp_path / "model.run")
    assert len(metrics(one / "model.run")) == 3
    ours, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (one, tmp_path))
    assert ours.keys() == theirs.keys()
    assert (tmp_path / "model.run" / "result.json").is_file()


DIES = """
import os, signal, sys
from dyntex.cli import main
from dyntex.coopnets import watchdog
from dyntex.experiment import run

run.SAVE_SHARE = 1e9  # saves after every iteration
real = watchdog.train

def train(*words, **named):
    for info in real(*words, **named):
        if info.iteration == 3 and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        yield info

watchdog.train = train
main()
"""


@pytest.mark.parametrize("count", [1, 4])
def test_a_rank_that_dies_ends_all_and_any_number_of_ranks_goes_on(count: int, one: Path, tmp_path: Path):
    (tmp_path / "dies.py").write_text(DIES)
    words = (*SOURCE, "--config", one / "config.json", "--seed", "3", "-o", tmp_path / "model", "--quiet")
    ended = train_on(2, *words, "--checkpoint-every", "0.000001", program=(str(tmp_path / "dies.py"),))
    assert ended.returncode != 0
    assert said(ended.stderr) == [
        "dyntex: another rank of the training ended: what it said is above, the last checkpoint is kept, and the same "
        "command with --resume goes on from it, also with another number of ranks"
    ]
    assert not (tmp_path / "model").exists()
    assert int(state(tmp_path / "model.run")["iteration"]) == 2
    if count == 1:
        done(*words, "--resume")
    else:
        resumed = train_on(count, *words, "--resume")
        assert resumed.returncode == 0, resumed.stderr
    assert_close(one / "model.run", tmp_path / "model.run")


def test_a_signal_saves_the_training_once_and_says_so_once(tmp_path: Path):
    words = (*SOURCE[:4], "--size", "16", "--iterations", "100000", "-o", tmp_path / "model", "--quiet")
    command = [*TORCHRUN, "2", "--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "-m", "dyntex"]
    log = tmp_path / "model.run" / "metrics.jsonl"
    with subprocess.Popen([*command, *map(str, words)], stderr=subprocess.PIPE, text=True) as running:
        patience = time.monotonic() + 120
        while not (log.exists() and log.read_text().count("\n") > 2) and time.monotonic() < patience:
            time.sleep(0.1)
        running.terminate()
        _, stderr = running.communicate(timeout=120)
    (line,) = said(stderr)
    last = metrics(tmp_path / "model.run")[-1]["iteration"]
    assert line.startswith(f"dyntex: stopped after iteration {last}; the training is saved in")
    assert int(state(tmp_path / "model.run")["iteration"]) == last > 2


DIFFERS = """
import os, sys
from dyntex.cli import main
if os.environ["RANK"] == "1":
    sys.argv[sys.argv.index("--seed") + 1] = "4"
main()
"""


def test_a_rank_that_differs_is_named_in_one_line(tmp_path: Path):
    (tmp_path / "differs.py").write_text(DIFFERS)
    words = (*SOURCE, "--size", "16", "--iterations", "2", "--seed", "3", "-o", tmp_path / "model", "--quiet")
    ended = train_on(2, *words, program=(str(tmp_path / "differs.py"),))
    assert ended.returncode != 0
    line = "dyntex: rank 1 has another seed than rank 0, which has 3: start all ranks with the same command"
    assert said(ended.stderr) == [line]
    assert "exitcode  : 2" in ended.stderr
    assert not (tmp_path / "model.run").exists()


def test_ranks_that_do_not_divide_the_chains_are_refused_in_one_line(tmp_path: Path):
    words = (*SOURCE[:4], "--size", "16", "--iterations", "2", "-o", tmp_path / "model", "--quiet")
    ended = train_on(3, *words)
    assert said(ended.stderr) == [
        "dyntex: 2 chains cannot be shared equally by 3 ranks: choose an --nproc-per-node that divides their number, "
        "or another n_chains in a --config"
    ]
    assert not (tmp_path / "model.run").exists()


def test_what_the_first_rank_refuses_it_says_alone(tmp_path: Path):
    (tmp_path / "model").write_text("a file")
    ended = train_on(2, *SOURCE, "--iterations", "2", "-o", tmp_path / "model", "--quiet")
    assert said(ended.stderr) == [
        f"dyntex: the model cannot be saved to {tmp_path / 'model'}, which is a file: name a folder"
    ]


@pytest.mark.parametrize("command", ["synthesize", "sample"])
def test_torchrun_is_for_training(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    ended = dyntex(command, "example:flame", "-o", tmp_path / "out.mp4")
    assert ended.code == 2
    reason = f"torchrun shares a training between processes, and {command} is none: use `dyntex train`"
    assert ended.err.splitlines() == [f"dyntex: {reason}"]
    assert list(tmp_path.iterdir()) == []


def test_alone_nothing_is_shared():
    x = torch.arange(12.0).view(4, 3)
    for same in (ALONE.mine(x), ALONE.whole(x), ALONE.mean(x)):
        assert same is x
    assert (ALONE.first(0.5), ALONE.any(True), ALONE.any(False)) == (0.5, True, False)
    rng, again = (torch.Generator().manual_seed(1) for _ in range(2))
    assert torch.equal(ALONE.normal(x, rng), torch.randn((4, 3), generator=again))


@pytest.mark.parametrize("count", [2, 4])
def test_the_ranks_noise_together_is_that_of_one_process(count: int):
    y = torch.zeros(4, 3, 5)
    drawn = [Ranks(rank, count).normal(y[: 4 // count], torch.Generator().manual_seed(1)) for rank in range(count)]
    assert torch.equal(torch.cat(drawn), torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.cat([Ranks(rank, count).mine(torch.arange(8)) for rank in range(count)]), torch.arange(8))
    assert all(torch.equal(Ranks(rank, count).mine(y[:1]), y[:1]) for rank in range(count))


class Twins:
    """Two ranks with the same batch, whose mean of anything is what each has."""

    count = 2

    def mean(self, x: Tensor) -> Tensor:
        return x


def test_batch_statistics_over_ranks_are_those_of_the_whole_batch():
    half = torch.randn((2, 5, 3, 4, 4), generator=torch.Generator().manual_seed(0)) * 3 + 1
    usual, shared = ShiftNorm(5), ShiftNorm(5)
    shared.shared = Twins()
    whole = usual(torch.cat((half, half)))
    torch.testing.assert_close(shared(half), whole[:2], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(shared.running_mean, usual.running_mean)
    torch.testing.assert_close(shared.running_var, usual.running_var)  # unbiased, of the whole's size
    torch.testing.assert_close(shared.eval()(half), usual.eval()(half))
