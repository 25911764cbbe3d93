"""Errors travel as fields, and a worker holds one object at a time."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from ragbench.base.cluster.host import VERSION, Failure, Hello, Host
from ragbench.base.errors import (
    BackendError,
    DataError,
    FilteredError,
    PrerequisiteError,
    RagbenchError,
)


class OutsideError(DataError):
    """An error of a package that the other side does not know."""


class Breaks:
    made = 0

    def __init__(self) -> None:
        Breaks.made += 1

    def ours(self) -> None:
        raise PrerequisiteError("no weights", where="models: m", fix="copy them")

    def bare(self) -> None:
        raise ValueError("a bad\nnumber")


class Other:
    def folder(self) -> str:
        return str(Path.cwd())


HERE = "tests.base.cluster.test_host"


@pytest.mark.parametrize("kind", [DataError, BackendError, FilteredError, RagbenchError])
def test_an_error_keeps_its_kind_and_fields(kind: type[RagbenchError]) -> None:
    sent = pickle.loads(pickle.dumps(Failure.of(kind("a", where="b", fix="c"))))
    error = sent.error()
    assert (type(error), error.what, error.where, error.fix) == (kind, "a", "b", "c")


def test_an_error_of_an_unknown_class_is_one_of_the_nearest_known() -> None:
    assert type(Failure.of(OutsideError("x")).error()) is DataError


def test_errors_in_a_method_are_returned() -> None:
    host = Host({}, address="10.0.0.9")
    assert host.call(f"{HERE}:Breaks.ours", ()) == Failure(
        "PrerequisiteError", "no weights", "models: m", "copy them"
    )
    assert host.call(f"{HERE}:Breaks.bare", ()) == Failure(
        "BackendError", "a worker on 10.0.0.9 failed: ValueError: a bad"
    )
    assert host.hello() == Hello(VERSION, "10.0.0.9", os.getpid())


def test_an_object_is_kept_until_another_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path.cwd())  # restored at the end
    monkeypatch.setenv("RAGBENCH_HOME", "elsewhere")
    host, before = Host({"RAGBENCH_HOME": str(tmp_path)}, str(tmp_path), "a"), Breaks.made
    assert os.environ["RAGBENCH_HOME"] == str(tmp_path)
    for method in ("Breaks.bare", "Breaks.bare", "Other.folder", "Breaks.bare"):
        found = host.call(f"{HERE}:{method}", ())
        if method == "Other.folder":
            assert found == str(tmp_path)
    assert Breaks.made - before == 2
