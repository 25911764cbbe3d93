"""Analyses of arms in which every model gets passages of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.panels.citations import citations
from ragbench.analysis.panels.misled import misled
from ragbench.runfolder.packed import read_packed
from tests.experiment.writing.cases import N, make_cases, run_cases

ARMS = "arms=[closed-book, {name: own-1, retriever: bm25, k: 1, queries: own}, "


def test_errors_are_planted_in_the_passages_of_each_model(home: Path) -> None:
    folder = run_cases(make_cases(home), ARMS + "{control: misled, like: own-1}]", report=True)
    run = load_run(folder)
    found = misled(run).set_index("model")
    for model in ("llama", "med"):
        packed = read_packed(run.files.packed("cases", "misled-own-1", model))
        planted = sum(line.planted is not None for line in packed.values())
        assert found.changed[model] == planted > 0
    # The queries of ``llama`` find every right passage; those of ``med`` miss some.
    assert found.changed["llama"] == N > found.changed["med"]


def test_citations_are_of_the_passages_of_each_model(home: Path) -> None:
    make_cases(home)
    for model in ("llama", "med"):
        with (home / f"{model}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"contains": "[1]", "reply": "Answer: A [1] [2]"}) + "\n")
    asked = ("tasks.cases.scoring=generate", "tasks.cases.cite=true")
    run = load_run(run_cases(home, ARMS.rstrip(", ") + "]", *asked))
    found = citations(run).set_index(["model", "arm"])
    for model in ("llama", "med"):
        given = run.cell(model, "cases", "own-1").delivered_k.astype(int).sum()
        # Every reply names the only passage, and a second one that does not exist.
        assert found.citations[model, "own-1"] == 2 * N
        assert found.nonexistent_share[model, "own-1"] == pytest.approx(1 - given / (2 * N))
