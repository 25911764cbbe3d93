"""The budget of a config that names none: by k, lengths of passages, and contexts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.corpora.build import build_corpus
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.run import run_experiment
from ragbench.experiment.stages.budget import choose_budget
from ragbench.runfolder.packed import read_packed

CONFIG = """\
name: long
indexes: {lex: {recipe: bm25, corpus: ward}}
models: [{name: m, backend: scripted, context: 100000}]
tasks: [{name: mcq, options: {path: q.jsonl}}]
arms: [closed-book, {retriever: lex, k: [3, 20]}]
"""
WORDS = 300  # of each of 30 passages


@pytest.fixture
def ward(home: Path) -> Path:
    text = f"fever {' '.join(['word'] * (WORDS - 1))}"
    passages = [{"id": f"p{i}", "text": text} for i in range(30)]
    (home / "corpora").mkdir()
    (home / "corpora" / "ward.jsonl").write_text("\n".join(map(json.dumps, passages)))
    (home / "corpora" / "ward.yaml").write_text("reader: jsonl\npath: ward.jsonl\n")
    build_corpus("ward")
    lines = [
        {"id": f"q{i}", "question": "fever", "options": ["c", "d"], "answer": "c"} for i in range(3)
    ]
    (home / "q.jsonl").write_text("\n".join(map(json.dumps, lines)))
    path = home / "long.yaml"
    path.write_text(CONFIG)
    return path


def test_the_budget_holds_what_the_arms_request(ward: Path) -> None:
    """20 passages of 300 words and a number between brackets: 303 tokens each, 6,060 in all."""
    chosen = choose_budget(Grid(*load_config(str(ward))))
    assert chosen.tokens == 6144  # 24 x 256
    assert chosen.why == "lex-20 requests about 6,060 tokens"
    few = choose_budget(Grid(*load_config(str(ward), ["arms.1.k=5"])))
    assert (few.tokens, few.why) == (2048, "the default")
    own = choose_budget(Grid(*load_config(str(ward), ["arms.1.budget_tokens=900"])))
    assert own.tokens == 2048
    small = choose_budget(Grid(*load_config(str(ward), ["models.m.context=4000"])))
    assert small.limited
    assert 3700 < small.tokens < 4000  # what a question of some dozen tokens and its reply leave
    assert "the context of m leaves no more" in small.why


def test_a_run_keeps_the_budget_that_it_began_with(
    ward: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_experiment(*load_config(str(ward), ["arms.1.k=3"]))
    run_file = home / "runs" / "long" / "run.json"
    budget = json.loads(run_file.read_text())["config"]["packing"]["budget_tokens"]
    assert budget == 2048
    added = ["arms=[closed-book, {retriever: lex, k: [3, 20]}]"]
    added[0] = added[0].replace("k: [3, 20]}", "k: 3}, {retriever: lex, k: 20}")
    capsys.readouterr()
    run_experiment(*load_config(str(ward), added), extend=True)
    assert json.loads(run_file.read_text())["config"]["packing"]["budget_tokens"] == 2048
    packed = read_packed(home / "runs" / "long" / "packed" / "mcq+lex-20.jsonl")
    assert {len(line.passages) for line in packed.values()} == {6}  # 6 x 303 tokens fit, 7 do not
    said = capsys.readouterr().err
    assert "lex-20 on mcq delivered 6.0 passages on average, not 20 (the budget of 2,048" in said
