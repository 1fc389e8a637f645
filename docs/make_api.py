"""Write docs/api.md, the reference of ``import dyntex``, from the docstrings: ``make docs``."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from pathlib import Path

from griffe2md import load_config, render_package_docs

HEAD = """# Python API

Made by `make docs` from the docstrings; do not edit. `import dyntex` gives every name below, and imports nothing until
one is used. Notation: B batch, C colour, T frames, HxW pixels, K condition channels. A clip's values lie in [-1, 1].

Options and keywords share their names: what an error message calls `--clip-frames` is `clip_frames` here.

"""


def folded(code: re.Match[str]) -> str:
    """A long signature on several lines."""
    return textwrap.fill(code[0], 110, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def api() -> str:
    """The page."""
    # griffe2md formats signatures with ruff, which it looks for by name.
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    page = render_package_docs("dyntex", load_config())
    page = re.sub(r":(?:func|meth|class|data|mod):`~?([^`]*)`", r"`\1`", page)  # reST's roles
    page = re.sub(r"\[([^\[\]]*)\]\(#[^)]*\)", r"\1", page)  # links to headings that the page does not have
    page = re.sub(r"(?<!`)``(?!`)", "`", page)
    page = re.sub(r"(?<=```python\n)(.*)", folded, page)
    return HEAD + page[page.index("### ") :]


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/api.md").write_text(api(), encoding="utf-8")
