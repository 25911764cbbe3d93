"""The lexicon against a sorted list."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragbench.indexes.bm25.lexicon import BYTES, Lexicon, save

WORDS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, unique=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(words=WORDS, others=WORDS)
def test_every_term_has_its_place_and_no_other_has_one(
    tmp_path: Path, words: list[str], others: list[str]
) -> None:
    ordered = sorted(words, key=str.encode)
    save(tmp_path, pa.array(ordered, pa.large_string()))
    found = Lexicon(tmp_path)
    assert len(found) == len(words)
    assert [found.find(word) for word in ordered] == list(range(len(words)))
    assert {found.find(word) for word in set(others) - set(words)} <= {-1}


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    save(tmp_path, pa.array(["gout"], pa.large_string()))
    (tmp_path / BYTES).write_bytes(b"gou")
    with pytest.raises(ValueError, match="do not match"):
        Lexicon(tmp_path)
