"""Sizes and times of what is not built, by hand arithmetic from published sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.corpora.build import build_corpus
from ragbench.experiment.grid.parts import IndexPart
from ragbench.experiment.planning.builds import Size, build_estimates, members, size_of
from ragbench.experiment.planning.devices import DEVICES
from tests.unions import write_texts


@pytest.fixture
def cards(home: Path) -> Path:
    (home / "corpora").mkdir()
    for name, passages, tokens in (("big", 1_000_000, 100), ("small", 1_000_000, 300)):
        (home / "corpora" / f"{name}.yaml").write_text(
            f"reader: jsonl\npath: {name}.jsonl\n"
            f"published: {{passages: {passages}, tokens: {tokens}}}\n"
        )
    (home / "corpora" / "unknown.yaml").write_text("reader: jsonl\npath: unknown.jsonl\n")
    return home


def test_a_size_is_published_or_counted_or_unknown(cards: Path) -> None:
    assert size_of("big") == Size(1_000_000, 100)
    assert size_of("big--small") == Size(2_000_000, 200)
    assert size_of("unknown") is size_of("big--unknown") is size_of("none") is None
    assert list(members("big--small")) == ["big", "small"]
    write_texts(cards, "here", {"a": "x" * 90, "b": "y" * 90})
    build_corpus("here")
    assert size_of("here") == Size(2, 20)  # 4.5 letters per token


def test_what_is_built_first_takes(cards: Path) -> None:
    parts = [
        IndexPart("lex", "bm25", "big"),
        IndexPart("dense", "medcpt-flat", "big"),
        IndexPart("rerank", "bm25-rerank", "big"),
        IndexPart("lost", "bm25", "unknown"),
    ]
    found = {b.what: b for b in build_estimates(["big", "unknown"], parts, DEVICES["h100"])}
    assert list(found) == [
        *("corpus big", "corpus unknown", "index bm25 over big", "index medcpt-flat over big"),
        *("index bm25-rerank over big", "index bm25 over unknown"),
    ]
    assert found["corpus big"].disk == 1e6 * (450 + 140)
    assert found["index bm25 over big"].disk == pytest.approx(8 * 0.4 * 100 * 1e6)
    dense = found["index medcpt-flat over big"]
    assert dense.disk == pytest.approx(2 * 4 * 768 * 1e6)  # the vectors, and the index of them
    assert dense.seconds == pytest.approx(2 * 109_482_240 * 1e8 / (989e12 * 0.4))
    assert found["index bm25-rerank over big"].disk == 0  # its first stage is counted above
    lost = found["index bm25 over unknown"]
    assert (lost.passages, lost.disk, lost.seconds) == (None, None, None)
