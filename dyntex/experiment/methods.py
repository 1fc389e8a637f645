"""All methods by name."""

from __future__ import annotations

from collections.abc import Mapping

from dyntex.baselines import METHODS as BASELINES
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.segments import Segments
from dyntex.errors import UsageError, suggest
from dyntex.method import Method

COOP = "coop"
"""The name of cooperative training of networks, the one method that has presets, iterations and checkpoints."""

SEGMENTS = "segments"
"""The name of the method that is trained with no more than a time to spend."""

METHODS: Mapping[str, type[Method]] = {COOP: CoopNets, SEGMENTS: Segments, **BASELINES}
"""The class of each method; ``METHODS[name].capabilities()`` says what it can do."""


def check_method(name: str) -> None:
    """Refuse an unknown method.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in METHODS:
        raise UsageError(
            f"there is no method {name!r}{suggest(name, METHODS)}; the methods are {', '.join(METHODS)}, and auto"
        )


def check_options(
    method: str, *, resume: bool, save_model: object, iterations: int | None, allowed: float | None
) -> None:
    """Refuse options of trained methods where they are given to another one.

    Raises:
        UsageError: the message names them.
    """
    if method == SEGMENTS and (resume or iterations):
        raise UsageError(
            "--method segments takes neither --resume nor --iterations: give --quality or --budget, or --method coop"
        )
    if method not in (COOP, SEGMENTS) and (resume or save_model or allowed or iterations):
        raise UsageError(
            f"--method {method} takes none of --resume, --save-model, --iterations, --budget, --quality: leave them "
            "out, or use --method coop"
        )
