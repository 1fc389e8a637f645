"""Look for faults by chance: mutated files, odd names, pairs of options. ``make fuzz``, or ``python tests/fuzz.py``.

A case is a number, from which everything about it follows, so that one that failed is told by its seed and can be run
again: ``python tests/fuzz.py --seed 1234 --cases 1``. It is right if the command ends with 0 and a result that can be
read, or with a documented code and one line; never with a traceback, never with 1, and with nothing half-written.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib.figure
import numpy as np
import PIL.Image
import pillow_heif
import tifffile
import torch
from media_files import encoded, noise, write_video

from dyntex import baselines
from dyntex.cli import main
from dyntex.experiment import describe, recovery, synthesis, training
from dyntex.media import read_clip

# What the commands import when they need it, once for all cases.
IMPORTED = (matplotlib.figure, torch, baselines, describe, recovery, synthesis, training)

DOCUMENTED = {0, 2, 3, 4, 5, 6, 130, 141}
PATIENCE = 120  # seconds for a command
BOXES = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"dinf", b"udta", b"meta"}
Rng = np.random.Generator


# ---------------------------------------------------------------------------------------------- files


def _video(codec: str, pixels: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        frames = [np.roll(noise(1, 24, 32)[0], k, axis=1) for k in range(18)]
        return write_video(path, frames, codec=codec, pixels=pixels)

    return make


def _animation(path: Path) -> Path:
    frames = [PIL.Image.fromarray(frame) for frame in noise(18, 24, 32)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=40, **({"lossless": True}))
    return path


def _stream(kind: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(b"".join(encoded(frame, kind) for frame in noise(18, 24, 32)))
        return path

    return make


def _heic(path: Path) -> Path:
    pillow_heif.from_bytes("RGB", (64, 48), noise(1, 48, 64).tobytes()).save(path)
    return path


def _array(path: Path) -> Path:
    (np.savez if path.suffix == ".npz" else np.save)(path, noise(18, 24, 32))
    return path


def _tiff(path: Path) -> Path:
    tifffile.imwrite(path, noise(3, 24, 32).astype(np.uint16) * 257, photometric="rgb")
    return path


def _image(path: Path) -> Path:
    PIL.Image.fromarray(noise(1, 24, 32)[0]).save(path)
    return path


FILES: dict[str, Callable[[Path], Path]] = {
    "a.mp4": _video("libx264", "yuv420p"),
    "a.mov": _video("prores_ks", "yuv422p10le"),
    "a.mkv": _video("libx264", "yuv420p"),
    "b.mkv": _video("ffv1", "bgr0"),
    "a.webm": _video("libvpx-vp9", "yuv420p"),
    "a.ts": _video("libx264", "yuv420p"),
    "a.avi": _video("mpeg4", "yuv420p"),
    "a.gif": _animation,
    "a.webp": _animation,
    "a.png": _animation,
    "b.png": _image,
    "a.jpg": _image,
    "a.tif": _tiff,
    "a.heic": _heic,
    "a.mjpeg": _stream("JPEG"),
    "a.pngs": _stream("PNG"),
    "a.npy": _array,
    "a.npz": _array,
}


def mutated(data: bytes, rng: Rng) -> bytes:
    """A file with bytes changed, cut out, doubled or put in, or with boxes of its container exchanged."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        place, length = int(rng.integers(len(out) or 1)), int(2 ** rng.uniform(0, 9))
        match rng.integers(7):
            case 0:
                for _ in range(int(rng.integers(1, 30))):
                    out[int(rng.integers(len(out)))] = int(rng.integers(256))
            case 1:
                del out[place:]
            case 2:
                del out[place : place + length]
            case 3:
                out[place:place] = out[place : place + length]
            case 4:
                out[place : place + length] = bytes(min(length, len(out) - place))
            case 5:
                out[place:place] = rng.bytes(length)
            case _:
                out = bytearray(_with_boxes_exchanged(bytes(out), rng))
        if not out:
            return b"x"
    return bytes(out)


def _with_boxes_exchanged(data: bytes, rng: Rng) -> bytes:
    """Boxes (ISO/IEC 14496-12, 4.2) dropped, doubled or exchanged at one level, the sizes above made to fit."""
    boxes: list[bytes] = []
    at = 0
    while at + 8 <= len(data):
        size = struct.unpack(">I", data[at : at + 4])[0]
        if size < 8 or at + size > len(data):
            break
        boxes.append(data[at : at + size])
        at += size
    if not boxes:
        return data[::-1] if rng.random() < 0.1 else data
    i, j = (int(rng.integers(len(boxes))) for _ in range(2))
    if boxes[i][4:8] in BOXES and rng.random() < 0.8:
        inner = _with_boxes_exchanged(boxes[i][8:], rng)
        boxes[i] = struct.pack(">I", len(inner) + 8) + boxes[i][4:8] + inner
    else:
        match rng.integers(4):
            case 0:
                del boxes[i]
            case 1:
                boxes.insert(j, boxes[i])
            case 2:
                boxes[i], boxes[j] = boxes[j], boxes[i]
            case _:
                boxes[i] = boxes[i][:4] + rng.bytes(4) + boxes[i][8:]
    return b"".join(boxes) + data[at:]


def odd_name(rng: Rng) -> str:
    """Any name that a file can have, and some that none can."""
    n = int(rng.choice([1, 2, 8, 40, 200, 250, 255, 256, 300]))
    letters: list[bytes] = [
        b":",
        b"~",
        b"-",
        b"%d",
        b" ",
        b".",
        b"\xff",
        "é".encode(),
        b"[a]",
        b"'",
        b'"',
        b"\\",
        b"\n",
        b"#",
    ]
    raw = b"".join(letters[int(k)] if k < len(letters) else bytes([97 + int(k) % 26]) for k in rng.integers(40, size=n))
    return os.fsdecode(raw[:n].replace(b"/", b"_") or b"x")


# ---------------------------------------------------------------------------------------------- commands

ENDINGS = [".mp4", ".webm", ".mov", ".mkv", ".apng", ".webp", ".gif", ".png", ".npy", "/", "", ".avi", ".MP4", "."]
TINY = ["--size", "16", "--clip-frames", "16", "--iterations", "1"]
OPTIONS: dict[str, list[str]] = {
    "--frames": ["1", "2", "16", "17", "0", "-3", "x", "10000000000000"],
    "--seconds": ["0.5", "0", "-1", "nan", "inf", "1e300"],
    "--size": ["16", "8x24", "7", "9000", "16x16x16", ""],
    "--start": ["0", "5", "17", "-1", "99999999999999999999"],
    "--clip-frames": ["16", "18", "1", "0", "100000"],
    "--iterations": ["1", "0", "-1"],
    "--budget": ["0.01", "1e-300", "nan", "inf", "-1"],
    "--seed": ["0", "9223372036854775807", "-1", "9223372036854775806"],
    "--tile": ["x", "xy", "z", ""],
    "--grid": ["4x4", "1x1", "0x3", "99999x1", "4x5"],
    "--background": ["red", "#00ff00", "rgb(1,2,3)", "no colour", ""],
    "--method": ["coop", "lds", "fft-lds", "none"],
    "--preset": ["fast", "image-texture", "none", "video-set"],
    "--device": ["cpu", "cuda", "cpu:7", "none"],
    "--precision": ["fp32", "bf16", "auto", "none"],
    "--checkpoint-every": ["1", "0", "nan", "-1"],
    "--run-dir": ["r", "a.mkv", "no/such", "."],
    "--save-model": ["m", "a.mkv", ".", "no/such"],
}
FLAGS = ["--loop", "--overwrite", "--resume", "--json"]


def command_of(folder: Path, rng: Rng) -> tuple[list[str], str | None]:
    """What is run in a folder, and the result that it names; the files are put there."""
    (folder / "m.npy").write_bytes(CACHE["mask"])
    kind = rng.integers(10)
    if kind < 6:
        name = str(rng.choice(sorted(FILES)))
        (folder / name).write_bytes(mutated(CACHE[name], rng))
        if rng.random() < 0.5:
            return ["info", name, "--no-measure", "--json"], None
        out = "out" + str(rng.choice([".mkv", ".mp4", ".webp", "/"]))
        mask = str(rng.choice(["m.npy", name]))
        return ["recover", name, "--mask", mask, "--method", "interpolate", "-o", out, "-q"], out
    if kind < 8:
        name = odd_name(rng)
        try:
            (folder / f"{name[:200]}.mkv").write_bytes(CACHE["b.mkv"])
        except (OSError, ValueError):
            return ["info", f"./{name}", "--no-measure", "--json"], None
        if rng.random() < 0.5:
            return ["info", f"./{name[:200]}.mkv", "--no-measure", "--json"], None
        out = f"./{name}{rng.choice(ENDINGS)}"
        return ["examples", "ripples", "--frames", "3", "--size", "8", "-o", out], out
    (folder / "a.mkv").write_bytes(CACHE["b.mkv"])
    out = "out" + str(rng.choice(ENDINGS))
    words = ["synthesize", "a.mkv", "-o", out, "-q", *TINY]
    for option in rng.choice(sorted(OPTIONS), 2, replace=False):
        if str(option) in words:
            del words[words.index(str(option)) : words.index(str(option)) + 2]
        words += [str(option), str(rng.choice(OPTIONS[str(option)]))]
    return words + [str(flag) for flag in FLAGS if rng.random() < 0.15], out


# ---------------------------------------------------------------------------------------------- one case


def run_case(seed: int) -> tuple[str, str | None]:
    """Its command with the exit code, and what is wrong with it, or None."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "here"
        folder.mkdir()
        words, out = command_of(folder, rng)
        sources = {path: path.read_bytes() for path in folder.iterdir()}
        code, printed, said = _run(folder, words)
        fault = _fault(folder, words, out, sources, code=code, printed=printed, said=said)
    return f"{words[0]} {code}", None if fault is None else f"{fault}: dyntex {words!r} -> {code} {said[-300:]!r}"


def _run(folder: Path, words: list[str]) -> tuple[int, str, str]:
    files = [folder.parent / name for name in ("stdout", "stderr")]
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.chdir(folder)
            for number, file in enumerate(files, 1):
                os.dup2(os.open(file, os.O_CREAT | os.O_WRONLY), number)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", errors="backslashreplace") for number in (1, 2))
            sys.argv = ["dyntex", *words]
            main()
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else 98
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os._exit(code)
    began = time.monotonic()
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() - began > PATIENCE:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -99, "", ""
        time.sleep(0.01)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # What is printed is a name, of any bytes.
    printed, said = (file.read_text(encoding="utf-8", errors="surrogateescape") for file in files)
    return code, printed, said


def _fault(
    folder: Path, words: list[str], out: str | None, sources: dict[Path, bytes], *, code: int, printed: str, said: str
) -> str | None:
    if code == -99:
        return "it does not end"
    if code not in DOCUMENTED:
        return "it has no documented exit code"
    if "Traceback" in said:
        return "a traceback"
    left = [path.name for path in folder.rglob(".*") if ".dyntex." in path.name or path.name.endswith(".partial")]
    if left:
        return f"a temporary file is left: {left}"
    if any(
        path.read_bytes() != data for path, data in sources.items() if path.exists() and path != folder / (out or "")
    ):
        return "a source was changed"
    if code:
        lines = said.strip("\n").split("\n")
        if (len(lines) != 1 and "-q" in words) or not lines[-1].startswith("dyntex:"):
            return "no single line says what is wrong"
        made = out is not None and os.path.lexists(folder / out) and folder / out not in sources
        return "a refusal left a result" if made else None
    if out is None:
        return None if json.loads(printed) else "nothing is printed"
    clip = read_clip(folder / (json.loads(printed)["output"] if "--json" in words else printed[:-1]))
    return None if bool(clip.video.isfinite().all()) else "the result is not finite"


CACHE: dict[str, bytes] = {}


def prepare() -> None:
    """Make every kind of file once."""
    folder = Path(tempfile.mkdtemp())
    try:
        for name, make in FILES.items():
            CACHE[name] = make(folder / name).read_bytes()
        mask = np.zeros((24, 32), bool)
        mask[4:8, 4:8] = True
        np.save(folder / "m.npy", mask)
        CACHE["mask"] = (folder / "m.npy").read_bytes()
    finally:
        shutil.rmtree(folder)


def look(seconds: float, *, seed: int, cases: int | None) -> int:
    """Run cases until the time is over; how many are wrong."""
    prepare()
    ends: Counter[str] = Counter()
    faults = 0
    began = time.monotonic()
    k = 0
    while time.monotonic() - began < seconds and (cases is None or k < cases):
        try:
            what, fault = run_case(seed + k)
        except Exception as error:  # what came out cannot be read
            what, fault = "broken", f"{type(error).__name__}: {error}"
        ends[what] += 1
        if fault is not None:
            faults += 1
            print(f"seed {seed + k}: {fault}", flush=True)
        k += 1
    counts = ", ".join(f"{what}: {n}" for what, n in sorted(ends.items()))
    print(f"{k} cases from seed {seed} on in {time.monotonic() - began:.0f} s, {faults} wrong; {counts}")
    return faults


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=None)
    options = parser.parse_args()
    sys.exit(1 if look(options.seconds, seed=options.seed, cases=options.cases) else 0)
