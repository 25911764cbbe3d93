"""Runs with next to nothing in them: every report, table and figure is written, and is sound."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ragbench.report.paper.compact import small_tables
from ragbench.report.write import write_report
from tests.report.conftest import change_lines
from tests.report.paper.reading import check_latex
from tests.report.reading import Element, read
from tests.runfolder.sealing import reseal

Scores = pd.DataFrame


def change(run: Path, config: Callable[[Any], None], scores: Callable[[Scores], Scores]) -> None:
    """Change what a run says of itself, and its scores."""
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    config(about)
    (run / "run.json").write_text(json.dumps(about), encoding="utf-8")
    table = run / "scores" / "correct.parquet"
    scores(pd.read_parquet(table)).to_parquet(table)


def keep_arms(run: Path, kept: Callable[[str], bool]) -> None:
    def config(about: Any) -> None:
        about["config"]["arms"] = [a for a in about["config"]["arms"] if kept(a["name"])]
        for task in about["identity"]["tasks"].values():
            task["arms"] = [arm for arm in task["arms"] if kept(arm)]

    change(run, config, lambda scores: scores[scores.arm.map(kept)])


def one_question(run: Path) -> None:
    def config(about: Any) -> None:
        for task in about["identity"]["tasks"].values():
            task["n"] = 1

    change(run, config, lambda scores: scores[scores.question_id == "q-scurvy"])
    for path in [*(run / "questions").glob("*"), *(run / "packed").glob("*.jsonl")]:
        first = path.read_text(encoding="utf-8").splitlines()[0]
        assert "q-scurvy" in first
        path.write_text(first + "\n", encoding="utf-8")
    for path in (run / "retrieval").glob("*.quality.jsonl"):
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(x for x in lines if "q-scurvy" in x), encoding="utf-8")


def answered(run: Path, value: float) -> None:
    def scores(table: Scores) -> Scores:
        pick = table.answer if value else (table.answer + 1) % 3
        return table.assign(accuracy=value, outcome="parsed", pick=pick.astype("Int64"))

    change(run, lambda about: None, scores)


def fail(run: Path, arm: str) -> None:
    def scores(table: Scores) -> Scores:
        mine = table.arm == arm
        table.loc[mine, "outcome"] = "error"
        table.loc[mine, ["accuracy", "confidence", "elapsed_s"]] = np.nan
        table.loc[mine, ["pick", "prompt_tokens", "reply_tokens"]] = pd.NA
        return table

    change(run, lambda about: None, scores)


def pair(run: Path) -> None:
    """Give the model a biomedical sibling that is right where the other is wrong."""

    def config(about: Any) -> None:
        (model,) = about["config"]["models"]
        about["config"]["models"].append(model | {"name": "bio", "base": "scripted"})
        about["identity"]["models"]["bio"] = about["identity"]["models"]["scripted"]

    change(
        run,
        config,
        lambda table: pd.concat(
            [table, table.assign(model="bio", accuracy=1 - table.accuracy)], ignore_index=True
        ),
    )
    for path in (run / "records").glob("*.jsonl"):
        copy = path.with_name(path.name.replace("scripted", "bio"))
        shutil.copy(path, copy)
        change_lines(copy, lambda record: record | {"model": "bio"})


def nothing_but_closed_book(run: Path) -> None:
    keep_arms(run, lambda arm: arm == "closed-book")


CASES: dict[str, list[Callable[[Path], None]]] = {
    "one question": [one_question],
    "one question of a pair": [one_question, pair],
    "all right": [lambda run: answered(run, 1.0)],
    "all right, of a pair": [lambda run: answered(run, 1.0), pair],
    "all wrong": [lambda run: answered(run, 0.0)],
    "no closed-book arm": [pair, lambda run: keep_arms(run, lambda arm: arm != "closed-book")],
    "no retrieval arm": [nothing_but_closed_book],
    "no retrieval arm, of a pair": [pair, nothing_but_closed_book],
    "a failed arm": [lambda run: fail(run, "bm25-2"), pair],
    "nothing answered": [lambda run: fail(run, "closed-book"), nothing_but_closed_book],
    "controls alone": [lambda run: keep_arms(run, lambda arm: arm in ("closed-book", "bm25-2"))],
}
MILD = ("all right", "all right, of a pair", "no closed-book arm", "no retrieval arm")
PLACE = re.compile(r"^-?[0-9.]+%?$")


def check_drawings(page: Element) -> int:
    """Refuse a drawing with a place that is no number, or out of it; return how many there are."""
    drawings = [svg for svg in page.all("svg") if svg.attributes["class"].startswith("drawing")]
    for svg in drawings:
        height = float(svg.attributes["height"])
        for tag in ("line", "rect", "text", "svg"):
            for element in svg.all(tag):
                if tag == "line" and set(element.attributes) & {"class"} == {"hatch"}:
                    continue
                for name in ("x", "x1", "x2", "y", "y1", "y2", "width"):
                    value = element.attributes.get(name, "0")
                    assert PLACE.match(value), (tag, name, value)
                    number = float(value.removesuffix("%"))
                    assert -1 <= number <= (101 if value.endswith("%") else max(height, 101))
    return len(drawings)


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=[pytest.mark.slow] * (c in MILD)) for c in CASES]
)
def test_every_part_of_a_report_is_written(mixed_copy: Path, case: str) -> None:
    for step in CASES[case]:
        step(mixed_copy)
    reseal(mixed_copy)
    written = write_report(mixed_copy, formats=("csv", "latex", "svg"))
    text = written.page.read_text(encoding="utf-8")
    page = read(text)
    assert check_drawings(page) > 0
    shown = text.partition('<script type="application/json"')[0] + written.path.read_text()
    assert not re.search(r"(?i)(?<![\w-])(nan|<NA>|inf)(?![\w-])", shown)
    small = {t.key: t for t in small_tables(written.run, written.results, written.effects)}
    for path in written.exported:
        data = path.read_text(encoding="utf-8")
        assert data.strip()
        if path.suffix == ".tex":
            table = small[path.stem]
            rows = sum(len(group.rows) for group in table.groups)
            check_latex(data, len(table.columns) + 1, rows)
            assert not re.search(r"(?i)(?<![\w-])(nan|<NA>|inf)(?![\w-])", data)
    assert {path.suffix for path in written.exported} == {".csv", ".tex", ".svg"}


def test_rates_of_a_pair_stay_between_none_and_all(mixed_copy: Path) -> None:
    answered(mixed_copy, 1.0)
    pair(mixed_copy)
    reseal(mixed_copy)
    write_report(mixed_copy)
    found = pd.read_csv(mixed_copy / "results.csv")
    rates = found[(found.metric == "accuracy") & (found.model != "-")]
    assert set(rates.value) == {0.0, 1.0}
    assert rates.ci_low.ge(0).all() and rates.ci_high.le(1).all()
