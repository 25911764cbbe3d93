"""Replies without an answer in tables, and the same answer to every question."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ragbench.analysis.panels.policies import policies, unread_rates
from ragbench.report.policies import policy_rows, unread_rows
from tests.analysis.making import make_run


def test_rows_by_hand(tmp_path: Path) -> None:
    cells = {("m", "t", "closed-book"): "11100 00000", ("m", "t", "bm25"): "11?11 ?!>10"}
    run = make_run(tmp_path / "run", cells)
    header, rows = policy_rows(run, policies(run))
    assert len(rows) == 6 and all(len(row) == len(header) for row in rows)
    last = dict(zip(header, rows[-1], strict=True))
    assert (last["if unread"], last["n"], last["accuracy"]) == ("excluded", "6", "83.3 %")
    assert (last["n of the gain"], last["gain (points)"], last["p"]) == ("6", "+50.0", "0.25")
    assert rows[0][7:9] == ["-", "-"]  # closed-book has no gain over itself
    header, rows = unread_rows(unread_rates(run))
    assert rows == [["m", "t", "bm25", "10", "40.0 %", "0.0 %", "4 / 0", "0.12", "0.12"]]
    assert len(header) == len(rows[0])


def test_no_rows_where_every_reply_has_an_answer(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "10"})
    assert policy_rows(run, policies(run))[1] == []
    assert unread_rows(pd.DataFrame(unread_rates(run)))[1] == []
