"""Writes a report's files into the run folder."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from ragbench.analysis.load import load_run
from ragbench.analysis.results import write_tables
from ragbench.files import write_text
from ragbench.report.figure import draw
from ragbench.report.markdown import report

REPORT = "report.md"
FIGURE = "accuracy.svg"


def write_report(path: Path) -> Path:
    """Analyse a run and write report.md, the tables and, with matplotlib, the figure.

    Args:
        path: The run folder.

    Returns:
        The report.
    """
    run = load_run(path)
    results, effects = write_tables(run)
    figure = None
    if find_spec("matplotlib") is not None:
        draw(run, results, path / FIGURE)
        figure = FIGURE
    write_text(path / REPORT, report(run, results, effects, figure))
    return path / REPORT
