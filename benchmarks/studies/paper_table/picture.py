"""What cooperative training looks like, iteration by iteration.

``python -m dyntex.benchmarks.studies.paper_table.picture FOLDER/flame/0 --clip example:flame -o paper.png`` draws it
from a training's folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from dyntex.benchmarks.data import find_clips, split_clip
from dyntex.errors import InputError
from dyntex.media import write_png

Image = npt.NDArray[np.uint8]
GAP = 2
WHITE = 255


def picture_of(observed: Image, snapshots: Mapping[int, Mapping[str, Image]], *, columns: int = 4) -> Image:
    """Observed frames on top; below, by iteration, as many of y_rev and, to their right, of the g(z) they came from.

    Args:
        observed: (T, H, W, C).
        snapshots: by iteration, what a training keeps: ``revised-0`` and ``generator-0`` of the same shape.
        columns: frames of each, evenly spaced.
    """
    rows = [(_strip(observed, columns), np.full_like(_strip(observed, columns), WHITE))]
    for n in sorted(snapshots):
        rows.append((_strip(snapshots[n]["revised-0"], columns), _strip(snapshots[n]["generator-0"], columns)))
    gap = np.full((rows[0][0].shape[0], 4 * GAP, 3), WHITE, np.uint8)
    lines = [np.concatenate([left, gap, right], axis=1) for left, right in rows]
    between = np.full((GAP, lines[0].shape[1], 3), WHITE, np.uint8)
    return np.concatenate([piece for line in lines for piece in (line, between)][:-1], axis=0)


def _strip(frames: Image, columns: int) -> Image:
    chosen = np.linspace(0, len(frames) - 1, columns).round().astype(int)
    gap = np.full((frames.shape[1], GAP, 3), WHITE, np.uint8)
    return np.concatenate([piece for t in chosen for piece in (frames[t], gap)][:-1], axis=1)


def read_snapshots(folder: Path) -> dict[int, dict[str, Image]]:
    """By iteration, the chains of a training's folder.

    Raises:
        InputError: there are none.
    """
    found = {}
    for path in sorted(folder.glob("snapshot-*.npz")):
        with np.load(path, allow_pickle=False) as held:
            found[int(path.stem.partition("-")[2])] = {key: held[key] for key in held.files}
    if not found:
        raise InputError(f"{folder} holds no snapshot-*.npz: name the folder of a job, CLIP/SEED")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clip", required=True, help="what was learnt")
    parser.add_argument("-o", "--out", type=Path, required=True)
    args = parser.parse_args()
    (source,) = find_clips([args.clip])
    observed = split_clip(source, size=64, n_frames=64).train.to_uint8()
    write_png(args.out, picture_of(observed, read_snapshots(args.folder)), overwrite=True)


if __name__ == "__main__":
    main()
