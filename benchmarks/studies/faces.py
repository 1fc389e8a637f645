"""Faces with a hole: how far from the truth a model of a set fills images that it did not learn from.

``image-set`` learns four of every five of scikit-image's hundred faces, and fills the middle of the others. What it
has to beat knows the same faces: their mean, the one nearest in the seen pixels, and the mean of a Gaussian fitted to
them given the seen pixels; or, with OpenCV's, none.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.benchmarks.cpu_budget import CpuBudget
from dyntex.benchmarks.metrics.psnr_ssim import psnr
from dyntex.benchmarks.model_cache import trained
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.report.sheet import write_sheet
from dyntex.benchmarks.study import Cell, Results, Row, ok_rows, path_of, setting
from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import preset
from dyntex.inpainting import finished, recover
from dyntex.inpainting.with_model import complete

SIDE = 32
N_FACES = 100
HELD_OUT = slice(4, None, 5)
HOLE = slice(10, 22)
FPS = Fraction(25)
RIDGE = 0.1
"""Standard deviation, in [-1, 1], that the Gaussian adds to each pixel: eighty faces tell little of 1024 pixels."""
LEARNED = "image-set"

Fill = Callable[[Clip, Tensor], Clip]


@dataclass(frozen=True)
class Faces:
    """Held-out faces, filled by the model and by each control.

    Attributes:
        seconds: of the processor, to train the model.
    """

    name: ClassVar[str] = "faces"

    seconds: float = setting(150.0, quick=2.0)

    def cells(self) -> Iterator[Cell]:
        common = {"faces": N_FACES, "side": SIDE, "hole": [HOLE.start, HOLE.stop]}
        for method in (LEARNED, *CONTROLS):
            own: dict[str, Any] = {"method": method}
            if method == LEARNED:
                own = {"config": preset(LEARNED), "seconds": self.seconds}
            yield Cell(path_of(method), {"method": method}, common | own)

    def make(self, cell: Cell, out: Path) -> Row:
        """Mean error and PSNR over the hidden pixels; the filled faces are a picture in the cell's folder, under the
        true ones."""
        train, heldout = read_faces()
        told: Row = {}
        if cell.about["method"] == LEARNED:
            model, _ = trained(out / "model", cell.settings, lambda: learn(train, seconds=self.seconds))
            told = {"iterations": model.iterations}

            def complete_by_model(damaged: Clip, missing: Tensor) -> Clip:
                return complete(model, damaged, missing, rng=torch.Generator().manual_seed(0))

            whole = filled(complete_by_model, heldout)
        else:
            whole = filled(CONTROLS[cell.about["method"]](train), heldout)
        write_sheet(cell.folder(out) / "faces.png", [list(faces[:, :, 0]) for faces in (heldout, whole)])
        return measure(whole, heldout) | told

    def page(self, results: Results) -> list[str | Table]:
        rows = ok_rows(results)
        iterations = [f" ({row['iterations']} iterations)" for row in rows if "iterations" in row]
        n_heldout = len(range(N_FACES)[HELD_OUT])
        n_hole = HOLE.stop - HOLE.start
        return [
            "# Faces with a hole",
            f"Made by `{results['command']}`: `{LEARNED}` trained on {N_FACES - n_heldout} faces of {SIDE}x{SIDE} for "
            f"{results['config']['seconds']:g} seconds of the processor{''.join(iterations)}; the middle "
            f"{n_hole}x{n_hole} pixels of {n_heldout} other faces hidden. Error is mean |filled - true| over the "
            "hidden pixels on the scale of 0 to 255, PSNR that of the same; each is a mean over faces.",
            Table(
                ["method", "error", "PSNR"],
                [[row["method"], f"{row['error']:.2f}", f"{row['psnr']:.2f}"] for row in rows],
                shown=3,
            ),
        ]


def read_faces() -> tuple[Tensor, Tensor]:
    """To learn from, and held out: (N, 1, 1, SIDE, SIDE) in [-1, 1], from LFW (Huang et al. 2007) at 25x25."""
    from skimage.data import lfw_subset

    faces = torch.from_numpy(lfw_subset()[:N_FACES]).float().mul(2.0).sub(1.0)
    faces = F.interpolate(faces[:, None], size=SIDE, mode="bilinear").clamp(-1.0, 1.0)[:, :, None]
    kept = torch.ones(N_FACES, dtype=torch.bool)
    kept[HELD_OUT] = False
    return faces[kept], faces[~kept]


def mean_face(train: Tensor) -> Fill:
    """The mean of the faces."""
    return lambda damaged, missing: finished(train.mean(0), damaged, missing)


def nearest_face(train: Tensor) -> Fill:
    """The face that is nearest in the seen pixels."""

    def fill(damaged: Clip, missing: Tensor) -> Clip:
        distance = (train - damaged.video).masked_fill(missing, 0.0).square().flatten(1).sum(1)
        return finished(train[distance.argmin()], damaged, missing)

    return fill


def gaussian(train: Tensor) -> Fill:
    """The mean, given the seen pixels, of a Gaussian fitted to the faces."""
    middle = train.mean(0).flatten()
    deviations = (train.flatten(1) - middle) / len(train) ** 0.5

    def fill(damaged: Clip, missing: Tensor) -> Clip:
        hole = missing.flatten()
        seen, hidden = deviations[:, ~hole], deviations[:, hole]
        # Through the faces, of which there are fewer than pixels: S_hs (S_ss + r^2)^-1 d = H'S (S'S + r^2)^-1 d.
        rest = (damaged.video.flatten() - middle)[~hole]
        inner = seen @ seen.T + RIDGE**2 * torch.eye(len(train))
        video = middle.clone()
        video[hole] += hidden.T @ torch.linalg.solve(inner, seen @ rest)
        return finished(video.view_as(damaged.video), damaged, missing)

    return fill


def telea(train: Tensor) -> Fill:
    """OpenCV's, which knows no face."""
    return lambda damaged, missing: recover(damaged, missing, rng=torch.Generator(), method="telea")


CONTROLS: dict[str, Callable[[Tensor], Fill]] = {
    "mean face": mean_face,
    "nearest face": nearest_face,
    "Gaussian": gaussian,
    "telea": telea,
}
"""What needs no network, by name: fitted to the faces, it fills a clip of one image where its hole (1, H, W) is."""


def learn(train: Tensor, *, seconds: float) -> CoopNets:
    """``image-set`` of the faces, by so many seconds of the processor."""
    return CoopNets.fit(
        [Clip(face, FPS) for face in train],
        preset(LEARNED),
        rng=torch.Generator().manual_seed(0),
        progress=CpuBudget(seconds).share,
    )


def filled(fill: Fill, heldout: Tensor) -> Tensor:
    """The held-out faces (N, 1, 1, SIDE, SIDE) with their middle hidden and filled."""
    missing = torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    missing[:, HOLE, HOLE] = True
    damaged = [Clip(face.masked_fill(missing, 0.0), FPS) for face in heldout]
    return torch.stack([fill(clip, missing).video for clip in damaged])


def measure(whole: Tensor, heldout: Tensor) -> Row:
    """``error`` on the scale of 0 to 255 and ``psnr``, of the hidden pixels, the mean over faces."""
    hole, true = whole[..., HOLE, HOLE], heldout[..., HOLE, HOLE]
    errors = [127.5 * float((a - b).abs().mean()) for a, b in zip(hole, true, strict=True)]
    decibels = [psnr(Clip(a, FPS), Clip(b, FPS), data_range=2.0) for a, b in zip(hole, true, strict=True)]
    return {"error": statistics.fmean(errors), "psnr": statistics.fmean(decibels)}
