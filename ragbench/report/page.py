"""The report as one HTML file: tables, forest plots and every question; it requests nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ragbench.analysis.load import Run
from ragbench.report.browse import LIMIT_BYTES, browser
from ragbench.report.forest import Plot, pair_plots, plots
from ragbench.report.leakage import Leaks, find_leaks, panels
from ragbench.report.markdown import methods, notes, summary
from ragbench.report.published import beside_rows
from ragbench.report.tables import (
    Rows,
    accuracy_rows,
    delivered_rows,
    effect_table,
    measured,
    metric_rows,
    outcome_rows,
    pair_rows,
    provenance_rows,
    retrieval_rows,
    stratum_rows,
)

PUBLISHED = "Beside published figures, which were scored by their own rules"
FOLDER = Path(__file__).parent
# Leading columns that name a row; the rest are figures.
NAMING = {"model", "task", "arm", "control", "stratum", "what", "pair", "effect", "part"}
NAMING |= {"retriever", "measure", "metric", "gold matched by"}


@dataclass(frozen=True)
class Table:
    """A table of the page."""

    caption: str
    header: list[str]
    rows: list[list[str]]

    @property
    def naming(self) -> int:
        """How many of the leading columns name the row."""
        others = (i for i, name in enumerate(self.header) if name not in NAMING)
        return next(others, len(self.header))


@dataclass(frozen=True)
class Section:
    """A part of the page: a heading, plots and a table, with what must be known of it."""

    key: str
    title: str
    table: Table
    plots: list[Plot]
    note: str = ""


def page(
    run: Run,
    results: pd.DataFrame,
    effects: pd.DataFrame,
    *,
    beside: bool = False,
    leaks: Leaks | None = None,
) -> str:
    """Return the whole page.

    Args:
        run: The run.
        results: Its results table.
        effects: Its effects.
        beside: Whether published figures stand beside the run's own.
        leaks: Its leakage, if it was looked for already.

    Returns:
        HTML; the same for the same run.
    """
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    style, script = (_source(name) for name in ("page.css", "page.js"))
    found = browser(run)
    text: str = environment.get_template("page.html.j2").render(
        run=run,
        summary=summary(run, results, effects),
        notes=notes(run),
        sections=list(sections(run, results, effects, beside=beside, leaks=leaks)),
        methods=methods(run),
        provenance=Table("Versions, digests and machine", *provenance_rows(run)),
        browser=found,
        blocks={name: Markup(block) for name, block in found.blocks.items()},  # noqa: S704 - escaped by embed
        limit_mb=LIMIT_BYTES // 1_000_000,
        style=style,
        script=script,
        policy=policy(style, script),
    )
    return text


def policy(style: str, script: str) -> str:
    """Return the content policy that lets nothing but this style and this script through."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _source(name: str) -> Markup:
    """Return a file of the package, which may stand in the page as it is."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704 - our own file


def sections(
    run: Run,
    results: pd.DataFrame,
    effects: pd.DataFrame,
    *,
    beside: bool = False,
    leaks: Leaks | None = None,
) -> Iterator[Section]:
    """Yield the parts of the page that have rows.

    Args:
        run: The run.
        results: Its results table.
        effects: Its effects; every kind gets a part.
        beside: Whether published figures get one.
        leaks: Its leakage, if it was looked for already.

    Yields:
        The pairs, accuracy, each effect of a model, then what lies behind them.
    """
    title = measured(run).capitalize()
    parts: list[tuple[str, Rows, list[Plot]]] = [
        ("Retrieval or fine-tuning", pair_rows(run, effects), pair_plots(run, effects)),
        (f"{title}, and the gain over closed-book", accuracy_rows(run, results, effects), []),
        ("Further metrics", metric_rows(run, results), []),
    ]
    for kind in effects.effect[effects.base == ""].unique():
        title = kind[:1].upper() + kind[1:]
        parts.append((title, effect_table(run, effects, kind), plots(run, effects, kind)))
    parts += [
        (f"{title} by stratum", stratum_rows(run, results), []),
        ("Retrieval quality", retrieval_rows(run, results), []),
        ("What was delivered, a question", delivered_rows(run), []),
        ("Outcomes", outcome_rows(run, results), []),
        (PUBLISHED, beside_rows(run, results) if beside else ([], []), []),
    ]
    for number, (title, (header, rows), drawn) in enumerate(parts):
        if rows:
            yield Section(f"part-{number}", title, Table(title, header, rows), drawn)
    for number, panel in enumerate(panels(run, leaks or find_leaks(run))):
        header, rows = panel.rows
        if rows:
            table = Table(panel.title, header, rows)
            yield Section(f"leakage-{number}", panel.title, table, [], panel.note)
