"""The figure: plotted at the table's values, the same file each time, no request outside."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import load_run
from ragbench.analysis.results import results
from ragbench.report.charts.figure import BOUNDS, accuracy, draw, figures, save
from tests.analysis.making import make_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def test_the_same_figures_give_the_same_file(finished_home: Path, tmp_path: Path) -> None:
    run = load_run(finished_home / "runs" / "small")
    table = results(run)
    for name in ("a.svg", "b.svg"):
        draw(run, table, tmp_path / name)
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    assert root.tag.endswith("svg")
    assert not re.search(r"(?:href|src)=\"https?:", text)


def test_markers_stand_in_the_order_of_the_values(finished_home: Path, tmp_path: Path) -> None:
    """Read the drawn marker positions back: their x must rise and fall with the accuracies."""
    run = load_run(finished_home / "runs" / "small")
    table = results(run)
    draw(run, table, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    arms = run.members("arms")
    wanted = table[table.metric == "accuracy"].set_index("arm").loc[arms, "value"].tolist()
    uses: dict[str, list[float]] = {}
    for mark, x in re.findall(r'<use xlink:href="#(\w+)" x="([\d.]+)"', text):
        uses.setdefault(mark, []).append(float(x))
    candidates = [xs[: len(arms)] for xs in uses.values() if len(xs) >= len(arms)]
    slopes = [
        [(xs[i] - xs[0]) / (v - wanted[0]) for i, v in enumerate(wanted) if v != wanted[0]]
        for xs in candidates
    ]
    assert any(max(s) - min(s) < 0.01 * max(s) and min(s) > 0 for s in slopes)


CELLS = {
    ("general", "t", "closed-book"): "1000000000",
    ("general", "t", "bm25"): "1111000000",
    ("bio", "t", "closed-book"): "1100000000",
    ("bio", "t", "bm25"): "11111x0000",
}


def drawn(panel: Axes) -> list[tuple[float, ...]]:
    """Return the places of every marker of a panel."""
    from matplotlib.container import ErrorbarContainer

    marks = [c.lines[0] for c in panel.containers if isinstance(c, ErrorbarContainer)]
    return [
        tuple(float(v) for v in np.concatenate([m.get_xdata(), m.get_ydata()]))
        for m in marks
        if m is not None
    ]


def test_an_incomplete_cell_has_bounds_and_no_marker(tmp_path: Path) -> None:
    from matplotlib.collections import LineCollection

    run = make_run(tmp_path / "run", CELLS, bases={"bio": "general"}, full=True)
    (panel,) = accuracy(run, results(run)).axes
    general, bio = drawn(panel)
    # closed-book is the upper row; a marker each, two heights each
    assert general[:2] == pytest.approx((10, 40))
    assert bio[0] == pytest.approx(20) and math.isnan(bio[1])
    dashed = panel.findobj(lambda a: isinstance(a, LineCollection) and a.get_label() == BOUNDS)
    (segment,) = [s for c in dashed if isinstance(c, LineCollection) for s in c.get_segments()]
    assert np.asarray(segment)[:, 0].tolist() == pytest.approx([50, 60])  # 5 of 10, or 6


def test_a_forest_stands_where_its_effects_are(tmp_path: Path) -> None:
    cells = {**CELLS, ("bio", "t", "bm25"): "1111110000"}
    run = make_run(tmp_path / "run", cells, bases={"bio": "general"}, full=True)
    named = dict(figures(run, results(run), effects(run)))
    (panel,) = named["effect gain over closed-book"].axes
    # 4 - 1 and 6 - 2 of ten, from the top
    assert drawn(panel) == [pytest.approx((30, 1)), pytest.approx((40, 0))]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["t, bm25"] * 2
    (legend,) = named["effect gain over closed-book"].legends
    assert [text.get_text() for text in legend.get_texts()] == ["general", "bio"]
    (panel,) = named["slope 0"].axes
    heights = [line[2:] for line in drawn(panel)]
    assert heights == [pytest.approx((10, 40)), pytest.approx((20, 60))]


def test_long_names_leave_room_for_the_panel(tmp_path: Path) -> None:
    """Matplotlib warns, and warnings are errors, where labels leave no room."""
    names = {"bio": "b" * 70, "general": "g" * 70}
    arms = {"bm25": "bm25-" + "a" * 60, "closed-book": "closed-book"}
    cells = {
        (names[m], "t" * 50, arms[a]): text.replace("x", "1") for (m, _, a), text in CELLS.items()
    }
    run = make_run(tmp_path / "run", cells, bases={names["bio"]: names["general"]}, full=True)
    found = effects(run).assign(baseline="z" * 70)
    for number, (_, figure) in enumerate(figures(run, results(run), found)):
        save(figure, tmp_path / f"{number}.png")
        assert all(panel.get_position().width > 0.4 for panel in figure.axes)
