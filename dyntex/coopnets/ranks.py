"""One training on several processes, which share its chains: ``torchrun --nproc-per-node N -m dyntex train ...``.

Each process, a *rank*, has the same networks and 1/N of the chains. It revises those, and takes its gradient from them;
the mean of all gradients is what one process with all the chains would have. So networks, optimisers and replay buffer
stay equal on all ranks, and a checkpoint says nothing of N.

Random numbers: every rank draws those of all chains from one stream, and uses its own. To draw is cheap beside the
networks, and the result does not depend on N, nor the stream on there being ranks at all. A stream for each chain would
be as good, but give every single-process training that exists other numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dyntex.errors import DyntexError, UsageError
from dyntex.networks.layers import ShiftNorm


@dataclass(frozen=True)
class Ranks:
    """This process among those of a training; alone by default, when nothing below does anything.

    Attributes:
        rank: which it is, from 0.
        count: N.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0

    def mine(self, x: Tensor) -> Tensor:
        """This rank's part of all chains: (B, ...) -> (B / N, ...); what all have in common, (1, ...), as it is."""
        return x if self.count == 1 or len(x) == 1 else x.chunk(self.count)[self.rank]

    def whole(self, x: Tensor) -> Tensor:
        """All chains, of which this rank has ``x``: (B / N, ...) -> (B, ...), without gradient."""
        if self.count == 1:
            return x
        parts = [torch.empty_like(x, memory_format=torch.contiguous_format) for _ in range(self.count)]
        _together(lambda: dist.all_gather(parts, x.contiguous()))
        return torch.cat(parts)

    def normal(self, y: Tensor, rng: torch.Generator) -> Tensor:
        """N(0, I) like this rank's chains ``y``, of which every rank draws all."""
        shape = (self.count * len(y), *y.shape[1:])
        return self.mine(torch.randn(shape, generator=rng, device=y.device, dtype=y.dtype))

    def mean(self, x: Tensor) -> Tensor:
        """The mean of ``x`` over ranks. Gradients flow back to every rank's ``x``."""
        return x if self.count == 1 else _Mean.apply(x, self.count)  # type: ignore[no-untyped-call]

    def average(self, parameters: Iterable[Tensor]) -> None:
        """Put in place of each gradient its mean over ranks."""
        if self.count == 1:
            return
        grads = [p.grad for p in parameters if p.grad is not None]
        # One message for all: hundreds of small ones would wait for each other.
        flat = self.mean(torch.cat([grad.flatten() for grad in grads]))
        for grad, part in zip(grads, torch.split(flat, [grad.numel() for grad in grads]), strict=True):
            grad.copy_(part.view_as(grad))

    def join(self, net: nn.Module) -> None:
        """Let a network's batch statistics be those of all ranks' chains."""
        for layer in net.modules():
            if isinstance(layer, ShiftNorm) and self.count > 1:
                layer.shared = self

    def first(self, value: float) -> float:
        """The first rank's value: what a clock says must be the same for all."""
        if self.count == 1:
            return value
        held = torch.tensor(value, dtype=torch.float64)
        _together(lambda: dist.broadcast(held, 0))
        return float(held)

    def any(self, flag: bool) -> bool:
        """Whether it holds on any rank."""
        if self.count == 1:
            return flag
        held = torch.tensor(float(flag))
        _together(lambda: dist.all_reduce(held, dist.ReduceOp.MAX))
        return bool(held)

    def wait(self) -> None:
        """Until all ranks are here."""
        self.any(False)

    def on_first(self, work: Callable[[], None]) -> None:
        """Let the first rank work while the others wait.

        Raises:
            DyntexError: that of the work, on the first rank; on the others one of its exit code that says nothing.
        """
        error = None
        if self.is_first:
            try:
                work()
            except DyntexError as failure:
                error = failure
        code = int(self.first(0 if error is None else error.exit_code))
        if error is not None:
            raise error
        if code:
            raise _silent(code)

    def check_same(self, about: Mapping[str, Any]) -> None:
        """Whether all ranks are asked for the same.

        Args:
            about: names to what JSON can hold, the same names on every rank.

        Raises:
            UsageError: they are not; on the first rank it names the first difference, on the others it says nothing.
        """
        if self.count == 1:
            return
        mine = {key: json.dumps(value, sort_keys=True) for key, value in about.items()}
        digests = torch.stack([_digest(value) for value in mine.values()])[None]
        first, *others = self.whole(digests)
        for rank, other in enumerate(others, start=1):
            for key, same in zip(mine, (first == other).all(1).tolist(), strict=True):
                if not same:
                    said = f"rank {rank} has another {key} than rank 0, which has {mine[key]}: "
                    said += "start all ranks with the same command"
                    raise UsageError(said) if self.is_first else _silent(UsageError.exit_code)

    def check(self, n_chains: int, device: torch.device) -> None:
        """Whether the chains can be shared.

        Raises:
            UsageError: N does not divide their number, or the device has no ranks.
        """
        if self.count == 1:
            return
        words = ""
        if n_chains % self.count:
            words = f"{n_chains} chains cannot be shared equally by {self.count} ranks: choose an --nproc-per-node "
            words += "that divides their number, or another n_chains in a --config"
        elif device.type not in ("cpu", "cuda"):
            words = f"--device {device.type} cannot be shared by ranks: choose cpu or cuda"
        if words:
            raise UsageError(words) if self.is_first else _silent(UsageError.exit_code)


ALONE = Ranks()


@contextmanager
def joined() -> Iterator[Ranks]:
    """Within, this process is one of those that torchrun started, or alone if it started none."""
    count = int(os.environ.get("WORLD_SIZE", "1")) if dist.is_torchelastic_launched() else 1
    if count == 1:
        yield ALONE
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    _together(lambda: dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo"))
    try:
        yield Ranks(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, count: int) -> Tensor:
        ctx.count = count
        return _mean(x, count)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        # The mean enters every rank's loss, and 1/N of x enters the mean.
        return _mean(gradients[0], ctx.count), None


def _mean(x: Tensor, count: int) -> Tensor:
    total = x.detach().clone(memory_format=torch.contiguous_format)
    _together(lambda: dist.all_reduce(total))
    return total / count


def _together(call: Callable[[], Any]) -> None:
    """A call that all ranks make.

    Raises:
        DyntexError: one of them ended before it made it.
    """
    try:
        call()
    except RuntimeError as error:
        raise DyntexError(
            "another rank of the training ended: what it said is above, the last checkpoint is kept, and the same "
            "command with --resume goes on from it, also with another number of ranks"
        ) from error


def _silent(code: int) -> DyntexError:
    error = DyntexError("")
    error.exit_code = code
    return error


def _digest(text: str) -> Tensor:
    return torch.tensor(list(hashlib.sha256(text.encode()).digest()), dtype=torch.uint8)
