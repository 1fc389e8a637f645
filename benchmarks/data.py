"""The clips of a benchmark, and how each is cut: what methods are fitted on, and what is held out from them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from dyntex.benchmarks.metrics.statistics import Yardstick, calibrate
from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError
from dyntex.examples import EXAMPLES
from dyntex.media import flatten, read_clip

VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm", ".mpg", ".mpeg", ".gif", ".webp", ".apng", ".npy")
STILLS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
EXAMPLE = "example:"
FRESH_SEED = 1000
"""Seeds of an example from here on are fresh samples of its law; the clips that methods learn from are below."""

MIN_TRAIN = 16
MIN_HELDOUT = 16
"""Frames, of which the statistics need so many."""


@dataclass(frozen=True)
class Source:
    """A clip by name.

    Attributes:
        name: unique in a benchmark; the names of its folders.
        where: what ``read_clip`` reads.
        sha256: its digest, where that is known and the file is elsewhere.
    """

    name: str
    where: str
    sha256: str = ""

    def digest(self) -> str:
        """SHA-256 of the file's bytes (of all files, for a folder), by which two machines know they measured one clip.

        That of an example is its name. What cannot be read has an empty digest; its cells will say why.
        """
        if self.sha256:
            return self.sha256
        if self.where.startswith(EXAMPLE):
            return self.where
        path = Path(self.where).expanduser()
        try:
            files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
            return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()
        except OSError:
            return ""


@dataclass(frozen=True)
class Split:
    """A clip as the tasks see it.

    Attributes:
        source: where it comes from.
        train: the first T frames, on which every method is fitted.
        heldout: the frames after them, at most T.
        note: what was departed from, in a sentence; empty where nothing was.
    """

    source: Source
    train: Clip
    heldout: Clip
    note: str = ""

    @cached_property
    def yardstick(self) -> Yardstick:
        """How far real is from real, measured once for all methods."""
        return calibrate(self.train, self.heldout)


def find_clips(words: Sequence[str]) -> list[Source]:
    """The clips that ``--clips`` means: a folder's videos, single files, ``example:NAME``, or ``examples`` for all.

    A folder that holds only stills is one clip. Names come from the files' and must differ.

    Raises:
        InputError: a folder without clips, or a file that is not there.
        UsageError: two clips of one name.
    """
    sources = [source for word in words for source in _expand(word)]
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two of the clips are called {name!r}: rename one, since its name is its folder's")
    return sources


def named(sources: Sequence[Source], name: str) -> Source:
    """The one of this name."""
    return next(source for source in sources if source.name == name)


def _expand(word: str) -> list[Source]:
    if word == "examples":
        return [Source(name, EXAMPLE + name) for name in EXAMPLES]
    if word.startswith(EXAMPLE):
        name = word.removeprefix(EXAMPLE)
        if name.partition("?")[0] not in EXAMPLES:
            raise InputError(f"there is no example {name!r}: choose one of {', '.join(EXAMPLES)}")
        return [Source("".join(c if c.isalnum() or c in "-_." else "-" for c in name), word)]
    path = Path(word).expanduser()
    if not path.exists():
        raise InputError(f"there is no clip {word}: give a folder, files, example:NAME or examples")
    if not path.is_dir():
        return [Source(path.stem, str(path))]
    files = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    videos = [p for p in files if p.suffix.lower() in VIDEOS]
    if videos:
        return [Source(p.stem, str(p)) for p in videos]
    if any(p.suffix.lower() in STILLS for p in files):
        return [Source(path.resolve().name, str(path))]
    raise InputError(f"the folder {word} holds no clips: name one that holds videos, or frames of one")


def split_clip(source: Source, *, size: int, n_frames: int) -> Split:
    """Read a clip and cut it: T frames to learn from and up to T after them held out.

    Where fewer than T/2 frames would be left, T becomes two thirds of the clip, so that a third is always held out.

    Raises:
        InputError: it cannot be read, or is too short for both parts.
        UsageError: as :func:`dyntex.media.read_clip` raises it.
    """
    # What is transparent is measured as it is seen on black.
    clip = eight_bits(flatten(read_clip(source.where, size=size, n_frames=2 * n_frames), (0, 0, 0)))
    total, T, note = clip.n_frames, n_frames, ""
    if total - T < T / 2:
        T = 2 * total // 3
        note = f"{total} frames in all: fitted on {T} in place of {n_frames}, so that a third is held out"
    rest = min(T, total - T)
    if min(T - MIN_TRAIN, rest - MIN_HELDOUT) < 0:
        raise InputError(
            f"{source.name} has {total} frames, which leaves {T} to learn from and {rest} held out, and "
            f"{MIN_TRAIN} and {MIN_HELDOUT} are the least: give a clip of at least {3 * MIN_HELDOUT} frames"
        )
    return Split(source, clip.segment(0, T), clip.segment(T, rest), note)


@lru_cache(maxsize=1)
def clip_of(source: Source, digest: str, *, size: int, n_frames: int) -> Clip:
    """The beginning of a file of this digest; asked again and again, it is read once."""
    return read_clip(source.where, size=size, n_frames=n_frames)


@lru_cache(maxsize=1)
def split_of(source: Source, digest: str, *, size: int, n_frames: int) -> Split:
    """:func:`split_clip` of a file of this digest; asked again and again, the clip is read once."""
    return split_clip(source, size=size, n_frames=n_frames)


def has_known_law(source: Source) -> bool:
    """Whether :func:`fresh_sample` can make more of it: an example whose seed was not chosen."""
    return source.where.startswith(EXAMPLE) and "seed=" not in source.where


def fresh_sample(split: Split, *, seed: int) -> Clip:
    """An independent sample of an example's law, as long and as large as the training segment."""
    joint = "&" if "?" in split.source.where else "?"
    return read_clip(
        f"{split.source.where}{joint}seed={FRESH_SEED + seed}",
        size=(split.train.height, split.train.width),
        n_frames=split.train.n_frames,
    )


def eight_bits(clip: Clip) -> Clip:
    """A clip in the 256 levels in which all are measured: examples, and the files of samples, have finer ones."""
    return Clip.from_uint8(clip.to_uint8(), clip.fps)
