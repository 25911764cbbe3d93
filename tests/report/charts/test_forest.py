"""The forest plots: drawn where the estimates are, as read back from the plot's own scale."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run
from ragbench.report.charts.drawing import figure
from ragbench.report.charts.forest import LEFT, RIGHT, SHAPES, Plot, Scale, plots, shortened
from tests.analysis.making import make_run
from tests.report.reading import Element, read

RATE = st.floats(-1, 1) | st.just(math.nan)
CELLS = {
    (model, task, arm): text
    for model in ("m", "other")
    for task in ("t", "u")
    for arm, text in {"closed-book": "1100", "bm25": "1110", "random": "1000"}.items()
}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return make_run(tmp_path / "run", CELLS, controls={"random": "bm25"})


def percent(element: Element, name: str) -> float:
    return float(element.attributes[name].removesuffix("%"))


def svgs(made: list[Plot]) -> dict[str, Element]:
    """Return each plot as it is drawn, by its title."""
    found = [svg for svg in read(figure(made)).all("svg") if "role" in svg.attributes]
    return {svg.all("title")[0].text: svg for svg in found}


def drawn(svg: Element) -> dict[str, list[float]]:
    """Return the marks of each row, in points: low, high and, if it has a marker, estimate."""
    ticks = [t for t in svg.all("text") if t.attributes.get("class") == "tick"]
    (x0, v0), *_, (x1, v1) = [(percent(t, "x"), float(t.text)) for t in ticks]

    def value(x: float) -> float:
        return v0 + (x - x0) * (v1 - v0) / (x1 - x0)

    found = {}
    for group in svg.all("g"):
        (line,) = group.all("line")
        marks = [percent(mark, "x") for mark in group.all("svg")]
        positions = [percent(line, "x1"), percent(line, "x2"), *marks]
        found[group.all("title")[0].text.partition(":")[0]] = [value(x) for x in positions]
    return found


def test_every_effect_is_drawn_where_it_is(run: Run) -> None:
    found = effects(run)
    headroom = found[found.effect == "gain over closed-book"]
    headroom = headroom.assign(effect="headroom with gold missing", baseline="oracle")
    found = pd.concat([found, headroom], ignore_index=True)
    of_tasks = found[(found.stratum == "") & ~found.task.str.startswith("(")]
    kinds = ["gain over closed-book", "placebo-corrected gain", "headroom with gold missing"]
    assert set(of_tasks.effect) == set(kinds)
    seen = {kind: svgs(plots(run, found, kind)) for kind in kinds}
    for row in of_tasks.to_dict(orient="records"):
        arm, control = row["arm"], row["baseline"]
        name = {
            "gain over closed-book": f"{row['model']}, {arm}",
            "headroom with gold missing": f"{row['model']}, {control} less {arm}",
        }.get(row["effect"], f"{row['model']}, {arm} less {control}")
        svg = seen[row["effect"]][f"{row['effect'].capitalize()} on {row['task']}"]
        low, high, estimate = drawn(svg)[name]
        assert low == pytest.approx(100 * row["ci_low"], abs=0.01)
        assert high == pytest.approx(100 * row["ci_high"], abs=0.01)
        assert estimate == pytest.approx(100 * row["estimate"], abs=0.01)
    rows = sum(len(drawn(svg)) for kind in kinds for svg in seen[kind].values())
    assert rows == len(of_tasks)


def test_an_incomplete_cell_shows_dashed_bounds_and_no_marker(run: Run) -> None:
    found = effects(run)
    broken = (found.arm == "bm25") & (found.task == "t") & (found.model == "m")
    found.loc[broken, ["estimate", "ci_low", "ci_high", "p"]] = [math.nan, -0.4, 0.7, math.nan]
    found.loc[broken, "status"] = "incomplete"
    made = plots(run, found, "gain over closed-book")
    assert made[0].caption.endswith(" on t, points; dashed: bounds, answers are missing")
    assert made[1].caption.endswith(" on u, points")
    svg = svgs(made)["Gain over closed-book on t"]
    group = next(g for g in svg.all("g") if "m, bm25:" in g.text)
    assert group.all("line")[0].attributes["class"] == "bounds"
    assert group.all("svg") == []
    assert "bounds -40.0 to +70.0" in group.text
    assert drawn(svg)["m, bm25"] == pytest.approx([-40.0, 70.0], abs=0.01)


def test_models_differ_by_shape_and_share_one_scale(run: Run) -> None:
    made = plots(run, effects(run), "gain over closed-book")
    assert [text for text, _ in made[0].headings] == ["m", "other"]
    shapes = {row.name.partition(",")[0]: row.shape for row in made[0].rows}
    assert shapes == {"m": SHAPES[0], "other": SHAPES[1]}
    assert len(set(SHAPES)) == len(SHAPES)
    assert len({tuple(plot.ticks) for plot in made}) == 1


@given(st.lists(st.tuples(RATE, RATE, RATE), min_size=1, max_size=6))
def test_a_scale_holds_zero_and_every_value(rows: list[tuple[float, float, float]]) -> None:
    keys = ("estimate", "ci_low", "ci_high")
    scale = Scale.over([dict(zip(keys, row, strict=True)) for row in rows])
    for value in [0.0, *(100 * v for row in rows for v in row if not math.isnan(v))]:
        assert LEFT - 0.001 <= scale.at(value) <= RIGHT + 0.001
    ticks = list(scale.ticks())
    assert 3 <= len(ticks) <= 9
    assert any(abs(tick) < 1e-9 for tick in ticks)
    assert scale.at(ticks[0]) == LEFT
    assert scale.at(ticks[-1]) == RIGHT


def test_long_names_are_shortened_in_the_middle() -> None:
    assert shortened("bm25-5") == "bm25-5"
    text = shortened("a" * 30 + "b" * 30)
    assert len(text) == 30
    assert text.startswith("aaa")
    assert text.endswith("bbb")
