"""Frames to the bytes of a file, one frame at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from dyntex.media.colour import PACKED
from dyntex.media.footage import Image
from dyntex.media.pixels import bled

# H.264's constant rate factor is the scale in which every lossy format's quality is given. Its 0 is x264's lossless
# mode, a profile that browsers and most players do not decode.
BEST_QUALITY, WORST_QUALITY = 1, 51
VP9_WORST = 63
CENTISECOND = Fraction(1, 100)
GIF_MOST = Fraction(50)  # frames a second: browsers show one of less than two centiseconds for ten


@dataclass(frozen=True)
class Recipe:
    """How one kind of video file is made.

    Attributes:
        container, codec, pixels: FFmpeg's names of the muxer, the encoder and the pixel format.
        options: the encoder's; ``crf_worst`` is the encoder's worst constant rate factor, 0 if it has none.
        muxing: the muxer's options.
        bits: of each channel that is handed to the encoder.
        even: whether both sides must be even.
        siting: where the format's decoders take chroma samples to lie; half a pixel beside it, colours bleed.
    """

    container: str
    codec: str
    pixels: str
    options: Mapping[str, str] = field(default_factory=dict)
    crf_worst: int = 0
    muxing: Mapping[str, str] = field(default_factory=dict)
    bits: int = 8
    even: bool = False
    siting: str = "auto"

    @property
    def is_yuv(self) -> bool:
        return self.pixels.startswith("yuv")


RECIPES = {
    ".mp4": Recipe(
        "mp4",
        "libx264",
        "yuv420p",
        crf_worst=WORST_QUALITY,
        muxing={"movflags": "+faststart+use_metadata_tags"},
        even=True,
        siting="left",
    ),
    ".webm": Recipe("webm", "libvpx-vp9", "yuv420p", {"b": "0", "cpu-used": "3", "row-mt": "1"}, crf_worst=VP9_WORST),
    ".mov": Recipe(
        "mov",
        "prores_ks",
        "yuv422p10le",
        {"profile": "3"},
        muxing={"movflags": "use_metadata_tags"},
        bits=16,  # which the conversion to 10 bits of Y, Cb and Cr rounds
        even=True,  # it takes an odd width and spoils the last column
    ),
    ".mkv": Recipe("matroska", "ffv1", "gbrp10le", {"level": "3"}, bits=10),
    ".apng": Recipe("apng", "apng", "rgb24"),
}
WITH_ALPHA = {
    ".webm": replace(RECIPES[".webm"], pixels="yuva420p"),
    ".mov": replace(RECIPES[".mov"], pixels="yuva444p10le", options={"profile": "4"}),  # ProRes 4444
    ".mkv": replace(RECIPES[".mkv"], pixels="gbrap10le"),
    ".apng": replace(RECIPES[".apng"], pixels="rgba"),
}
LOOP = {".apng": ("plays", "0", "1"), ".gif": ("loop", "0", "-1")}  # the muxer's option: for ever, once


def padded(frame: Image) -> Image:
    """With its last row and column repeated where their number is odd."""
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def recipe_for(ending: str, *, alpha: bool, loop: bool) -> Recipe:
    """How a file of that ending is made."""
    recipe = (WITH_ALPHA if alpha else RECIPES)[ending]
    if ending not in LOOP:
        return recipe
    option, forever, once = LOOP[ending]
    return replace(recipe, muxing={**recipe.muxing, option: forever if loop else once})


def encode(
    path: Path,
    frames: Iterator[Image],
    recipe: Recipe,
    *,
    fps: Fraction,
    quality: int,
    metadata: Mapping[str, str],
    pixel_aspect: Fraction = Fraction(1),
) -> None:
    """Write frames of one size, RGB or RGB with straight alpha and of the recipe's bits, by the recipe."""
    options = dict(recipe.options)
    if recipe.crf_worst:
        options["crf"] = str(round(quality * recipe.crf_worst / WORST_QUALITY))
    with av.open(f"file:{path}", "w", format=recipe.container, options=dict(recipe.muxing)) as container:
        container.metadata.update(metadata)
        stream: VideoStream | None = None
        for i, whole in enumerate(frames):
            image = padded(whole) if recipe.even else whole
            if recipe.is_yuv and image.shape[2] == 4:
                image = bled(image)
            if stream is None:
                height, width = image.shape[:2]
                packed = PACKED[image.dtype.itemsize * 8][image.shape[2] == 4]
                graph = colour_graph(height, width, recipe, packed=packed)
                stream = container.add_stream(recipe.codec, rate=fps, options=options)
                stream.height, stream.width, stream.pix_fmt = height, width, recipe.pixels
                stream.codec_context.time_base = 1 / fps
                if pixel_aspect != 1:
                    stream.codec_context.sample_aspect_ratio = pixel_aspect
                if recipe.is_yuv:
                    tag(stream)
            graph.push(av.VideoFrame.from_ndarray(image, format=packed))
            for frame in pulled(graph):
                frame.pts, frame.time_base = i, 1 / fps
                if recipe.is_yuv:  # ProRes takes these from the frame, not from the stream
                    frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
                container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode())


def tag(stream: VideoStream) -> None:
    """Say BT.709, limited range, in the stream: untagged, each player would guess."""
    context = stream.codec_context
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709


def colour_graph(height: int, width: int, recipe: Recipe, *, packed: str) -> av.filter.Graph:
    """RGB frames of a ``packed`` format to the recipe's pixel format, for YUV by the matrix and range of :func:`tag`.

    A filter graph, because PyAV's ``reformat`` has no word for chroma siting and centres it.
    """
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=packed, time_base=CENTISECOND)
    yuv = f":in_range=pc:out_range=tv:out_color_matrix=bt709:out_chroma_loc={recipe.siting}" if recipe.is_yuv else ""
    graph.link_nodes(
        source,
        graph.add("scale", f"flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp{yuv}"),
        graph.add("format", f"pix_fmts={recipe.pixels}"),
        graph.add("buffersink"),
    ).configure()
    return graph


def gif_times(n_frames: int, fps: Fraction) -> list[int]:
    """When each frame of a GIF begins, in centiseconds: rounded, so that the mean rate is right where a GIF can."""
    interval = 1 / (min(fps, GIF_MOST) * CENTISECOND)
    return [round(i * interval) for i in range(n_frames + 1)]


def encode_gif(path: Path, frames: Iterator[Image], *, fps: Fraction, n_frames: int, loop: bool) -> None:
    """A GIF with a palette of its own for each frame; what is less than half opaque is clear, all else solid.

    The dither is ordered: error diffusion makes noise that boils from frame to frame where the picture stands still.
    """
    times = gif_times(n_frames, fps)
    option, forever, once = LOOP[".gif"]
    muxing = {option: forever if loop else once, "final_delay": str(times[-1] - times[-2])}
    with av.open(f"file:{path}", "w", format="gif", options=muxing) as container:
        stream: VideoStream | None = None
        for time, image in zip(times, frames, strict=False):
            if stream is None:
                height, width = image.shape[:2]
                packed = PACKED[8][image.shape[2] == 4]
                graph = palette_graph(height, width, packed=packed)
                stream = container.add_stream("gif", rate=100)
                stream.height, stream.width, stream.pix_fmt = height, width, "pal8"
                stream.codec_context.time_base = CENTISECOND
            frame = av.VideoFrame.from_ndarray(image, format=packed)
            frame.pts, frame.time_base = time, CENTISECOND
            graph.push(frame)
            for indexed in pulled(graph):
                container.mux(stream.encode(indexed))
        if stream is not None:
            graph.push(None)
            for indexed in pulled(graph):
                container.mux(stream.encode(indexed))
            container.mux(stream.encode())


def palette_graph(height: int, width: int, *, packed: str) -> av.filter.Graph:
    """FFmpeg's filters that give each frame its best 255 colours (the 256th is GIF's transparency)."""
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=packed, time_base=CENTISECOND)
    split = graph.add("split")
    palette = graph.add("palettegen", "stats_mode=single")
    use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
    source.link_to(split)
    split.link_to(palette, 0, 0)
    split.link_to(use, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(graph.add("buffersink"))
    graph.configure()
    return graph


def pulled(graph: av.filter.Graph) -> Iterator[av.VideoFrame]:
    """The frames that a graph has ready."""
    while True:
        try:
            yield graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
