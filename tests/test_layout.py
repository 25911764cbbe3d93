"""The shape of the package: import direction, mirrored tests, light imports, the wheel."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ragbench"
GROUND = {
    "base",
    "errors",
    "files",
    "checksums",
    "compiled",
    "home",
    "yamlfile",
    "registry",
    "records",
    "progress",
    "provenance",
    "devices",
    "weights",
    "pairs",
}
# Each room may import itself and what is listed; every room may import the ground.
ROOMS: dict[str, set[str]] = {
    "corpora": set(),
    "indexes": {"corpora"},
    "models": set(),
    "tasks": {"corpora"},
    "metrics": {"corpora"},  # ontologies
    "experiment": {"corpora", "indexes", "models", "tasks", "metrics"},
    "analysis": set(),
    "report": {"analysis"},
}
HEAVY = {
    "numba",
    "torch",
    "transformers",
    "sentence_transformers",
    "faiss",
    "bm25s",
    "matplotlib",
    "pandas",
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the ragbench modules that a file imports, wherever in it, but for type checking."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.startswith("ragbench"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ragbench"):
            if node.module == "ragbench":
                yield from (f"ragbench.{name.name}" for name in node.names)
            else:
                yield str(node.module)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in ("api", "cli", "__main__", "__init__"):
        return
    allowed = GROUND | {"__version__"} | ({room} | ROOMS[room] if room in ROOMS else set())
    for module in imports(path):
        assert module.split(".")[1] in allowed, f"{path} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_every_module_has_its_test(path: Path) -> None:
    if path.name == "__init__.py":
        return
    relative = path.relative_to(PACKAGE)
    assert (ROOT / "tests" / relative.with_name(f"test_{relative.name}")).is_file()


def loaded_by(code: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after some code."""
    script = f"import sys\n{code}\nprint(' '.join({{m.partition('.')[0] for m in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split("\n")[-2].split())


def test_help_imports_nothing_heavy() -> None:
    code = "from ragbench.cli.main import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass"
    loaded = loaded_by(code)
    assert not loaded & (HEAVY | {"numpy", "pydantic", "yaml", "rich"})


def test_analysis_and_report_import_neither_torch_nor_faiss(finished_home: Path) -> None:
    run = finished_home / "runs" / "small"
    code = (
        "from pathlib import Path\n"
        "from ragbench.report.write import write_report\n"
        f"write_report(Path({str(run)!r}))"
    )
    assert not loaded_by(code) & {"torch", "faiss", "transformers", "sentence_transformers"}


def test_no_module_does_work_at_import() -> None:
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in MODULES
        if path.name not in ("__main__.py", "kernels.py")  # numba's, imported by functions
    ]
    loaded = loaded_by("\n".join(f"import {name}" for name in names))
    assert not loaded & (HEAVY - {"pandas"})


def test_wheel_carries_cards_recipes_and_configs(tmp_path: Path) -> None:
    subprocess.run(
        [
            *[sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"],
            *["-w", str(tmp_path), str(ROOT)],
        ],
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
        names = set(archive.namelist())
    for kind in ("corpora", "indexes", "configs"):
        for path in (ROOT / kind).glob("*.yaml"):
            assert f"ragbench/bundled/{kind}/{path.name}" in names
    assert not [n for n in names if n.endswith((".arrow", ".faiss")) or n.startswith("tests")]
    done = subprocess.run(
        [sys.executable, "-c", "from ragbench.base.home import bundled; print(bundled())"],
        env={"PYTHONPATH": str(tmp_path / "site"), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert Path(done.stdout.strip()) == tmp_path / "site" / "ragbench" / "bundled"
