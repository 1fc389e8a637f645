"""What the networks of a config can do, read off their architectures, so that it is refused before anything is trained.

A loop is exact if the latents on a circle make a whole number of frames, and if it is not shorter than the descriptor
can score. Tiles and other sizes need networks that do not know what belongs where in the frame.
"""

from __future__ import annotations

from dyntex.coopnets.config import CoopConfig
from dyntex.method import Capabilities, Feature
from dyntex.networks.architecture import PLACES, SPANS
from dyntex.networks.receptive_field import fewest_frames


def capabilities(config: CoopConfig) -> Capabilities:
    """Of the networks and the training together."""
    data = config.data
    lacks: dict[Feature, str] = dict(config.generator.lacks)
    placed = config.descriptor.reference == "pixel" and not config.generator.keeps_pixels
    if config.descriptor.spans_frame or placed:
        lacks |= dict.fromkeys(PLACES, SPANS)
    return Capabilities(
        lacks,
        min_frames=config.least_frames,
        loop_step=config.generator.frames_per_latent,
        min_loop=max(data.min_frames, fewest_frames(config.descriptor, data.window or data.n_frames)),
    )
