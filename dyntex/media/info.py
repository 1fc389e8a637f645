"""What a source is, for people who ask before they read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from dyntex.media import arrays, colour, stills, video
from dyntex.media.colour import Shown
from dyntex.media.container import crop, opened, side_data
from dyntex.media.display import display_of
from dyntex.media.footage import DEFAULT_FPS
from dyntex.media.paths import place_of
from dyntex.media.read import Kind, kind_of, read_clip
from dyntex.media.scan import scan
from dyntex.media.timing import resample, steady

CHEAP = 2**28  # bytes of a file whose packets are all looked at, to count its frames exactly
GLANCE = 250  # frames looked at in a larger one


@dataclass(frozen=True)
class MediaInfo:
    """A source as :func:`dyntex.media.read_clip` would read it.

    Attributes:
        kind: video, animation, image, folder, array or example.
        container, codec, pixel_format: FFmpeg's or Pillow's words; empty where there are none.
        width, height: pixels as they are displayed: cut, and turned.
        rotation: degrees counter-clockwise by which decoded frames are turned, after left and right are exchanged if
            ``mirrored``.
        pixel_aspect: width of a displayed pixel over its height.
        fps: None only for one image.
        n_frames: at ``fps``; None where counting them would mean reading a large file.
        matrix, range: ``bt709`` and the like, ``limited`` or ``full``; assumed where ``tagged`` is false.
        has_alpha: whether the format has transparency (the pixels may still be opaque).
        variable_rate: whether frames would be resampled to ``fps``.
        metadata: what the container says of itself.
    """

    kind: str
    width: int
    height: int
    fps: Fraction | None
    n_frames: int | None
    container: str = ""
    codec: str = ""
    pixel_format: str = ""
    rotation: int = 0
    mirrored: bool = False
    pixel_aspect: Fraction = Fraction(1)
    matrix: str = "rgb"
    range: str = "full"
    tagged: bool = True
    has_alpha: bool = False
    variable_rate: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def duration(self) -> float | None:
        """Seconds; None where the rate or the number of frames is."""
        return float(self.n_frames / self.fps) if self.fps and self.n_frames else None


def probe(source: str | Path) -> MediaInfo:
    """Look at a source without decoding more than a frame of a video (an animation's times need all of it).

    Raises:
        InputError: as :func:`dyntex.media.read_clip` does for a source that is missing or cannot be read.
    """
    kind = kind_of(source)
    path = place_of(source)
    match kind:
        case Kind.EXAMPLE:
            clip = read_clip(source)
            return MediaInfo(kind.value, clip.width, clip.height, clip.fps, clip.n_frames)
        case Kind.ARRAY:
            with arrays.opened(path) as ((n_frames, height, width, channels), _):
                return MediaInfo(
                    kind.value, width, height, DEFAULT_FPS, n_frames, path.suffix[1:], has_alpha=channels == 4
                )
        case Kind.FOLDER:
            frames = stills.frames_of(path)
            first = _probe_image(frames[0])
            return MediaInfo(
                kind.value,
                first.width,
                first.height,
                stills.folder_fps(frames[0]),
                len(frames),
                codec=first.container,
                pixel_format=first.pixel_format,
                has_alpha=first.has_alpha,
                metadata=first.metadata,
            )
        case Kind.IMAGE:
            return _probe_image(path) if stills.is_image(path) else _probe_video(path, kind)
        case Kind.VIDEO:
            return _probe_video(path, kind)


def _probe_image(path: Path) -> MediaInfo:
    times = stills.frame_times(path)
    timing = stills.timing_of(path, times)
    with stills.opened(path) as image:
        width, height = stills.upright_size(image)
        still = len(times) == 1
        return MediaInfo(
            "image" if still else "animation",
            width,
            height,
            None if still else timing.fps,
            len(times) if timing.uniform else _resampled(times, timing.fps, stills.tick_of(image)),
            container=image.format or "",
            pixel_format=image.mode,
            has_alpha=image.has_transparency_data,
            variable_rate=not timing.uniform,
            metadata={str(key): value for key, value in image.info.items() if isinstance(value, str)},
        )


def _probe_video(path: Path, kind: Kind) -> MediaInfo:
    with opened(path) as (container, stream):
        said = side_data(container, stream)
        found = scan(container, stream, limit=None if path.stat().st_size <= CHEAP else GLANCE)
        timing = found.timing
        n_frames = None
        if found.whole:
            n_frames = found.n_packets if timing.uniform else _resampled(found.ticks, timing.fps, found.tick)
        frame = video.first_frame(path, layered=found.layered)
        display = display_of(frame)
        decoded = np.empty((frame.height, frame.width, 0), np.uint8)
        height, width = display.apply(Shown(crop(said)).cut(decoded)).shape[:2]
        aspect = stream.sample_aspect_ratio or Fraction(1)
        return MediaInfo(
            kind.value,
            width,
            height,
            timing.fps if kind is Kind.VIDEO else None,
            n_frames,
            container=container.format.name,
            codec=stream.codec_context.name,
            pixel_format=frame.format.name,
            rotation=display.rotation,
            mirrored=display.mirrored,
            pixel_aspect=1 / aspect if display.transposed else aspect,
            matrix=colour.matrix(frame)[0],
            range="full" if colour.is_full_range(frame) else "limited",
            tagged=colour.is_tagged(frame),
            has_alpha=colour.has_alpha(frame.format),
            variable_rate=not timing.uniform,
            metadata=dict(container.metadata),
        )


def _resampled(times: list[int], fps: Fraction, tick: Fraction) -> int:
    timed = steady(((time, None) for time in times), fps, tick=tick)
    return sum(1 for _ in resample(timed, fps, tick=tick))
