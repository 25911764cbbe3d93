"""The verdict: sentences that the figures carry, and what they leave open."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
from scipy.stats import norm

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run
from ragbench.report.verdict.verdict import verdict
from tests.analysis.making import edited, make_run, with_arms, with_gold

N = 200


def cell(right: int, n: int = N) -> str:
    """Return the first so many of n right."""
    return "1" * right + "0" * (n - right)


def pair_run(path: Path, general: tuple[int, int], bio: tuple[int, int], n: int = N) -> Run:
    """Return a pair's run: how many are right closed-book, and with the arm."""
    cells = {}
    for task in ("a", "b"):
        for model, (closed, arm) in (("general", general), ("bio", bio)):
            cells[model, task, "closed-book"] = cell(closed, n)
            cells[model, task, "bm25"] = cell(arm, n)
    return make_run(path / "run", cells, bases={"bio": "general"})


def said(run: Run, table: pd.DataFrame | None = None) -> list[str]:
    return verdict(run, effects(run) if table is None else table)


def test_what_was_shown_is_said_with_its_figures(tmp_path: Path) -> None:
    run = pair_run(tmp_path, (80, 120), (82, 100))
    lines = said(run)
    (line,) = [x for x in lines if x.startswith("bio against general on a")]
    assert "n = 200: retrieval (bm25) gained 20.0 points in the general model (95 % " in line
    # 40 of 200 for the better and none for the worse. Tango's lower end d solves
    # (40 - 200 d)^2 = 1.96^2 200 d (1 - d): with no question hurt, none is at a true d > 0.
    k = norm.ppf(0.975) ** 2 / 200
    low = ((0.4 + k) - math.sqrt((0.4 + k) ** 2 - 4 * 0.04 * (1 + k))) / (2 * (1 + k))
    assert f"interval +{100 * low:.1f} to +26.1" in line  # the upper end by search
    assert "p = 7.3e-12 by Holm" in line  # 1 / 2^40 = 9.1e-13, times the eight of the family
    # 82 - 80 of 200: +1 point, two questions of which none was lost; not shown, nor excluded.
    assert "fine-tuning gain +1.0 points" in line
    assert "fine-tuning gained" not in line
    assert "retrieval less" not in line
    assert "the general model with bm25 was 19.0 points better than the biomedical one" in line
    assert "retrieval gave the biomedical model 11.0 points less than the general one" in line


def test_what_was_not_shown_is_not_called_absent(tmp_path: Path) -> None:
    table = effects(pair_run(tmp_path, (80, 120), (82, 100)))
    tuning = table.effect == "fine-tuning gain"
    open_ = table.copy()
    open_.loc[tuning, ["ci_low", "ci_high", "p", "p_adjusted"]] = [-0.05, 0.07, 0.6, 1.0]
    open_.loc[tuning, ["p_equivalence", "smallest_detectable"]] = [0.4, 0.08]
    run = pair_run(tmp_path / "again", (80, 120), (82, 100))
    line = next(x for x in said(run, open_) if x.startswith("bio against general on a"))
    assert (
        # 2 of 200 changed, both for the better: 8 points need more changes than these.
        "fine-tuning gain +1.0 points (95 % interval -5.0 to +7.0, p = 1 by Holm), not shown to "
        "differ from zero (with n = 200, a true difference of 8.0 points would be found four "
        "times in five if every change went the same way); " in line
    )
    close = open_.assign(p_equivalence_adjusted=0.01)
    line = next(x for x in said(run, close) if x.startswith("bio against general on a"))
    assert "equivalent to zero within 3 points (p = 0.01 by Holm)" in line
    unadjusted = open_.copy()
    unadjusted.loc[tuning, ["ci_low", "p"]] = [0.001, 0.04]
    line = next(x for x in said(run, unadjusted) if x.startswith("bio against general on a"))
    assert "not shown after adjustment" in line and "fine-tuning gained" not in line


def test_averages_that_disagree_are_said_to(tmp_path: Path) -> None:
    cells = {}
    for task, n, (closed, arm) in (("a", 40, (10, 26)), ("b", 400, (200, 180))):
        cells["general", task, "closed-book"] = cell(closed, n)
        cells["general", task, "bm25"] = cell(arm, n)
        cells["bio", task, "closed-book"] = cell(closed, n)
        cells["bio", task, "bm25"] = cell(arm, n)
    run = make_run(tmp_path / "run", cells, bases={"bio": "general"})
    (line,) = [x for x in said(run) if "gain in the general model (bm25) over 2 tasks" in x]
    # (16/40 - 20/400) / 2 = +17.5 points by task; (16 - 20) / 440 = -0.9 by question
    assert "+17.5" in line and "-0.9" in line
    assert "the sign depends on the average" in line
    (other,) = [x for x in said(run) if "fine-tuning gain over 2 tasks" in x]
    assert "the sign depends" not in other


def test_controls_are_set_beside(tmp_path: Path) -> None:
    cells = {
        ("m", "t", "closed-book"): cell(60),
        ("m", "t", "bm25"): cell(120),
        ("m", "t", "random"): cell(58),
    }
    run = make_run(tmp_path / "run", cells, controls={"random": "bm25"})
    lines = said(run)
    assert lines[0].startswith("The run has no biomedical model together with its base")
    (line,) = [x for x in lines if x.startswith("Controls, m on t")]
    assert "bm25 gave 31.0 points more than random passages of the same length" in line
    (line,) = [x for x in lines if x.startswith("m on t, n = 200")]
    assert "retrieval (bm25) gained 30.0 points" in line


def test_other_arms_are_exploratory(tmp_path: Path) -> None:
    cells = {("m", "t", "closed-book"): cell(60), ("m", "t", "bm25"): cell(120)}
    cells["m", "t", "dense"] = cell(90)
    (line,) = [
        x for x in said(make_run(tmp_path / "run", cells)) if x.startswith("dense on t with m")
    ]
    assert "gained 15.0 points over closed-book" in line
    assert "n = 200, p = 9.3e-10, exploratory); 30 questions helped, 0 hurt." in line  # 1 / 2^30


def test_no_change_is_not_shown(tmp_path: Path) -> None:
    cells = {("m", "t", arm): cell(60) for arm in ("closed-book", "bm25", "dense")}
    lines = said(make_run(tmp_path / "run", cells))
    (line,) = [x for x in lines if x.startswith("dense on t with m")]
    assert line.startswith("dense on t with m: +0.0 points over closed-book (95 % interval -")
    assert "n = 200, p = 1, exploratory), not shown; 0 questions helped, 0 hurt." in line


def test_headroom_is_said_with_its_own_questions(tmp_path: Path) -> None:
    # Of 100 questions without a gold passage in bm25, 60 are right with it and none before; of
    # 100 with one, 90 are right with gold passages alone and 50 with bm25.
    cells = {
        ("m", "t", "closed-book"): cell(0),
        ("m", "t", "bm25"): "0" * 100 + cell(50, 100),
        ("m", "t", "oracle"): cell(60, 100) + cell(90, 100),
        ("m", "t", "filled"): cell(40, 100) + cell(80, 100),
    }
    run = make_run(tmp_path / "run", cells, full=True)
    like = {"control": "oracle", "like": "bm25"}
    run = with_arms(run, oracle=like)
    run = with_gold(run, "bm25", "0" * 100 + "1" * 100)
    (line,) = [x for x in said(run) if x.startswith("Controls, m on t: ")]
    assert (
        "on the 100 questions without a gold passage in bm25, gold passages alone gave 60.0 points "
        "more than bm25 (" in line
    )
    assert (
        "on the 100 questions with a gold passage in bm25, gold passages alone gave 40.0 points "
        "more than bm25 (" in line
    )
    # With both oracles each answers the question that it is made for.
    both = with_arms(run, filled=like | {"fill": "retrieved"})
    (line,) = [x for x in said(both) if x.startswith("Controls, m on t: ")]
    assert "gold passages with retrieved ones gave 40.0 points more than bm25" in line
    assert "gold passages alone gave 40.0 points more than bm25" in line
    assert line.count("points more than bm25") == 2
    declared = edited(run, "config.analysis.primary", {"effects": ["headroom with gold missing"]})
    (line,) = [x for x in said(declared) if x.startswith("m on t: on the 100 questions without")]
    assert "by Holm" in line


def test_headroom_that_is_not_shown_has_its_n(tmp_path: Path) -> None:
    cells = {("m", "t", "bm25"): "0110", ("m", "t", "oracle"): "1011"}
    run = with_arms(
        make_run(tmp_path / "run", cells, full=True), oracle={"control": "oracle", "like": "bm25"}
    )
    run = with_gold(run, "bm25", "0111")
    (line,) = [x for x in said(run) if x.startswith("Controls, m on t: ")]
    assert "headroom with gold missing (oracle, n = 1) +100.0 points (" in line
    assert "headroom with gold delivered (oracle, n = 3) +0.0 points (" in line


def test_words_of_gain_only_where_it_is_shown(tmp_path: Path) -> None:
    cells = {
        ("m", "t", "closed-book"): cell(100),
        ("m", "t", "bm25"): cell(140),
        # 6 questions lost and 9 gained: +1.5 points.
        ("m", "t", "dense"): "0" * 6 + "1" * 103 + "0" * 91,
        ("m", "t", "worse"): cell(60),
    }
    run = make_run(tmp_path / "run", cells)
    table = effects(run)
    lines = said(run, table)
    (line,) = [x for x in lines if x.startswith("dense on t with m")]
    assert line.startswith("dense on t with m: +1.5 points over closed-book (95 % interval -")
    # Mid-p of 6 of 15: 2 (1 + 15 + 105 + 455 + 1365 + 3003 + 5005 / 2) / 2^15 = 0.4545.
    assert "n = 200, p = 0.45, exploratory), not shown; 9 questions helped, 6 hurt." in line
    (line,) = [x for x in lines if x.startswith("worse on t with m")]
    assert "worse on t with m lost 20.0 points over closed-book" in line
    # An interval without zero does not carry the word after adjustment, nor does p alone.
    for changed in ({"ci_low": 0.001, "p_adjusted": 0.2}, {"ci_low": -0.001, "p_adjusted": 0.01}):
        other = table.copy()
        other.loc[other.arm == "dense", list(changed)] = list(changed.values())
        (line,) = [x for x in said(run, other) if x.startswith("dense on t with m")]
        assert "not shown" in line and "gained" not in line


def test_a_shown_effect_within_the_margin_is_called_small(tmp_path: Path) -> None:
    n = 2000
    cells = {
        ("m", "t", "closed-book"): cell(1000, n),
        ("m", "t", "bm25"): cell(1018, n),  # +0.9 points, 18 questions and none lost
        ("m", "t", "dense"): cell(980, n),  # -1.0 points
        ("m", "t", "more"): cell(1060, n),  # the margin itself
    }
    lines = said(make_run(tmp_path / "run", cells))
    (line,) = [x for x in lines if x.startswith("m on t, n = 2,000")]
    assert (
        "retrieval (bm25) gained 0.9 points, a small gain within the margin of 3 points (" in line
    )
    (line,) = [x for x in lines if x.startswith("dense on t with m lost 1.0 points")]
    assert ", a small loss within the margin of 3 points; 0 questions helped, 20 hurt." in line
    (line,) = [x for x in lines if x.startswith("more on t with m gained 3.0 points")]
    assert "small" not in line
