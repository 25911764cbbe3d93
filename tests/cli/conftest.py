"""A small index with queries and judgements, for the commands over indexes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.corpora.build import build_corpus
from ragbench.indexes.build import build_index

TEXTS = {
    "d0": "gout of the foot",
    "d1": "fever and cough",
    "d2": "fever and gout",
    "d3": "rash and fever",
    "d4": "stroke",
}
QUERIES = {"q1": "gout fever", "q2": "rash", "q3": "nothing known", "q4": "stroke"}
QRELS = "q1 0 d0 1\nq1 0 d2 2\nq1 0 d4 0\nq2 0 d1 1\nq3 0 d3 1\nq9 0 d4 1\n"


@pytest.fixture
def small(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The index ``bm25-small``, four queries and judgements of three of them and a fifth."""
    (home / "corpora").mkdir()
    lines = [json.dumps({"id": key, "text": text}) for key, text in TEXTS.items()]
    (home / "corpora" / "small.jsonl").write_text("\n".join(lines), encoding="utf-8")
    card = "reader: jsonl\npath: small.jsonl\n"
    (home / "corpora" / "small.yaml").write_text(card, encoding="utf-8")
    build_corpus("small")
    build_index("bm25", "small")
    lines = [json.dumps({"id": key, "text": text}) for key, text in QUERIES.items()]
    (home / "q.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (home / "qrels").write_text(QRELS, encoding="utf-8")
    monkeypatch.chdir(home)
    return home
