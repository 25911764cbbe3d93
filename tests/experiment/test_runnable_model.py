"""Runs with a pipeline as a model: it answers by itself, from the config to the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from ragbench.base.errors import UsageError
from ragbench.cli.main import cli
from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.run import Finished, run_experiment
from ragbench.report.write import write_report
from ragbench.runfolder.records import last_records

# Two pipelines: one of LangChain that reports its tokens, and one of nobody's that writes a text.
APP = """\
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda

HERE = Path(__file__).parent
FACTS = {"gout": "urate in a joint", "croup": "a barking cough", "tea": "a drink"}


def note(prompt):
    name = next(name for name in FACTS if f"What is {name}?" in prompt)
    with (HERE / "log").open("a") as lines:
        lines.write(name + "\\n")
    if name == "croup" and (HERE / "broken").exists():
        raise RuntimeError("the server is away")
    return name


def build(usage):
    def answer(prompt):
        name = note(prompt)
        line = next(line for line in prompt.splitlines() if line.endswith(". " + FACTS[name]))
        said = AIMessage(f"The answer is {line[0]}.", usage_metadata=usage)
        model = GenericFakeChatModel(messages=iter([said]))
        return {"context": [Document(FACTS[name])], "answer": model.invoke(prompt).content}

    return RunnableLambda(answer)


class Plain:
    def invoke(self, prompt):
        note(prompt)
        return "The answer is B."


plain = Plain()
"""
USAGE = {"input_tokens": 120, "output_tokens": 7, "total_tokens": 127}
ASKED = {"q1": ("gout", "A"), "q2": ("croup", "B"), "q3": ("tea", "B")}
MINE = {"name": "mine", "factory": "answering_app:build", "options": {"usage": USAGE}}
PLAIN = {"name": "plain", "factory": "answering_app:plain"}


@pytest.fixture
def asked(home: Path) -> Path:
    """A home with the code of the pipelines and three questions."""
    facts = {"gout": "urate in a joint", "croup": "a barking cough", "tea": "a drink"}
    lines = []
    for q, (name, right) in ASKED.items():
        options = [facts[name], "nothing"] if right == "A" else ["nothing", facts[name]]
        lines.append({"id": q, "question": f"What is {name}?", "options": options, "answer": right})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (home / "asked.jsonl").write_text(text, encoding="utf-8")
    (home / "answering_app.py").write_text(APP, encoding="utf-8")
    return home


def config(*models: dict[str, Any], **keys: Any) -> dict[str, Any]:
    options = {"path": "asked.jsonl"} | keys.pop("options", {})
    return {
        "name": "r",
        "scoring": "generate",
        "models": [{"backend": "runnable", "trust_code": True, **model} for model in models],
        "tasks": [{"name": "t", "task": "mcq", "options": options}],
        "arms": ["closed-book"],
        **keys,
    }


def run(*models: dict[str, Any], **keys: Any) -> Finished:
    return run_experiment(*load_config(config(*models, **keys)))


def log(home: Path) -> list[str]:
    """Return the names that the pipelines were asked for since the last look."""
    names = (home / "log").read_text().split() if (home / "log").exists() else []
    (home / "log").unlink(missing_ok=True)
    return names


def test_from_the_config_to_the_report(asked: Path) -> None:
    prices = {"mine": {"input": 1000, "output": 10000}, "plain": {"input": 1, "output": 1}}
    done = run(MINE, PLAIN, prices=prices)
    assert done.errors == 0
    assert log(asked) == ["gout", "croup", "tea"] * 2
    records = last_records(done.folder.records("mine", "t", "closed-book"))
    assert {q: r.reply for q, r in records.items()} == {
        q: f"The answer is {right}." for q, (_, right) in ASKED.items()
    }
    told = {(r.prompt_tokens, r.reply_tokens, r.model_calls) for r in records.values()}
    assert told == {(120, 7, 1)}
    # 120 tokens at 1,000 and 7 at 10,000 per million, three times; the other reports no tokens.
    assert done.spending.by_model == {"mine": pytest.approx(3 * 0.19), "plain": None}
    scores = pd.read_parquet(done.folder.path / "scores" / "correct.parquet")
    assert scores.groupby("model").accuracy.mean().to_dict() == {
        "mine": 1.0,
        "plain": pytest.approx(2 / 3),  # B is right twice
    }
    write_report(done.folder.path)
    assert (
        done.spending.sentence() == "the answers cost 0.57 USD, without plain (tokens not reported)"
    )
    report = (done.folder.path / "report.md").read_text(encoding="utf-8")
    assert "| mine | t | closed-book |" in report and "| plain | t | closed-book |" in report
    assert "mine is a runnable: it searches and decodes as its code does" in report

    assert run(MINE, PLAIN, prices=prices).errors == 0
    assert log(asked) == []  # nothing is asked twice
    app = asked / "answering_app.py"
    app.write_text(APP.replace("The answer is B", "The answer is A"), encoding="utf-8")
    with pytest.raises(UsageError, match="another config") as caught:
        run(MINE, PLAIN, prices=prices)
    assert "models.mine.weights: 'unknown; module of" in caught.value.where


def test_a_fault_is_an_error_of_its_question_and_what_is_missing_is_asked_again(
    asked: Path,
) -> None:
    (asked / "broken").touch()
    done = run(PLAIN)
    assert done.errors == 1 and log(asked) == ["gout", "croup", "tea"]
    path = done.folder.records("plain", "t", "closed-book")
    assert last_records(path)["q2"].error == (
        "the runnable of the model 'plain' raised an error while it answered this question: "
        "RuntimeError: the server is away"
    )
    (asked / "broken").unlink()
    *before, last = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(before) + last[:40], encoding="utf-8")  # as a kill leaves it
    assert run(PLAIN).errors == 0 and log(asked) == ["croup", "tea"]
    assert run(PLAIN).errors == 0 and log(asked) == []


def test_no_code_runs_for_what_is_refused_or_planned(asked: Path) -> None:
    for keys in ({"scoring": "letters"}, {"scoring": "options"}):
        with pytest.raises(UsageError, match="'plain' is a runnable, which writes answers"):
            run(PLAIN, **keys)
        with pytest.raises(UsageError, match="write `scoring: generate`"):
            _ = OfflineGrid(*load_config(config(PLAIN, **keys))).models
    closed = {"options": {"data_use": "restricted"}}
    with pytest.raises(UsageError, match="the model 'plain' does not say where") as caught:
        run(PLAIN, **closed)
    assert "`servers: []`" in caught.value.fix
    with pytest.raises(UsageError, match=r"is served by models\.example\.org"):
        run(PLAIN | {"servers": ["https://models.example.org"]}, **closed)
    (estimate,) = make_plan(OfflineGrid(*load_config(config(PLAIN)))).estimates
    assert (estimate.prompts, estimate.seconds, estimate.money) == (3, None, None)
    (asked / "r.yaml").write_text(json.dumps(config(PLAIN)), encoding="utf-8")
    printed = CliRunner().invoke(cli, ["plan", str(asked / "r.yaml")]).output
    assert "time      unknown\n" in printed  # no --device would tell
    assert log(asked) == []
