"""The table of docs/formats.md: what each format holds, and its error, measured by readers that are not ours.

    python tests/format_matrix.py

writes it again. ``test_formats.py`` uses the same readers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import imageio.v3 as iio
import numpy as np
import PIL.Image

from dyntex.clip import Clip
from dyntex.media import write_clip
from dyntex.media.formats import FOLDER, FORMATS
from dyntex.media.pixels import premultiplied, stacked

FPS = Fraction(25)
PATCH = 32
MARGIN = 4  # 4:2:0 shares a chroma sample among four pixels, and codecs filter across edges
OUT = Path(__file__).parents[1] / "docs" / "formats.md"
Reader = Callable[[str], np.ndarray]  # path -> (T, H, W, 4), 0 to 255, straight alpha


def chart(n_frames: int = 3) -> np.ndarray:
    """(T, 128, 192, 3): the corners of the RGB cube and sixteen colours between, each a flat square."""
    corners = [(r, g, b) for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    between = np.random.default_rng(0).integers(0, 256, (16, 3)).tolist()
    colours = np.array([*corners, *between], np.uint8).reshape(4, 6, 3)
    return np.broadcast_to(colours.repeat(PATCH, 0).repeat(PATCH, 1), (n_frames, 4 * PATCH, 6 * PATCH, 3))


def insides() -> np.ndarray:
    """(128, 192) bool: the chart without the edges of its squares."""
    patch = np.zeros((PATCH, PATCH), bool)
    patch[MARGIN:-MARGIN, MARGIN:-MARGIN] = True
    return np.tile(patch, (4, 6))


def ball(n_frames: int = 4, height: int = 48, width: int = 64) -> np.ndarray:
    """(T, H, W, 4) uint8, straight: a coloured ball with a soft edge that moves; black where it is clear."""
    t, y, x = np.mgrid[:n_frames, :height, :width].astype(float)
    alpha = ((18 - np.hypot(y - height / 2, x - width / 2 - 3 * t)) / 5).clip(0, 1)
    colour = np.stack([0.5 + 0.5 * np.sin(x / 9), 0.5 + 0.5 * np.cos(y / 7), np.full_like(x, 0.6)], axis=-1)
    frames = np.rint(np.concatenate([colour, alpha[..., None]], axis=-1) * 255).astype(np.uint8)
    frames[frames[..., 3] == 0] = 0
    return frames


def clip_of(straight: np.ndarray, fps: Fraction = FPS) -> Clip:
    """(T, H, W, 3 or 4) uint8, straight, as a clip."""
    if straight.shape[3] == 3:
        return Clip.from_uint8(straight, fps)
    return Clip.from_levels(stacked([premultiplied(frame) for frame in straight]), fps)


def seen(straight: np.ndarray, behind: float) -> np.ndarray:
    """What is seen of straight (..., 4) before a grey, by Porter and Duff's over."""
    alpha = straight[..., 3:] / 255
    return straight[..., :3] * alpha + behind * (1 - alpha)


# --- the readers -----------------------------------------------------------------------------------------------------


def decoded(path: str) -> Iterator[av.VideoFrame]:
    """By PyAV; VP9's alpha is seen by libvpx alone."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        own = stream.metadata.get("alpha_mode") == "1"
        decoder = av.CodecContext.create("libvpx-vp9", "r") if own else stream.codec_context
        for packet in container.demux(stream):
            yield from decoder.decode(packet if packet.size else None)


def by_av(path: str) -> np.ndarray:
    frames = list(decoded(path))
    if frames[0].format.components[0].bits > 8:
        return np.stack([frame.to_ndarray(format="rgba64le") for frame in frames]) / 257
    return np.stack([frame.to_ndarray(format="rgba") for frame in frames]).astype(float)


def by_planes(path: str) -> np.ndarray:
    """Colours by the formulas of ITU-R BT.709 (limited range), chroma repeated to the luma's size."""
    frames = []
    for frame in decoded(path):
        bits = frame.format.components[0].bits
        planes = []
        for plane in frame.planes:
            levels = np.frombuffer(bytes(plane), np.uint16 if bits > 8 else np.uint8).reshape(plane.height, -1)
            part = levels[:, : plane.width] / 2 ** (bits - 8)
            planes.append(part.repeat(frame.height // plane.height, 0).repeat(frame.width // plane.width, 1))
        y, cb, cr = (planes[0] - 16) / 219, (planes[1] - 128) / 224, (planes[2] - 128) / 224
        red, blue = y + 1.5748 * cr, y + 1.8556 * cb
        green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
        alpha = planes[3] * 2 ** (bits - 8) / (2**bits - 1) if len(planes) == 4 else np.ones_like(y)
        frames.append(np.stack([red, green, blue, alpha], axis=-1))
    return np.stack(frames).clip(0, 1) * 255


def by_pillow(path: str) -> np.ndarray:
    frames = []
    with PIL.Image.open(path) as image:
        for k in range(image.n_frames):
            image.seek(k)
            frames.append(np.asarray(image.convert("RGBA")))
    return np.stack(frames).astype(float)


def by_cv2(path: str) -> np.ndarray:
    frames = np.stack(cv2.imreadanimation(path)[1].frames)
    return solid(frames[..., [2, 1, 0, 3][: frames.shape[3]]])


def by_imageio(folder: str) -> np.ndarray:
    return solid(np.stack([iio.imread(file) for file in sorted(Path(folder).iterdir())]))


def by_numpy(path: str) -> np.ndarray:
    return solid(np.load(path))


def solid(frames: np.ndarray) -> np.ndarray:
    """With an alpha of 255 where there is none."""
    return frames.astype(float) if frames.shape[3] == 4 else np.insert(frames.astype(float), 3, 255, axis=3)


READERS: dict[str, tuple[Reader, ...]] = {
    ".mp4": (by_planes,),
    ".webm": (by_planes,),
    ".mov": (by_planes, by_av),
    ".mkv": (by_av,),
    ".apng": (by_pillow, by_av),
    ".webp": (by_pillow, by_cv2),
    ".gif": (by_pillow,),
    ".npy": (by_numpy,),
    FOLDER: (by_imageio,),
}
NAMES = {by_planes: "PyAV", by_av: "PyAV", by_pillow: "Pillow", by_cv2: "OpenCV", by_imageio: "imageio"}


# --- the table -------------------------------------------------------------------------------------------------------


def colour_error(path: str, reader: Reader) -> np.ndarray:
    """(T, pixels, 3): |found - chart| inside the squares, of 255."""
    return np.abs(reader(path)[..., :3] - chart())[:, insides()]


def alpha_error(path: str, reader: Reader) -> float:
    """Mean |seen - ball| over black, grey and white, of 255."""
    found = reader(path)
    return float(np.mean([np.abs(seen(found, grey) - seen(ball(), grey)) for grey in (0, 128, 255)]))


HEADER = """\
# Formats

The ending of `-o` chooses the format; no ending is a folder of PNGs, `.png` an image or, by `--grid`, a sprite sheet.
Everything that reading takes is in `read_clip`'s words: any video that FFmpeg decodes, at its full depth; PNG and TIFF
(16 bits too), JPEG, HEIC, GIF, WebP, AVIF, BMP, OpenEXR; folders of images; NumPy arrays. How real files are read is
[files.md](files.md).

Errors are |found - written|, of 255, at the default quality, by a reader that is not ours: *colour* is the mean over a
chart of 24 flat squares (the worst of R, G and B), *alpha* what is seen of a soft-edged ball on black, grey and white.
Video of 4:2:0 shares a colour among four pixels, so detail in colour alone is blurred by it; the chart has none.

| ending | what | alpha | bits | loop flag | words | read by | colour | alpha |
|---|---|---|---|---|---|---|---|---|
"""

FOOTER = """
- **alpha**: bits of transparency. A clip is kept premultiplied, and files hold it straight. A GIF's pixel is
  transparent or opaque, and a notice says so. `.mp4` has none: give a background, `--background white`.
- **bits**: of each colour. What is read with more than 8 is kept so, and a synthesis has as many as its file takes.
- **loop flag**: whether the file itself asks players to repeat it. Others leave that to the player.
- **words**: the command, seed, preset and version, without folders. In `.gif` a comment, in `.webp` EXIF's description,
  in PNGs text chunks, elsewhere the container's `comment`; a sprite sheet's are in its JSON too.
- `.mkv` has 10 bits of what is 8 in other files: an 8-bit source comes back exactly in dyntex, and to within one level
  in readers that cut two bits off.
- **sprite sheet**: frames row by row from the top left, in a sheet of power-of-two sides; the JSON is that of texture
  packers (`frames[].frame` is the rectangle, `duration` in milliseconds), with `meta.fps` and `meta.loop`.

This page is written by `python tests/format_matrix.py`.
"""


def row(ending: str) -> str:
    """One line of the table, measured."""
    kind = FORMATS[ending]
    words = "no" if ending == ".npy" else "yes"
    held = [f"`{ending}`" if ending else "(none)", kind.codec, str(kind.alpha or "no"), str(kind.bits)]
    held += ["yes" if kind.loop else "no", words]
    if ending not in READERS:  # one PNG, as those of a folder are
        return f"| {' | '.join(held)} | OpenCV | 0 | 0 |"
    reader = READERS[ending][0]
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/out{ending}" if ending else f"{folder}/out/"
        write_clip(path, clip_of(chart()))
        colour = f"{colour_error(path, reader).mean((0, 1)).max():.2f}"
        alpha = "-"
        if kind.alpha:
            write_clip(path, clip_of(ball()), overwrite=True)
            alpha = f"{alpha_error(path, reader):.2f}"
    return f"| {' | '.join(held)} | {NAMES.get(reader, 'NumPy')} | {colour} | {alpha} |"


def page() -> str:
    return HEADER + "\n".join(row(ending) for ending in FORMATS) + "\n" + FOOTER


if __name__ == "__main__":
    OUT.write_text(page(), encoding="utf-8")
