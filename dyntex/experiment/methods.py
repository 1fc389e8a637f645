"""All methods by name."""

from __future__ import annotations

from collections.abc import Mapping

from dyntex.baselines import METHODS as BASELINES
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.segments import Segments
from dyntex.errors import UsageError, suggest
from dyntex.method import Method

COOP = "coop"
"""The name of cooperative training, the one method that has presets, iterations and models to save."""

METHODS: Mapping[str, type[Method]] = {COOP: CoopNets, "segments": Segments, **BASELINES}
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
