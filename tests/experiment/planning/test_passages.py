"""What arms would deliver to a sample of questions, from indexes that are built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.corpora.build import build_corpus
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.planning.passages import SampledPassages, every, runnable_notes
from ragbench.experiment.planning.plan import make_plan
from ragbench.indexes.build import build_index
from tests.unions import write_texts

CONFIG = """\
name: x
indexes: {lex: {recipe: bm25, corpus: ward}, other: {recipe: bm25-okapi, corpus: ward}}
models: [{name: m, backend: scripted}]
tasks: [{name: mcq, options: {path: q.jsonl}}]
arms: [closed-book, {retriever: lex, k: [2, 4, 5]}, {retriever: other, k: 2}]
packing: {budget_tokens: 1000}
"""


@pytest.fixture
def grid(home: Path) -> Grid:
    texts = {f"p{i}": "fever " + "word " * 299 for i in range(6)} | {"cold": "ice"}
    write_texts(home, "ward", texts)
    build_corpus("ward")
    build_index("bm25", "ward")
    lines = [
        {"id": f"q{i}", "question": text, "options": ["c", "d"], "answer": "c"}
        for i, text in enumerate(["fever", "fever", "ice"])
    ]
    (home / "q.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (home / "x.yaml").write_text(CONFIG)
    return Grid(*load_config(str(home / "x.yaml")))


def test_an_arm_is_packed_as_the_run_packs_it(grid: Grid) -> None:
    """A passage has 303 tokens with its number: three fit into 1,000."""
    (task,) = grid.tasks
    sampled = SampledPassages(grid)
    arms = {arm.name: arm for arm in grid.config.arms}
    sizes = {
        name: [len(d.passages) for d in sampled.of(arm, task).values()]
        for name, arm in arms.items()
    }
    assert sizes == {
        **{"closed-book": [], "lex-2": [2, 2, 1], "lex-4": [3, 3, 1], "lex-5": [3, 3, 1]},
        "other-2": [],
    }
    assert sampled.note(arms["lex-2"], task) == ""
    assert "not built yet" in sampled.note(arms["other-2"], task)


def test_short_and_equal_deliveries_are_said(grid: Grid) -> None:
    """(3 + 3 + 1) / 3 = 2.3 passages, where 4 and 5 are requested."""
    said = make_plan(grid).deliveries
    ranking = "the ranking has fewer for 1 of 3 questions"
    budget = "the budget of 1,000 tokens left passages out for 2 of 3 questions"
    assert said == [
        f"in a sample, lex-2 on mcq delivered 1.7 passages on average, not 2 ({ranking})",
        f"in a sample, lex-4 on mcq delivered 2.3 passages on average, not 4 ({budget}; {ranking})",
        f"in a sample, lex-5 on mcq delivered 2.3 passages on average, not 5 ({budget}; {ranking})"
        ": the same as lex-4",
    ]


def test_a_sample_is_evenly_spaced() -> None:
    assert every(list(range(10)), 3) == [0, 3, 6]  # type: ignore[arg-type,comparison-overlap]
    assert every([], 3) == []


def test_a_runnable_is_announced_once_per_task_and_not_run(grid: Grid, home: Path) -> None:
    (home / "planned_app.py").write_text("raise SystemExit(9)\n")
    runnable = "{factory: 'planned_app:app', trust_code: true, show_options: true}"
    arms = f"arms=[closed-book, {{name: theirs, k: [1, 2], runnable: {runnable}}}]"
    asked = Grid(*load_config(str(home / "x.yaml"), [arms]))
    assert list(runnable_notes(asked)) == [
        "the run calls theirs (planned_app:app) once per question of mcq, which it sees with its "
        "options: 3 calls, whose cost is unknown"
    ]
    plan = make_plan(asked)
    assert len(plan.notes) == 1 and {cell[2] for cell in plan.cells} == {
        *("closed-book", "theirs-1", "theirs-2")
    }
    (home / "planned_app.py").unlink()
    with pytest.raises(UsageError, match="there is no file of a module 'planned_app'"):
        make_plan(asked)
