"""From a decoded frame to what is displayed: cut, turned and mirrored."""

from __future__ import annotations

import math
from dataclasses import dataclass

import av
import numpy as np

from dyntex.media.footage import Image

ONE = 65536  # of the matrix's 16.16 fixed point
STRAIGHT = 3  # degrees by which a turn may miss a quarter and say nothing


@dataclass(frozen=True)
class Display:
    """How a decoded frame is displayed.

    Attributes:
        transposed: rows become columns, before all else.
        flip_rows, flip_columns: top for bottom, left for right.
        skew: degrees that are left of a turn by no multiple of 90.
    """

    transposed: bool = False
    flip_rows: bool = False
    flip_columns: bool = False
    skew: int = 0

    def apply(self, image: Image) -> Image:
        """(H, W, C) as decoded to (H, W, C), or (W, H, C), as displayed."""
        shown = image.swapaxes(0, 1) if self.transposed else image
        rows, columns = (slice(None, None, -1 if flip else 1) for flip in (self.flip_rows, self.flip_columns))
        return np.ascontiguousarray(shown[rows, columns])

    @property
    def mirrored(self) -> bool:
        return self.transposed ^ self.flip_rows ^ self.flip_columns

    @property
    def rotation(self) -> int:
        """Degrees counter-clockwise by which a frame is turned, after left and right are exchanged if ``mirrored``."""
        probe = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
        first = probe[:, ::-1] if self.mirrored else probe
        shown = self.apply(probe)
        return next(90 * k for k in range(4) if np.array_equal(np.rot90(first, k), shown))


def display_of(frame: av.VideoFrame) -> Display:
    """What the display matrix says, which decoders do not apply; from the container, or from the stream itself.

    The matrix (ISO/IEC 14496-12, 6.2.2) sends a pixel (x, y), y downwards, to (a x + c y, b x + d y).
    """
    try:
        found = frame.side_data.get("DISPLAYMATRIX")
        matrix = None if found is None else np.frombuffer(bytes(found), np.int32)[:9].reshape(3, 3)
    except (ValueError, KeyError):  # a kind of side data that PyAV cannot name; it gives the angle
        angle = math.radians(-frame.rotation)
        turn = [[math.cos(angle), math.sin(angle), 0], [-math.sin(angle), math.cos(angle), 0], [0, 0, 1]]
        matrix = np.asarray(turn) * ONE if frame.rotation else None
    if matrix is None:
        return Display()
    (a, b), (c, d) = matrix[:2, :2].astype(float) / ONE
    if max(abs(a), abs(b), abs(c), abs(d)) == 0:
        return Display()
    skew = round(abs(math.degrees(math.atan2(b, a)))) % 90
    skew = min(skew, 90 - skew)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Display(True, flip_rows=b < 0, flip_columns=c < 0, skew=skew)
    return Display(False, flip_rows=d < 0, flip_columns=a < 0, skew=skew)
