"""``ragbench analyze``, ``report`` and ``show`` as a user calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.cli.main import cli
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from tests.conftest import FACTS, ragbench
from tests.experiment.writing.cases import NAMES, known
from tests.experiment.writing.conftest import written_home, written_run

__all__ = ["written_home", "written_run"]


def test_analyze_prints_json(run_copy: Path, home: Path) -> None:
    done = ragbench(home, "analyze", "small", "--json")
    found = json.loads(done.stdout)
    gains = [e for e in found if e["effect"] == "gain over closed-book" and not e["stratum"]]
    assert {e["arm"] for e in gains} == {"bm25-2", "bm25-5", "dense-5", "random-5"}
    needed = {"effect", "model", "task", "arm", "estimate", "ci_low", "ci_high", "p", "n"}
    assert all(needed | {"helped", "hurt"} <= set(entry) for entry in found)
    by_path = ragbench(home, "analyze", str(run_copy), "--json")
    assert json.loads(by_path.stdout) == found


@pytest.mark.parametrize("columns", ["80", "40", ""])
def test_analyze_prints_the_verdict_first_and_every_table_on_demand(
    run_copy: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    first = CliRunner().invoke(cli, ["analyze", str(run_copy)]).output
    assert first.splitlines()[0].startswith(("Retrieval helped on icd10cm", "No effect of retri"))
    assert len(first.splitlines()) <= 34 and "adjusted p" not in first
    every = CliRunner().invoke(cli, ["analyze", str(run_copy), "--all"]).output
    assert every.startswith(first)
    words = set(every.split())
    for arm in ("closed-book", "bm25-2", "bm25-5", "dense-5", "random-5"):
        assert arm in words
    assert {"adjusted", "p"} <= words
    assert {"known", "broken", "context"} <= words  # the shares of evidence use
    widest = max(map(len, every.splitlines()))
    assert widest <= int(columns) if columns else widest > 80  # a pipe has a line per row
    assert "\x1b" not in every


def test_report_is_written(run_copy: Path, home: Path) -> None:
    (run_copy / "report.md").unlink()
    done = ragbench(home, "report", "small")
    assert done.returncode == 0, done.stderr
    assert (run_copy / "report.md").is_file()
    assert f"wrote {run_copy / 'report.html'}" in done.stdout


def test_show_prints_a_question_in_every_cell(run_copy: Path, home: Path) -> None:
    first = json.loads((run_copy / "questions" / "icd10cm.jsonl").read_text().splitlines()[0])
    done = ragbench(home, "show", "small", first["id"])
    assert done.returncode == 0, done.stderr
    for arm in ("closed-book", "bm25-2", "bm25-5", "dense-5", "random-5"):
        assert f", {arm} ==" in done.stdout
    assert first["text"] in done.stdout
    as_json = json.loads(ragbench(home, "show", "small", first["id"], "--json").stdout)
    assert as_json["question"] == first
    assert len(as_json["records"]) == 5
    for record in as_json["records"]:
        # By hand: the pick has the largest log-likelihood divided by the length of its text.
        texts, totals = first["options"], record["log_likelihoods"]
        shares = [total / len(text) for total, text in zip(totals, texts, strict=True)]
        pick, score = shares.index(max(shares)), record["score"]
        assert record["per_character"] == pytest.approx(shares)
        assert (score["pick"], score["picked"]) == (pick, texts[pick])
        assert score["right"] is (pick == first["answer"])
        shown = done.stdout.partition(f", {record['arm']} ==")[2].partition("\n== ")[0]
        grade = "right" if score["right"] else "wrong"
        assert f"picked: {'ABCD'[pick]} ({grade})" in shown
        row = f"{totals[pick]:.3f}", f"{shares[pick]:.3f}"
        line = next(line for line in shown.splitlines() if line.strip().startswith(row[0]))
        assert line.split()[1] == row[1] and line.endswith(texts[pick])
        assert "the highest per character is the pick" in shown
    near = ragbench(home, "show", "small", first["id"] + "x")
    assert near.returncode == 3
    assert first["id"] in near.stderr


def test_show_prints_what_models_wrote(written_run: Path) -> None:
    name = NAMES[0]
    command = ["show", str(written_run), f"q-{name}"]
    output = CliRunner().invoke(cli, command).output
    shown = output.partition("== llama, filtered-1 ==")[2].partition("\n== ")[0]
    first = FACTS[name].partition(", ")[0]
    assert f"llama, queries.parts: Questions:\n1. {first}?" in shown
    # 1 / (1 + e^-2.9), from the planted log-likelihoods -0.1 and -3.
    assert f"med, filter: d-{name} has the score 0.948 and is kept" in shown
    memory = output.partition("== med, memory ==")[2].partition("\n== ")[0]
    assert f"med, passages.memory: {known('med', name)} is" in memory
    plain = output.partition("== llama, closed-book ==")[2].partition("\n== ")[0]
    assert "llama, " not in plain
    (cell,) = (
        record
        for record in json.loads(CliRunner().invoke(cli, [*command, "--json"]).output)["records"]
        if (record["model"], record["arm"]) == ("med", "own-1")
    )
    assert [(one["by"], one["name"]) for one in cell["written"]] == [("med", "queries.own")]


def test_show_says_how_a_reply_was_read(home: Path) -> None:
    lines = {
        "B.": "picked: B (right), parsed by the rule ",
        "A": "picked: A (wrong), parsed by the rule ",
        "I like cheese": "picked: none (wrong), unparsed",
    }
    options = {"options": ["iron", "zinc"], "answer": "zinc"}
    asked = [{"id": f"q{i}", "question": f"Which is number {i}?"} | options for i in range(3)]
    (home / "q.jsonl").write_text("\n".join(map(json.dumps, asked)), encoding="utf-8")
    replies = [{"contains": f"number {i}?", "reply": reply} for i, reply in enumerate(lines)]
    config = {
        "name": "one",
        "scoring": "generate",
        "models": [{"name": "m", "backend": "scripted", "replies": replies}],
        "tasks": [{"name": "own", "task": "mcq", "options": {"path": str(home / "q.jsonl")}}],
        "arms": ["closed-book"],
    }
    (home / "one.yaml").write_text(json.dumps(config), encoding="utf-8")
    run_experiment(*load_config(str(home / "one.yaml"), []))
    for i, line in enumerate(lines.values()):
        done = CliRunner().invoke(cli, ["show", "one", f"q{i}"], catch_exceptions=False)
        assert line in done.output and "* B  zinc" in done.output
        found = CliRunner().invoke(cli, ["show", "one", f"q{i}", "--json"], catch_exceptions=False)
        (record,) = json.loads(found.output)["records"]
        assert record["score"]["right"] is ("right" in line)
        assert record["score"]["outcome"] == ("unparsed" if i == 2 else "parsed")
        assert record["per_character"] is None
