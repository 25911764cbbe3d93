"""The charts of a pair in a real browser: inside their frames at every width, and told apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragbench.base.records import Question
from ragbench.experiment.importing.imported import (
    ImportedAnswer,
    ImportedArm,
    ImportedRun,
    ImportedTask,
    write_run,
)
from ragbench.report.write import write_report
from tests.report.browsing import Driver, find_all, requests, show
from tests.report.test_degenerate import change
from tests.runfolder.sealing import reseal

RATES = {("general", "closed-book"): 0.4, ("general", "bm25"): 0.7}
RATES |= {("bio", "closed-book"): 0.5, ("bio", "bm25"): 0.6}


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of 120 questions, some of whose replies have no answer."""
    draw = np.random.default_rng(4)
    questions = [Question(f"q{i}", f"Question {i}?", ("a", "b"), i % 2, "?") for i in range(120)]

    def reply(question: Question, rate: float) -> ImportedAnswer:
        if draw.random() < 0.1:
            return ImportedAnswer(reply="I cannot tell.")
        right = draw.random() < rate
        return ImportedAnswer(reply="AB"[question.answer if right else 1 - question.answer])

    run = ImportedRun(
        name="pair",
        mode="correct",
        sources={"file.jsonl": "0" * 64},
        tasks=[ImportedTask("t", questions)],
        arms=[ImportedArm("closed-book"), ImportedArm("bm25", 5)],
        models=["general", "bio"],
        answers={
            (model, "t", arm): {q.id: reply(q, rate) for q in questions}
            for (model, arm), rate in RATES.items()
        },
        bases={"bio": "general"},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(tmp_path_factory.mktemp("pair")))
        return write_report(write_run(run)).page


LONG = "a-biomedical-model-with-a-very-long-name-indeed-70b-instruct"
LONG_ARM = "bm25-over-a-union-of-four-corpora-reranked"


@pytest.fixture(scope="module")
def curved(mixed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a pair with long names, three numbers of passages, and a shuffled control."""

    def config(about: Any) -> None:
        (model,) = about["config"]["models"]
        about["config"]["models"].append(model | {"name": LONG, "base": "scripted"})
        about["identity"]["models"][LONG] = about["identity"]["models"]["scripted"]
        arms = {arm["name"]: arm for arm in about["config"]["arms"]}
        arms["hybrid"] |= arms["bm25-1"] | {"k": 4, "name": LONG_ARM}
        for task in about["identity"]["tasks"].values():
            task["arms"] = [LONG_ARM if arm == "hybrid" else arm for arm in task["arms"]]

    def scores(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[table.arm == "hybrid", "delivered_k"] = 4
        table["arm"] = table.arm.replace({"hybrid": LONG_ARM})
        other = table.assign(model=LONG, accuracy=1 - table.accuracy)
        return pd.concat([table, other], ignore_index=True)

    folder = tmp_path_factory.mktemp("curved") / "mixed"
    shutil.copytree(mixed_home / "runs" / "mixed", folder)
    change(folder, config, scores)
    for path in (folder / "packed").glob("*+hybrid.jsonl"):
        path.rename(path.with_name(path.name.replace("hybrid", LONG_ARM)))
    for path in (folder / "records").glob("*.jsonl"):
        path = path.rename(path.with_name(path.name.replace("hybrid", LONG_ARM)))
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for record in records:
            record["arm"] = record["arm"].replace("hybrid", LONG_ARM)
        path.write_text("".join(json.dumps(r) + "\n" for r in records), encoding="utf-8")
        shutil.copy(path, path.with_name(path.name.replace("scripted", LONG)))
    reseal(folder)
    return write_report(folder).page


OUTSIDE = """
const found = [];
for (const svg of document.querySelectorAll('svg.drawing')) {
  const frame = svg.getBoundingClientRect();
  for (const mark of svg.querySelectorAll('path, rect, line, text')) {
    const box = mark.getBoundingClientRect();
    if (mark.closest('defs') || !box.width && !box.height) continue;
    if (box.left < frame.left - 8 || box.right > frame.right + 8 || box.top < frame.top - 8 ||
        box.bottom > frame.bottom + 8) found.push(svg.querySelector('title').textContent + ': ' +
        mark.outerHTML.slice(0, 120));
  }
}
return found;
"""


@pytest.mark.parametrize("width", [360, 1200])
@pytest.mark.parametrize("dark", [False, True])
def test_charts_stay_in_their_frames(
    chromium: Driver,
    pair: Path,
    width: int,
    dark: bool,
) -> None:
    show(chromium, pair, width=width, dark=dark, whole=True)
    assert len(chromium.find_elements("css selector", "svg.chart")) == 1
    assert len(chromium.find_elements("css selector", "svg.shares")) == 1
    assert chromium.execute_script(OUTSIDE) == []
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    assert requests(chromium) == [pair.as_uri()]
    assert chromium.get_log("browser") == []


OVERLAPPING = """
const found = [];
for (const svg of document.querySelectorAll('svg.chart')) {
  const boxes = [...svg.querySelectorAll('text')].map(
    t => [t.textContent, t.getBoundingClientRect()]);
  boxes.forEach(([one, a], i) => boxes.slice(i + 1).forEach(([other, b]) => {
    const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
    const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
    if (across > 1 && down > 4) found.push(one + ' | ' + other);
  }));
}
return found;
"""


@pytest.mark.parametrize(
    "width", [360, *(pytest.param(w, marks=pytest.mark.slow) for w in (700, 1200))]
)
def test_long_names_and_curves_stay_in_their_frames(
    chromium: Driver, curved: Path, width: int
) -> None:
    show(chromium, curved, width=width, whole=True)
    titles = [svg.get_property("textContent") for svg in find_all(chromium, "svg.chart > title")]
    # Three retrieval arms, a curve and the frontiers of two models on each of three tasks; places
    # where they are several.
    placed = pd.read_csv(curved.parent / "places.csv")
    placed = placed[placed.curve == "bm25-2, shuffled"].drop_duplicates("task")
    assert len(placed) > 0
    assert len(titles) == 18 + len(placed)
    assert sum("by delivered passages" in title for title in titles) == 3
    assert chromium.execute_script(OUTSIDE) == []
    assert chromium.execute_script(OVERLAPPING) == []
    assert chromium.execute_script("return document.documentElement.scrollWidth") <= width
    assert requests(chromium) == [curved.as_uri()]
    assert chromium.get_log("browser") == []


def test_models_and_outcomes_are_told_apart_without_colour(
    chromium: Driver,
    pair: Path,
) -> None:
    show(chromium, pair, whole=True)
    style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    dashes = {
        chromium.execute_script(style, f"svg.chart .{kind} > line", "strokeDasharray")
        for kind in ("solid", "dashed")
    }
    assert len(dashes) == 2
    fills = {
        chromium.execute_script(style, f"svg.shares g.row rect.{kind}", "fill")
        for kind in ("right", "wrong", "no-answer")
    }
    assert len(fills) == 3
    shapes = chromium.execute_script(
        "return [...document.querySelectorAll('svg.chart g.row > svg:first-of-type path')]"
        ".map(p => p.getAttribute('d'))"
    )
    assert len(set(shapes)) == 2


def test_the_chart_stands_where_its_figures_say(chromium: Driver, pair: Path) -> None:
    """Read the markers back: their heights rise and fall as the accuracies of the table."""
    results = pd.read_csv(pair.parent / "results.csv")
    show(chromium, pair, whole=True)
    heights = chromium.execute_script(
        "return [...document.querySelectorAll('svg.chart g.row')].map(g => "
        "[...g.querySelectorAll(':scope > svg.marker')].slice(1).map("
        "s => s.querySelector('path').getBoundingClientRect()).map(b => b.top + b.height / 2))"
    )
    found = results[results.metric == "accuracy"].set_index(["model", "arm"]).value
    wanted = [[found[m, a] for a in ("closed-book", "bm25")] for m in ("general", "bio")]
    drawn, values = np.array(heights).ravel(), np.array(wanted).ravel()
    line = np.polyfit(values, drawn, 1)
    assert line[0] < 0
    assert np.abs(np.polyval(line, values) - drawn).max() < 2.0  # shapes differ in their middle
