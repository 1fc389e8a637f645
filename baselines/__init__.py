"""Classical methods, each a file, each from its paper, all with the contract of ``dyntex.clip.Synthesizer``."""

from __future__ import annotations

from typing import Any

from baselines.controls import Copy, MeanFrame, ShuffledFrames, WhiteNoise
from baselines.fft_lds import FFTLDS
from baselines.hosvd import HOSVD
from baselines.kpcr import KPCR
from baselines.lds import LDS
from dyntex.clip import Synthesizer

# Beyond the contract each has an optional `anchor` to start from, `predict(clip, n_frames)` and `n_parameters`.
METHODS: dict[str, type[Any]] = {"lds": LDS, "fft-lds": FFTLDS, "hosvd": HOSVD, "kpcr": KPCR}

# Never in the same table without a mark: they are what a method is compared with, not methods.
CONTROLS: dict[str, type[Synthesizer]] = {
    "mean-frame": MeanFrame,
    "white-noise": WhiteNoise,
    "shuffled-frames": ShuffledFrames,
    "copy": Copy,
}

__all__ = ["CONTROLS", "METHODS"]
