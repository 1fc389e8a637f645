"""Models and training states on disk: safetensors and JSON, written whole or not at all. Nothing is pickled."""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import safetensors
import safetensors.torch
from torch import Tensor

from dyntex.errors import DyntexError, InputError, UsageError

MODEL = "model.safetensors"
CONFIG = "config.json"


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors to a safetensors file that is there whole or not at all.

    Raises:
        DyntexError: the disk is full or the folder cannot be written; an earlier file of that name is intact.
    """
    partial = _partial(path)
    try:
        need = sum(value.numel() * value.element_size() for value in tensors.values())
        free = shutil.disk_usage(path.parent).free
        if need > free:
            raise OSError(errno.ENOSPC, f"{need / 2**20:.0f} MiB are needed and {free / 2**20:.0f} MiB are free")
        partial.touch()
        mode = partial.stat().st_mode
        safetensors.torch.save_file(_detached(tensors), partial)
        partial.chmod(mode)  # safetensors would let its owner alone read it
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except (OSError, safetensors.SafetensorError) as error:
        raise DyntexError(f"cannot write {path}: {_reason(error)}; what was saved before is intact") from error
    finally:
        partial.unlink(missing_ok=True)


def _detached(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    # safetensors refuses tensors that share memory (a buffer that two networks hold, overlapping views).
    seen: set[int] = set()
    out = {}
    for key, tensor in tensors.items():
        value = tensor.detach().cpu().contiguous()
        storage = value.untyped_storage().data_ptr()
        out[key] = value.clone() if storage in seen else value
        seen.add(storage)
    return out


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        InputError: it is missing, cut short, or no safetensors file.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        return safetensors.torch.load_file(path)
    except (OSError, safetensors.SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({_reason(error)}): it is damaged or was cut short") from error


def save_json(path: Path, data: Any) -> None:
    """Write JSON to a file that is there whole or not at all."""
    partial = _partial(path)
    try:
        partial.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise DyntexError(f"cannot write {path}: {_reason(error)}") from error
    finally:
        partial.unlink(missing_ok=True)


def load_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        InputError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({_reason(error)})") from error


def load_about(folder: Path, *, version: int, keys: set[str]) -> dict[str, Any]:
    """The config of the model that a folder holds.

    Args:
        folder: a model's.
        version: what its ``schema_version`` has to be.
        keys: what else it has to hold.

    Raises:
        InputError: it is missing, no JSON, or of another version.
    """
    about = load_json(folder / CONFIG)
    if not isinstance(about, dict) or about.get("schema_version") != version or not keys <= about.keys():
        raise InputError(
            f"{folder / CONFIG} is not the config of a dyntex model of version {version}: train it again with this "
            "version"
        )
    return about


class Checkpoints:
    """The training states of a run: a folder that holds the last good one, and the one before while it is replaced."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, iteration: int, state: Mapping[str, Tensor]) -> None:
        """Keep a state; an older one is removed once the new one is safely there."""
        for file in self.folder.glob(".*.partial"):
            file.unlink(missing_ok=True)  # of a process that was killed while it saved
        older = self._files()
        path = self.folder / f"{iteration:07d}.safetensors"
        save_tensors(path, state)
        for file in older:
            if file != path:
                file.unlink(missing_ok=True)

    def load(self) -> dict[str, Tensor]:
        """The last state.

        Raises:
            InputError: there is none, or it is damaged.
        """
        files = self._files()
        if not files:
            raise InputError(f"{self.folder} holds no checkpoint to resume from: leave out --resume")
        return load_tensors(files[-1])

    def clear(self) -> None:
        """Remove every state."""
        for file in (*self._files(), *self.folder.glob(".*.partial")):
            file.unlink()

    def __bool__(self) -> bool:
        return bool(self._files())

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.safetensors"))


def make_folder(path: Path) -> Path:
    """Make a folder whose parent exists.

    Raises:
        UsageError: that cannot be done.
    """
    try:
        path.mkdir(exist_ok=True)
    except FileNotFoundError:
        raise UsageError(f"the folder {path.parent} does not exist: make it first") from None
    except OSError as error:
        raise UsageError(f"cannot make the folder {path} ({_reason(error)}): choose another place") from error
    if not os.access(path, os.W_OK):
        raise UsageError(f"the folder {path} cannot be written: choose another place")
    return path


def _partial(path: Path) -> Path:
    """The name under which a file is written; what killed processes left of the same file is removed."""
    for file in path.parent.glob(f".{glob.escape(path.name)}.*.partial"):
        process = file.name.split(".")[-2]
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            file.unlink(missing_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.partial")


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "the disk is full" + (f": {error.strerror}" if error.strerror != os.strerror(errno.ENOSPC) else "")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__
