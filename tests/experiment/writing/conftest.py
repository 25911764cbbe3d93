"""A finished run with writers, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.conftest import made_once
from tests.experiment.writing.cases import make_cases, run_cases


def finished(folder: Path) -> None:
    """Fill a home with the cases and run their config to its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(folder))
        run_cases(make_cases(folder), report=True)


@pytest.fixture(scope="session")
def written_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where the config of the cases has run to its end; read it, do not change it."""
    return made_once(tmp_path_factory, "written", finished)


@pytest.fixture
def written_run(written_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The finished run; read it, do not change it."""
    monkeypatch.setenv("RAGBENCH_HOME", str(written_home))
    return written_home / "runs" / "written"


@pytest.fixture
def written_copy(written_home: Path, home: Path) -> Path:
    """A private home with a copy of the finished run; returns the run folder."""
    shutil.copytree(written_home, home, dirs_exist_ok=True)
    return home / "runs" / "written"
