"""The presets: architectures and settings as values. Nothing else in the code knows their names."""

from __future__ import annotations

from dataclasses import replace

from dyntex.coopnets.config import CoopConfig
from dyntex.errors import UsageError, suggest
from dyntex.networks.architecture import (
    FULL,
    ConvGeneratorConfig,
    DescriptorConfig,
    Head,
    Layer,
    ShotNoiseResidualConfig,
)

# Descriptors of Xie et al. (2020), section 7 and the released code.
FC_S = Head(
    (
        Layer(120, (5, 5, 5), (2, 2, 2)),
        Layer(30, (5, FULL, FULL), (2, 1, 1), padding=(2, 0, 0)),
        Layer(10, (5, 1, 1), (2, 1, 1), padding=(2, 0, 0), activation="none"),
    )
)
# The fully convolutional descriptor of STGConvNet (Xie, Zhu, Wu 2017), for textures stationary in space and time.
ST = Head(
    (
        Layer(120, (15, 15, 15), (7, 7, 7)),
        Layer(40, (7, 7, 7), (3, 3, 3)),
        Layer(20, (2, 3, 3), (1, 2, 2), activation="none"),
    )
)

_FC_S_GENERATOR = (
    Layer(256, (5, 1, 1), padding="valid", batch_norm=True),
    Layer(128, (5, 32, 32), (2, 1, 1), padding="valid", extra=(1, 0, 0), batch_norm=True),
)
FC_S_64 = ConvGeneratorConfig((5, 1, 1), (*_FC_S_GENERATOR, Layer(0, (5, 5, 5), (2, 2, 2), activation="tanh")))
FC_S_128 = ConvGeneratorConfig(
    (5, 1, 1),
    (
        *_FC_S_GENERATOR,
        Layer(64, (5, 5, 5), (2, 2, 2), batch_norm=True),
        Layer(0, (2, 5, 5), (1, 2, 2), activation="tanh"),
    ),
)
ST_GENERATOR = ConvGeneratorConfig(
    (5, 4, 4),
    (
        Layer(512, (4, 4, 4), batch_norm=True),
        Layer(256, (4, 4, 4), (2, 2, 2), batch_norm=True),
        Layer(128, (4, 4, 4), (2, 2, 2), batch_norm=True),
        Layer(64, (4, 4, 4), (2, 2, 2), batch_norm=True),
        Layer(0, (4, 4, 4), (2, 2, 2), activation="tanh"),
    ),
)


def _scale(pool: int, gain: float = 30.0, *, fixed_end: bool = True) -> Head:
    """One level of the pyramid of ``fast``: even kernels, whose gradients leave no checkerboard, and two ends.

    The fixed one knows what belongs where in the frame.
    """
    fixed = (
        Layer(16, (2, FULL, FULL), padding="valid", activation="silu"),
        Layer(1, (1, 1, 1), activation="none"),
    )
    free = (
        Layer(32, (3, 4, 4), (1, 2, 2), activation="silu"),
        Layer(1, (1, 1, 1), activation="none"),
    )
    trunk = (
        Layer(24, (1, 6, 6), (1, 2, 2), activation="silu"),
        Layer(32, (3, 4, 4), (1, 2, 2), activation="silu"),
    )
    return Head(trunk, ends=(fixed, free) if fixed_end else (free,), pool=(1, pool, pool), gain=gain)


FAST = CoopConfig.of(
    "fast",
    DescriptorConfig((_scale(1), _scale(2)), ref_std=0.02, reference="pixel", init_std=0.0),
    ShotNoiseResidualConfig(),
    multiple=8,
    min_frames=16,
    window=16,
    iterations=40,
    n_steps=2,
    step=0.03,
    drift_limit=0.02,
    lr_des=3e-4,
    # Small and smooth: Adam moves every weight at this rate whatever the signal, and the texture is good already.
    lr_gen=1e-5,
    beta1=0.9,
    head_start=0.1,
    lr_decay=0.1,
    data_noise=0.02,
    ema=0.99,
)

# For textures that are alike all over the frame: what a model of them knows can be laid anew in a larger one.
FAST_ST = FAST.replaced(
    preset="fast-st",
    descriptor=replace(FAST.descriptor, heads=(_scale(1, fixed_end=False), _scale(2, fixed_end=False))),
)

# Images: Xie et al. (2020), section 6; every kernel is 1 in time, so that a clip's frames are images of their own.
IMAGE = Head(
    (
        Layer(64, (1, 5, 5), (1, 2, 2), activation="leaky_relu"),
        Layer(128, (1, 3, 3), (1, 2, 2), activation="leaky_relu"),
        Layer(256, (1, 3, 3), activation="leaky_relu"),
        Layer(100, (1, FULL, FULL), padding="valid", activation="none"),
    ),
    gain=100.0,
)
IMAGE_GENERATOR = ConvGeneratorConfig(
    (100, 1, 1),
    (
        Layer(512, (1, FULL, FULL), padding="valid", batch_norm=True),
        Layer(256, (1, 5, 5), (1, 2, 2), batch_norm=True),
        Layer(128, (1, 5, 5), (1, 2, 2), batch_norm=True),
        Layer(64, (1, 5, 5), (1, 2, 2), batch_norm=True),
        Layer(0, (1, 5, 5), (1, 2, 2), activation="tanh"),
    ),
    init_std=0.02,
)
# Departures from the paper's settings, which take thousands of iterations to begin with: q is as wide as the range of
# pixels and f has a gain, where the paper's waits for f to outgrow a narrow q; and four of five chains go on from a
# replay memory, whose samples are the work of many iterations while each costs few steps.
IMAGE_SET = CoopConfig.of(
    "image-set",
    DescriptorConfig((IMAGE,), ref_std=1.0, init_std=0.0),
    IMAGE_GENERATOR,
    size=64,
    multiple=16,
    n_frames=1,
    min_frames=1,
    window=1,
    n_chains=32,
    iterations=500,
    n_steps=5,
    step=0.03,
    drift_limit=0.1,
    lr_des=3e-4,
    lr_gen=2e-3,
    lr_decay=0.1,
    data_noise=0.05,
    reuse=0.8,
    capacity=512,
    ema=0.98,
)

# One texture from one image: what is summed over the frame, and grown from a grid of latents, has no place in it. A
# narrow q draws towards grey whatever f does not ask for, above all specks of colour; latents lie 8 pixels apart, for
# at 16 a pattern repeats with them; and rates are low and steps smaller than the noise on the data, since a descriptor
# too steep for its chains learns from the stripes that they then make, and becomes steeper (see docs/notes.md).
_texture = (
    Layer(32, (1, 6, 6), (1, 2, 2), activation="silu"),
    Layer(32, (1, 4, 4), (1, 2, 2), activation="silu"),
    Layer(32, (1, 4, 4), activation="silu"),
    Layer(1, (1, 1, 1), activation="none"),
)
IMAGE_TEXTURE = IMAGE_SET.replaced(
    preset="image-texture",
    descriptor=DescriptorConfig(
        tuple(Head(_texture, pool=(1, pool, pool), gain=3.0) for pool in (1, 2)), ref_std=0.3, init_std=0.0
    ),
    generator=ConvGeneratorConfig(
        (24, 8, 8),
        (
            Layer(64, (1, 3, 3), batch_norm=True),
            Layer(48, (1, 4, 4), (1, 2, 2), batch_norm=True),
            Layer(32, (1, 6, 6), (1, 2, 2), batch_norm=True),
            Layer(0, (1, 6, 6), (1, 2, 2), activation="tanh"),
        ),
        init_std=0.02,
    ),
    size=128,
    multiple=8,
    crop=64,
    n_chains=8,
    iterations=1000,
    n_steps=3,
    step=0.2,
    temperature=0.002,
    drift_limit=0.04,
    lr_des=3e-4,
    reuse=0.5,
    capacity=64,
)

# Clips, many or one, with a condition or none: latents one after another in time, each the beginning of a whole frame.
# Steps no larger than the noise on the data, for the reason that image-texture has.
VIDEO_SET = CoopConfig.of(
    "video-set",
    DescriptorConfig(
        (
            Head(
                (
                    Layer(24, (2, 4, 4), (2, 2, 2), activation="leaky_relu"),
                    Layer(32, (4, 4, 4), (2, 2, 2), activation="leaky_relu"),
                    Layer(48, (4, 4, 4), (2, 2, 2), activation="leaky_relu"),
                    Layer(1, (1, FULL, FULL), padding="valid", activation="none"),
                ),
                gain=10.0,
            ),
        ),
        ref_std=1.0,
        init_std=0.0,
    ),
    ConvGeneratorConfig(
        (32, 1, 1),
        (
            Layer(96, (3, FULL, FULL), padding=(1, 0, 0), batch_norm=True),
            Layer(64, (4, 4, 4), (2, 2, 2), batch_norm=True),
            Layer(32, (4, 4, 4), (2, 2, 2), batch_norm=True),
            Layer(0, (4, 4, 4), (2, 2, 2), activation="tanh"),
        ),
        init_std=0.02,
    ),
    size=64,
    multiple=8,
    min_frames=16,
    window=16,
    n_chains=8,
    iterations=1000,
    n_steps=5,
    step=0.1,
    temperature=0.01,
    drift_limit=0.05,
    lr_des=5e-4,
    lr_gen=2e-3,
    lr_decay=0.1,
    data_noise=0.05,
    reuse=0.8,
    capacity=128,
    ema=0.99,
    regression_weight=4.0,
)

PRESETS: dict[str, CoopConfig] = {
    config.preset: config
    for config in (
        FAST,
        FAST_ST,
        CoopConfig.of("paper-fc64", DescriptorConfig((FC_S,)), FC_S_64, size=64, fixed_size=True),
        CoopConfig.of("paper-fc128", DescriptorConfig((FC_S,)), FC_S_128, size=128, fixed_size=True),
        IMAGE_TEXTURE,
        IMAGE_SET,
        VIDEO_SET,
        CoopConfig.of("paper-st", DescriptorConfig((ST,)), ST_GENERATOR, size=64, multiple=16, min_frames=21),
    )
}
"""The presets, by name: networks and training settings."""

QUALITIES = {"draft": 60.0, "standard": 300.0, "high": 1800.0}
"""Seconds for a whole command, from reading to the written video, by the name of a quality."""


def preset(name: str) -> CoopConfig:
    """The preset of that name.

    Raises:
        UsageError: there is none; the message suggests the nearest.
    """
    if name not in PRESETS:
        raise UsageError(f"there is no preset {name!r}{suggest(name, PRESETS)}; the presets are {', '.join(PRESETS)}")
    return PRESETS[name]
