"""Every way a command ends: signals, closed streams, a full disk, a kill; nothing half-written stays."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import TINY, done, dyntex
from media_files import noise, write_video

from dyntex.cli.process import ENDING, answered, interrupt
from dyntex.coopnets.checkpoint import save_json
from dyntex.errors import DyntexError
from dyntex.media import write as write_module
from dyntex.media.atomic import HOST, atomic, scratch_folder, sweep

MAIN = "from dyntex.cli import main; main()"
EXAMPLE = ("examples", "ripples", "--frames", "2", "--size", "8", "-o")


def shell(line: str, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run ``"$@"``, which is the command, in a line of shell."""
    command = ["sh", "-c", line, "sh", sys.executable, "-c", MAIN, *words]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def as_before():
    before = {number: signal.getsignal(number) for number in ENDING}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_nohup_is_respected_and_the_background_s_deafness_is_not(as_before: None) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with answered(lambda number, _: heard.append(number)):
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)
    assert heard == [signal.SIGINT, signal.SIGTERM]
    assert signal.getsignal(signal.SIGHUP) == signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_the_second_hangup_does_not_interrupt_the_removing(as_before: None) -> None:
    def hang_up_twice() -> None:
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
            removed.append(True)

    removed: list[bool] = []
    with answered(interrupt), pytest.raises(KeyboardInterrupt):
        hang_up_twice()
    assert removed == [True]


def test_two_hangups_of_a_training_save_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dyntex.cli.console import ConsoleProgress

    def training(self: ConsoleProgress, info: object, share: float) -> None:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)

    monkeypatch.setattr(ConsoleProgress, "training", training)
    outcome = dyntex("train", "example:ripples", *TINY, "-o", tmp_path / "m", "-q")
    assert outcome.code == 130
    assert outcome.err.startswith("dyntex: stopped after iteration 1; the training is saved")
    assert [file.name for file in (tmp_path / "m.run" / "checkpoints").iterdir()] == ["0000001.safetensors"]


@pytest.mark.parametrize(
    ("streams", "code"),
    [("2>&-", 0), (">&-", 0), ("<&- >&- 2>&-", 0), ("2>/dev/full", 0), (">/dev/full", 1), ("| true", 0)],
)
def test_streams_that_are_closed_or_full(tmp_path: Path, streams: str, code: int) -> None:
    outcome = shell(f'"$@" {streams}', *EXAMPLE, "a.apng", cwd=tmp_path)
    assert outcome.returncode == code
    assert [path.name for path in tmp_path.iterdir()] == ["a.apng"]
    if code:
        assert outcome.stderr.startswith("dyntex: stdout cannot be written (No space left on device)")
        assert outcome.stderr.count("\n") == 1


@pytest.mark.parametrize("streams", ["2>&-", "2>/dev/full", ">&-"])
def test_a_refusal_has_its_code_where_it_cannot_be_told(tmp_path: Path, streams: str) -> None:
    assert shell(f'"$@" {streams}', "info", "nothing.mp4", cwd=tmp_path).returncode == 3


def test_a_reader_that_goes_away_ends_the_command_as_sigpipe_does(tmp_path: Path) -> None:
    # The reader is gone before the command begins, so that no clock decides.
    outcome = shell('{ sleep 0.01; "$@"; echo $? >code; } | :', "examples", cwd=tmp_path)
    assert (tmp_path / "code").read_text() == "141\n"
    assert outcome.stderr == ""


def test_a_name_that_is_no_unicode_is_printed_as_it_is(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.apng")
    command = [sys.executable, "-c", MAIN, *EXAMPLE, name]
    outcome = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120, check=False)
    assert (outcome.returncode, outcome.stdout) == (0, b"caf\xe9.apng\n")
    assert os.listdir(os.fsencode(tmp_path)) == [b"caf\xe9.apng"]


def test_words_of_libraries_are_not_on_stderr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    from dyntex import media

    def warn(*_: object, **__: object) -> None:
        warnings.warn("for programmers", stacklevel=1)

    monkeypatch.setattr(media, "check_writable", warn)
    assert done(*EXAMPLE, tmp_path / "a.apng").err == ""


# ---------------------------------------------------------------------------------------------- temporary files


def dead() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_run_left_is_removed_by_the_next_and_nothing_else(tmp_path: Path) -> None:
    left = tmp_path / f".dyntex.{HOST}.{dead()}.0123abcd.mp4"
    folder = tmp_path / f".dyntex.{HOST}.{dead()}.0123abcd"
    others = [
        f".dyntex.{HOST}.{os.getppid()}.0123abcd.mp4",  # of a process that lives
        f".dyntex.00000000.{dead()}.0123abcd.mp4" if HOST != "00000000" else ".other",  # of another machine
        f".dyntex.{HOST}.{dead()}.0123abcd.mp4.dyntex.old",  # what stepped aside is someone's only copy
        ".dyntex.mp4",
        "dyntex.mp4",
    ]
    for name in (left.name, *others):
        (tmp_path / name).write_bytes(b"x")
    folder.mkdir()
    (folder / "000000.png").write_bytes(b"x")
    with atomic(tmp_path / "new.bin") as temporary:
        assert not left.exists()
        assert not folder.exists()
        temporary.write_bytes(b"new")
    assert {path.name for path in tmp_path.iterdir()} == {"new.bin", *others}


def test_a_run_that_is_killed_while_it_writes_leaves_what_the_next_finds(tmp_path: Path) -> None:
    code = (
        "import os, signal\nfrom pathlib import Path\nfrom dyntex.media.atomic import atomic\n"
        "with atomic(Path('a.mp4')) as temporary:\n"
        "    temporary.write_bytes(b'x')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=120, check=False)
    assert len(list(tmp_path.iterdir())) == 1
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_scratch_folders_are_thrown_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f".dyntex.{HOST}.{dead()}.abc_1234").mkdir()
    with scratch_folder() as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test_json_of_a_killed_run_is_removed_when_it_is_written_anew(tmp_path: Path) -> None:
    for process in (dead(), os.getppid()):
        (tmp_path / f".a.json.{process}.partial").write_text("half")
    save_json(tmp_path / "a.json", {})
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", f".a.json.{os.getppid()}.partial"}


# ---------------------------------------------------------------------------------------------- after the training


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("source") / "a.mkv", noise(18, 24, 24))


def going_on(message: str) -> list[str]:
    """The words of the command that a message says."""
    import shlex

    assert message.count("\n") == 1
    return shlex.split(message.split("the model is saved: dyntex ")[1].split(" continues from it", maxsplit=1)[0])


def test_a_write_that_fails_after_the_training_says_how_to_go_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "a take.mkv"
    with monkeypatch.context() as patch:
        patch.setattr(write_module, "encode", full)
        outcome = dyntex("synthesize", source, *TINY, "--frames", 17, "--loop", "--seed", 3, "-o", out, "-q")
    assert outcome.code == 1
    assert "the disk is full" in outcome.err
    assert {path.name for path in tmp_path.iterdir()} == {"a take.run"}
    done(*going_on(outcome.err), "-q")
    done("synthesize", source, *TINY, "--frames", 17, "--loop", "--seed", 3, "-o", tmp_path / "b.mkv", "-q")
    assert pixels(out) == pixels(tmp_path / "b.mkv")


def pixels(path: Path) -> bytes:
    import av

    with av.open(str(path)) as container:
        return b"".join(frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0))


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_while_the_result_is_written_says_how_to_go_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def told(path: Path, *_: object, **__: object) -> None:
        path.write_bytes(b"half")
        signal.raise_signal(number)

    monkeypatch.setattr(write_module, "encode", told)
    outcome = dyntex("synthesize", source, *TINY, "-o", tmp_path / "a.mkv", "-q")
    assert outcome.code == 130
    assert going_on(outcome.err)[:3] == ["sample", str(tmp_path / "a.run" / "model"), "-o"]
    assert {path.name for path in tmp_path.iterdir()} == {"a.run"}


def test_a_baseline_has_no_model_to_go_on_with(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(write_module, "encode", full)
    outcome = dyntex("synthesize", source, "--method", "lds", "--size", 16, "-o", tmp_path / "a.mkv", "-q")
    assert outcome.code == 1
    assert "continues from it" not in outcome.err


def test_the_writer_s_own_error_stays_a_dyntex_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dyntex.experiment.output import model_kept

    with (
        pytest.raises(DyntexError, match=r"^it broke; the model is saved: dyntex sample 'a b' continues from it$"),
        model_kept("sample", "a b", kept=True),
    ):
        raise DyntexError("it broke")
