"""What the packets of a video say of its times and of its end, without decoding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.video.stream import VideoStream

from dyntex.media.timing import Timing, measure, steady

NO_TIMESTAMPS = 0x0080  # AVFMT_NOTIMESTAMPS: a raw stream, whose times are FFmpeg's invention
MP4 = "mov,mp4,m4a,3gp,3g2,mj2"
LOOK_AHEAD = 64  # packets; more than any codec's frames are out of order
JOINT = 4  # packets: the one that FFmpeg flags lies so near before what begins anew
COMPLETE = Fraction(95, 100)  # of the promised frames: headers of AVI and Matroska are sometimes a little off


@dataclass(frozen=True)
class Scan:
    """What the packets say, without decoding.

    Attributes:
        ticks: presentation times in their order, in units of ``tick``; none for a raw stream, which has none. Where
            the file's clock starts anew, they go on.
        joined: whether it does.
        hurt: ranges of frames that the container itself calls damaged.
        layered: whether packets carry a second picture, which is VP8's and VP9's transparency.
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
    joined: bool = False
    layered: bool = False
    hurt: tuple[range, ...] = ()

    def is_hurt(self, frame: int) -> bool:
        return any(frame in part for part in self.hurt)


def scan(container: av.container.InputContainer, stream: VideoStream, *, limit: int | None) -> Scan:
    """The times of the first ``limit`` frames (of all for None), from the packets alone."""
    times: list[tuple[int | None, int]] = []  # of decoding and of presentation
    keys: list[bool] = []
    flagged: list[int] = []
    counted = hidden = 0  # hidden: what an edit list cuts away, but decoding needs
    timed = not container.format.flags & NO_TIMESTAMPS
    indexed = len(stream.index_entries)
    whole, broken, layered = True, False, False
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
            if packet.is_corrupt:
                flagged.append(counted)
            keys.append(packet.is_keyframe)
            counted += 1
            layered = layered or packet.has_sidedata("matroska_block_additional")
            time = packet.dts if packet.pts is None else packet.pts
            if time is None:
                timed = False
            else:
                times.append((packet.dts, time))
    except av.FFmpegError:
        broken = True  # what could be demuxed is judged below, and decoding meets the same place
    tick = stream.time_base or Fraction(1, av.time_base)
    parts = _parts(times) if timed else []
    stated = (stream.guessed_rate, stream.average_rate)
    timing = measure(_one_after_another(parts), tick=tick, stated=stated)
    ticks = [time for part in parts for time in part][:limit]
    if len(parts) > 1:
        ticks = [time for time, _ in steady(((time, None) for time in ticks), timing.fps, tick=tick)]
    if limit is not None:
        timing = measure(ticks, tick=tick, stated=stated)
    covered = _frames_from(0, ticks, tick, timing.fps) if ticks else counted
    promised = _promised(container.format.name, stream, indexed, timing.fps)
    if container.format.name == MP4:
        missing = promised - counted - hidden
    else:
        missing = promised - covered if max(covered, counted) < promised * COMPLETE else 0
    return Scan(
        ticks,
        tick,
        counted,
        timing,
        missing_end=max(missing, int(broken)) if whole else 0,
        whole=whole,
        joined=len(parts) > 1,
        layered=layered,
        hurt=_hurt(flagged, keys),
    )


def _hurt(flagged: Sequence[int], keys: Sequence[bool]) -> tuple[range, ...]:
    """From each packet that is called damaged to the next key frame.

    Where streams were joined the counters of their packets start anew, for which the last before a key frame are called
    damaged, and are not. Of those the decoder's marks decide.
    """
    parts = []
    for i in flagged:
        if not any(keys[i : i + JOINT]):
            following = next((k for k in range(i, len(keys)) if keys[k]), len(keys))
            parts.append(range(i, following))
    return tuple(parts)


def _frames_from(beginning: int, ticks: Sequence[int], tick: Fraction, fps: Fraction) -> int:
    """How many frames would be from a time to the last one: lengths are counted from 0, and a video may begin late."""
    return round((ticks[-1] - min(beginning, ticks[0])) * tick * fps) + 1


def _parts(times: Sequence[tuple[int | None, int]]) -> list[list[int]]:
    """Presentation times in order, in as many parts as the clock starts anew: decoding times never go back.

    A presentation time that is far from its decoding time, as no other is, is damaged; the usual distance takes its
    place.
    """
    apart = [shown - decoded for decoded, shown in times if decoded is not None]
    usual = int(np.median(apart)) if apart else 0
    gaps = np.abs(np.diff([shown for _, shown in times]))
    gap = max(1, int(np.median(gaps))) if len(gaps) else 1
    parts: list[list[int]] = [[]]
    before: int | None = None
    for decoded, shown in times:
        if decoded is not None:
            if before is not None and decoded < before - gap:
                parts.append([])
            before = decoded
            if abs(shown - decoded - usual) > LOOK_AHEAD * gap:
                parts[-1].append(decoded + usual)
                continue
        parts[-1].append(shown)
    return [sorted(part) for part in parts if part]


def _one_after_another(parts: Sequence[Sequence[int]]) -> list[int]:
    """Times of which each part begins one gap after the end of the one before."""
    gaps = np.diff([time for part in parts for time in part])
    gap = int(np.median(gaps[gaps > 0])) if (gaps > 0).any() else 1
    out: list[int] = []
    for part in parts:
        shift = out[-1] + gap - part[0] if out else 0
        out.extend(time + shift for time in part)
    return out


def _promised(container: str, stream: VideoStream, indexed: int, fps: Fraction) -> int:
    """The number of frames that the file's own header says it has; 0 where it does not say."""
    if container == MP4:
        return indexed  # not stream.frames, which counts all that an edit list cuts away
    length = stream.metadata.get("DURATION", "")  # Matroska's, "00:00:05.280000000"
    if length.count(":") == 2:
        hours, minutes, seconds = length.split(":")
        return round((int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds.strip("\0"))) * fps)
    return int(stream.frames)
