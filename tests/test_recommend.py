"""The recommended method: from clips whose kind is known by how they were made."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import done, dyntex
from torch import Tensor

from dyntex.clip import Clip
from dyntex.errors import InputError
from dyntex.experiment.advice import choose_method
from dyntex.media import read_clip
from dyntex.textures.recommend import foreignness_of_mixes, recommend, return_cost
from dyntex.textures.transitions import frame_distances

FPS = Fraction(25)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(n_frames: int = 64, side: int = 32) -> Clip:
    """Waves of random amplitudes: whatever is mixed of them is of the same law."""
    g = seeded(1)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    waves = torch.stack([torch.sin(0.2 * (k % 5) * x + 0.3 * (k % 7) * y + k) for k in range(24)])
    amplitudes = torch.zeros(n_frames, 24)
    for t in range(n_frames):
        before = amplitudes[t - 1] if t else torch.randn(24, generator=g)
        amplitudes[t] = 0.6 * before + 0.8 * torch.randn(24, generator=g)
    video = 0.08 * torch.einsum("tk,khw->thw", amplitudes, waves)
    return Clip(video.clamp(-1, 1)[None], FPS)


def bar(angles: Tensor, side: int = 32) -> Clip:
    """A bright bar that turns as a whole."""
    y, x = torch.meshgrid(torch.arange(side) - side / 2, torch.arange(side) - side / 2, indexing="ij")
    distance = (x * torch.sin(angles)[:, None, None] - y * torch.cos(angles)[:, None, None]).abs()
    return Clip((0.9 - 1.8 * torch.sigmoid(3 * (distance - 3.0)))[None], FPS)


def lamp(n_frames: int = 64, side: int = 32) -> Clip:
    """Stripes that are wholly on or off, by chance."""
    on = (torch.rand(n_frames // 4, generator=seeded(2)) < 0.5).repeat_interleave(4)
    on[:4], on[4:8] = True, False
    stripes = (torch.arange(side) % 8 < 4).float()
    noise = 0.01 * torch.randn(n_frames, side, side, generator=seeded(3))
    return Clip((on.view(-1, 1, 1) * stripes * 1.6 - 0.8 + noise)[None].clamp(-1, 1), FPS)


def test_what_can_be_mixed_is_learnt():
    found = recommend(gaussian())
    assert found.method == "shot-noise"
    assert found.mixing == pytest.approx(1.0, abs=0.25)


def test_a_lamp_that_switches_as_a_whole_is_shown_in_another_order():
    found = recommend(lamp())
    assert found.method == "video-texture"
    assert found.mixing is not None
    assert found.mixing > 4.0
    assert found.return_cost is not None
    assert found.return_cost < 0.2


def test_what_turns_as_a_whole_is_shown_again_if_it_comes_round_and_else_made_of_patches():
    turns = torch.arange(64) * 2 * torch.pi
    round_and_round = recommend(bar(turns / 24))  # the bar comes back after 12 frames
    once = recommend(bar(turns / 160))  # not half round
    assert (round_and_round.method, once.method) == ("video-texture", "patch-nn")
    assert round_and_round.return_cost == pytest.approx(0.0, abs=0.02)
    assert once.return_cost is not None
    assert once.return_cost > 0.6


@pytest.mark.parametrize(
    ("name", "method"),
    [("flag", "patch-nn"), ("flame", "shot-noise"), ("ripples", "shot-noise"), ("clouds", "shot-noise")],
)
def test_examples(name: str, method: str):
    found = recommend(read_clip(f"example:{name}", size=64, n_frames=64))
    assert found.method == method, found


def test_frames_of_a_mixture_are_foreign_where_the_clip_is_never_grey():
    """Frames that are black or white: a mix is grey, one of other times is not."""
    on = (torch.arange(32) % 2).float()
    noise = 0.02 * torch.randn(1, 32, 16, 16, generator=seeded(4))
    clip = Clip((on * 1.6 - 0.8).view(1, 32, 1, 1) + noise, FPS)
    assert foreignness_of_mixes(clip) > 20.0


def test_a_return_costs_nothing_where_the_clip_repeats_and_about_all_where_it_is_noise():
    frames = torch.rand(1, 12, 8, 8, generator=seeded(5)) * 2 - 1
    repeated = frame_distances(Clip(torch.cat([frames] * 4, dim=1), FPS))
    assert return_cost(repeated) < 1e-6
    noise = frame_distances(Clip(torch.rand(1, 64, 8, 8, generator=seeded(6)) * 2 - 1, FPS))
    overall = float(noise.square().sum() / (64 * 63)) ** 0.5
    assert 0.75 < return_cost(noise) / overall < 1.0


def test_a_measurement_is_the_same_each_time_and_touches_no_other_chance():
    state = torch.get_rng_state()
    assert recommend(gaussian()) == recommend(gaussian())
    assert torch.equal(torch.get_rng_state(), state)


def test_what_cannot_be_measured_is_shown_again_and_said():
    still = recommend(Clip(torch.full((3, 20, 16, 16), 0.3), FPS))
    short = recommend(gaussian(15))
    for found, word in ((still, "nothing moves"), (short, "15 frames are too few")):
        assert (found.method, found.mixing, found.return_cost) == ("video-texture", None, None)
        assert word in found.reason
    assert recommend(gaussian(16)).method == "shot-noise"
    with pytest.raises(InputError, match="1 frame"):
        recommend(gaussian(1))


@pytest.mark.parametrize(("height", "width"), [(1, 20), (20, 1), (4, 64), (90, 130)])
def test_any_size_can_be_measured(height: int, width: int):
    video = torch.rand(3, 20, height, width, generator=seeded(7)) * 2 - 1
    assert recommend(Clip(video, FPS)).mixing is not None


# --- the command line --------------------------------------------------------


@pytest.fixture(scope="module")
def lamp_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("lamp") / "lamp.npy"
    np.save(place, lamp().to_uint8().repeat(3, axis=3))
    return place


def test_info_recommends_and_a_draft_takes_it(lamp_file: Path, tmp_path: Path):
    about = done("info", lamp_file, "--no-measure", "--json").json["recommended"]
    assert about["method"] == "video-texture"
    assert about["mixing"] > 2.2
    said = done("info", lamp_file, "--no-measure").out
    assert "without training --method video-texture: it moves as a whole and comes back" in said
    assert f"mixed frames are {about['mixing']} times as foreign" in said
    outcome = done("synthesize", lamp_file, "-o", tmp_path / "a.npy", "--quality", "draft", "--size", 16, "--json")
    assert outcome.json["preset"] == "video-texture"
    assert "--method auto takes video-texture: it moves as a whole" in outcome.err


def test_auto_takes_what_the_other_options_need(lamp_file: Path, tmp_path: Path):
    assert (
        choose_method(lamp_file, networks=True)[0] == choose_method(lamp_file, networks=True, draft=True)[0] == "coop"
    )
    assert choose_method(lamp())[0] == "segments"
    assert choose_method(lamp(), draft=True)[0] == "video-texture"
    assert choose_method(lamp().segment(0, 12))[0] == "video-texture", "too short for segments"
    assert choose_method(lamp().segment(0, 1))[0] == "coop"
    outcome = dyntex("synthesize", tmp_path / "none.mp4", "-o", tmp_path / "a.mp4")
    assert outcome.code == 3
    assert "none.mp4" in outcome.err
    assert list(tmp_path.iterdir()) == []
