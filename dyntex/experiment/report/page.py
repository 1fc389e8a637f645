"""The few pieces of HTML that a report is made of. Whatever is given as text is escaped."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import PIL.Image

from dyntex.media.footage import Image

POLICY = "default-src 'none'; img-src data: 'self'; media-src data: 'self'; style-src 'unsafe-inline'"
"""The page may show what is in it and beside it, and nothing of the network: a browser holds it to that."""


def page(title: str, body: Iterable[str], *, style: str) -> str:
    """A whole document."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def heading(text: str, *, level: int = 2) -> str:
    return f"<h{level}>{html.escape(text)}</h{level}>"


def paragraph(text: str, *, soft: bool = False) -> str:
    return f"<p{' class=soft' if soft else ''}>{html.escape(text)}</p>"


def code(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


def hidden(summary: str, *body: str) -> str:
    """Shown when it is clicked."""
    return f"<details><summary>{html.escape(summary)}</summary>{''.join(body)}</details>"


def table(rows: Iterable[Sequence[str]], *, head: Sequence[str] = ()) -> str:
    """Cells of text; the first of each row is its name."""
    top = f"<thead><tr>{''.join(f'<th>{html.escape(cell)}</th>' for cell in head)}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table>{top}<tbody>{body}</tbody></table></div>'


def pairs(values: Mapping[str, object]) -> str:
    """A table of names and values, without those that are None."""
    return table((name, str(value)) for name, value in values.items() if value is not None)


def figure(*media: str, caption: str) -> str:
    return f"<figure>{''.join(media)}<figcaption>{html.escape(caption)}</figcaption></figure>"


def image(source: str, *, alt: str, width: int | None = None) -> str:
    """An image by its address; a ``width``, in pixels of the page, is for one whose own pixels are to be seen."""
    return f'<img src="{html.escape(source)}" alt="{html.escape(alt)}"{_pixels(width)}>'


def video(source: str, *, width: int) -> str:
    """A silent video that plays at once, over and over."""
    return f'<video autoplay loop muted playsinline controls src="{html.escape(source)}"{_pixels(width)}></video>'


def _pixels(width: int | None) -> str:
    return "" if width is None else f' class="pixels" width="{width}"'


def data_uri(kind: str, content: bytes) -> str:
    """An address that is its own content; ``kind`` is the MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def png_uri(pixels: Image) -> str:
    """An ``(H, W, 3 or 4)`` uint8 image as an address."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, format="PNG", optimize=True)
    return data_uri("image/png", buffer.getvalue())


def file_uri(path: Path, kind: str, *, most: int, within: Path) -> str:
    """A file as an address: its content where it has at most ``most`` bytes, else its place relative to a folder."""
    if path.stat().st_size <= most:
        return data_uri(kind, path.read_bytes())
    return path.relative_to(within).as_posix()
