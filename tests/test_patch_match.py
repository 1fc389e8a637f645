"""Space-time patches: their components, their nearest neighbours and their votes, against loops over all of them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from dyntex.baselines import patch_match
from dyntex.baselines.patch_match import Size, fit_basis, nearest, rescaled, resized, spread, vote

SIZE = Size(2, 3, 3)  # 18 values of a grey patch: fewer than there are components


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(shape, generator=seeded(seed)) * 2 - 1


def smooth(*shape: int, seed: int = 1) -> Tensor:
    """(C, T, H, W) whose neighbours are alike."""
    coarse = noise(1, shape[0], *(n // 3 + 2 for n in shape[1:]), seed=seed)
    return torch.nn.functional.interpolate(coarse, shape[1:], mode="trilinear", align_corners=True)[0]


def patches(video: Tensor, size: Size, *, periodic: bool = False) -> Tensor:
    """(T', H, W, C * pt * py * px), pixel by pixel: borders repeated, time open or a circle."""
    C, T, H, W = video.shape
    n = T if periodic else T - size.t + 1
    out = torch.empty(n, H, W, C, *size)
    for t in range(n):
        for y in range(H):
            for x in range(W):
                for k in range(size.t):
                    for i in range(size.y):
                        for j in range(size.x):
                            row = min(max(y + i - size.y // 2, 0), H - 1)
                            column = min(max(x + j - size.x // 2, 0), W - 1)
                            out[t, y, x, :, k, i, j] = video[:, (t + k) % T, row, column]
    return out.flatten(3)


@pytest.mark.parametrize("periodic", [False, True])
def test_distances_of_components_are_mean_squared_differences(periodic: bool):
    video = noise(1, 5, 4, 6)
    basis = fit_basis(video, SIZE, rng=seeded())
    found = basis.components(video, periodic=periodic).flatten(0, 2)
    expected = patches(video, SIZE, periodic=periodic).flatten(0, 2)
    assert found.shape == (len(expected), 18)
    distances = (expected[:, None] - expected[None]).square().mean(-1)
    torch.testing.assert_close((found[:, None] - found[None]).square().sum(-1), distances, rtol=1e-4, atol=1e-6)


def test_the_components_are_those_along_which_patches_vary_most():
    """Two values that vary over all: with 75 values a patch 24 components hold what there is."""
    a, b = noise(1, 12, 1, 1, seed=2), noise(1, 12, 1, 1, seed=3)
    y, x = torch.meshgrid(torch.arange(9.0), torch.arange(9.0), indexing="ij")
    video = (a * torch.sin(0.8 * x) + b * torch.cos(0.7 * y)) * 0.5
    size = Size(3, 5, 5)
    found = fit_basis(video, size, rng=seeded()).components(video).flatten(0, 2)
    assert found.shape[1] == 24
    expected = patches(video, size).flatten(0, 2)
    i, j = torch.randint(len(found), (2, 200), generator=seeded(4))
    distances = (expected[i] - expected[j]).square().mean(-1)
    torch.testing.assert_close((found[i] - found[j]).square().sum(-1), distances, rtol=1e-2, atol=1e-4)


def grids(of: Tensor, among: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(of.shape[:3]), tuple(among.shape[:3])


def everywhere(grid: tuple[int, ...], at: tuple[int, int, int]) -> Tensor:
    return torch.tensor(at).view(3, 1, 1, 1).expand(3, *grid).clone()


@pytest.mark.parametrize("weighed", [False, True])
def test_few_patches_are_compared_with_all(weighed: bool):
    of, among = noise(3, 4, 5, 7, seed=5), noise(4, 5, 6, 7, seed=6)
    scale = torch.rand(4 * 5 * 6, generator=seeded(7)) + 0.1 if weighed else None
    at, distance = nearest(of, among, everywhere((3, 4, 5), (0, 0, 0)), scale=scale, rng=seeded())
    squared = (of.flatten(0, 2)[:, None] - among.flatten(0, 2)[None]).square().sum(-1)
    best = (squared if scale is None else squared * scale).argmin(1)
    assert torch.equal(((at[0] * 5 + at[1]) * 6 + at[2]).flatten(), best)
    torch.testing.assert_close(distance.flatten(), squared[torch.arange(60), best], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("periodic", [False, True])
def test_the_search_comes_near_to_comparing_with_all(periodic: bool, monkeypatch: pytest.MonkeyPatch):
    """Of smooth videos, whose neighbours' finds help; from a guess that is the same for all."""
    size = Size(3, 3, 3)
    clip, video = smooth(1, 12, 16, 18, seed=8), smooth(1, 10, 15, 17, seed=9)
    basis = fit_basis(clip, size, rng=seeded())
    of, among = basis.components(video, periodic=periodic), basis.components(clip)
    _, best = nearest(of, among, everywhere(grids(of, among)[0], (0, 0, 0)), rng=seeded())
    monkeypatch.setattr(patch_match, "EXACT", 0)
    at = everywhere(grids(of, among)[0], (0, 0, 0))
    other = among.flatten(0, 2)[torch.randint(among[..., 0].numel(), (of[..., 0].numel(),), generator=seeded())]
    any_patch = float((of.flatten(0, 2) - other).square().sum(1).mean())
    means = [any_patch]
    for k in range(4):
        at, distance = nearest(of, among, at, periodic=periodic, rng=seeded(k))
        means.append(float(distance.mean()))
        assert (distance >= best - 1e-6).all()
    assert means == sorted(means, reverse=True)  # never worse than the guess
    # How much is left of what a patch taken at random is farther than the nearest.
    assert means[-1] - float(best.mean()) < 0.1 * (any_patch - float(best.mean()))
    assert at.amin() >= 0
    assert (at.amax(dim=(1, 2, 3)) < torch.tensor(grids(of, among)[1])).all()


def test_what_neighbours_found_spreads_over_the_whole_video(monkeypatch: pytest.MonkeyPatch):
    """The clip moved by (2, 3, -2): one patch that knows it tells all others."""
    monkeypatch.setattr(patch_match, "EXACT", 0)
    monkeypatch.setattr(patch_match, "PASSES", 30)
    clip = noise(1, 12, 14, 14, seed=10)
    video = clip.roll((2, 3, -2), (1, 2, 3))
    size = Size(2, 3, 3)
    basis = fit_basis(clip, size, rng=seeded())
    of, among = basis.components(video), basis.components(clip)
    guess = everywhere(tuple(of.shape[:3]), (0, 0, 0))
    guess[:, 6, 7, 7] = torch.tensor([4, 4, 9])
    at, distance = nearest(of, among, guess, rng=seeded())
    inner = slice(2, None), slice(4, -1), slice(1, -4)  # where nothing wraps around
    assert float(distance[inner].max()) < 1e-6
    t, y, x = torch.meshgrid(*(torch.arange(n) for n in of.shape[:3]), indexing="ij")
    assert torch.equal(at[(slice(None), *inner)], torch.stack([t - 2, y - 3, x + 2])[(slice(None), *inner)])


@pytest.mark.parametrize(("n_frames", "periodic"), [(5, False), (5, True), (1, True), (2, True)])
def test_votes_are_means_over_the_patches_that_lie_over_a_pixel(n_frames: int, periodic: bool):
    size, source = Size(3, 3, 5), noise(2, 6, 5, 7)
    T, H, W = (n_frames if periodic else n_frames - 2), 4, 6
    highest = torch.tensor([4, 5, 7]).view(3, 1, 1, 1)
    at = (torch.rand(3, T, H, W, generator=seeded(11)) * highest).long()
    total, count = torch.zeros(2, n_frames, H, W), torch.zeros(n_frames, H, W)
    for t in range(T):
        for y in range(H):
            for x in range(W):
                t0, y0, x0 = (int(v) for v in at[:, t, y, x])
                for k in range(3):
                    for i in range(-1, 2):
                        for j in range(-2, 3):
                            if 0 <= y + i < H and 0 <= x + j < W:
                                row, column = min(max(y0 + i, 0), 4), min(max(x0 + j, 0), 6)
                                total[:, (t + k) % n_frames, y + i, x + j] += source[:, t0 + k, row, column]
                                count[(t + k) % n_frames, y + i, x + j] += 1
    made = vote(source, at, size, periodic=periodic)
    torch.testing.assert_close(made, total / count, rtol=0, atol=1e-5)


def test_patches_of_the_clip_at_their_own_places_vote_for_the_clip():
    clip = noise(3, 7, 6, 5)
    size = Size(3, 5, 3)
    at = spread((5, 6, 5), (5, 6, 5))
    torch.testing.assert_close(vote(clip, at, size), clip, rtol=0, atol=1e-6)


def test_what_was_found_at_one_scale_is_a_guess_at_the_next():
    """What is where it is stays where it is; and what is a third aside goes on being a third aside."""
    same = rescaled(spread((4, 6, 6), (4, 6, 6)), (7, 9, 9), (7, 9, 9), (4, 6, 6))
    assert torch.equal(same, spread((7, 9, 9), (7, 9, 9)))
    aside = spread((4, 6, 6), (4, 6, 6))
    aside[2] = (aside[2] + 2).clamp_max(5)
    guess = rescaled(aside, (4, 6, 12), (4, 6, 12), (4, 6, 6))
    assert guess[2, 0, 0].tolist() == [4, 5, 6, 7, 8, 9, 10, 11, 10, 11, 10, 11]


def test_resizing_keeps_means_where_smaller_and_planes_where_larger():
    video = noise(2, 8, 6, 4)
    small = resized(video, (4, 3, 2))
    assert small.shape == (2, 4, 3, 2)
    torch.testing.assert_close(small, video.view(2, 4, 2, 3, 2, 2, 2).mean((2, 4, 6)), rtol=0, atol=1e-6)
    assert torch.equal(resized(video, (8, 6, 4)), video)
    ramp = torch.linspace(-0.5, 0.5, 6).view(1, 1, 1, 6).expand(1, 2, 3, 6).contiguous()
    inner = resized(ramp, (2, 3, 12))[0, 0, 0, 1:-1].diff()
    torch.testing.assert_close(inner, inner[:1].expand_as(inner), rtol=1e-4, atol=1e-6)
    mixed = resized(video, (16, 3, 4))
    assert mixed.shape == (2, 16, 3, 4)
