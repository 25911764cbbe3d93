"""The leak guard: what writers say of the answer is counted, and memory is its control."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.panels.written import written_gains, written_leaks
from tests.experiment.writing.cases import NAMES, WRONG, N, lines, make_cases, run_cases
from tests.experiment.writing.conftest import written_home, written_run

__all__ = ["written_home", "written_run"]


def test_answers_in_what_models_wrote_are_counted(written_run: Path) -> None:
    found = written_leaks(load_run(written_run)).set_index(["writer", "kind", "name"])
    # Passages from memory name the disease that the writer has in mind; rationales name none.
    assert found.loc[("llama", "passages", "memory"), ["n", "right", "wrong"]].tolist() == [N, N, 0]
    med = found.loc[("med", "passages", "memory")]
    assert [med.n, med.right, med.n_wrong, med.wrong] == [N, N - len(WRONG), N, len(WRONG)]
    # Wilson's interval of 8 of 12 at 95 %: (8 + z2/2 +- z sqrt(8 * 4/12 + z2/4)) / (12 + z2).
    assert [med.right_low, med.right_high] == pytest.approx([0.3906, 0.8619], abs=1e-4)
    assert found.loc[("llama", "rationale", "rationale"), ["right", "wrong"]].tolist() == [0, 0]
    assert found.loc[("llama", "rewrite", "shown"), "options"] == "shown"


def test_the_gain_over_memory_is_that_of_retrieval(written_run: Path) -> None:
    found = written_gains(load_run(written_run)).set_index(["model", "arm"])
    assert found.loc[("llama", "rationale-1"), "difference"] == 0
    own = found.loc[("med", "own-1")]
    assert own.difference == pytest.approx(own.accuracy - own.control_accuracy)
    # The queries of another writer have no control in what the model itself wrote.
    assert ("med", "rationale-1") not in found.index


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
    leaks = written_leaks(run).set_index("kind")
    assert leaks.loc["rationale", ["n", "right", "wrong"]].tolist() == [N, N, 0]
    gains = written_gains(run).set_index("model")
    assert gains.loc["llama", ["accuracy", "control_accuracy", "difference"]].tolist() == [1, 1, 0]
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "Leak guard: the answer in what models wrote" in text
    assert "Leak guard: gain over passages from memory" in text
    assert (folder / "written_leaks.csv").exists() and (folder / "written_gains.csv").exists()
