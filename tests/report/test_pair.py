"""A real pair, in both forms of prompt: what the tables, the sentences and the page say of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.results import results
from ragbench.report.markdown import notes, report, summary
from ragbench.report.page import page
from ragbench.report.tables import OF_PAIR, pair_rows, points, retrieval_arms
from tests.conftest import make_mixed_home, ragbench
from tests.report.reading import read, tables

CONFIG = """\
name: pair
seed: 5
prompt_format: both
indexes:
  bm25: {recipe: bm25}
models: ["card:smollm2-135m-icd-hpo"]
tasks:
  - {name: facts, task: mcq, options: &facts {path: facts.jsonl, corpus: facts}}
  - {name: facts-options, task: mcq, scoring: options, options: *facts}
arms:
  - closed-book
  - {retriever: bm25, k: [1, 2]}
  - {control: random, like: bm25-1}
  - {control: oracle, like: bm25-1}
"""
PAIRS = [f"smollm2-135m-icd-hpo-{form} against smollm2-135m-{form}" for form in ("chat", "plain")]


@pytest.fixture(scope="module")
def pair_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_mixed_home(tmp_path_factory.mktemp("pair"))
    (folder / "pair.yaml").write_text(CONFIG, encoding="utf-8")
    done = ragbench(folder, "run", "pair.yaml")
    assert done.returncode == 0, done.stderr
    assert f"{PAIRS[1]}  facts  " in " ".join(done.stdout.split(" ")).replace("   ", "  ")
    assert "smallest detectable" in done.stdout
    return folder


@pytest.fixture
def run(pair_home: Path) -> Run:
    return load_run(pair_home / "runs" / "pair")


def right(run: Run, model: str, task: str, arm: str) -> pd.Series[float]:
    return run.cell(model, task, arm).set_index("question_id").accuracy.sort_index()


def test_both_members_got_the_same_passages(run: Run) -> None:
    keys = ["task", "arm", "question_id", "delivered_k", "passage_tokens", "gold_delivered"]
    delivered = [
        run.scores.loc[run.scores.model == model, keys].to_dict(orient="records")
        for model in run.members("models")
    ]
    assert len(delivered) == 4
    assert all(other == delivered[0] for other in delivered[1:])


def test_every_pair_has_its_seven_effects(run: Run) -> None:
    found = effects(run)
    header, rows = pair_rows(run, found)
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    assert list(dict.fromkeys(cell["pair"] for cell in cells)) == PAIRS
    for pair in PAIRS:
        for task in ("facts", "facts-options", "(macro)", "(items)"):
            mine = [c for c in cells if c["pair"] == pair and c["task"] == task]
            assert list(dict.fromkeys(c["effect"] for c in mine)) == list(OF_PAIR.values())
            assert {c["arm"] for c in mine} == {"closed-book", "bm25-1", "bm25-2"}
    _, short = pair_rows(run, found, first_arm=True)
    assert {row[3] for row in short} == {"closed-book", "bm25-1"}
    assert retrieval_arms(run, "(macro)") == ["bm25-1", "bm25-2"]


def test_an_interaction_of_the_table_is_that_of_the_scores(run: Run) -> None:
    header, rows = pair_rows(run, effects(run))
    (row,) = [r for r in rows if r[:4] == [PAIRS[0], "facts", "interaction", "bm25-2"]]
    gains = [
        right(run, model, "facts", "bm25-2") - right(run, model, "facts", "closed-book")
        for model in ("smollm2-135m-icd-hpo-chat", "smollm2-135m-chat")
    ]
    assert row[header.index("points")] == points((gains[0] - gains[1]).mean())


def test_sentences_say_what_each_bought_and_what_could_not_be_seen(run: Run) -> None:
    found = effects(run)
    lines = [line for line in summary(run, results(run), found) if " against " in line]
    assert [line.partition(",")[0] for line in lines] == [
        f"{pair} on {task}" for pair in PAIRS for task in ("facts", "facts-options")
    ]
    for line in lines:
        assert "n = 6: retrieval (bm25-1) " in line
        assert "; fine-tuning " in line and "; retrieval less fine-tuning " in line
    doubtful = found.assign(ci_low=-0.1, ci_high=0.2, smallest_detectable=0.3)
    assert summary(run, results(run), doubtful)[0].count("could not have seen less than 30.0") == 3
    broken = found.assign(status="incomplete")
    assert "nothing is tested" in summary(run, results(run), broken)[0]


def test_what_is_not_alike_is_repeated_in_the_report(run: Run) -> None:
    assert not [note for note in notes(run) if "against" in note]
    run.about["identity"]["models"]["smollm2-135m-plain"]["context_tokens"] = 2048
    (note,) = [note for note in notes(run) if "against" in note]
    assert "the context of smollm2-135m-plain (2,048 tokens) is shorter" in note
    found, gains = results(run), effects(run)
    assert note in page(run, found, gains)
    assert "(2,048 tokens) is shorter" in report(run, found, gains, None)


def test_the_page_and_the_markdown_show_the_pairs(run: Run) -> None:
    found, gains = results(run), effects(run)
    root = read(page(run, found, gains))
    header, rows = pair_rows(run, gains)
    assert tables(root)["Retrieval or fine-tuning"] == [header, *rows]
    drawn = [svg.all("title")[0].text for svg in root.all("svg") if svg.all("title")]
    assert [title for title in drawn if " against " in title and title.endswith(" on facts")]
    assert "## Retrieval or fine-tuning" in report(run, found, gains, None)


def test_a_pair_of_different_number_formats_is_refused(pair_home: Path) -> None:
    done = ragbench(
        pair_home,
        *("plan", "pair.yaml", "--set", "models.smollm2-135m-icd-hpo.dtype=float32"),
        *("--set", "models.smollm2-135m.dtype=bfloat16"),
    )
    assert done.returncode == 2
    assert "runs in float32 and its base 'smollm2-135m-chat' in bfloat16" in done.stderr
    assert "give both the same `dtype`" in done.stderr
