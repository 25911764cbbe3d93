"""The figure: plotted at the table's values, the same file each time, no request outside."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from ragbench.analysis.load import load_run
from ragbench.analysis.results import results
from ragbench.report.figure import draw


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
