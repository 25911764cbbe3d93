"""Provenance: versions, machine, time and the state of the checkout."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ragbench
from ragbench.base import provenance
from ragbench.base.provenance import git_state, machine, now, version, versions


def test_version_is_that_of_the_installed_distribution() -> None:
    assert version("numpy") == importlib.metadata.version("numpy")
    assert version("no-such-distribution") is None


def test_versions_name_python_and_only_what_is_installed() -> None:
    found = versions()
    assert found["python"] == platform.python_version()
    assert found["ragbench"] == ragbench.__version__
    installed = {re.sub("[-_.]+", "-", d.name).lower() for d in importlib.metadata.distributions()}
    expected = {p for p in provenance.PACKAGES if p.lower() in installed}
    assert set(found) == expected | {"python"}


def test_now_is_utc_to_the_second() -> None:
    stamp = datetime.fromisoformat(now())
    assert stamp.utcoffset() == timedelta(0)
    assert stamp.microsecond == 0
    assert abs(datetime.now(UTC) - stamp) < timedelta(seconds=5)


def test_machine_names_platform_and_processor() -> None:
    facts = machine()
    assert facts["platform"] == platform.platform()
    assert facts["processor"]


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def state_of(root: Path) -> str:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from ragbench.base.provenance import git_state; print(git_state())",
        ],
        env={"PYTHONPATH": str(root), "PATH": os.environ["PATH"]},
        cwd=root.parent,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_git_state_follows_the_checkout_of_the_package(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    source = Path(provenance.__file__).parents[1]
    (root / "ragbench" / "base").mkdir(parents=True)
    for path in (source / "__init__.py", *(source / "base").glob("*.py")):
        shutil.copy(path, root / "ragbench" / path.relative_to(source))
    (root / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    assert state_of(root) == "None"
    git(root, "init", "-q")
    assert state_of(root) == "None"  # no commit yet
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first", "--no-verify")
    commit = git(root, "rev-parse", "HEAD")
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert state_of(root) == str({"commit": commit, "state": "clean"})
    (root / "new.txt").touch()
    assert state_of(root) == str({"commit": commit, "state": "modified"})


def test_git_state_of_this_checkout() -> None:
    root = Path(provenance.__file__).parents[2]
    if not (root / ".git").exists():
        assert git_state() is None
        return
    state = git_state()
    assert state is not None
    assert state["commit"] == git(root, "rev-parse", "HEAD")
