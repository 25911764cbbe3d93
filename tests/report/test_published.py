"""Published figures: as shipped, and beside a run's own."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.load import Run
from ragbench.report.published import FILE, METRICS, TASKS, _plain_name, beside_rows, published
from tests.analysis.making import about_of


def test_what_is_shipped_is_what_was_collected(shared_data: Path) -> None:
    columns = ["source", "model", "task", "metric", "value"]
    theirs = pd.read_csv(shared_data / "published_results.csv")[columns]
    pd.testing.assert_frame_equal(pd.read_csv(FILE)[columns], theirs)


def test_every_task_and_metric_of_the_tables_is_in_the_file() -> None:
    table = published()
    assert set(TASKS) <= set(table["task"])
    assert set(METRICS) <= set(table["metric"])
    assert table["seen_in"].str.len().min() > 10


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("meta-llama/Meta-Llama-3-8B-Instruct", "Llama-3-8B-Instruct"),
        ("aaditya/Llama3-OpenBioLLM-70B", "OpenBioLLM-70B"),
        ("epfl-llm/meditron-7b", "meditron-7b"),
        ("meta-llama/Llama-2-70b-hf", "Llama-2-70b"),
        ("gpt-35-turbo-16k", "GPT-3.5-16k-0613"),
    ],
)
def test_names_of_one_model(ours: str, theirs: str) -> None:
    assert _plain_name(ours) == _plain_name(theirs)


def test_models_that_are_not_the_same() -> None:
    names = ["llama2-7b", "llama2-7b-hf", "Llama-2-70b-chat", "Llama-2-70b", "OpenBioLLM-8B"]
    assert len({_plain_name(name) for name in names}) == len(names)


def test_figures_beside_a_runs_own() -> None:
    about = about_of(
        {
            "models": [
                {"name": "bio", "model": "aaditya/Llama3-OpenBioLLM-8B"},
                {"name": "other", "model": "someone/other"},
            ],
            "tasks": [{"name": "cases", "task": "nejm"}, {"name": "mine", "task": "mcq"}],
        },
        {name: {"arms": ["closed-book", "bm25-5"]} for name in ("cases", "mine")},
    )
    results = pd.DataFrame(
        [
            {"model": "bio", "task": "cases", "arm": a, "metric": "accuracy", "value": v}
            for a, v in (("closed-book", 0.25), ("bm25-5", 0.5))
        ]
    )
    header, rows = beside_rows(Run(Path("x"), about, results, results, {}), results)
    assert header[4:7] == ["ours", "mode", "published"]
    # The paper's abstract: OpenBioLLM-8B has 30 % on the NEJM cases.
    assert rows == [
        [
            *("bio", "cases", "accuracy", "closed-book", "25.0 %", "correct", "30.00 %", "-"),
            "Dorfner2024_arXiv2408.13833",
        ]
    ]
