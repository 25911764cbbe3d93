"""Writes a report's files into the run folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ragbench.analysis.load import Run, load_run
from ragbench.analysis.results import write_tables
from ragbench.base.files import write_bytes
from ragbench.report.charts.figure import draw, have_matplotlib
from ragbench.report.export import export
from ragbench.report.leakage import find_leaks, write_leaks
from ragbench.report.markdown import report
from ragbench.report.page.page import page
from ragbench.report.sections import sections

REPORT = "report.md"
PAGE = "report.html"
FIGURE = "accuracy.svg"


@dataclass(frozen=True)
class Written:
    """A report's files, with the run and the tables that it was made from."""

    path: Path
    page: Path
    run: Run
    results: pd.DataFrame
    effects: pd.DataFrame
    exported: tuple[Path, ...] = ()


def write_report(path: Path, *, beside: bool = False, formats: Collection[str] = ()) -> Written:
    """Analyse a run and write report.md, report.html, the tables and, with matplotlib, a figure.

    Args:
        path: The run folder.
        beside: Whether published figures stand beside the run's own.
        formats: What tables and figures are written in as well, members of ``export.FORMATS``.

    Returns:
        The report, and what it was made from.

    Raises:
        PrerequisiteError: Figures are asked for and matplotlib is not installed.
    """
    run = load_run(path)
    results, effects = write_tables(run)
    leaks = find_leaks(run)
    write_leaks(run, leaks)
    parts = list(sections(run, results, effects, beside=beside, leaks=leaks))
    html = page(run, results, effects, parts=parts)
    figure = None
    if have_matplotlib():
        draw(run, results, path / FIGURE)
        figure = FIGURE
    markdown = report(run, results, effects, figure, parts=parts)
    for name, text in ((REPORT, markdown), (PAGE, html)):
        # What a run holds may be no text at all (half of a surrogate pair); a report still is.
        write_bytes(path / name, text.encode("utf-8", "replace"))
    exported = tuple(export(run, results, effects, formats, parts=parts))
    return Written(path / REPORT, path / PAGE, run, results, effects, exported)
