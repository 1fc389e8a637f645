"""A container of video, opened through PyAV: which of its streams is the clip, and what it says of how to show it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import av.logging
from av.video.stream import VideoStream

from dyntex.errors import InputError
from dyntex.media.footage import check_pixels
from dyntex.media.pictures import pipe_of

NOT_VIDEO = {"tty", "bin", "xbin", "adf", "idf"}  # FFmpeg would draw a text file as a terminal
Disposition = av.stream.Disposition
# Covers and thumbnails are no clip, and what depends on another stream (a tile, an enhancement) is none alone.
ASIDE = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent | Disposition.metadata
SIDE_DATA = re.compile(r" {6,}([^:]+): (.*)")
CROP = re.compile(r"(\d+)/(\d+)/(\d+)/(\d+)")


@contextmanager
def opened(path: Path) -> Iterator[tuple[av.container.InputContainer, VideoStream]]:
    """The container and its stream of moving pictures; FFmpeg's errors become one sentence.

    Raises:
        InputError: not a video, no video stream, or frames larger than are read.
    """
    try:
        # The whitelist keeps a playlist that is named like a video from reaching for the network.
        options = {"protocol_whitelist": "file"}
        container = av.open(f"file:{path}", format=pipe_of(path), options=options, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise unreadable(path, error) from error
    with container:
        if container.format.name in NOT_VIDEO:
            raise InputError(f"{path} is text, not video: give a video, an image, a folder of frames or an array")
        streams = pictures(container)
        if not streams:
            held = ", ".join(sorted({s.type for s in container.streams if s.type != "video"})) or "nothing"
            raise InputError(f"{path} has no video stream (only {held}): give a file with moving pictures")
        check_pixels(path, streams[0].codec_context.width, streams[0].codec_context.height)
        yield container, streams[0]


def unreadable(path: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{path} cannot be read as video or image ({reason}): it is damaged, cut short or something else")


def pictures(container: av.container.InputContainer) -> list[VideoStream]:
    """The streams that could be the clip, the one that is first: flagged default, else the largest."""
    streams = [s for s in container.streams.video if s.codec_context is not None and not s.disposition & ASIDE]

    def rank(stream: VideoStream) -> tuple[bool, int]:
        size = stream.codec_context.width * stream.codec_context.height
        return bool(stream.disposition & Disposition.default), size

    return sorted(streams, key=rank, reverse=True)


def choice(container: av.container.InputContainer) -> str | None:
    """Which stream was taken of how many, in a sentence; None where there is one."""
    streams = pictures(container)
    if len(streams) < 2:
        return None
    sizes = ", ".join(f"{s.codec_context.width}x{s.codec_context.height}" for s in streams[1:])
    taken = streams[0].codec_context
    flagged = streams[0].disposition & Disposition.default and not streams[1].disposition & Disposition.default
    return (
        f"the file has {len(streams)} streams of video; the {'default' if flagged else 'largest'} one is read, "
        f"{taken.width}x{taken.height}, not {sizes}"
    )


def side_data(container: av.container.InputContainer, stream: VideoStream) -> dict[str, str]:
    """What the container says of a stream beside its codec, in FFmpeg's words: ``{"Frame Cropping": "0/0/16/16"}``.

    From FFmpeg's own description of the file, because PyAV has no other access to it.
    """
    before = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        lines = container.dumps_format().splitlines()
    finally:
        av.logging.set_level(before)
    found: dict[str, str] = {}
    within = listed = False
    for line in lines:
        if line.lstrip().startswith(("Stream ", "Program ")):
            within = re.match(rf"\s*Stream #0:{stream.index}\b", line) is not None
            listed = False
        elif line.strip() == "Side data:":
            listed = within
        elif listed and (entry := SIDE_DATA.match(line)):
            found[entry[1]] = entry[2].strip()
    return found


def crop(said: dict[str, str]) -> tuple[int, int, int, int]:
    """Pixels to be cut off a decoded frame: top, bottom, left, right."""
    found = CROP.match(said.get("Frame Cropping", ""))
    left, right, top, bottom = map(int, found.groups()) if found else (0, 0, 0, 0)  # the order in FFmpeg's words
    return top, bottom, left, right


def unheeded(said: dict[str, str]) -> str | None:
    """What of it is not honoured, in a sentence; None for nothing."""
    known = {
        "Spherical Mapping": "a sphere (it is taken for flat)",
        "Stereo 3D": "two eyes (they are taken as they lie in the frame)",
        "DOVI configuration record": "Dolby Vision",
        "LCEVC NALs": "an LCEVC enhancement",
    }
    flat = {"2D", "monoscopic"}
    found = [words for name, words in known.items() if name in said and said[name].split(",")[0] not in flat]
    return f"not honoured of what the file says: {', '.join(found)}" if found else None
