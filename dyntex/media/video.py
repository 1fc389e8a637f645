"""Video of any container and codec that FFmpeg reads, through PyAV.

A file is opened twice: once to look at the times of its packets, which costs no decoding, and once to decode.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path

import av
from av.video.stream import VideoStream

from dyntex.errors import InputError
from dyntex.media import colour
from dyntex.media.colour import Shown
from dyntex.media.container import choice, crop, opened, side_data, unheeded
from dyntex.media.display import display_of
from dyntex.media.footage import Footage, Notice, ignore, once, window
from dyntex.media.scan import MP4, Scan, scan
from dyntex.media.timing import resample, say_timing, steady

SEEKABLE = (MP4, "matroska,webm")  # whose index makes a seek exact
FAR = 250  # frames before `start` that are decoded rather than sought over
ALPHA_TAG = "alpha_mode"


@dataclass(frozen=True)
class Decoded:
    """A frame, and whether it is known to be damaged, or to build on one that is."""

    frame: av.VideoFrame
    spoilt: bool = False


def decoder(stream: VideoStream, *, layered: bool = False) -> av.VideoCodecContext:
    """The stream's own decoder, but for VP8 and VP9 with alpha, of which FFmpeg's native decoders drop the alpha.

    ``layered`` says that packets carry a second picture; the tag that should say so is not always there.
    """
    context = stream.codec_context
    tagged = any(key.lower() == ALPHA_TAG and value == "1" for key, value in stream.metadata.items())
    if (tagged or layered) and context.name in {"vp8", "vp9"}:
        with_alpha = av.CodecContext.create(f"libvpx{'-vp9' if context.name == 'vp9' else ''}", "r")
        with_alpha.extradata = context.extradata
        context = with_alpha
    context.thread_type = "AUTO"
    context.thread_count = min(4, os.cpu_count() or 1)  # each thread holds frames of its own
    return context


def decode(
    container: av.container.InputContainer,
    stream: VideoStream,
    *,
    layered: bool = False,
    from_tick: int | None = None,
    notice: Notice = ignore,
) -> Iterator[Decoded]:
    """Frames in order of presentation, from the one shown at ``from_tick`` on.

    Damage before the first sound frame is passed over, and said (a recording of a broadcast begins in the middle of a
    group of pictures). Of later damage the decoder's own marks decide; what follows builds on it, until a sound key
    frame. What cannot be decoded at all is raised as PyAV's error once the frames before it are out.
    """
    context = decoder(stream, layered=layered)
    if from_tick is not None:
        container.seek(from_tick, stream=stream)
    sound = passed = 0
    spoilt = False
    for frame, failure in _until_damage(container, stream, context):
        if failure is not None and sound:
            raise failure
        if frame is None:
            continue
        if frame.key_frame and not frame.is_corrupt:
            spoilt = False
        elif frame.is_corrupt and (sound or frame.key_frame):
            spoilt = True
        if not sound and (spoilt or frame.is_corrupt):
            passed += 1
            continue
        if passed and not sound:
            notice(f"the first {passed} frames are damaged, or build on what is not there, and are passed over")
        sound += 1
        if from_tick is None or frame.pts is None or frame.pts >= from_tick:
            yield Decoded(frame, spoilt)


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


def is_picture(path: Path) -> bool:
    """Whether a file is one picture of a kind that FFmpeg reads and Pillow does not, such as OpenEXR."""
    try:
        with opened(path) as (container, stream):
            if not container.format.name.endswith("_pipe"):
                return False
            return len([packet for packet in islice(container.demux(stream), 3) if packet.size]) == 1
    except (InputError, av.FFmpegError):
        return False


def first_frame(path: Path, *, layered: bool = False) -> av.VideoFrame:
    """The first frame that can be decoded, which carries what PyAV shows of no stream: rotation, range and matrix.

    Raises:
        InputError: there is none.
    """
    with opened(path) as (container, stream):
        first = next(decode(container, stream, layered=layered), None)
    if first is None:
        raise InputError(f"{path} has a video stream of which no frame can be decoded: it is damaged or cut short")
    return first.frame


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
        said = side_data(container, stream)
        for sentence in (choice(container), unheeded(said)):
            if sentence is not None:
                notice(sentence)
        found = scan(container, stream, limit=limit)
        aspect = stream.sample_aspect_ratio or Fraction(1)
    shown = Shown(crop(said))
    if any(shown.crop):
        notice(
            "the file asks for its frames to be cut by {} rows at the top, {} at the bottom, {} columns at the left "
            "and {} at the right, which is done".format(*shown.crop)
        )
    if aspect != 1 and display_of(first_frame(path, layered=found.layered)).transposed:
        aspect = 1 / aspect
    say_timing(found.timing, notice)
    wanted = _wanted(path, found, start=start, n_frames=n_frames, notice=notice)
    return Footage(found.timing.fps, (colour.to_rgb(frame, notice, shown) for frame in wanted), aspect)


def _wanted(path: Path, found: Scan, *, start: int, n_frames: int | None, notice: Notice) -> Iterator[av.VideoFrame]:
    given = 0
    with opened(path) as (container, stream):
        try:
            for decoded in _select(path, container, stream, found, start=start, n_frames=n_frames, notice=notice):
                if decoded.spoilt or found.is_hurt(start + given):
                    raise ended_early(path, given)
                given += 1
                yield decoded.frame
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
    notice: Notice,
) -> Iterator[Decoded]:
    def frames(from_tick: int | None = None) -> Iterator[Decoded]:
        return decode(container, stream, layered=found.layered, from_tick=from_tick, notice=notice)

    if not found.timing.uniform:
        timed = ((item.frame.pts, item) for item in frames() if item.frame.pts is not None)
        fps, tick = found.timing.fps, found.tick
        return window(resample(steady(timed, fps, tick=tick), fps, tick=tick), start, n_frames, name=path)
    if FAR < start < len(found.ticks) and container.format.name in SEEKABLE and not found.joined:
        far = frames(found.ticks[start])
        first = next(far, None)
        if first is not None and first.frame.pts == found.ticks[start]:  # else the file's index is wrong
            return islice(chain([first], far), n_frames)
        return window(frames(found.ticks[0]), start, n_frames, name=path)
    return window(frames(), start, n_frames, name=path)
