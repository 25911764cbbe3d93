"""Building a union: its manifest, what is built first, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ragbench.base.errors import DataError, RagbenchError, UsageError
from ragbench.corpora import union_build
from ragbench.corpora.build import build_corpus
from ragbench.corpora.corpus import Member, is_built
from ragbench.corpora.open import open_corpus
from ragbench.corpora.union import Union
from tests.unions import write_corpus, write_union


@pytest.fixture
def members(home: Path) -> Path:
    write_corpus(home, "a", ["d1", "d2", "d3"], licence="CC0", source="ward A")
    write_corpus(home, "b", ["d1", "x"], licence="MIT", source="ward B", data_use="restricted")
    write_union(home, "all", ["b", "a"], title="Both wards", description="invented")
    return home


def test_the_manifest_joins_those_of_the_members(members: Path) -> None:
    union = build_corpus("all")
    assert is_built("a")
    assert is_built("b")
    a, b, facts = open_corpus("a").manifest, open_corpus("b").manifest, union.manifest
    assert (facts.n_passages, facts.n_docs) == (5, 5)
    assert facts.n_characters == a.n_characters + b.n_characters
    assert facts.members == [
        Member("b", b.digest, 2),
        Member("a", a.digest, 3),
    ]
    assert (facts.title, facts.description, facts.reader) == ("Both wards", "invented", "union")
    assert (facts.licence, facts.data_use) == ("b: MIT; a: CC0", "restricted")
    assert facts.source == "b: ward B; a: ward A"
    files = {path.name for path in (members / "corpora" / "all").iterdir()}
    assert files - {".verified.json"} == {"manifest.json", "id_order.npy", "id_rank.npy"}
    assert not list((members / "corpora").glob(".*.tmp"))


def test_what_members_passed_over_is_summed(home: Path) -> None:
    for name in ("a", "b"):
        lines = [{"id": "x", "text": "text"}, {"id": "y", "text": ""}]
        (home / "corpora").mkdir(exist_ok=True)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (home / "corpora" / f"{name}.jsonl").write_text(text, encoding="utf-8")
        card = {"reader": "jsonl", "path": f"{name}.jsonl", "options": {"skip_empty": True}}
        (home / "corpora" / f"{name}.yaml").write_text(json.dumps(card), encoding="utf-8")
    (reason,) = build_corpus("a").manifest.skipped
    assert build_corpus("a--b").manifest.skipped == {reason: 2}


def test_the_order_of_ids_is_written_in_steps(
    members: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = build_corpus("all")
    order, rank = np.array(whole.id_order), np.array(whole.id_rank)
    monkeypatch.setattr(union_build, "STEP_ROWS", 2)
    again = build_corpus("all", replace=True)
    assert np.array_equal(again.id_order, order)
    assert np.array_equal(again.id_rank, rank)


def test_built_again_it_is_the_same_with_new_words(members: Path) -> None:
    first = build_corpus("all")
    built_at = first.manifest.built_at
    write_union(members, "all", ["b", "a"], title="Two wards")
    again = build_corpus("all")
    assert (again.manifest.title, again.manifest.built_at) == ("Two wards", built_at)
    assert open_corpus("all").manifest.title == "Two wards"
    # A member whose source is gone can be used as it is.
    (members / "corpora" / "a.jsonl").unlink()
    assert build_corpus("all", replace=True).digest == first.digest


def test_other_members_are_another_union(members: Path) -> None:
    first = build_corpus("all")
    write_union(members, "all", ["a", "b"])
    with pytest.raises(DataError, match="built already, from another card"):
        build_corpus("all")
    assert open_corpus("all").digest == first.digest
    assert build_corpus("all", replace=True).digest != first.digest


def test_a_plain_corpus_and_a_union_replace_each_other_when_told_to(members: Path) -> None:
    build_corpus("all")
    write_corpus(members, "all", ["q"])
    with pytest.raises(DataError, match="the built corpus is damaged"):
        build_corpus("all")
    assert not isinstance(build_corpus("all", replace=True), Union)
    write_union(members, "all", ["a", "b"])
    with pytest.raises(DataError, match="built already"):
        build_corpus("all")
    assert isinstance(build_corpus("all", replace=True), Union)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"corpora": ["a"]}, "at least 2"),
        ({"corpora": ["a", "a"]}, "appears twice"),
        ({"corpora": ["a", "zz"]}, "there is no corpus 'zz'"),
        ({"corpora": ["a", "../b"]}, "a name has only letters"),
        ({"corpora": ["a", "all"]}, "'all' is itself a union"),
        ({"corpora": ["a", "inner"]}, "'inner' is itself a union"),
        ({"corpora": ["a", "a--b"]}, "'a--b' is itself a union"),
        ({"path": "a.jsonl"}, "a union has no path"),
        ({"chunking": {"chunker": "sentences", "size": 9}}, "has a chunking of its own"),
        ({"duplicates": {"exact": "drop"}}, "has a duplicates of its own"),
        ({"licence": "CC0"}, "has a licence of its own"),
        ({"options": {"corpora": ["a", "b"], "quota": 3}}, "no key 'quota'"),
    ],
)
def test_a_wrong_card_is_refused_and_nothing_built(
    members: Path, keys: dict[str, object], what: str
) -> None:
    write_union(members, "inner", ["a", "b"])
    corpora = keys.pop("corpora", ["a", "b"])
    assert isinstance(corpora, list)
    write_union(members, "all", corpora, **keys)
    with pytest.raises(RagbenchError, match=what):
        build_corpus("all")
    assert not is_built("all")
    assert not is_built("a")


def test_a_union_that_is_built_is_no_member_either(members: Path) -> None:
    build_corpus("all")
    write_union(members, "more", ["a", "all"])
    with pytest.raises(UsageError, match="'all' is itself a union") as caught:
        build_corpus("more")
    assert caught.value.fix == "name the corpora of 'all' in its place"


def test_a_member_that_cannot_be_built_leaves_no_union(members: Path) -> None:
    (members / "corpora" / "b.jsonl").write_text('{"id": "x"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="text"):
        build_corpus("all")
    assert not (members / "corpora" / "all").exists()
