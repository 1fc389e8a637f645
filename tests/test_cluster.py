"""Studies on the workers of Dask: what a serial run gives, whatever dies, and one line where it cannot begin."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from commands import done, dyntex
from test_study import CLIPS, Powers, timeless

from dyntex.benchmarks import cluster
from dyntex.benchmarks.cluster import Job, on_workers, unfit, versions
from dyntex.benchmarks.study import PAGE, RESULTS, Cell, Results, Row, run
from dyntex.media import read_clip

distributed = pytest.importorskip("distributed", reason="the extra cluster is not installed")


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=":0") as here:
        yield here.scheduler_address


def run_on(scheduler: str, study: Powers, out: Path) -> Results:
    with on_workers(scheduler) as (rows, _):
        return run(study, out, command="RUN", rows=rows)


def die_once(cell: Cell, out: Path) -> None:
    """The first process that makes this cell is killed in the middle of it, as for lack of memory."""
    if cell.path == "3/a/1" and not (out / "died").exists():
        (out / "died").write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    with (out / "made.txt").open("a") as log:
        log.write(f"{cell.path} {os.getpid()}\n")


def test_a_worker_that_is_killed_changes_nothing(scheduler: str, tmp_path: Path):
    serial = run(Powers(CLIPS), tmp_path / "serial", command="RUN")
    study = Powers(CLIPS, on_make=die_once)
    parallel = run_on(scheduler, study, tmp_path / "parallel")
    assert (tmp_path / "parallel" / "died").exists()
    assert timeless(parallel) == timeless(serial)
    assert (tmp_path / "parallel" / PAGE).read_bytes() == (tmp_path / "serial" / PAGE).read_bytes()
    log = [line.rsplit(" ", 1) for line in (tmp_path / "parallel" / "made.txt").read_text().splitlines()]
    # Every row was made once, also 2/a/1, which the killed worker had finished; not here; and a group by one process.
    assert sorted(path for path, _ in log) == sorted(cell.path for cell in study.cells())
    process = dict(log)
    assert str(os.getpid()) not in process.values()
    assert study.made == []
    assert len(set(process.values())) > 1
    assert all(process[f"2/{name}"] == process[f"3/{name}"] for name in ("a/0", "a/2", "b c/0", "b c/1", "b c/2"))
    assert not [path for path in (tmp_path / "parallel").iterdir() if path.name.startswith(".")]
    # A finished folder asks nothing of the workers.
    assert run_on(scheduler, study, tmp_path / "parallel") == parallel
    assert len((tmp_path / "parallel" / "made.txt").read_text().splitlines()) == len(log)


def trouble(cell: Cell, out: Path) -> None:
    if cell.path == "2/a/0":
        raise RuntimeError("singular matrix")
    if cell.path == "3/a/1":
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
def test_what_kills_every_worker_is_a_row_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cluster, "DEATHS", 1)
    told: list[Row] = []
    with on_workers("local:1") as (rows, _):
        study = Powers(CLIPS[:1], on_make=trouble)
        results = run(study, tmp_path / "out", rows=rows, on_row=lambda row, done, total: told.append(row))
    reasons = {(row["part"], row["seed"]): row["reason"] for row in results["rows"] if row["status"] == "failed"}
    assert reasons == {
        (2, 0): "RuntimeError: singular matrix",
        (3, 1): "2 workers died of it, which lack of memory may explain",
    }
    assert [row["value"] for row in results["rows"] if row["status"] == "ok"] == [0, 1, 4, 8]
    assert len(told) == 6
    assert run(Powers(CLIPS[:1]), tmp_path / "out")["complete"]  # tried again


class Timed(Powers):
    """Of which the cubes are timed."""

    def cells(self) -> Iterator[Cell]:
        for cell in super().cells():
            yield replace(cell, group=cell.path, is_timed=cell.about["part"] == 3)


def log_times(cell: Cell, out: Path) -> None:
    """Cells 0 and 1 wait for each other unless they are timed, which ends well if two workers make them together."""
    began = time.time()
    (out / f"{cell.path.replace('/', '-')}.begun").touch()
    other = out / f"2-a-{1 - cell.about['seed']}.begun"
    while not cell.is_timed and cell.about["seed"] < 2 and not other.exists():
        assert time.time() < began + 60, "alone"
        time.sleep(0.05)
    time.sleep(0.2)
    with (out / "times.txt").open("a") as log:
        log.write(f"{cell.is_timed} {began} {time.time()}\n")


def test_a_cell_whose_time_is_measured_is_alone(scheduler: str, tmp_path: Path):
    with distributed.Client(scheduler) as client:
        client.wait_for_workers(2)
    results = run_on(scheduler, Timed(CLIPS[:1], on_make=log_times), tmp_path / "out")
    assert {row["status"] for row in results["rows"]} == {"ok"}
    lines = [line.split() for line in (tmp_path / "out" / "times.txt").read_text().splitlines()]
    spans = sorted((float(began), float(ended), timed == "True") for timed, began, ended in lines)
    assert [timed for *_, timed in spans] == [False] * 3 + [True] * 3
    ends = [max(ended for _, ended, _ in spans[:i]) for i in range(3, 6)]
    assert all(began >= end for (began, *_), end in zip(spans[3:], ends, strict=True))


@pytest.mark.parametrize("method", ["lds", pytest.param("fast", marks=pytest.mark.slow)])
def test_the_command_makes_the_numbers_and_the_frames_of_a_serial_run(method: str, tmp_path: Path):
    words = ("benchmark", "statistics", "--clips", "example:ripples", "--methods", method, "--quick", "--json")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a worker's
    try:
        serial = done(*words, "-o", tmp_path / "serial").json
    finally:
        torch.set_num_threads(threads)
    ended = done(*words, "-o", tmp_path / "parallel", "--scheduler", "local:2")
    assert ended.err.startswith("dashboard: http://127.0.0.1:")
    own = ("seconds", "fit_seconds")
    rows = [[{k: v for k, v in row.items() if k not in own} for row in it["rows"]] for it in (serial, ended.json)]
    assert rows[0] == rows[1]
    assert {row["method"] for row in rows[0]} > {method}
    assert ended.json["complete"]
    assert json.loads((tmp_path / "parallel" / RESULTS).read_text()) == ended.json
    videos = sorted(path.relative_to(tmp_path / "serial") for path in (tmp_path / "serial").rglob("*.mkv"))
    assert len(videos) > 10
    for video in videos:
        frames = [read_clip(tmp_path / which / video).video for which in ("serial", "parallel")]
        assert torch.equal(*frames)
    weights = [sorted((tmp_path / which).rglob("*.safetensors")) for which in ("serial", "parallel")]
    assert len(weights[0]) == (method == "fast")
    assert [path.read_bytes() for path in weights[0]] == [path.read_bytes() for path in weights[1]]


def test_the_dashboard_answers(scheduler: str):
    with on_workers(scheduler) as (_, dashboard), urllib.request.urlopen(dashboard, timeout=30) as page:
        assert page.status == 200
        assert "Dask" in page.read().decode()


WORDS = ("benchmark", "statistics", "--clips", "example:ripples", "--methods", "lds", "--quick", "--scheduler")


@pytest.mark.parametrize("address", ["local:0", "local:two", "local:", "host:8786", "tcp://host", "http://host:80"])
def test_what_is_no_address_is_refused(address: str, tmp_path: Path):
    ended = dyntex(*WORDS, address, "-o", tmp_path / "out")
    assert ended.code == 2
    assert ended.err.splitlines() == [
        f"dyntex: --scheduler {address} is no address: write tcp://HOST:8786, or local:N for N workers here"
    ]
    assert not (tmp_path / "out").exists()


SERVER = "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.SimpleHTTPRequestHandler);"
SERVER += "print(f'tcp://127.0.0.1:{s.server_port}', flush=True); s.serve_forever()"
OLD = """
import asyncio
from distributed import Scheduler
class Old(Scheduler):
    def versions(self):
        found = super().versions()
        found["packages"]["distributed"] = "2021.1.0"
        return found
async def main():
    async with Old(host="127.0.0.1", port=0, dashboard=False) as here:
        print(here.address, flush=True)
        await here.finished()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("", "no scheduler answers at ADDRESS: start one with `dask scheduler`, or give --scheduler local:N"),
        (SERVER, "no scheduler answers at ADDRESS: start one with `dask scheduler`, or give --scheduler local:N"),
        (
            OLD,
            f"the scheduler at ADDRESS has distributed 2021.1.0, this machine {distributed.__version__}: install the "
            "same version on both",
        ),
    ],
    ids=["nothing", "a web server", "another version"],
)
def test_one_line_where_there_is_no_such_scheduler(
    program: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cluster, "PATIENCE", 2 if program != OLD else 30)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as other:
        assert other.stdout is not None
        address = other.stdout.readline().strip() or "tcp://127.0.0.1:9"
        ended = dyntex(*WORDS, address, "-o", tmp_path / "out")
        other.kill()
    assert ended.code == 3
    assert ended.err.splitlines() == ["dyntex: " + message.replace("ADDRESS", address)]
    assert not (tmp_path / "out").exists()


def test_a_worker_that_is_not_fit_is_named(scheduler: str, tmp_path: Path):
    (tmp_path / "token").touch()
    job = Job(tmp_path, tmp_path / "token", tmp_path, versions())
    with distributed.Client(scheduler) as client:
        assert set(client.run(unfit, job).values()) == {""}
        blind = client.run(unfit, replace(job, token=tmp_path / "elsewhere"))
        old = client.run(unfit, replace(job, versions=(("dyntex", "9"), ("torch", "1"))))
    for address, reason in blind.items():
        assert reason == f"the worker {address} does not see {tmp_path}: choose -o in a folder that all machines share"
    assert all("this machine dyntex 9, torch 1: install the same versions on both" in reason for reason in old.values())


def test_a_worker_of_several_threads_ends_the_command_before_any_work(tmp_path: Path):
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, host="127.0.0.1", protocol="tcp", dashboard_address=None
    ) as here:
        ended = dyntex(*WORDS, here.scheduler_address, "-o", tmp_path / "out", "--quiet")
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert "runs 2 tasks in one process: start it with --nthreads 1" in ended.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["config.json"]


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    ended = dyntex(*WORDS, "local:1", "-o", tmp_path / "out")
    assert ended.code == 6
    assert ended.err.splitlines() == [
        "dyntex: --scheduler needs Dask, which is not installed: pip install 'dyntex-coopnets[cluster]'"
    ]
