"""Curves by delivered passages and by place, counted by hand and against NumPy and SciPy."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import linregress

from ragbench.analysis.load import Run, load_run
from ragbench.analysis.panels.curves import curves, places, slope
from ragbench.analysis.statistics.intervals import wilson
from ragbench.analysis.statistics.studentised import studentised
from ragbench.runfolder.looks.stopped import AskedCell, StopFile, write_stopped
from ragbench.runfolder.settings import StopSettings
from tests.analysis.making import edited, make_run, passage, question

RIGHT = {1: "1100000000", 2: "1111000000", 4: "1111110000"}


def curve_run(path: Path, delivered: dict[int, float], **more: Any) -> Run:
    """Return a run of arms that differ in k, and deliver so many passages."""
    cells = {("m", "t", "closed-book"): "1000000000"}
    cells |= {("m", "t", f"bm25-{k}"): RIGHT[k] for k in delivered}
    run = make_run(path / "run", cells, **more)
    arms = [{"name": f"bm25-{k}", "retriever": "bm25", "k": k} for k in delivered]
    run = edited(run, "config.arms", [{"name": "closed-book"}, *arms])
    run.scores["delivered_k"] = 0.0
    for k, mean in delivered.items():
        run.scores.loc[run.scores.arm == f"bm25-{k}", "delivered_k"] = mean
    return run


def test_points_and_slope_by_hand(tmp_path: Path) -> None:
    found = curves(curve_run(tmp_path, {1: 1.0, 2: 2.0, 4: 3.5}))
    assert found.points.arm.tolist() == ["bm25-1", "bm25-2", "bm25-4"]
    assert found.points.delivered_k.tolist() == [1.0, 2.0, 3.5]
    assert found.points.value.tolist() == pytest.approx([0.2, 0.4, 0.6])
    (trend,) = found.trends.to_dict(orient="records")
    line = linregress(np.log2([1.0, 2.0, 3.5]), [0.2, 0.4, 0.6])
    assert trend["slope"] == pytest.approx(line.slope)
    assert trend["ci_low"] < trend["slope"] < trend["ci_high"]
    assert trend["refused"] == ""


def test_the_slope_of_a_stopped_run_has_no_interval(tmp_path: Path) -> None:
    run = curve_run(tmp_path, {1: 1.0, 2: 2.0, 4: 3.5})
    asked = tuple(AskedCell(model="m", task="t", arm=arm, n=9) for arm in run.arms("t"))
    settings = StopSettings(margin=0.03)
    write_stopped(run.files, StopFile(alpha=0.05, share=0.2, settings=settings, asked=asked))
    found = curves(replace(run))
    (trend,) = found.trends.to_dict(orient="records")
    assert trend["slope"] > 0
    assert np.isnan([trend["ci_low"], trend["ci_high"]]).all()
    assert found.points.ci_low.notna().all()  # rates keep theirs, as the report says


def test_fewer_than_three_numbers_are_no_curve(tmp_path: Path) -> None:
    """Asked for 1, 2 and 4, but a budget let no more than two through."""
    found = curves(curve_run(tmp_path, {1: 1.0, 2: 2.0, 4: 2.0}))
    assert found.points.empty
    (trend,) = found.trends.to_dict(orient="records")
    assert trend["refused"] == "2 different numbers of delivered passages, and a curve takes 3"


def test_less_than_one_passage_is_no_point(tmp_path: Path) -> None:
    (trend,) = curves(curve_run(tmp_path, {1: 0.4, 2: 1.2, 4: 2.0})).trends.to_dict("records")
    assert trend["refused"].startswith("2 different numbers")


def test_an_arm_alone_is_no_curve_and_failures_are_said(tmp_path: Path) -> None:
    assert curves(curve_run(tmp_path / "a", {2: 2.0})).trends.empty
    run = curve_run(tmp_path / "b", {1: 1.0, 2: 2.0, 4: 4.0})
    run.scores.loc[run.scores.arm == "bm25-2", "outcome"] = "error"
    (trend,) = curves(run).trends.to_dict(orient="records")
    assert trend["refused"] == "some questions have no answer"


def test_arms_of_other_options_are_other_curves(tmp_path: Path) -> None:
    run = curve_run(tmp_path, {1: 1.0, 2: 2.0, 4: 4.0})
    run = edited(run, "config.arms.-1.order", "best-last")
    (trend,) = curves(run).trends.to_dict(orient="records")
    assert trend["points"] == 2 and trend["refused"]


def test_arms_of_other_tasks_are_of_the_same_curve(tmp_path: Path) -> None:
    run = curve_run(tmp_path, {1: 1.0, 2: 2.0, 4: 4.0})
    run = edited(run, "config.arms.-1.tasks", ["t"])
    assert curves(run).points.arm.tolist() == ["bm25-1", "bm25-2", "bm25-4"]


def test_bands_are_those_of_single_means(tmp_path: Path) -> None:
    found = curves(curve_run(tmp_path, {1: 1.0, 2: 2.0, 4: 4.0}))
    for row, right in zip(found.points.itertuples(), (2, 4, 6), strict=True):
        assert (row.ci_low, row.ci_high) == pytest.approx(wilson(right, 10))
    columns = [[float(c) for c in RIGHT[k]] for k in (1, 2, 4)]
    slopes = [linregress([0, 1, 2], y).slope for y in zip(*columns, strict=True)]
    (trend,) = found.trends.to_dict(orient="records")
    method = studentised(np.array(slopes), bounds=(-0.5, 0.5))
    assert method is not None
    assert (trend["ci_low"], trend["ci_high"]) == pytest.approx(method.limits(0.05))


def test_few_clusters_have_no_bands(tmp_path: Path) -> None:
    """Five clusters of two questions."""
    found = curves(
        curve_run(tmp_path, {1: 1.0, 2: 2.0, 4: 4.0}, clusters=[i // 2 for i in range(10)])
    )
    assert found.points.value.tolist() == pytest.approx([0.2, 0.4, 0.6])
    assert found.points.ci_low.isna().all() and found.trends.ci_high.isna().all()


def test_answers_that_are_all_alike_leave_bands_open(tmp_path: Path) -> None:
    run = curve_run(tmp_path, {1: 1.0, 2: 2.0, 4: 4.0})
    run.scores["accuracy"] = 1.0
    found = curves(run)
    # Ten of ten right, by Wilson: 10 / (10 + 1.96^2)
    assert found.points.ci_low.tolist() == pytest.approx([10 / (10 + 1.959964**2)] * 3)
    assert found.points.ci_high.tolist() == pytest.approx([1.0] * 3)
    (trend,) = found.trends.to_dict(orient="records")
    # A share of 1 - 0.025^(1/10) could have had another slope, by Clopper and Pearson. The steepest
    # question is wrong, (either) and right: a slope of 1 / 2 on 0, 1, 2.
    open_ = 1 - 0.025 ** (1 / 10)
    assert linregress([0, 1, 2], [0, 0, 1]).slope == 0.5
    assert (trend["ci_low"], trend["ci_high"]) == pytest.approx((-open_ / 2, open_ / 2))


def test_slope_is_that_of_scipy() -> None:
    x, y = np.array([0.0, 1.0, 2.5, 3.0]), np.random.default_rng(4).random((5, 4))
    assert slope(x, y) == pytest.approx([linregress(x, row).slope for row in y])


def test_places_of_a_real_run(mixed_home: Path) -> None:
    """Against the packed files, read again by another way."""
    run = load_run(mixed_home / "runs" / "mixed")
    table = places(run)
    rows = []
    for task in run.members("tasks"):
        asked = pd.read_json(run.path / "questions" / f"{task}.jsonl", lines=True)
        gold = dict(zip(asked["id"], asked["gold_doc_ids"], strict=True))
        for arm in ("bm25-2",):
            packed = pd.read_json(run.path / "packed" / f"{task}+{arm}.jsonl", lines=True)
            for line in packed.to_dict(orient="records"):
                hits = [
                    i for i, p in enumerate(line["passages"], 1) if p in gold[line["question_id"]]
                ]
                if hits and len(line["passages"]) > 1:
                    rows.append((task, hits[0]))
    for (task, place), n in Counter(rows).items():
        mine = table[(table.task == task) & (table.place == place) & (table.k == 2)]
        several = len({p for t, p in rows if t == task}) > 1
        assert mine[mine.curve == "bm25"].n.tolist() == ([n] if several else [])


def placed_run(path: Path, packed: list[list[str]], gold: list[int], answers: str) -> Run:
    """Return a run whose question i has ``goldi`` as its gold document, and was given ``packed``.

    Args:
        path: Its folder.
        packed: The passages of each question.
        gold: How many of them are gold, as the run has counted them.
        answers: A letter a question, as for ``make_run``.
    """
    names = {name for passages in packed for name in passages}
    lines = [question(f"q{i}", f"Q {i}?", gold_doc_ids=[f"gold{i}"]) for i in range(len(packed))]
    run = make_run(
        path,
        {("m", "t", "closed-book"): "0" * len(packed), ("m", "t", "bm25-2"): answers},
        full=True,
        questions={"t": lines},
        passages=[passage(name, "x") for name in sorted(names)],
        packed={"bm25-2": {f"q{i}": passages for i, passages in enumerate(packed)}},
    )
    run = edited(run, "config.arms.-1", {"name": "bm25-2", "retriever": "bm25", "k": 2})
    run.scores["k"] = 2
    run.scores.loc[run.scores.arm == "bm25-2", "gold_delivered"] = gold
    return run


# Gold first for questions 0, 1 and 2, second for 3 and 4, not delivered for 5.
PACKED = [[f"gold{i}", "x"] for i in range(3)] + [["x", f"gold{i}"] for i in (3, 4)] + [["x", "y"]]


def test_places_by_hand(tmp_path: Path) -> None:
    table = places(placed_run(tmp_path / "run", PACKED, [1] * 5 + [0], "110010"))
    table = table.set_index("place")
    assert table.n.to_dict() == {1: 3, 2: 2}
    assert table.value.to_dict() == {1: pytest.approx(2 / 3), 2: pytest.approx(1 / 2)}


def test_chunks_of_a_gold_document_are_gold_only_if_they_were_counted(tmp_path: Path) -> None:
    """The answer of question 2 lies in one of the two chunks; which one is not told."""
    packed = [["gold0#0", "x"], ["x", "gold1#3"], ["gold2#0", "gold2#1"]]
    table = places(placed_run(tmp_path / "run", packed, [1, 1, 1], "101")).set_index("place")
    assert table.n.to_dict() == {1: 1, 2: 1}


def test_an_arm_with_failures_has_no_places(tmp_path: Path) -> None:
    assert places(placed_run(tmp_path / "run", PACKED, [1] * 5 + [0], "11001x")).empty


def test_a_shuffled_control_has_places_of_its_own(mixed_home: Path) -> None:
    run = load_run(mixed_home / "runs" / "mixed")
    table = places(run)
    mine = table[table.curve == "bm25-2, shuffled"]
    assert set(mine.place) == {1, 2}
    # The same passages as bm25-2 has, so the same questions with gold among two of them.
    for task, part in mine.groupby("task"):
        given = run.cell("scripted", str(task), "bm25-2")
        assert part.n.sum() == ((given.gold_delivered > 0) & (given.delivered_k > 1)).sum()


def test_slopes_that_rounding_tells_apart_are_alike(tmp_path: Path) -> None:
    run = curve_run(tmp_path, {1: 1.0, 2: 1.55, 4: 2.6})
    run.scores.loc[run.scores.arm != "closed-book", "accuracy"] = [1.0, 0.0] * 15
    (trend,) = curves(run).trends.to_dict(orient="records")
    assert trend["slope"] == pytest.approx(0.0, abs=1e-12)
    assert trend["ci_low"] < -0.05 and trend["ci_high"] > 0.05
