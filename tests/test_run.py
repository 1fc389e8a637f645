"""A run folder: what it holds, what it refuses, and that looking, saving and going back do not change the training."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch

from dyntex.clip import Clip
from dyntex.coopnets import watchdog
from dyntex.coopnets.checkpoint import Checkpoints
from dyntex.coopnets.config import CoopConfig, from_json
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.watchdog import MAX_ROLLBACKS, SHRINK, Watch
from dyntex.errors import DivergedError, DyntexError, InputError, MemoryLimitError, StoppedError, UsageError
from dyntex.experiment import memory
from dyntex.experiment import run as run_module
from dyntex.experiment.memory import check_memory
from dyntex.experiment.metrics_log import append, rewind
from dyntex.experiment.run import Run, environment
from dyntex.networks.architecture import ConvGeneratorConfig, DescriptorConfig, Head, Layer
from dyntex.random_streams import generator

# The paper's shape in small, with everything on that keeps a state of its own: batch normalisation, replayed chains,
# an inferred z, an averaged generator and rates that fall.
CONFIG = CoopConfig.of(
    "small",
    DescriptorConfig((Head((Layer(4, (3, 3, 3), (2, 2, 2)), Layer(1, (1, 1, 1), activation="none"))),), ref_std=0.3),
    ConvGeneratorConfig(
        (2, 4, 4), (Layer(4, (3, 3, 3), (2, 2, 2), batch_norm=True), Layer(0, (3, 3, 3), (2, 2, 2), activation="tanh"))
    ),
    size=16,
    n_frames=8,
    iterations=8,
    n_steps=2,
    step=0.02,
    n_steps_z=1,
    lr_decay=0.1,
    data_noise=0.01,
    reuse=0.5,
    capacity=3,
    ema=0.9,
)


@pytest.fixture
def clip(rng: torch.Generator) -> Clip:
    return Clip(torch.rand(3, 8, 16, 16, generator=rng) * 2 - 1, Fraction(25))


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def weights(model: CoopNets) -> dict[str, torch.Tensor]:
    nets = {"des": model.des, "gen": model.gen}
    return {f"{name}.{key}": value for name, net in nets.items() for key, value in net.state_dict().items()}


def assert_same(a: CoopNets, b: CoopNets) -> None:
    left, right = weights(a), weights(b)
    assert left.keys() == right.keys()
    for key, value in left.items():
        assert torch.equal(value, right[key]), key


def info(iteration: int, *, gap: float = 1.0, des_grad: float = 1.0) -> StepInfo:
    rest = {field.name: 0.5 for field in fields(StepInfo)}
    return StepInfo(**rest | {"iteration": iteration, "gap": gap, "des_grad": des_grad})  # type: ignore[arg-type]


def test_the_folder_tells_the_whole_run(clip: Clip, tmp_path: Path) -> None:
    seen: list[tuple[StepInfo, float]] = []
    folder = tmp_path / "run"
    run = Run(folder, CONFIG, seed=3, on_step=lambda step, share: seen.append((step, share)))
    model = run.train(clip)
    assert {path.name for path in folder.iterdir()} == {
        "config.json",
        "env.json",
        "metrics.jsonl",
        "checkpoints",
        "samples",
    }
    about = json.loads((folder / "config.json").read_text())
    assert from_json(about["config"]) == CONFIG
    assert (about["seed"], about["device"], about["shape"]) == (3, "cpu", [3, 8, 16, 16])
    assert json.loads((folder / "env.json").read_text())["torch"] == torch.__version__
    lines = journal(folder)
    assert [line["iteration"] for line in lines] == list(range(1, 9))
    assert [{k: v for k, v in line.items() if k != "seconds"} for line in lines] == [asdict(step) for step, _ in seen]
    assert [share for _, share in seen] == [k / 8 for k in range(1, 9)]
    assert [line["seconds"] for line in lines] == sorted(line["seconds"] for line in lines)
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["0000008.safetensors"]
    assert sorted(path.name for path in (folder / "samples").iterdir()) == ["0000000.png", "0000008.png"]
    assert model.iterations == 8


def test_saving_and_looking_do_not_change_the_training(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = torch.get_rng_state()
    plain = Run(tmp_path / "a", CONFIG).train(clip)
    monkeypatch.setattr(run_module, "SAVE_SHARE", float("inf"))
    busy = Run(tmp_path / "b", CONFIG, save_every=0.0).train(clip)
    assert len(list((tmp_path / "b" / "samples").iterdir())) == 9  # before the first and after every iteration
    assert_same(plain, busy)
    # The command's run and the library's fit are one training.
    assert_same(plain, CoopNets.fit(clip, CONFIG, rng=generator(0, "train")))
    assert torch.equal(torch.get_rng_state(), before)


def test_checkpoints_come_no_faster_than_asked_and_cost_little(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that only training (1 s an iteration) and saving (0.5 s) move."""
    now = [0.0]
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: now[0]))
    saved: list[int] = []
    save = Checkpoints.save

    def slow_save(self: Checkpoints, iteration: int, state: Any) -> None:
        now[0] += 0.5
        saved.append(iteration)
        save(self, iteration, state)

    def tick() -> bool:
        now[0] += 1.0
        return False

    monkeypatch.setattr(Checkpoints, "save", slow_save)
    config = CONFIG.replaced(iterations=40)
    Run(tmp_path / "a", config, save_every=7.5, stop=tick).train(clip)
    # 0.5 s are 5 % of 10 s, which is longer than 7.5 s; the first comes after 11 s because 10 are not yet more.
    assert saved == [0, 11, 22, 33, 40]
    saved.clear()
    Run(tmp_path / "b", config, save_every=15.5, stop=tick).train(clip)
    assert saved == [0, 16, 32, 40]


def test_a_budget_is_not_overdrawn_and_counts_the_time_before_a_stop(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def tick() -> bool:
        now[0] += 1.0
        return now[0] == 3.0

    with pytest.raises(StoppedError, match="stopped after iteration 3"):
        Run(tmp_path / "run", CONFIG, budget=9.5, stop=tick).train(clip)
    now[0] = 1000.0  # nobody is charged for the night
    Run(tmp_path / "run", CONFIG, budget=9.5, stop=tick, resume=True).train(clip)
    # This clock ticks after the line is written, so 2 s are on record for three iterations: the tenth ends at 9 s, and
    # an eleventh would end at 10 s.
    assert [line["iteration"] for line in journal(tmp_path / "run")] == list(range(1, 11))
    assert journal(tmp_path / "run")[-1]["seconds"] == 8.0


def test_a_budget_is_for_setting_up_saving_and_what_comes_afterwards_too(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a clock that setting up (4 s), asking (2 s, and 7 s are to be left), saves (1.5 s) and iterations (1 s) move:
    of 30.5 s, 4 + 2 + 1.5 are gone before the first iteration and 1.5 + 7 are wanted after the last; 14 fit."""
    now = [0.0]
    monkeypatch.setattr(run_module, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def spend(seconds: float, value: Any = None) -> Any:
        now[0] += seconds
        return value

    opened, saved = Run._open, Checkpoints.save
    monkeypatch.setattr(Run, "_open", lambda *a: spend(4.0, opened(*a)))
    monkeypatch.setattr(Checkpoints, "save", lambda *a: spend(1.5, saved(*a)))
    asked: list[int] = []
    run = Run(tmp_path / "run", CONFIG, budget=30.5, stop=lambda: spend(1.0, False))
    run.afterwards = lambda model: spend(2.0, asked.append(model.iterations) or 7.0)  # type: ignore[func-returns-value]
    model = run.train(clip)
    assert model.iterations == 14
    assert asked == [0]
    assert now[0] == 23.0


def test_what_is_afterwards_is_not_asked_without_a_budget_and_one_that_is_too_small_trains_nothing(
    clip: Clip, tmp_path: Path
) -> None:
    def refuse(_: CoopNets) -> float:
        raise AssertionError

    assert Run(tmp_path / "a", CONFIG, afterwards=refuse).train(clip).iterations == 8
    model = Run(tmp_path / "b", CONFIG, budget=5.0, afterwards=lambda _: 9.0).train(clip)
    assert model.iterations == 0
    assert model.synthesize(8, rng=torch.Generator().manual_seed(0)).n_frames == 8


def test_the_journal_never_knows_less_than_a_checkpoint(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a process that is killed just after saving would resume with a hole in its journal."""
    save = Checkpoints.save
    saved: list[int] = []

    def check(self: Checkpoints, iteration: int, state: Any) -> None:
        assert (len(journal(tmp_path / "run")) if iteration else 0) == iteration
        saved.append(iteration)
        save(self, iteration, state)

    monkeypatch.setattr(Checkpoints, "save", check)
    monkeypatch.setattr(run_module, "SAVE_SHARE", float("inf"))
    Run(tmp_path / "run", CONFIG, save_every=0.0).train(clip)
    assert saved == [*range(9)]


def test_stopping_saves(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(StoppedError, match=r"iteration 1;.*--resume") as raised:
        Run(tmp_path / "run", CONFIG, stop=lambda: True).train(clip)
    assert raised.value.exit_code == 130
    assert int(Run(tmp_path / "run", CONFIG).checkpoints.load()["iteration"]) == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"seed": 1}, "seed = 0, and 1"),
        ({"config": CONFIG.replaced(lr_des=0.5)}, r"config\.optimisation\.lr_des = 0\.01, and 0\.5"),
        ({"config": CONFIG.replaced(preset="other")}, "'small', and 'other'"),
    ],
)
def test_a_run_with_other_settings_is_not_resumed(
    change: dict[str, Any], expected: str, clip: Clip, tmp_path: Path
) -> None:
    Run(tmp_path / "run", CONFIG.replaced(iterations=1)).train(clip)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    arguments = {"config": CONFIG.replaced(iterations=1), "resume": True}
    if "config" in change:
        change = {"config": change["config"].replaced(iterations=1)}
    with pytest.raises(UsageError, match=expected):
        Run(tmp_path / "run", **arguments | change).check()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_run_of_another_clip_is_not_resumed(clip: Clip, tmp_path: Path) -> None:
    config = CONFIG.replaced(iterations=1)
    Run(tmp_path / "run", config).train(clip)
    with pytest.raises(UsageError, match="another clip"):
        Run(tmp_path / "run", config, resume=True).train(Clip(-clip.video, clip.fps))
    with pytest.raises(UsageError, match=r"shape = \[3, 8, 16, 16\]"):
        Run(tmp_path / "run", config, resume=True).train(Clip(clip.video[..., :8], clip.fps))


def test_starting_anew_removes_the_earlier_run_and_nothing_else(clip: Clip, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = Run(folder, CONFIG.replaced(iterations=2))
    first.train(clip).save(folder / "model")
    first.finish({"output": "a.mp4"})
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"--resume.*--overwrite"):
        Run(folder, CONFIG).check()
    with pytest.raises(StoppedError):
        Run(folder, CONFIG, overwrite=True, stop=lambda: True).train(clip)
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "config.json",
        "env.json",
        "metrics.jsonl",
        "notes.txt",
        "checkpoints/0000001.safetensors",
        "samples/0000000.png",
        "samples/0000001.png",
    }


def test_a_short_clip_is_refused_before_the_folder_is_made(clip: Clip, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"7 frames.*at least 8"):
        Run(tmp_path / "run", CONFIG).train(clip.segment(0, 7))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_one_sentence(clip: Clip, tmp_path: Path) -> None:
    config = CONFIG.replaced(iterations=1)
    Run(tmp_path / "run", config).train(clip)
    (file,) = (tmp_path / "run" / "checkpoints").iterdir()
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    lines = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    with pytest.raises(InputError, match=r"0000001\.safetensors .*cut short"):
        Run(tmp_path / "run", config, resume=True).train(clip)
    assert file.read_bytes() == data[: len(data) // 2]
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == lines


def runaway(monkeypatch: pytest.MonkeyPatch, *, at: int, times: int) -> list[int]:
    """Let the watchdog bark at an iteration, so many times; returns where it barked."""
    barked: list[int] = []
    trouble = Watch.trouble

    def bark(self: Watch, step: StepInfo) -> str | None:
        if step.iteration == at and len(barked) < times:
            barked.append(step.iteration)
            return "it was told to bark"
        return trouble(self, step)

    monkeypatch.setattr(watchdog.Watch, "trouble", bark)
    return barked


def test_a_rollback_is_journalled_once_and_goes_on_with_a_smaller_step(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    barked = runaway(monkeypatch, at=6, times=2)
    told: list[str] = []
    run = Run(tmp_path / "run", CONFIG, notice=told.append)  # its only checkpoint is that of iteration 0
    run.train(clip)
    assert barked == [6, 6]
    assert len(told) == 2
    assert "back to iteration 0" in told[0]
    assert [line["iteration"] for line in journal(tmp_path / "run")] == list(range(1, 9))
    assert float(run.checkpoints.load()["step_scale"]) == SHRINK**2
    # The lines are those of the last attempt: the smaller step is in them.
    other = Run(tmp_path / "other", CONFIG)
    other.train(clip)
    assert journal(tmp_path / "run")[0]["move"] != journal(tmp_path / "other")[0]["move"]


def test_the_smaller_step_is_saved_at_once(clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runaway(monkeypatch, at=4, times=1)

    def killed(_: str) -> None:
        raise KeyboardInterrupt

    run = Run(tmp_path / "run", CONFIG, notice=killed)
    with pytest.raises(KeyboardInterrupt):
        run.train(clip)
    state = run.checkpoints.load()
    assert (int(state["iteration"]), float(state["step_scale"])) == (0, SHRINK)


def test_a_training_that_runs_away_for_good_ends_with_the_last_good_state(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "SAVE_SHARE", float("inf"))
    barked = runaway(monkeypatch, at=5, times=99)
    run = Run(tmp_path / "run", CONFIG, save_every=0.0)
    with pytest.raises(DivergedError, match=r"iteration 5.*of iteration 4, is kept"):
        run.train(clip)
    assert len(barked) == MAX_ROLLBACKS + 1
    assert int(run.checkpoints.load()["iteration"]) == 4
    assert [line["iteration"] for line in journal(tmp_path / "run")] == [1, 2, 3, 4]


def test_a_resumed_training_is_watched_with_the_memory_of_the_journal(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = iter([False, False, True])
    with pytest.raises(StoppedError):
        Run(tmp_path / "run", CONFIG, stop=lambda: next(steps)).train(clip)
    given: list[StepInfo] = []
    watched = run_module.watched

    def spy(*arguments: Any, past: list[StepInfo], **words: Any) -> Iterator[StepInfo]:
        given.extend(past)
        return watched(*arguments, past=past, **words)

    monkeypatch.setattr(run_module, "watched", spy)
    Run(tmp_path / "run", CONFIG, resume=True).train(clip)
    # Decimal numbers in JSON come back as the same floating-point numbers.
    written = [{k: v for k, v in line.items() if k != "seconds"} for line in journal(tmp_path / "run")[:3]]
    assert [asdict(step) for step in given] == written


def test_watch_compares_with_the_recent_median_of_a_full_window() -> None:
    for name in ("gap", "des_grad"):
        calm = [info(k) for k in range(1, 11)]
        watch = Watch(calm, window=10, factor=100.0)
        assert watch.trouble(info(11, **{name: 100.0})) is None
        assert "100 times" in (watch.trouble(info(12, **{name: 100.5})) or "")
        assert "100 times" in (Watch(calm, window=10, factor=100.0).trouble(info(11, gap=-101.0)) or "")
        # One record fewer than the window says nothing yet.
        assert Watch(calm[1:], window=10, factor=100.0).trouble(info(11, **{name: 1e9})) is None
    # The window slides: what was long ago is not usual any more.
    watch = Watch([info(k, gap=1e6) for k in range(50)] + [info(k) for k in range(50, 60)], window=10, factor=100.0)
    assert watch.trouble(info(60, gap=1e4)) is not None


def test_watch_needs_no_history_for_what_is_not_a_number_or_has_left_the_pixels() -> None:
    for value in (float("nan"), float("inf"), float("-inf")):
        for field in fields(StepInfo):
            if field.name != "iteration":
                step = replace(info(1), **{field.name: value})
                assert f"{field.name} is {value}" in (Watch().trouble(step) or "")
    assert Watch().trouble(replace(info(1), move=1.0)) is None
    assert "moved by 1.01" in (Watch().trouble(replace(info(1), move=1.01)) or "")


def test_watch_forgets_what_was_rolled_back_and_what_was_trouble() -> None:
    watch = Watch([info(k) for k in range(1, 9)], window=8)
    assert watch.trouble(info(9, gap=1e9)) is not None
    assert [step.iteration for step in watch.past] == list(range(1, 9))
    watch.forget(5)
    assert [step.iteration for step in watch.past] == [1, 2, 3, 4, 5]


def test_journal_drops_later_lines_and_the_one_that_a_crash_cut(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert rewind(path, 5) == ([], 0.0)
    for k in range(1, 8):
        append(path, info(k, gap=0.1 * k), seconds=10.0 * k)
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(whole[:-5])
    records, seconds = rewind(path, 9)
    assert ([step.iteration for step in records], seconds) == ([1, 2, 3, 4, 5, 6], 60.0)
    assert records[2].gap == 0.1 * 3
    assert path.read_bytes() == b"".join(lines[:6])
    # A last line that lacks nothing but its end would run into the next one.
    path.write_bytes(b"".join(lines[:6])[:-1])
    assert len(rewind(path, 9)[0]) == 5
    assert rewind(path, 3)[1] == 30.0
    append(path, info(4, gap=0.4), seconds=40.0)
    assert path.read_bytes() == b"".join(lines[:4])
    assert rewind(path, 0) == ([], 0.0)
    assert path.read_bytes() == b""


def test_journal_on_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(DyntexError, match=r"metrics\.jsonl .*--resume"):
        append(tmp_path / "nowhere" / "metrics.jsonl", info(1), seconds=1.0)


def test_memory_for_training_is_twelve_bytes_a_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    nets = (torch.nn.Linear(10, 10), torch.nn.Linear(5, 1, bias=False))  # 115 weights
    for free, enough in ((12 * 115, True), (12 * 115 - 1, False)):
        monkeypatch.setattr(psutil, "virtual_memory", lambda free=free: SimpleNamespace(available=free))
        if enough:
            check_memory(nets, torch.device("cpu"))
        else:
            with pytest.raises(MemoryLimitError, match="smaller preset") as raised:
                check_memory(nets, torch.device("cpu"))
            assert raised.value.exit_code == 4


def test_training_that_would_not_fit_is_refused_before_the_folder_is_made(
    clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=100))
    with pytest.raises(MemoryLimitError):
        Run(tmp_path / "run", CONFIG).train(clip)
    assert list(tmp_path.iterdir()) == []


def test_environment_names_versions_and_machine() -> None:
    about = environment()
    assert about["torch"] == torch.__version__
    assert about["memory_bytes"] == psutil.virtual_memory().total
    json.dumps(about)


def test_the_command_is_kept_without_its_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.argv", ["/bin/dyntex", "train", "/home/me/a.mp4", "--out=../b/model", "-o", "c", "--seed", "1"]
    )
    assert environment()["command"] == ["train", "a.mp4", "--out=model", "-o", "c", "--seed", "1"]


def test_a_result_s_paths_are_as_seen_from_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one is given from the working folder and the other from the root."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    elsewhere = str(tmp_path.parent / "b.mp4")
    result = {"output": elsewhere, "model": str(tmp_path / "run" / "model"), "report": "run/report.html", "sheet": None}
    Run(Path("run"), CONFIG).finish(result | {"frames": 3})
    kept = json.loads((tmp_path / "run" / "result.json").read_text())
    assert kept == {"output": "b.mp4", "model": "model", "report": "report.html", "sheet": None, "frames": 3}
