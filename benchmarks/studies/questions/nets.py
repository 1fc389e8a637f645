"""Small forms of the paper's networks, which learn something in a minute of one core."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from dyntex.coopnets.config import CoopConfig
from dyntex.networks.architecture import FULL, ConvGeneratorConfig, DescriptorConfig, Head, Layer
from dyntex.networks.layers import Conv, FullFrameConv, activate, initialise

DIGITS_SIZE = 16
CLIP_SIZE = 32
WINDOW = 16
"""Frames that one latent of a clip's generator covers."""

_IMAGE_TRUNK = (
    Layer(32, (1, 4, 4), (1, 2, 2), activation="leaky_relu"),
    Layer(64, (1, 4, 4), (1, 2, 2), activation="leaky_relu"),
)
_CLIP_TRUNK = (
    Layer(24, (2, 4, 4), (2, 2, 2), activation="leaky_relu"),
    Layer(32, (4, 4, 4), (2, 2, 2), activation="leaky_relu"),
    Layer(48, (4, 4, 4), (2, 2, 2), activation="leaky_relu"),
)
_IMAGE_GENERATOR = ConvGeneratorConfig(
    (32, 1, 1),
    (
        Layer(64, (1, 4, 4), padding="valid", batch_norm=True),
        Layer(32, (1, 4, 4), (1, 2, 2), batch_norm=True),
        Layer(0, (1, 4, 4), (1, 2, 2), activation="tanh"),
    ),
    init_std=0.02,
)
_CLIP_GENERATOR = ConvGeneratorConfig(
    (32, 1, 1),
    (
        Layer(64, (1, 4, 4), padding="valid", batch_norm=True),
        Layer(32, (4, 4, 4), (2, 2, 2), batch_norm=True),
        Layer(16, (4, 4, 4), (2, 2, 2), batch_norm=True),
        Layer(0, (4, 4, 4), (2, 2, 2), activation="tanh"),
    ),
    init_std=0.02,
)


def _descriptor(trunk: tuple[Layer, ...]) -> DescriptorConfig:
    return DescriptorConfig(
        (Head((*trunk, Layer(1, (1, FULL, FULL), padding="valid", activation="none")), gain=10.0),),
        ref_std=1.0,
        init_std=0.0,
    )


# Departures from the paper, without which 40 seconds train nothing: q is as wide as the pixels' range and f is
# multiplied by 10 (the paper's s = .016 waits for f to grow to 1e4), and the noise is a tenth of what step 0.2 would
# have, because ten steps of it must not bury what they reveal.
DIGITS = CoopConfig.of(
    "questions-digits",
    _descriptor(_IMAGE_TRUNK),
    _IMAGE_GENERATOR,
    size=DIGITS_SIZE,
    n_frames=1,
    min_frames=1,
    window=1,
    n_chains=32,
    n_steps=10,
    step=0.2,
    temperature=0.01,
    drift_limit=0.2,
    n_steps_z=0,
    step_z=0.1,
    gen_std=0.3,
    lr_des=3e-3,
    lr_gen=1e-3,
)
TEXTURES = DIGITS.replaced(
    preset="questions-textures",
    descriptor=_descriptor(_CLIP_TRUNK),
    generator=_CLIP_GENERATOR,
    size=CLIP_SIZE,
    n_frames=64,
    min_frames=WINDOW,
    window=WINDOW,
    n_chains=4,
    n_steps=5,
)
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    DIGITS.preset: {
        "cooperative with replay": {"reuse": 0.8, "capacity": 512, "n_steps": 5, "lr_des": 1e-3},
        "generator alone": {"n_steps_z": 5},
        "VAE": {"lr_gen": 3e-3},
        "GAN": {"lr_des": 1e-3},
    },
    TEXTURES.preset: {
        "cooperative with replay": {"reuse": 0.8, "capacity": 64},
        "generator alone": {"n_steps_z": 5},
        "GAN": {"lr_des": 1e-3},
    },
}
"""What each trainer has of its own, by the config's name, found by short trials, as the cooperative settings were.

The GAN's rates decide what is said of it: of the 1000 modes of stacked digits it covers 15 with a discriminator at 1e-4
beside a generator at 1e-3, 127 with 2e-4, 670 with both at 2e-4, and 860 with both at 1e-3, which is taken. The VAE's
rate on the digits turns its samples of clips grey. Replay with the ten steps and the rate of cooperative training
without it is no gain on digits (2.35).
"""


class Trunk(nn.Module):
    """Convolutions one after another, as a descriptor has them, for an output of more numbers than one.

    Args:
        layers: first to last; a FULL kernel spans the frame that reaches it, and padding elsewhere is "same".
        shape: (C, H, W) of what comes in.
        rng: draws the initial weights, of variance 1 / fan-in.
    """

    def __init__(self, layers: tuple[Layer, ...], shape: tuple[int, int, int], *, rng: torch.Generator) -> None:
        super().__init__()
        channels, height, width = shape
        self.config = layers
        self.layers = nn.ModuleList()
        for layer in layers:
            (taps, rows, _), (every, down, across) = layer.kernel, layer.stride
            if rows == FULL:
                kernel = (int(taps), height, width)
                self.layers.append(FullFrameConv(channels, layer.channels, kernel=kernel, stride=every))
                height = width = 1
            else:
                kernel = (int(taps), int(rows), int(layer.kernel[2]))
                self.layers.append(Conv(channels, layer.channels, kernel=kernel, stride=layer.stride))
                height, width = -(-height // down), -(-width // across)
            channels = layer.channels
        initialise(self, 0.0, rng)

    def forward(self, y: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, O, T', H', W')."""
        for layer, built in zip(self.config, self.layers, strict=True):
            y = activate(built(y), layer.activation)
        return y


class Encoder(nn.Module):
    """q(z | y) of a VAE: the descriptor's trunk, whose last layer gives 2 D channels in place of a score.

    Args:
        config: its descriptor has one head, and down-samples time as the generator samples it up.
        shape: (C, H, W) of the frames.
        rng: draws the initial weights.
    """

    def __init__(self, config: CoopConfig, shape: tuple[int, int, int], *, rng: torch.Generator) -> None:
        super().__init__()
        (head,) = config.descriptor.heads
        depth = cast(ConvGeneratorConfig, config.generator).latent[0]
        *trunk, score = head.layers
        latent = Layer(2 * depth, score.kernel, score.stride, activation="none")
        self.trunk = Trunk((*trunk, latent), shape, rng=rng)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C, T, H, W) -> mean and log-variance of z, (B, D, T', 1, 1) each."""
        mean, log_var = self.trunk(y).chunk(2, dim=1)
        return mean, log_var
