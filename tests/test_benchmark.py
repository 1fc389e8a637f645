"""The harness: what is measured against what, and sweeps that are killed, split and joined, on tiny clips."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dyntex.benchmarks.catalogue import merge
from dyntex.benchmarks.data import Source, find_clips, split_clip
from dyntex.benchmarks.methods import settings_of
from dyntex.benchmarks.metrics.critic import CriticResult
from dyntex.benchmarks.model_cache import recall
from dyntex.benchmarks.record import Settings
from dyntex.benchmarks.study import RESULTS, Cell, Results, Shard, run
from dyntex.benchmarks.tasks import comparison, quality
from dyntex.benchmarks.tasks.comparison import Comparison
from dyntex.benchmarks.tasks.quality import draw_control, measure
from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError

SIZE, T = 32, 24
CHEAP: dict[str, Any] = {
    "tasks": ("paper", "extrapolation"), "methods": ("lds",), "size": SIZE, "frames": T, "seeds": 2
}  # fmt: skip
TINY = CHEAP | {"tasks": ("paper", "statistics", "extrapolation")}
ONE = CHEAP | {"tasks": ("paper",), "seeds": 1}

TIMINGS = ("seconds", "fit_seconds", "frames_per_second", "peak_mb", "base_mb")
"""What another run of a cell may give another value of."""


def compare(settings: dict[str, Any], clips: Sequence[Source], out: Path, **words: Any) -> Results:
    return run(Comparison(tuple(clips), **settings), out, **words)


def without_timings(results: Results) -> Results:
    """Results less what two runs of a study may differ in: the rest is equal, on one machine, bit for bit."""
    rows = [{key: value for key, value in row.items() if key not in TIMINGS} for row in results["rows"]]
    return results | {"rows": rows}


def groups(cells: Iterable[Cell]) -> list[list[Cell]]:
    return [list(group) for _, group in groupby(cells, key=lambda cell: cell.group)]


def film(path: Path, n_frames: int, *, seed: int = 0, side: int = SIZE) -> Path:
    """A clip of smooth noise in motion, as an array file: read back exactly."""
    rng = np.random.default_rng(seed)
    t, y, x = np.ogrid[:n_frames, :side, :side]
    waves = [np.sin(a * x + b * y + c * t + d) for a, b, c, d in rng.uniform(-1, 1, (6, 4)) * (0.8, 0.8, 1.5, math.pi)]
    grey = np.clip(128 + 20 * np.sum(waves, axis=0) + rng.normal(0, 4, (n_frames, side, side)), 0, 255)
    np.save(path, np.repeat(grey[..., None], 3, axis=3).astype(np.uint8))
    return path


@pytest.fixture
def clips(tmp_path: Path) -> list[Source]:
    folder = tmp_path / "clips"
    folder.mkdir()
    for i, name in enumerate(("wind", "water")):
        film(folder / f"{name}.npy", 2 * T, seed=i)
    return find_clips([str(folder)])


def rows_of(results: dict[str, Any], **wanted: Any) -> list[dict[str, Any]]:
    return [row for row in results["rows"] if all(row[key] == value for key, value in wanted.items())]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# The cut


@pytest.mark.parametrize(
    ("total", "asked", "train", "heldout"),
    [
        (200, 64, 64, 64),  # no more is held out than is learnt from
        (96, 64, 64, 32),  # half as much is enough
        (95, 64, 63, 32),  # less is not: two thirds and a third
        (64, 64, 42, 22),
        (48, 64, 32, 16),
        (32, 16, 16, 16),
    ],
)
def test_a_third_is_always_held_out(tmp_path: Path, total: int, asked: int, train: int, heldout: int):
    source = Source("film", str(film(tmp_path / "film.npy", total)))
    split = split_clip(source, size=SIZE, n_frames=asked)
    whole = np.load(tmp_path / "film.npy")
    assert (split.train.n_frames, split.heldout.n_frames) == (train, heldout)
    assert np.array_equal(split.train.to_uint8(), whole[:train])
    assert np.array_equal(split.heldout.to_uint8(), whole[train : train + heldout])
    assert (f"fitted on {train} in place of {asked}" in split.note) == (train != asked)


def test_a_clip_too_short_for_its_heldout_part_says_so(tmp_path: Path):
    source = Source("film", str(film(tmp_path / "film.npy", 45)))
    with pytest.raises(InputError, match=r"45 frames, which leaves 30 to learn from and 15 held out.*at least 48"):
        split_clip(source, size=SIZE, n_frames=64)


def test_examples_are_measured_at_eight_bits():
    split = split_clip(Source("ocean", "example:ocean"), size=SIZE, n_frames=T)
    for clip in (split.train, split.heldout):
        assert torch.equal(clip.video, Clip.from_uint8(clip.to_uint8(), clip.fps).video)


# Which clips


def test_a_folders_clips_are_its_videos_or_itself(tmp_path: Path, clips: list[Source]):
    assert [source.name for source in clips] == ["water", "wind"]
    frames = tmp_path / "frames"
    frames.mkdir()
    for i in range(2):
        (frames / f"{i}.png").touch()
    (frames / "notes.txt").touch()
    assert find_clips([str(frames)]) == [Source("frames", str(frames))]
    assert [s.where for s in find_clips(["examples"])][:1] == ["example:ocean"]


def test_clips_that_are_none(tmp_path: Path, clips: list[Source]):
    with pytest.raises(InputError, match="holds no clips"):
        find_clips([str(tmp_path)])
    with pytest.raises(InputError, match="no clip"):
        find_clips([str(tmp_path / "nothing.mp4")])
    with pytest.raises(InputError, match="no example 'fyre'"):
        find_clips(["example:fyre"])
    with pytest.raises(UsageError, match="two of the clips are called 'wind'"):
        find_clips([clips[1].where, clips[1].where])


def test_a_clip_is_known_by_its_content(tmp_path: Path):
    a, b, c = (film(tmp_path / f"{name}.npy", 4, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1)))
    digest = [Source("clip", str(path)).digest() for path in (a, b, c)]
    assert digest[0] == digest[1] != digest[2]


# The settings


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ("papr",)}, "no task 'papr'; did you mean 'paper'"),
        ({"methods": ("hosdv",)}, "no method 'hosdv'; did you mean 'hosvd'"),
        ({"methods": ("lds", "lds")}, "each once"),
        ({"tasks": ()}, "at least one"),
        ({"size": 24}, "size of 24 .* 32"),
        ({"size": 10, "tasks": ("paper",)}, "size of 10 .* 11"),
        ({"frames": 15}, "15 frames .* 16"),
        ({"seeds": 0}, "0 seeds"),
        ({"iterations": 0}, "0 iterations"),
        ({"budget": math.nan}, "budget of nan"),
        ({"iterations": 5, "budget": 1.0}, "not both"),
    ],
)
def test_settings_that_make_no_sense(change: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        Comparison((), **({"tasks": ("statistics",), "methods": ("lds",)} | change))


@pytest.mark.parametrize("text", ["3/2", "0/2", "1", "a/b", "1/2/3", "-1/2", "²/3", ""])
def test_shards_that_are_none(text: str):
    with pytest.raises(UsageError, match="--shard"):
        Shard.parse(text)


def test_shards_are_a_partition_that_keeps_fits_whole(clips: list[Source]):
    whole = list(Comparison(tuple(clips), **TINY).cells())
    parts = [Shard.parse(f"{i}/3").of(whole) for i in (1, 2, 3)]
    assert sorted(cell.path for cell in whole) == sorted(cell.path for part in parts for cell in part)
    assert all(parts)
    fits = [[cell for cell in group if not cell.about["control"]] for part in parts for group in groups(part)]
    found = [[cell.about["task"] for cell in fit] for fit in fits if fit]
    assert found == [list(TINY["tasks"])] * 4  # 2 clips, 2 seeds


def test_the_numbers_of_a_method_depend_on_its_settings_and_no_other_methods():
    def settings(method: str, **budget: Any) -> Settings:
        return Settings.of(settings_of(method, **({"iterations": None, "budget": None} | budget)))

    assert settings("lds").agree(settings("lds", iterations=7))  # trained by no iterations
    assert not settings("fast").agree(settings("fast", iterations=7))
    assert not settings("fast").agree(settings("fast", budget=7.0))
    assert settings("fast").agree(settings("coop"))  # by another name
    assert not settings("lds").agree(settings("fft-lds"))
    # A default that changes changes the method.
    changed = settings("lds")
    assert changed.defaults["config.noise"] == "fitted"
    changed.defaults["config.noise"] = "none"
    assert not settings("lds").agree(changed)


def test_speed_takes_turns_between_the_methods():
    study = Comparison((Source("a", "a"),), tasks=("speed", "paper"), methods=("lds", "hosvd"), seeds=2)
    speed = [group for group in groups(study.cells()) if group[0].about["task"] == "speed"]
    assert [(c.about["method"], c.about["seed"]) for (c,) in speed] == [
        ("lds", 0), ("hosvd", 0), ("lds", 1), ("hosvd", 1)
    ]  # fmt: skip
    assert not any(c.about["control"] for (c,) in speed)


# What the controls score: each is known beforehand


def test_controls_in_the_papers_task(clips: list[Source]):
    split = split_clip(clips[0], size=SIZE, n_frames=T)

    def numbers(control: str) -> dict[str, Any]:
        return measure("paper", draw_control("paper", control, split, seed=0), split, control=control)

    copy = numbers("copy")
    assert copy["psnr"] is None
    assert (copy["exact_frames"], copy["frames"], copy["ssim"]) == (T, T, pytest.approx(1.0))
    # E|x - mean|^2 is half of E|x - x'|^2, which is 3.01 dB; within 1.5 dB for so few frames of waves.
    assert 1.5 < numbers("mean-frame")["psnr"] - numbers("later-real")["psnr"] < 4.5
    for control in ("mean-frame", "white-noise", "reversed-real"):
        found = numbers(control)
        assert (found["psnr"], found["ssim"]) == (found["anchored_psnr"], found["anchored_ssim"])


def test_later_real_is_compared_over_the_frames_that_it_has(tmp_path: Path):
    split = split_clip(Source("film", str(film(tmp_path / "film.npy", 60))), size=SIZE, n_frames=40)
    found = measure("paper", draw_control("paper", "later-real", split, seed=0), split, control="later-real")
    a, b = split.heldout.video, split.train.video[:, :20]
    mse = (a - b).double().square().mean(dim=(0, 2, 3))
    assert found["frames"] == 20
    assert found["psnr"] == pytest.approx(float((10 * torch.log10(4 / mse)).mean()), abs=1e-6)


def test_controls_in_the_statistics_task(clips: list[Source]):
    split = split_clip(clips[0], size=SIZE, n_frames=T)

    def numbers(control: str) -> dict[str, Any]:
        return measure("statistics", draw_control("statistics", control, split, seed=0), split, control=control)

    real, copy, still, noise = (numbers(name) for name in ("later-real", "copy", "mean-frame", "white-noise"))
    assert real["score"] == pytest.approx(copy["score"])
    assert real["z"] == pytest.approx(copy["z"])
    assert (real["diversity"], real["copy_distance"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert (copy["diversity"], copy["copy_distance"]) == (0.0, 0.0)
    assert still["diversity"] == 0.0
    assert min(still["score"], noise["score"]) > 1.2 * real["score"]


def test_the_critic_s_task_shows_it_nine_samples_and_real_footage_itself(
    clips: list[Source], monkeypatch: pytest.MonkeyPatch
):
    split = split_clip(clips[0], size=SIZE, n_frames=T)
    drawn = draw_control("critic", "replay", split, seed=0)
    assert len(drawn) == 9
    assert len({clip.video.numpy().tobytes() for clip in drawn.values()}) > 5
    asked: list[Any] = []

    def auc(training: Clip, held_out: Clip, samples: Sequence[Clip], *, seed: int) -> CriticResult:
        asked.append((training, held_out, list(samples)))
        return CriticResult(0.7, (0.6, 0.8), (500, 500))

    # Ten seconds of training are left out: tests/test_critic.py has them.
    monkeypatch.setattr(quality, "critic_auc", auc)
    found = measure("critic", drawn, split, control="replay")
    assert asked == [(split.train, split.heldout, list(drawn.values()))]
    assert (found["critic"], found["critic_range"]) == (0.7, pytest.approx(0.2))
    assert found["copy_distance"] < 0.5  # whole frames in runs of 8 to 12: most windows are copies
    assert 0 <= found["diversity"] < 1
    assert draw_control("critic", "later-real", split, seed=0) == {}
    monkeypatch.setattr(quality, "critic_real", lambda training, held_out, *, seed: CriticResult(0.5, (0.5,), (500,)))
    real = measure("critic", {}, split, control="later-real")
    assert (real["critic"], real["critic_range"]) == (0.5, 0.0)
    assert (real["copy_distance"], real["diversity"]) == (pytest.approx(1.0), pytest.approx(1.0))


def test_horizons_are_single_frames_and_stop_where_the_clip_does(tmp_path: Path):
    split = split_clip(Source("film", str(film(tmp_path / "film.npy", 40))), size=SIZE, n_frames=20)
    clips = draw_control("extrapolation", "repeat-last", split, seed=0)
    found = measure("extrapolation", clips, split, control="repeat-last")
    assert {key for key in found if key.startswith("psnr_")} == {f"psnr_{h}" for h in (1, 2, 4, 8, 16)}
    for h in (1, 16):
        mse = float((split.train.video[:, -1] - split.heldout.video[:, h - 1]).double().square().mean())
        assert found[f"psnr_{h}"] == pytest.approx(10 * math.log10(4 / mse), abs=1e-6)


def test_a_fresh_sample_is_of_the_law_and_not_of_the_clip():
    split = split_clip(Source("ripples", "example:ripples"), size=SIZE, n_frames=T)
    drawn = draw_control("statistics", "fresh-sample", split, seed=0)
    a, b = drawn["sample-1"].video, drawn["sample-2"].video
    assert a.shape == split.train.video.shape
    assert (a - b).abs().mean() > 0.01
    assert (a - split.train.video).abs().mean() > 0.01
    cells = Comparison((split.source, Source("x", "x.mp4")), **TINY).cells()
    names = [cell.about["method"] for cell in cells if cell.about["task"] == "statistics"]
    assert names.count("fresh-sample") == TINY["seeds"]  # of the example alone


# The sweep


def test_rows_folders_and_results(clips: list[Source], tmp_path: Path):
    out = tmp_path / "out"
    told: list[tuple[int, int]] = []
    results = compare(TINY, clips[1:], out, on_row=lambda row, done, total: told.append((done, total)))
    assert json.loads((out / RESULTS).read_text()) == results
    assert results["complete"]
    assert told == [(i + 1, len(results["rows"])) for i in range(len(results["rows"]))]
    for row in results["rows"]:
        folder = out / row["task"] / row["method"] / row["clip"] / str(row["seed"])
        assert row["status"] == "ok"
        assert json.loads((folder / "row.json").read_text())["data"] == row
        assert list(folder.glob("*.mkv"))
    assert {row["method"] for row in results["rows"] if not row["control"]} == {"lds"}
    assert {row["seed"] for row in rows_of(results, method="lds")} == {0, 1}
    assert {row["seed"] for row in rows_of(results, method="mean-frame")} == {0}  # another seed shows nothing new
    a, b = rows_of(results, task="paper", method="lds", clip="wind")
    assert a["psnr"] != b["psnr"]
    # A start on the observed first frame is worth something in these short clips, so the columns are not swapped.
    assert sum(row["anchored_psnr"] - row["psnr"] for row in rows_of(results, task="paper", method="lds")) > 0


class Killed(BaseException):
    """As Ctrl-C is: no cell's failure."""


def test_a_killed_sweep_goes_on_to_the_same_results(
    clips: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = compare(CHEAP, clips, tmp_path / "whole")
    fits = [0]
    fit = comparison.fit

    def counted(*args: Any, **kwargs: Any) -> Any:
        fits[0] += 1
        return fit(*args, **kwargs)

    monkeypatch.setattr(comparison, "fit", counted)

    def kill(row: dict[str, Any], done: int, total: int) -> None:
        if row["method"] == "lds" and row["task"] == "extrapolation":
            raise Killed

    out = tmp_path / "out"
    with pytest.raises(Killed):
        compare(CHEAP, clips, out, on_row=kill)
    assert fits == [1]
    measured = out / "extrapolation" / "lds" / "water" / "0" / "row.json"
    measured.unlink()  # killed between drawing and measuring
    resumed = compare(CHEAP, clips, out)
    assert fits == [4]  # the first fit's clips were kept
    assert without_timings(resumed) == without_timings(whole)

    before = files_of(out)
    assert compare(CHEAP, clips, out) == resumed
    assert files_of(out) == before


def test_shards_merge_to_the_same_results(clips: list[Source], tmp_path: Path):
    whole = compare(CHEAP, clips, tmp_path / "whole")
    parts = [tmp_path / f"part{i}" for i in (1, 2)]
    done = [compare(CHEAP, clips, part, shard=Shard(i, 2)) for i, part in enumerate(parts, start=1)]
    assert not any(results["complete"] for results in done)
    assert len(done[0]["rows"]) + len(done[1]["rows"]) == len(whole["rows"])
    _, merged = merge(parts, tmp_path / "merged")
    assert without_timings(merged) == without_timings(whole)
    assert json.loads((tmp_path / "merged" / RESULTS).read_text()) == merged
    with pytest.raises(InputError, match="no file"):
        merge([tmp_path / "clips"], tmp_path / "other")


def test_another_configuration_changes_nothing(clips: list[Source], tmp_path: Path):
    settings = ONE
    out = tmp_path / "out"
    compare(settings, clips[:1], out)
    before = files_of(out)
    for change in ({"size": 36}, {"frames": T + 1}, {"iterations": 3}, {"budget": 3.0}):
        with pytest.raises(UsageError, match=rf"another configuration \({next(iter(change))} is .*, not "):
            compare(settings | change, clips[:1], out)
    film(Path(clips[0].where), 2 * T, seed=9)
    with pytest.raises(UsageError, match=r"another configuration \(clip water has other content"):
        compare(settings, clips[:1], out)
    other = tmp_path / "other"
    compare(settings, clips[:1], other)
    with pytest.raises(UsageError, match=r"do not compare \(clip water has other content"):
        merge([out, other], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
    with pytest.raises(UsageError, match="no benchmark's folder"):
        compare(settings, clips[:1], tmp_path / "clips")
    assert files_of(out) == before


def is_first(row: dict[str, Any], clips: list[Source]) -> bool:
    return row["seed"] == 0 and row["clip"] == clips[0].name


def test_a_sweep_may_grow_and_what_is_measured_stays(clips: list[Source], tmp_path: Path):
    out, small = tmp_path / "out", ONE
    first = compare(small, clips[:1], out)
    before = files_of(out)
    # Another task, method, seed and clip, each with nothing of what was asked before.
    told = []
    wide = CHEAP | {"tasks": ("extrapolation",), "methods": ("hosvd",)}
    grown = compare(wide, clips[1:], out, on_row=lambda row, done, total: told.append(row))
    assert grown["config"] == {
        **first["config"],
        "tasks": ["paper", "extrapolation"],
        "methods": ["lds", "hosvd"],
        "seeds": 2,
        "clips": {**first["config"]["clips"], clips[1].name: clips[1].digest()},
    }
    assert not grown["complete"]  # of all that the folder is now about
    assert [row for row in grown["rows"] if row["task"] == "paper"] == first["rows"]
    new = [row for row in grown["rows"] if row["task"] == "extrapolation"]
    assert {row["clip"] for row in new} == {clips[1].name}
    assert sorted(map(repr, new)) == sorted(map(repr, told))
    after = files_of(out)
    assert {name: after[name] for name in before if "/" in name}.items() <= before.items()

    # All of it, in the end: what one sweep would have made, and the parts joined are the same.
    both = CHEAP | {"methods": ("lds", "hosvd")}
    whole = compare(both, clips, tmp_path / "whole")
    assert whole["complete"]
    done = compare(both, clips, out)
    assert sorted(map(repr, without_timings(done)["rows"])) == sorted(map(repr, without_timings(whole)["rows"]))
    parts = [tmp_path / name for name in both["methods"]]
    for part in parts:
        compare(CHEAP | {"methods": (part.name,), "seeds": 1}, clips[:1], part)
    _, merged = merge(parts, tmp_path / "merged")
    assert merged["complete"]
    assert without_timings(merged)["rows"] == [row for row in without_timings(whole)["rows"] if is_first(row, clips)]


NEURAL = ONE | {"methods": ("fast",), "iterations": 3}

KILLED = """
import json, os, signal, sys
from pathlib import Path
import torch
from dyntex.benchmarks.data import find_clips
from dyntex.benchmarks.tasks import comparison
sys.path.insert(0, sys.argv[1])
from test_benchmark import NEURAL, compare

def killed(task, fitted, split, **words):
    os.kill(os.getpid(), signal.SIGKILL)

torch.set_num_threads(int(sys.argv[4]))
comparison.draw = killed
compare(NEURAL, find_clips([sys.argv[2]]), Path(sys.argv[3]))
"""


def test_a_sweep_killed_after_training_does_not_train_again(
    clips: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = compare(NEURAL | {"keep_models": False}, clips[:1], tmp_path / "whole")
    assert {row["status"] for row in whole["rows"]} == {"ok"}
    assert not (tmp_path / "whole" / "models").exists()
    out = tmp_path / "out"
    words = [str(Path(__file__).parent), clips[0].where, str(out), str(torch.get_num_threads())]
    ended = subprocess.run([sys.executable, "-c", KILLED, *words], cwd=Path(__file__).parents[1], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not (out / "paper" / "fast" / "water" / "0" / "row.json").exists()

    fits = []
    fit = comparison.fit
    monkeypatch.setattr(comparison, "fit", lambda name, clip, **words: fits.append(clip) or fit(name, clip, **words))
    resumed = compare(NEURAL, clips[:1], out)
    assert not fits
    assert without_timings(resumed) == without_timings(whole)
    # A task that is asked for later finds the networks, too, and says what the training took when there was one.
    grown = compare(NEURAL | {"tasks": ("extrapolation",)}, clips[:1], out)
    assert not fits
    (before,), (after,) = (rows_of(grown, task=task, method="fast") for task in ("paper", "extrapolation"))
    assert after["fit_seconds"] == before["fit_seconds"] > 0

    # Networks of other settings are no use, nor are damaged ones, or those whose saving was cut short.
    model = out / "models" / "fast" / "water" / "0"
    (cell,) = (c for c in Comparison(tuple(clips[:1]), **NEURAL).cells() if not c.about["control"])
    settings = dict(cell.settings)
    assert recall(model, settings) is not None
    assert recall(model, settings | {"clip": clips[1].digest()}) is None
    assert recall(model, settings | {"method": settings_of("fast", iterations=4, budget=None)}) is None
    whole_file = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(whole_file[:1000])
    assert recall(model, settings) is None
    (model / "model.safetensors").write_bytes(whole_file)
    (model / "fitted.json").unlink()
    assert recall(model, settings) is None


def test_an_unreadable_clip_is_failed_rows_among_good_ones(clips: list[Source], tmp_path: Path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    short = film(tmp_path / "short.npy", 20)
    settings = ONE
    results = compare(settings, [*find_clips([str(broken), str(short)]), clips[0]], tmp_path / "out")
    assert {row["status"] for row in rows_of(results, clip=clips[0].name)} == {"ok"}
    for name, reason in (("broken", "broken.mp4"), ("short", "20 frames")):
        rows = rows_of(results, clip=name)
        assert {row["method"] for row in rows} >= {"lds", "mean-frame"}
        assert all(row["status"] == "failed" and reason in row["reason"] for row in rows)
    with pytest.raises(InputError, match=r"nothing could be run: .*20 frames"):
        compare(settings, find_clips([str(short)]), tmp_path / "none")


def test_one_methods_trouble_is_its_own_and_is_tried_again(
    clips: list[Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    settings = ONE | {"methods": ("lds", "hosvd")}
    fit = comparison.fit

    def trouble(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "lds":
            raise RuntimeError("singular")
        return fit(name, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(comparison, "fit", trouble)
        results = compare(settings, clips[:1], tmp_path / "out")
    (bad,), (good,) = rows_of(results, method="lds"), rows_of(results, method="hosvd")
    assert (bad["status"], bad["reason"], good["status"]) == ("failed", "RuntimeError: singular", "ok")
    assert rows_of(compare(settings, clips[:1], tmp_path / "out"), method="lds")[0]["status"] == "ok"


def test_speed_measures_in_processes_of_their_own(clips: list[Source], tmp_path: Path):
    settings = ONE | {"tasks": ("speed",)}
    big = torch.ones(2**27)  # 512 MiB here, which must not be counted there
    (row,) = compare(settings, clips[:1], tmp_path / "out")["rows"]
    assert big.sum() > 0
    assert row["status"] == "ok", row
    assert 0 < row["fit_seconds"] < row["seconds"]
    # The whole cell took longer than the frames that it made at that speed, once.
    assert row["seconds"] > split_clip(clips[0], size=SIZE, n_frames=T).train.n_frames / row["frames_per_second"] > 0
    assert 50 < row["base_mb"] <= row["peak_mb"] < 700
    pixels = 3 * SIZE * SIZE
    states = (row["n_parameters"] - pixels) // pixels  # n states: C and the mean, and the little that A and B take
    assert 1 <= states <= T // 3
