"""The report as one HTML file: tables, charts and every question; it requests nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from markupsafe import Markup

from ragbench.analysis.load import Run
from ragbench.report.charts.drawing import style, templates
from ragbench.report.headline import Headline
from ragbench.report.markdown import methods
from ragbench.report.page.browse import LIMIT_BYTES, browser
from ragbench.report.page.cards import views
from ragbench.report.page.rows import shown
from ragbench.report.sections import (
    ACCURACY,
    CONTROLS,
    COST,
    EFFECTS,
    EVIDENCE,
    LEAKAGE,
    OUTCOMES,
    RETRIEVAL,
    Section,
    Table,
)
from ragbench.report.tables import coverage, provenance_rows
from ragbench.report.verdict.verdict import verdict

FOLDER = Path(__file__).parent
STYLES = ("page.css", "summary.css", "figures.css", "questions.css")
SCRIPTS = ("page.js", "tables.js", "question.js", "questions.js")
FEW_LIMITS = 4  # limits on the first screen; the others open on demand
SAYS = {
    EFFECTS: "Retrieval, fine-tuning and their difference, task by task",
    ACCURACY: "Every model, task and arm, its strata and further metrics",
    CONTROLS: "Random and gold passages: what the passages themselves bring",
    RETRIEVAL: "What the retrievers found, and what reached the prompts",
    EVIDENCE: "Whether the answers depend on the passages",
    LEAKAGE: "What the passages give away, and repeated questions",
    COST: "Tokens and seconds, and the points gained for them",
    OUTCOMES: "Right, wrong and without an answer",
}


@dataclass(frozen=True)
class Group:
    """The parts of a report that open and close together."""

    key: str
    title: str
    says: str
    sections: list[Section]


def page(run: Run, head: Headline, effects: pd.DataFrame, parts: Sequence[Section]) -> str:
    """Return the whole page as HTML, the same for the same run."""
    look, script = Markup(style()) + _source(*STYLES), _source(*SCRIPTS)  # noqa: S704 - our own file
    found = browser(run)
    text: str = (
        templates(FOLDER)
        .get_template("page.html.j2")
        .render(
            run=run,
            summary=[line for line in verdict(run, effects) if line not in head.limits],
            headline=head,
            cards=views(run, head.cards),
            coverage=coverage(run),
            few=FEW_LIMITS,
            groups=grouped(parts),
            shown={part.key: shown(run, part.table) for part in parts},
            methods=methods(run),
            provenance=shown(run, Table("Versions, digests and machine", *provenance_rows(run))),
            browser=found,
            blocks={name: Markup(block) for name, block in found.blocks.items()},  # noqa: S704 - escaped by embed
            limit_mb=LIMIT_BYTES // 1_000_000,
            style=look,
            script=script,
            policy=policy(look, script),
        )
    )
    return text


def grouped(parts: Sequence[Section]) -> list[Group]:
    """Return the groups that have parts, in the order of the parts."""
    titles = dict.fromkeys(part.group for part in parts)
    return [
        Group(
            key=title.lower().replace(" ", "-"),
            title=title,
            says=SAYS[title],
            sections=[part for part in parts if part.group == title],
        )
        for title in titles
    ]


def policy(style: str, script: str) -> str:
    """Return the content policy that allows this style and this script alone."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _source(*names: str) -> Markup:
    """Return files of the package, one after the other, which the page may hold unescaped."""
    return Markup("\n".join((FOLDER / n).read_text(encoding="utf-8") for n in names))  # noqa: S704 - our own files
