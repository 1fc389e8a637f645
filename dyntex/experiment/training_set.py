"""The training data: one clip or a set of clips, and the condition of each clip in a set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dyntex.clip import Clip
from dyntex.conditions import Condition, Labels, Sketches, Texts, edges, encode, to_json
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.observe import check_set
from dyntex.errors import InputError
from dyntex.experiment.checks import only_one
from dyntex.experiment.progress import SILENT, Progress
from dyntex.experiment.settings import DEFAULT_PRESET, check_source, choose_size
from dyntex.media import Member, is_set, probe, read_clip, read_set
from dyntex.media.paths import place_of
from dyntex.media.read import Kind, kind_of


@dataclass(frozen=True)
class Conditions:
    """Which condition the clips of a set have; at most one of the three.

    Attributes:
        labels: the subfolder that a clip lies in.
        captions: a table (.csv) of file,caption.
        sketch: the edges of its frames.
    """

    labels: bool = False
    captions: Path | None = None
    sketch: bool = False

    def __post_init__(self) -> None:
        only_one({
            "--labels": "folders" if self.labels else None,
            "--captions": self.captions,
            "--sketch": "edges" if self.sketch else None,
        })  # fmt: skip

    @property
    def of_a_set(self) -> bool:
        """Whether they make sense for a set of clips only."""
        return self.labels or self.captions is not None


NONE = Conditions()


@dataclass(frozen=True)
class TrainingSet:
    """What the networks are trained on.

    Attributes:
        clips: one, or several of one size, length and rate.
        cond: (N, K, T, H, W), the condition of each clip; None for none.
        condition: what the K channels mean; None for none.
    """

    clips: tuple[Clip, ...]
    cond: Tensor | None = None
    condition: Condition | None = None

    def condition_json(self) -> dict[str, Any] | None:
        """What the K channels mean, as the model saves it."""
        if self.condition is None:
            return None
        return to_json(self.condition)

    def facts(self) -> dict[str, Any]:
        """For ``--json``: the number of clips, and the kind of condition."""
        return {"clips": len(self.clips), "condition": None if self.condition is None else self.condition.kind}


def with_conditions(members: Sequence[Member], conditions: Conditions = NONE) -> TrainingSet:
    """Clips, and their labels, captions or edges as condition channels.

    Raises:
        MissingDependencyError: there are captions, and the extra ``text`` is not installed.
        UsageError: all captions are the same.
    """
    clips = tuple(member.clip for member in members)
    if conditions == NONE:
        return TrainingSet(clips)

    shape = (clips[0].n_frames, clips[0].height, clips[0].width)
    if conditions.labels:
        names = [member.label or "" for member in members]
        labels = Labels.of(names)
        return TrainingSet(clips, labels.volume(names, shape), labels)
    if conditions.captions is not None:
        captions = [member.caption or "" for member in members]
        texts = Texts.of(captions)
        return TrainingSet(clips, texts.volume(captions, shape), texts)
    sketches = Sketches()
    return TrainingSet(clips, sketches.proximity(torch.cat([edges(clip) for clip in clips])), sketches)


def read_training_set(
    source: str,
    config: CoopConfig,
    conditions: Conditions = NONE,
    *,
    size: tuple[int, int] | None = None,
    start: int = 0,
    n_frames: int | None = None,
    progress: Progress = SILENT,
) -> TrainingSet:
    """Read one clip, or all clips or images of a folder, with their conditions.

    Args:
        source: a clip, or a folder of clips or images.
        config: of the networks that are to be trained.
        conditions: which condition each clip gets.
        size: (height, width); by default the preset's.
        start: first frame of each clip.
        n_frames: length of each clip; by default the preset's.
        progress: receives messages: what was read and what was left out.

    Raises:
        InputError: a source cannot be read, is too short or too small.
        UsageError: the preset learns from one clip only.
        MissingDependencyError: there are captions, and the extra ``text`` is not installed.
    """
    if not is_set_for(source, config, conditions):
        clip = read_source(source, config, size=size, start=start, n_frames=n_frames, progress=progress)
        return with_conditions((Member(clip, source),), conditions)
    check_set(config, f"the set in {source}")
    if conditions.captions is not None:
        encode([""])  # refuses a missing encoder before anything is read
    members = read_set(
        source,
        size=size or config.data.size,
        n_frames=n_frames or config.data.n_frames,
        least=n_frames or config.least_frames,
        start=start,
        labels=conditions.labels,
        captions=conditions.captions,
        notice=progress.say,
    )
    found = with_conditions(members, conditions)
    clip = found.clips[0]
    each = "images" if clip.n_frames == 1 else f"clips of {clip.n_frames} frames"
    progress.say(f"read a set of {len(members)} {each}, {clip.width}x{clip.height}")
    return found


def read_source(
    source: str,
    config: CoopConfig,
    *,
    size: tuple[int, int] | None = None,
    start: int = 0,
    n_frames: int | None = None,
    progress: Progress = SILENT,
) -> Clip:
    """Read the one clip that a source is, at the size and length that the preset learns from by default.

    Raises:
        InputError: it cannot be read, is too small, or holds several clips.
    """
    if is_set(source):
        raise InputError(f"{source} holds several clips: name one of them, or learn the set with dyntex train")
    check_source(source)
    clip = read_clip(
        source,
        size=size or choose_size(source, config),
        start=start,
        n_frames=n_frames or config.data.n_frames,
        notice=progress.say,
    )
    progress.say(
        f"read {clip.n_frames} frames, {clip.width} wide and {clip.height} high, at {float(clip.fps):g} a second"
    )
    if n_frames is None and config.data.n_frames == 1 and probe(source).n_frames != 1:
        progress.say(f"only the first frame of {source} is learnt: --clip-frames N learns from N frames")
    return clip


def default_preset(source: str, conditions: Conditions = NONE) -> tuple[str, str | None]:
    """The preset for a source where none was named; and a sentence with the reason, where it is not the usual preset.

    Raises:
        InputError: there is no such source.
    """
    if kind_of(source) is Kind.FOLDER:
        classes = [entry for entry in place_of(source).iterdir() if entry.is_dir()] if conditions.labels else [source]
        if any(map(is_set, classes)):
            return "video-set", f"{source} holds clips, which are learnt as a set, with preset 'video-set'"
        if conditions.of_a_set:
            return "image-set", f"the images in {source} are learnt as a set, with preset 'image-set'"
        return DEFAULT_PRESET, (
            f"the images in {source} are read as the frames of one clip; --preset image-set learns them as a set"
        )
    return preset_of(source)


def preset_of(source: str | Path | Clip) -> tuple[str, str | None]:
    """The same for a source that is one clip."""
    if isinstance(source, Clip):
        return ("image-texture" if source.n_frames == 1 else DEFAULT_PRESET), None
    source = str(source)
    if kind_of(source) is Kind.IMAGE and probe(source).n_frames == 1:
        return "image-texture", f"{source} is one image, which is learnt as a texture, with preset 'image-texture'"
    return DEFAULT_PRESET, None


def is_set_for(source: str, config: CoopConfig, conditions: Conditions = NONE) -> bool:
    """Whether a source is learnt as a set: it holds clips, or images for networks without time, or has conditions."""
    return conditions.of_a_set or is_set(source) or (place_of(source).is_dir() and config.data.n_frames == 1)
