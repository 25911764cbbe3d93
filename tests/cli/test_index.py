"""``ragbench index``: the contract's commands, end to end."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import ragbench


@pytest.fixture
def built(finished_home: Path, home: Path) -> Path:
    for name in ("corpora", "indexes"):
        shutil.copytree(finished_home / name, home / name)
    return home


def test_search_prints_the_contract(built: Path) -> None:
    done = ragbench(built, "index", "search", "bm25-icd10cm", "sickle-cell", "-k", "5", "--json")
    hits = json.loads(done.stdout)
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4, 5]
    assert set(hits[0]) == {"rank", "id", "doc_id", "score", "title", "text"}
    assert all("sickle" in (hit["title"] + hit["text"]).lower() for hit in hits)
    assert [h["score"] for h in hits] == sorted((h["score"] for h in hits), reverse=True)
    plain = ragbench(built, "index", "search", "bm25-icd10cm", "sickle-cell", "-k", "2")
    assert hits[0]["id"] in plain.stdout.splitlines()[0]


def test_a_file_of_queries_becomes_a_run(built: Path) -> None:
    queries = [{"qid": "a", "query": "sickle-cell"}, {"_id": 7, "text": "haemophilia factor VIII"}]
    (built / "q.jsonl").write_text("\n".join(map(json.dumps, queries)), encoding="utf-8")
    command = ["index", "search", "bm25-icd10cm", "--queries", "q.jsonl", "-k", "100"]
    done = ragbench(built, *command, "--run", "out.trec")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in (built / "out.trec").read_text().splitlines()]
    assert {row[0] for row in rows} == {"a", "7"}
    assert all(row[1] == "Q0" and row[5] == "bm25-icd10cm" for row in rows)
    first = [row for row in rows if row[0] == "a"]
    assert [int(row[3]) for row in first] == list(range(1, len(first) + 1))


@pytest.mark.parametrize("extra", [[], ["x", "--queries", "q.jsonl"], ["--queries", "q.jsonl"]])
def test_query_or_file_not_both_not_neither(built: Path, extra: list[str]) -> None:
    done = ragbench(built, "index", "search", "bm25-icd10cm", *extra)
    assert done.returncode == 2
    assert "either a query" in done.stderr


def test_build_again_is_no_work_and_another_needs_replace(built: Path) -> None:
    manifest = built / "indexes" / "bm25-icd10cm" / "manifest.json"
    before = manifest.read_bytes()
    same = ragbench(built, "index", "build", "bm25", "--corpus", "icd10cm")
    assert same.returncode == 0
    assert manifest.read_bytes() == before
    (built / "indexes" / "mine.yaml").write_text("kind: bm25\nk1: 1.2\n", encoding="utf-8")
    command = ["index", "build", "mine", "--corpus", "icd10cm", "--name", "bm25-icd10cm"]
    other = ragbench(built, *command)
    assert other.returncode == 3
    assert "another recipe" in other.stderr
    assert manifest.read_bytes() == before
    assert ragbench(built, *command, "--replace").returncode == 0
    shown = ragbench(built, "index", "show", "bm25-icd10cm", "--json")
    assert json.loads(shown.stdout)["recipe"]["k1"] == 1.2


def test_an_index_of_another_corpus_is_refused(built: Path) -> None:
    card = built / "corpora" / "icd10cm.yaml"
    card.write_text(card.read_text().replace('["3"]', '["16"]'), encoding="utf-8")
    assert ragbench(built, "corpus", "build", "icd10cm", "--replace").returncode == 0
    done = ragbench(built, "index", "search", "bm25-icd10cm", "anaemia")
    assert done.returncode == 3
    assert "was built over" in done.stderr
    assert "Traceback" not in done.stderr
