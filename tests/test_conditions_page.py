"""What reads the attributes of clips reads those that they have, and the rules beside the networks do what they say."""

from __future__ import annotations

import colorsys
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

from dyntex.benchmarks.data import find_clips
from dyntex.benchmarks.studies.conditions import labels, sketches, texts
from dyntex.benchmarks.studies.conditions.attributes import drift, fit_reader, height, hue, speed
from dyntex.benchmarks.studies.conditions.captions import HELD_OUT, HUES, SYNONYMS, Scene, scenes
from dyntex.benchmarks.studies.conditions.conditions import Conditions
from dyntex.benchmarks.studies.conditions.shared import Found, Setup, trained_model
from dyntex.benchmarks.studies.conditions.sketches import Rules, follows
from dyntex.benchmarks.studies.questions.classifier import Classifier
from dyntex.benchmarks.study import PAGE, run
from dyntex.clip import Clip
from dyntex.conditions import Labels
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.errors import InputError, UsageError
from dyntex.networks.architecture import ConvGeneratorConfig, DescriptorConfig, Head, Layer

FPS = Fraction(12)


def tiny(size: int, window: int) -> CoopConfig:
    """Networks that learn nothing, quickly."""
    image = window == 1
    end = Layer(1, (1, size // 4, size // 4), padding="valid", activation="none")
    return CoopConfig.of(
        "tiny",
        DescriptorConfig((Head((Layer(2, (1, 4, 4), (1, 4, 4)), end)),), init_std=0.0),
        ConvGeneratorConfig(
            (2, 1, 1), (Layer(0, (1 if image else 4, size, size), (1 if image else 4, 1, 1), "valid"),)
        ),
        min_frames=window,
        window=window,
        n_chains=2,
        n_steps=1,
    )


def setup(folder: Path) -> Setup:
    return Setup(folder, seconds=0.01, quick=True, n_samples=2)


# Captions


def test_no_pair_of_words_that_is_held_out_is_in_a_training_caption():
    every = list(scenes())
    assert len(every) == len(set(every)) == 48
    captions = [s.caption(k) for s in every if not s.held_out for k in range(3)]
    for kind, color in HELD_OUT:
        assert not [c for c in captions if kind in c and color in c]
        # Each of the two words is there, though, with others.
        assert [c for c in captions if kind in c]
        assert [c for c in captions if color in c]
    assert sum(s.held_out for s in every) == 12


def test_every_sentence_names_every_attribute_and_other_words_none_of_those():
    for scene in scenes():
        for sentence in (scene.caption(0), scene.caption(1), scene.caption(2), scene.reworded()):
            assert all(word in sentence for word in scene.attributes().values())
        assert scene.reworded() not in {scene.caption(k) for k in range(3)}
        said = scene.paraphrase().replace(",", "").split()
        assert not set(said) & SYNONYMS.keys()
        assert all(SYNONYMS[word] in scene.paraphrase() for word in scene.attributes().values())


# Attributes


@pytest.mark.parametrize("word", HUES)
def test_a_hue_is_read_whatever_the_light(word: str):
    for value, saturation in ((0.3, 0.4), (0.9, 0.2)):
        rgb = torch.tensor(colorsys.hsv_to_rgb(HUES[word] + 0.04, saturation, value)).view(3, 1, 1, 1)
        assert hue(Clip((2 * rgb - 1).float().expand(3, 2, 4, 4).contiguous(), FPS)) == word


def waves(shift: float) -> Clip:
    """A smooth pattern that moves ``shift`` pixels a frame to the right."""
    x, y, t = np.arange(32)[None, None], np.arange(32)[None, :, None], np.arange(8)[:, None, None]
    pattern = np.cos(2 * np.pi * (x - shift * t) / 16) * 0.4 + np.cos(2 * np.pi * (x - shift * t + y) / 32) * 0.4
    return Clip(torch.from_numpy(pattern).float().expand(3, -1, -1, -1).contiguous(), FPS)


@pytest.mark.parametrize("shift", [-1.0, -0.5, 0.5, 1.0])
def test_the_drift_of_what_moves_is_its_shift(shift: float):
    # Central differences of a wave of 16 pixels are 1 - (2 pi / 16)^2 / 24 of the derivative, 0.6 % off; twice that.
    assert drift(waves(shift)) == pytest.approx(shift, rel=0.02)


def test_what_is_still_has_no_speed_and_twice_the_shift_is_about_twice_the_speed():
    assert speed(waves(0.0)) == pytest.approx(0.0, abs=1e-6)
    assert speed(waves(1.0)) == pytest.approx(2.0 * speed(waves(0.5)), rel=0.02)


def test_height_is_where_the_light_is():
    video = torch.full((3, 2, 11, 4), -1.0)
    video[:, :, 2] = 1.0
    assert height(Clip(video, FPS)) == pytest.approx(0.8)


@pytest.fixture(scope="module")
def real() -> list[tuple[Scene, Clip]]:
    chosen = [s for s in scenes() if s.hue in ("green", "purple") and not s.held_out]
    return [(s, s.clip(size=32, n_frames=16, seed=k)) for k, s in enumerate(chosen)]


def test_the_eye_reads_real_clips_of_hues_that_it_never_saw(real: list[tuple[Scene, Clip]]):
    reader = fit_reader(real)
    fresh = [(s, s.clip(size=32, n_frames=16, seed=1000)) for s in scenes() if s.hue == "red" and s.speed == "fast"]
    right = [reader.right(clip, s) for s, clip in fresh]
    assert all(r["kind"] and r["hue"] and r.get("direction", True) for r in right)
    # And tells what is not there: the caption of another kind, of another hue, of the opposite way.
    for scene, clip in fresh:
        other = Scene("sea" if scene.kind == "clouds" else "clouds", "blue", "left", scene.speed)
        wrong = reader.right(clip, other)
        assert not wrong["kind"]
        assert not wrong["hue"]
        if scene.kind != "flame":
            opposite = Scene(scene.kind, scene.hue, {"left": "right", "right": "left"}[scene.way], scene.speed)
            assert not reader.right(clip, opposite)["direction"]


# Sketches


def test_edges_are_right_within_a_pixel():
    sketch, off = torch.zeros(2, 1, 1, 2, 12, 12)
    sketch[..., 5, 2:10] = 1.0
    off[..., 6, 2:10] = 1.0
    assert follows(sketch, sketch) == (1.0, 1.0, 1.0)
    assert follows(off, sketch) == (1.0, 1.0, 1.0)
    assert follows(off.roll(1, dims=3), sketch)[2] == 0.0
    half = off.clone()
    half[..., 6:] = 0.0  # columns 2 to 5 are left, which reach column 6
    precision, recall, f = follows(half, sketch)
    assert (precision, recall) == (1.0, 5 / 8)
    assert f == pytest.approx(2 * (5 / 8) / (1 + 5 / 8))
    # No frame's edges count for another's.
    late = sketch.clone()
    late[:, :, 0] = 0.0
    assert follows(sketch, late)[0] == 0.5


def test_the_rules_find_what_they_are_for():
    rng = torch.Generator().manual_seed(0)
    drawn = (torch.rand(30, 1, 4, 8, 8, generator=rng) < 0.2).float()
    weights = torch.randn(64, 3 * 64, generator=rng) / 20
    # Pixels that are linear in the blurred sketch are what a ridge regression predicts.
    video = (sketches._blurred(drawn) @ weights).view(30, 4, 3, 8, 8).transpose(1, 2)
    rules = Rules.fit(video[:28], drawn[:28])
    error = float((rules.ridge(drawn[28:29]).video - video[28]).square().mean().sqrt())
    spread = float((rules.mean_frame(drawn[28:29]).video - video[28]).square().mean().sqrt())
    assert error < 0.5 * spread  # 112 frames, 64 pixels, and a penalty of 1 at least
    assert torch.equal(rules.nearest(drawn[3:4]).video, video[3])
    assert torch.allclose(rules.mean_frame(drawn[:1]).video[:, 0], video[:28].mean((0, 2)), atol=1e-6)


# The studies


def words_apart(sentences: Sequence[str]) -> Tensor:
    """A sentence encoder for tests."""
    vectors = []
    for sentence in sentences:
        pairs = [f"{a} {b}".encode() for a, b in itertools.combinations(sentence.split(), 2)]
        vectors.append(np.sum([np.random.default_rng(list(pair)).normal(size=64) for pair in pairs], axis=0))
    return torch.nn.functional.normalize(torch.from_numpy(np.stack(vectors)).float(), dim=1)


def test_a_study_of_texts_reads_the_real_clips_beside_the_samples(tmp_path: Path):
    found = texts.study(setup(tmp_path), tiny(32, 16), encode=words_apart)
    ((header, rows),) = found.tables.values()
    assert header == ["asked by", "kind", "hue", "height", "direction", "speed", "all", "samples"]
    shares = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}
    assert shares["*real, training scenes*"]["hue"] == "100%"
    assert shares["training captions"]["samples"] == "24"  # 12 scenes, twice
    assert shares["unseen pairs of words"]["samples"] == "8"
    assert shares["*chance*"]["hue"] == "25%"
    assert shares["*chance*"]["all"] == "2%"
    assert (tmp_path / "sheet.png").exists()


def test_a_study_of_sketches_gives_the_real_clip_all_its_edges(tmp_path: Path):
    found = sketches.study(setup(tmp_path), tiny(32, 16))
    ((header, rows),) = found.tables.values()
    table = {row[0]: dict(zip(header[1:], row[1:], strict=True)) for row in rows}
    assert list(table["*the real clip*"].values()) == ["99.0", "1.000", "1.000", "1.000", "1.000"]
    assert float(table["mean frame"]["F"]) < 0.9


@dataclass(frozen=True)
class Fixed:
    """A classifier that says what it was given."""

    said: list[int]

    def classes(self, y: Tensor) -> Tensor:
        assert len(y) == len(self.said)
        return torch.tensor(self.said)


def test_what_is_right_is_the_class_of_the_label_by_its_plane():
    clips = [waves(0.0)] * 4
    names = Labels.of(["smoke", "fire", "sea"])
    for name, share in (("fire", 0.5), ("sea", 0.25), ("smoke", 0.25)):
        assert labels._right(cast(Classifier, Fixed([0, 0, 1, 2])), clips, names, name) == share


def test_a_study_of_textures_has_a_row_for_each_clip(tmp_path: Path):
    found = labels.textures(setup(tmp_path), tiny(32, 16), find_clips(["example:ripples", "example:clouds"]))
    ((header, rows),) = found.tables.values()
    assert [row[0] for row in rows] == ["ripples", "clouds", "all"]
    assert all(len(row) == len(header) for row in rows)
    with pytest.raises(InputError, match="give two or more"):
        labels.textures(setup(tmp_path / "one"), tiny(32, 16), find_clips(["example:clouds"]))


def test_what_is_finished_is_not_done_again_and_other_settings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    found = Found("Sketch", "About.", {"Numbers": (["", "F"], [["CoopNets", "0.5"]])}, ["A note."])
    calls = []
    monkeypatch.setattr(sketches, "study", lambda *_: calls.append(1) or found)
    study = Conditions((), parts=("sketch",), seconds=1.0)
    for _ in range(2):
        run(study, tmp_path / "out", command="COMMAND")
    assert len(calls) == 1
    text = (tmp_path / "out" / PAGE).read_text()
    for words in ("Made by `COMMAND`: 1 seconds", "## Sketch", "### Numbers", "| CoopNets | 0.5 |", "A note."):
        assert words in text
    with pytest.raises(UsageError, match=r"another configuration \(seconds is 1.0, not 2.0\)"):
        run(replace(study, seconds=2.0), tmp_path / "out")
    with pytest.raises(UsageError, match="no part 'skech'; did you mean 'sketch'"):
        replace(study, parts=("skech",))


def test_a_model_that_was_trained_is_read_and_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    clip, fits = waves(1.0).segment(0, 8), []
    fit = CoopNets.fit
    monkeypatch.setattr(CoopNets, "fit", lambda *a, **k: fits.append(1) or fit(*a, **k))

    def learned(of: Clip, config: CoopConfig) -> Tensor:
        model = trained_model(tmp_path / "model", [of], config, setup=setup(tmp_path))
        return model.synthesize(4, rng=torch.Generator().manual_seed(0)).video

    first = learned(clip, tiny(32, 8))
    assert torch.equal(learned(clip, tiny(32, 8)), first)
    assert len(fits) == 1
    learned(waves(0.5).segment(0, 8), tiny(32, 8))
    learned(waves(0.5).segment(0, 8), tiny(32, 8).replaced(n_steps=2))
    assert len(fits) == 3
