"""A set: many clips, or images, of one size and length, that one model is to learn."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dyntex.clip import Clip
from dyntex.errors import InputError
from dyntex.media import container, stills
from dyntex.media.captions import read_captions
from dyntex.media.footage import Notice, ignore, once
from dyntex.media.paths import place_of
from dyntex.media.read import Kind, kind_of, read_clip
from dyntex.media.resize import Size
from dyntex.media.results import without_results

WORDS = {".csv", ".json", ".md", ".txt"}  # what lies beside the members and is none


@dataclass(frozen=True)
class Member:
    """One of a set.

    Attributes:
        clip: of the set's size, length, rate and channels.
        name: where it lies in the folder, ``fire/03.mp4``; an array's are numbered.
        label: the subfolder, where they are classes.
        caption: the words that were written of it, where there are any.
    """

    clip: Clip
    name: str
    label: str | None = None
    caption: str | None = None


def read_set(
    source: str | Path,
    *,
    size: Size,
    n_frames: int,
    least: int | None = None,
    start: int = 0,
    labels: bool = False,
    captions: str | Path | None = None,
    notice: Notice = ignore,
) -> tuple[Member, ...]:
    """Read every clip of a folder, in natural order, as :func:`read_clip` reads each.

    A member of a set of clips is a video, an animation, or a subfolder of frames. Of a set of images
    (``n_frames`` = 1) it is every image, and of a video the frame ``start``. All other subfolders are gone through;
    hidden files, tables and texts are passed over. What cannot be read, or is too short, is left out with a notice.

    If one member is transparent, all get the fourth channel, in which the others are opaque; all get the rate of the
    first.

    Args:
        source: the folder; for a set of images also an array file (as :func:`read_clip` has them), each frame of which
            is a member.
        size: side of a square, or (H, W), for all of them.
        n_frames: the length of each.
        least: the fewest frames that will do, ``n_frames`` by default. Where a clip has fewer than ``n_frames`` and as
            many as that, all are cut to the shortest.
        start: the first frame of each.
        labels: whether each subfolder is a class.
        captions: a table of what each member shows; see :func:`dyntex.media.captions.read_captions`.
        notice: called with a sentence for each thing done that the user may want to know.

    Raises:
        InputError: there is no such folder, or nothing in it can be used; a class has nothing, there is only one, or a
            member has none; a caption is missing, empty, given twice or of nothing in the folder.
    """
    root, needed = place_of(source), least or n_frames
    if not root.is_dir():
        if n_frames > 1 or labels or captions is not None or kind_of(root) is not Kind.ARRAY:
            raise InputError(f"{source} is not a folder: a set is a folder of clips")
        stack = read_clip(root, size=size, start=start, notice=notice)
        return tuple(Member(stack.segment(i, 1), str(start + i)) for i in range(stack.n_frames))
    paths = {path.relative_to(root).as_posix(): path for path in _members(root, n_frames)}
    if not paths:
        raise InputError(f"{source} is a folder with no {_kind(n_frames)} in it: give one that holds some")
    label_of = _labels(root, paths) if labels else {}
    caption_of = {} if captions is None else read_captions(captions, paths)
    found: list[Member] = []
    reasons: list[str] = []
    say = once(notice)
    for name, path in paths.items():
        try:
            clip = read_clip(path, size=size, start=start, n_frames=n_frames, notice=say)
            if clip.n_frames < needed:
                remedy = ": ask for fewer" if needed == n_frames else ""
                raise InputError(
                    f"{path} has {clip.n_frames} frames from frame {start} on, and {needed} are needed{remedy}"
                )
        except InputError as error:
            reasons.append(str(error))
            notice(f"{name} was left out of the set: {error}")
        else:
            found.append(Member(clip, name, label_of.get(name), caption_of.get(name)))
    if not found:
        raise InputError(f"nothing in {source} can be used; the first of {len(reasons)} reasons is that {reasons[0]}")
    for lost in sorted(set(label_of.values()) - {member.label for member in found}):
        raise InputError(
            f"nothing of the class {lost!r} in {source} can be used: repair its files, or remove the folder"
        )
    return _alike(_as_short(found, n_frames, notice), notice, moving=n_frames > 1)


def is_set(source: str | Path) -> bool:
    """Whether a source is a folder of clips, and not of the frames of one.

    It holds something that moves, or folders and no image.
    """
    path = place_of(source)
    if not path.is_dir() or _is_clip(path):
        return False
    return any(entry.is_dir() or _moves(entry) for entry in _entries(path))


def _entries(folder: Path) -> list[Path]:
    held = without_results(e for e in folder.iterdir() if not e.name.startswith("."))
    shown = (e for e in held if e.suffix.lower() not in WORDS)
    return sorted(shown, key=stills.natural)


def _members(folder: Path, n_frames: int) -> Iterator[Path]:
    for entry in _entries(folder):
        if entry.is_dir() and (n_frames == 1 or not _is_clip(entry)):
            yield from _members(entry, n_frames)
        else:
            yield entry


def _is_clip(folder: Path) -> bool:
    """Whether a folder holds the frames of one clip: stills, and nothing that moves but, by a numbered series, less of
    it, such as a preview.
    """
    try:
        frames = stills.frames_of(folder)
    except InputError:
        return False
    moving = sum(_moves(entry) for entry in _entries(folder) if not entry.is_dir())
    return moving == 0 or (moving < len(frames) and is_series(frames))


def is_series(frames: list[Path]) -> bool:
    """Whether names differ in one number alone, as those of frames do: ``IMG_0001.png``, ``IMG_0002.png``."""
    parts = [re.fullmatch(r"(.*?)(\d+)(\D*)", frame.stem) for frame in frames]
    return None not in parts and len({(part[1], part[3]) for part in parts if part}) == 1


def _moves(path: Path) -> bool:
    try:
        match kind_of(path):
            case Kind.IMAGE:
                if not stills.is_image(path):
                    return False  # one of FFmpeg's, such as OpenEXR
                with stills.opened(path) as image:
                    return len(stills.frames_in(image)) > 1
            case Kind.VIDEO:
                with container.opened(path):
                    return True
            case _:
                return True
    except InputError:  # damaged, or neither: a sound, a text
        return False


def _kind(n_frames: int) -> str:
    return "images" if n_frames == 1 else "videos, animations or folders of frames"


def _labels(root: Path, names: Collection[str]) -> dict[str, str]:
    """The subfolder that each member lies in."""
    loose = next((name for name in names if "/" not in name and not (root / name).is_dir()), None)
    if loose is not None:
        raise InputError(
            f"{loose} is in {root} itself, whose subfolders are the classes: move it into the subfolder of its class"
        )
    label_of = {name: name.split("/")[0] for name in names}
    classes = [entry.name for entry in _entries(root)]
    for empty in sorted(set(classes) - set(label_of.values())):
        raise InputError(f"the class {empty!r} in {root} holds nothing to learn from: fill it, or remove it")
    if len(classes) < 2:
        raise InputError(f"{root} has one class, {classes[0]!r}: give a subfolder for each of two or more")
    return label_of


def _as_short(members: list[Member], n_frames: int, notice: Notice) -> list[Member]:
    """The members, each cut to the frames of the shortest."""
    shortest = min(members, key=lambda member: member.clip.n_frames)
    length = shortest.clip.n_frames
    if length == n_frames:
        return members
    notice(f"{shortest.name} has {length} frames, to which all clips of the set are cut")
    return [replace(member, clip=member.clip.segment(0, length)) for member in members]


def _alike(members: list[Member], notice: Notice, *, moving: bool) -> tuple[Member, ...]:
    """The members with the channels of the richest and the rate of the first."""
    rates = Counter(member.clip.fps for member in members)
    fps = members[0].clip.fps
    if moving and len(rates) > 1:
        held = ", ".join(f"{float(rate):.4g} ({count})" for rate, count in sorted(rates.items()))
        notice(
            f"the clips play at {held} frames a second; all are taken to play at {float(fps):.4g}, as the first does"
        )
    clear = next((member.name for member in members if member.clip.channels == 4), None)
    opaque = [member.name for member in members if member.clip.channels == 3]
    if clear is not None and opaque:
        notice(f"{clear} is transparent, so that all {len(members)} are taken to have transparency")
    return tuple(
        replace(member, clip=Clip(_with_alpha(member.clip.video) if clear else member.clip.video, fps))
        for member in members
    )


def _with_alpha(video: torch.Tensor) -> torch.Tensor:
    """(3 or 4, T, H, W) -> (4, T, H, W); what had no alpha is opaque, which is 1."""
    return video if video.shape[0] == 4 else torch.cat((video, torch.ones_like(video[:1])))
