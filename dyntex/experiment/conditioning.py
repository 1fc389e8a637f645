"""The condition that a sample is to satisfy: a label, a sentence or a drawing, as the model was trained with."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dyntex.clip import Clip
from dyntex.conditions import Condition, Labels, Texts, from_json
from dyntex.coopnets.model import CoopNets
from dyntex.errors import UsageError
from dyntex.experiment.redact import without_folders
from dyntex.media import read_clip

OPTIONS = {
    "label": ("--label NAME", "labels"),
    "text": ("--text WORDS", "captions"),
    "sketch": ("--sketch FILE", "sketches"),
}
"""By the kind of a condition: the option that gives it, and what the model was trained with."""


@dataclass(frozen=True)
class Conditioning:
    """What a sample is to show.

    Attributes:
        condition: what the model's condition channels mean; None for a model without conditions.
        words: the label, the sentence, or the drawing's path.
        drawing: the drawing, read.
    """

    condition: Condition | None
    words: str = ""
    drawing: Clip | None = None

    @classmethod
    def of(
        cls, model: CoopNets, *, label: str | None, text: str | None, sketch: str | None, n_frames: int | None
    ) -> Conditioning:
        """Check what is asked for against what the model was trained with.

        Args:
            model: the model.
            label, text, sketch: of which at most one is given.
            n_frames: of a drawing that moves, at most so many frames are read.

        Raises:
            UsageError: the model has another kind of condition or none, or not exactly one is given.
            InputError: the drawing cannot be read.
        """
        condition = None if model.condition is None else from_json(model.condition)
        given = {"label": label, "text": text, "sketch": sketch}
        kinds = [kind for kind, words in given.items() if words is not None]
        if condition is None:
            if kinds:
                raise UsageError(f"the model was trained without conditions: leave out --{kinds[0]}")
            return cls(None)
        option, trained_with = OPTIONS[condition.kind]
        if kinds != [condition.kind]:
            names = f", one of {', '.join(condition.names)}" if condition.kind == "label" else ""
            got = " and ".join(f"--{kind}" for kind in kinds) or "no condition"
            raise UsageError(f"the model was trained with {trained_with}, and got {got}: give {option}{names}")
        words = given[condition.kind] or ""
        return cls(condition, words, read_clip(words, n_frames=n_frames) if condition.kind == "sketch" else None)

    @property
    def n_frames(self) -> int | None:
        """The length of a drawing that moves; None for any other condition."""
        return self.drawing.n_frames if self.drawing is not None and self.drawing.n_frames > 1 else None

    def settings(self) -> dict[str, str]:
        """For the result's metadata: what was asked."""
        if self.condition is None:
            return {}
        return {self.condition.kind: without_folders(self.words) if self.drawing else self.words}

    def volume(self, model: CoopNets, n_frames: int) -> Tensor | None:
        """The condition channels for frames as large as the model makes them: (1, K, T, H, W), T = 1 or ``n_frames``.

        Raises:
            UsageError: the label is not known, or the sentence is empty.
            InputError: the drawing is blank, of another size, or too short.
            MissingDependencyError: it is a sentence, and the extra ``text`` is not installed.
        """
        height, width = model.shape[2:]
        if isinstance(self.condition, Labels | Texts):
            return self.condition.volume([self.words], (1, height, width))  # the last frame of a condition lasts
        if self.condition is None or self.drawing is None:
            return None
        shape = (n_frames if self.n_frames else 1, height, width)
        return self.condition.volume(self.drawing, shape, name=self.words)


def condition_for(
    model: CoopNets,
    *,
    n_frames: int,
    label: str | None = None,
    text: str | None = None,
    sketch: str | None = None,
) -> Tensor | None:
    """The condition of a sample, as ``model.synthesize(..., cond=...)`` takes it.

    Args:
        model: trained with labels, captions or sketches.
        n_frames: how many frames the sample will have.
        label: the class, of a model that was trained with labels.
        text: a sentence, of a model that was trained with captions.
        sketch: the path of a drawing, of a model that was trained with sketches.

    Returns:
        (1, K, T, H, W), T = 1 or ``n_frames``; None for a model without conditions.

    Raises:
        UsageError: the model was trained with another kind of condition, or none; or the label is not known.
        InputError: the drawing cannot be read, is blank, of another size, or too short.
        MissingDependencyError: it is a sentence, and the extra ``text`` is not installed.
    """
    asked = Conditioning.of(model, label=label, text=text, sketch=sketch, n_frames=n_frames)
    return asked.volume(model, n_frames)
