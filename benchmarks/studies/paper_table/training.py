"""The paper's networks on clips, one job after another: ``python -m dyntex.benchmarks.studies.paper_table.training``.

A job is a clip and a seed. It trains in a run folder of its own, from which the same command goes on where it was
killed, and leaves beside the trained networks what the rows of ``dyntex benchmark paper-table`` are made of: eight-bit
samples of the revised chains and of the generator alone, and both as they were on the way.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dyntex.benchmarks.data import Source, Split, find_clips, split_clip
from dyntex.benchmarks.tasks.quality import draw
from dyntex.clip import frames_to_uint8
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.observe import no_condition, observe
from dyntex.coopnets.presets import preset
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.revise import revise
from dyntex.coopnets.state import TrainState
from dyntex.errors import StoppedError, UsageError
from dyntex.experiment.run import RESULT, Run
from dyntex.runtime import keep_freed_memory

LOG = logging.getLogger(__name__)

SNAPSHOTS = (1, 10, 100, 1000)
"""Iterations after which the chains are kept."""

DRAWN = "samples.npz"
KINDS = ("revised", "generator")
"""y_rev, which the paper shows, and g(z), from which it was revised."""

Frames = npt.NDArray[np.uint8]
"""(T, H, W, C)."""

SAVE_EVERY = 120.0
"""Seconds between checkpoints."""


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        source: the clip.
        seed: of the training and of the samples.
    """

    source: Source
    seed: int

    def folder(self, root: Path) -> Path:
        return root / self.source.name / str(self.seed)


@dataclass
class Watched:
    """Stops a run after the next iteration that is to be kept."""

    stops: tuple[int, ...]
    say: float = 60.0
    name: str = ""
    iteration: int = 0
    spoken: float = field(default_factory=time.monotonic)

    def on_step(self, info: StepInfo, _share: float) -> None:
        self.iteration = info.iteration
        if time.monotonic() - self.spoken > self.say:
            self.spoken = time.monotonic()
            LOG.info("%s iteration %d", self.name, info.iteration)

    def stop(self) -> bool:
        return self.iteration in self.stops


def parse_jobs(words: Sequence[str], sources: Sequence[Source]) -> list[Job]:
    """Jobs from ``CLIP:SEED``.

    Raises:
        UsageError: no clip has that name, or the seed is no number.
    """
    known = {source.name: source for source in sources}
    jobs = []
    for word in words:
        name, _, seed = word.rpartition(":")
        if name not in known or not seed.isdecimal():
            raise UsageError(f"the job {word!r} is not CLIP:SEED with one of the clips {', '.join(known)}")
        jobs.append(Job(known[name], int(seed)))
    return jobs


def train(job: Job, root: Path, config: CoopConfig, *, n_frames: int = 64) -> dict[str, Any]:
    """Do a job, or what is left of it; returns what ``result.json`` holds."""
    folder = job.folder(root)
    folder.parent.mkdir(parents=True, exist_ok=True)
    split = split_clip(job.source, size=config.data.size, n_frames=n_frames)
    began = time.monotonic()
    wanted = (*SNAPSHOTS, config.optimisation.iterations)
    model: CoopNets | None = None
    while model is None:
        seen = Watched(
            tuple(n for n in SNAPSHOTS if n < config.optimisation.iterations), name=f"{job.source.name}:{job.seed}"
        )
        run = Run(
            folder,
            config,
            seed=job.seed,
            save_every=SAVE_EVERY,
            on_step=seen.on_step,
            stop=seen.stop,
            notice=LOG.info,
        )
        run.resume = bool(run.checkpoints)
        run.overwrite = not run.resume
        if run.resume:
            keep_snapshot(run, split, wanted)  # which a kill may have come before
        try:
            model = run.train(split.train)
        except StoppedError:
            keep_snapshot(run, split, wanted)
    keep_snapshot(run, split, wanted)
    save_arrays(folder / DRAWN, samples(model, split, seed=job.seed))
    model.save(folder / "model")
    seconds = round(time.monotonic() - began, 1)
    result = {
        "clip": job.source.name,
        "seed": job.seed,
        "iterations": config.optimisation.iterations,
        "last_session": seconds,
    }
    run.finish(result | {"train_frames": split.train.n_frames, "precision": config.precision})
    run.checkpoints.clear()
    return result


def keep_snapshot(run: Run, split: Split, wanted: Sequence[int]) -> None:
    """Two chains as the next iteration of the training would make them, before and after their revision.

    Nothing is done unless the run's checkpoint is of one of the wanted iterations, of which there is none yet.
    """
    y_obs, _ = observe(split.train, run.config)
    rng = torch.Generator().manual_seed(run.seed)
    t = TrainState(run.config, y_obs, rng=rng)
    t.load(run.checkpoints.load(), rng)
    path = run.folder / f"snapshot-{t.iteration:04d}.npz"
    if t.iteration not in wanted or path.exists():
        return
    rng = torch.Generator().manual_seed(run.seed)  # the same latents in every snapshot
    n_frames = split.train.n_frames
    z = torch.randn((run.config.sampling.n_chains, *t.gen.latent_shape(n_frames)), generator=rng)
    with torch.no_grad():
        y_gen = t.gen.train()(z, no_condition(y_obs).expand(len(z), -1, -1, -1, -1))[:, :, :n_frames]
    y_rev = revise(t.des, y_gen, no_condition(y_gen), run.config, rng=rng)
    made = {
        f"{kind}-{b}": frames_to_uint8(y[b]) for kind, y in zip(KINDS, (y_rev, y_gen), strict=True) for b in range(2)
    }
    save_arrays(path, made)


def save_arrays(path: Path, arrays: Mapping[str, Frames]) -> None:
    """Write an ``.npz`` file that is there whole or not at all."""
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, allow_pickle=False, **arrays)
    partial.replace(path)


def samples(model: CoopNets, split: Split, *, seed: int) -> dict[str, Frames]:
    """The clips of the tasks paper and statistics, of both kinds, as ``KIND/NAME``: (T, H, W, C) uint8."""
    alone = replace(model, config=model.config.replaced(n_steps=0))
    made: dict[str, Frames] = {}
    for kind, nets in zip(KINDS, (model, alone), strict=True):
        for task in ("paper", "statistics"):
            drawn = draw(task, nets, split, seed=seed, device="cpu")
            made |= {f"{kind}/{name}": clip.to_uint8() for name, clip in drawn.items()}
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", nargs="+", required=True)
    parser.add_argument("--jobs", nargs="+", required=True, metavar="CLIP:SEED")
    parser.add_argument("--preset", default="paper-fc64")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    config = preset(args.preset).replaced(iterations=args.iterations, precision=args.precision)
    for job in parse_jobs(args.jobs, find_clips(args.clips)):
        if (job.folder(args.out) / RESULT).exists():
            continue
        LOG.info("%s:%d begins", job.source.name, job.seed)
        LOG.info("%s", train(job, args.out, config))


if __name__ == "__main__":
    main()
