"""The commands: what they print where, what they leave behind, and that the same words give the same video."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio.v3 as iio
import numpy as np
import pytest
import torch
import typer
from commands import TINY, done, dyntex, tree
from media_files import noise, write_video

from dyntex.cli import app
from dyntex.cli.console import ConsoleProgress
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import FAST
from dyntex.experiment.output import Output
from dyntex.media import read_clip
from dyntex.media.sheet import BESIDE_GAP, GAP, ROW_GAP
from dyntex.random_streams import generator

KEYS = {
    "schema_version",
    "output",
    "frames",
    "fps",
    "height",
    "width",
    "preset",
    "iterations",
    "seed",
    "device",
    "seconds",
    "peak_rss_mb",
    "model",
    "sheet",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real file at NTSC's rate, whose every frame is another."""
    frames = noise(20, 32, 40) // 8 + 100
    return write_video(tmp_path_factory.mktemp("source") / "clip.mkv", list(frames), fps=Fraction(30000, 1001))


@pytest.fixture(scope="module")
def made(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one successful ``synthesize``, whose JSON is in ``stdout``."""
    folder = tmp_path_factory.mktemp("made")
    outcome = done(
        "synthesize", source, "-o", folder / "a.mp4", *TINY, "--frames", 24, "--seed", 5, "--device", "cpu", "--json"
    )
    (folder / "stdout").write_text(outcome.out)
    (folder / "stderr").write_text(outcome.err)
    return folder


def test_json_describes_what_was_written(made: Path) -> None:
    lines = (made / "stdout").read_text().splitlines()
    assert len(lines) == 1
    report = json.loads(lines[0])
    assert report.keys() >= KEYS
    spent = dict(report["seconds"])
    assert spent.keys() == {"read", "rehearse", "fit", "synthesize", "write", "report", "total"}
    assert spent.pop("rehearse") == 0  # there is no budget to keep to
    assert all(value > 0 for value in spent.values())
    # Stages are parts of the whole, one after the other; each is rounded to a millisecond.
    assert sum(spent.values()) <= 2 * spent["total"] + 0.003
    expected = {"schema_version": 1, "output": str(made / "a.mp4"), "frames": 24, "height": 16, "width": 16}
    expected |= {"preset": "fast", "iterations": 2, "seed": 5, "device": "cpu", "fps": 30000 / 1001}
    expected |= {"model": str(made / "a.run" / "model"), "sheet": str(made / "a.sheet.png")}
    assert {key: report[key] for key in expected} == expected
    # Torch alone takes more than 50 MiB; KiB taken for MiB would be above any machine's memory.
    assert 50 < report["peak_rss_mb"] < 50_000
    # In the run folder it is as one sees it from there.
    seen = {"output": "a.mp4", "sheet": "a.sheet.png", "side_by_side": "a.side.mp4"}
    seen |= {"model": "model", "report": "report.html"}
    assert json.loads((made / "a.run" / "result.json").read_text()) == report | seen
    for name in ("result.json", "env.json", "config.json"):
        assert str(made.parent) not in (made / "a.run" / name).read_text()


def test_what_is_written_opens_with_the_right_frames_size_and_rate(made: Path) -> None:
    video, beside = read_clip(made / "a.mp4"), read_clip(made / "a.side.mp4")
    assert (video.n_frames, video.height, video.width, video.fps) == (24, 16, 16, Fraction(30000, 1001))
    # It is as long as the original, beside which it has something to show.
    assert (beside.n_frames, beside.height, beside.width, beside.fps) == (16, 16, 32 + BESIDE_GAP, video.fps)
    assert iio.imread(made / "a.sheet.png").shape == (2 * 16 + ROW_GAP, 8 * 16 + 7 * GAP, 3)
    assert {path.name for path in made.iterdir()} == {
        "a.mp4",
        "a.run",
        "a.sheet.png",
        "a.side.mp4",
        "stdout",
        "stderr",
    }


def test_the_settings_travel_in_the_video(made: Path, source: Path) -> None:
    with av.open(str(made / "a.mp4")) as container:
        settings = json.loads(container.metadata["comment"])
    expected = {"preset": "fast", "seed": 5, "iterations": 2, "source": source.name, "start": 0, "clip_frames": 16}
    assert {key: settings[key] for key in expected} == expected
    assert settings["command"].startswith(f"dyntex synthesize {source.name} -o a.mp4 ")
    assert "/" not in json.dumps(settings)  # where it was made is nobody's business


def test_progress_is_plain_lines_on_stderr_where_there_is_no_terminal(made: Path) -> None:
    told = (made / "stderr").read_text()
    assert "iteration 2" in told
    assert "energy gap" in told
    assert "\x1b" not in told
    assert "\r" not in told


def test_the_same_words_give_the_same_video_and_sample_makes_it_again(source: Path, made: Path, tmp_path: Path) -> None:
    words_ = ("synthesize", source, *TINY, "--frames", 24, "--seed", 5, "--quiet")
    outcome = done(*words_, "-o", tmp_path / "a.npy")
    assert outcome.err == ""
    assert outcome.out == f"{tmp_path / 'a.npy'}\n"
    first = np.load(tmp_path / "a.npy")
    assert np.load(tmp_path / "a.npy").shape == (24, 16, 16, 3)

    model = tmp_path / "a.run" / "model"
    report = done("sample", model, "-o", tmp_path / "b.npy", "--frames", 24, "--seed", 5, "--json").json
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), first)
    assert report.keys() >= KEYS
    assert report["seconds"].keys() == {"read", "rehearse", "fit", "synthesize", "write", "report", "total"}
    assert (report["iterations"], report["frames"], report["sheet"]) == (2, 24, None)
    # The weights of the run that the module's fixture made from the same words are the same, too.
    np.testing.assert_array_equal(
        (model / "model.safetensors").read_bytes(), (made / "a.run" / "model" / "model.safetensors").read_bytes()
    )

    done("sample", model, "-o", tmp_path / "c.npy", "--frames", 24, "--seed", 6, "-q")
    assert not np.array_equal(np.load(tmp_path / "c.npy"), first)


def test_sample_with_no_steps_is_the_generator_alone(made: Path, tmp_path: Path) -> None:
    model = made / "a.run" / "model"
    done("sample", model, "-o", tmp_path / "g.npy", "--langevin-steps", 0, "--seed", 3, "-q")
    loaded = CoopNets.load(model)
    rng = generator(3, "synthesize")
    with torch.no_grad():
        z = torch.randn((1, *loaded.gen.latent_shape(16)), generator=rng)
        y = loaded.gen(z, z.new_zeros(1, 0, 16, 16, 16))[0, :, :16].clamp(-1, 1)
    expected = ((y + 1) * 127.5).round().permute(1, 2, 3, 0).numpy()
    np.testing.assert_array_equal(np.load(tmp_path / "g.npy"), expected)
    done("sample", model, "-o", tmp_path / "r.npy", "--seed", 3, "-q")
    assert not np.array_equal(np.load(tmp_path / "r.npy"), np.load(tmp_path / "g.npy"))


def test_train_saves_what_synthesize_would_have_saved(source: Path, made: Path, tmp_path: Path) -> None:
    report = done("train", source, "-o", tmp_path / "model", *TINY, "--seed", 5, "--json").json
    assert report.keys() >= KEYS
    assert report["output"] == report["model"] == str(tmp_path / "model")
    assert (tmp_path / "model" / "model.safetensors").read_bytes() == (
        made / "a.run" / "model" / "model.safetensors"
    ).read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"model", "model.run"}


def test_the_same_command_again_asks_for_overwrite_and_resume_only_synthesizes(source: Path, tmp_path: Path) -> None:
    command = ("synthesize", source, "-o", tmp_path / "a.npy", *TINY, "-q")
    done(*command)
    first = (tmp_path / "a.npy").read_bytes()
    journal = (tmp_path / "a.run" / "metrics.jsonl").read_bytes()

    again = dyntex(*command)
    assert again.code == 2
    assert "--overwrite" in again.err

    (tmp_path / "a.npy").unlink()
    (tmp_path / "a.sheet.png").unlink()
    (tmp_path / "a.side.mp4").unlink()
    run_only = dyntex(*command)
    assert run_only.code == 2
    assert "--resume" in run_only.err

    done(*command, "--resume")
    assert (tmp_path / "a.npy").read_bytes() == first
    assert (tmp_path / "a.run" / "metrics.jsonl").read_bytes() == journal  # not an iteration more

    (tmp_path / "a.npy").write_text("an older one")
    done(*command, "--overwrite")
    assert (tmp_path / "a.npy").read_bytes() == first


def test_a_baseline_leaves_all_but_a_training(source: Path, tmp_path: Path) -> None:
    command = ("synthesize", source, "--method", "lds", "--size", 16, "--clip-frames", 16, "--json")
    report = done(*command, "-o", tmp_path / "a.npy").json
    assert (report["preset"], report["iterations"], report["model"]) == ("lds", None, None)
    run = tmp_path / "a.run"
    assert {path.name for path in tmp_path.iterdir()} == {"a.npy", "a.run", "a.sheet.png", "a.side.mp4"}
    assert {path.name for path in run.iterdir()} == {"config.json", "env.json", "output", "report.html", "result.json"}
    assert report["report"] == str(run / "report.html")
    kept = json.loads((run / "result.json").read_text())
    assert (kept["preset"], kept["output"], kept["seconds"]) == ("lds", "a.npy", report["seconds"])
    asked = {"method": "lds", "seed": 0, "source": source.name, "start": 0, "clip_frames": 16, "shape": [3, 16, 16, 16]}
    assert json.loads((run / "config.json").read_text()) == asked
    page = (run / "report.html").read_text()
    assert "made by the baseline lds that learnt from 16 frames" in page
    assert "dyntex sample" not in page  # there is no model to sample from
    done(*command, "-o", tmp_path / "b.npy", "--run-dir", tmp_path / "elsewhere")
    assert (tmp_path / "elsewhere" / "report.html").is_file()
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_baseline_replaces_a_run_only_when_told_and_nothing_of_it_stays(source: Path, tmp_path: Path) -> None:
    short = ("synthesize", source, "--size", 16, "--clip-frames", 16)
    command = (*short, "-o", tmp_path / "a.npy")
    done(*command, "--iterations", 1, "-q")
    before = tree(tmp_path)
    refused = dyntex(*short, "-o", tmp_path / "b.npy", "--method", "lds", "--run-dir", tmp_path / "a.run")
    assert (refused.code, "holds an earlier run" in refused.err) == (2, True)
    assert tree(tmp_path) == before
    done(*short, "-o", tmp_path / "b.npy", "--method", "lds", "--run-dir", tmp_path / "a.run", "--overwrite", "-q")
    files = {path.name for path in (tmp_path / "a.run").rglob("*") if path.is_file()}
    assert files == {"config.json", "env.json", "report.html", "result.json", "b.npy", "b.sheet.png", "b.side.mp4"}
    # And the other way round: a folder that a baseline left may be replaced too.
    done(*short, "-o", tmp_path / "c.npy", "--method", "lds", "-q")
    done(*short, "-o", tmp_path / "c.npy", "--iterations", 1, "--overwrite", "-q")
    assert (tmp_path / "c.run" / "model").is_dir()
    # A folder of something else may not.
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "config.json").write_text("{}")
    options = ("--method", "lds", "--overwrite", "--run-dir", tmp_path / "project")
    assert "is not a run folder, and not empty" in dyntex(*command, *options).err


@pytest.mark.parametrize(
    ("opacity", "options", "ending"),
    [(0, (), ".webm"), (255, (), ".mp4"), (0, ("--background", "black"), ".mp4")],
    ids=["transparent", "opaque", "with a background"],
)
def test_a_result_without_a_name_has_room_for_the_clip_s_transparency(
    opacity: int, options: tuple, ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rgba = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 4), dtype=np.uint8)
    rgba[..., 3] = 255
    rgba[:, 4:12, 4:12, 3] = opacity
    np.save("ball.npy", rgba)
    command = ("synthesize", "ball.npy", "--method", "lds", "--size", 16, *options)
    outcome = done(*command)
    made = Path(f"ball-synthesis{ending}")
    assert outcome.out.strip() == str(made)
    assert read_clip(made).channels == (4 if ending == ".webm" else 3)
    assert {path.name for path in Path("ball-synthesis.run/output").iterdir()} == {
        made.name,
        "ball-synthesis.sheet.png",
        "ball-synthesis.side.mp4",
    }
    said = "the clip is transparent and .mp4 is not: the result is ball-synthesis.webm"
    assert (said in outcome.err) == (ending == ".webm")
    if ending == ".webm":
        # What is in that place is not replaced, and nothing is learnt for nothing.
        Path("ball-synthesis.sheet.png").unlink()
        Path("ball-synthesis.side.mp4").unlink()
        before = tree(tmp_path)
        refused = dyntex(*command, "--run-dir", "other.run")
        assert (refused.code, "ball-synthesis.webm exists" in refused.err) == (2, True), refused.err
        assert tree(tmp_path) == before


def test_only_an_ending_without_room_is_changed(tmp_path: Path) -> None:
    with ConsoleProgress(quiet=True) as progress:
        for name in ("a.png", "a.mkv", "a.mp4"):
            output = Output.of(tmp_path / name, background=None, grid=None, overwrite=False, still=True)
            assert output.with_alpha(3, progress) is output
            assert output.with_alpha(4, progress).place.name == (name if name != "a.mp4" else "a.webm")


def test_a_name_that_was_given_is_kept_and_refused_where_it_has_no_room(tmp_path: Path) -> None:
    rgba = np.zeros((16, 16, 16, 4), np.uint8)
    rgba[:, :8] = 255
    np.save(tmp_path / "half.npy", rgba)
    words = ("synthesize", tmp_path / "half.npy", "--method", "lds", "--size", 16, "-o", tmp_path / "a.mp4")
    refused = dyntex(*words)
    assert (refused.code, "cannot hold the transparency" in refused.err) == (2, True)
    assert [path.name for path in tmp_path.iterdir()] == ["half.npy"]


def test_config_file_changes_the_preset_that_it_names(source: Path, tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text('{"preset": "fast", "optimisation": {"iterations": 1, "lr_des": 0.5}}')
    command = ("train", source, "--size", 16, "--clip-frames", 16, "-q")
    done(*command, "--config", tmp_path / "c.json", "-o", tmp_path / "m")
    config = CoopNets.load(tmp_path / "m").config
    assert config == FAST.replaced(iterations=1, lr_des=0.5)
    # A model's own config.json is a whole config.
    done(*command, "--config", tmp_path / "m" / "config.json", "-o", tmp_path / "n")
    assert CoopNets.load(tmp_path / "n").config == config
    both = dyntex(*command, "--config", tmp_path / "c.json", "--preset", "fast", "-o", tmp_path / "o")
    assert both.code == 2


def test_info_of_a_clip_and_of_a_model(source: Path, made: Path) -> None:
    clip = done("info", source, "--no-measure", "--json").json
    expected = {"schema_version": 1, "kind": "video", "width": 40, "height": 32, "n_frames": 20}
    assert {key: clip[key] for key in expected} == expected
    assert clip["fps"] == pytest.approx(29.97, abs=1e-3)
    model = done("info", made / "a.run" / "model", "--json").json
    expected = {"kind": "model", "preset": "fast", "iterations": 2, "n_frames": 16, "height": 16, "width": 16}
    assert {key: model[key] for key in expected} == expected
    loaded = CoopNets.load(made / "a.run" / "model")
    for name, net in (("descriptor", loaded.des), ("generator", loaded.gen)):
        assert model["parameters"][name] == sum(p.numel() for p in net.parameters())
    assert "parameters" in done("info", made / "a.run" / "model").out


def test_examples_are_listed_and_written(tmp_path: Path) -> None:
    listed = done("examples", "--json").json["examples"]
    assert len(listed) >= 4
    assert all({"name", "law"} <= entry.keys() for entry in listed)
    name = listed[0]["name"]
    report = done("examples", name, "-o", tmp_path / "e.npy", "--frames", 3, "--size", "16x24", "--json").json
    assert np.load(tmp_path / "e.npy").shape == (3, 16, 24, 3)
    assert report["output"] == str(tmp_path / "e.npy")
    assert done("examples").out.count("\n") == len(listed)


def test_interrupted_synthesis_leaves_no_half_written_file(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = CoopNets.stream

    def interrupted(self: CoopNets, *args: object, **kwargs: object) -> object:
        yield from stream(self, *args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(CoopNets, "stream", interrupted)
    (tmp_path / "a.mp4").write_text("an older one")
    outcome = dyntex("sample", made / "a.run" / "model", "-o", tmp_path / "a.mp4", "--overwrite", "-q")
    assert outcome.code == 130
    assert outcome.err.count("\n") == 1
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.mp4": "an older one"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_outside_of_training_end_the_command_politely(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def told(self: CoopNets, *args: object, **kwargs: object) -> object:
        os.kill(os.getpid(), number)
        time.sleep(10)  # the signal ends it
        yield

    monkeypatch.setattr(CoopNets, "stream", told)
    before = signal.getsignal(number)
    outcome = dyntex("sample", made / "a.run" / "model", "-o", tmp_path / "a.mp4", "-q")
    assert outcome.code == 130
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried"),
    ],
)
def test_running_out_of_memory_has_its_exit_code(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def exhausted(self: CoopNets, *args: object, **kwargs: object) -> object:
        raise error
        yield

    monkeypatch.setattr(CoopNets, "stream", exhausted)
    outcome = dyntex("sample", made / "a.run" / "model", "-o", tmp_path / "a.mp4", "-q")
    assert outcome.code == 4
    assert outcome.err.startswith("dyntex: memory ran out")
    assert outcome.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_an_allocation_that_no_machine_can_serve_is_recognised() -> None:
    from dyntex.experiment.memory import is_out_of_memory

    with pytest.raises((RuntimeError, MemoryError)) as raised:
        torch.empty(2**50)
    assert is_out_of_memory(raised.value)
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("out of memory"))


def test_an_unforeseen_error_is_one_line_and_exit_code_1(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: CoopNets, *args: object, **kwargs: object) -> object:
        raise RuntimeError("a\nb :fire: [red]")
        yield

    monkeypatch.setattr(CoopNets, "stream", broken)
    outcome = dyntex("sample", made / "a.run" / "model", "-o", tmp_path / "a.mp4", "-q")
    assert outcome.code == 1
    assert outcome.err == "dyntex: internal error: RuntimeError: a b :fire: [red] (DYNTEX_DEBUG=1 shows where)\n"


def test_a_wish_to_stop_that_comes_after_the_last_iteration_is_not_lost() -> None:
    def wish_late() -> None:
        with ConsoleProgress(quiet=True).interruptible() as stop:
            assert not stop()
            signal.raise_signal(signal.SIGINT)
            assert stop()

    with pytest.raises(KeyboardInterrupt):
        wish_late()


def test_version_names_the_engines() -> None:
    outcome = done("--version")
    assert outcome.out.startswith("dyntex ")
    assert torch.__version__ in outcome.out
    assert av.ffmpeg_version_info in outcome.out


def test_help_and_completion_and_colour_without_torch() -> None:
    code = (
        "import sys\nfrom dyntex.cli import main\n"
        "try:\n    main()\nfinally:\n    assert not {'torch', 'av', 'cv2', 'scipy'} & set(sys.modules), 'slow import'\n"
    )

    def shell(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"COLUMNS": "200"} | environment
        return subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=env, check=False, timeout=60
        )

    top = shell("--help", NO_COLOR="1", FORCE_COLOR="1")
    assert top.returncode == 0, top.stderr
    assert all(name in top.stdout for name in ("synthesize", "train", "sample", "info", "examples"))
    assert "\x1b[3" not in top.stdout  # no colours; bold is none

    assert "--clip-frames" in shell("synthesize", "--help").stdout
    assert shell("synthesize").returncode == 2


def test_completion_knows_the_commands() -> None:
    env = os.environ | {"_DYNTEX_COMPLETE": "complete_bash", "COMP_WORDS": "dyntex syn", "COMP_CWORD": "1"}
    outcome = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['dyntex']; from dyntex.cli import main; main()"],
        capture_output=True,
        text=True,
        env=env,
        check=False,
        timeout=60,
    )
    assert outcome.stdout.split() == ["synthesize"]


def options_of(command: Any, name: str = "dyntex") -> Iterator[tuple[str, str, str | None]]:
    """(command, option, help) of all commands; hidden options are left out."""
    for parameter in command.params:
        if not getattr(parameter, "hidden", False):
            yield from ((name, option, getattr(parameter, "help", None)) for option in parameter.opts)
    for sub, inner in getattr(command, "commands", {}).items():
        yield from options_of(inner, f"{name} {sub}")


@pytest.mark.parametrize("option", ["--budget", "--langevin-steps", "--images", "--quality", "--loop", "--precision"])
def test_an_option_means_the_same_in_every_command(option: str) -> None:
    found = [(command, text) for command, name, text in options_of(typer.main.get_command(app)) if name == option]
    assert found
    assert len({text for _, text in found}) == 1, found


def test_an_option_that_had_two_meanings_names_its_successors(tmp_path: Path) -> None:
    assert "--steps" not in {name for _, name, _ in options_of(typer.main.get_command(app))}
    refused = dyntex("sample", tmp_path, "-o", tmp_path / "a.mp4", "--steps", 3)
    assert refused.code == 2
    assert refused.err == (
        "dyntex: --steps was renamed: use --langevin-steps K, or with --interpolate A B --images N\n"
    )


def test_a_run_folder_stands_for_the_model_in_it(source: Path, tmp_path: Path) -> None:
    done("synthesize", source, "-o", tmp_path / "a.npy", *TINY, "-q")
    run = tmp_path / "a.run"
    for folder, out in ((run, "b.npy"), (run / "model", "c.npy")):
        done("sample", folder, "-o", tmp_path / out, "--frames", 3, "-q")
    assert (tmp_path / "b.npy").read_bytes() == (tmp_path / "c.npy").read_bytes()
    assert done("info", run, "--json").json["kind"] == "model"
