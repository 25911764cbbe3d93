"""Scores by all tokens: in the order of the tokens, at the scores of the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ragbench.analysis.panels.frontier import frontier
from ragbench.analysis.results import results
from ragbench.report.charts.drawing import figure
from ragbench.report.charts.spent import frontier_charts, spent_plots
from ragbench.runfolder.config import Billing
from tests.analysis.making import make_run
from tests.report.conftest import Analysed


def test_rows_go_from_the_fewest_tokens_to_the_most(mixed: Analysed) -> None:
    made = spent_plots(mixed.run, frontier(mixed.run, mixed.results))
    assert len(made) == len(mixed.run.members("tasks"))
    for task, plot in zip(mixed.run.members("tasks"), made, strict=True):
        scores = mixed.run.scores[mixed.run.scores.task == task]
        scores = scores.assign(tokens=scores.sent_tokens + scores.reply_tokens.fillna(0))
        means = scores.groupby("arm").tokens.mean()
        rates = scores.groupby("arm").accuracy.mean()
        arms = [row.name.split(", ")[1] for row in plot.rows]
        assert sorted(arms) == sorted(means.index)
        assert list(means[arms]) == sorted(means)
        assert arms[0] == "closed-book"
        for place, (arm, row) in enumerate(zip(arms, plot.rows, strict=True), 1):
            assert row.label.startswith(f"{place}. ")
            assert row.label.endswith(f"{means[arm]:,.0f} tokens")
            assert row.estimate == pytest.approx(
                6 + 88 * rates[arm], abs=1e-4
            )  # from 6 to 94 % across


def test_unknown_prompts_have_no_plot(mixed: Analysed) -> None:
    none = replace(mixed.run, scores=mixed.run.scores.assign(prompt_tokens=np.nan))
    table = frontier(none, mixed.results)
    assert spent_plots(none, table) == []
    assert frontier_charts(none, table) == []


def test_the_frontier_joins_its_arms_alone_and_controls_are_left_out(tmp_path: Path) -> None:
    """At 100, 200, 400 and 800 tokens the axis has equal steps: 16, 41.3, 66.7 and 92 %."""
    letters = {"closed-book": "1000", "a": "1100", "b": "1000", "c": "1110", "random-a": "1111"}
    cells = {("m", "t", arm): right for arm, right in letters.items()}
    run = make_run(tmp_path / "run", cells, full=True, controls={"random-a": "a"})
    sent = {"closed-book": 98.0, "a": 198.0, "b": 398.0, "c": 798.0, "random-a": 198.0}
    run = replace(run, scores=run.scores.assign(sent_tokens=run.scores.arm.map(sent)))
    (made,) = frontier_charts(run, frontier(run, results(run)))
    on, off = made.series
    assert (on.name, on.joined, off.name, off.joined) == (
        "on the frontier",
        True,
        "other arms",
        False,
    )
    assert [point.x for point in on.points] == pytest.approx([16, 16 + 76 / 3, 92], abs=1e-3)
    assert [point.x for point in off.points] == pytest.approx([16 + 152 / 3], abs=1e-3)
    # By tokens, then name: closed-book, a, random-a, b, c.
    assert [point.mark for point in (*on.points, *off.points)] == ["1", "2", "5", "4"]
    assert "b, 400: 25.0 %" in off.points[0].text
    # Arms of the same score for nearly as many tokens share one place for their numbers.
    sent |= {"b": 201.0}
    near = replace(run, scores=run.scores.assign(sent_tokens=run.scores.arm.map(sent)))
    near.scores.loc[near.scores.arm == "b", "accuracy"] = [1.0, 1.0, 0.0, 0.0]
    (other,) = frontier_charts(near, frontier(near, results(near)))
    assert [point.mark for point in other.series[0].points] == ["1", "2, 4", "5"]
    assert other.series[1].points[0].mark == ""
    drawn = figure([made])
    # Two joints between three arms, and the one of the legend.
    assert drawn.count('class="joint"') == 3 and ">5</text>" in drawn


def test_money_has_a_chart_of_its_own_where_every_arm_has_a_price(tmp_path: Path) -> None:
    cells = {("m", "t", "closed-book"): "1000", ("m", "t", "a"): "1100"}
    run = make_run(tmp_path / "run", cells, full=True)
    scores = run.scores.assign(sent_tokens=run.scores.arm.map({"closed-book": 98.0, "a": 198.0}))
    config = replace(run.config, billing={"m": Billing(input=10, output=100)}, currency="EUR")
    scores = scores.assign(cached_tokens=0.0)
    run = replace(run, scores=scores, about=replace(run.about, config=config))
    tokens, money = frontier_charts(run, frontier(run, results(run)))
    assert (tokens.below, money.below) == (
        *("tokens of a question, all calls", "EUR per 1,000 questions"),
    )
    # 98 tokens at 10 and 2 at 100 per million are 0.00118 per question.
    assert [label for label, *_ in money.bottom] == ["1.18", "2.18"]
