"""Tables of a report as CSV, a paper's as LaTeX, and figures as PNG, SVG and PDF."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from ragbench.analysis.csvfile import write_csv
from ragbench.analysis.load import Run
from ragbench.base.errors import PrerequisiteError
from ragbench.base.files import write_bytes
from ragbench.report.charts.drawing import can_convert, save
from ragbench.report.charts.figure import figures
from ragbench.report.paper.compact import small_tables
from ragbench.report.paper.latex import latex
from ragbench.report.sections import Section, Table

TABLES = ("csv", "latex")
FIGURES = ("png", "svg", "pdf")
FORMATS = (*TABLES, *FIGURES)


def export(
    run: Run,
    results: pd.DataFrame,
    effects: pd.DataFrame,
    parts: Sequence[Section],
    formats: Collection[str],
) -> list[Path]:
    """Write tables into ``tables/`` and figures into ``figures/``.

    CSV has every table of the report; LaTeX has the small tables of ``paper.compact``, which fit a
    column.

    Args:
        run: The run.
        results: Its results table.
        effects: Its effects.
        parts: The report's parts.
        formats: Members of FORMATS.

    Returns:
        The files, in the order of the report.

    Raises:
        PrerequisiteError: A format needs Typst, which is not installed.
    """
    wanted = [name for name in FIGURES if name in formats]
    if {"png", "pdf"} & {*wanted} and not can_convert():
        raise PrerequisiteError(
            "PNG and PDF figures need typst, which is not installed",
            fix="pip install 'ragbench[report]', or ask for svg, which needs nothing",
        )
    written = []
    if "csv" in formats:
        for part in parts:
            stem = run.path / "tables" / slug(part.table.caption)
            written.append(_csv(part.table, stem.with_suffix(".csv")))
    if "latex" in formats:
        for table in small_tables(run, results, effects):
            path = run.path / "tables" / f"{table.key}.tex"
            write_bytes(path, latex(table).encode("ascii"))
            written.append(path)
    if wanted:
        drawings = [drawing for part in parts for drawing in part.drawings]
        for name, svg in figures(run, results, effects, drawings):
            for kind in wanted:
                path = run.path / "figures" / f"{slug(name)}.{kind}"
                save(svg, path)
                written.append(path)
    return written


def slug(title: str) -> str:
    """Return a title as the name of a file: lower-case words of ASCII, joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", title.lower())) or "table"


def _csv(table: Table, path: Path) -> Path:
    frame = pd.DataFrame(table.rows, columns=table.header)
    write_csv(frame, path, float_format=None)
    return path
