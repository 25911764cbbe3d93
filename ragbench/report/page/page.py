"""The report as one HTML file: tables, charts and every question; it requests nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from ragbench.analysis.load import Run
from ragbench.report.charts.drawing import style, templates
from ragbench.report.markdown import methods, notes
from ragbench.report.page.browse import LIMIT_BYTES, browser
from ragbench.report.sections import Section, Table
from ragbench.report.tables import provenance_rows
from ragbench.report.verdict.verdict import verdict

FOLDER = Path(__file__).parent


def page(run: Run, effects: pd.DataFrame, parts: Sequence[Section]) -> str:
    """Return the whole page as HTML, the same for the same run."""
    look, script = Markup(style()) + _source("page.css"), _source("page.js")  # noqa: S704 - our own file
    found = browser(run)
    text: str = (
        templates(FOLDER)
        .get_template("page.html.j2")
        .render(
            run=run,
            summary=verdict(run, effects),
            notes=notes(run),
            sections=parts,
            methods=methods(run),
            provenance=Table("Versions, digests and machine", *provenance_rows(run)),
            browser=found,
            blocks={name: Markup(block) for name, block in found.blocks.items()},  # noqa: S704 - escaped by embed
            limit_mb=LIMIT_BYTES // 1_000_000,
            style=look,
            script=script,
            policy=policy(look, script),
        )
    )
    return text


def policy(style: str, script: str) -> str:
    """Return the content policy that allows this style and this script alone."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _source(name: str) -> Markup:
    """Return a file of the package, which the page may hold unescaped."""
    return Markup((FOLDER / name).read_text(encoding="utf-8"))  # noqa: S704 - our own file
