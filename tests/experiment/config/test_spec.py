"""Arms as a config writes them: names, lists of k, and what makes no sense."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.experiment.config.spec import ArmSpec, IndexSpec


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        ("closed-book", ["closed-book"]),
        ({"retriever": "bm25", "k": 5}, ["bm25-5"]),
        ({"retriever": "bm25", "k": [1, 3]}, ["bm25-1", "bm25-3"]),
        ({"name": "lex", "retriever": "bm25", "k": [1, 3]}, ["lex-1", "lex-3"]),
        ({"name": "lex", "retriever": "bm25", "k": 3}, ["lex"]),
        ({"fuse": ["bm25", "dense"], "k": 5}, ["bm25-dense-5"]),
        ({"run_file": "a.trec", "k": 5}, ["run-file-5"]),
        ({"control": "oracle", "like": "bm25-5"}, ["oracle-bm25-5"]),
    ],
)
def test_names(entry: Any, names: list[str]) -> None:
    arms = ArmSpec.model_validate(entry).each()
    assert [arm.name for arm in arms] == names
    assert all(not isinstance(arm.k, tuple) for arm in arms)


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"name": "x"}, "an arm is"),
        ({"retriever": "a", "fuse": ["a", "b"], "k": 1}, "give one of"),
        ({"retriever": "a"}, "needs `k`"),
        ({"retriever": "a", "k": []}, "k is a number"),
        ({"retriever": "a", "k": [1, 1]}, "k is a number"),
        ({"retriever": "a", "k": 0}, "k is a number"),
        ({"retriever": "a", "k": 1001}, "k is a number"),
        ({"fuse": ["a"], "k": 1}, "two or more"),
        ({"fuse": ["a", "a"], "k": 1}, "two or more"),
        ({"fuse": ["a", "b"], "k": 20, "depth": 10}, "larger than the `depth`"),
        ({"control": "oracle"}, "needs `like"),
        ({"control": "oracle", "like": "a", "k": 2}, "needs `k`"),
        ({"retriever": "a", "k": 1, "like": "b"}, "needs `like"),
        ({"retriever": "a", "k": 1, "fill": "retrieved"}, "`fill` has no effect"),
        ({"retriever": "a", "k": 1, "corpus": "c"}, "`corpus` has no effect"),
        ({"retriever": "a", "k": 1, "k0": 3}, "`k0` has no effect"),
        ({"control": "shuffled", "like": "a", "order": "best-last"}, "`order` has no effect"),
        ({"name": "closed-book", "retriever": "a", "k": 1}, "without passages"),
    ],
)
def test_what_makes_no_sense_is_refused(entry: dict[str, Any], what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        ArmSpec.model_validate(entry)


@pytest.mark.parametrize(
    ("corpus", "name"),
    [("icd10cm", "icd10cm"), (["a", "b"], "a--b"), (["b", "a"], "b--a"), (["a"], "a")],
)
def test_a_list_of_corpora_is_their_union(corpus: object, name: str) -> None:
    assert IndexSpec.model_validate({"recipe": "bm25", "corpus": corpus}).corpus == name
    arm = ArmSpec.model_validate({"run_file": "a.trec", "k": 5, "corpus": corpus})
    assert arm.corpus == name


@pytest.mark.parametrize(
    ("corpus", "what"),
    [
        (["a", "task"], "differs between tasks"),
        (["a", "a"], "appears twice"),
        ([], "a name has only letters"),
        (["a", 7], "contains names only"),
        (["a--b", "c"], "does not show its corpora"),
        (7, "valid string"),
    ],
)
def test_a_wrong_list_of_corpora_is_refused(corpus: object, what: str) -> None:
    with pytest.raises(ValidationError, match=what):
        IndexSpec.model_validate({"recipe": "bm25", "corpus": corpus})
