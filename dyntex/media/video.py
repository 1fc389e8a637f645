"""Video of any container and codec that FFmpeg reads, through PyAV.

A file is opened twice: once to look at the times of its packets, which costs no decoding, and once to decode.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
from av.video.stream import VideoStream

from dyntex.errors import InputError
from dyntex.media import colour
from dyntex.media.footage import Footage, Notice, check_pixels, once, window
from dyntex.media.timing import Timing, measure, resample

NOT_VIDEO = {"tty", "bin", "xbin", "adf", "idf"}  # FFmpeg would draw a text file as a terminal
NO_TIMESTAMPS = 0x0080  # AVFMT_NOTIMESTAMPS: a raw stream, whose times are FFmpeg's invention
SEEKABLE = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")  # whose index makes a seek exact
LOOK_AHEAD = 64  # packets; more than any codec's frames are out of order
FAR = 250  # frames before `start` that are decoded rather than sought over
COMPLETE = Fraction(95, 100)  # of the promised frames: headers of AVI and Matroska are sometimes a little off


@dataclass(frozen=True)
class Scan:
    """What the packets say, without decoding.

    Attributes:
        ticks: sorted presentation times, in units of ``tick``; none for a raw stream, which has none.
        tick: seconds.
        n_packets: how many were seen, each a frame in all but odd streams.
        timing: their rate.
        missing_end: the frames that the file promises and that are not there (it was cut short), else 0.
        whole: whether the scan went to the end of the file.
    """

    ticks: list[int]
    tick: Fraction
    n_packets: int
    timing: Timing
    missing_end: int
    whole: bool


@contextmanager
def opened(path: Path) -> Iterator[tuple[av.container.InputContainer, VideoStream]]:
    """The container and its first stream of moving pictures; FFmpeg's errors become one sentence.

    Raises:
        InputError: not a video, no video stream, or frames larger than are read.
    """
    try:
        # The whitelist keeps a playlist that is named like a video from reaching for the network.
        container = av.open(f"file:{path}", options={"protocol_whitelist": "file"}, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise unreadable(path, error) from error
    with container:
        pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
        if container.format.name in NOT_VIDEO:
            raise InputError(f"{path} is text, not video: give a video, an image, a folder of frames or an array")
        if not pictures:
            held = ", ".join(sorted({s.type for s in container.streams if s.type != "video"})) or "nothing"
            raise InputError(f"{path} has no video stream (only {held}): give a file with moving pictures")
        stream = pictures[0]
        check_pixels(path, stream.codec_context.width, stream.codec_context.height)
        yield container, stream


def unreadable(path: Path, error: Exception) -> InputError:
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{path} cannot be read as video or image ({reason}): it is damaged, cut short or something else")


def scan(container: av.container.InputContainer, stream: VideoStream, *, limit: int | None) -> Scan:
    """The times of the first ``limit`` frames (of all for None), from the packets alone."""
    ticks: list[int] = []
    counted = hidden = 0  # hidden: what an edit list cuts away, but decoding needs
    timed = not container.format.flags & NO_TIMESTAMPS
    indexed = len(stream.index_entries)
    whole, corrupt = True, False
    wanted = None if limit is None else limit + LOOK_AHEAD
    try:
        for packet in container.demux(stream):
            if packet.size == 0:
                continue
            if packet.is_discard:
                hidden += 1
                continue
            if wanted is not None and counted >= wanted:
                whole = False
                break
            corrupt |= packet.is_corrupt
            counted += 1
            time = packet.dts if packet.pts is None else packet.pts
            if time is None:
                timed = False
            else:
                ticks.append(time)
    except av.FFmpegError:
        corrupt = True  # what could be demuxed is judged below, and decoding meets the same place
    ticks = sorted(ticks)[:limit] if timed else []
    tick = stream.time_base or Fraction(1, av.time_base)
    timing = measure(ticks, tick=tick, stated=(stream.guessed_rate, stream.average_rate))
    covered = round((ticks[-1] - ticks[0]) * tick * timing.fps) + 1 if ticks else counted
    promised = _promised(container.format.name, stream, indexed, timing.fps)
    if container.format.name == SEEKABLE[0]:
        missing = promised - counted - hidden
    else:
        missing = promised - covered if covered < promised * COMPLETE else 0
    return Scan(ticks, tick, counted, timing, max(missing, int(corrupt)) if whole else 0, whole)


def _promised(container: str, stream: VideoStream, indexed: int, fps: Fraction) -> int:
    """The number of frames that the file's own header says it has; 0 where it does not say."""
    if container == SEEKABLE[0]:
        return indexed  # not stream.frames, which counts all that an edit list cuts away
    length = stream.metadata.get("DURATION", "")  # Matroska's, "00:00:05.280000000"
    if length.count(":") == 2:
        hours, minutes, seconds = length.split(":")
        return round((int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds.strip("\0"))) * fps)
    return int(stream.frames)


def decoder(stream: VideoStream) -> av.VideoCodecContext:
    """The stream's own decoder, but for VP8 and VP9 with alpha, of which FFmpeg's native decoders drop the alpha."""
    context = stream.codec_context
    if stream.metadata.get("alpha_mode") == "1" and context.name in {"vp8", "vp9"}:
        with_alpha = av.CodecContext.create(f"libvpx{'-vp9' if context.name == 'vp9' else ''}", "r")
        with_alpha.extradata = context.extradata
        context = with_alpha
    context.thread_type = "AUTO"
    context.thread_count = min(4, os.cpu_count() or 1)  # each thread holds frames of its own
    return context


def decode(
    container: av.container.InputContainer, stream: VideoStream, *, from_tick: int | None = None
) -> Iterator[av.VideoFrame]:
    """Frames in order of presentation, from the one shown at ``from_tick`` on.

    Damage before the first frame is passed over (a recording of a broadcast begins in the middle of a group of
    pictures); later damage is raised as PyAV's error once the frames before it are out.
    """
    context = decoder(stream)
    if from_tick is not None:
        container.seek(from_tick, stream=stream)
    decoded = 0
    for frame, failure in _until_damage(container, stream, context):
        if failure is not None and decoded:
            raise failure
        if frame is not None:
            decoded += 1
            if from_tick is None or frame.pts is None or frame.pts >= from_tick:
                yield frame


def _until_damage(
    container: av.container.InputContainer, stream: VideoStream, context: av.VideoCodecContext
) -> Iterator[tuple[av.VideoFrame | None, av.FFmpegError | None]]:
    """Each frame, and each failure with the frames that the decoder still held before it."""
    try:
        for packet in container.demux(stream):
            try:
                yield from ((frame, None) for frame in context.decode(packet if packet.size else None))
            except av.error.EOFError:
                return
            except av.FFmpegError as error:
                yield from ((frame, None) for frame in _drained(context))
                yield None, error
    except av.FFmpegError as error:
        yield from ((frame, None) for frame in _drained(context))
        yield None, error


def _drained(context: av.VideoCodecContext) -> list[av.VideoFrame]:
    try:
        frames = list(context.decode(None))
    except av.FFmpegError:
        frames = []
    context.flush_buffers()
    return frames


def first_frame(path: Path) -> av.VideoFrame:
    """The first frame that can be decoded, which carries what PyAV shows of no stream: rotation, range and matrix.

    Raises:
        InputError: there is none.
    """
    with opened(path) as (container, stream):
        frame = next(decode(container, stream), None)
    if frame is None:
        raise InputError(f"{path} has a video stream of which no frame can be decoded: it is damaged or cut short")
    return frame


def ended_early(path: Path, n_frames: int) -> InputError:
    if n_frames == 0:
        return InputError(f"{path} is damaged or cut short before the first frame asked for: give the whole file")
    return InputError(
        f"{path} is damaged or cut short: only {n_frames} of the frames asked for can be decoded; "
        f"ask for those alone with --clip-frames {n_frames}, or give the whole file"
    )


def footage(path: Path, *, start: int, n_frames: int | None, notice: Notice) -> Footage:
    """Frames ``start`` to ``start + n_frames`` of a video, at a constant rate.

    Whether the rate is constant is judged from the frames up to the last one asked for.
    """
    notice = once(notice)
    limit = None if n_frames is None else start + n_frames
    with opened(path) as (container, stream):
        found = scan(container, stream, limit=limit)
        aspect = stream.sample_aspect_ratio or Fraction(1)
    if aspect != 1 and first_frame(path).rotation % 180 == 90:
        aspect = 1 / aspect
    if not found.timing.uniform:
        notice(f"the frame rate varies; frames were resampled to a constant {float(found.timing.fps):.4g} per second")
    frames = (colour.to_rgb(frame, notice) for frame in _wanted(path, found, start=start, n_frames=n_frames))
    return Footage(found.timing.fps, frames, aspect)


def _wanted(path: Path, found: Scan, *, start: int, n_frames: int | None) -> Iterator[av.VideoFrame]:
    given = 0
    with opened(path) as (container, stream):
        try:
            for frame in _select(path, container, stream, found, start=start, n_frames=n_frames):
                given += 1
                yield frame
        except av.FFmpegError as error:
            raise ended_early(path, given) from error
    if found.missing_end and given != n_frames:
        raise ended_early(path, given)


def _select(
    path: Path,
    container: av.container.InputContainer,
    stream: VideoStream,
    found: Scan,
    *,
    start: int,
    n_frames: int | None,
) -> Iterator[av.VideoFrame]:
    if not found.timing.uniform:
        timed = ((frame.pts, frame) for frame in decode(container, stream) if frame.pts is not None)
        return window(resample(timed, found.timing.fps, tick=found.tick), start, n_frames, name=path)
    if FAR < start < len(found.ticks) and container.format.name in SEEKABLE:
        frames = decode(container, stream, from_tick=found.ticks[start])
        first = next(frames, None)
        if first is not None and first.pts == found.ticks[start]:  # else the file's index is wrong
            return islice(chain([first], frames), n_frames)
        return window(decode(container, stream, from_tick=found.ticks[0]), start, n_frames, name=path)
    return window(decode(container, stream), start, n_frames, name=path)
