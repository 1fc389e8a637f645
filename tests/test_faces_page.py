"""Faces with a hole: what needs no network fills it as it says, and only what was hidden is measured."""

from __future__ import annotations

import math

import pytest
import torch

from dyntex.benchmarks.studies.faces import (
    FPS,
    HOLE,
    SIDE,
    filled,
    gaussian,
    mean_face,
    measure,
    nearest_face,
    read_faces,
)
from dyntex.clip import Clip


def noise(n: int, rng: torch.Generator) -> torch.Tensor:
    return 0.2 * torch.randn((n, 1, 1, SIDE, SIDE), generator=rng).clamp(-3.0, 3.0)


def test_controls_see_what_is_seen_and_fill_what_is_hidden(rng: torch.Generator):
    # Faces of two numbers: the hidden pixels are the second, which the seen ones tell.
    first, second = torch.randn((2, 40), generator=rng) * 0.2
    faces = first.view(-1, 1, 1, 1, 1).expand(-1, 1, 1, SIDE, SIDE).clone()
    faces[:, :, :, : SIDE // 2, : SIDE // 4] = second.view(-1, 1, 1, 1, 1)
    faces[..., HOLE, HOLE] = second.view(-1, 1, 1, 1, 1)
    faces = faces.clamp(-1.0, 1.0)
    train, heldout = faces[:30], faces[30:]
    errors = {
        name: measure(filled(fit(train), heldout), heldout)["error"]
        for name, fit in {"mean": mean_face, "nearest": nearest_face, "Gaussian": gaussian}.items()
    }
    assert errors["Gaussian"] < 0.1 * errors["mean"]
    assert errors["Gaussian"] < errors["nearest"] < errors["mean"]
    assert measure(filled(nearest_face(faces), heldout), heldout)["error"] == pytest.approx(0.0, abs=1e-4)
    whole = filled(mean_face(train), heldout)
    seen = torch.ones(SIDE, SIDE, dtype=torch.bool)
    seen[HOLE, HOLE] = False
    assert torch.equal(whole[..., seen], heldout[..., seen])
    torch.testing.assert_close(whole[..., ~seen], train.mean(0)[..., ~seen].expand(10, -1, -1, -1))


def test_only_the_hole_is_measured_face_by_face(rng: torch.Generator):
    heldout = noise(4, rng)
    shifts = torch.tensor([0.1, 0.2, 0.1, 0.2]).view(-1, 1, 1, 1, 1)
    whole = heldout + 0.9
    whole[..., HOLE, HOLE] = (heldout + shifts)[..., HOLE, HOLE]
    found = measure(whole, heldout)
    assert found["error"] == pytest.approx(127.5 * 0.15, rel=1e-5)
    assert found["psnr"] == pytest.approx(10 * (math.log10(4 / 0.01) + math.log10(4 / 0.04)) / 2, rel=1e-5)


def test_one_face_of_five_is_held_out():
    train, heldout = read_faces()
    assert (len(train), len(heldout)) == (80, 20)
    assert Clip(train[0], FPS).video.shape == (1, 1, SIDE, SIDE)
    assert not any(torch.equal(a, b) for a in heldout for b in train)
