"""Runs behind a server that misbehaves at one question: no wrong number, and the rest as it is.

The model knows all four answers. Only the prompts of goitre are answered wrongly.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest

from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.models.served import http
from ragbench.report.write import write_report
from scripts.fake_server import FakeServer
from scripts.fakes.failures import Failing
from scripts.fakes.manners import FILTERED_PROMPT, FILTERED_REPLY, SERVED
from scripts.fakes.rule import Fact, RuleModel
from scripts.fakes.vendors import VENDORS

Scoring = Literal["generate", "letters"]
NAMES = ("scurvy", "goitre", "pellagra", "beriberi")
CONFIG = """\
name: misbehaving
models:
  - {{name: m, backend: server, url: "{url}", model: {model}, retries: 2, context: 4096,
     concurrency: 1{more}}}
tasks:
  - {{name: asked, task: mcq, scoring: {scoring}, options: {{path: asked.jsonl}}}}
arms: [closed-book]
"""
SLOW = pytest.mark.slow
PASSING = [
    *("429-date", "loading", "reset"),
    *(pytest.param(k, marks=SLOW) for k in ("429", "429-seconds", "429-fraction", "429-ms")),
]


def run(home: Path, failing: Failing, scoring: Scoring, more: str = "") -> pd.DataFrame:
    """Return the scores of a run, by question, and check its number of errors."""
    questions = [
        {"id": name, "question": f"Which of {name}?", "options": ["x", "y", "z"], "answer": "B"}
        for name in NAMES
    ]
    (home / "asked.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    with FakeServer(failing.answer) as server:
        url = server.origin + failing.vendor.base
        path = home / "misbehaving.yaml"
        path.write_text(CONFIG.format(url=url, model=SERVED, scoring=scoring, more=more))
        finished = run_experiment(*load_config(str(path)))
    scores = pd.read_parquet(home / "runs" / "misbehaving" / "scores" / "correct.parquet")
    assert finished.errors == (scores.outcome == "error").sum()
    return scores.set_index("question_id").loc[list(NAMES)]


def failing(vendor: str, kind: str, times: int = 0, on: str = "goitre") -> Failing:
    facts = [Fact(f"Which of {name}?", "B", "no such text", "B") for name in NAMES]
    return Failing(VENDORS[vendor](RuleModel(facts=facts)), kind, times=times, on=on)


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "pause", lambda _: None)


@pytest.mark.parametrize("kind", PASSING)
def test_what_passes_is_waited_for(home: Path, kind: str) -> None:
    scores = run(home, failing("vllm", kind, times=2), "generate")
    assert scores.outcome.tolist() == ["parsed"] * 4
    assert scores.accuracy.tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("kind", "scoring", "why"),
    [
        ("429-fraction", "generate", "Rate limit reached"),
        pytest.param("loading", "letters", "Loading model", marks=SLOW),
        pytest.param("reset", "generate", "cannot be asked", marks=SLOW),
        ("page", "generate", "is not a JSON object"),
        pytest.param("no-choices", "generate", "0 choices, not one", marks=SLOW),
        ("no-choices", "letters", "0 choices, not one"),
        ("no-content", "generate", "no content"),
        ("too-long", "generate", "more than the limit"),
        ("nan", "letters", "log-probability nan"),
    ],
)
def test_what_stays_is_an_error_of_its_question(
    home: Path, kind: str, scoring: Scoring, why: str
) -> None:
    scores = run(home, failing("vllm", kind), scoring)
    assert scores.outcome.tolist() == ["parsed", "error", "parsed", "parsed"]
    assert why in scores.error["goitre"]
    assert scores.accuracy.drop("goitre").tolist() == [1.0] * 3


@pytest.mark.parametrize("scoring", ["generate", "letters"])
@pytest.mark.parametrize(
    "kind", ["filtered-prompt", pytest.param("filtered-shortly", marks=SLOW), "filtered-reply"]
)
def test_what_a_filter_stops_is_refused(home: Path, kind: str, scoring: Scoring) -> None:
    scores = run(home, failing("openai", kind), scoring)
    assert scores.outcome.tolist() == ["parsed", "refused", "parsed", "parsed"]
    assert scores.accuracy.tolist() == [1.0, 0.0, 1.0, 1.0]
    if kind == "filtered-prompt":
        assert "refused" in write_report(home / "runs" / "misbehaving").path.read_text()


@pytest.mark.parametrize("scoring", ["generate", "letters"])
@pytest.mark.parametrize("marker", [FILTERED_PROMPT, FILTERED_REPLY])
def test_azures_filter_refuses_a_prompt_or_ends_a_reply(
    home: Path, monkeypatch: pytest.MonkeyPatch, marker: str, scoring: Scoring
) -> None:
    monkeypatch.setenv("AZURE_KEY", "0123456789abcdef")
    monkeypatch.setattr(f"{__name__}.NAMES", ("scurvy", marker, "pellagra", "beriberi"))
    more = ', headers: {api-key: "env:AZURE_KEY"}, api_version: "2024-10-21"'
    scores = run(home, failing("azure", "empty", on="no such text"), scoring, more)
    assert scores.outcome.tolist() == ["parsed", "refused", "parsed", "parsed"]


def test_an_empty_reply_is_no_answer(home: Path) -> None:
    scores = run(home, failing("vllm", "empty"), "generate")
    assert scores.outcome.tolist() == ["parsed", "unparsed", "parsed", "parsed"]
    assert scores.accuracy.tolist() == [1.0, 0.0, 1.0, 1.0]


def test_a_filtered_question_does_not_hide_that_all_others_tie(home: Path) -> None:
    """The three letters have the same number, so that none is preferred."""
    rule = RuleModel(dict.fromkeys("ABC", 7.0))
    scores = run(home, Failing(VENDORS["openai"](rule), "filtered-prompt", on="goitre"), "letters")
    assert scores.outcome.tolist() == ["error"] * 4
