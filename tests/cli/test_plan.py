"""``ragbench plan`` as a user calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.base.errors import RagbenchError, UsageError
from ragbench.cli.main import cli
from ragbench.cli.plan import print_plan, totals
from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.cost import CostEstimate
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import Plan, make_plan
from tests.unions import write_corpus


def test_plan_prints_grid_prompts_and_costs(
    finished_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAGBENCH_HOME", str(finished_home))
    config = str(finished_home / "small.yaml")
    run = CliRunner().invoke
    done = run(cli, ["plan", config])
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "small: 1 model, 1 task, 5 arms, 50 prompts"
    assert lines[3:5] == [
        "  money     0 (own machine)",
        "  disk      nothing to build; weights of the models none",
    ]
    assert "everything is built" in lines
    assert max(map(len, lines)) <= 80
    assert len(lines) < 20
    assert "Reference passages:" not in done.stdout
    made = make_plan(OfflineGrid(*load_config(config)))
    capsys.readouterr()
    print_plan(made, prompts=1, whole=False)
    shown = capsys.readouterr().out
    assert shown.count("\n== scripted, icd10cm, bm25-2, ") == shown.count("\n== ") == 1
    assert shown.count("Reference passages:") == 1
    print_plan(made, prompts=0, whole=True)
    whole = capsys.readouterr().out
    assert whole.count("\n== ") == 15
    assert "prompt tokens, about" in whole
    # bm25-2 comes first, and random-5 imitates bm25-5.
    why = "the first retrieval arm that a control imitates"
    said = f"primary arm of icd10cm: bm25-5 ({why})"
    assert said in " ".join(done.stdout.split())
    as_json = json.loads(run(cli, ["plan", config, "--json"]).stdout)
    assert len(as_json["samples"]) == 15
    assert as_json["primary"] == [{"task": "icd10cm", "arm": "bm25-5", "why": why}]
    refused = run(cli, ["plan", config, "--set", "packing.budget_tokens=9999"])
    assert isinstance(refused.exception, UsageError)
    assert "packing.budget_tokens" in refused.exception.fix


CONFIG = """\
name: x
indexes: {lex: {recipe: bm25, corpus: ward}}
models: [{name: m, backend: scripted}]
tasks: [{name: mcq, options: {path: q.jsonl}}]
arms: [closed-book, {retriever: lex, k: 2}]
"""


@pytest.mark.parametrize(
    ("old", "new", "what", "code"),
    [
        ("corpus: ward", "corpus: wrad", "there is no corpus 'wrad'", 2),
        ("corpus: ward", "corpus: [ward, wrad]", "there is no corpus 'wrad'", 2),
        ("corpus: ward", "corpus: bad", "there is no key 'raeder'", 2),
        ("recipe: bm25", "recipe: bm26", "there is no index recipe 'bm26'", 2),
        ("name: mcq", "name: mqc", "there is no task 'mqc'", 2),
        ("arms: [", "arms: [{run_file: no.trec, corpus: ward, k: 1, name: r}, ", "TREC run", 3),
        ("q.jsonl", "no.jsonl", "the file of questions is not there", 3),
        ("corpus: ward", "corpus: gone", "the corpus file is not there", 3),
        ("scripted", "'scripted', replies: no.jsonl", "the table of replies", 4),
    ],
)
def test_a_plan_refuses_what_the_run_refuses(
    home: Path, old: str, new: str, what: str, code: int
) -> None:
    write_corpus(home, "ward", ["a b", "b c"])
    cards = {"bad": "raeder: jsonl\n", "gone": "reader: jsonl\npath: gone.jsonl\n"}
    for name, text in cards.items():
        (home / "corpora" / f"{name}.yaml").write_text(text)
    (home / "q.jsonl").write_text(
        '{"id": "q", "question": "?", "options": ["c", "d"], "answer": "c"}'
    )
    path = home / "x.yaml"
    assert old in CONFIG
    path.write_text(CONFIG.replace(old, new))
    planned, ran = (CliRunner().invoke(cli, [command, str(path)]) for command in ("plan", "run"))
    assert isinstance(planned.exception, RagbenchError)
    assert isinstance(ran.exception, RagbenchError)
    assert what in planned.exception.what
    assert planned.exception.exit_code == ran.exception.exit_code == code
    assert planned.exception.what == ran.exception.what
    assert "everything is built" not in planned.stdout
    assert not (home / "runs" / "x" / "run.json").exists()


@pytest.mark.parametrize(
    ("money", "max_cost", "line"),
    [
        (0.00004, None, "money under 0.01 USD"),
        (0.014, None, "money at most 0.01 USD"),
        (1234.567, 1000.0, "money at most 1,234.57 USD; the run stops at 1,000"),
        (None, None, "money unknown: no price of far"),
    ],
)
def test_a_little_money_is_not_none(money: float | None, max_cost: float | None, line: str) -> None:
    far = CostEstimate("far", 10, 1000, 50, None, None, money=money, requests=10, sent_tokens=5120)
    made = Plan("p", cells=[("far", "t", "closed-book", 10)], estimates=[far], max_cost=max_cost)
    lines = [" ".join(each.split()) for each in totals(made)]
    assert line in lines
    assert "tokens about 5,120 read, at most 50 written" in lines
    assert "time unknown (`questions_per_s` of a model states it)" in lines
