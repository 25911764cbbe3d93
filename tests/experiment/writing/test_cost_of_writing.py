"""What calls before the answers cost: once in all, in full for each arm, and for its controls."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ragbench.analysis.load import load_run
from ragbench.analysis.panels.frontier import frontier
from ragbench.analysis.results import results
from ragbench.report.cost import writing_rows
from ragbench.runfolder.packed import read_packed
from ragbench.runfolder.records import last_records
from tests.experiment.writing.cases import N, make_cases, run_cases

WRITTEN = ["written_calls", "written_sent_tokens", "written_reply_tokens", "written_seconds"]
ARMS = """arms=[
  {name: rationale-1, retriever: bm25, k: 1, queries: rationale},
  {name: own-1, retriever: bm25, k: 1, queries: own},
  {name: kept-1, retriever: bm25, queries: parts, k: 1, depth: 12, filter: {by: each, keep: 0.5}},
  {name: memory, write: {by: llama, n: 2}, corpus: facts},
  {control: random, like: rationale-1},
  {control: random, like: own-1},
  {control: random, like: kept-1},
  {control: random, like: memory},
  {control: near, like: own-1}]"""


def test_controls_imitate_the_calls_and_the_tokens_and_ask_for_nothing(home: Path) -> None:
    folder = run_cases(make_cases(home), ARMS)
    run = load_run(folder)
    table = frontier(run, results(run)).set_index(["model", "arm"])
    controls = {arm.name: arm.like or "" for arm in run.config.arms if arm.control}
    assert len(controls) == 5
    names = {path.name for path in run.files.written.all_records()}
    assert not any("random" in name or "near" in name for name in names)
    for control, like in controls.items():
        for model in run.members("models"):
            mine, other = (
                run.cell(model, "cases", arm).set_index("question_id")[WRITTEN]
                for arm in (control, like)
            )
            pd.testing.assert_frame_equal(mine, other)
            assert (mine.written_calls > 0).all()
            ours, theirs = (
                read_packed(run.files.delivered("cases", arm, model)) for arm in (control, like)
            )
            for question, line in ours.items():
                wanted = theirs[question].tokens or 0
                near = abs((line.tokens or 0) - wanted) <= 0.1 * wanted
                assert near or line.shortfall_tokens == wanted - (line.tokens or 0)
            assert table.calls[model, control] == table.calls[model, like]
            assert not table.on_frontier[model, control]
    # One query per question; two; one and the judgements of its passages; both passages at once.
    assert table.calls["med", "rationale-1"] == table.calls["med", "own-1"] == 2
    assert table.calls["med", "memory"] == 2
    files, name = run.files.written, "filter.bm25~parts~12"
    judged = len(last_records(files.records("med", "cases", name)))
    assert table.calls["med", "kept-1"] == 2 + judged / N


def test_each_writing_counts_once_and_in_full_for_whoever_uses_it(written_run: Path) -> None:
    run = load_run(written_run)
    header, rows = writing_rows(run)
    found = {(row[0], row[2]): dict(zip(header, row, strict=True)) for row in rows}
    one = found["llama", "queries.rationale"]
    records = last_records(run.files.written.records("llama", "cases", "queries.rationale"))
    sent = sum(record.sent_tokens for record in records.values())
    assert (one["calls"], one["arms"]) == (f"{N}", "rationale-1")
    assert one["tokens sent"] == f"{sent:,}"
    table = frontier(run, results(run)).set_index(["model", "arm"])
    for model in ("llama", "med"):
        assert table.written_sent_tokens[model, "rationale-1"] * N == sent
    # Both models write for themselves; the control imitates the calls and adds none.
    assert found["med", "queries.own"]["arms"] == "own-1, random-own-1"
    assert found["med", "queries.own"]["calls"] == f"{N}"
