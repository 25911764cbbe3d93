"""The folder and manifest of a built corpus, and the protocol that both kinds of corpus meet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.corpora.build import build_corpus
from ragbench.corpora.corpus import (
    MANIFEST,
    CardFacts,
    Corpus,
    folder_of,
    is_built,
    manifest_of,
    other_content,
    rebuild_command,
    update_manifest,
)
from ragbench.corpora.open import open_corpus
from tests.unions import write_corpus

FACTS: CardFacts = {
    "title": "Notes",
    "description": "",
    "source": "",
    "licence": "CC0",
    "data_use": "restricted",
}


def test_the_folder_of_a_corpus_is_in_the_home(home: Path) -> None:
    assert folder_of("notes") == home / "corpora" / "notes"
    assert not is_built("notes")
    with pytest.raises(UsageError):
        folder_of("../notes")


def test_only_changed_facts_are_written(home: Path) -> None:
    write_corpus(home, "notes", ["a", "b"])
    corpus = build_corpus("notes")
    path = corpus.folder / MANIFEST
    digest = corpus.manifest.card_digest
    assert update_manifest(corpus, FACTS, digest)
    assert {key: json.loads(path.read_text())[key] for key in FACTS} == FACTS
    fresh = open_corpus("notes")
    assert fresh.manifest.data_use == "restricted"
    assert fresh.manifest.digest == corpus.manifest.digest
    before = path.stat().st_mtime_ns
    assert not update_manifest(fresh, FACTS, digest)
    assert path.stat().st_mtime_ns == before


def test_a_manifest_of_another_format_names_the_command_that_mends_it(home: Path) -> None:
    write_corpus(home, "notes", ["a"])
    path = build_corpus("notes").folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 0}))
    with pytest.raises(DataError, match="has format 0, not 1") as error:
        manifest_of(path.parent)
    assert error.value.fix == rebuild_command("notes") == "ragbench corpus build notes --replace"
    assert str(other_content("notes").fix).startswith("ragbench corpus build notes --replace, or")


def test_a_stored_corpus_and_a_union_meet_the_protocol(home: Path) -> None:
    write_corpus(home, "one", ["b", "a"])
    write_corpus(home, "two", ["a"])
    whole: Corpus = build_corpus("one--two")  # as mypy checks
    (one, two) = whole.members
    assert (one.name, two.name, one.members, two.members) == ("one", "two", (), ())
    assert [p.id for p in whole] == ["one/b", "one/a", "two/a"]
    assert whole.id_order.tolist() == [1, 0, 2]
    assert whole.id_rank.tolist() == [1, 0, 2]
