"""Files of tensors and settings: bit for bit, whole or not at all, and an earlier one survives every failure."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from dyntex.coopnets.checkpoint import Checkpoints, load_json, load_tensors, make_folder, save_json, save_tensors
from dyntex.errors import DyntexError, InputError, UsageError


@contextmanager
def file_size_limit(n_bytes: int) -> Iterator[None]:
    """The system refuses to let a file grow beyond it, as a full disk does, in the middle of writing."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_tensors_come_back_bit_for_bit(tmp_path: Path, rng: torch.Generator) -> None:
    weight = torch.randn(4, 5, generator=rng)
    tensors = {
        "weight": weight,
        "transposed": weight.T,
        "the same again": weight,
        "overlap": weight[1:],
        "expanded": weight[:1].expand(3, 5),
        "learnt": torch.nn.Parameter(weight + 1),
        "scalar": torch.tensor(0.1, dtype=torch.float64),
        "count": torch.tensor(2**40),
        "rng": rng.get_state(),
        "none": torch.zeros(0, 3),
        "special": torch.tensor([float("nan"), float("inf"), -0.0, 1e-45]),
        "half": torch.randn(3, generator=rng).bfloat16(),
    }
    before = {key: value.clone() for key, value in tensors.items()}
    save_tensors(tmp_path / "a.safetensors", tensors)
    loaded = load_tensors(tmp_path / "a.safetensors")
    assert loaded.keys() == tensors.keys()
    for key, value in before.items():
        assert (loaded[key].dtype, loaded[key].shape) == (value.dtype, value.shape)
        assert loaded[key].contiguous().view(-1).view(torch.uint8).tolist() == (
            value.detach().contiguous().view(-1).view(torch.uint8).tolist()
        )
    assert names(tmp_path) == {"a.safetensors"}


def test_the_file_is_plain_safetensors(tmp_path: Path) -> None:
    """Read by the format's definition (8 bytes of length, JSON, raw numbers), so that nothing can be pickled in it."""
    save_tensors(tmp_path / "a.safetensors", {"x": torch.tensor([1.0, -2.0])})
    data = (tmp_path / "a.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    assert (header["x"]["dtype"], header["x"]["shape"]) == ("F32", [2])
    assert struct.unpack("<2f", data[8 + length :]) == (1.0, -2.0)


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(2)})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.safetensors").stat().st_mode) == 0o640


def test_a_full_disk_is_foreseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(2**20)})
    before = (tmp_path / "a.safetensors").read_bytes()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2**20))
    with pytest.raises(DyntexError, match=r"disk is full: 4 MiB are needed and 1 MiB are free.*intact") as raised:
        save_tensors(tmp_path / "a.safetensors", {"x": torch.ones(2**20)})
    assert raised.value.exit_code == 1
    assert (tmp_path / "a.safetensors").read_bytes() == before
    assert names(tmp_path) == {"a.safetensors"}


def test_a_disk_that_fills_while_writing(tmp_path: Path) -> None:
    save_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(8)})
    save_json(tmp_path / "a.json", [1, 2])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with file_size_limit(10_000):
        with pytest.raises(DyntexError, match=r"cannot write .*a\.safetensors.*intact"):
            save_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(10_000)})
        with pytest.raises(DyntexError, match=r"cannot write .*a\.json"):
            save_json(tmp_path / "a.json", list(range(10_000)))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_went_away(tmp_path: Path) -> None:
    with pytest.raises(DyntexError, match="cannot write"):
        save_tensors(tmp_path / "nowhere" / "a.safetensors", {"x": torch.zeros(2)})
    with pytest.raises(DyntexError, match="cannot write"):
        save_json(tmp_path / "nowhere" / "a.json", {})


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_tensors(path, {"x": torch.zeros(100), "y": torch.zeros(3, dtype=torch.int64)})
    data = path.read_bytes()
    for length in (0, 4, 8, 20, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match=r"a\.safetensors .*cut short"):
            load_tensors(path)
    path.write_text("Dear reader, this is a letter. " * 20)
    with pytest.raises(InputError, match="damaged"):
        load_tensors(path)
    with pytest.raises(InputError, match="no file"):
        load_tensors(tmp_path / "b.safetensors")


def test_the_newest_checkpoint_counts_and_older_ones_go(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    assert not checkpoints
    with pytest.raises(InputError, match="no checkpoint to resume"):
        checkpoints.load()
    for iteration in (9, 10, 200):  # in the order of numbers, not of words
        checkpoints.save(iteration, {"iteration": torch.tensor(iteration)})
    assert checkpoints
    assert names(tmp_path) == {"0000200.safetensors"}
    # As after a crash between the writing of the new one and the removal of the old one.
    save_tensors(tmp_path / "0000199.safetensors", {"iteration": torch.tensor(199)})
    assert int(checkpoints.load()["iteration"]) == 200
    checkpoints.clear()
    assert not checkpoints
    assert names(tmp_path) == set()


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, {"x": torch.arange(8)})
    with file_size_limit(10_000), pytest.raises(DyntexError, match="intact"):
        checkpoints.save(2, {"x": torch.zeros(10_000)})
    assert names(tmp_path) == {"0000001.safetensors"}
    assert checkpoints.load()["x"].tolist() == list(range(8))


def test_what_a_killed_process_left_half_written_is_swept_up(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    (tmp_path / ".0000007.safetensors.4242.partial").write_bytes(bytes(100))
    assert not checkpoints
    checkpoints.save(8, {"x": torch.zeros(1)})
    assert names(tmp_path) == {"0000008.safetensors"}


def test_json_comes_back_and_nonsense_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    data = {"a": [1, 2.5, None, True], "ü": {"b": "c"}}
    save_json(path, data)
    assert load_json(path) == data
    assert names(tmp_path) == {"a.json"}
    for nonsense in (b"", b"{", b"\xff\xfe\x00"):
        path.write_bytes(nonsense)
        with pytest.raises(InputError, match=r"a\.json cannot be read"):
            load_json(path)
    with pytest.raises(InputError, match="no file"):
        load_json(tmp_path / "b.json")


def test_folders_are_made_one_level_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_folder(tmp_path / "a").is_dir()
    make_folder(tmp_path / "a")
    with pytest.raises(UsageError, match="does not exist: make it first"):
        make_folder(tmp_path / "b" / "c")
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "c"):
        with pytest.raises(UsageError, match="choose another place"):
            make_folder(path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match="cannot be written"):
        make_folder(tmp_path / "a")


def test_the_reason_of_a_full_disk_is_said_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DyntexError, match=r"a\.json: the disk is full$"):
        save_json(tmp_path / "a.json", {})
    assert names(tmp_path) == set()
