"""The method ``segments``: what is taken of several generators, and why."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_tilting import rolling, seeded
from torch import Tensor

from dyntex.clip import Clip
from dyntex.coopnets import segments
from dyntex.coopnets.contrast import crops
from dyntex.coopnets.segments import Candidate, Segments, SegmentsConfig, SegmentsTraining, reduced
from dyntex.coopnets.selection import Judgement, auc, best, judge
from dyntex.coopnets.tilting import TiltConfig, TiltInfo, draw
from dyntex.errors import InputError, UsageError
from dyntex.networks.segment_field import SegmentField, SegmentFieldConfig
from dyntex.textures.config import ShotNoiseConfig
from dyntex.textures.shot_noise import ShotNoise

FIELD = SegmentFieldConfig(regions=2, length=8, overlap=2, sweeps=2)
FRONT = replace(FIELD, front=3)
TRAINING = TiltConfig(iterations=4, every=2, n_chains=3, novelty=0.0)
CONFIG = SegmentsConfig((FIELD, FRONT), training=TRAINING, judged=2)
UNTRAINED = replace(CONFIG, training=replace(TRAINING, iterations=0))


def locked(gen: SegmentField) -> SegmentField:
    """The same with neighbours that agree always, on bars that come again after 16 frames."""
    other = copy.deepcopy(gen)
    with torch.no_grad():
        T = len(gen.frames)
        phase = (torch.arange(T + 1)[:, None] - torch.arange(T + 1)) * (2 * torch.pi / 16)
        other.seam.copy_(200.0 * torch.cos(phase[:T, :T]) - 200.0)
        other.jump.copy_(50.0 * torch.cos(phase) - 50.0)
    return other


def draws(gen: SegmentField, n_frames: int) -> Callable[[int], Tensor]:
    rng = seeded(5)
    return lambda n: draw(gen, n, n_frames, rng=rng)


def test_a_critic_tells_what_is_broken_from_what_is_whole():
    video = rolling().video[None]
    broken = SegmentField(FIELD, video)
    candidates = [draws(broken, 32), draws(locked(broken), 32)]
    for order in (candidates, candidates[::-1]):
        found = judge(order, video[:, :, :32], video[:, :, 32:], iterations=80, rng=seeded(0))
        torn, whole = found if order is candidates else found[::-1]
        assert torn.auc > whole.auc + 0.1
        assert torn.novelty > whole.novelty


def test_the_best_is_new_and_like_the_clip():
    assert best([Judgement(0.9, 1.0), Judgement(0.6, 0.8), Judgement(0.5, 0.1)]) == 1, "a replay is left out"
    assert best([Judgement(0.9, 0.1), Judgement(0.6, 0.2)]) == 1, "of replays the newest"
    assert best([Judgement(0.6, 0.5), Judgement(0.6, 0.9)]) == 0, "the first of equals"


def test_the_incumbent_stays_unless_another_is_clearly_better():
    assert best([Judgement(0.65, 1.0), Judgement(0.7, 1.0)], incumbent=1) == 1
    assert best([Judgement(0.5, 1.0), Judgement(0.7, 1.0)], incumbent=1) == 0
    assert best([Judgement(0.65, 1.0), Judgement(0.7, 0.1)], incumbent=1) == 0, "not a replay"


def test_auc_is_the_share_of_pairs():
    assert auc(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0, 3.0])) == pytest.approx(3.5 / 6)


def test_crops_are_cut_at_all_places_of_all_samples_of_all_kinds():
    y = torch.stack([torch.arange(20 * 40 * 36).view(1, 20, 40, 36).float() + 1e5 * i for i in range(3)])
    found = crops([y, y[:1] + 3e5], 400, seeded(0))
    assert found.shape == (400, 1, 12, 32, 32)
    first = found[:, 0, 0, 0, 0].long()
    counts = (first // 100000).bincount().tolist()
    assert min(counts[:3]) > 40, "three samples of one kind"
    assert 160 < counts[3] < 240, "and the one of another kind is as likely as they together"
    at = first % 100000
    assert set((at // (40 * 36)).tolist()) == set(range(9))
    assert set((at // 36 % 40).tolist()) == set(range(9))
    assert set((at % 36).tolist()) == set(range(5))
    assert torch.equal(found[0, 0].diff(dim=-1), torch.ones(12, 32, 31))
    assert crops([torch.zeros(1, 3, 10, 16, 40)], 2, seeded(0)).shape == (2, 3, 10, 16, 32)
    assert crops([y, y[:, :, :7]], 2, seeded(0)).shape == (2, 1, 7, 32, 32), "all of one size"


def judging(monkeypatch: pytest.MonkeyPatch, aucs: list[float]) -> list[int]:
    """A critic that says these; how many candidates it was asked about."""
    asked: list[int] = []

    def said(candidates: list[Callable[[int], Tensor]], *_: object, **__: object) -> list[Judgement]:
        asked.append(len(candidates))
        for candidate in candidates:
            assert candidate(2).shape == (2, 3, 32, 32, 32), "samples as long as what the critic learns from"
        return [Judgement(a, 1.0) for a in aucs]

    monkeypatch.setattr(segments, "judge", said)
    return asked


@pytest.mark.parametrize(
    ("taken", "kind", "trained"),
    [(0, "segments", True), (1, "fronts", True), (2, "shot-noise", False)],
)
def test_what_the_critic_prefers_is_taken(monkeypatch: pytest.MonkeyPatch, taken: int, kind: str, trained: bool):
    asked = judging(monkeypatch, [0.9 - 0.3 * (i == taken) for i in range(3)])
    infos: list[TiltInfo] = []
    model = Segments.fit(rolling(), CONFIG, rng=seeded(0), on_step=infos.append)
    assert asked == [3]
    assert [info.iteration for info in infos] == [1, 2, 1, 2, 3, 4, 3, 4], "both fields in turns"
    assert model.taken == taken
    assert model.candidates[taken] == Candidate(kind, trained, Judgement(pytest.approx(0.6), 1.0))  # type: ignore[arg-type]
    if kind == "shot-noise":
        assert isinstance(model.gen, ShotNoise)
    else:
        assert isinstance(model.gen, SegmentField)
        assert model.gen.trained
        assert bool(model.gen.config.front) is (kind == "fronts")
    assert len(model.gen.frames if isinstance(model.gen, SegmentField) else model.gen.clip()[0]) == 40, "of all frames"
    y = model.synthesize(30, rng=seeded(1), loop=True)
    assert y.video.shape == (3, 30, 32, 32)
    assert [chunk.n_frames for chunk in model.stream(150, rng=seeded(1))] == [64, 64, 22]


def test_candidates_do_not_show_the_held_frames(monkeypatch: pytest.MonkeyPatch):
    clip = rolling()
    clip.video[:, 32:] = 1.0

    def look(candidates: list[Callable[[int], Tensor]], *_: object, **__: object) -> list[Judgement]:
        for candidate in candidates:
            assert float(candidate(3).mean((1, 3, 4)).max()) < 0.6
        return [Judgement(0.5, 1.0)] * len(candidates)

    monkeypatch.setattr(segments, "judge", look)
    Segments.fit(clip, CONFIG, rng=seeded(0))


def test_nothing_is_judged_where_nothing_is_trained(monkeypatch: pytest.MonkeyPatch):
    asked = judging(monkeypatch, [])
    model = Segments.fit(rolling(), UNTRAINED, rng=seeded(0))
    assert not asked
    assert not model.candidates
    assert isinstance(model.gen, SegmentField)
    assert not model.gen.trained


def test_seconds_bound_the_training(monkeypatch: pytest.MonkeyPatch):
    judging(monkeypatch, [0.5] * 3)
    infos: list[TiltInfo] = []
    config = replace(CONFIG, training=replace(TRAINING, iterations=10**6))
    monkeypatch.setattr(segments, "LEAST_SECONDS", 0.0)
    Segments.fit(rolling(), config, rng=seeded(0), seconds=0.001, on_step=infos.append)
    assert len(infos) == 4, "one step of each, and no more"
    monkeypatch.setattr(segments, "LEAST_SECONDS", 1.0)
    model = Segments.fit(rolling(), config, rng=seeded(0), seconds=0.9, on_step=infos.append)
    assert len(infos) == 4, "and in less than enough for a step, none"
    assert not model.candidates


def test_seconds_bound_the_critic():
    video = rolling().video[None]
    candidates = [draws(SegmentField(FIELD, video), 32)]
    found = judge(candidates, video[:, :, :32], video[:, :, 32:], iterations=10**9, seconds=0.2, rng=seeded(0))
    assert len(found) == 1


@pytest.mark.parametrize("kind", [FIELD, FRONT, None])
def test_a_model_is_saved_and_loaded(tmp_path: Path, kind: SegmentFieldConfig | None):
    clip = rolling()
    gen: SegmentField | ShotNoise
    if kind is None:
        gen = ShotNoise(CONFIG.shot_noise or ShotNoiseConfig(), clip.video)
    else:
        gen = SegmentField(kind, clip.video[None])
        with torch.no_grad():
            gen.jump.normal_(generator=seeded(2))
    model = Segments(gen, clip.fps, (Candidate("fronts", True, Judgement(0.6, 0.9)),), 0)
    model.save(tmp_path / "model")
    again = Segments.load(tmp_path / "model")
    assert (again.fps, again.candidates, again.taken, again.kind) == (model.fps, model.candidates, 0, model.kind)
    assert again.shape == (3, 40, 32, 32)
    one, two = (m.synthesize(70, rng=seeded(1)).video for m in (model, again))
    assert torch.equal(one, two)
    (tmp_path / "model" / "model.safetensors").write_bytes(b"not a model")
    with pytest.raises(InputError, match="damaged"):
        Segments.load(tmp_path / "model")


def test_large_frames_are_learnt_small_and_shown_large():
    clip = rolling(40, 48)
    small = reduced(clip.video, 32)
    assert small.shape == (3, 40, 32, 32)
    assert reduced(clip.video, 64) is clip.video
    assert reduced(torch.ones(3, 2, 40, 80), 20).shape == (3, 2, 20, 40)
    assert torch.allclose(small.mean(), clip.video.mean(), atol=1e-3)
    training = SegmentsTraining(clip, replace(CONFIG, side=32), rng=seeded(0))
    assert training.fields[0].frames.shape == (40, 3, 32, 32)
    training.step()
    full = training.full(training.fields[0])
    assert isinstance(full, SegmentField)
    assert full.frames.shape == (40, 3, 48, 48)
    assert torch.equal(full.seam, training.fields[0].seam)
    assert full.seam.any()
    assert full.seam is not training.fields[0].seam, "the training may go on"


def test_the_same_seed_learns_and_makes_the_same(monkeypatch: pytest.MonkeyPatch):
    judging(monkeypatch, [0.5, 0.9, 0.9])
    fits = [Segments.fit(rolling(), CONFIG, rng=seeded(0)) for _ in range(2)]
    one, again, other = (fits[i].synthesize(30, rng=seeded(s)).video for i, s in ((0, 1), (1, 1), (0, 2)))
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_what_it_cannot_do_is_refused():
    model = Segments.fit(rolling(), UNTRAINED, rng=seeded(0))
    assert model.n_parameters == 40 * 3 * 32 * 32 + 2 * 4 * 32 * 32 + 4 * 40 * 40 + 4 * 41 * 41
    with pytest.raises(UsageError, match="0 frames were asked for"):
        model.synthesize(0, rng=seeded(1))
    with pytest.raises(UsageError, match="an anchor is not possible"):
        model.synthesize(9, rng=seeded(1), anchor=rolling())
    with pytest.raises(UsageError, match="a prediction is not possible"):
        model.predict(rolling(), 5)
    with pytest.raises(InputError, match="clip has 15 frames; segments needs at least 16"):
        Segments.fit(rolling(15), rng=seeded(0))
    with pytest.raises(InputError, match="frames are 10x10; segments needs 12"):
        Segments.fit(rolling(20, 10), rng=seeded(0))


def test_the_smallest_clips_are_learnt():
    for clip in (rolling(16, 32), rolling(40, 12), Clip(rolling(16, 12).video[:1], rolling().fps)):
        model = Segments.fit(clip, CONFIG, rng=seeded(0))
        assert len(model.candidates) == 3
        assert model.synthesize(20, rng=seeded(0)).video.isfinite().all()
