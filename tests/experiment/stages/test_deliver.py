"""Packing of a finished run with every kind of arm."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError, UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.building import build_missing
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.stages.deliver import pack_all, stored_packing
from ragbench.experiment.stages.retrieve import retrieve_all
from ragbench.runfolder.paths import RunPaths


def packed(home: Path, arm: str) -> dict[str, dict[str, Any]]:
    path = home / "runs" / "mixed" / "packed" / f"facts+{arm}.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line["question_id"]: line for line in lines}


def test_each_control_differs_from_its_arm_in_one_thing(mixed_home: Path) -> None:
    arm = packed(mixed_home, "bm25-2")
    oracle, filled = packed(mixed_home, "oracle-bm25-2"), packed(mixed_home, "oracle-filled")
    removed = packed(mixed_home, "oracle-removed-bm25-2")
    shuffled = packed(mixed_home, "shuffled-bm25-2")
    for question, line in arm.items():
        gold = question.replace("q-", "d-")
        assert oracle[question]["passages"] == [gold]
        assert filled[question]["passages"][0] == gold
        assert gold not in removed[question]["passages"]
        kept = [p for p in line["passages"] if p != gold]
        assert removed[question]["passages"][: len(kept)] == kept
        assert sorted(shuffled[question]["passages"]) == sorted(line["passages"])


def test_delivered_gold_is_counted(mixed_home: Path) -> None:
    for question, line in packed(mixed_home, "bm25-2").items():
        assert line["gold"] == (question.replace("q-", "d-") in line["passages"])
    assert {line["gold"] for line in packed(mixed_home, "oracle-removed-bm25-2").values()} == {0}
    assert {line["gold"] for line in packed(mixed_home, "random-bm25-2").values()} == {0}


def test_the_saved_passages_are_those_that_were_packed(mixed_copy: Path, home: Path) -> None:
    grid, folder = Grid(*load_config(str(home / "mixed.yaml"))), RunPaths(mixed_copy)
    fresh = pack_all(grid, folder)
    for corpus in (home / "corpora").iterdir():
        if corpus.is_dir():
            shutil.rmtree(corpus)  # neither corpus nor index is needed
    wanted = {task.spec.name: [q.id for q in task.questions[1:3]] for task in grid.tasks}
    stored = stored_packing(grid, folder, wanted)
    assert stored.keys() == fresh.keys()
    for (task, arm), held in stored.items():
        assert list(held) == wanted[task]
        for name, delivery in held.items():
            expected = [(p.id, p.title, p.text) for p in fresh[task, arm][name].passages]
            assert [(p.id, p.title, p.text) for p in delivery.passages] == expected
    with pytest.raises(DataError, match="no packing of question 'gone'"):
        stored_packing(grid, folder, wanted | {"facts": ["gone"]})


def test_an_oracle_without_gold_is_refused(mixed_copy: Path, home: Path) -> None:
    text = (home / "facts.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    (home / "facts.jsonl").write_text(
        "".join(json.dumps(line | {"gold_doc_ids": []}) + "\n" for line in lines)
    )
    grid = Grid(*load_config(str(home / "mixed.yaml")))
    folder = RunPaths(home / "runs" / "other")
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    with pytest.raises(UsageError, match="'oracle-bm25-2' needs gold passages"):
        pack_all(grid, folder)


def test_a_passage_longer_than_the_budget_is_told_and_counted(
    mixed_copy: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = Grid(*load_config(str(home / "mixed.yaml"), ["packing.budget_tokens=5"]))
    found = pack_all(grid, RunPaths(mixed_copy))
    assert {(d.tokens, d.left_out > 0) for d in found["facts", "bm25-2"].values()} == {(0, True)}
    told = capsys.readouterr().err
    why = "the budget of 5 tokens left passages out for 6 of 6 questions"
    assert f"bm25-1 on facts delivered 0.0 passages on average, not 1 ({why})" in told
    assert "the same as closed-book" in told
