"""Faces with a hole: how far from the truth a model of a set fills images that it was not taught.

``python -m benchmarks.faces --page faces.md`` teaches ``image-set`` four of every five of scikit-image's hundred faces,
hides the middle of the others and writes the page. What it has to beat knows the same faces: their mean, the one
nearest in the seen pixels, and the mean of a Gaussian fitted to them given the seen pixels; or, with OpenCV's, none.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.clock import Clock
from benchmarks.metrics import psnr
from benchmarks.summary import grid
from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import preset
from dyntex.inpainting import finished, recover
from dyntex.inpainting.with_model import complete
from dyntex.media import write_png

SIDE = 32
N_FACES = 100
HELD_OUT = slice(4, None, 5)
HOLE = slice(10, 22)
FPS = Fraction(25)
RIDGE = 0.1
"""Standard deviation, in [-1, 1], that the Gaussian adds to each pixel: eighty faces tell little of 1024 pixels."""

Fill = Callable[[Clip, Tensor], Clip]


def read_faces() -> tuple[Tensor, Tensor]:
    """To learn from, and held out: (N, 1, 1, SIDE, SIDE) in [-1, 1], from LFW (Huang et al. 2007) at 25x25."""
    from skimage.data import lfw_subset

    faces = torch.from_numpy(lfw_subset()[:N_FACES]).float().mul(2.0).sub(1.0)
    faces = F.interpolate(faces[:, None], size=SIDE, mode="bilinear").clamp(-1.0, 1.0)[:, :, None]
    kept = torch.ones(N_FACES, dtype=torch.bool)
    kept[HELD_OUT] = False
    return faces[kept], faces[~kept]


def controls(train: Tensor) -> dict[str, Fill]:
    """What needs no network; each gets a clip of one image and its hole (1, H, W)."""

    def mean(damaged: Clip, missing: Tensor) -> Clip:
        return finished(train.mean(0), damaged, missing)

    def nearest(damaged: Clip, missing: Tensor) -> Clip:
        distance = (train - damaged.video).masked_fill(missing, 0.0).square().flatten(1).sum(1)
        return finished(train[distance.argmin()], damaged, missing)

    def gaussian(damaged: Clip, missing: Tensor) -> Clip:
        middle, hole = train.mean(0).flatten(), missing.flatten()
        deviations = (train.flatten(1) - middle) / len(train) ** 0.5
        seen, hidden = deviations[:, ~hole], deviations[:, hole]
        # Through the faces, of which there are fewer than pixels: S_hs (S_ss + r^2)^-1 d = H'S (S'S + r^2)^-1 d.
        rest = (damaged.video.flatten() - middle)[~hole]
        inner = seen @ seen.T + RIDGE**2 * torch.eye(len(train))
        video = middle.clone()
        video[hole] += hidden.T @ torch.linalg.solve(inner, seen @ rest)
        return finished(video.view_as(damaged.video), damaged, missing)

    def telea(damaged: Clip, missing: Tensor) -> Clip:
        return recover(damaged, missing, rng=torch.Generator(), method="telea")

    return {"mean face": mean, "nearest face": nearest, "Gaussian": gaussian, "telea": telea}


def teach(train: Tensor, *, seconds: float) -> CoopNets:
    """``image-set`` of the faces, by so many seconds of the processor."""
    return CoopNets.fit(
        [Clip(face, FPS) for face in train],
        preset("image-set"),
        rng=torch.Generator().manual_seed(0),
        progress=Clock(seconds).share,
    )


def filled(ways: dict[str, Fill], heldout: Tensor) -> dict[str, Tensor]:
    """By the name of a way, (N, 1, 1, SIDE, SIDE)."""
    missing = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    missing[:, HOLE, HOLE] = True
    damaged = [Clip(face.masked_fill(missing, 0.0), FPS) for face in heldout]
    return {name: torch.stack([fill(clip, missing).video for clip in damaged]) for name, fill in ways.items()}


def page(found: dict[str, Tensor], heldout: Tensor, model: CoopNets, *, seconds: float) -> str:
    """The whole page in Markdown."""
    rows = []
    true = heldout[..., HOLE, HOLE]
    for name, whole in found.items():
        hole = whole[..., HOLE, HOLE]
        errors = [127.5 * float((a - b).abs().mean()) for a, b in zip(hole, true, strict=True)]
        decibels = [psnr(Clip(a, FPS), Clip(b, FPS), data_range=2.0) for a, b in zip(hole, true, strict=True)]
        rows.append([name, *(f"{statistics.fmean(numbers):.2f}" for numbers in (errors, decibels))])
    n_train, n_hole = N_FACES - len(heldout), HOLE.stop - HOLE.start
    return "\n\n".join(
        [
            "# Faces with a hole",
            f"Made by `python -m benchmarks.faces --seconds {seconds:g}`: `image-set` taught on {n_train} faces of "
            f"{SIDE}x{SIDE} for {seconds:g} seconds of the processor ({model.iterations} iterations); the middle "
            f"{n_hole}x{n_hole} pixels of {len(heldout)} other faces hidden. Error is mean |filled - true| over the "
            "hidden pixels on the scale of 0 to 255, PSNR that of the same; each is a mean over faces.",
            grid(["way", "error", "PSNR"], rows),
        ]
    )


def sheet(found: dict[str, Tensor], heldout: Tensor) -> Tensor:
    """A row of held-out faces, and under it a row for each way: (H, W, 3) uint8."""
    rows = [torch.cat(list(faces[:, 0, 0]), dim=1) for faces in (heldout, *found.values())]
    levels = torch.cat(rows).add(1.0).mul(127.5).round().byte()
    return levels[..., None].expand(-1, -1, 3).contiguous()


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how faces with a hole are completed.")
    parser.add_argument("--page", type=Path, required=True, help="the Markdown file")
    parser.add_argument("--sheet", type=Path, help="a picture of all results, .png")
    parser.add_argument("--model", type=Path, help="a folder: taught already if it is there, else where the model goes")
    parser.add_argument("--seconds", type=float, default=150.0, help="of the processor, to teach it")
    a = parser.parse_args()
    train, heldout = read_faces()
    if a.model and a.model.is_dir():
        model = CoopNets.load(a.model)
    else:
        model = teach(train, seconds=a.seconds)
        if a.model:
            model.save(a.model)

    def learnt(damaged: Clip, missing: Tensor) -> Clip:
        return complete(model, damaged, missing, rng=torch.Generator().manual_seed(0))

    found = filled({"image-set": learnt} | controls(train), heldout)
    a.page.write_text(page(found, heldout, model, seconds=a.seconds) + "\n", encoding="utf-8")
    if a.sheet:
        write_png(a.sheet, sheet(found, heldout).numpy(), overwrite=True)


if __name__ == "__main__":
    main()
