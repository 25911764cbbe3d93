"""A pair in both forms of prompt: what the tables, the sentences and the page say of it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.family import OF_PAIR, retrieval_arms
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.panels.curves import places
from ragbench.analysis.results import results
from ragbench.report.headline import headline
from ragbench.report.markdown import report
from ragbench.report.page.page import page
from ragbench.report.sections import sections
from ragbench.report.tables import pair_rows, points
from ragbench.report.verdict.notes import notes
from ragbench.report.verdict.verdict import verdict
from ragbench.runfolder.packed import delivered_ids
from tests.analysis.making import edited
from tests.conftest import make_mixed_home, ragbench
from tests.report.reading import read, tables

CONFIG = """\
name: pair
seed: 5
prompt_format: both
indexes:
  bm25: {recipe: bm25}
models:
  - {name: tuned, backend: scripted, rule: overlap, kind: biomedical, base: general}
  - {name: general, backend: scripted, seed: 3}
tasks:
  - {name: facts, task: mcq, options: &facts {path: facts.jsonl, corpus: facts}}
  - {name: facts-options, task: mcq, scoring: options, options: *facts}
arms:
  - closed-book
  - {retriever: bm25, k: [1, 2]}
  - {control: random, like: bm25-1}
  - {control: oracle, like: bm25-2}
  - {control: moved, like: bm25-2, place: [1, 2]}
"""
PAIRS = [f"tuned-{form} against general-{form}" for form in ("chat", "plain")]


@pytest.fixture(scope="module")
def pair_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_mixed_home(tmp_path_factory.mktemp("pair"))
    (folder / "pair.yaml").write_text(CONFIG, encoding="utf-8")
    done = ragbench(folder, "run", "pair.yaml")
    assert done.returncode == 0, done.stderr
    said = " ".join(done.stdout.split())  # lines are wrapped at the terminal's width
    assert all(f"- {pair}: " in said for pair in PAIRS)
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


def test_every_pair_has_its_effects(run: Run) -> None:
    # Each question's gold passage comes first, so none is missing, and the oracle is bm25-1.
    wanted = [x for x in OF_PAIR.values() if x != "headroom with gold missing"]
    assert run.same["facts"]["oracle-bm25-2"] == "bm25-1"
    found = effects(run)
    header, rows = pair_rows(run, found)
    cells = [dict(zip(header, row, strict=True)) for row in rows]
    assert list(dict.fromkeys(cell["pair"] for cell in cells)) == PAIRS
    for pair in PAIRS:
        for task in ("facts", "facts-options", "(macro)", "(items)"):
            mine = [c for c in cells if c["pair"] == pair and c["task"] == task]
            assert list(dict.fromkeys(c["effect"] for c in mine)) == wanted
            assert {c["arm"] for c in mine} == {"closed-book", "bm25-1", "bm25-2"}
    _, short = pair_rows(run, found, primary_only=True)
    assert {row[3] for row in short} == {"closed-book", "bm25-1"}
    assert retrieval_arms(run, "(macro)") == ["bm25-1", "bm25-2"]
    declared = edited(run, "config.analysis.primary", {"arm": "bm25-2"})
    _, short = pair_rows(declared, found, primary_only=True)
    assert {row[3] for row in short} == {"closed-book", "bm25-2"}


def test_an_interaction_of_the_table_is_that_of_the_scores(run: Run) -> None:
    header, rows = pair_rows(run, effects(run))
    (row,) = [r for r in rows if r[:4] == [PAIRS[0], "facts", "interaction", "bm25-2"]]
    gains = [
        right(run, model, "facts", "bm25-2") - right(run, model, "facts", "closed-book")
        for model in ("tuned-chat", "general-chat")
    ]
    assert row[header.index("points")] == points((gains[0] - gains[1]).mean())


def test_the_verdict_has_a_sentence_a_pair_and_task(run: Run) -> None:
    found = effects(run)
    lines = verdict(run, found)
    wanted = [f"{pair} on {task}" for pair in PAIRS for task in ("facts", "facts-options")]
    mine = [line for line in lines if line.partition(",")[0] in wanted]
    assert sorted(line.partition(",")[0] for line in mine) == sorted(wanted)
    for line in mine:
        assert ", n = 6: retrieval " in line
        assert "; fine-tuning gain" in line
        assert line.count(" by Holm") == 4
    broken = found.assign(status="incomplete")
    assert sum("so it is not tested" in line for line in verdict(run, broken)) == 4


def test_what_is_not_alike_is_repeated_in_the_report(run: Run) -> None:
    assert not [note for note in notes(run) if "against" in note]
    run = edited(run, "identity.models.general-plain.context_tokens", 2048)
    (note,) = [note for note in notes(run) if "against" in note]
    assert "the context of general-plain (2,048 tokens) is shorter" in note
    found, gains = results(run), effects(run)
    head, parts = headline(run, found, gains), list(sections(run, found, gains))
    assert note in page(run, head, gains, parts)
    assert "(2,048 tokens) is shorter" in report(run, head, gains, parts, "accuracy.svg")


def test_the_page_and_the_markdown_show_the_pairs(run: Run) -> None:
    found, gains = results(run), effects(run)
    head, parts = headline(run, found, gains), list(sections(run, found, gains))
    root = read(page(run, head, gains, parts))
    header, rows = pair_rows(run, gains)
    shown, *lines = tables(root)["Retrieval or fine-tuning"]
    assert {"pair", "points", "p"} <= set(shown)  # as there are two pairs
    places = [header.index(name) for name in shown if name != "95 % interval"]
    kept = [place for place, name in enumerate(shown) if name != "95 % interval"]
    assert sorted([line[i] for i in kept] for line in lines) == sorted(
        [row[i] for i in places] for row in rows
    )
    drawn = [svg.all("title")[0].text for svg in root.all("svg") if svg.all("title")]
    assert [title for title in drawn if " against " in title and title.endswith(" on facts")]
    assert "## Retrieval or fine-tuning" in report(run, head, gains, parts, "accuracy.svg")


def test_the_gold_passage_at_each_place(run: Run) -> None:
    table = places(run)
    mine = table[table.curve == "bm25-2, gold moved"]
    passages = [
        delivered_ids(run.files.packed("facts", f"moved-bm25-2-at-{place}")) for place in (1, 2)
    ]
    # A gold passage that stands alone has no place among others.
    several = [question for question, found in passages[0].items() if len(found) > 1]
    assert 0 < len(several) < 6
    n = len(several)
    assert set(zip(mine.place, mine.n, strict=True)) == {(1, n), (2, n)}
    for row in mine.to_dict(orient="records"):
        arm = f"moved-bm25-2-at-{row['place']}"
        expected = right(run, str(row["model"]), str(row["task"]), arm)[several].mean()
        assert row["value"] == pytest.approx(expected)
    assert all(set(passages[0][q]) == set(passages[1][q]) for q in passages[0])
    titles = [part.title for part in sections(run, results(run), effects(run))]
    assert "By the place of the gold passage" in titles


@pytest.mark.slow
def test_a_pair_of_different_number_formats_is_refused(pair_home: Path) -> None:
    """A plan alone: the weights of the demonstration pair are here, and are not loaded."""
    lines = CONFIG.splitlines()
    at = lines.index("models:")
    lines[at : at + 3] = ['models: ["card:smollm2-135m-icd-hpo"]']
    (pair_home / "real.yaml").write_text("\n".join(lines), encoding="utf-8")
    done = ragbench(
        pair_home,
        *("plan", "real.yaml", "--set", "models.smollm2-135m-icd-hpo.dtype=float32"),
        *("--set", "models.smollm2-135m.dtype=bfloat16"),
    )
    assert done.returncode == 2
    assert "runs in float32 and its base 'smollm2-135m-chat' in bfloat16" in done.stderr
    assert "give both the same `dtype`" in done.stderr
