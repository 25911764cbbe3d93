"""The report as one HTML file: tables, forest plots and every question; it requests nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ragbench.analysis.load import Run
from ragbench.report.markdown import methods, notes
from ragbench.report.page.browse import LIMIT_BYTES, browser
from ragbench.report.sections import Section, Table, sections
from ragbench.report.tables import provenance_rows
from ragbench.report.verdict import verdict

FOLDER = Path(__file__).parent
CHARTS = FOLDER.with_name("charts")


def page(
    run: Run,
    results: pd.DataFrame,
    effects: pd.DataFrame,
    *,
    parts: Sequence[Section] | None = None,
) -> str:
    """Return the whole page.

    Args:
        run: The run.
        results: Its results table.
        effects: Its effects.
        parts: Its parts, if they were made already.

    Returns:
        HTML; the same for the same run.
    """
    environment = Environment(
        loader=FileSystemLoader([FOLDER, CHARTS]),
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
        summary=verdict(run, effects),
        notes=notes(run),
        sections=parts if parts is not None else list(sections(run, results, effects)),
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
