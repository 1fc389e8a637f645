"""The critic on textures that are easily told apart, or are one: who is learnt from, who is asked, which seed."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from dyntex.benchmarks.metrics import CriticResult, critic_auc, critic_real
from dyntex.benchmarks.metrics.critic import Critic, auc
from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError

FAST = {"n_seeds": 1, "iterations": 40}


def grating(kind: str, seed: int, *, n_frames: int = 24, side: int = 32, contrast: float = 0.5) -> Clip:
    """Waves of 8 pixels of a random phase that travel "down" or "across" by a pixel a frame, under a little noise."""
    rng = torch.Generator().manual_seed(seed)
    t, y, x = torch.meshgrid(torch.arange(n_frames), torch.arange(side), torch.arange(side), indexing="ij")
    phase = 2 * math.pi * (((y if kind == "down" else x) - t) / 8 + torch.rand((), generator=rng))
    video = contrast * torch.stack([phase.cos()] * 3)
    return Clip((video + 0.05 * contrast * torch.randn(video.shape, generator=rng)).clamp(-1, 1), Fraction(25))


def waves(kind: str, *seeds: int) -> list[Clip]:
    return [grating(kind, seed) for seed in seeds]


@pytest.mark.parametrize(
    ("learnt", "asked", "held_out", "expected"),
    [
        ("across", "across", "down", (0.95, 1.0)),  # what it has learnt to tell, it tells
        ("across", "down", "across", (0.0, 0.05)),  # the roles turned round: held-out looks made, the others look real
        ("across", "down", "down", (0.2, 0.8)),  # nobody asks about the samples that it learnt to tell
    ],
)
def test_it_learns_from_two_thirds_and_is_asked_about_the_rest_and_the_held_out_clip(
    learnt: str, asked: str, held_out: str, expected: tuple[float, float]
):
    samples = [*waves(learnt, 1, 2, 3, 4), *waves(asked, 5, 6)]
    found = critic_auc(grating("down", 0), grating(held_out, 9), samples, seed=0, **FAST)
    assert expected[0] <= found.auc <= expected[1]


def test_of_two_samples_it_learns_from_one_and_is_asked_about_the_other():
    pair = [*waves("across", 1), *waves("down", 5)]
    assert critic_auc(grating("down", 0), grating("across", 9), pair, seed=0, **FAST).auc < 0.05


def test_a_faint_clip_is_judged_as_well_as_a_plain_one():
    clips = [grating(kind, seed, contrast=0.06) for kind in ("down", "across") for seed in range(3)]
    assert critic_auc(clips[0], clips[1], clips[3:], seed=0, n_seeds=1, iterations=80).auc > 0.95


def test_the_seed_decides_and_nothing_else():
    training, held_out, samples = grating("down", 0), grating("down", 9), waves("down", 1, 2, 3)

    def ask(seed: int) -> CriticResult:
        return critic_auc(training, held_out, samples, seed=seed, n_seeds=2, iterations=3)

    threads, state = torch.get_num_threads(), torch.get_rng_state()
    first = ask(0)
    try:
        torch.set_num_threads(2)
        torch.rand(5, generator=None)
        assert ask(0) == first
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
        torch.set_rng_state(state)
    assert ask(1).aucs != first.aucs
    assert first.aucs[0] != first.aucs[1]
    assert first.auc == pytest.approx(sum(first.aucs) / 2)
    assert first.iterations == (3, 3)


def test_it_stops_early_where_all_is_told_apart():
    black, white = (Clip(torch.full((3, 12, 32, 32), v), Fraction(25)) for v in (-1.0, 1.0))
    found = critic_auc(grating("down", 0), grating("down", 1), [black, white, black], seed=0, n_seeds=1)
    assert found.iterations[0] < 300
    assert found.auc > 0.95


def test_real_footage_that_drifts_cannot_be_told_from_itself():
    # The waves brighten all along: a critic of early against late frames could tell, interleaved blocks cannot.
    def brighter(clip: Clip) -> Clip:
        return Clip((clip.video + torch.linspace(-0.3, 0.3, clip.n_frames).view(-1, 1, 1)).clamp(-1, 1), clip.fps)

    clip = brighter(grating("down", 0, n_frames=256))
    training, held_out = clip.segment(0, 128), clip.segment(128, 128)
    assert critic_real(training, held_out, seed=0, n_seeds=1, iterations=60).auc < 0.75
    late = [held_out.segment(start, 32) for start in (0, 32, 64, 96)]
    # ... and the drift is there to be seen.
    assert critic_auc(training, training, late, seed=0, n_seeds=1, iterations=60).auc > 0.9


def test_which_of_two_real_blocks_is_called_made_does_not_count():
    # Two blocks a segment, one down and one across: told apart with certainty, whichever is called real.
    down, across = waves("down", 0, 1), waves("across", 0, 1)

    def joined(a: Clip, b: Clip) -> Clip:
        return Clip(torch.cat([a.video, b.video], dim=1), a.fps)

    for training, held_out in (
        (joined(down[0], across[0]), joined(down[1], across[1])),
        (joined(down[0], across[0]), joined(across[1], down[1])),
    ):
        assert critic_real(training, held_out, seed=0, **FAST).auc > 0.95


def test_area_under_the_curve_counts_pairs():
    assert auc(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 0.0])) == 1.0
    assert auc(torch.tensor([1.0, 0.0]), torch.tensor([2.0, 3.0])) == 0.0
    assert auc(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 2.5])) == (0 + 0 + 0.5 + 0 + 1 + 1) / 6
    assert auc(torch.zeros(4), torch.zeros(5)) == 0.5


def test_the_critic_sees_crops_in_the_training_segments_units():
    def critic(mean: float, std: float) -> Critic:
        about = {"mean": torch.full((3, 1, 1, 1), mean), "std": torch.full((3, 1, 1, 1), std)}
        return Critic(3, **about, rng=torch.Generator().manual_seed(0))

    crops = torch.randn((2, 3, 12, 32, 32), generator=torch.Generator().manual_seed(1))
    logits = critic(0.0, 1.0)(crops)
    assert logits.shape == (2, 2, 4, 4)
    assert torch.allclose(critic(0.3, 0.1)(0.3 + 0.1 * crops), logits, atol=1e-4)


def still(n_frames: int, side: int) -> Clip:
    return Clip(torch.zeros((3, n_frames, side, side)), Fraction(25))


def test_what_it_cannot_judge_is_said_in_one_line():
    good = grating("down", 0)
    with pytest.raises(InputError, match="1 was given: draw at least 2"):
        critic_auc(good, good, [good], seed=0)
    with pytest.raises(InputError, match="11 frames and the critic's crops 12"):
        critic_auc(good, good, [good, good.segment(0, 11)], seed=0)
    with pytest.raises(InputError, match="1 frames"):
        critic_auc(good.segment(0, 1), good, [good, good], seed=0)
    with pytest.raises(InputError, match="31x31 and the critic's crops 32x32"):
        critic_auc(*(still(24, 31),) * 2, [still(24, 31)] * 2, seed=0)
    with pytest.raises(InputError, match="nothing moves"):
        critic_auc(still(24, 32), good, [good, good], seed=0)
    with pytest.raises(InputError, match="bring them to one size"):
        critic_auc(good, good, [good, grating("down", 1, side=40)], seed=0)
    with pytest.raises(InputError, match="23 frames is too short"):
        critic_real(grating("down", 0, n_frames=23), good, seed=0)
    with pytest.raises(UsageError, match="0 critics"):
        critic_auc(good, good, [good, good], seed=0, n_seeds=0)
    with pytest.raises(UsageError, match="0 iterations"):
        critic_real(good, good, seed=0, iterations=0)
