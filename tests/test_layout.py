"""The shape of the package: import direction, mirrored tests, light imports, the wheel."""

from __future__ import annotations

import runpy
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ragbench"
# Each room may import itself and what is listed; every room may import `base`.
ROOMS: dict[str, set[str]] = {
    "base": set(),
    "runfolder": set(),
    "corpora": set(),
    "indexes": {"corpora"},
    "models": {"runfolder"},
    "tasks": {"corpora"},
    "metrics": {"corpora"},  # ontologies
    "experiment": {"runfolder", "corpora", "indexes", "models", "tasks", "metrics"},
    "analysis": {"runfolder"},
    "report": {"runfolder", "analysis"},
}
HEAVY = {
    "numba",
    "torch",
    "transformers",
    "sentence_transformers",
    "faiss",
    "bm25s",
    "typst",
    "pandas",
}
MODULES = sorted(PACKAGE.rglob("*.py"))


FOLDERS = sorted({path.parent for path in MODULES})
MOST_MODULES, MOST_LINES = 14, 400
rooms = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "rooms.py")))
GRAPH = rooms.file_graph(ROOT)


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def test_no_files_import_each_other_in_a_circle() -> None:
    assert rooms.circles(GRAPH) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_no_rooms_import_each_other_in_a_circle(folder: Path) -> None:
    assert rooms.circles(rooms.room_graph(GRAPH, name_of(folder))) == []


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_folder_can_be_taken_in_at_a_glance(folder: Path) -> None:
    names = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(names) <= MOST_MODULES, names


def test_no_module_is_too_long_to_read() -> None:
    sizes = {name_of(path): rooms.lines_of([path]) for path in MODULES}
    assert {name: n for name, n in sizes.items() if n > MOST_LINES} == {}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_down(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in ("api", "cli", "__main__", "__init__"):
        return
    allowed = {"__init__", "base", room} | ROOMS[room]
    for module in GRAPH[name_of(path)]:
        assert rooms.room_of(module) in allowed, f"{path} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
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
        name_of(path)
        for path in MODULES
        # The last two are compiled by numba, and imported by functions.
        if path.name not in ("__main__.py", "kernels.py", "splitting.py")
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
