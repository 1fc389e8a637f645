"""What can be chosen on the page: read off the library, so that a new method, format or example is there too."""

from __future__ import annotations

import functools
from typing import Any

from dyntex.coopnets.presets import PRESETS, QUALITIES
from dyntex.examples import EXAMPLES
from dyntex.experiment.methods import COOP, METHODS
from dyntex.inpainting import DEFAULT
from dyntex.inpainting import METHODS as FILLERS
from dyntex.media.formats import FORMATS

FOLDER_WORD = "frames"
"""A folder of PNGs, where a format is a word of an address."""
WORDS = {
    "coop": "Learn (coop): trains on the motion, and makes what never was",
    "segments": "Pieces (segments): regions play parts of the clip, in an order that is learnt",
    "shot-noise": "Mix (shot-noise): sums of the clip's own motion, at once",
    "lds": "Linear dynamics (lds)",
    "fft-lds": "Linear dynamics of the spectrum (fft-lds)",
    "hosvd": "Linear dynamics of tensors (hosvd)",
    "kpcr": "Kernel dynamics (kpcr)",
    "video-texture": "Reorder (video-texture): the clip's own frames in another order",
    "patch-nn": "Patch (patch-nn): the clip's frames with jumps that its patches hide",
}


@functools.cache
def catalogue() -> dict[str, Any]:
    return {
        "methods": [
            {
                "name": name,
                "words": WORDS.get(name, name),
                "lacks": dict(method.capabilities().lacks),
                "trains": name == COOP,
            }
            for name, method in METHODS.items()
        ],
        "qualities": QUALITIES,
        "presets": [name for name, config in PRESETS.items() if config.data.n_frames > 1],
        "formats": [
            {"name": ending[1:] or FOLDER_WORD, "ending": ending, "codec": kind.codec, "alpha": bool(kind.alpha)}
            for ending, kind in FORMATS.items()
        ],
        "examples": [{"name": example.name, "words": example.summary} for example in EXAMPLES.values()],
        "fillers": list(FILLERS),
        "filler": DEFAULT,
    }
