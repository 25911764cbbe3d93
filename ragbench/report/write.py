"""Writes a report's files into the run folder."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from ragbench.analysis.load import Run, load_run
from ragbench.analysis.results import write_tables
from ragbench.files import write_text
from ragbench.report.figure import draw
from ragbench.report.markdown import report

REPORT = "report.md"
FIGURE = "accuracy.svg"


@dataclass(frozen=True)
class Written:
    """A report's file, with the run and the tables that it was made from."""

    path: Path
    run: Run
    results: pd.DataFrame
    effects: pd.DataFrame


def write_report(path: Path) -> Written:
    """Analyse a run and write report.md, the tables and, with matplotlib, the figure.

    Args:
        path: The run folder.

    Returns:
        The report, and what it was made from.
    """
    run = load_run(path)
    results, effects = write_tables(run)
    figure = None
    if find_spec("matplotlib") is not None:
        draw(run, results, path / FIGURE)
        figure = FIGURE
    write_text(path / REPORT, report(run, results, effects, figure))
    return Written(path / REPORT, run, results, effects)
