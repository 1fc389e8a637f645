"""The JSON beside a sprite sheet: where each frame is, how long it lasts, and whether it is to be repeated.

It is that of texture packers ("frames" and "meta", https://www.codeandweb.com/texturepacker), which game engines'
importers read, with the rate and the loop flag in "meta".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dyntex.media.grid import Grid, sheet_size
from dyntex.media.order import Order


def describe(path: Path, order: Order, *, grid: Grid) -> dict[str, Any]:
    """What the JSON says of the sheet at ``path``: pixels from the top left, milliseconds."""
    height, width = order.size
    sheet_height, sheet_width = sheet_size(grid, order.size)
    frames = [
        {
            "filename": f"{path.stem}-{i:04}",
            "frame": {"x": i % grid[1] * width, "y": i // grid[1] * height, "w": width, "h": height},
            "rotated": False,
            "trimmed": False,
            "spriteSourceSize": {"x": 0, "y": 0, "w": width, "h": height},
            "sourceSize": {"w": width, "h": height},
            "duration": float(1000 / order.fps),
        }
        for i in range(order.n_frames)
    ]
    meta = {
        "app": "dyntex",
        "image": path.name,
        "format": "RGBA8888" if order.alpha else "RGB888",
        "premultiplied": False,
        "size": {"w": sheet_width, "h": sheet_height},
        "scale": "1",
        "rows": grid[0],
        "columns": grid[1],
        "fps": float(order.fps),
        "frame_rate": str(order.fps),
        "loop": order.loop,
        **order.metadata,
    }
    return {"frames": frames, "meta": meta}
