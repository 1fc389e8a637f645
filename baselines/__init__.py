"""Classical methods, each a file, each from its paper, all with the contract of ``dyntex.method.Method``."""

from __future__ import annotations

from dyntex.baselines.controls import Copy, MeanFrame, Replay, ShuffledFrames, WhiteNoise
from dyntex.baselines.fft_lds import FFTLDS
from dyntex.baselines.hosvd import HOSVD
from dyntex.baselines.kpcr import KPCR
from dyntex.baselines.lds import LDS
from dyntex.baselines.patch_nn import PatchNN
from dyntex.baselines.shot_noise import ShotNoiseMethod
from dyntex.baselines.video_texture import VideoTexture
from dyntex.method import Method, Synthesizer

METHODS: dict[str, type[Method]] = {
    "lds": LDS,
    "fft-lds": FFTLDS,
    "hosvd": HOSVD,
    "kpcr": KPCR,
    "shot-noise": ShotNoiseMethod,
    "video-texture": VideoTexture,
    "patch-nn": PatchNN,
}

# Never in the same table without a mark: they are what a method is compared with, not methods.
CONTROLS: dict[str, type[Synthesizer]] = {
    "mean-frame": MeanFrame,
    "white-noise": WhiteNoise,
    "shuffled-frames": ShuffledFrames,
    "copy": Copy,
    "replay": Replay,
}

__all__ = ["CONTROLS", "METHODS"]
