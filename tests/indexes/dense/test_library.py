"""A FAISS that cannot be loaded, or that another one was installed over."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from ragbench.base.errors import PrerequisiteError
from ragbench.indexes.dense import library
from tests.conftest import REPOSITORY

# What faiss-gpu 1.15 raises on import without CUDA's libraries.
NO_CUDA = (
    "faiss-gpu installed but nvidia-cuda-runtime-cu12 is missing — "
    "pip install 'nvidia-cuda-runtime-cu12>=12.6,<13'"
)


def write_package(site: Path, code: str, *distributions: str) -> None:
    """Write a package ``faiss`` with some code, and the notes of what installed it."""
    (site / "faiss").mkdir(parents=True)
    (site / "faiss" / "__init__.py").write_text(code, encoding="utf-8")
    for name in distributions:
        notes = site / f"{name.replace('-', '_')}-1.15.1.dist-info"
        notes.mkdir()
        text = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.15.1\n"
        (notes / "METADATA").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "what"),
    [
        (f"raise RuntimeError({NO_CUDA!r})", "nvidia-cuda-runtime-cu12 is missing"),
        ("raise ImportError('libcublas.so.12: cannot open')", "libcublas.so.12: cannot open"),
        ("raise SystemExit(1)", "no compiled part"),  # as FAISS's own loader ends
        ("", "no FAISS in it"),  # what pip leaves of two packages when it removes one
    ],
)
def test_a_faiss_that_cannot_be_loaded_is_a_missing_prerequisite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, what: str
) -> None:
    write_package(tmp_path, code, "faiss-gpu")
    for name in [name for name in sys.modules if name.partition(".")[0] == "faiss"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(PrerequisiteError, match=what) as caught:
        library.import_faiss()
    assert "pip uninstall -y" in caught.value.fix
    assert "pip install 'ragbench[gpu]'" in caught.value.fix
    sys.modules.pop("faiss", None)  # before the real one is put back


def test_two_packages_in_one_folder_are_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "version", {"faiss-cpu": "1.15.1"}.get)
    assert library.clash() is None
    assert library.remedy() == "pip uninstall -y faiss-cpu; pip install faiss-cpu"
    monkeypatch.undo()
    write_package(tmp_path, "", "faiss-cpu", "faiss-gpu")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert library.clash() == (
        "faiss-cpu 1.15.1 and faiss-gpu 1.15.1 are installed over each other, in one folder"
    )
    assert library.remedy().startswith("pip uninstall -y faiss-cpu faiss-gpu; pip install")


def test_without_any_package_the_remedy_installs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "version", lambda name: None)
    assert library.clash() is None
    assert library.remedy().startswith("pip install faiss-cpu, or 'ragbench[gpu]'")


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        (
            *("linux", "x86_64"),
            {
                *("faiss-gpu", "nvidia-cuda-runtime-cu12", "nvidia-cublas-cu12"),
                "nvidia-curand-cu12",
            },
        ),
        ("linux", "aarch64", {"faiss-cpu"}),
        ("darwin", "arm64", {"faiss-cpu"}),
        ("darwin", "x86_64", {"faiss-cpu"}),
        ("win32", "AMD64", {"faiss-cpu"}),
    ],
)
def test_the_gpu_extra_installs_one_faiss_everywhere(
    system: str, machine: str, expected: set[str]
) -> None:
    extras = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    lines = map(Requirement, extras["project"]["optional-dependencies"]["gpu"])
    place = {"sys_platform": system, "platform_machine": machine}
    taken = {one.name for one in lines if one.marker is None or one.marker.evaluate(place)}
    assert taken == expected
