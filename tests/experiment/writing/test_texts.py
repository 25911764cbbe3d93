"""Texts that models write: planted gains are found, and each model gets what it wrote for."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.panels.leakage import leakage
from ragbench.base.files import sha256_text
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import prepare_experiment
from ragbench.indexes.built import open_index
from ragbench.indexes.evaluation.runfile import read_run
from ragbench.report.page.browse import browser
from ragbench.runfolder.packed import delivered_ids, read_filtered
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.retrieval import read_note
from tests.conftest import FACTS
from tests.experiment.writing.cases import (
    EMPTY,
    NAMES,
    WRONG,
    N,
    calls,
    known,
    lines,
    make_cases,
    run_cases,
)


@pytest.fixture
def results(written_run: Path) -> pd.DataFrame:
    return pd.read_csv(written_run / "results.csv")


def value(results: pd.DataFrame, model: str, arm: str, metric: str) -> float:
    found = results[(results.model == model) & (results.arm == arm) & (results.metric == metric)]
    return float(found.value.iloc[0])


def test_a_rationale_that_names_the_passage_finds_it(results: pd.DataFrame) -> None:
    assert value(results, "-", "bm25~rationale", "R@1") == 1
    assert value(results, "-", "bm25~parts", "R@2") == 1
    assert value(results, "-", "bm25", "R@1") < 0.5
    for model in ("llama", "med"):
        assert value(results, model, "rationale-1", "accuracy") == 1
        assert value(results, model, "plain-1", "accuracy") < 1


def test_each_model_gets_the_passages_of_its_own_queries(
    written_run: Path, results: pd.DataFrame
) -> None:
    files = RunPaths(written_run)
    assert not files.packed("cases", "own-1").exists()
    for model in ("llama", "med"):
        found = delivered_ids(files.packed("cases", "own-1", model))
        assert {name: found[f"q-{name}"] for name in NAMES if (model, name) != ("med", EMPTY)} == {
            name: (f"d-{known(model, name)}",) for name in NAMES if (model, name) != ("med", EMPTY)
        }
        records = lines(written_run / "records" / f"{model}+cases+own-1.0.jsonl")
        assert {r["question_id"]: tuple(r["passages"]) for r in records} == found
    assert value(results, "-", "bm25~own@llama", "R@1") == 1
    assert value(results, "llama", "own-1", "accuracy") == 1
    # The biomedical model searches for another disease in 4 of 12 cases; in a fifth it writes
    # nothing, and the case itself is the query.
    known_to_med = (N - len(WRONG) - 1) / N
    assert known_to_med - 1e-9 <= value(results, "med", "own-1", "accuracy") < 1
    assert value(results, "-", "bm25~own@med", "R@1") <= (N - len(WRONG)) / N


def test_subquestions_are_fused_by_reciprocal_ranks(written_run: Path) -> None:
    """Fused again with fractions from two searches of the index."""
    index = open_index("bm25-facts")
    found = read_run(RunPaths(written_run).retrieval("cases", "bm25~parts", "trec"))
    for name in NAMES:
        first, _, second = FACTS[name].partition(", ")
        texts = [f"{first}?"] + [f"{second}?"] * bool(second)
        scores: dict[str, Fraction] = {}
        for hits in index.search(texts, 100):
            for rank, hit in enumerate(hits, 1):
                scores[hit.id] = scores.get(hit.id, Fraction()) + Fraction(1, 60 + rank)
        expected = sorted(scores, key=lambda passage: (-scores[passage], passage))
        ranked = [passage for passage, _ in found[f"q-{name}"]]
        if second:
            assert ranked == expected
        else:  # a single search is not fused: ties are broken by the index
            assert ranked == [hit.id for hit in index.search(texts, 100)[0]]


def test_fused_retrievers_and_controls_take_written_queries(home: Path) -> None:
    folder = run_cases(
        make_cases(home),
        "indexes.okapi={recipe: bm25-okapi, corpus: facts}",
        "arms=[closed-book, {name: fused-2, fuse: [bm25, okapi], k: 2, queries: own}, "
        "{name: parts-1, fuse: [bm25, okapi], k: 1, queries: parts}, "
        "{name: single-1, retriever: bm25, k: 1, queries: parts}, "
        "{control: oracle-removed, like: fused-2}, {control: oracle, like: single-1}, "
        "{control: moved, like: fused-2, place: 1}]",
    )
    files = RunPaths(folder)
    for model in ("llama", "med"):
        note = read_note(files.retrieval("cases", f"bm25~own@{model}+okapi~own@{model}", "json"))
        assert (note.kind, note.written_by) == ("fusion", model)
        removed = delivered_ids(files.packed("cases", "oracle-removed-fused-2", model))
        moved = delivered_ids(files.packed("cases", "moved-fused-2-at-1", model))
        for name in NAMES:
            assert f"d-{name}" not in removed[f"q-{name}"]
            assert moved[f"q-{name}"][0] == f"d-{name}"
    single = delivered_ids(files.packed("cases", "single-1"))
    assert single == {f"q-{name}": (f"d-{name}",) for name in NAMES}


def test_an_empty_reply_is_counted_and_the_question_is_the_query(written_run: Path) -> None:
    files = RunPaths(written_run)
    assert read_note(files.retrieval("cases", "bm25~own@med", "json")).empty_queries == 1
    assert read_note(files.retrieval("cases", "bm25~own@llama", "json")).empty_queries == 0
    plain = delivered_ids(files.packed("cases", "plain-1"))
    own = delivered_ids(files.packed("cases", "own-1", "med"))
    assert own[f"q-{EMPTY}"] == plain[f"q-{EMPTY}"]
    assert "1 of 12 replies of med to write the queries 'own'" in (
        (written_run / "report.md").read_text(encoding="utf-8")
    )


def test_passages_from_memory_are_delivered_without_a_corpus(
    written_run: Path, results: pd.DataFrame
) -> None:
    files = RunPaths(written_run)
    texts = {p["id"]: p for p in lines(files.passages)}
    for model in ("llama", "med"):
        for name in NAMES:
            ids = delivered_ids(files.packed("cases", "memory", model))[f"q-{name}"]
            first = known(model, name)
            assert [texts[i]["text"] for i in ids] == [
                f"{first} is {FACTS[first]}.",
                f"A passage on {name[:2]}.",
            ]
            assert {texts[i]["corpus"] for i in ids} == {""}
            other = delivered_ids(files.packed("cases", "shuffled-memory", model))[f"q-{name}"]
            assert sorted(other) == sorted(ids)
            drawn = delivered_ids(files.packed("cases", "random-memory", model))[f"q-{name}"]
            assert drawn and all(texts[i]["corpus"] == "facts" for i in drawn)
    assert value(results, "llama", "memory", "accuracy") == 1
    assert value(results, "med", "memory", "accuracy") < 1


def test_writers_see_neither_options_nor_anything_of_the_answer(written_run: Path) -> None:
    prompts = {p["digest"]: p["text"] for p in lines(written_run / "written/prompts/0.jsonl")}
    shown = lines(written_run / "written/records/llama+cases+queries.shown.0.jsonl")
    seen = {record["prompt"] for record in shown}
    assert len(seen) == N
    for digest, text in prompts.items():
        assert sha256_text(text) == digest
        assert not any(f"d-{name}" in text for name in NAMES)
        asked = text.partition("Question: ")[2]  # the passages of a judgement come before it
        assert any(f"\n- {name}\n" in asked for name in NAMES) == (digest in seen)
        if digest not in seen:
            assert not any(name in asked for name in NAMES)


def test_all_calls_count_in_the_cost_of_an_arm(written_run: Path) -> None:
    scores = pd.read_parquet(written_run / "scores" / "correct.parquet")
    filtered = scores[scores.arm == "filtered-1"].set_index("question_id").written_calls
    counts = scores.groupby("arm").written_calls.unique().map(list).to_dict()
    del counts["filtered-1"]
    assert counts == {
        **{arm: [0] for arm in ("closed-book", "plain-1")},
        **{arm: [1] for arm in ("rationale-1", "own-1", "parts-2", "shown-1", "memory")},
        **{arm: [1] for arm in ("random-own-1", "random-memory", "shuffled-memory")},
    }
    # An arm with a filter has one call for the queries and one judgement per passage.
    for question, line in read_filtered(
        RunPaths(written_run).filtered("cases", "filtered-1")
    ).items():
        assert filtered[question].tolist() == [1 + len(line.passages)] * 2
    records = lines(written_run / "written/records/llama+cases+queries.rationale.0.jsonl")
    mine = scores[scores.arm == "rationale-1"]
    for model in ("llama", "med"):
        of_model = mine[mine.model == model].set_index("question_id")
        for record in records:
            row = of_model.loc[record["question_id"]]
            assert row.written_sent_tokens == record["prompt_tokens"]
            assert row.written_reply_tokens == record["reply_tokens"]
    table = (written_run / "report.md").read_text(encoding="utf-8")
    assert "calls before, a question" in table


def test_the_report_says_whose_queries_they_are(written_run: Path) -> None:
    text = (written_run / "report.md").read_text(encoding="utf-8")
    assert "each with its own queries" in text
    assert "llama wrote a rationale as the query; all models get the same passages" in text
    assert "llama, which saw the options, wrote a rewritten query" in text


def test_the_page_shows_each_model_its_own_passages(written_run: Path) -> None:
    core = json.loads(browser(load_run(written_run)).blocks["core"])
    (task,) = core["tasks"]
    arms = task["arms"]
    assert {arms[int(place)] for place in task["own"]} == {
        *("own-1", "memory", "random-own-1", "random-memory", "shuffled-memory")
    }
    found = task["own"][str(arms.index("own-1"))]
    for model, lists in zip(core["models"], found, strict=True):
        packed = delivered_ids(RunPaths(written_run).packed("cases", "own-1", model))
        named = [tuple(core["passages"][place] for place in places) for places in lists]
        assert dict(zip(task["ids"], named, strict=True)) == packed


def test_the_page_has_what_models_wrote(written_run: Path) -> None:
    run = load_run(written_run)
    built = browser(run)
    core = json.loads(built.blocks["core"])
    (task,), (texts,) = core["tasks"], json.loads(built.blocks["texts"])
    found = {
        (core["models"][cell["model"]], task["arms"][cell["arm"]]): held["before"]
        for cell, held in zip(task["cells"], texts["cells"], strict=True)
    }
    place = task["ids"].index(f"q-{NAMES[0]}")
    assert found["llama", "closed-book"] == []
    assert found["med", "own-1"][place].startswith("med, queries.own: ")
    assert f"d-{NAMES[0]} has the score 0.948 and is kept" in found["llama", "filtered-1"][place]
    assert "</think>" not in built.blocks["texts"]  # brackets are escaped


def test_the_corpus_of_written_passages_is_none(written_run: Path) -> None:
    run = load_run(written_run)
    found = {arm: run.corpus_of("cases", arm) for arm in run.arms("cases")}
    assert found == {
        **dict.fromkeys(("closed-book", "memory", "shuffled-memory"), ""),
        **dict.fromkeys(("plain-1", "rationale-1", "own-1", "parts-2", "shown-1"), "facts"),
        **dict.fromkeys(("filtered-1", "random-own-1", "random-memory"), "facts"),
    }


def test_the_page_finds_passages_of_the_corpus_of_the_task(home: Path) -> None:
    folder = run_cases(
        make_cases(home),
        "arms=[closed-book, {name: memory, write: {by: each, n: 2}, corpus: task}, "
        "{control: random, like: memory}]",
    )
    run = load_run(folder)
    assert run.corpus_of("cases", "random-memory") == "facts"
    assert run.corpus_of("cases", "memory") == ""
    assert all(json.loads(browser(run).blocks["passages"]))


def test_leakage_is_counted_by_model_where_passages_differ(written_run: Path) -> None:
    facts = leakage(load_run(written_run))
    models = facts.groupby("arm").model.unique().map(sorted).to_dict()
    assert models["rationale-1"] == [""] and models["own-1"] == ["llama", "med"]
    shares = facts[facts.arm == "own-1"].groupby("model").source_delivered.mean()
    assert shares["llama"] == 1 and shares["med"] < 1
    assert len(facts[facts.arm == "own-1"]) == 2 * N


def test_nothing_is_written_twice(written_copy: Path, home: Path) -> None:
    before = calls(home)
    assert len(before) == len(set(before))
    prepared = prepare_experiment(*load_config(str(home / "written.yaml")))
    assert prepared.left == 0
    assert calls(home) == before


def test_the_config_of_the_run_has_the_queries(written_run: Path) -> None:
    run = json.loads((written_run / "run.json").read_text(encoding="utf-8"))
    assert run["config"]["queries"]["own"]["by"] == "each"
    assert run["identity"]["prompts"]["written"] == 1
