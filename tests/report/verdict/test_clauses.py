"""No sentence of a verdict says more than its figures, whatever a small run has come to."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from ragbench.analysis.effects import effects
from ragbench.report.verdict.verdict import verdict
from tests.analysis.making import make_run

ALPHA = 0.05
ARMS = ("closed-book", "bm25", "random")
WORDS = re.compile(r"\b(gained|lost|better|worse)\b|\bpoints (more|less)\b")
CLAIM = re.compile(
    r"(?P<loss>lost |\d points (worse|less) than |points less than )?.*?"
    r"interval (?P<low>[+-][\d.]+) to (?P<high>[+-][\d.]+), .*?p (=|≤) (?P<p>[\d.e-]+)"
)
INTERVAL = re.compile(r"(?:interval|between) ([+-][\d.]+) (?:to|and) ([+-][\d.]+)")
PRINTED = 0.05 + 1e-9  # of a figure in points with one decimal


@st.composite
def cells(draw: st.DrawFn) -> dict[tuple[str, str, str], str]:
    """Return letters of one or two models, tasks and up to three arms, some cells all alike."""
    n = draw(st.integers(1, 30))
    models = draw(st.sampled_from([("general",), ("general", "bio")]))
    tasks = draw(st.sampled_from([("t",), ("t", "u")]))
    arms = draw(st.sampled_from([ARMS[:1], ARMS[1:2], ARMS[:2], ARMS[1:], ARMS]))
    letters = draw(st.sampled_from(["01", "01?", "01?x", "0?", "1", "0", "?"]))
    text = st.text(letters, min_size=n, max_size=n)
    alike = st.sampled_from([letter * n for letter in letters if letter != "x"])
    keys = [(model, task, arm) for model in models for task in tasks for arm in arms]
    return {key: draw(st.one_of(text, alike)) for key in keys}


@given(cells=cells(), size=st.sampled_from([0, 0, 1, 2, 3, 7]))
@example(cells={("m", "t", "closed-book"): "0" * 30, ("m", "t", "bm25"): "1" * 30}, size=0)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_sentence_contradicts_its_figures(
    cells: dict[tuple[str, str, str], str], size: int
) -> None:
    pair = {"bio": "general"} if any(key[0] == "bio" for key in cells) else None
    controls = {"random": "bm25"} if {key[2] for key in cells} >= {"random", "bm25"} else None
    n = max(len(text) for text in cells.values())
    clusters = [i // size for i in range(n)] if size else None
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(
            Path(folder) / "run", cells, bases=pair, clusters=clusters, controls=controls
        )
        table = effects(run)
        lines = verdict(run, table)
    complete = table[table.status == "complete"]
    outside = (complete.ci_low > 0) | (complete.ci_high < 0)
    shown = complete[outside & (complete.p_adjusted < ALPHA)]
    claims = 0
    for line in lines:
        assert not re.search(r"(?<![\w-])(nan|NaN|<NA>|inf|None)(?![\w-])", line), line
        assert line[-1] == "." and "  " not in line and ".." not in line, line
        for clause in line.split("; "):
            is_sum = "interaction" in clause or "gave the biomedical model" in clause
            # In a sentence on averages the effect is named in its first clause alone.
            most = 200 if is_sum or "interaction" in line else 100
            for low, high in INTERVAL.findall(clause):
                assert -most <= float(low) <= float(high) <= most, clause
            if WORDS.search(clause):
                claims += "by Holm" in clause
                check_claim(clause, shown)
            if "equivalent to zero" in clause:
                check_equivalence(clause, complete)
    if not any("?" in text for text in cells.values()):
        primary = shown[(shown.family == "primary") & ~shown.task.isin(["(macro)", "(items)"])]
        assert claims == len(primary)


def test_ten_clusters_of_which_every_question_was_helped(tmp_path: Path) -> None:
    cells = {("m", "t", "closed-book"): "0" * 30, ("m", "t", "bm25"): "1" * 30}
    run = make_run(tmp_path / "run", cells, clusters=[i // 3 for i in range(30)])
    lines = verdict(run, effects(run))
    assert any("retrieval (bm25) gained 100.0 points" in line for line in lines)


@pytest.mark.parametrize("number", [10, 40])
def test_clusters_with_the_same_mean_do_not_make_certain(tmp_path: Path, number: int) -> None:
    """In each cluster one question was helped and one hurt."""
    cells = {("m", "t", "closed-book"): "01" * number, ("m", "t", "bm25"): "10" * number}
    run = make_run(tmp_path / "run", cells, clusters=[i // 2 for i in range(2 * number)])
    table = effects(run)
    assert (table.ci_low < 0).all() and (table.ci_high > 0).all()
    assert any("not shown to differ from zero" in line for line in verdict(run, table))


def check_claim(clause: str, shown: pd.DataFrame) -> None:
    """Refuse a word that no effect carries with this interval and this sign."""
    found = CLAIM.search(clause)
    assert found is not None, clause
    low, high = float(found["low"]), float(found["high"])
    worse = bool(re.search(r"\blost\b|\bworse than\b|\bpoints less\b", clause))
    same = shown[
        ((100 * shown.ci_low - low).abs() <= PRINTED)
        & ((100 * shown.ci_high - high).abs() <= PRINTED)
    ]
    assert ((same.estimate < 0) == worse).any(), clause


def check_equivalence(clause: str, complete: pd.DataFrame) -> None:
    """Refuse an equivalence that no effect carries with this interval."""
    (found,) = INTERVAL.findall(clause)
    same = complete[
        ((100 * complete.ci_low - float(found[0])).abs() <= PRINTED)
        & ((100 * complete.ci_high - float(found[1])).abs() <= PRINTED)
    ]
    assert ((same.p_equivalence_adjusted < ALPHA) & (same.p >= ALPHA)).any(), clause
