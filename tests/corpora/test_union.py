"""A union against a plain list of its members' passages in memory."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from itertools import chain, product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragbench.base.errors import DataError, RagbenchError, UsageError
from ragbench.base.records import Passage
from ragbench.corpora.build import build_corpus
from ragbench.corpora.open import open_corpus
from ragbench.corpora.union import Union, check_members, joined_name, split_name, union_digest
from tests.manifests import edit
from tests.unions import write_corpus, write_union

Members = Mapping[str, Sequence[str]]
# Of these names one begins with another, and "-" and "." stand before "/", "0" and "z" after it.
NAMES = ("a", "a-b", "a.b", "a0", "az", "b")
letters = st.sampled_from("aAz09._-/#é糖\uffee\U0001f9ec")
identifiers = st.lists(st.text(letters, min_size=1, max_size=3), unique=True, min_size=1)
unions = st.lists(st.sampled_from(NAMES), unique=True, min_size=2, max_size=4).flatmap(
    lambda names: st.fixed_dictionaries({name: identifiers for name in names})
)


def built_union(home: Path, members: Members) -> Union:
    """Write and build a union named ``all``."""
    for name, ids in members.items():
        write_corpus(home, name, ids)
    write_union(home, "all", list(members))
    built = build_corpus("all")
    assert isinstance(built, Union)
    return built


@given(members=unions, others=st.lists(st.text(letters, max_size=4), max_size=5))
@settings(max_examples=15)
def test_a_union_is_its_members_after_each_other(members: Members, others: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", folder)
        union = built_union(Path(folder), members)
        expected = [
            Passage(f"{name}/{i}", f"{name}/{i}", name.upper(), f"{i} of {name}", {})
            for name, ids in members.items()
            for i in ids
        ]
        assert list(union) == [union[row] for row in range(len(union))] == expected
        ids = [passage.id for passage in expected]
        assert len(set(ids)) == len(union) == union.manifest.n_passages == union.manifest.n_docs
        assert [row[:2] for row in union.rows()] == [(i, i) for i in ids]
        batches = [
            row for b in union.batches() for row in zip(*b.to_pydict().values(), strict=True)
        ]
        assert batches == list(union.rows())
        for start, stop in product(range(len(ids) + 1), repeat=2):
            some = [b.column("id").to_pylist() for b in union.batches(start, stop)]
            assert list(chain(*some)) == ids[start:stop]
        rows = np.random.default_rng(0).integers(len(ids), size=9)
        assert union.ids_of(rows) == [(ids[row], ids[row]) for row in rows]
        by_code_point = sorted(ids, key=lambda text: [ord(c) for c in text])
        assert [ids[row] for row in union.id_order] == by_code_point
        assert [by_code_point[rank] for rank in union.id_rank] == ids
        for written in [*ids, *others, *(f"{n}/{o}" for n in (*members, "zz") for o in others)]:
            row = ids.index(written) if written in ids else None
            assert union.find(written) == row
            assert union.rows_of_doc(written) == ([] if row is None else [row])
        start = 0
        for name, of_member in members.items():
            assert union.ranges[name] == range(start, start + len(of_member))
            start += len(of_member)


@given(members=unions)
@settings(max_examples=15)
def test_an_id_without_its_corpus_is_matched_where_one_member_holds_it(members: Members) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", folder)
        union = built_union(Path(folder), members)
        full = [f"{name}/{i}" for name, ids in members.items() for i in ids]
        for identifier in {i for ids in members.values() for i in ids}:
            holders = [name for name, ids in members.items() if identifier in ids]
            if identifier in full:  # it is also the whole id of another passage
                assert union.match(identifier) == full.index(identifier)
            elif len(holders) == 1:
                assert union.match(identifier) == full.index(f"{holders[0]}/{identifier}")
            else:
                with pytest.raises(DataError, match="is in several corpora") as caught:
                    union.match(identifier)
                assert caught.value.fix == f"say which is meant: {holders[0]}/{identifier}"
                for name in holders:
                    row = full.index(f"{name}/{identifier}")
                    assert union.match(f"{name}/{identifier}") == row
                    assert union.match(identifier, prefer=name) == row
                    assert union.match_doc(identifier, prefer=name) == [row]
        assert union.match("nothing of this name") is None
        assert union.match_doc("nothing of this name") == []


@pytest.fixture
def letters_home(home: Path) -> Path:
    """Two members of cut documents of the same ids, and one of a whole document."""
    (home / "corpora").mkdir()
    text = "First sentence here. Second sentence here. Third sentence here."
    for name in ("ward", "clinic"):
        lines = [{"id": f"d{n}", "text": f"{name}. {text}"} for n in range(2)]
        lines += [{"id": f"only-{name}", "text": text}]
        (home / "corpora" / f"{name}.jsonl").write_text(
            "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
        )
        card = {
            "reader": "jsonl",
            "path": f"{name}.jsonl",
            "chunking": {"chunker": "sentences", "size": 40},
        }
        (home / "corpora" / f"{name}.yaml").write_text(json.dumps(card), encoding="utf-8")
    write_corpus(home, "whole", ["d9"])
    write_union(home, "all", ["ward", "whole", "clinic"])
    return home


def test_documents_of_several_passages(letters_home: Path) -> None:
    union = build_corpus("all")
    of_ward = [row for row, p in enumerate(union) if p.doc_id == "ward/d1"]
    of_clinic = [row for row, p in enumerate(union) if p.doc_id == "clinic/d1"]
    assert len(of_ward) > 1
    assert union.rows_of_doc("ward/d1") == of_ward
    assert union.rows_of_doc("clinic/d1") == of_clinic
    assert union.rows_of_doc("d1") == []
    assert union.match_doc("d9") == union.rows_of_doc("whole/d9")
    assert union.match_doc("only-clinic") == union.rows_of_doc("clinic/only-clinic") != []
    with pytest.raises(DataError, match=r"several corpora of the union 'all': ward, clinic"):
        union.match_doc("d1")
    assert union.match_doc("d1", prefer="clinic") == of_clinic
    assert union.ids_of(of_clinic) == [(union[row].id, "clinic/d1") for row in of_clinic]


@pytest.fixture
def two(home: Path) -> Union:
    """A union of five and of three passages."""
    return built_union(home, {"a": [f"d{n}" for n in range(5)], "b": ["d0", "x", "y"]})


@pytest.mark.parametrize("row", [-1, 8, 10**9])
def test_a_row_outside_is_an_index_error(two: Union, row: int) -> None:
    with pytest.raises(IndexError, match=f"row {row} of 8 passages"):
        two[row]
    with pytest.raises(IndexError):
        two.ids_of([0, row])
    assert two.ids_of([]) == []


def test_opening_and_fetching_copy_no_passages(home: Path) -> None:
    big = {name: [f"{n}-" + "x" * 500 for n in range(3000)] for name in ("a", "b")}
    built_union(home, big)
    before = pa.total_allocated_bytes()
    union = open_corpus("all")
    assert union[5999].id == f"b/{big['b'][2999]}"
    assert union.find(f"b/{big['b'][7]}") == 3007
    assert union.ids_of([3000])[0][0] == f"b/{big['b'][0]}"
    assert pa.total_allocated_bytes() - before < 100_000
    size = sum(path.stat().st_size for path in (home / "corpora" / "all").iterdir())
    assert size < 6000 * 17 + 5000  # two numbers a passage


# -- opening what has changed ------------------------------------------------------------------


def test_a_member_that_has_changed_is_refused(home: Path, two: Union) -> None:
    was = two.digest
    write_corpus(home, "b", ["d0", "x", "z"])
    build_corpus("b", replace=True)
    for call in (open_corpus, build_corpus):
        with pytest.raises(DataError, match="'b', a member of the union 'all', has") as caught:
            call("all")
        assert caught.value.fix == "build it again: ragbench corpus build all --replace"
    assert build_corpus("all", replace=True).digest != was
    assert open_corpus("all").find("b/z") == 7


def test_a_member_that_is_gone_is_named(home: Path, two: Union) -> None:
    (home / "corpora" / "b" / "manifest.json").unlink()
    with pytest.raises(DataError, match="'b', a member of the union 'all', is not built") as caught:
        open_corpus("all")
    assert "ragbench corpus build b" in caught.value.fix


MEMBER = {"digest": "", "n_passages": 1}


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"digest": "0" * 64}, "its digest is not that of its members"),
        ({"members": [{"name": "a"}]}, "the manifest is invalid: members.0.digest"),
        ({"members": ["a"]}, "the manifest is invalid"),
        ({"members": 7}, "the manifest is invalid"),
        (
            {"members": [{"name": "../b", "digest": "", "n_passages": 1}]},
            "cannot be the name of a corpus",
        ),
        ({"members": [{"name": "all", "digest": "", "n_passages": 1}]}, "'all' is itself a union"),
    ],
)
def test_a_wrong_manifest_is_an_error(
    home: Path, two: Union, values: dict[str, object], what: str
) -> None:
    edit(two.folder / "manifest.json", **values)
    with pytest.raises(RagbenchError, match=what):
        open_corpus("all")


@pytest.mark.parametrize("file", ["id_order.npy", "id_rank.npy"])
def test_a_lost_order_is_an_error_with_the_way_out(two: Union, file: str) -> None:
    (two.folder / file).unlink()
    with pytest.raises(DataError, match="damaged") as caught:
        open_corpus("all")
    assert caught.value.fix == "ragbench corpus build all --replace"


def test_terms_are_the_strictest_and_follow_the_members(home: Path) -> None:
    write_corpus(home, "a", ["x"], licence="CC0")
    write_corpus(home, "b", ["x"], licence="CC0")
    write_union(home, "all", ["a", "b"])
    union = build_corpus("all").manifest
    assert (union.licence, union.data_use) == ("CC0", "open")
    write_corpus(home, "b", ["x"], licence="agreed", data_use="restricted")
    build_corpus("b")  # the same passages under other terms
    union = open_corpus("all").manifest
    assert (union.licence, union.data_use) == ("a: CC0; b: agreed", "restricted")


# -- names -------------------------------------------------------------------------------------

parts = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,7}", fullmatch=True)


@given(names=st.lists(parts, unique=True, min_size=1, max_size=4))
def test_a_joined_name_tells_its_corpora_or_is_refused(names: list[str]) -> None:
    try:
        joined = joined_name(names)
    except ValueError:
        return
    assert split_name(joined) == tuple(names) or names == [joined]


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["a", "a"], "appears twice"),
        (["a", "../b"], "a name has only letters"),
        (["a--b", "c"], "does not show its corpora"),
        (["a-", "b"], "does not show its corpora"),
        (["a" * 60, "b" * 60], "100 characters"),
    ],
)
def test_a_wrong_list_is_refused(names: list[str], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        joined_name(names)


def test_names_that_are_of_no_union() -> None:
    assert joined_name(["a"]) == "a"
    assert joined_name(["a-b", "c.d"]) == "a-b--c.d"
    assert [split_name(n) for n in ("a", "a-b", "--a", "a--", "a--b/c")] == [()] * 5
    assert check_members(["b", "a"]) == ("b", "a")


def test_the_digest_is_that_of_names_and_digests_in_order() -> None:
    pairs = [("a", "1"), ("b", "2")]
    others = [pairs[::-1], pairs[:1], [("a", "2"), ("b", "1")], [("c", "1"), ("b", "2")], []]
    digests = {union_digest(some) for some in [pairs, *others]}
    assert len(digests) == 6
    assert union_digest(pairs) in digests


def test_a_union_without_a_card(home: Path) -> None:
    write_corpus(home, "a", ["x"])
    write_corpus(home, "b", ["x"])
    with pytest.raises(DataError, match="'a--b' is not built") as caught:
        open_corpus("a--b")
    assert caught.value.fix == "ragbench corpus build a--b"
    built = build_corpus("a--b")
    assert [p.id for p in built] == ["a/x", "b/x"]
    assert build_corpus("a--b").digest == open_corpus("a--b").digest == built.digest
    with pytest.raises(UsageError, match="no corpus 'zz'"):
        build_corpus("a--zz")
