"""What a command imports before it has anything to compute: importing torch alone takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SLOW = ("torch", "scipy", "cv2", "skimage", "matplotlib", "imageio")
PROBE = f"""
import json, sys
from dyntex.cli import main
try:
    main()
finally:
    print(json.dumps([name for name in {SLOW!r} if name in sys.modules]))
"""


def run(*words: str) -> tuple[str, list[str], int]:
    """What the command printed, which of the slow modules it had imported by its end, and its exit code."""
    done = subprocess.run([sys.executable, "-c", PROBE, *words], capture_output=True, text=True, check=False)
    *printed, imported = done.stdout.splitlines()
    return "\n".join(printed), json.loads(imported), done.returncode


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["sample", "--help"], ["synthesize", "--help"]])
def test_a_question_about_the_command_imports_nothing_slow(words: list[str]):
    printed, imported, code = run(*words)
    assert code == 0
    assert printed
    assert imported == []


def test_words_that_cannot_be_are_refused_before_anything_slow_is_imported():
    _, imported, code = run("sample", "model", "-o", "out.mp4", "--frames", "0")
    assert (imported, code) == ([], 2)


def test_the_version_is_that_of_the_torch_that_would_be_imported():
    import torch

    assert f"torch {torch.__version__}," in run("--version")[0]


def test_the_probe_sees_what_is_imported():
    assert "torch" in run("examples")[1]
