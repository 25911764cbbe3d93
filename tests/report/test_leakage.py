"""The leakage panel: its tables by hand, on the page, and as files."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.panels.leakage import FACT_COLUMNS, SPLIT_COLUMNS
from ragbench.analysis.results import results
from ragbench.report.headline import headline
from ragbench.report.leakage import (
    duplicate_rows,
    find_leaks,
    leakage_rows,
    panels,
    split_rows,
    write_leaks,
)
from ragbench.report.page.page import page
from ragbench.report.sections import sections
from ragbench.report.write import write_report
from tests.analysis.making import make_run, passage, question
from tests.conftest import FACTS
from tests.report.reading import read, tables
from tests.report.verdict.test_odd_runs import tango
from tests.runfolder.sealing import reseal

TWO = {"options": ["low iron", "high iron"]}
QUESTIONS = [
    question("a", "Is the ferritin low?", **TWO, gold_doc_ids=["d1"]),
    question("b", "Is the ferritin low", **TWO, gold_doc_ids=["d2"], answer=1),
    question("c", "Why?", gold_doc_ids=["d1"]),
    question("d", "How so?"),
]
PASSAGES = [passage("d1", "Is the ferritin low? Then low iron is likely."), passage("d2", "Gout.")]
PACKED = {"closed-book": {}, "r-1": {"a": ["d1"], "b": ["d1"], "c": ["d2"], "d": ["d2"]}}
RIGHT = {"closed-book": {"a": 0.0, "c": 0.0}, "r-1": {"b": 0.0}}


@pytest.fixture
def made(tmp_path: Path) -> Run:
    return make_run(
        tmp_path / "run", questions={"t": QUESTIONS}, passages=PASSAGES, packed=PACKED, right=RIGHT
    )


def test_what_the_passages_give_away(made: Run) -> None:
    """Of a, b and c the source is known, that of a delivered; c and d have answers of one word.

    d1 holds the words of a and b and the option "low iron", right for a and wrong for b. The
    longest runs are 4, 4, 0 and 0 words. Clean are c and d.
    """
    header, (row,) = leakage_rows(find_leaks(made).facts)
    assert dict(zip(header, row, strict=True)) == {
        "task": "t",
        "arm": "r-1",
        "n": "4",
        "source in the corpus": "75.0 %",
        "source delivered": "33.3 % of 3",
        "question matched": "50.0 %",
        "longest run of words, median": "2",
        "answer verbatim": "50.0 % of 2",
        "wrong option verbatim": "50.0 % of 2",
        "clean": "50.0 %",
    }


def test_scores_by_part(made: Run) -> None:
    """Right in the arm: a, c, d; closed-book: b, d. Of c and d, the clean ones, c gained."""
    header, rows = split_rows(made, find_leaks(made).splits)
    assert header[4:] == ["n", "accuracy", "95 % interval", *header[7:]]
    assert header[7:] == ["closed-book", "gain (points)", "95 % interval"]
    seen = {row[3]: [row[4], row[5], row[7], row[8]] for row in rows}
    assert seen == {
        "all": ["4", "75.0 %", "50.0 %", "+25.0"],
        "source delivered": ["1", "100.0 %", "0.0 %", "+100.0"],
        "source not delivered": ["2", "50.0 %", "50.0 %", "+0.0"],
        "question matched": ["2", "50.0 %", "50.0 %", "+0.0"],
        "question not matched": ["2", "100.0 %", "50.0 %", "+50.0"],
        "answer verbatim": ["1", "100.0 %", "0.0 %", "+100.0"],
        "answer not verbatim": ["1", "0.0 %", "100.0 %", "-100.0"],
        "clean": ["2", "100.0 %", "50.0 %", "+50.0"],
    }
    clean = rows[-1]
    assert clean[6] == "34.2 % to 100.0 %"  # Wilson: 2 / (2 + 1.96 ** 2) at the low end
    low, high = tango(1, 0, 2)  # c was helped, d not
    assert clean[9] == f"{100 * low:+.1f} to {100 * high:+.1f}"


def test_bounds_are_called_so(tmp_path: Path) -> None:
    right = {"r-1": {"c": float("nan")}}
    run = make_run(
        tmp_path / "run", questions={"t": QUESTIONS}, passages=PASSAGES, packed=PACKED, right=right
    )
    _, rows = split_rows(run, find_leaks(run).splits)
    clean = rows[-1]
    assert clean[5:7] == ["-", "50.0 % to 100.0 % (bounds)"]
    assert clean[8:] == ["-", "-50.0 to +0.0"]


def test_duplicates_and_those_that_contradict(made: Run) -> None:
    header, (row,) = duplicate_rows(made, find_leaks(made).duplicates)
    assert row == ["t", "4", "1", "2", "0", "0", "1", "a, b"]
    assert len(header) == len(row)


def test_many_contradictory_groups_are_cut(tmp_path: Path) -> None:
    pairs = [
        question(f"{side}{i}", f"Is {i} so?", answer=answer)
        for i in range(22)
        for answer, side in enumerate("ab")
    ]
    run = make_run(tmp_path / "run", questions={"t": pairs})
    _, (row,) = duplicate_rows(run, find_leaks(run).duplicates)
    assert row[-2] == "22"
    assert row[-1].startswith("a0, b0; a1, b1; ")
    assert row[-1].endswith("; a19, b19; and 2 more")


def test_a_run_without_passages_or_duplicates_has_no_panel(tmp_path: Path) -> None:
    packed: dict[str, dict[str, list[str]]] = {"closed-book": {}, "imported": {}}
    run = make_run(tmp_path / "run", questions={"t": QUESTIONS[2:]}, packed=packed)
    assert [rows for _, (_, rows), _ in panels(run, find_leaks(run))] == [[], [], [], [], []]


def test_the_files_are_remade_identically_and_hold_no_text(made: Run) -> None:
    names = ("leakage.csv", "leakage_splits.csv", "duplicates.csv")
    written = []
    for _ in range(2):
        write_leaks(made, find_leaks(made))
        written.append([(made.path / name).read_bytes() for name in names])
    assert written[0] == written[1]
    assert not any(b"ferritin" in data or b"iron" in data for data in written[0])
    facts = pd.read_csv(made.path / "leakage.csv").set_index("question_id")
    assert list(facts.source_delivered[:2]) == [True, False]
    assert pd.isna(facts.source_delivered["d"])


def test_the_page_shows_the_panel(mixed_copy: Path) -> None:
    write_report(mixed_copy)
    facts = pd.read_csv(mixed_copy / "leakage.csv")
    found = pd.read_csv(mixed_copy / "leakage_splits.csv")
    assert list(facts.columns) == FACT_COLUMNS
    assert list(found.columns) == SPLIT_COLUMNS
    root = read((mixed_copy / "report.html").read_text(encoding="utf-8"))
    seen = tables(root)
    header, *rows = seen["Leakage: what the passages give away"]
    for row in rows:
        mine = facts[(facts.task == row[0]) & (facts.arm == row[1])]
        delivered = 100 * mine.source_delivered.astype(float).mean()
        assert row[header.index("source delivered")] == f"{delivered:.1f} %"
    header, *rows = seen["Leakage: scores by part"]
    assert len(rows) == (found.n > 0).sum()
    gains = pd.read_csv(mixed_copy / "effects.csv")
    gains = gains[(gains.effect == "gain over closed-book") & gains.stratum.isna()]
    same = load_run(mixed_copy).same  # the oracle has the prompts of bm25-1
    intervals = gains.set_index(["task", "arm"])[["ci_low", "ci_high"]].T.to_dict("list")
    for row in rows:
        line = dict(zip(header, row, strict=True))
        if line["part"] == "all" and line["arm"] not in same[line["task"]]:
            low, high = intervals[line["task"], line["arm"]]
            assert line["95 % interval"] == f"{100 * low:+.1f} to {100 * high:+.1f}"  # the last one
    assert "Duplicate questions" not in seen
    assert any("paraphrase" in element.text for element in root.all("p"))


def test_a_restricted_run_shows_ids_and_numbers(mixed_copy: Path) -> None:
    path = mixed_copy / "questions" / "facts.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for name in ("text", "options", "query"):
        lines[1][name] = lines[0][name]
    lines[1]["answer"] = (lines[0]["answer"] + 1) % 3
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    about = json.loads((mixed_copy / "run.json").read_text(encoding="utf-8"))
    about["identity"]["tasks"]["facts"]["data_use"] = "restricted"
    (mixed_copy / "run.json").write_text(json.dumps(about), encoding="utf-8")
    reseal(mixed_copy)
    run = load_run(mixed_copy)
    found, gains = results(run), effects(run)
    made = page(run, headline(run, found, gains), gains, list(sections(run, found, gains)))
    assert tables(read(made))["Duplicate questions"][1][-1] == "q-scurvy, q-rickets"
    assert not any(text in made for text in FACTS.values())
