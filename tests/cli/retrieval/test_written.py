"""``ragbench index eval --queries RUN``, against the planted queries, SciPy and the run itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from scipy import stats

from ragbench.base.errors import DataError, UsageError
from ragbench.cli.main import cli
from tests.conftest import made_once
from tests.experiment.writing.cases import N
from tests.experiment.writing.conftest import finished
from tests.experiment.writing.test_rounds import FOUND, finished_rounds

ALONE = {"--per-query": (), "--against": ("x",), "--run-file": ("x",), "--id-field": ("x",)}


@pytest.fixture
def made(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = made_once(tmp_path_factory, "written", finished)
    monkeypatch.setenv("RAGBENCH_HOME", str(home))
    return home / "runs" / "written"


@pytest.fixture
def rounds(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = made_once(tmp_path_factory, "rounds", finished_rounds)
    monkeypatch.setenv("RAGBENCH_HOME", str(home))
    return home / "runs" / "rounds"


def evaluate(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["index", "eval", "bm25-facts", *arguments])


def by_name(*arguments: str) -> dict[str, dict[str, Any]]:
    done = evaluate("--json", *arguments)
    assert done.exit_code == 0, done.exception
    return {one["name"]: one for one in json.loads(done.stdout)["tasks"]["cases"]["queries"]}


def test_each_kind_has_the_recall_that_was_planted(made: Path) -> None:
    """The questions find nothing; of the med model, 4 of 12 are wrong and one is empty."""
    found = by_name("--queries", "written", "-m", "R@1")
    values = {name: one["R@1"] for name, one in found.items()}
    assert values == {
        "the question": 0.0,
        "rationale": 1.0,
        "own@llama": 1.0,
        "own@med": pytest.approx(7 / N),
        "parts": 1.0,
        "shown": 1.0,
    }
    assert (found["own@med"]["n_empty"], found["own@llama"]["n_empty"]) == (1, 0)
    assert (found["parts"]["kind"], found["parts"]["written_by"]) == ("subquestions", "llama")
    part = found["own@med"]["differences"]["R@1"]
    assert (part["estimate"], part["better"], part["worse"]) == (pytest.approx(7 / N), 7, 0)
    # McNemar's mid-p of 7 against 0: half of the exact two-sided p, 2 / 2**7.
    exact = stats.binomtest(7, 7, 0.5).pvalue
    assert part["p"] == pytest.approx(exact - stats.binom.pmf(7, 7, 0.5))
    # Holm over five kinds: four have 12 against 0, so this p is the largest.
    assert part["p_adjusted"] == pytest.approx(part["p"])
    assert found["the question"]["differences"] == {}


def test_figures_are_those_of_the_run_over_the_same_index(rounds: Path) -> None:
    found = by_name("--queries", str(rounds), "-m", "R@3", "-m", "RR@3")
    results = pd.read_csv(rounds / "results.csv").set_index(["model", "arm", "metric"]).value
    assert set(found) == {
        *("the question", "one-3", "three-3", "own-3@llama", "own-3@med", "bare-3")
    }
    for name, one in found.items():
        source = "bm25" if name == "the question" else f"bm25~{name}"
        for measure in ("R@3", "RR@3"):
            assert one[measure] == pytest.approx(results["-", source, measure]), (name, measure)
    assert found["three-3"]["R@3"] == pytest.approx(len(FOUND) / N)


def test_one_arm_and_judgements_of_ones_own(made: Path, tmp_path: Path) -> None:
    qrels = tmp_path / "qrels"  # of two questions, one of which the rationale misses
    qrels.write_text("q-scurvy 0 d-scurvy 1\nq-rickets 0 d-scurvy 1\nq-none 0 d-scurvy 1\n")
    words = ("--queries", "written", "--qrels", str(qrels), "-m", "R@1", "--arm", "rationale-1")
    assert {name: one["R@1"] for name, one in by_name(*words).items()} == {
        "the question": 0.0,
        "rationale": 0.5,
    }
    printed = evaluate(*words).stdout
    assert "cases: 2 questions, searched in bm25-facts" in printed
    assert f"{N - 2} questions without judgements are excluded" in printed
    assert "rationale: rationale, written by llama\n" in printed


def refused(kind: type[Exception], *arguments: str) -> str:
    done = evaluate(*arguments)
    assert isinstance(done.exception, kind), done.output
    return str(done.exception)


def test_what_cannot_be_compared_is_refused(made: Path, tmp_path: Path) -> None:
    assert "it has rationale-1, own-1" in refused(
        UsageError, "--queries", "written", "--arm", "plain-1"
    )
    for option, values in ALONE.items():
        assert f"{option} has no effect" in refused(
            UsageError, "--queries", "written", option, *values
        )
    assert "no run 'nothing'" in refused(DataError, "--queries", "nothing")
    assert "--arm names an arm of a run" in refused(
        UsageError, "--queries", str(made / "questions" / "cases.jsonl"), "--arm", "own-1"
    )
    qrels = tmp_path / "qrels"
    qrels.write_text("q-scurvy 0 elsewhere 1\n")
    assert "no task of the run has a relevant passage in the corpus 'facts'" in refused(
        DataError, "--queries", "written", "--qrels", str(qrels)
    )


def test_changed_queries_are_refused(
    made: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(made.parents[1], home, dirs_exist_ok=True)
    monkeypatch.setenv("RAGBENCH_HOME", str(home))
    records = home / "runs" / "written" / "written" / "records"
    path = records / "llama+cases+queries.rationale.0.jsonl"
    path.write_text(path.read_text().replace("vitamin C", "vitamin D"))
    assert "has changed since it was written" in refused(DataError, "--queries", "written")
