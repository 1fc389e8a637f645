"""A study's cells on several processes or machines, by Dask distributed: ``--scheduler``.

A task is a group of cells that share a fit. It writes its rows where the serial run does, into the study's folder,
which all workers have to see. So a row is whole or not there, whatever dies, and the folder is that of a serial run.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from dyntex import __version__
from dyntex.benchmarks.study import Cell, Row, Rows, Study, failed, groups_of, one_by_one
from dyntex.errors import InputError, MissingDependencyError, UsageError

if TYPE_CHECKING:
    import distributed

PATIENCE = 10
"""Seconds until a scheduler that does not answer is taken for absent."""
DEATHS = 3
"""Workers that may die of a group of cells, which others then begin again; the next one makes it a failure."""


@contextmanager
def on_workers(scheduler: str) -> Iterator[tuple[Rows, str]]:
    """What makes a study's rows on the workers of a scheduler (for :func:`study.run`), and its dashboard's address.

    Args:
        scheduler: its address, ``tcp://HOST:PORT``; or ``local:N`` for N workers here, which end with the run.

    Raises:
        UsageError: it is neither.
        InputError: there is no scheduler, or one of another version.
        MissingDependencyError: the extra ``cluster`` is not installed.
    """
    local = re.fullmatch(r"local:([1-9]\d{0,3})", scheduler)
    if not local and not re.fullmatch(r"(tcp|tls)://[^/\s]+:\d{1,5}", scheduler):
        raise UsageError(f"--scheduler {scheduler} is no address: write tcp://HOST:8786, or local:N for N workers here")
    try:
        import dask
        import distributed
        from distributed.config import initialize_logging
    except ImportError as error:
        raise MissingDependencyError(
            "--scheduler needs Dask, which is not installed: pip install 'dyntex-coopnets[cluster]'"
        ) from error
    silent = dict.fromkeys(("distributed", "distributed.nanny", "distributed.scheduler", "bokeh"), "critical")
    with (
        dask.config.set({"distributed.logging": silent, "distributed.scheduler.allowed-failures": DEATHS}),
        contextlib.ExitStack() as stack,
    ):
        initialize_logging(dask.config.config)
        where: Any = scheduler
        if local:
            # Each takes one task at a time and computes with one thread: Dask sets OMP_NUM_THREADS for it.
            where = distributed.LocalCluster(
                n_workers=int(local[1]),
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:8787",
            )
            stack.enter_context(where)
        else:
            _check_scheduler(scheduler)
        client = stack.enter_context(distributed.Client(where, timeout=PATIENCE))
        yield _Rows(client), client.dashboard_link


def _check_scheduler(scheduler: str) -> None:
    """Ask a scheduler for its version before a client connects, which would wait for what is none."""
    from distributed.core import rpc
    from distributed.versions import get_versions

    async def ask() -> Any:
        async with rpc(scheduler, timeout=PATIENCE) as there:
            return await there.versions()

    try:
        theirs = asyncio.run(asyncio.wait_for(ask(), PATIENCE))["packages"]
    except (OSError, ValueError) as error:  # also what is no message of Dask
        raise InputError(
            f"no scheduler answers at {scheduler}: start one with `dask scheduler`, or give --scheduler local:N"
        ) from error
    ours = get_versions()["packages"]
    for name in ("distributed", "dask"):
        if theirs[name] != ours[name]:
            raise InputError(
                f"the scheduler at {scheduler} has {name} {theirs[name]}, this machine {ours[name]}: install the same "
                "version on both"
            )


@dataclass(frozen=True)
class Job:
    """What every task of a run has in common.

    Attributes:
        out: the study's folder, absolute.
        token: a file in it, by which a worker sees that its folder is this one.
        home: the folder that relative paths of clips are meant from.
        versions: of the packages on which the numbers depend.
    """

    out: Path
    token: Path
    home: Path
    versions: tuple[tuple[str, str], ...]


def versions() -> tuple[tuple[str, str], ...]:
    """Of the packages on which the numbers depend, in this process."""
    return (("dyntex", __version__), ("torch", torch.__version__))


def unfit(job: Job, dask_worker: distributed.Worker) -> str:
    """Why a worker, in this process, cannot do a job's tasks; empty if it can. Dask knows the argument by its name."""
    worker = dask_worker
    if versions() != job.versions:
        mine, ours = (", ".join(f"{name} {version}" for name, version in v) for v in (versions(), job.versions))
        return f"the worker {worker.address} has {mine}, this machine {ours}: install the same versions on both"
    if worker.state.nthreads != 1:
        n = worker.state.nthreads
        return f"the worker {worker.address} runs {n} tasks in one process: start it with --nthreads 1"
    if not job.token.exists():
        return f"the worker {worker.address} does not see {job.out}: choose -o in a folder that all machines share"
    return ""


def make_group(study: Study, cells: Sequence[Cell], job: Job) -> list[Row]:
    """The task: the rows of cells that share a fit.

    Raises:
        UsageError: this process cannot be a worker of the job.
    """
    import distributed

    reason = unfit(job, distributed.get_worker())  # asked again here: workers come later, too
    if reason:
        raise UsageError(reason)
    with contextlib.chdir(job.home) if job.home.is_dir() else contextlib.nullcontext():
        return list(one_by_one(study, cells, job.out))


@dataclass(frozen=True)
class _Rows:
    """Rows as they are finished; those whose time is measured come last, and nothing of the study runs beside them."""

    client: distributed.Client

    def __call__(self, study: Study, cells: Sequence[Cell], out: Path) -> Iterator[Row]:
        place = out.absolute()
        token = place / f".token.{secrets.token_hex(8)}"
        token.touch()
        job = Job(place, token, Path.cwd(), versions())
        try:
            self._check(job)
            groups = groups_of(cells)
            yield from self._rows(study, [group for group in groups if not group[0].is_timed], job)
            for group in groups:
                if group[0].is_timed:
                    yield from self._rows(study, [group], job)
        finally:
            token.unlink(missing_ok=True)

    def _check(self, job: Job) -> None:
        try:
            reasons = self.client.run(unfit, job)
        except ImportError as error:
            raise InputError(
                f"a worker has no dyntex that this one can use ({error}): install the same version there"
            ) from error
        for reason in filter(None, reasons.values()):
            raise UsageError(reason)

    def _rows(self, study: Study, groups: Sequence[Sequence[Cell]], job: Job) -> Iterator[Row]:
        import distributed

        names = {
            self.client.submit(make_group, study, group, job, key=f"{group[0].path}-{job.token.name}"): group
            for group in groups
        }
        for future in distributed.as_completed(names):
            try:
                yield from future.result()
            except distributed.KilledWorker:
                reason = f"{DEATHS + 1} workers died of it, which lack of memory may explain"
                yield from failed(names[future], job.out, reason)
            future.release()
