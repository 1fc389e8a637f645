"""Bad words and bad input: the exit code, one clear line that names the value and the remedy, and nothing written.

With ``--quiet`` stderr holds exactly that line; without it, only notices on what was done before may precede it.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from commands import TINY, Outcome, done, dyntex, tree
from media_files import noise, write_video
from test_read_errors import audio_only, empty, halved, huge_array, huge_png, no_images, text

USAGE, INPUT, DIVERGED = 2, 3, 5


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mkv", list(noise(20, 24, 24)))


@pytest.fixture(scope="module")
def model(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model") / "m"
    done("train", clip, "-o", folder, "--size", 16, "--clip-frames", 16, "--iterations", 1, "-q")
    return folder


def one_line(outcome: Outcome, code: int, *words: object) -> None:
    """The contract of every refusal."""
    assert outcome.code == code, outcome.err
    assert outcome.out == ""
    assert outcome.err.startswith("dyntex: ")
    assert outcome.err.endswith("\n")
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err
    assert "internal error" not in outcome.err
    for word in words:
        assert str(word) in outcome.err


def half_mp4(folder: Path) -> Path:
    path = write_video(folder / "a.mp4", list(noise(40, 32, 32)), codec="libx264", pixels="yuv420p")
    return halved(path)


def half_faststart_mp4(folder: Path) -> Path:
    """Its index is at the front, so that it opens; the frames asked for are in the half that is gone."""
    path = folder / "a.mp4"
    write_video(path, list(noise(40, 32, 32)), codec="libx264", pixels="yuv420p", muxing={"movflags": "faststart"})
    return halved(path)


def few_frames(folder: Path) -> Path:
    return write_video(folder / "a.mkv", list(noise(7, 24, 24)))


def one_pixel(folder: Path) -> Path:
    np.save(folder / "a.npy", np.zeros((20, 1, 1, 3), np.uint8))
    return folder / "a.npy"


def nowhere(folder: Path) -> Path:
    return folder / "nowhere.mp4"


SOURCES: dict[str, tuple[Callable[[Path], Path], tuple[str, ...]]] = {
    "missing file": (nowhere, ("nowhere.mp4", "does not exist")),
    "folder with no images": (no_images, ("no images", "give a folder")),
    "empty file": (empty, ("a.mp4", "empty")),
    "text renamed to .mp4": (text, ("a.mp4",)),
    "mp4 cut in half": (half_mp4, ("a.mp4",)),
    "mp4 cut in half, index first": (half_faststart_mp4, ("a.mp4",)),
    "too few frames": (few_frames, ("7 frames", "16")),
    "1x1 pixels": (one_pixel, ("1x1", "larger")),
    "audio only": (audio_only, ("a.wav",)),
    "100000x100000 image": (huge_png, ("a.png", "more pixels")),
    "100000x100000 array": (huge_array, ("a.npy",)),
}


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("size", [(), ("--size", "16")], ids=["own size", "asked size"])
def test_bad_sources(kind: str, size: tuple[str, ...], tmp_path: Path) -> None:
    make, expected = SOURCES[kind]
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    source = make(tmp_path / "in")
    outcome = dyntex("synthesize", source, "-o", tmp_path / "out" / "a.mp4", *size, "--iterations", 1, "-q")
    one_line(outcome, INPUT, *expected)
    assert list((tmp_path / "out").iterdir()) == []  # no video, no run folder


# Words of the command that are wrong, with what the line says of them.
WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "no frames": (("--frames", "0"), ("--frames 0", "above 0")),
    "negative frames": (("--frames", "-3"), ("--frames -3", "above 0")),
    "frames that are no number": (("--frames", "many"), ("--frames", "'many'")),
    "no clip frames": (("--clip-frames", "0"), ("--clip-frames 0",)),
    "too few clip frames": (("--clip-frames", "5"), ("--clip-frames 5", "at least 16")),
    "negative start": (("--start", "-1"), ("--start -1",)),
    "negative seed": (("--seed", "-1"), ("--seed -1",)),
    "endless seed": (("--seed", str(2**64)), ("--seed", str(2**64))),
    "not-a-number budget": (("--budget", "nan"), ("--budget nan",)),
    "infinite budget": (("--budget", "inf"), ("--budget inf",)),
    "no budget": (("--budget", "0"), ("--budget 0",)),
    "no iterations": (("--iterations", "0"), ("--iterations 0",)),
    "iterations and budget": (
        ("--iterations", "9", "--budget", "7"),
        ("use only one of --iterations 9 and --budget 7",),
    ),
    "size off the grid": (("--size", "20x36"), ("20x36", "multiples of 8", "choose 16x32")),
    "size of another preset": (("--size", "32", "--preset", "paper-fc64"), ("32x32", "paper-fc64", "64x64")),
    "size that is none": (("--size", "big"), ("--size big", "96x128")),
    "size of three sides": (("--size", "16x16x3"), ("--size 16x16x3",)),
    "tiny size": (("--size", "4"), ("--size 4", "8")),
    "unknown preset": (("--preset", "paper-fc18"), ("'paper-fc18'", "did you mean 'paper-fc128'")),
    "unknown method": (("--method", "hosdv"), ("'hosdv'", "did you mean 'hosvd'")),
    "method without training": (("--method", "lds", "--resume"), ("--method lds", "--resume")),
    "device that is not there": (("--device", "cuda:77"), ("--device cuda:77", "cpu")),
    "unknown device": (("--device", "tpu"), ("--device tpu", "cpu")),
    "unknown option": (("--fames", "9"), ("--fames",)),
    "nothing to resume": (("--resume",), ("a.run", "leave out --resume")),
}


@pytest.mark.parametrize("kind", WORDS)
def test_bad_words(kind: str, clip: Path, tmp_path: Path) -> None:
    words, expected = WORDS[kind]
    if words[:2] == ("--device", "cuda:77") and torch.cuda.device_count() > 77:
        pytest.skip("the device is there")
    one_line(dyntex("synthesize", clip, "-o", tmp_path / "a.mp4", *words, "-q"), USAGE, *expected)
    assert list(tmp_path.iterdir()) == []


OUTPUTS = {
    "unknown ending": ("a.xyz", ".xyz"),
    "no such folder": ("nowhere/a.mp4", "nowhere"),
    "folder that is a file": ("file/a.mp4", "file is not a folder"),
    "folder that holds other things": ("things", "things"),
    "folder with a video's ending": ("folder.mp4", "folder.mp4"),
}


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("overwrite", [(), ("--overwrite",)], ids=["", "overwrite"])
def test_bad_outputs(kind: str, overwrite: tuple[str, ...], clip: Path, tmp_path: Path) -> None:
    name, expected = OUTPUTS[kind]
    (tmp_path / "file").write_text("a file")
    for folder in ("things", "folder.mp4"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "thesis.txt").write_text("years of work")
    before = tree(tmp_path)
    outcome = dyntex("synthesize", clip, "-o", tmp_path / name, *TINY, *overwrite, "-q")
    one_line(outcome, USAGE, expected)
    assert tree(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_unwritable_output_folder(clip: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        one_line(dyntex("synthesize", clip, "-o", tmp_path / "a.mp4", *TINY, "-q"), USAGE, "read-only")
    finally:
        tmp_path.chmod(0o700)


def test_unwritable_places_as_the_system_reports_them(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above for root, whom permissions do not bind: what the system would answer is put in its mouth."""
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and access(path, mode))
    one_line(dyntex("synthesize", clip, "-o", tmp_path / "a.mp4", *TINY, "-q"), USAGE, "read-only", tmp_path)
    one_line(dyntex("train", clip, "-o", tmp_path / "m", *TINY, "-q"), USAGE, tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a.mp4", "a.sheet.png", "a.side.mp4"])
def test_existing_output_is_kept_without_overwrite(name: str, clip: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_text("dear to someone")
    outcome = dyntex("synthesize", clip, "-o", tmp_path / "a.mp4", *TINY, "-q")
    one_line(outcome, USAGE, tmp_path / name, "--overwrite")
    assert tree(tmp_path) == {name: b"dear to someone"}


def test_the_source_is_never_overwritten(clip: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(clip, tmp_path / "a.mkv"))
    before = tree(tmp_path)
    one_line(dyntex("synthesize", source, "-o", source, *TINY, "--overwrite", "-q"), USAGE, source, "source itself")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("option", "name", "expected"),
    [
        ("--run-dir", "file", "is a file"),
        ("--run-dir", "nowhere/run", "not a folder"),
        ("--run-dir", "project", "is not a run folder, and not empty"),
        ("--save-model", "file", "is a file"),
        ("--save-model", "nowhere/model", "nowhere first"),
        ("--save-model", "project", "is not a model folder, and not empty"),
    ],
)
def test_bad_folders(option: str, name: str, expected: str, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "config.json").write_text("of something else")
    before = tree(tmp_path)
    outcome = dyntex("synthesize", clip, "-o", tmp_path / "a.mp4", *TINY, option, tmp_path / name, "--overwrite", "-q")
    one_line(outcome, USAGE, tmp_path / name, expected)
    assert tree(tmp_path) == before


def test_refusals_come_before_the_clip_is_read(
    clip: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dyntex.experiment.training_set.read_clip", lambda *_, **__: pytest.fail("the clip was read"))
    for room in ("training_set", "settings"):
        monkeypatch.setattr(f"dyntex.experiment.{room}.probe", lambda *_, **__: pytest.fail("the clip was looked at"))
    (tmp_path / "a.mp4").touch()
    (tmp_path / "b.run" / "checkpoints").mkdir(parents=True)
    for words in (
        ("-o", tmp_path / "a.mp4"),
        ("-o", tmp_path / "b.mp4"),
        ("-o", tmp_path / "c.mp4", "--resume"),
        ("-o", tmp_path / "c.mp4", "--save-model", model),
        ("-o", tmp_path / "c.mp4", "--device", "tpu"),
    ):
        one_line(dyntex("synthesize", clip, *words, *TINY, "-q"), USAGE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"preset": "fast", "iterations": 3}', ("iterations", "did you mean 'optimisation.iterations'")),
        ('{"preset": "fast", "optimisation": {"iteratons": 3}}', ("iteratons", "did you mean 'iterations'")),
        ('{"preset": "fast", "optimisation": {"iterations": "many"}}', ("optimisation.iterations", "'many'")),
        ('{"preset": "fast", "optimisation": {"iterations": 0}}', ("optimisation.iterations is 0", "1 or more")),
        ('{"preset": "mine"}', ("lacks the key 'descriptor'",)),
        ("[1, 2]", ("object",)),
        ('{"preset": ', ("c.json",)),
        (None, ("c.json",)),
    ],
)
def test_bad_config_files(text: str | None, expected: tuple[str, ...], clip: Path, tmp_path: Path) -> None:
    config = tmp_path / "c.json"
    if text is not None:
        config.write_text(text)
    before = tree(tmp_path)
    outcome = dyntex("synthesize", clip, "-o", tmp_path / "a.mp4", "--config", config, "-q")
    one_line(outcome, USAGE, config, *expected)
    assert tree(tmp_path) == before


def edited(model: Path, folder: Path, edit: Callable[[dict[str, object]], object]) -> Path:
    """A copy of a model whose config.json was changed."""
    copy = Path(shutil.copytree(model, folder / "edited"))
    about = json.loads((copy / "config.json").read_text())
    edit(about)
    (copy / "config.json").write_text(json.dumps(about))
    return copy


def unknown_key(model: Path, folder: Path) -> Path:
    return edited(model, folder, lambda about: about["config"]["optimisation"].update(iteratons=3))  # type: ignore[attr-defined]


def lost_key(model: Path, folder: Path) -> Path:
    return edited(model, folder, lambda about: about.pop("fps"))


def odd_shape(model: Path, folder: Path) -> Path:
    return edited(model, folder, lambda about: about.update(shape=[3, 16]))


def no_config(model: Path, folder: Path) -> Path:
    return edited(model, folder, lambda about: about.clear())


def wrong_shape(model: Path, folder: Path) -> Path:
    copy = Path(shutil.copytree(model, folder / "edited"))
    tensors = safetensors.torch.load_file(copy / "model.safetensors")
    key = next(key for key in tensors if key.startswith("descriptor.") and tensors[key].ndim > 1)
    tensors[key] = tensors[key][1:].contiguous()
    safetensors.torch.save_file(tensors, copy / "model.safetensors")
    return copy


def cut_short(model: Path, folder: Path) -> Path:
    copy = Path(shutil.copytree(model, folder / "edited"))
    halved(copy / "model.safetensors")
    return copy


def no_model(model: Path, folder: Path) -> Path:
    return folder / "nowhere"


MODELS: dict[str, tuple[Callable[[Path, Path], Path], tuple[str, ...]]] = {
    "unknown key": (unknown_key, ("'iteratons'", "did you mean 'iterations'")),
    "lost key": (lost_key, ("config.json",)),
    "odd shape": (odd_shape, ("config.json", "damaged")),
    "no config": (no_config, ("config.json",)),
    "wrong tensor shape": (wrong_shape, ("model.safetensors", "descriptor.", "need")),
    "cut short": (cut_short, ("model.safetensors", "cut short")),
    "missing": (no_model, ("nowhere", "model folder")),
}


@pytest.mark.parametrize("kind", MODELS)
def test_bad_models(kind: str, model: Path, tmp_path: Path) -> None:
    make, expected = MODELS[kind]
    (tmp_path / "out").mkdir()
    outcome = dyntex("sample", make(model, tmp_path), "-o", tmp_path / "out" / "a.mp4", "-q")
    one_line(outcome, INPUT, *expected)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (("--langevin-steps", "-1"), USAGE, "--langevin-steps -1"),
        (("--frames", "0"), USAGE, "--frames 0"),
        (("--device", "tpu"), USAGE, "tpu"),
    ],
)
def test_bad_words_of_sample(words: tuple[str, ...], code: int, expected: str, model: Path, tmp_path: Path) -> None:
    one_line(dyntex("sample", model, "-o", tmp_path / "a.mp4", *words, "-q"), code, expected)
    assert list(tmp_path.iterdir()) == []


def test_unknown_example(tmp_path: Path) -> None:
    for words in (("synthesize", "example:flam", *TINY, "-q"), ("examples", "flam")):
        one_line(dyntex(*words, "-o", tmp_path / "a.mp4"), INPUT, "flam", "did you mean 'flame'")
    assert list(tmp_path.iterdir()) == []


def test_bad_words_of_info_and_examples(clip: Path, tmp_path: Path) -> None:
    one_line(dyntex("info", tmp_path / "nowhere.mp4"), INPUT, "nowhere.mp4")
    one_line(dyntex("info", clip, "--preset", "fats", "-q"), USAGE, "did you mean 'fast'")
    one_line(dyntex("examples", "-o", tmp_path / "a.mp4"), USAGE, "name")
    one_line(dyntex("examples", "flame", "--frames", "0", "-o", tmp_path / "a.mp4"), USAGE, "--frames 0")
    one_line(dyntex("examples", "flame", "--size", "4", "-o", tmp_path / "a.mp4"), USAGE, "--size 4")
    one_line(dyntex("nonsense"), USAGE, "nonsense")


def test_divergence_keeps_the_last_good_state_and_writes_no_video(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(
        '{"preset": "fast", "optimisation": {"lr_des": 1e30, "iterations": 50}, "stabilisers": {"drift_limit": 0}}'
    )
    out = tmp_path / "a.mp4"
    outcome = dyntex(
        "synthesize", clip, "-o", out, "--config", tmp_path / "c.json", "--size", 16, "--clip-frames", 16, "-q"
    )
    one_line(outcome, DIVERGED, "diverged at iteration", "try smaller learning rates")
    run = tmp_path / "a.run"
    assert {path.name for path in tmp_path.iterdir()} == {"c.json", "a.run"}
    assert not (run / "model").exists()
    assert not (run / "result.json").exists()
    (checkpoint,) = (run / "checkpoints").iterdir()
    state = safetensors.torch.load_file(checkpoint)
    assert all(bool(torch.isfinite(value).all()) for value in state.values())
    # Three rollbacks, each to half the step.
    assert float(state["step_scale"]) == 0.5**3


def test_a_disk_that_fills_during_training(clip: Path, tmp_path: Path) -> None:
    """The system's own limit on a file's size stands for the full disk: writing fails half-way through the file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        outcome = dyntex("synthesize", clip, "-o", tmp_path / "a.mp4", *TINY, "-q")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    one_line(outcome, 1, "cannot write", "safetensors")
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name or path.suffix in (".mp4", ".png")]


def test_a_run_without_quiet_says_the_same_last_line(clip: Path, tmp_path: Path) -> None:
    outcome = dyntex("synthesize", clip, "-o", tmp_path / "a.mp4", "--size", 16, "--preset", "fats")
    one_line(outcome, USAGE, "fats")
    source = few_frames(tmp_path)
    outcome = dyntex("synthesize", source, "-o", tmp_path / "a.mp4", "--size", 16, "--preset", "fast")
    assert outcome.code == INPUT
    assert [line for line in outcome.err.splitlines() if line.startswith("dyntex: ")] == [outcome.err.splitlines()[-1]]
