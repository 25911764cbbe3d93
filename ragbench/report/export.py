"""Tables of a report as CSV and LaTeX, and its figures as PNG, SVG and PDF."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

import pandas as pd

from ragbench.analysis.csvfile import write_csv
from ragbench.analysis.load import Run
from ragbench.base.errors import PrerequisiteError
from ragbench.base.files import write_bytes
from ragbench.report.charts.drawing import can_convert, save
from ragbench.report.charts.figure import figures
from ragbench.report.sections import Section, Table

TABLES = ("csv", "latex")
FIGURES = ("png", "svg", "pdf")
FORMATS = (*TABLES, *FIGURES)
SIGNS = {
    **{c: f"\\{c}" for c in "&%$#_{}"},
    # At the start of a row, LaTeX would read these as an option of the row before.
    **{"[": "{[}", "]": "{]}", "*": "{*}"},
    **{"~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}"},
    **{"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"},
    **{"`": r"\textasciigrave{}", '"': "''"},
    **{"\N{NO-BREAK SPACE}": "~", "\N{HORIZONTAL ELLIPSIS}": r"\dots{}"},
    **{"\N{EN DASH}": r"\textendash{}", "\N{EM DASH}": r"\textemdash{}"},
    **{"\N{LEFT SINGLE QUOTATION MARK}": "`", "\N{RIGHT SINGLE QUOTATION MARK}": "'"},
    **{"\N{LEFT DOUBLE QUOTATION MARK}": "``", "\N{RIGHT DOUBLE QUOTATION MARK}": "''"},
    **{"ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "œ": r"\oe{}", "Œ": r"\OE{}"},
    **{"ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}"},
    **{"\N{LATIN SMALL LETTER DOTLESS I}": r"\i{}"},
    **{"§": r"\S{}", "©": r"\copyright{}"},
}
IN_MATHS = {
    **{"±": "pm", "\N{MULTIPLICATION SIGN}": "times", "÷": "div", "·": "cdot", "°": "circ"},
    **{"\N{MINUS SIGN}": "-"},
    **{"≤": "leq", "≥": "geq", "≠": "neq", "≈": "approx", "∞": "infty", "µ": "mu"},
    **{"←": "leftarrow", "↑": "uparrow", "→": "rightarrow", "↓": "downarrow"},
}
ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308", "`'^~=u.\"", strict=True))
ACCENTS |= dict(zip("\u030a\u030b\u030c\u0327", "rHvc", strict=True))
GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau "
    "upsilon phi chi psi omega"
).split()
GREEK_CAPITALS = "gamma delta theta lambda xi pi sigma phi psi omega".split()


def export(
    run: Run,
    results: pd.DataFrame,
    effects: pd.DataFrame,
    parts: Sequence[Section],
    formats: Collection[str],
) -> list[Path]:
    """Write the tables of the report into ``tables/`` and its figures into ``figures/``.

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
    for part in parts:
        table = part.table
        stem = run.path / "tables" / slug(table.caption)
        if "csv" in formats:
            written.append(_csv(table, stem.with_suffix(".csv")))
        if "latex" in formats:
            text = latex(table, label=f"tab:{stem.name}")
            write_bytes(stem.with_suffix(".tex"), text.encode("utf-8", "replace"))
            written.append(stem.with_suffix(".tex"))
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


def latex(table: Table, *, label: str) -> str:
    """Return a ``table`` environment for the package booktabs, with every cell escaped."""
    columns = "".join("l" if i < table.naming else "r" for i in range(len(table.header)))
    lines = [
        r"\begin{table}[htbp]",
        rf"\caption{{{escaped(table.caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _line(table.header),
        r"\midrule",
        *map(_line, table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _line(cells: Iterable[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"


def escaped(text: str) -> str:
    r"""Return text as LaTeX prints it, in one line, with its own fonts and without packages.

    Letters with accents, Greek letters and common signs become commands; any other character
    outside ASCII becomes its number, such as ``[U+4E2D]``.

    >>> print(escaped("50 %, naïve ≥ 2"))
    50 \%, na\"{\i}ve \ensuremath{\geq} 2
    """
    shown = "".join(map(_sign, unicodedata.normalize("NFC", text)))
    return " ".join(re.sub(r"-(?=-)", "-{}", shown).split())


def _sign(sign: str) -> str:
    if sign in SIGNS:
        return SIGNS[sign]
    if sign in IN_MATHS:
        name = IN_MATHS[sign]
        return rf"\ensuremath{{{name if name == '-' else chr(92) + name}}}"
    if sign.isascii():
        return sign if sign.isprintable() else " "
    kind, _, name = unicodedata.name(sign, "").replace("LAMDA", "LAMBDA").rpartition(" LETTER ")
    if kind == "GREEK SMALL" and name.lower() in GREEK_NAMES:
        return rf"\ensuremath{{\{name.lower()}}}"
    if kind == "GREEK CAPITAL" and name.lower() in GREEK_CAPITALS:
        return rf"\ensuremath{{\{name.capitalize()}}}"
    apart = unicodedata.normalize("NFD", sign)
    base, accents = apart[0], apart[1:]
    if base.isascii() and base.isalpha() and accents in ACCENTS:
        dotless = rf"\{base}" if base in "ij" and accents != "\u0327" else base
        return rf"\{ACCENTS[accents]}{{{dotless}}}"
    return f"{{[}}U+{ord(sign):04X}{{]}}"
