"""Small tables as LaTeX; the slow tier compiles them with a real one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from ragbench.report.paper.compact import small_tables
from ragbench.report.paper.latex import MOST_COLUMNS, MOST_ROWS, Cell, Group, Small, latex, split
from tests.report.conftest import Analysed
from tests.report.paper.reading import HOSTILE, check_latex

LONG = "x" * 40 + "_" + "Y" * 40
DOCUMENT = r"""\documentclass[twocolumn]{article}
\usepackage{booktabs}
\begin{document}
%s
Text.
\end{document}
"""


def table(*rows: tuple[str, Cell], heading: str = "t", column: str = "points") -> Small:
    groups = (Group(heading, tuple((name, (cell,)) for name, cell in rows)),)
    return Small("key", "A caption", (column,), groups)


def hostile() -> Small:
    """A table whose every text attacks, is long, or begins as an option of LaTeX would."""
    cells = (Cell("\N{MINUS SIGN}49.2", "[\N{MINUS SIGN}60.9, \N{MINUS SIGN}36.0]"), Cell("[1]"))
    rows = tuple((name, cells) for name in (HOSTILE, LONG, "[0, 1)", "*", "naïve β ≥ 中"))
    groups = (Group(HOSTILE, rows), Group(LONG, rows))
    return Small("hostile", HOSTILE + LONG, ("n", LONG), groups)


def test_a_table_by_hand() -> None:
    """12 signs of 4 pt are wider than the estimate and the header; the name takes the rest."""
    made = latex(table(("gain_1", Cell("+5.0", "[-6.6, 16.5]")), ("b", Cell("-"))))
    assert made.splitlines()[6:] == [
        r"\begin{tabular}{@{}p{\dimexpr\columnwidth-53pt\relax}p{48pt}@{}}",
        r"\toprule",
        r" & \raggedleft\hspace{0pt}points \tabularnewline",
        r"\midrule",
        r"\multicolumn{2}{@{}p{\columnwidth}@{}}{\raggedright\itshape\hspace{0pt}t}\tabularnewline",
        r"\raggedright\hspace{0pt}gain\_\allowbreak{}1 & \raggedleft +5.0\\{\scriptsize "
        r"{[}-6.6, 16.5{]}} \tabularnewline",
        r"\addlinespace[1.5pt]",
        r"\raggedright\hspace{0pt}b & \raggedleft - \tabularnewline",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


@pytest.mark.parametrize("n", range(1, 7))
def test_columns_leave_the_first_no_more_than_there_is(n: int) -> None:
    """Widths and twice 2.5 pt beside each column of figures; the table ends without a margin."""
    cells = tuple(Cell("1" * (place + 4), "2" * place) for place in range(n))
    groups = (Group("t", (("row", cells),)),)
    text = latex(Small("k", "C.", tuple(f"c{place}" for place in range(n)), groups))
    taken = re.findall(r"\\columnwidth-(\d+)pt", text)
    widths = re.findall(r"p\{(\d+)pt\}", text)
    assert len(taken) == 1 and len(widths) == n
    assert 0 <= int(taken[0]) - (sum(map(int, widths)) + 5 * n) < 1


def test_hostile_texts_are_escaped() -> None:
    text = latex(hostile())
    check_latex(text, 3, 10)
    assert r"\input{" not in text


def test_a_row_does_not_begin_with_what_the_row_before_would_read() -> None:
    text = latex(table(("[0, 1)", Cell("1", "[0, 1]")), ("*", Cell("*", "*"))))
    check_latex(text, 2, 2)
    assert not re.search(r"(\\\\|newline)\s*[\[*]", text)


def test_long_tables_go_on_in_another() -> None:
    """24 rows to a table: of groups of ten, two; a group of thirty is not cut."""
    groups = [Group(str(n), tuple((f"r{i}", (Cell("1"),)) for i in range(10))) for n in range(3)]
    many = Group("many", tuple((f"r{i}", (Cell("1"),)) for i in range(30)))
    parts = list(split(Small("k", "C.", ("n",), (*groups, many))))
    assert [(p.key, p.caption, [g.heading for g in p.groups]) for p in parts] == [
        ("k", "C.", ["0", "1"]),
        ("k-2", "C. (continued)", ["2"]),
        ("k-3", "C. (continued)", ["many"]),
    ]
    assert MOST_ROWS == 24


@pytest.mark.slow
def test_latex_compiles_every_table_within_its_column(mixed: Analysed, tmp_path: Path) -> None:
    """In columns of 229.5 pt; LaTeX reports what is wider than its box as overfull."""
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("there is no pdflatex; Debian has it in texlive-latex-recommended")
    small = [*small_tables(mixed.run, mixed.results, mixed.effects), hostile()]
    assert all(len(one.columns) < MOST_COLUMNS for one in small)
    (tmp_path / "paper.tex").write_text(DOCUMENT % "\n".join(map(latex, small)), encoding="ascii")
    done = subprocess.run(
        [program, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "Overfull" not in done.stdout
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
