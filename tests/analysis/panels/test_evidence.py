"""Evidence use: the eight cells by hand on twelve questions, and again from the plain files."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.panels.evidence import (
    BROKEN,
    KNOWN,
    NOT_FOUND,
    QUADRANTS,
    RIGHT_ANYWAY,
    SHARES,
    UNUSED,
    USE,
    USED,
    evidence,
)
from ragbench.analysis.results import as_objects, results
from tests.analysis.making import edited, make_run, with_arms, with_gold

# The last two have no known gold.
#           known and broken, used, not used, not found
CLOSED = "11 11 000 00 000 10"
GOLD__ = "10 10 111 11 000 --"
ARM___ = "11 00 111 0? 100 01"


def made(path: Path, closed: str, gold: str, arm: str, **keys: Any) -> Run:
    cells = {("m", "t", "closed-book"): closed, ("m", "t", "bm25"): arm}
    run = with_arms(make_run(path, cells, full=True, **keys), bm25={"retriever": "r", "k": 3})
    return with_gold(run, "bm25", gold)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return made(tmp_path / "run", CLOSED, GOLD__, ARM___)


def parts(table: pd.DataFrame) -> dict[str, dict[str, Any]]:
    return {
        row["part"]: {str(key): value for key, value in row.items()}
        for row in table.to_dict(orient="records")
    }


def test_five_shares_by_hand(run: Run) -> None:
    found = parts(evidence(run))
    counts = {part: found[part]["count"] for part in SHARES}
    assert counts == {USED: 3, UNUSED: 2, NOT_FOUND: 3, KNOWN: 2, BROKEN: 2}
    assert {found[part]["n"] for part in SHARES} == {12}
    assert {found[part]["without_gold"] for part in SHARES} == {2}
    assert sum(found[part]["value"] for part in SHARES) == pytest.approx(1)
    # Gain on the twelve: right with the arm 0, 1, 4, 5, 6 and 9, closed-book 0 to 3.
    anyway = found[RIGHT_ANYWAY]
    assert (anyway["count"], anyway["n"]) == (1, 3)
    assert counts[USED] + anyway["count"] - counts[BROKEN] == 6 - 4


def test_quadrants_by_hand(run: Run) -> None:
    found = parts(evidence(run))
    # Delivered: 0, 2, 4 to 8, right are 0, 4, 5 and 6. Missing: 1, 3, 9 to 11, right are 1 and 9.
    assert [found[part]["count"] for part in QUADRANTS] == [4, 3, 2, 3]
    assert [found[part]["n"] for part in QUADRANTS] == [12] * 4


def test_the_intervals_are_those_of_a_rate(run: Run) -> None:
    found = parts(evidence(run))
    for part, count, n in ((USED, 3, 12), (NOT_FOUND, 3, 12), (QUADRANTS[0], 4, 12), (USE, 3, 5)):
        expected = proportion_confint(count, n, method="wilson")
        ends = (found[part]["ci_low"], found[part]["ci_high"])
        assert ends == pytest.approx(expected), part


def test_in_clusters_the_unit_is_the_cluster(tmp_path: Path) -> None:
    of = [n // 2 for n in range(14)]
    found = parts(evidence(made(tmp_path / "run", CLOSED, GOLD__, ARM___, clusters=of)))
    assert found[USED]["n_clusters"] == 6
    assert np.isnan(found[USED]["ci_low"])  # under eight clusters there is no interval
    assert found[USED]["value"] == pytest.approx(3 / 12)


def test_failed_questions_give_bounds(tmp_path: Path) -> None:
    # 0: known or broken. 1: known or used. 2: not found, whatever the arm's answer.
    found = parts(evidence(made(tmp_path / "run", "1x0", "110", "x1x")))
    bounds = {part: (found[part]["ci_low"], found[part]["ci_high"]) for part in SHARES}
    third = pytest.approx
    assert bounds[KNOWN] == third((0, 2 / 3))
    assert bounds[BROKEN] == bounds[USED] == third((0, 1 / 3))
    assert bounds[NOT_FOUND] == third((1 / 3, 1 / 3))
    assert bounds[UNUSED] == (0, 0)
    assert {found[part]["status"] for part in (*SHARES, *QUADRANTS)} == {"incomplete"}
    assert all(np.isnan(found[part]["value"]) for part in SHARES)
    assert USE not in found and RIGHT_ANYWAY not in found


def test_gold_whose_answer_was_cut_is_missing(run: Run) -> None:
    scores = run.scores.copy()
    scores.loc[(scores.arm == "bm25") & (scores.question_id == "q4"), "answer_truncated"] = True
    found = parts(evidence(replace(run, scores=scores)))
    assert (found[USED]["count"], found[NOT_FOUND]["count"]) == (2, 4)


def test_where_there_is_nothing_to_say(run: Run) -> None:
    assert evidence(edited(run, "identity.tasks.t.metrics", ["rougeL"])).empty
    assert evidence(with_gold(run, "bm25", "-" * 14)).empty
    control = {"control": "misled", "like": "bm25"}
    assert evidence(with_arms(run, bm25=control)).empty  # its gold passages are changed
    run.__dict__["same"] = {"t": {"bm25": "closed-book"}}
    assert evidence(run).empty


def test_without_closed_book_there_are_quadrants_only(tmp_path: Path) -> None:
    made_run = make_run(tmp_path / "run", {("m", "t", "bm25"): "1010"}, full=True)
    run = with_gold(with_arms(made_run, bm25={"retriever": "r", "k": 3}), "bm25", "1100")
    found = evidence(run)
    assert dict(zip(found.part, found["count"], strict=True)) == dict.fromkeys(QUADRANTS, 1)


@settings(max_examples=25)
@given(st.lists(st.tuples(*[st.sampled_from("01?")] * 2, st.sampled_from("01")), min_size=1))
def test_every_question_is_in_one_share(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str, str]]
) -> None:
    closed, arm, gold = ("".join(letters) for letters in zip(*cells, strict=True))
    found = parts(evidence(made(tmp_path_factory.mktemp("run"), closed, gold, arm)))
    assert sum(found[part]["count"] for part in SHARES) == len(cells)
    assert sum(found[part]["count"] for part in QUADRANTS) == len(cells)
    gain = arm.count("1") - closed.count("1")
    anyway = found[RIGHT_ANYWAY]["count"]
    assert gain == found[USED]["count"] + anyway - found[BROKEN]["count"]


def test_analysis_json_has_the_shares(run: Run) -> None:
    objects = as_objects(run, results(run), effects(run))
    found = {each["effect"]: each for each in objects if each["effect"].startswith("share ")}
    assert {name.removeprefix("share ") for name in found} == set(SHARES)
    used = found[f"share {USED}"]
    assert (used["estimate"], used["n"], used["arm"]) == (pytest.approx(3 / 12), 12, "bm25")


# The same from the files, without ragbench's readers.


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def answers(run: Path, task: str, arm: str, asked: dict[str, dict[str, Any]]) -> dict[str, bool]:
    """Return by question whether the likeliest letter, or option per character, is right."""
    found = {}
    for record in lines(run / "records" / f"scripted+{task}+{arm}.0.jsonl"):
        question = asked[record["question_id"]]
        values = record["log_likelihoods"]
        if record["scoring"] == "options":
            values = [v / len(o) for v, o in zip(values, question["options"], strict=True)]
        found[question["id"]] = values.index(max(values)) == question["answer"]
    return found


@pytest.mark.parametrize("task", ["facts", "facts-options"])
def test_the_shares_follow_from_the_plain_files(mixed_home: Path, task: str) -> None:
    folder = mixed_home / "runs" / "mixed"
    asked = {q["id"]: q for q in lines(folder / "questions" / f"{task}.jsonl")}
    documents = {p["id"]: p["doc_id"] for p in lines(folder / "passages.jsonl")}
    closed = answers(folder, task, "closed-book", asked)
    table = evidence(load_run(folder))
    mine = table[(table.task == task) & (table.kind == "share")]
    assert {"bm25-2", "hybrid", "random-bm25-2", "oracle-removed-bm25-2"} <= set(mine.arm)
    for arm, cell in mine.groupby("arm"):
        right = answers(folder, task, str(arm), asked)
        expected: Counter[str] = Counter()
        for line in lines(folder / "packed" / f"{task}+{arm}.jsonl"):
            name = line["question_id"]
            gold = set(asked[name]["gold_doc_ids"]) & {documents[p] for p in line["passages"]}
            if closed[name]:
                expected["already known" if right[name] else "broken by context"] += 1
            elif gold:
                expected["found and used" if right[name] else "found and not used"] += 1
            else:
                expected["not found"] += 1
        assert {p: c for p, c in zip(cell.part, cell["count"], strict=True) if c} == expected
        assert sum(expected.values()) == len(asked)
