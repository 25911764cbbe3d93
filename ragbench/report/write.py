"""Writes a report's files into the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from ragbench.analysis.load import Run, load_run
from ragbench.analysis.results import write_tables
from ragbench.files import write_bytes
from ragbench.report.figure import draw
from ragbench.report.leakage import find_leaks, write_leaks
from ragbench.report.markdown import report
from ragbench.report.page import page

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


def write_report(path: Path, *, beside: bool = False) -> Written:
    """Analyse a run and write report.md, report.html, the tables and, with matplotlib, a figure.

    Args:
        path: The run folder.
        beside: Whether published figures stand beside the run's own.

    Returns:
        The report, and what it was made from.
    """
    run = load_run(path)
    results, effects = write_tables(run)
    leaks = find_leaks(run)
    write_leaks(run, leaks)
    html = page(run, results, effects, beside=beside, leaks=leaks)
    figure = None
    if find_spec("matplotlib") is not None:
        draw(run, results, path / FIGURE)
        figure = FIGURE
    markdown = report(run, results, effects, figure, beside=beside)
    for name, text in ((REPORT, markdown), (PAGE, html)):
        # What a run holds may be no text at all (half of a surrogate pair); a report still is.
        write_bytes(path / name, text.encode("utf-8", "replace"))
    return Written(path / REPORT, path / PAGE, run, results, effects)
