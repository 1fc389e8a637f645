"""What ``sample`` is asked for, in the words that the model understands: a label, a sentence or a drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dyntex.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

    from dyntex.clip import Clip
    from dyntex.conditions import Condition
    from dyntex.coopnets.model import CoopNets

LabelOption = Annotated[
    str | None, typer.Option("--label", help="Which class, of a model trained with --labels.", metavar="NAME")
]
TextOption = Annotated[
    str | None, typer.Option("--text", help="What is to be seen, of a model trained with --captions.", metavar="WORDS")
]
SketchOption = Annotated[
    str | None,
    typer.Option(
        "--sketch",
        help="A drawing, of a model trained with --sketch: an image, or a video or folder with one for each frame.",
        metavar="FILE",
    ),
]

NEEDED = {
    "label": ("--label NAME", "labels"),
    "text": ("--text WORDS", "captions"),
    "sketch": ("--sketch FILE", "sketches"),
}
"""By the kind of a condition: the option that says it, and what the model was taught by."""


@dataclass(frozen=True)
class Wish:
    """What the result is to show.

    Attributes:
        condition: how the model understands it; None where it understands nothing.
        words: the label, the sentence, or the drawing's place.
        drawing: read.
    """

    condition: Condition | None
    words: str = ""
    drawing: Clip | None = None

    @classmethod
    def of(
        cls, model: CoopNets, *, label: str | None, text: str | None, sketch: str | None, n_frames: int | None
    ) -> Wish:
        """From the command's words, held against what the model understands.

        Args:
            model: the model.
            label, text, sketch: of which at most one is given.
            n_frames: of a drawing that moves, so many are read at most.

        Raises:
            UsageError: it understands another kind of words, or none, or they are missing or too many.
            InputError: the drawing cannot be read.
        """
        from dyntex.conditions import from_json
        from dyntex.media import read_clip

        condition = None if model.condition is None else from_json(model.condition)
        given = {"label": label, "text": text, "sketch": sketch}
        options = [kind for kind, words in given.items() if words is not None]
        if condition is None:
            if options:
                raise UsageError(f"--{options[0]} means nothing to the model, which was taught without: leave it out")
            return cls(None)
        option, taught = NEEDED[condition.kind]
        if options != [condition.kind]:
            held = f", one of {', '.join(condition.names)}" if condition.kind == "label" else ""
            asked = " and ".join(f"--{kind}" for kind in options) or "nothing"
            raise UsageError(f"the model was taught by {taught} and {asked} was given: give {option}{held}")
        words = given[condition.kind] or ""
        return cls(condition, words, read_clip(words, n_frames=n_frames) if condition.kind == "sketch" else None)

    @property
    def n_frames(self) -> int | None:
        """The length of a drawing that moves."""
        return self.drawing.n_frames if self.drawing is not None and self.drawing.n_frames > 1 else None

    def settings(self) -> dict[str, str]:
        """For the result's metadata: what was asked."""
        from dyntex.experiment.redact import without_folders

        if self.condition is None:
            return {}
        return {self.condition.kind: without_folders(self.words) if self.drawing else self.words}

    def volume(self, model: CoopNets, n_frames: int) -> Tensor | None:
        """What the networks hear, for frames as large as the model makes them: (1, K, T, H, W).

        Raises:
            UsageError: the label is not known, or the sentence is empty.
            InputError: the drawing is blank, of another size, or too short.
            MissingDependencyError: it is a sentence, and there is no encoder of sentences.
        """
        from dyntex.conditions import Labels, Texts

        height, width = model.shape[2:]
        if isinstance(self.condition, Labels | Texts):
            return self.condition.volume([self.words], (1, height, width))  # whose one frame lasts
        if self.condition is None or self.drawing is None:
            return None
        shape = (n_frames if self.n_frames else 1, height, width)
        return self.condition.volume(self.drawing, shape, name=self.words)
