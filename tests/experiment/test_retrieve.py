"""Retrieval and packing as a finished run has left them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragbench.errors import DataError
from ragbench.experiment.config import load_config
from ragbench.experiment.folder import RunFolder
from ragbench.experiment.grid import Grid
from ragbench.experiment.retrieve import pack_all, retrieve_all


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_smaller_k_is_a_prefix_of_the_one_retrieval(finished_home: Path) -> None:
    run = finished_home / "runs" / "small"
    assert len(list((run / "retrieval").glob("*.trec"))) == 2
    deep = {d["question_id"]: d for d in lines(run / "packed" / "icd10cm+bm25-5.jsonl")}
    for line in lines(run / "packed" / "icd10cm+bm25-2.jsonl"):
        assert line["passages"] == deep[line["question_id"]]["passages"][:2]
        assert line["requested"] == 2


def test_the_placebo_is_as_long_as_what_it_imitates(finished_home: Path) -> None:
    run = finished_home / "runs" / "small"
    like = {d["question_id"]: d["tokens"] for d in lines(run / "packed" / "icd10cm+bm25-5.jsonl")}
    gold = {q["id"]: q["gold_doc_ids"][0] for q in lines(run / "questions" / "icd10cm.jsonl")}
    for line in lines(run / "packed" / "icd10cm+random-5.jsonl"):
        assert gold[line["question_id"]] not in line["passages"]
        if line["shortfall_tokens"] == 0:
            target = like[line["question_id"]]
            assert 0.9 * target <= line["tokens"] <= 1.1 * target


def test_tokens_are_those_of_the_reference_tokenizer(finished_home: Path) -> None:
    """Counted again with the tokenizer directly, over the block as the prompt shows it."""
    run = finished_home / "runs" / "small"
    config, document = load_config(str(finished_home / "small.yaml"))
    model = Grid(config, document).reference_model
    texts = {line["id"]: line for line in lines(run / "passages.jsonl")}
    for line in lines(run / "packed" / "icd10cm+dense-5.jsonl"):
        total = 0
        for number, identifier in enumerate(line["passages"], 1):
            passage = texts[identifier]
            total += model.count_tokens(f"[{number}] {passage['title']}\n{passage['text']}\n\n")
        assert line["tokens"] == total


def test_stages_repeated_write_the_same_files(
    run_copy: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = {p: p.read_bytes() for p in run_copy.rglob("*.jsonl") if "packed" in str(p)}
    grid = Grid(*load_config(str(home / "small.yaml")))
    folder = RunFolder(run_copy)
    retrieve_all(grid, folder, grid.build_missing())
    pack_all(grid, folder)
    assert kept
    assert all(path.read_bytes() == content for path, content in kept.items())


def test_gold_that_the_corpus_lacks_is_an_error(run_copy: Path, home: Path) -> None:
    """The corpus is chapter 3; questions about chapter 4 have their gold elsewhere."""
    grid = Grid(*load_config(str(home / "small.yaml"), ["tasks.0.options={chapters: ['4']}"]))
    with pytest.raises(DataError, match="10 of 10 gold ids") as caught:
        retrieve_all(grid, RunFolder(home / "runs" / "other"), grid.build_missing())
    assert "icd10cm" in caught.value.what


def test_gold_is_sought_in_any_corpus(run_copy: Path, home: Path) -> None:
    (home / "notes.jsonl").write_text('{"id": "n", "text": "gout"}', encoding="utf-8")
    (home / "corpora" / "notes.yaml").write_text("reader: jsonl\npath: ../notes.jsonl\n")
    override = "indexes.bm25.corpus=notes"
    grid = Grid(*load_config(str(home / "small.yaml"), [override]))
    with pytest.raises(DataError, match="10 of 10 gold ids"):
        retrieve_all(grid, RunFolder(home / "runs" / "other"), grid.build_missing())


def test_more_questions_leave_the_passages_of_the_first_alone(run_copy: Path, home: Path) -> None:
    """Encoded in one batch with others, a query must find what it found without them."""
    path = run_copy / "packed" / "icd10cm+dense-5.jsonl"
    before = lines(path)
    grid = Grid(*load_config(str(home / "small.yaml"), ["tasks.0.limit=80"]))
    folder = RunFolder(run_copy)
    retrieve_all(grid, folder, grid.build_missing())
    pack_all(grid, folder)
    after = lines(path)
    assert len(after) == 80
    assert after[:10] == before
