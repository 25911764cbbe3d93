"""The Python API: light to import, typed, and the same as the commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import ragbench
from ragbench.corpora.corpus import Corpus
from tests.unions import write_texts

TEXTS = {
    "a": "fever and cough in winter",
    "b": "a rash without fever",
    "c": "broken bones",
}


@pytest.fixture
def notes(home: Path) -> Corpus:
    """A built corpus of three passages."""
    write_texts(home, "notes", TEXTS)
    return ragbench.open_corpus("notes", build=True)


def test_importing_the_package_imports_no_more_than_the_setting_of_threads() -> None:
    code = (
        "import sys; before = set(sys.modules); import ragbench; print(*set(sys.modules) - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    loaded = {name for name in done.stdout.split() if "." not in name}
    heavy = {"numpy", "pandas", "torch", "yaml", "pydantic", "click", "rich", "pyarrow"}
    assert "ragbench" in loaded
    assert not loaded & heavy
    assert {n for n in done.stdout.split() if n.startswith("ragbench")} == {
        "ragbench",
        "ragbench.base",
        "ragbench.base.devices",
        "ragbench.base.errors",
    }


def test_every_name_is_there_and_no_other() -> None:
    assert {"run", "load_run", "open_corpus", "build_index", "open_index"} < set(dir(ragbench))
    assert all(getattr(ragbench, name) for name in ragbench.__all__)
    with pytest.raises(AttributeError, match="no attribute 'open_korpus'"):
        ragbench.open_korpus  # type: ignore[attr-defined]  # noqa: B018


def test_a_corpus_is_opened_and_built_only_if_that_is_asked_for(home: Path) -> None:
    write_texts(home, "notes", TEXTS)
    with pytest.raises(ragbench.RagbenchError, match="'notes' is not built"):
        ragbench.open_corpus("notes")
    built = ragbench.open_corpus("notes", build=True)
    assert ragbench.open_corpus("notes").digest == built.digest
    assert [(p.id, p.text) for p in built] == list(TEXTS.items())


def test_hits_have_scores_and_lead_to_their_passages(notes: Corpus) -> None:
    index = ragbench.build_index("bm25", "notes")
    assert (index.name, index.manifest.recipe["kind"]) == ("bm25-notes", "bm25")
    assert repr(index) == "<ragbench index bm25-notes: 3 passages>"
    fever, nothing = index.search(["fever in winter", "zebra"], k=2)
    assert [hit.id for hit in fever] == ["a", "b"]  # one has both words, the other only one
    assert fever[0].score > fever[1].score > 0
    assert nothing == []
    first = fever[0]
    assert (first.doc_id, first.row, first.text, first.title) == ("a", 0, TEXTS["a"], "")
    assert first.passage == notes[0]
    assert [hit.id for hit in index.search(["fever"], k=1)[0]] == ["a"]  # equal scores: by id
    many = index.search(["fever in winter"] * 150, k=2)
    assert many == [fever] * 150


def test_an_index_is_built_once_and_opened_by_its_name(home: Path, notes: Corpus) -> None:
    made = ragbench.build_index("bm25", "notes", name="mine")
    manifest = home / "indexes" / "mine" / "manifest.json"
    before = manifest.stat().st_mtime_ns
    assert ragbench.build_index("bm25", "notes", name="mine").manifest == made.manifest
    assert manifest.stat().st_mtime_ns == before
    assert ragbench.open_index("mine").search(["rash"], k=1) == made.search(["rash"], k=1)
    with pytest.raises(ragbench.RagbenchError, match="built already, from another recipe"):
        ragbench.build_index("bm25-okapi", "notes", name="mine")
    replaced = ragbench.build_index("bm25-okapi", "notes", name="mine", replace=True)
    assert replaced.manifest.digest != made.manifest.digest


def test_one_text_is_one_query(notes: Corpus) -> None:
    index = ragbench.build_index("bm25", "notes")
    hits = index.search("fever in winter", k=2)
    assert [hit.id for hit in hits] == ["a", "b"]
    assert [hits] == index.search(["fever in winter"], k=2)
    assert index.search([]) == [] == index.search("zebra")
    with pytest.raises(ragbench.RagbenchError, match="a query is a text, not list"):
        index.search([["fever"]])  # type: ignore[list-item]
    with pytest.raises(ragbench.RagbenchError, match="k is 0"):
        index.search("fever", k=0)


@pytest.mark.parametrize(
    ("config", "what"),
    [
        ("no-such-config", "no config 'no-such-config'"),
        (Path("missing.yaml"), "cannot be read"),
        ({"name": "x"}, "the key 'models' is missing"),
        ({"name": "x", "seeds": 3}, "no key 'seeds'"),
        ({"name": Path("x")}, "the config holds a value that YAML cannot"),
    ],
)
def test_a_wrong_config_is_an_error_with_its_place(home: Path, config: Any, what: str) -> None:
    with pytest.raises(ragbench.RagbenchError, match=what):
        ragbench.run(config)


def test_a_run_by_path_and_by_mapping_is_that_of_the_command(run_copy: Path, home: Path) -> None:
    results = (run_copy / "results.csv").read_bytes()
    written = home / "small.yaml"
    for config in (written, yaml.safe_load(written.read_text(encoding="utf-8"))):
        (run_copy / "report.html").unlink()
        (run_copy / "results.csv").unlink()
        found = ragbench.run(config)
        assert found.path == run_copy
        assert (run_copy / "results.csv").read_bytes() == results
        assert (run_copy / "report.html").is_file()
        assert len(found.scores) == 50  # ten questions in five arms
        assert yaml.safe_load((run_copy / "config.yaml").read_text()) == yaml.safe_load(
            written.read_text()
        )
    with pytest.raises(ragbench.RagbenchError, match="seed"):
        ragbench.run(written, overrides=["seed=18"])
