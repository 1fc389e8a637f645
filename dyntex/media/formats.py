"""What a file of each ending can hold, and all that can be wrong with an output before it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from dyntex.errors import UsageError
from dyntex.media.atomic import check_place
from dyntex.media.grid import Grid, check_grid, json_of
from dyntex.media.paths import named
from dyntex.media.pixels import Colour

MILLISECONDS = Fraction(1000)  # frames a second that a clock of milliseconds tells apart
LARGEST_INT = 2**31 - 1  # of what containers count a rate in
FOLDER = ""  # the ending of a folder of PNGs
FRAME = re.compile(r"\d{6,}\.png")


@dataclass(frozen=True)
class Format:
    """What files of one ending can hold.

    Attributes:
        codec: for people.
        alpha: the bits of transparency; 0 for none.
        bits: of each colour.
        lossless: whether every colour of so many bits comes back as it was.
        loop: whether the file itself says that it is to be repeated.
        fastest, slowest: frames a second; a GIF is slowed down to its fastest instead.
        sides: the least and the most pixels of a side.
        aspect: whether it says how wide a pixel is; Matroska could, but PyAV has no way to.
    """

    codec: str
    alpha: int
    bits: int
    lossless: bool = False
    loop: bool = False
    fastest: Fraction = Fraction(100_000)
    slowest: Fraction = Fraction(1, 1000)
    sides: tuple[int, int] = (1, 65_535)
    aspect: bool = False


FORMATS = {
    ".mp4": Format("H.264 4:2:0", alpha=0, bits=8, sides=(1, 16_384), aspect=True),
    ".webm": Format("VP9 4:2:0", alpha=8, bits=8, fastest=MILLISECONDS),
    ".mov": Format("ProRes 422 HQ, or 4444 with alpha", alpha=10, bits=10, sides=(1, 65_534), aspect=True),
    ".mkv": Format("FFV1 RGB", alpha=10, bits=10, lossless=True, fastest=MILLISECONDS),
    ".apng": Format("animated PNG", alpha=8, bits=8, lossless=True, loop=True, fastest=MILLISECONDS),
    ".webp": Format(
        "animated WebP (VP8L)",
        alpha=8,
        bits=8,
        lossless=True,
        loop=True,
        fastest=MILLISECONDS / 2,
        sides=(1, 16_383),
    ),
    ".gif": Format("GIF, a palette for each frame", alpha=1, bits=8, loop=True, slowest=Fraction(1, 655)),
    ".png": Format("one image, or a sprite sheet and its JSON", alpha=8, bits=8, lossless=True, loop=True),
    ".npy": Format("NumPy (T,H,W,C) uint8", alpha=8, bits=8, lossless=True),
    FOLDER: Format("folder of PNGs", alpha=8, bits=8, lossless=True),
}
CLEAR = ", ".join(ending for ending, kind in FORMATS.items() if kind.alpha > 1 and ending not in (FOLDER, ".png"))


def ending_of(path: str | Path) -> str:
    return FOLDER if str(path).endswith("/") else Path(path).suffix.lower()


def beside(path: str | Path, ending: str) -> Path:
    """The place of what belongs to an output: ``clip.mp4`` and ``.sheet.png`` give ``clip.sheet.png``.

    A folder keeps its whole name (``v1.2/`` gives ``v1.2.sheet.png``); a name that would be too long is cut.
    """
    place = Path(path)
    return named(place.parent, place.stem if ending_of(path) in FORMATS and ending_of(path) else place.name, ending)


def check_writable(path: str | Path, *, overwrite: bool = False, grid: Grid | None = None, still: bool = False) -> None:
    """Everything that can be known to be wrong with an output before there is anything to write.

    Args:
        path: of the output.
        overwrite: whether what is there may be replaced.
        grid: of a sprite sheet.
        still: whether one frame may come, which fits into an image.

    Raises:
        UsageError: an ending that cannot be written, a missing or read-only parent folder, or something in the place;
            a sprite sheet without a grid, or a grid without a sprite sheet.
    """
    target = Path(path)
    ending = ending_of(path)
    if str(path) == "-":
        raise UsageError("-o - is not supported: name a file")
    if not target.name:
        raise UsageError(f"{str(path)!r} cannot be written: it has no name; give one that ends in .mp4")
    if ending not in FORMATS:
        known = ", ".join(filter(None, FORMATS))
        raise UsageError(f"{path} cannot be written as {ending!r}: end it in {known}, or in / for a folder of PNGs")
    if ending == ".png" and grid is None and not still:
        raise _one_image(path)
    if ending != ".png" and grid is not None:
        raise UsageError(f"{path} cannot be a sprite sheet (--grid): end it in .png")
    check_place(target, overwrite=overwrite)
    if grid is not None:
        check_place(json_of(target), overwrite=overwrite)
    if not target.exists():
        return
    if ending != FOLDER:
        if target.is_dir():
            raise UsageError(f"{path} is a folder, not a file: choose another name")
    elif not target.is_dir() or not all(FRAME.fullmatch(file.name) for file in target.iterdir()):
        # Replacing a folder deletes what is in it.
        raise UsageError(f"{path} holds other things than numbered PNG frames: choose a new folder")


def check_fits(
    path: str | Path,
    *,
    channels: int,
    n_frames: int,
    size: tuple[int, int],
    fps: Fraction | None = None,
    background: Colour | None = None,
    grid: Grid | None = None,
) -> None:
    """Whether a clip of that kind, of ``size`` (H, W) and ``fps`` frames a second, fits into an output.

    Raises:
        UsageError: it has alpha, the format none, and no background is given; the grid does not fit, or an image is to
            hold several frames without one; the format has no such rate or size.
    """
    kind = FORMATS[ending_of(path)]
    if fps is not None and n_frames > 1:
        _check_rate(path, kind, fps)
    if ending_of(path) == ".mkv" and size[1] == 1 < size[0]:  # which FFV1's encoder does not cut into slices
        raise UsageError(f"{path} cannot hold frames of one column: end it in / for a folder of PNGs")
    if not kind.sides[0] <= min(size) <= max(size) <= kind.sides[1]:
        raise UsageError(
            f"{path} cannot hold frames of {size[1]}x{size[0]}: sides are of {kind.sides[0]} to {kind.sides[1]} pixels "
            "there; end it in / for a folder of PNGs, or choose another --size"
        )
    if channels == 4 and background is None and not FORMATS[ending_of(path)].alpha:
        raise UsageError(
            f"{path} cannot hold the transparency that the clip has: end it in {CLEAR} or / for a folder, "
            "or give a background, such as --background black"
        )
    if grid is not None:
        check_grid(grid, n_frames, size=size)
    elif ending_of(path) == ".png" and n_frames > 1:
        raise _one_image(path)


def _check_rate(path: str | Path, kind: Format, fps: Fraction) -> None:
    if max(fps.numerator, fps.denominator) > LARGEST_INT:
        raise UsageError(f"{path} cannot play at {fps} frames a second, a fraction too fine to be written: round it")
    if not kind.slowest <= fps <= kind.fastest:
        raise UsageError(
            f"{path} cannot play at {float(fps):.6g} frames a second, but at {float(kind.slowest):.3g} to "
            f"{float(kind.fastest):g}: end it in .mp4, or in / for a folder of PNGs"
        )


def _one_image(path: str | Path) -> UsageError:
    return UsageError(f"{path} is one image: give --grid ROWSxCOLUMNS for a sprite sheet, or end it in / for frames")
