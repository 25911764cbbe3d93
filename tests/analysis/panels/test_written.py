"""The leak guard: what writers say of the answer is counted, and memory is its control."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.panels.written import written_gains, written_leaks
from tests.docs.test_formats import names
from tests.experiment.writing.cases import NAMES, WRONG, N, lines, make_cases, run_cases
from tests.experiment.writing.conftest import written_home, written_run

__all__ = ["written_home", "written_run"]


def keyed(table: pd.DataFrame, *names: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """Return the rows of a table by some of their columns."""
    rows = [{str(k): v for k, v in row.items()} for row in table.to_dict(orient="records")]
    return {tuple(str(row[name]) for name in names): row for row in rows}


def test_answers_in_what_models_wrote_are_counted(written_run: Path) -> None:
    found = keyed(written_leaks(load_run(written_run)), "writer", "kind", "name")
    # Passages from memory name the disease that the writer has in mind; rationales name none.
    mine = found["llama", "passages", "memory"]
    assert (mine["n"], mine["right"], mine["wrong"]) == (N, N, 0)
    med = found["med", "passages", "memory"]
    assert (med["n"], med["right"]) == (N, N - len(WRONG))
    assert (med["n_wrong"], med["wrong"]) == (N, len(WRONG))
    # Wilson's interval of 8 of 12 at 95 %: (8 + z2/2 +- z sqrt(8 * 4/12 + z2/4)) / (12 + z2).
    assert [med["right_low"], med["right_high"]] == pytest.approx([0.3906, 0.8619], abs=1e-4)
    rationale = found["llama", "rationale", "rationale"]
    assert (rationale["right"], rationale["wrong"]) == (0, 0)
    assert found["llama", "rewrite", "shown"]["options"] == "shown"


def test_the_gain_over_memory_is_that_of_retrieval(written_run: Path) -> None:
    found = keyed(written_gains(load_run(written_run)), "model", "arm")
    assert found["llama", "rationale-1"]["difference"] == 0
    own = found["med", "own-1"]
    assert own["difference"] == pytest.approx(own["accuracy"] - own["control_accuracy"])
    # The queries of another writer have no control in what the model itself wrote.
    assert ("med", "rationale-1") not in found


def test_a_rationale_that_gives_the_answer_away_is_caught(home: Path) -> None:
    make_cases(home)
    table = lines(home / "llama.jsonl")
    for name in NAMES:
        own = (line for line in table if f"Case {NAMES.index(name) + 11}" in line["matches"])
        leaky = next(line for line in own if "reasoning" in line["matches"])
        leaky["reply"] = f"<think>Not {NAMES[0]}.</think>It must be {name}."
    (home / "llama.jsonl").write_text("".join(json.dumps(line) + "\n" for line in table))
    arms = (
        "arms=[closed-book, {name: rationale-1, retriever: bm25, k: 1, queries: rationale}, "
        "{name: memory, write: {by: llama, n: 1}}]"
    )
    folder = run_cases(home, arms, report=True)
    run = load_run(folder)
    leak = keyed(written_leaks(run), "kind")["rationale",]
    assert (leak["n"], leak["right"], leak["wrong"]) == (N, N, 0)
    gain = keyed(written_gains(run), "model")["llama",]
    assert (gain["accuracy"], gain["control_accuracy"], gain["difference"]) == (1, 1, 0)
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "Leak guard: the answer in what models wrote" in text
    assert "Leak guard: gain over passages from memory" in text
    assert list(pd.read_csv(folder / "written_leaks.csv")) == names("The table of leaks has")
    assert list(pd.read_csv(folder / "written_gains.csv")) == names("The table of gains has")
