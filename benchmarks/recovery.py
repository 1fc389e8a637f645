"""The recovery task: how far what a method fills in is from what was there, over the literature's masks.

``dyntex benchmark --task recovery --clips CLIPS -o FOLDER`` measures what is not measured yet, a line of
``recovery.jsonl`` in the folder for each clip, mask, method and seed, and writes the page. Masks of other origin are
given with ``--masks``: ``.npz`` files of 0 and 1, cut to the clip's length and thinned to its size.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from skimage.metrics import structural_similarity
from torch import Tensor

from benchmarks.data import Source
from benchmarks.metrics import SSIM_RADIUS, SSIM_SIGMA, SSIM_WINDOW
from benchmarks.results import claim
from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError, suggest
from dyntex.inpainting import METHODS, recover
from dyntex.inpainting.masks import check_mask, read_array
from dyntex.media import read_clip

CELLS = 8
"""Blocks along a side of the frame: 16 pixels of 128."""
SQUARE = 40 / 128
"""Side of the moving square, as a share of the frame's."""
BLOCKS = (50, 60, 70)
RESULTS = "recovery.jsonl"
LEAST = 3
"""Frames, of which the middle third is one."""


@dataclass(frozen=True)
class Row:
    """One method on one clip under one mask.

    Attributes:
        error: mean |recovered - true| over missing pixels and colours, of 255.
        psnr: in dB, of the mean squared error over the same.
        ssim: mean over the windows centred at missing pixels.
        seconds: of the filling.
        seed: of the mask's blocks, and of what the method draws.
    """

    clip: str
    mask: str
    method: str
    error: float
    psnr: float
    ssim: float
    seconds: float
    seed: int = 0


OnRow = Callable[[Row, int, int], None]


def ignore(row: Row, done: int, total: int) -> None:
    """The listener that does not listen."""


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
        InputError: it cannot be read, is shorter than the clip, or its sides are no multiples of the clip's.
    """
    mask = read_array(path)
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
    sources: Sequence[Source],
    out: Path,
    *,
    size: int,
    n_frames: int,
    methods: Sequence[str],
    mask_files: Sequence[Path] = (),
    seeds: int = 1,
    on_row: OnRow = ignore,
) -> list[Row]:
    """Measure every clip, mask, method and seed that the folder ``out`` does not hold yet; all its rows.

    Args:
        sources: the clips.
        out: the folder; its ``config.json`` says what it is about, and the page lies beside the rows.
        size, n_frames: of the clips and masks.
        methods: names of :data:`dyntex.inpainting.METHODS`.
        mask_files: further masks, see :func:`shipped_mask`.
        seeds: how many, 0 to seeds - 1.
        on_row: told of every new row, of how many are done, and of how many there are.

    Raises:
        UsageError: a number or a method cannot be, or the folder's rows would not compare with the new ones.
        InputError: a clip or a mask cannot be read or is too short.
    """
    _check(size, n_frames, methods, seeds)
    shape = (n_frames, size, size)
    given = {path.stem: shipped_mask(path, shape) for path in mask_files}
    by_seed = [masks(shape, rng=torch.Generator().manual_seed(seed)) | given for seed in range(seeds)]
    config = {"size": size, "frames": n_frames, "seeds": seeds, "methods": list(methods), "masks": list(by_seed[0])}
    claim(out, config | {"tasks": ["recovery"], "clips": {source.name: source.digest() for source in sources}})
    rows = read_rows(out / RESULTS)
    # Without the half line of a run that was killed, to which the next would be joined.
    (out / RESULTS).write_text("".join(_line(row) for row in rows), encoding="utf-8")
    held = {(row.clip, row.mask, row.method, row.seed) for row in rows}
    cells = [(k, m, seed) for seed, all_masks in enumerate(by_seed) for k in all_masks for m in methods]
    total = len(sources) * len(cells)
    done = sum((source.name, *cell) in held for source in sources for cell in cells)
    for source in sources:
        todo = [cell for cell in cells if (source.name, *cell) not in held]
        if not todo:
            continue
        clip = read_clip(source.where, size=size, n_frames=n_frames)
        if clip.n_frames < n_frames:
            raise InputError(
                f"{source.name} has {clip.n_frames} frames and the masks {n_frames}: choose fewer --frames"
            )
        for mask, method, seed in todo:
            missing = by_seed[seed][mask]
            # Grey, so that whoever looks at what is missing gains nothing by it.
            damaged = Clip(torch.where(missing, 0.0, clip.video), clip.fps)
            began = time.monotonic()
            recovered = recover(damaged, missing, method=method, rng=torch.Generator().manual_seed(seed))
            seconds = time.monotonic() - began
            rows.append(Row(source.name, mask, method, *measure(recovered, clip, missing), seconds, seed))
            with (out / RESULTS).open("a", encoding="utf-8") as file:
                file.write(_line(rows[-1]))
            done += 1
            on_row(rows[-1], done, total)
    return rows


def _check(size: int, n_frames: int, methods: Sequence[str], seeds: int) -> None:
    if size < SSIM_WINDOW:
        raise UsageError(f"a size of {size} is too small for the windows of SSIM: choose {SSIM_WINDOW} or more")
    if n_frames < LEAST:
        raise UsageError(f"{n_frames} frames have no middle third: choose {LEAST} or more")
    if seeds < 1:
        raise UsageError(f"{seeds} seeds measure nothing: choose 1 or more")
    for name in methods:
        if name not in METHODS:
            raise UsageError(
                f"there is no way to recover called {name!r}{suggest(name, METHODS)}; there are {', '.join(METHODS)}"
            )
    if not methods or len(set(methods)) < len(methods):
        raise UsageError(f"the methods are {', '.join(methods) or 'none'}: name at least one, each once")


def _line(row: Row) -> str:
    return json.dumps(asdict(row)) + "\n"


def read_rows(path: Path) -> list[Row]:
    """The rows of a file of JSON lines; none where there is none. A last line that was cut short is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    return [Row(**json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]
