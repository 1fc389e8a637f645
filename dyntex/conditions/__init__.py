"""Conditions: labels, sentences and drawings as K input channels of the networks, (N, K, T, H, W).

For training, a set is described, and each of its clips gets its channels::

    labels = Labels.of(names)                  cond = labels.volume(names, (T, H, W))
    texts = Texts.of(captions)                 cond = texts.volume(captions, (T, H, W))
    sketches = Sketches()                      cond = sketches.proximity(torch.cat([edges(clip) for clip in clips]))

The description is plain data and is saved with the model: :func:`to_json` and :func:`from_json`. It turns a word or a
drawing into the condition (1, K, T, H, W) of a sample: ``labels.volume(["fire"], shape)``,
``texts.volume(["a tall flame"], shape)``, ``sketches.volume(drawing, shape)``.
"""

from __future__ import annotations

from typing import Any

from dyntex import dataclass_json
from dyntex.conditions.encoder import Encode, encode
from dyntex.conditions.label import Labels
from dyntex.conditions.sketch import Sketches, edges, lines
from dyntex.conditions.text import Texts

__all__ = ["Condition", "Encode", "Labels", "Sketches", "Texts", "edges", "encode", "from_json", "lines", "to_json"]

Condition = Labels | Sketches | Texts


def to_json(condition: Condition) -> dict[str, Any]:
    """A description as JSON: its ``kind``, "label", "sketch" or "text", and what it knows."""
    data: dict[str, Any] = dataclass_json.to_json(condition)
    return data


def from_json(data: Any, *, where: str = "condition") -> Condition:
    """The inverse of :func:`to_json`.

    Raises:
        UsageError: it is not a description; the message names the key.
    """
    condition: Condition = dataclass_json.from_json(data, Condition, where=where)
    return condition
