"""A writer or a filter that fails ends in errors; one that says nothing of use is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.load import load_run
from ragbench.base.errors import BackendError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.report.verdict.limits import limits
from ragbench.runfolder.packed import read_packed
from ragbench.runfolder.paths import RunPaths
from tests.experiment.writing.cases import NAMES, N
from tests.experiment.writing.test_all_stages import CONFIG
from tests.experiment.writing.test_rounds import make_rounds

STAGES = {
    "a rationale": "Write the reasoning",
    "passages from memory": "passages that help",
    "the first round": "follow-up questions that were not",
    "the second round": "Asked before:.*follow-up questions that were not",
    "an answer in a round": "Answer in one or two sentences",
    "a judgement": "Does the passage help",
}


def run(home: Path, *overrides: str) -> RunPaths:
    return run_experiment(*load_config(str(home / "killed.yaml"), overrides)).folder


@pytest.fixture
def every(home: Path) -> Path:
    make_rounds(home)
    (home / "killed.yaml").write_text(CONFIG)
    return home


TESTED_ELSEWHERE = ("a rationale", "the first round", "a judgement")  # in the default tier
FAILURES = [
    pytest.param(
        stage, which, marks=[pytest.mark.slow] * (which == "all" or stage in TESTED_ELSEWHERE)
    )
    for stage in STAGES
    for which in ("one", "all")
]


@pytest.mark.parametrize(("stage", "which"), FAILURES)
def test_a_failure_in_any_stage_ends_in_an_error_before_the_answers(
    every: Path, stage: str, which: str
) -> None:
    """The passage that is judged or read comes before the question, and each has one case."""
    asked = f"(?s){STAGES[stage]}"
    if which == "one":
        fact = f"(wardnote{'h' * 3}|sign{NAMES.index(NAMES[7]) + 31}|Case 18)"
        asked = f"(?s)(?=.*{fact}).*{STAGES[stage]}"
    failing = [f"models.{model}.fail_on='{asked}'" for model in ("llama", "med")]
    with pytest.raises(BackendError) as failed:
        run(every, *failing)
    assert failed.value.exit_code == 5
    assert "fails on purpose" in failed.value.what
    folder = every / "runs" / "killed"
    for name in ("packed", "records", "scores", "results.csv"):
        assert not (folder / name).exists()


def test_empty_replies_are_counted_wherever_they_leave_a_question_alone(
    every: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing is found by the questions' own words, so that every arm is closed-book, and says."""
    (every / "empty.jsonl").write_text(json.dumps({"matches": "(?s).*", "reply": ""}) + "\n")
    both = [f"models.{model}.replies=empty.jsonl" for model in ("llama", "med")]
    folder = run(every, *both)
    said = capfd.readouterr().err
    assert f"{N} of {N} replies were empty, for which the question itself is the query" in said
    assert f"{N} of {N} replies were empty, for which no passage is given" in said
    assert f"ended early for {N} of {N} questions, where nothing new was asked" in said
    report = list(limits(load_run(folder.path), []))
    none = f"{N} of {N} questions; it wrote none for {N}, which were asked closed-book"
    both_models = f"{2 * N} of {2 * N} questions; it wrote none for {2 * N}"
    assert any("memory on cases for llama and med delivered 0.0" in x for x in report)
    assert any(both_models in x for x in report), none
    for arm in ("own-1 on cases for llama and med", "r-2 on cases"):
        (line,) = (x for x in report if x.startswith(f"{arm} delivered 0.0"))
        assert "the ranking has fewer" in line
        assert "which were asked closed-book" in line
    assert any(f"({N} with an empty reply)" in x for x in report)
    scores = pd.read_parquet(folder.scores("correct"))
    assert (scores.delivered_k == 0).all()


NONSENSE = ["1. \n2. \n- ", "?" * 3000, "\ud800"]


@pytest.mark.parametrize(
    "reply",
    [
        "\u0000 @@@ <b>x</b>",
        *(pytest.param(text, marks=pytest.mark.slow, id=f"{i}") for i, text in enumerate(NONSENSE)),
    ],
)
def test_nonsense_is_kept_as_it_is_and_no_question_is_lost(every: Path, reply: str) -> None:
    line = {"matches": "(?s).*", "reply": reply}
    (every / "nonsense.jsonl").write_text(json.dumps(line) + "\n")
    folder = run(every, "models.llama.replies=nonsense.jsonl")
    scores = pd.read_parquet(folder.scores("correct"))
    assert len(scores) == 2 * 4 * N
    assert (scores.outcome != "error").all()
    delivered = read_packed(folder.packed("cases", "memory", "llama"))
    assert len(delivered) == N
    assert len({line.passages for line in delivered.values()}) == 1


def test_a_filter_with_another_number_of_values_is_an_error(every: Path) -> None:
    line = {"contains": "Does the passage help", "log_likelihoods": [-1.0, -1.0, -1.0]}
    (every / "wrong.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(BackendError, match="log-likelihoods for 2 options"):
        run(every, "models.med.replies=wrong.jsonl")
    assert not (every / "runs" / "killed" / "packed").exists()
