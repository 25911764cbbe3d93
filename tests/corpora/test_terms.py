"""Whether a corpus is restricted: by whichever of card, manifest and members says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.corpora.build import build_corpus
from ragbench.corpora.open import open_corpus
from ragbench.corpora.terms import is_restricted, is_restricted_name
from tests.unions import write_corpus, write_union


def test_a_card_a_manifest_or_a_member_restricts(home: Path) -> None:
    for name in ("a", "b"):
        write_corpus(home, name, ["d1"])
    write_union(home, "u", ["a", "b"])
    assert not any(map(is_restricted_name, ("a", "u", "a--b")))  # from the cards
    build_corpus("u")
    assert not any(map(is_restricted_name, ("a", "u")))
    write_corpus(home, "b", ["d1"], data_use="restricted")  # after the build
    assert [is_restricted_name(name) for name in ("a", "b", "u", "a--b")] == [False, *[True] * 3]
    build_corpus("b")
    write_corpus(home, "b", ["d1"])  # as it was built, it stays restricted
    assert is_restricted(open_corpus("b")) and is_restricted(open_corpus("u"))


def test_a_built_corpus_may_have_lost_its_card(home: Path) -> None:
    write_corpus(home, "a", ["d1"], data_use="restricted")
    write_corpus(home, "b", ["d1"])
    for name in ("a", "b"):
        build_corpus(name)
        (home / "corpora" / f"{name}.yaml").unlink()
    assert (is_restricted_name("a"), is_restricted_name("b")) == (True, False)
    with pytest.raises(UsageError, match="no corpus 'c'"):
        is_restricted_name("c")
