"""What a command imports before it has anything to compute: importing torch alone takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import PRESETS
from dyntex.coopnets.state import TrainState

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


READ = """
import json, sys
from pathlib import Path
import torch
from dyntex.coopnets.model import CoopNets
CoopNets.load(Path(sys.argv[1]))
print(json.dumps("torch._dynamo" in sys.modules))
"""


@pytest.mark.parametrize("preset", ["fast", "paper-st"])
def test_reading_a_model_loads_no_compiler(preset: str, tmp_path: Path):
    """Shapes alone go through decompositions that import torch's compiler, two seconds before the first frame."""
    config = PRESETS[preset].replaced(iterations=1, n_steps=0)
    clip = Clip(torch.rand(3, 24, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1, Fraction(25))
    y, rng = clip.video[None], torch.Generator().manual_seed(0)
    CoopNets.from_state(TrainState(config, y, rng=rng), clip).save(tmp_path / "model")
    done = subprocess.run([sys.executable, "-c", READ, tmp_path / "model"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) is False
