"""Pictures end to end in one file, as cameras and converters write them: a clip, and no image."""

from __future__ import annotations

import struct
from itertools import islice
from pathlib import Path

import av
import PIL.Image

# FFmpeg's containers of nothing but pictures, by Pillow's name of what is at the beginning.
PIPES = {
    "JPEG": "mjpeg",
    "PNG": "png_pipe",
    "BMP": "bmp_pipe",
    "WEBP": "webp_pipe",
    "JPEG2000": "j2k_pipe",
}


def pipe_of(path: Path) -> str | None:
    """FFmpeg's container for a file that begins with a picture; None for any other."""
    try:
        with PIL.Image.open(path, formats=tuple(PIPES)) as image:
            return PIPES.get(image.format or "")
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, struct.error, PIL.Image.DecompressionBombError):
        return None


def is_stream(path: Path) -> bool:
    """Whether a file that begins with a picture goes on with another of its size.

    A preview, or a gain map, behind a photo is of another; a photo's own list of pictures (MPO) makes it an image.
    """
    pipe = pipe_of(path)
    if pipe is None:
        return False
    try:
        with av.open(f"file:{path}", format=pipe) as container:
            stream = container.streams.video[0]
            packets = [packet for packet in islice(container.demux(stream), 3) if packet.size]
            if len(packets) < 2:
                return False
            frames = [frame for packet in (*packets[:2], None) for frame in stream.codec_context.decode(packet)]
    except (av.FFmpegError, IndexError, ValueError):
        return False
    return len(frames) == 2 and len({(frame.width, frame.height) for frame in frames}) == 1
