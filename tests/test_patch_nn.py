"""Patch nearest neighbours: what is periodic comes back, what is held is held, and patches are the clip's."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from dyntex.baselines.patch_nn import CHUNK, WHOLE, PatchNN, PatchNNConfig
from dyntex.clip import Clip, concatenate
from dyntex.errors import InputError, UsageError
from dyntex.textures.loop_seam import along, around

FPS = Fraction(25)
SMALL = PatchNNConfig(patch=(3, 3, 3), rounds=(3, 2), coarsest=8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def blobs(n_frames: int = 30, *, height: int = 14, width: int = 18, seed: int = 1) -> Tensor:
    """(3, T, H, W): smooth in space and time, and never twice the same."""
    shape = (n_frames // 3 + 2, height // 4 + 2, width // 4 + 2)
    coarse = torch.rand(1, 3, *shape, generator=seeded(seed)) * 1.6 - 0.8
    return torch.nn.functional.interpolate(coarse, (n_frames, height, width), mode="trilinear", align_corners=True)[0]


def fitted(video: Tensor, config: PatchNNConfig = SMALL) -> PatchNN:
    return PatchNN.fit(Clip(video, FPS), config, rng=seeded())


def test_a_periodic_clip_comes_back_without_noise():
    """Each of its patches is the clip's already, at every scale: nearest is what is there, and all vote for it."""
    period = blobs(6)
    model = fitted(torch.cat([period] * 6, dim=1), PatchNNConfig(noise=0.0, coarsest=8))
    assert len(model.scales) > 2
    made = model.synthesize(40, rng=seeded(2)).video
    errors = torch.stack([(made[:, 0] - period[:, k]).abs().max() for k in range(6)])
    phase = int(errors.argmin())
    expected = period[:, (torch.arange(40) + phase) % 6]
    assert float((made - expected).square().mean().sqrt()) < 0.02 * float(period.std())


def test_scales_shrink_to_the_coarsest_and_no_further():
    model = fitted(blobs(30, height=40, width=64), PatchNNConfig(coarsest=12, coarsest_frames=10, factor=0.5))
    assert [tuple(s.video.shape[1:]) for s in model.scales] == [(15, 20, 32), (30, 40, 64)]
    slow = fitted(blobs(30, height=40, width=64), PatchNNConfig(coarsest=12, coarsest_frames=20, factor=0.5))
    assert [tuple(s.video.shape[1:]) for s in slow.scales] == [(30, 20, 32), (30, 40, 64)]


def patches(video: Tensor) -> Tensor:
    """All patches of 3x3x3, inside the frame."""
    cut = video.unfold(1, 3, 1).unfold(2, 3, 1).unfold(3, 3, 1)  # (C, T', H', W', 3, 3, 3)
    return cut.permute(1, 2, 3, 0, 4, 5, 6).flatten(3).flatten(0, 2)


def far(of: Tensor, among: Tensor) -> float:
    """Mean distance of patches to the nearest among others."""
    rows = patches(of)[::7]
    return float(torch.cdist(rows, patches(among)).amin(1).mean())


def test_its_patches_are_the_clips_and_it_is_no_copy():
    video = blobs(36)
    made = fitted(video).synthesize(36, rng=seeded(3)).video
    other = blobs(36, seed=8)  # of the same law
    assert far(made, video) < 0.6 * far(other, video)
    frames = (made[:, :, None] - video[:, None]).square().mean((0, 3, 4)).sqrt()
    assert float(frames.amin(1).mean()) > 0.1 * float(video.std())


def test_noise_makes_it_new_and_no_noise_keeps_to_the_beginning():
    video = blobs(36)
    base = video[:, 5:29]
    none = torch.empty(3, 0, 14, 18)
    errors = []
    for noise in (0.0, 4.0, 12.0):
        model = fitted(
            video, PatchNNConfig(patch=(3, 3, 3), rounds=(3, 2), coarsest=8, coarsest_frames=36, noise=noise)
        )
        errors.append(float((model.made(base, none, none, rng=seeded(4)) - base).square().mean().sqrt()))
    assert errors[0] < 0.1 * float(video.std())
    assert errors[0] < errors[1] < errors[2]


def test_a_small_alpha_makes_the_result_show_more_of_the_clip():
    """A third of the clip is of another kind, which a beginning without it has to take up."""
    video = blobs(36)
    video[:, 24:] = 0.5 * video[:, 24:] + 0.45 * torch.sin(2.0 * torch.arange(18.0))
    none = torch.empty(3, 0, 14, 18)
    missing = []
    for alpha in (1e-4, 1e3):
        config = PatchNNConfig(patch=(3, 3, 3), rounds=(4, 2), coarsest=14, noise=0.5, alpha=alpha)
        model = fitted(video, config)
        missing.append(far(video, model.made(video[:, :24], none, none, rng=seeded(5))))
    assert missing[0] < 0.9 * missing[1]


def test_what_is_held_is_held_and_the_rest_goes_on_from_there():
    video = blobs(36)
    model = fitted(video)
    before, after = video[:, 3:8], video[:, 20:26]
    base = video[:, 3:33]
    made = model.made(base, before, after, rng=seeded(6))
    assert torch.equal(made[:, :5], before)
    assert torch.equal(made[:, -6:], after)
    steps = along(Clip(made, FPS))[0]
    assert float(steps[[4, 23]].max()) < 2.0 * float(steps.median())


@pytest.mark.parametrize("n_frames", [1, 2, 3, 30, WHOLE, WHOLE + 1, 2 * CHUNK + 5])
def test_loops_close_as_other_steps_do(n_frames: int):
    model = fitted(blobs(30))
    loop = model.synthesize(n_frames, rng=seeded(7), loop=True)
    assert loop.n_frames == n_frames
    assert torch.equal(concatenate(model.stream(n_frames, rng=seeded(7), loop=True)).video, loop.video)
    steps = around(loop)[0] if n_frames > 2 else torch.zeros(2)
    assert float(steps[-1]) <= 2.0 * float(steps.median())


def test_chunks_fit_together():
    made = fitted(blobs(30)).synthesize(3 * CHUNK, rng=seeded(8))
    steps = along(made)[0]
    for seam in (CHUNK - 1, 2 * CHUNK - 1):
        assert float(steps[seam]) < 2.0 * float(steps.median())


@pytest.mark.parametrize("loop", [False, True])
def test_it_begins_with_the_anchor(loop: bool):
    video = blobs(30)
    stranger = Clip(blobs(4, seed=9), FPS)
    for anchor in (Clip(video[:, 29:], FPS), stranger):
        for n_frames in (1, 20, 110):
            made = fitted(video).synthesize(n_frames, rng=seeded(10), anchor=anchor, loop=loop)
            assert torch.equal(made.video[:, 0], anchor.video[:, 0])
            assert made.n_frames == n_frames


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"patch": (3, 4, 3)}, "odd numbers"),
        ({"patch": (0, 3, 3)}, "a patch of"),
        ({"factor": 1.0}, "factor is 1"),
        ({"noise": -0.5}, "noise is -0.5"),
        ({"alpha": 0.0}, "alpha 0"),
        ({"rounds": (0, 1)}, "counts"),
        ({"coarsest": 0}, "counts"),
    ],
)
def test_numbers_out_of_range_are_refused(config: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=said):
        fitted(blobs(6), PatchNNConfig(**config))


def test_two_frames_are_too_few():
    with pytest.raises(InputError, match="clip has 2 frames; patch-nn needs at least 3"):
        fitted(blobs(2))
