"""Opening by name: the right kind of corpus, and what to do where there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.corpora.build import build_corpus
from ragbench.corpora.open import open_corpus
from ragbench.corpora.store import StoredCorpus
from ragbench.corpora.union import Union
from tests.unions import write_corpus


def test_a_name_opens_a_stored_corpus_or_a_union(home: Path) -> None:
    for name in ("one", "two"):
        write_corpus(home, name, ["a"])
    build_corpus("one--two")
    assert isinstance(open_corpus("one"), StoredCorpus)
    assert isinstance(open_corpus("one--two"), Union)


def test_what_is_not_built_names_its_command(home: Path) -> None:
    write_corpus(home, "one", ["a"])
    for name in ("one", "one--two"):
        with pytest.raises(DataError, match=f"the corpus '{name}' is not built") as error:
            open_corpus(name)
        assert error.value.fix == f"ragbench corpus build {name}"
    with pytest.raises(UsageError, match="three"):
        open_corpus("three")


def test_damage_is_found_unless_nothing_is_checked(home: Path) -> None:
    write_corpus(home, "one", ["a"])
    path = build_corpus("one").folder / "passages.arrow"
    path.write_bytes(path.read_bytes().replace(b"a of one", b"x of one"))
    with pytest.raises(DataError, match=r"passages\.arrow"):
        open_corpus("one")
    assert open_corpus("one", is_checked=False).name == "one"
