"""dyntex: learn a generative model of a dynamic texture from one short clip, and synthesize new video of any length.

Each name here is imported when it is first used, so that ``import dyntex`` takes no time. ``docs/api.md`` lists them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from dyntex.clip import Clip, concatenate
    from dyntex.coopnets.config import CoopConfig
    from dyntex.coopnets.langevin import langevin
    from dyntex.coopnets.model import CoopNets
    from dyntex.coopnets.presets import PRESETS
    from dyntex.coopnets.resize import resized
    from dyntex.errors import (
        DivergedError,
        DyntexError,
        InputError,
        MemoryLimitError,
        MissingDependencyError,
        StoppedError,
        UsageError,
    )
    from dyntex.experiment.conditioning import condition_for
    from dyntex.experiment.describe import describe
    from dyntex.experiment.methods import METHODS
    from dyntex.experiment.progress import Progress
    from dyntex.experiment.recovery import recover
    from dyntex.experiment.report import ReportFacts, write_report
    from dyntex.experiment.sampling import sample
    from dyntex.experiment.scoring import score
    from dyntex.experiment.session import Result
    from dyntex.experiment.synthesis import synthesize
    from dyntex.experiment.training import fit, train
    from dyntex.media import read_clip, write_clip, write_stream
    from dyntex.method import Capabilities, Method
    from dyntex.random_streams import generator
    from dyntex.runtime import full_speed
    from dyntex.textures.loop_seam import Seam, seam

__all__ = [
    "METHODS",
    "PRESETS",
    "Capabilities",
    "Clip",
    "CoopConfig",
    "CoopNets",
    "DivergedError",
    "DyntexError",
    "InputError",
    "MemoryLimitError",
    "Method",
    "MissingDependencyError",
    "Progress",
    "ReportFacts",
    "Result",
    "Seam",
    "StoppedError",
    "UsageError",
    "concatenate",
    "condition_for",
    "describe",
    "fit",
    "full_speed",
    "generator",
    "langevin",
    "read_clip",
    "recover",
    "resized",
    "sample",
    "score",
    "seam",
    "synthesize",
    "train",
    "write_clip",
    "write_report",
    "write_stream",
]

_HOMES = {
    "dyntex.clip": ("Clip", "concatenate"),
    "dyntex.coopnets.resize": ("resized",),
    "dyntex.coopnets.config": ("CoopConfig",),
    "dyntex.coopnets.langevin": ("langevin",),
    "dyntex.coopnets.model": ("CoopNets",),
    "dyntex.coopnets.presets": ("PRESETS",),
    "dyntex.errors": (
        "DivergedError",
        "DyntexError",
        "InputError",
        "MemoryLimitError",
        "MissingDependencyError",
        "StoppedError",
        "UsageError",
    ),
    "dyntex.experiment.conditioning": ("condition_for",),
    "dyntex.experiment.describe": ("describe",),
    "dyntex.experiment.methods": ("METHODS",),
    "dyntex.experiment.progress": ("Progress",),
    "dyntex.experiment.recovery": ("recover",),
    "dyntex.experiment.report": ("ReportFacts", "write_report"),
    "dyntex.experiment.sampling": ("sample",),
    "dyntex.experiment.scoring": ("score",),
    "dyntex.experiment.session": ("Result",),
    "dyntex.experiment.synthesis": ("synthesize",),
    "dyntex.experiment.training": ("fit", "train"),
    "dyntex.media": ("read_clip", "write_clip", "write_stream"),
    "dyntex.method": ("Capabilities", "Method"),
    "dyntex.random_streams": ("generator",),
    "dyntex.runtime": ("full_speed",),
    "dyntex.textures.loop_seam": ("Seam", "seam"),
}
"""Where each public name is defined; the imports above say the same to type checkers."""

_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'dyntex' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE_OF[name]), name)
    globals()[name] = value  # asked for once
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
