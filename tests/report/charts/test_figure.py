"""The figures of a run: marks at the values of its tables, worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.results import results
from ragbench.report.charts.figure import accuracy, figures
from ragbench.report.charts.slope import slope_charts
from tests.analysis.making import make_run

SVG = "{http://www.w3.org/2000/svg}"
CELLS = {
    ("general", "t", "closed-book"): "1000000000",
    ("general", "t", "bm25"): "1111000000",
    ("bio", "t", "closed-book"): "1100000000",
    ("bio", "t", "bm25"): "11111x0000",
}


def rows(root: Element) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Yield name, figures and marks (in units of the axis) of each row of the forest plots."""
    for svg in root.iter(f"{SVG}svg"):
        if svg.get("class") != "drawing forest":
            continue
        ticks = [t for t in svg.iter(f"{SVG}text") if t.get("class") == "tick"]
        (x0, v0), *_, (x1, v1) = [
            (float(t.attrib["x"][:-1]), float(str(t.text).rstrip(" %"))) for t in ticks
        ]
        for group in svg.iter(f"{SVG}g"):
            found = {}
            for mark in group:
                for name in ("x1", "x2") if mark.tag == f"{SVG}line" else ("x",):
                    if mark.tag in (f"{SVG}line", f"{SVG}svg"):
                        share = (float(mark.attrib[name][:-1]) - x0) / (x1 - x0)
                        found[f"{mark.attrib['class']} {name}"] = v0 + share * (v1 - v0)
            name, _, text = str(group[0].text).partition(": ")
            yield name, text, found


def test_accuracy_is_drawn_where_the_table_has_it(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", CELLS, bases={"bio": "general"}, full=True)
    drawn = {
        name: (text, found)
        for name, text, found in rows(ElementTree.fromstring(accuracy(run, results(run))))
    }
    assert list(drawn) == [
        *("general, closed-book", "general, bm25"),
        *("bio, closed-book", "bio, bm25"),
    ]
    marks = {name: found.get("marker x") for name, (_, found) in drawn.items()}
    assert marks == {
        "general, closed-book": pytest.approx(10, abs=0.01),
        "general, bm25": pytest.approx(40, abs=0.01),
        "bio, closed-book": pytest.approx(20, abs=0.01),
        "bio, bm25": None,  # one question has no answer
    }
    text, found = drawn["general, bm25"]
    # Wilson's interval of 4 of 10 by hand: (5.9207 -+ 3.7706) / 13.8415
    # centre (p + z^2/2n) / (1 + z^2/n) = 0.42775 and half-width 0.25958 with z = 1.95996
    assert (found["interval x1"], found["interval x2"]) == pytest.approx((16.82, 68.73), abs=0.01)
    assert text == "40.0 % (16.8 % to 68.7 %)"
    text, found = drawn["bio, bm25"]
    assert (found["bounds x1"], found["bounds x2"]) == pytest.approx((50, 60), abs=0.01)
    assert text == "bounds 50.0 % to 60.0 %"  # 5 of 10, or 6


def test_effects_are_drawn_where_they_are(tmp_path: Path) -> None:
    cells = {**CELLS, ("bio", "t", "bm25"): "1111110000"}
    run = make_run(tmp_path / "run", cells, bases={"bio": "general"}, full=True)
    charts = slope_charts(run, results(run))
    named = dict(figures(run, results(run), effects(run), charts))
    assert list(named) == [
        *("accuracy", "effect gain over closed-book", "effects of pairs"),
        *("accuracy by tokens", "slope-0-0-0"),
    ]
    drawn = {
        name: found["marker x"]
        for name, _, found in rows(ElementTree.fromstring(named["effect gain over closed-book"]))
    }
    # 4 - 1 and 6 - 2 of ten
    assert drawn == {
        "general, bm25": pytest.approx(30, abs=0.01),
        "bio, bm25": pytest.approx(40, abs=0.01),
    }
    pairs = [f["marker x"] for _, _, f in rows(ElementTree.fromstring(named["effects of pairs"]))]
    # gain 4 - 1, fine-tuning 2 - 1, retrieval less fine-tuning 4 - 2, both 6 - 4,
    # interaction (6 - 2) - (4 - 1); of ten
    assert pairs == pytest.approx([30, 10, 20, 20, 10], abs=0.01)


def test_averages_over_tasks_are_in_the_figures(tmp_path: Path) -> None:
    one = {("m", "a", "closed-book"): "10000", ("m", "a", "bm25"): "11000"}
    other = {("m", "b", "closed-book"): "10000", ("m", "b", "bm25"): "11110"}
    run = make_run(tmp_path / "run", one | other, full=True)
    named = dict(figures(run, results(run), effects(run), []))
    root = ElementTree.fromstring(named["effect gain over closed-book"])
    captions = [text.text for text in root.findall(f"{SVG}g/{SVG}text")]
    assert "Gain over closed-book on (macro), points" in captions
    found = [marks["marker x"] for _, _, marks in rows(root) if "marker x" in marks]
    assert found[:3] == pytest.approx([20, 60, 40], abs=0.01)  # 1 and 3 of five, their mean


def test_long_names_stay_on_the_paper(tmp_path: Path) -> None:
    names = {"bio": "b" * 70, "general": "g" * 70}
    arms = {"bm25": "bm25-" + "a" * 60, "closed-book": "closed-book"}
    cells = {
        (names[m], "t" * 50, arms[a]): text.replace("x", "1") for (m, _, a), text in CELLS.items()
    }
    run = make_run(tmp_path / "run", cells, bases={names["bio"]: names["general"]}, full=True)
    found = effects(run).assign(baseline="z" * 70)
    for _, svg in figures(run, results(run), found, slope_charts(run, results(run))):
        for text in ElementTree.fromstring(svg).iter(f"{SVG}text"):
            assert len(str(text.text)) <= 80


def test_figures_are_no_taller_than_a_column(tmp_path: Path) -> None:
    """Six tasks of four rows: each panel has some 3 inches, so that two are in a figure."""
    cells = {(m, f"t{n}", arm): text for (m, _, arm), text in CELLS.items() for n in range(6)}
    run = make_run(tmp_path / "run", cells, bases={"bio": "general"}, full=True)
    named = dict(figures(run, results(run), effects(run), []))
    parts = [name for name in named if name.startswith("accuracy")]
    assert len(parts) > 1 and parts[:2] == ["accuracy", "accuracy 2"]
    panels = 0
    for name in parts:
        root = ElementTree.fromstring(named[name])
        assert root.attrib["width"] == "3.3in"
        assert float(root.attrib["height"].removesuffix("in")) <= 8
        panels += len([svg for svg in root.iter(f"{SVG}svg") if svg.get("class")])
    assert panels >= 6
