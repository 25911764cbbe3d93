"""Retrieval and packing as a finished run has left them."""

from __future__ import annotations

import gzip
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.corpora.build import build_corpus
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.building import build_missing
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.stages.deliver import pack_all
from ragbench.experiment.stages.retrieve import retrieve_all
from ragbench.runfolder.paths import RunPaths
from tests.conftest import make_mixed_home


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
    folder = RunPaths(run_copy)
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    pack_all(grid, folder)
    assert kept
    assert all(path.read_bytes() == content for path, content in kept.items())


def test_gold_that_the_corpus_lacks_is_an_error(run_copy: Path, home: Path) -> None:
    """The corpus is chapter 3; questions about chapter 4 have their gold elsewhere."""
    grid = Grid(*load_config(str(home / "small.yaml"), ["tasks.0.options={chapters: ['4']}"]))
    with pytest.raises(DataError, match="10 of 10 gold ids") as caught:
        retrieve_all(
            grid, RunPaths(home / "runs" / "other"), build_missing(grid.config, grid.tasks)
        )
    assert "icd10cm" in caught.value.what


def test_another_corpus_than_the_tasks_own_may_lack_the_gold(run_copy: Path, home: Path) -> None:
    """It is then searched, but not judged: no recall of 0 that says nothing."""
    (home / "notes.jsonl").write_text('{"id": "n", "text": "gout"}', encoding="utf-8")
    (home / "corpora" / "notes.yaml").write_text("reader: jsonl\npath: ../notes.jsonl\n")
    override = "indexes.bm25.corpus=notes"
    grid = Grid(*load_config(str(home / "small.yaml"), [override]))
    folder = RunPaths(home / "runs" / "other")
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    note = json.loads(folder.retrieval("icd10cm", "bm25", "json").read_text())
    assert note["gold_matches"] == "not in this corpus"
    assert folder.retrieval("icd10cm", "bm25", "quality.jsonl").read_text() == ""


def fused_by_hand(runs: list[dict[str, list[str]]], query: str, k0: int) -> list[str]:
    """Reciprocal rank fusion as it is written down, in fractions."""
    sums: dict[str, Fraction] = {}
    for run in runs:
        for rank, passage in enumerate(run.get(query, []), 1):
            sums[passage] = sums.get(passage, Fraction(0)) + Fraction(1, k0 + rank)
    return sorted(sums, key=lambda passage: (-sums[passage], passage))


def ranked(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        query, _, passage, *_ = line.split()
        found.setdefault(query, []).append(passage)
    return found


def test_a_fusion_is_made_of_the_saved_runs(mixed_home: Path) -> None:
    folder = mixed_home / "runs" / "mixed" / "retrieval"
    parts = [ranked(folder / f"facts+{key}.trec") for key in ("bm25", "dense")]
    fused = ranked(folder / "facts+bm25+dense.trec")
    assert len(fused) == 6
    for query, passages in fused.items():
        assert passages == fused_by_hand(parts, query, 60)


def test_a_run_file_is_checked_and_judged(mixed_copy: Path, home: Path) -> None:
    original = mixed_copy / "retrieval" / "facts+bm25.trec"
    (home / "mine.trec").write_bytes(original.read_bytes())
    arm = "arms=[closed-book, {name: mine, run_file: mine.trec, k: 2}]"
    grid = Grid(
        *load_config(
            str(home / "mixed.yaml"),
            [arm, "tasks=[{name: facts, task: mcq, options: {path: facts.jsonl, corpus: facts}}]"],
        )
    )
    folder = RunPaths(home / "runs" / "other")
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    packed = pack_all(grid, folder)
    expected = {query: passages[:2] for query, passages in ranked(original).items()}
    found = {q: [p.id for p in d.passages] for q, d in packed["facts", "mine"].items()}
    assert found == expected
    quality = lines(folder.retrieval("facts", "mine", "quality.jsonl"))
    assert {line["measure"] for line in quality} == {"R@2", "RR@2"}

    text = (home / "mine.trec").read_text()
    for changed, what in (
        (text.replace("d-scurvy", "d-nothing"), "d-nothing"),
        (text.replace("q-", "other-"), "none of the 6 questions"),
    ):
        (home / "mine.trec").write_text(changed)
        with pytest.raises(DataError, match=what):
            retrieve_all(grid, folder, {})
    (home / "mine.trec").unlink()
    with pytest.raises(DataError, match="does not exist"):
        retrieve_all(grid, folder, {})


def test_a_compressed_run_file_is_read_and_kept_as_text(home: Path) -> None:
    make_mixed_home(home)
    text = "q-gout Q0 d-gout 1 2.5 t\nq-scurvy Q0 d-gout 1 2 t\nq-scurvy Q0 d-scurvy 2 1 t\n"
    (home / "mine.trec.gz").write_bytes(gzip.compress(text.encode()))
    task = "tasks=[{name: facts, task: mcq, options: {path: facts.jsonl, corpus: facts}}]"
    arm = "arms=[closed-book, {name: mine, run_file: mine.trec.gz, k: 2}]"
    grid = Grid(*load_config(str(home / "mixed.yaml"), [task, arm]))
    folder = RunPaths(home / "runs" / "packed")
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    assert folder.retrieval("facts", "mine", "trec").read_text() == text
    quality = lines(folder.retrieval("facts", "mine", "quality.jsonl"))
    found = {q["question_id"]: q["value"] for q in quality if q["measure"] == "RR@2" and q["value"]}
    assert found == {"q-gout": 1.0, "q-scurvy": 0.5}


def test_more_questions_leave_the_passages_of_the_first_alone(run_copy: Path, home: Path) -> None:
    """Encoded in one batch with others, a query must find what it found without them."""
    path = run_copy / "packed" / "icd10cm+dense-5.jsonl"
    before = lines(path)
    grid = Grid(*load_config(str(home / "small.yaml"), ["tasks.0.limit=80"]))
    folder = RunPaths(run_copy)
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    pack_all(grid, folder)
    after = lines(path)
    assert len(after) == 80
    assert after[:10] == before


def test_recall_at_k_is_of_the_first_k_passages(mixed_copy: Path, home: Path) -> None:
    """Chunks: the gold document stands at the third passage, but is the second document."""
    facts = [line | {"gold_doc_ids": ["d-scurvy"]} for line in lines(home / "facts.jsonl")[:1]]
    (home / "facts.jsonl").write_text("".join(json.dumps(f) + "\n" for f in facts))
    with (home / "passages.jsonl").open("a") as handle:
        for number in range(9):
            handle.write(json.dumps({"id": f"x{number}", "text": "filler " * 30}) + "\n")
    card = home / "corpora" / "facts.yaml"
    card.write_text(card.read_text() + "chunking: {chunker: sentences, size: 60}\n")
    build_corpus("facts", replace=True)
    run = "".join(
        f"q-scurvy Q0 {chunk} {rank} {9 - rank} mine\n"
        for rank, chunk in enumerate(["x0#0", "x0#1", "d-scurvy#0", "x1#0"], 1)
    )
    (home / "mine.trec").write_text(run)
    task = "tasks=[{name: facts, task: mcq, options: {path: facts.jsonl, corpus: facts}}]"
    arm = "arms=[closed-book, {name: mine, run_file: mine.trec, k: [2, 4]}]"
    config, document = load_config(str(home / "mixed.yaml"), [task, arm])
    folder = RunPaths(home / "runs" / "other")
    retrieve_all(Grid(config, document), folder, {})
    values = {
        line["measure"]: line["value"]
        for path in (folder.path / "retrieval").glob("*.quality.jsonl")
        for line in lines(path)
    }
    assert (values["R@2"], values["R@4"]) == (0.0, 1.0)
