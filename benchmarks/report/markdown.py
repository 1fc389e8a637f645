"""A page as Markdown: the one writer of tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        header: of the columns.
        rows: of cells, in Markdown.
        shown: so many of its columns are shown on the terminal, too; 0 for none.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    shown: int = 0


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its first column to the left."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def render(parts: Iterable[str | Table]) -> str:
    """Paragraphs and tables, as a file."""
    texts = [part if isinstance(part, str) else grid(part.header, part.rows) for part in parts]
    return "\n\n".join(text for text in texts if text) + "\n"
