"""The wheel and the sdist as a stranger meets them: built, checked, installed alone, used far from the repository.

``DYNTEX_PYTHONS="python3.12 python3.13" make dist-check`` installs the wheel under those interpreters instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("baselines", "benchmarks", "dyntex")
PYTHONS = os.environ.get("DYNTEX_PYTHONS", sys.executable).split()
INSTALL = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", ROOT / "constraints.txt")

pytestmark = pytest.mark.slow


def run(*words: str | Path, cwd: Path = ROOT, code: int = 0) -> str:
    """What a command printed; its environment does not lead to the repository."""
    lead = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONSTARTUP")
    env = {key: value for key, value in os.environ.items() if key not in lead}
    done = subprocess.run([*words], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code, f"{words} ended with {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def sources() -> set[str]:
    """Every file that the packages consist of, by its place in the wheel."""
    files = set()
    for folder in FOLDERS:
        inside = "" if folder == "dyntex" else "dyntex/"
        files |= {
            f"{inside}{path.relative_to(ROOT).as_posix()}"
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
    return files


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    assert sorted(path.suffix for path in folder.iterdir()) == [".gz", ".whl"]
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    return next(dist.glob("*.whl"))


def test_the_metadata_and_the_readme_are_fit_for_an_index(dist: Path):
    printed = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *sorted(dist.iterdir()))
    assert printed.count("PASSED") == 2


def test_the_wheel_installs_dyntex_and_no_other_name(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"dyntex"}
    assert {name for name in names if ".dist-info/" not in name} == sources()


def test_the_wheel_of_a_checkout_is_that_of_the_sdist(wheel: Path, tmp_path: Path):
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path, ROOT)
    direct = next(tmp_path.glob("*.whl"))
    assert sorted(zipfile.ZipFile(direct).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_the_sdist_has_the_repositorys_folders(dist: Path):
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {name.removeprefix("dyntex/") for name in sources() if name.startswith("dyntex/b")} <= names
    assert {"tests/test_wheel.py", "constraints.txt", "Makefile", "LICENSE", "README.md"} <= names
    assert not [name for name in names if name.startswith(("dyntex/baselines", "dyntex/benchmarks"))]  # once


@pytest.mark.parametrize("interpreter", PYTHONS)
def test_the_wheel_alone_makes_the_demo_and_its_extras_add_to_it(interpreter: str, wheel: Path, tmp_path: Path):
    assert shutil.which(interpreter), f"DYNTEX_PYTHONS names {interpreter}, which is not installed"
    run(interpreter, "-m", "venv", tmp_path / "env")
    python, dyntex = tmp_path / "env/bin/python", tmp_path / "env/bin/dyntex"
    run(python, *INSTALL, wheel)

    # Modules that share a name with the repository's folders are the user's own.
    (tmp_path / "baselines.py").write_text("MINE = True\n")
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "__init__.py").write_text("MINE = True\n")
    own = "import baselines, benchmarks, dyntex; print(baselines.MINE, benchmarks.MINE, sorted(dyntex.METHODS))"
    assert "True True ['coop'" in run(python, "-c", own, cwd=tmp_path)
    assert "site-packages" in run(python, "-c", "import dyntex.benchmarks as b; print(b.__file__)", cwd=tmp_path)

    demo = ("synthesize", "example:flame", "-o", "flame.mp4", "--size", "64", "--budget", "20", "--seed", "1")
    assert "flame.mp4" in run(dyntex, *demo, cwd=tmp_path)
    assert (tmp_path / "flame.mp4").stat().st_size > 1000
    assert (tmp_path / "flame.run" / "report.html").is_file()
    frames = "import dyntex; print(dyntex.read_clip('flame.mp4').video.shape)"
    assert "[3, 64, 64, 64]" in run(python, "-c", frames, cwd=tmp_path)
    bench = ("benchmark", "statistics", "--clips", "example:ripples", "--methods", "lds", "--quick", "-o", "results")
    run(dyntex, *bench, cwd=tmp_path)
    assert (tmp_path / "results" / "report.html").is_file()

    # Without an extra: the documented exit code and its name. With it: the same words work.
    (tmp_path / "set").mkdir()
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(tmp_path / "flame.mp4", tmp_path / "set" / name)
    (tmp_path / "captions.csv").write_text("file,caption\na.mp4,a tall flame\nb.mp4,a calm river\n")
    text = ("train", "set", "--captions", "captions.csv", "--iterations", "1", "-o", "text.model", "--quiet")
    assert "[text]" in run(dyntex, *text, cwd=tmp_path, code=6)
    assert "[cluster]" in run(dyntex, *bench, "--scheduler", "local:1", cwd=tmp_path, code=6)
    run(python, *INSTALL, f"{wheel}[text,cluster,ui]")
    run(dyntex, *text, cwd=tmp_path)
    assert "dashboard: http://127.0.0.1" in run(dyntex, *bench, "--scheduler", "local:1", cwd=tmp_path)
    run(python, "-c", "import starlette, uvicorn, dyntex.ui", cwd=tmp_path)
    assert "flame" in run(python, "-m", "dyntex", "examples", cwd=tmp_path)
