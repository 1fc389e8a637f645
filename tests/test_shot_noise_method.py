"""Shot noise as a method: it is the untrained texture, of any length and as a loop."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from torch import Tensor

from dyntex.baselines.shot_noise import ShotNoiseMethod
from dyntex.clip import Clip
from dyntex.coopnets.presets import FAST
from dyntex.examples import make
from dyntex.networks.residual import ShotNoiseResidual
from dyntex.textures.config import ShotNoiseConfig
from dyntex.textures.shot_noise import CHUNK, ShotNoise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def clip() -> Clip:
    return make("flame", size=24, n_frames=20)


@torch.no_grad()
def pictures(texture: ShotNoise, z: Tensor, **how: object) -> Tensor:
    return texture(z, **how)[0].clamp(-1, 1)


def test_it_is_what_the_preset_fast_starts_from(clip: Clip):
    gen = FAST.generator.build(clip.video[None], 16, rng=seeded())
    assert isinstance(gen, ShotNoiseResidual)
    fitted = ShotNoiseMethod.fit(clip, rng=seeded())
    for name, value in gen.texture.named_buffers():
        assert torch.equal(value, fitted.texture.get_buffer(name)), name


def test_its_frames_are_those_of_white_noise_drawn_in_order(clip: Clip):
    fitted, n = ShotNoiseMethod.fit(clip, rng=seeded()), 2 * CHUNK + 5
    regions, rng = fitted.texture.n_regions, seeded(1)
    drawn = [torch.randn(1, regions, k, generator=rng) for k in (19, CHUNK, CHUNK, 5)]
    made = fitted.synthesize(n, rng=seeded(1)).video
    torch.testing.assert_close(made, pictures(fitted.texture, torch.cat(drawn, dim=2)), rtol=0, atol=2e-5)


@pytest.mark.parametrize("n", [3, 20, 33])
def test_a_loop_s_last_frame_leads_into_its_first(clip: Clip, n: int):
    """Turned noise turns the loop: no frame of it is the first."""
    fitted = ShotNoiseMethod.fit(clip, rng=seeded())
    z = torch.randn(1, fitted.texture.n_regions, n + 19, generator=seeded(1))
    made = fitted.synthesize(n, rng=seeded(1), loop=True).video
    turned = torch.cat((z[:, :, :n].roll(1, 2), z[:, :, n:]), dim=2)
    loop = (True, False, False)
    torch.testing.assert_close(made.roll(1, 1), pictures(fitted.texture, turned, periodic=loop), rtol=0, atol=2e-5)


def test_a_clip_of_fewer_frames_than_levels_has_as_many_levels():
    short = make("ripples", size=16, n_frames=5)
    fitted = ShotNoiseMethod.fit(short, ShotNoiseConfig(levels=8), rng=seeded())
    assert len(fitted.texture.clip_levels) == 5
    assert ShotNoiseMethod.fit(short, ShotNoiseConfig(levels=4), rng=seeded()).texture.clip_levels.shape[0] == 4
    assert fitted.synthesize(7, rng=seeded()).fps == Fraction(short.fps)
