"""What ``train`` learns: one clip or a set of them, and what is said of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dyntex.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from dyntex.clip import Clip
    from dyntex.conditions import Condition
    from dyntex.coopnets.config import CoopConfig
    from dyntex.media import Member

LabelsOption = Annotated[
    Literal["folders"] | None,
    typer.Option("--labels", help="Learn a set by classes: each subfolder of SOURCE is one.", show_default=False),
]
CaptionsOption = Annotated[
    Path | None,
    typer.Option("--captions", help="Learn a set by words: a table (.csv) of file,caption.", show_default=False),
]
SketchOption = Annotated[
    Literal["edges"] | None,
    typer.Option("--sketch", help="Learn what lies where the edges of each frame are.", show_default=False),
]


@dataclass(frozen=True)
class Said:
    """By what the clips are to be told apart; at most one of the three.

    Attributes:
        labels: by their subfolder.
        captions: by a table.
        sketch: by their own edges.
    """

    labels: bool = False
    captions: Path | None = None
    sketch: bool = False

    @classmethod
    def of(cls, labels: str | None, captions: Path | None, sketch: str | None) -> Said:
        """From the command's words; UsageError if they are more than one."""
        given = {"--labels": labels, "--captions": captions, "--sketch": sketch}
        names = [f"{option} {value}" for option, value in given.items() if value is not None]
        if len(names) > 1:
            raise UsageError(f"{' and '.join(names)} exclude each other: a model hears conditions of one kind")
        return cls(labels is not None, captions, sketch is not None)

    @property
    def of_a_set(self) -> bool:
        return self.labels or self.captions is not None


@dataclass(frozen=True)
class Lesson:
    """What the networks are taught.

    Attributes:
        clips: one, or a set.
        cond: (N, K, T, H, W), what is said of them; None for nothing.
        condition: what that means, or None.
    """

    clips: tuple[Clip, ...]
    cond: Tensor | None = None
    condition: Condition | None = None

    def described(self) -> dict[str, Any] | None:
        """What the condition means, as the model keeps it."""
        if self.condition is None:
            return None
        from dyntex.conditions import to_json

        return to_json(self.condition)

    def about(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"clips": len(self.clips), "condition": None if self.condition is None else self.condition.kind}


def lesson(members: tuple[Member, ...], said: Said) -> Lesson:
    """A set, and its members' labels, captions or edges as the networks hear them.

    Raises:
        MissingDependencyError: there are captions and no encoder of sentences.
        UsageError: all captions say the same.
    """
    clips = tuple(member.clip for member in members)
    if said == Said():
        return Lesson(clips)

    import torch

    from dyntex.conditions import Labels, Sketches, Texts, edges

    shape = (clips[0].n_frames, clips[0].height, clips[0].width)
    if said.labels:
        names = [member.label or "" for member in members]
        labels = Labels.of(names)
        return Lesson(clips, labels.volume(names, shape), labels)
    if said.captions is not None:
        captions = [member.caption or "" for member in members]
        texts = Texts.of(captions)
        return Lesson(clips, texts.volume(captions, shape), texts)
    sketches = Sketches()
    return Lesson(clips, sketches.heard(torch.cat([edges(clip) for clip in clips])), sketches)


def default_preset(source: str, said: Said) -> tuple[str, str | None]:
    """The preset for a source where none was named, and a sentence that says why, where it is not the usual one.

    Raises:
        InputError: there is no such source.
    """
    from dyntex.cli.choices import DEFAULT_PRESET
    from dyntex.media import is_set
    from dyntex.media.paths import place_of
    from dyntex.media.read import Kind, kind_of

    if kind_of(source) is Kind.FOLDER:
        classes = [entry for entry in place_of(source).iterdir() if entry.is_dir()] if said.labels else [source]
        if any(map(is_set, classes)):
            return "video-set", f"{source} holds clips, which are learnt as a set, with preset 'video-set'"
        if said.of_a_set:
            return "image-set", f"the images in {source} are learnt as a set, with preset 'image-set'"
        return DEFAULT_PRESET, (
            f"the images in {source} are taken for the frames of one clip; --preset image-set learns them as a set"
        )
    return preset_of(source)


def preset_of(source: str) -> tuple[str, str | None]:
    """The same for a source that is one clip."""
    from dyntex.cli.choices import DEFAULT_PRESET
    from dyntex.media import probe
    from dyntex.media.read import Kind, kind_of

    if kind_of(source) is Kind.IMAGE and probe(source).n_frames == 1:
        return "image-texture", f"{source} is one image, which is learnt as a texture, with preset 'image-texture'"
    return DEFAULT_PRESET, None


def is_many(source: str, config: CoopConfig, said: Said) -> bool:
    """Whether a source is a set: it holds clips, or images for networks that know no time, or is said to be one."""
    from dyntex.media import is_set
    from dyntex.media.paths import place_of

    return said.of_a_set or is_set(source) or (place_of(source).is_dir() and config.n_frames == 1)
