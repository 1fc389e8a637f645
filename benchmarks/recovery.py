"""The recovery task: how far what a method fills in is from what was there, over the literature's masks.

``python -m benchmarks.recovery CLIPS... -o FOLDER --page recovery.md`` measures what is not measured yet, a line of
``recovery.jsonl`` in the folder for each clip, mask and method, and writes the page. Masks of other origin are given
with ``--masks``: ``.npz`` files of 0 and 1, cut to the clip's length and thinned to its size.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from benchmarks.data import find_clips
from benchmarks.metrics import SSIM_RADIUS, SSIM_SIGMA
from benchmarks.summary import grid
from dyntex.clip import Clip
from dyntex.errors import InputError
from dyntex.masks import check_mask
from dyntex.media import read_clip
from dyntex.recover import METHODS, recover

REFERENCE = "interpolate"
GOAL = 1.05
"""No method should be further from the truth than interpolation by more."""
CELLS = 8
"""Blocks along a side of the frame: 16 pixels of 128."""
SQUARE = 40 / 128
"""Side of the moving square, as a share of the frame's."""
BLOCKS = (50, 60, 70)
RESULTS = "recovery.jsonl"


@dataclass(frozen=True)
class Row:
    """One method on one clip under one mask.

    Attributes:
        error: mean |recovered - true| over missing pixels and colours, of 255.
        psnr: in dB, of the mean squared error over the same.
        ssim: mean over the windows centred at missing pixels.
        seconds: of the filling.
    """

    clip: str
    mask: str
    method: str
    error: float
    psnr: float
    ssim: float
    seconds: float


def masks(shape: tuple[int, int, int], *, rng: torch.Generator) -> dict[str, Tensor]:
    """The literature's masks (Xie et al., arXiv 1812.10587), by name.

    ``blocks-N``: of a grid of 8 by 8 blocks, N % chosen anew for each frame. ``middle-third``: of the frames, all of
    them. ``square``: across the frame once from left to right, and twice up and down.

    Args:
        shape: (T, H, W) of the clips.
        rng: draws the blocks.
    """
    T, H, W = shape
    made = {}
    for percent in BLOCKS:
        chosen = torch.rand(T, CELLS * CELLS, generator=rng).argsort(1) < round(percent / 100 * CELLS * CELLS)
        rows, columns = (torch.arange(n) * CELLS // n for n in (H, W))
        made[f"blocks-{percent}"] = chosen.view(T, CELLS, CELLS)[:, rows][:, :, columns]
    third = torch.zeros(shape, dtype=torch.bool)
    third[T // 3 : T - T // 3] = True
    made["middle-third"] = third
    square = torch.zeros(shape, dtype=torch.bool)
    height, width = round(SQUARE * H), round(SQUARE * W)
    for t in range(T):
        phase = t / max(1, T - 1)
        top = round((H - height) * (0.5 - 0.5 * math.cos(4 * math.pi * phase)))
        left = round((W - width) * phase)
        square[t, top : top + height, left : left + width] = True
    made["square"] = square
    return made


def shipped_mask(path: Path, shape: tuple[int, int, int]) -> Tensor:
    """A mask from an ``.npz``, its last T frames (an object enters late), thinned to the size (T, H, W).

    Raises:
        InputError: it is shorter than the clip, or its sides are no multiples of the clip's.
    """
    with np.load(path, allow_pickle=False) as archive:
        mask = torch.from_numpy(archive["mask"] != 0)
    T, H, W = shape
    if len(mask) < T or mask.shape[1] % H or mask.shape[2] % W:
        raise InputError(f"{path} is a mask of {tuple(mask.shape)} and the clips are {shape}: leave it out")
    thinned = mask[-T:, :: mask.shape[1] // H, :: mask.shape[2] // W].contiguous()
    check_mask(thinned, name=str(path))
    return thinned


def measure(recovered: Clip, true: Clip, missing: Tensor) -> tuple[float, float, float]:
    """Error of 255, PSNR and SSIM where ``missing`` (T, H, W); see :class:`Row`.

    SSIM has the window of :func:`benchmarks.metrics.ssim`. The PSNR of an exact recovery is infinite; the SSIM of holes
    in the border alone, where no window is centred, is not a number.
    """
    difference = (recovered.video - true.video).double()[:, missing]
    squared = float(difference.square().mean())
    psnr = 10.0 * math.log10(4.0 / squared) if squared > 0.0 else math.inf
    inner = slice(SSIM_RADIUS, -SSIM_RADIUS)
    similar = []
    for t, hole in enumerate(missing):
        if not bool(hole.any()):
            continue
        _, index = structural_similarity(
            recovered.video[:, t].double().numpy(),
            true.video[:, t].double().numpy(),
            data_range=2.0,
            channel_axis=0,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
            full=True,
        )
        similar.append(index[:, inner, inner][:, hole[inner, inner].numpy()].ravel())
    values = np.concatenate(similar)
    ssim = float(values.mean()) if values.size else math.nan
    return float(difference.abs().mean()) * 127.5, psnr, ssim


def run(
    where: Sequence[str],
    out: Path,
    *,
    size: int,
    n_frames: int,
    methods: Sequence[str],
    mask_files: Sequence[Path] = (),
    seed: int = 0,
) -> list[Row]:
    """Measure every clip, mask and method that the folder ``out`` does not hold yet; all its rows.

    Raises:
        InputError: a clip or a mask cannot be read or is too short.
    """
    out.mkdir(parents=True, exist_ok=True)
    rows = read_rows(out / RESULTS)
    # Without the half line of a run that was killed, to which the next would be joined.
    (out / RESULTS).write_text("".join(_line(row) for row in rows), encoding="utf-8")
    done = {(row.clip, row.mask, row.method) for row in rows}
    shape = (n_frames, size, size)
    all_masks = masks(shape, rng=torch.Generator().manual_seed(seed))
    all_masks |= {path.stem: shipped_mask(path, shape) for path in mask_files}
    for source in find_clips(where):
        todo = [(m, f) for m in all_masks for f in methods if (source.name, m, f) not in done]
        if not todo:
            continue
        clip = read_clip(source.where, size=size, n_frames=n_frames)
        if clip.n_frames < n_frames:
            raise InputError(
                f"{source.name} has {clip.n_frames} frames and the masks {n_frames}: choose fewer --frames"
            )
        for mask, method in todo:
            missing = all_masks[mask]
            # Grey, so that whoever looks at what is missing gains nothing by it.
            damaged = Clip(torch.where(missing, 0.0, clip.video), clip.fps)
            began = time.monotonic()
            recovered = recover(damaged, missing, method=method, rng=torch.Generator().manual_seed(seed))
            seconds = time.monotonic() - began
            rows.append(Row(source.name, mask, method, *measure(recovered, clip, missing), seconds))
            with (out / RESULTS).open("a", encoding="utf-8") as file:
                file.write(_line(rows[-1]))
    return rows


def _line(row: Row) -> str:
    return json.dumps(asdict(row)) + "\n"


def read_rows(path: Path) -> list[Row]:
    """The rows of a file of JSON lines; none where there is none. A last line that was cut short is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [Row(**json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]


def page(rows: Sequence[Row], *, size: int, n_frames: int, command: str) -> str:
    """The tables in Markdown: means over all, by mask and by clip, and where the goal is missed."""
    methods, mask_names, clips = (list(dict.fromkeys(getattr(row, key) for row in rows)) for key in KEYS)
    overall = [[f"{_mean(rows, key, method=m):.3g}" for key in NUMBERS] for m in methods]
    first = min(methods, key=lambda m: _mean(rows, "error", method=m))
    worse = _worse(rows, first)
    missed = "; ".join(f"{row.clip} under {row.mask}, {ratio:.2f} times" for row, ratio in worse) or "nowhere"
    return "\n\n".join(
        [
            "# Recovery",
            f"Made by `{command}`: {len(clips)} clips of {n_frames} frames at {size}x{size}, {len(mask_names)} masks. "
            "Error is mean |recovered - true| over missing pixels on the scale of 0 to 255, PSNR that of the mean "
            "squared error over the same, SSIM the mean over windows centred at missing pixels; each is a mean over "
            "clips and masks. Blocks are an eighth of the frame's side. Telea cannot fill whole frames, and "
            "interpolates there.",
            grid(["method", *NUMBERS.values()], [[m, *cells] for m, cells in zip(methods, overall, strict=True)]),
            f"First by error: **{first}**. Further from the truth than temporal interpolation by more than "
            f"{GOAL - 1:.0%}: {missed}.",
            "## Error by mask",
            grid(
                ["mask", *methods],
                [[k, *(f"{_mean(rows, 'error', method=m, mask=k):.2f}" for m in methods)] for k in mask_names],
            ),
            "## Error by clip",
            grid(
                ["clip", *methods],
                [[c, *(f"{_mean(rows, 'error', method=m, clip=c):.2f}" for m in methods)] for c in clips],
            ),
            f"## Error of {first} over that of interpolation",
            grid(
                ["clip", *mask_names],
                [[c, *(f"{_ratio(rows, first, clip=c, mask=k):.2f}" for k in mask_names)] for c in clips],
            ),
        ]
    )


KEYS = ("method", "mask", "clip")
NUMBERS = {"error": "error", "psnr": "PSNR", "ssim": "SSIM", "seconds": "seconds a clip"}


def _chosen(rows: Iterable[Row], **wanted: str) -> list[Row]:
    return [row for row in rows if all(getattr(row, key) == value for key, value in wanted.items())]


def _mean(rows: Iterable[Row], number: str, **wanted: str) -> float:
    values = [getattr(row, number) for row in _chosen(rows, **wanted)]
    finite = [value for value in values if math.isfinite(value)]
    return statistics.mean(finite) if finite else math.nan


def _ratio(rows: Iterable[Row], method: str, **wanted: str) -> float:
    rows = list(rows)
    return _mean(rows, "error", method=method, **wanted) / _mean(rows, "error", method=REFERENCE, **wanted)


def _worse(rows: Sequence[Row], method: str) -> list[tuple[Row, float]]:
    found = [(row, _ratio(rows, method, clip=row.clip, mask=row.mask)) for row in _chosen(rows, method=method)]
    return [(row, ratio) for row, ratio in found if ratio > GOAL]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how far what is filled in is from what was there.")
    parser.add_argument("clips", nargs="+", help="a folder, files, example:NAME or examples")
    parser.add_argument("-o", "--out", type=Path, required=True, help="the folder of the measurements")
    parser.add_argument("--page", type=Path, help="the Markdown file; by default recovery.md in that folder")
    parser.add_argument("--masks", type=Path, nargs="*", default=[], help=".npz files of further masks")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--frames", type=int, default=48)
    a = parser.parse_args()
    rows = run(a.clips, a.out, size=a.size, n_frames=a.frames, methods=a.methods, mask_files=a.masks)
    command = f"python -m benchmarks.recovery CLIPS --masks MASKS --size {a.size} --frames {a.frames}"
    text = page(rows, size=a.size, n_frames=a.frames, command=command)
    (a.page or a.out / "recovery.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
