"""Writes a report's files into the run folder."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ragbench.analysis.load import Run, load_run
from ragbench.analysis.results import write_tables
from ragbench.base.errors import printable
from ragbench.base.files import private, write_bytes
from ragbench.report.charts.drawing import save
from ragbench.report.charts.figure import accuracy
from ragbench.report.export import export
from ragbench.report.headline import headline
from ragbench.report.leakage import find_leaks, write_leaks
from ragbench.report.markdown import report
from ragbench.report.page.page import page
from ragbench.report.sections import sections

REPORT = "report.md"
PAGE = "report.html"
FIGURE = "accuracy.svg"


@dataclass(frozen=True)
class Written:
    """The files of a report, with the run and the tables that it was made from."""

    path: Path
    page: Path
    run: Run
    results: pd.DataFrame
    effects: pd.DataFrame
    exported: tuple[Path, ...] = ()


def write_report(path: Path, *, beside: bool = False, formats: Collection[str] = ()) -> Written:
    """Analyse a run, and write report.md, report.html, the figure of accuracy and the tables.

    Args:
        path: The run folder.
        beside: Whether to add published figures.
        formats: Further formats of tables and figures, members of ``export.FORMATS``.

    Returns:
        The report with the run and the tables that it was made from.

    Raises:
        PrerequisiteError: A format needs Typst, which is not installed.
    """
    run = load_run(path)
    with private(run.about.identity.is_restricted, path):
        return _write(run, path, beside=beside, formats=formats)


def _write(run: Run, path: Path, *, beside: bool, formats: Collection[str]) -> Written:
    results, effects = write_tables(run)
    leaks = find_leaks(run)
    write_leaks(run, leaks)
    parts = list(sections(run, results, effects, beside=beside, leaks=leaks))
    save(accuracy(run, results), path / FIGURE)
    head = headline(run, results, effects)
    html, markdown = page(run, head, effects, parts), report(run, head, effects, parts, FIGURE)
    for name, text in ((REPORT, markdown), (PAGE, html)):
        # Texts of a run may hold half of a surrogate pair, which UTF-8 cannot.
        shown = printable(text) if name == REPORT else text  # a terminal shows it
        write_bytes(path / name, shown.encode("utf-8", "replace"))
    exported = tuple(export(run, results, effects, parts, formats))
    return Written(path / REPORT, path / PAGE, run, results, effects, exported)
