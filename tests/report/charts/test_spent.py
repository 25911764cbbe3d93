"""Scores by the length of the prompt: in the order of the tokens, at the scores of the table."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ragbench.report.charts.spent import spent_plots
from tests.report.conftest import Analysed


def test_rows_go_from_the_shortest_prompts_to_the_longest(mixed: Analysed) -> None:
    made = spent_plots(mixed.run, mixed.results)
    assert len(made) == len(mixed.run.members("tasks"))
    for task, plot in zip(mixed.run.members("tasks"), made, strict=True):
        scores = mixed.run.scores[mixed.run.scores.task == task]
        means = scores.groupby("arm").prompt_tokens.mean()
        rates = scores.groupby("arm").accuracy.mean()
        arms = [row.name.split(", ")[1] for row in plot.rows]
        assert sorted(arms) == sorted(means.index)
        assert list(means[arms]) == sorted(means)
        assert arms[0] == "closed-book"
        for arm, row in zip(arms, plot.rows, strict=True):
            assert row.label.endswith(f"{means[arm]:,.0f} tokens")
            assert row.estimate == pytest.approx(
                6 + 88 * rates[arm], abs=1e-4
            )  # from 6 to 94 % across


def test_unknown_prompts_have_no_plot(mixed: Analysed) -> None:
    none = mixed.run.scores.assign(prompt_tokens=np.nan)
    assert spent_plots(replace(mixed.run, scores=none), mixed.results) == []
