"""run.json: its format, its parts, and what is said of one that cannot be read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import AnsweredBy
from ragbench.runfolder.runfile import (
    FORMAT,
    Answerers,
    Session,
    parse_run_file,
    read_run_file,
    write_run_file,
)
from tests.runfolder.golden import LM_EVAL, MIRAGE, OWN


def test_what_a_run_says() -> None:
    run = read_run_file(OWN.run)
    assert (run.format, run.name) == (3, "own")
    assert run.started is not None and run.started.machine["platform"] == "Linux"
    assert run.identity.imported_from is None
    assert run.identity.packing == {"tokenizer": "smollm2"}
    assert list(run.identity.run_files or ()) == ["elsewhere"]
    for imported in (MIRAGE, LM_EVAL):
        assert len(read_run_file(imported.run).identity.imported_from or ()) == 2


def raw() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(OWN.run.read_text(encoding="utf-8"))
    return found


def test_another_format_is_refused() -> None:
    for value in ({}, raw() | {"format": 99}):
        with pytest.raises(DataError, match=f"the run has format (None|99), not 3, 4 or {FORMAT}"):
            parse_run_file(value, "runs/r")


def test_a_broken_field_is_named_by_its_place() -> None:
    value = raw()
    value["identity"]["tasks"]["facts"]["n"] = "two"
    with pytest.raises(DataError, match=r"run\.json .* unreadable 'identity\.tasks\.facts\.n'"):
        parse_run_file(value, "runs/r")
    del value["identity"]["tasks"]["facts"]["n"]
    with pytest.raises(DataError, match=r"missing 'identity\.tasks\.facts\.n'"):
        parse_run_file(value, "runs/r")


def test_a_run_without_its_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"run\.json"):
        read_run_file(tmp_path / "run.json")


def test_a_session_knows_when_and_with_what() -> None:
    session = Session.begin()
    assert session.at.endswith("+00:00")
    assert {"python", "ragbench"} <= session.versions.keys()
    assert set(session.machine) == {"platform", "processor"}


def test_what_answered_is_counted_and_an_empty_name_is_no_other_model() -> None:
    known = Answerers()
    news = []
    for model, fingerprint in (("a", "f"), ("", ""), ("a", "g"), ("b", "g"), ("a", "f")):
        said = AnsweredBy(model, fingerprint)
        news.append(known.news(said))
        known = known.with_answer(said)
    assert news == [
        "",
        "",
        "the fingerprint 'g', and before that only 'f'",
        "the model 'b', and before that only 'a'",
        "",
    ]
    assert known == Answerers(models={"a": 3, "b": 1}, fingerprints={"f": 2, "g": 2})
    assert known.sentence("m") == (
        "The answers of m are not all of one model: they name the models 'a' (3 answers), 'b' "
        "(1 answer) and the fingerprints 'f' (2 answers), 'g' (2 answers). Differences between "
        "arms or tasks may come from that."
    )
    assert Answerers(models={"a": 9}).sentence("m") == ""


def test_what_answered_is_kept_in_the_file(tmp_path: Path) -> None:
    run = read_run_file(OWN.run)
    assert run.answered_by is None
    said = {"m": Answerers(models={"a": 3}, fingerprints={})}
    write_run_file(tmp_path / "run.json", replace(run, answered_by=said))
    assert read_run_file(tmp_path / "run.json").answered_by == said
