"""One iteration of the paper's model: the toolkit's beside the obvious one, in one process, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast, get_args

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from dyntex.benchmarks.reference import Reference, parts
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.study import Cell, Results, Row, ok_rows, path_of, setting
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.observe import no_condition
from dyntex.coopnets.optimise import backward, update
from dyntex.coopnets.presets import preset
from dyntex.coopnets.revise import revise
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.train import descriptor_loss, generator_loss
from dyntex.errors import UsageError
from dyntex.networks.architecture import Precision

STAGES = ("G0", "D1", "D2", "G2", "optimiser")
"""Generate, revise by one Langevin step, gradients of the descriptor, of the generator, Adam over all weights."""

PEAK_SIDE = 2048
"""Side of the square matrices whose product gives the machine's peak."""


@dataclass(frozen=True)
class Iteration:
    """Seconds of each stage of an iteration, of both.

    Attributes:
        presets: of the paper.
        precisions: of the toolkit; the obvious way is in fp32 beside each.
        frames: of the clip; by default the preset's.
        rounds: of which the fastest counts.
        device: that is measured.
    """

    name: ClassVar[str] = "iteration"

    presets: tuple[str, ...] = ("paper-fc64",)
    precisions: tuple[str, ...] = ("fp32",)
    frames: int | None = setting(None, quick=16)
    rounds: int = setting(2, quick=1)
    device: str = setting("cpu", is_kept=False)

    def __post_init__(self) -> None:
        for name in self.presets:
            parts(preset(name))
        for precision in self.precisions:
            if precision not in get_args(Precision):
                raise UsageError(
                    f"there is no precision {precision!r}; the precisions are {', '.join(get_args(Precision))}"
                )
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"--frames {self.frames} is not positive: give a number above 0")

    def cells(self) -> Iterator[Cell]:
        for name in self.presets:
            for precision in self.precisions:
                config = preset(name).replaced(precision=cast(Precision, precision))
                settings = {"config": config, "frames": self.frames, "rounds": self.rounds}
                yield Cell(path_of(name, precision), {"preset": name, "precision": precision}, settings, is_timed=True)

    def make(self, cell: Cell, out: Path) -> Row:
        rng = torch.Generator(self.device).manual_seed(0)
        stages = measure_pace(cell.settings["config"], n_frames=self.frames, rounds=self.rounds, rng=rng)
        found = [asdict(p) | {"ratio": p.ratio, "gflop_per_second": p.gflops, "share_of_peak": p.share} for p in stages]
        return {"stages": found, "threads": torch.get_num_threads(), "device": self.device}

    def page(self, results: Results) -> list[str | Table]:
        parts: list[str | Table] = [
            "# One iteration of the paper's model",
            f"Made by `{results['command']}`: seconds of the stages of one iteration, written the obvious way and as "
            "the toolkit has it; both compute the same.",
        ]
        for row in ok_rows(results):
            parts += [
                f"## {row['preset']}, {row['precision']}, {row['threads']} thread{'s' * (row['threads'] != 1)}",
                Table(
                    ["stage", "naive fp32", f"dyntex {row['precision']}", "times as fast", "GFLOP/s", "of the peak"],
                    [
                        [s["stage"], f"{s['naive']:.2f}", f"{s['toolkit']:.2f}", f"{s['ratio']:.1f}"]
                        + ([f"{s['gflop_per_second']:.0f}", f"{s['share_of_peak']:.0%}"] if s["gflop"] else ["", ""])
                        for s in row["stages"]
                    ],
                    shown=6,
                ),
                f"D1 is one Langevin step, of which the iteration has {preset(row['preset']).sampling.n_steps}; the "
                f"peak is {row['stages'][0]['peak']:.0f} GFLOP/s, of a matrix product in {row['precision']}.",
            ]
        return parts


Meter = Callable[[Callable[[], Any]], tuple[Any, float]]
"""Does some work and returns its result, and a number that was read while it was done."""


class Way(Protocol):
    """A way to compute an iteration, stage by stage."""

    def generate(self, z: Tensor) -> Tensor: ...
    def revise(self, y: Tensor, *, n_steps: int, rng: torch.Generator) -> Tensor: ...
    def learn_descriptor(self, y_obs: Tensor, y_rev: Tensor) -> None: ...
    def learn_generator(self, y_gen: Tensor, y_rev: Tensor) -> None: ...
    def update(self) -> None: ...


class Toolkit:
    """What :func:`dyntex.coopnets.train.train` does in one iteration of a paper preset, stage by stage."""

    def __init__(self, t: TrainState, *, n_frames: int) -> None:
        self.t = t
        self.n_frames = n_frames

    def generate(self, z: Tensor) -> Tensor:
        y: Tensor = self.t.gen(z, z[:, :0])
        return y[:, :, : self.n_frames]

    def revise(self, y: Tensor, *, n_steps: int, rng: torch.Generator) -> Tensor:
        return revise(self.t.des, y.detach(), no_condition(y), self.t.config, rng=rng, n_steps=n_steps)

    def learn_descriptor(self, y_obs: Tensor, y_rev: Tensor) -> None:
        f = self.t.des(torch.cat((y_obs, y_rev)), no_condition(torch.cat((y_obs, y_rev))))
        backward(descriptor_loss(f[: len(y_obs)].mean(), f[len(y_obs) :].mean()), self.t.opt_des)

    def learn_generator(self, y_gen: Tensor, y_rev: Tensor) -> None:
        backward(generator_loss(y_rev, y_gen, self.t.config.optimisation.gen_std), self.t.opt_gen)

    def update(self) -> None:
        update(self.t.opt_des)
        update(self.t.opt_gen)


@dataclass(frozen=True)
class Pace:
    """One stage, or the whole iteration.

    Attributes:
        stage: one of STAGES, or "iteration": all of them, with as many Langevin steps as the preset has.
        naive, toolkit: seconds.
        gflop: arithmetic of the naive way in GFLOP, which is also the unit of the toolkit's work: whatever it saves
            counts for it. 0 where nothing is multiplied.
        peak: GFLOP/s of a matrix product in the toolkit's precision, timed in the same rounds.
    """

    stage: str
    naive: float
    toolkit: float
    gflop: float
    peak: float

    @property
    def ratio(self) -> float:
        return self.naive / self.toolkit

    @property
    def gflops(self) -> float:
        """GFLOP/s of the toolkit."""
        return self.gflop / self.toolkit

    @property
    def share(self) -> float:
        """Of the peak."""
        return self.gflops / self.peak


def measure_pace(
    config: CoopConfig,
    *,
    n_frames: int | None = None,
    rounds: int = 2,
    rng: torch.Generator,
    on_round: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Pace]:
    """Time the stages of both ways, alternating, on noise of the preset's size.

    A round runs the whole of one way, the whole of the other and a matrix product; the fastest of the rounds counts,
    and one more before them, which also allocates, does not. One Langevin step is timed and the iteration is counted
    with all of them: they are alike.

    Args:
        config: a paper preset.
        n_frames: of the clip; by default the preset's.
        rounds: at least 1.
        rng: all randomness; its device is measured.
        on_round: told how many rounds of how many are done.

    Raises:
        UsageError: the preset has no reference implementation.
    """
    shape = (3, n_frames or config.data.n_frames, config.data.size, config.data.size)
    y_obs = torch.rand((1, *shape), generator=rng, device=rng.device) * 2.0 - 1.0
    t = TrainState(config, y_obs, rng=rng)
    naive = Reference(config, shape, device=rng.device)
    naive.copy(t)
    z = torch.randn((config.sampling.n_chains, *naive.latent_shape()), generator=rng, device=rng.device)
    best: dict[str, dict[str, float]] = {"naive": {}, "toolkit": {}, "peak": {}}
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    factor = torch.randn((PEAK_SIDE, PEAK_SIDE), generator=rng, device=rng.device).to(dtype)
    ways: tuple[tuple[str, Way], ...] = (("naive", naive), ("toolkit", Toolkit(t, n_frames=shape[1])))
    for i in range(rounds + 1):
        seconds = {name: run_stages(way, z, y_obs, rng=rng, meter=_seconds) for name, way in ways}
        seconds["peak"] = {"product": _seconds(lambda: factor @ factor)[1]}
        for name, stages in seconds.items() if i else ():
            best[name] = {stage: min(value, best[name].get(stage, value)) for stage, value in stages.items()}
        on_round(i + 1, rounds + 1)
    peak = 2.0 * PEAK_SIDE**3 / best["peak"]["product"] / 1e9
    flop = count(config, shape)
    paces = [Pace(s, best["naive"][s], best["toolkit"][s], flop[s] / 1e9, peak) for s in STAGES]

    def whole(of: Callable[[Pace], float]) -> float:
        return sum(of(pace) * (config.sampling.n_steps if pace.stage == "D1" else 1) for pace in paces)

    total = Pace("iteration", whole(lambda p: p.naive), whole(lambda p: p.toolkit), whole(lambda p: p.gflop), peak)
    return [*paces, total]


def count(config: CoopConfig, shape: tuple[int, int, int, int]) -> dict[str, float]:
    """Multiplications and additions of the naive way, stage by stage; on tensors without numbers, so in no time."""
    with torch.device("meta"):
        naive = Reference(config, shape, device="meta")
        y_obs, rng = torch.empty(1, *shape), torch.Generator("cpu")
        z = torch.empty(config.sampling.n_chains, *naive.latent_shape())
        return run_stages(naive, z, y_obs, rng=rng, meter=_flop)


def run_stages(way: Way, z: Tensor, y_obs: Tensor, *, rng: torch.Generator, meter: Meter) -> dict[str, float]:
    """One iteration with one Langevin step: what the meter says of each stage."""
    read: dict[str, float] = {}
    y_gen, read["G0"] = meter(lambda: way.generate(z))
    y_rev, read["D1"] = meter(lambda: way.revise(y_gen, n_steps=1, rng=rng))
    _, read["D2"] = meter(lambda: way.learn_descriptor(y_obs, y_rev))
    _, read["G2"] = meter(lambda: way.learn_generator(y_gen, y_rev))
    _, read["optimiser"] = meter(way.update)
    return read


def _seconds(work: Callable[[], Any]) -> tuple[Any, float]:
    # The processor time of a single thread leaves out what else the machine is busy with.
    clock = time.process_time if torch.get_num_threads() == 1 and not torch.cuda.is_available() else time.perf_counter
    _wait()
    began = clock()
    result = work()
    _wait()
    return result, clock() - began


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _flop(work: Callable[[], Any]) -> tuple[Any, float]:
    with _Counter() as counter:  # type: ignore[no-untyped-call]
        result = work()
    return result, counter.flop


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """PyTorch's own counts, without the hooks of its FlopCounterMode, which refuse a gradient to a leaf."""

    flop = 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func.overloadpacket in flop_registry:
            self.flop += flop_registry[func.overloadpacket](*args, **(kwargs or {}), out_val=out)
        return out
