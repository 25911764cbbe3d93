"""Tables and figures for papers: what stands in them; the same run gives the same bytes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from ragbench.base.errors import PrerequisiteError
from ragbench.cli.main import cli
from ragbench.report.export import FORMATS, escaped, export, latex, slug
from ragbench.report.sections import Table
from tests.report.conftest import Analysed

MAGIC = {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF"}


def check_latex(text: str, columns: int, rows: int) -> None:
    """Refuse what LaTeX would: open braces or environments, bare specials, rows of other widths."""
    assert text.isascii()
    depth = 0
    for before, sign in re.findall(r"(\\?)([{}])", text):
        depth += 0 if before else {"{": 1, "}": -1}[sign]
        assert depth >= 0
    assert depth == 0
    assert re.findall(r"\\begin\{(\w+)\}", text) == re.findall(r"\\end\{(\w+)\}", text)[::-1]
    body = text.partition(r"\toprule")[2].partition(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(lines) == rows + 1
    for line in lines:
        assert len(re.findall(r"(?<!\\)&", line)) == columns - 1
        assert not re.search(r"(?<!\\)[%$#_]", line)
        assert not re.search(r"(?<!\\)[\"^]|[<>|]", line)
        assert not re.match(r"[\[*]", line)  # would be an option of the row before
        assert set(re.findall(r"\\([a-zA-Z]+)", line)) <= COMMANDS


# Of LaTeX's kernel, in its own fonts; \\textquotedbl, for one, needs another encoding.
COMMANDS = set(
    "textasciitilde textasciicircum textbackslash textless textgreater textbar textasciigrave "
    "textendash textemdash dots ss ae AE oe OE o O l L i j S copyright ensuremath c r v u H "
    "pm times div cdot circ leq geq neq approx infty mu leftarrow uparrow rightarrow downarrow "
    "alpha beta Delta".split()
)
HOSTILE = r'50 % & $x_1$ #1 {a} ~b ^c \input{/etc/passwd} <d> |e| "f"'


def test_every_sign_is_escaped() -> None:
    table = Table(HOSTILE, ["model", "n"], [[HOSTILE, "1"], ["a\nb\\\\c", "2"]])
    text = latex(table, label="tab:x")
    check_latex(text, 2, 2)
    assert r"\input{" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert escaped("5 %_x") == r"5 \%\_x"
    assert r"\begin{tabular}{lr}" in text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Sjögren, Behçet, Ménière", r"Sj\"{o}gren, Beh\c{c}et, M\'{e}ni\`{e}re"),
        ("naïve", r"na\"{\i}ve"),
        ("e\u0301", r"\'{e}"),  # an accent of its own
        ("β₂ ≥ 5 µg", r"\ensuremath{\beta}{[}U+2082{]} \ensuremath{\geq} 5 \ensuremath{\mu}g"),
        ("Δ 中 \ud800", r"\ensuremath{\Delta} {[}U+4E2D{]} {[}U+D800{]}"),
        ("[0, 1)*", "{[}0, 1){*}"),
        ("a--b\u2013c", r"a-{}-b\textendash{}c"),
        ("a\tb\x00c\u00a0d", "a b c~d"),
    ],
)
def test_other_signs_become_commands_or_their_number(text: str, wanted: str) -> None:
    assert escaped(text) == wanted


def test_a_row_does_not_begin_with_what_the_row_before_would_read() -> None:
    table = Table("t", ["stratum", "n"], [["[0, 1)", "1"], ["*", "2"]])
    text = latex(table, label="tab:t")
    check_latex(text, 2, 2)
    assert not re.search(r"\\\\\s*[\[*]", text)


def test_a_slug_is_no_path() -> None:
    assert slug("../Accuracy, by stratum/../") == "accuracy-by-stratum"
    assert slug("\u00e9\u00e8") == "table"


Export = Callable[[Collection[str]], list[Path]]


@pytest.fixture
def export_to(mixed: Analysed, mixed_copy: Path) -> Export:
    """Exports the mixed run, analysed once, into a copy of its folder."""
    run = replace(mixed.run, path=mixed_copy)
    return lambda formats: export(run, mixed.results, mixed.effects, mixed.parts, formats)


@pytest.fixture
def exported(export_to: Export) -> list[Path]:
    pytest.importorskip("typst", reason="PNG and PDF need typst")
    return export_to(FORMATS)


def test_every_part_has_its_tables(mixed: Analysed, mixed_copy: Path, exported: list[Path]) -> None:
    for part in mixed.parts:
        stem = mixed_copy / "tables" / slug(part.title)
        frame = pd.read_csv(stem.with_suffix(".csv"), dtype=str, keep_default_na=False)
        assert frame.to_numpy().tolist() == part.table.rows
        text = stem.with_suffix(".tex").read_text(encoding="utf-8")
        check_latex(text, len(part.table.header), len(part.table.rows))


def test_figures_are_what_they_are_called(mixed_copy: Path, exported: list[Path]) -> None:
    figures = [path for path in exported if path.parent.name == "figures"]
    assert {path.stem for path in figures} >= {"accuracy", "effect-headroom-with-gold-delivered"}
    for path in figures:
        assert path.read_bytes().startswith(MAGIC[path.suffix[1:]])
    assert len(figures) % 3 == 0


def test_the_same_run_gives_the_same_bytes(
    mixed_copy: Path, exported: list[Path], export_to: Export
) -> None:
    before = {path: path.read_bytes() for path in exported}
    for folder in ("tables", "figures"):
        shutil.rmtree(mixed_copy / folder)
    assert export_to(FORMATS) == exported
    assert {path: path.read_bytes() for path in exported} == before


def test_by_the_command_line(mixed_copy: Path) -> None:
    done = CliRunner().invoke(cli, ["report", "mixed", "--format", "latex,csv"])
    assert done.exit_code == 0, done.output
    assert "tables/outcomes.tex" in done.output and "figures" not in done.output
    done = CliRunner().invoke(cli, ["report", "mixed", "--format", "word"])
    assert "there is no format 'word'" in str(done.exception or done.output)


def test_without_a_converter_png_and_pdf_are_refused(
    mixed_copy: Path, export_to: Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ragbench.report.export.can_convert", lambda: False)
    with pytest.raises(PrerequisiteError, match="PNG and PDF figures need typst"):
        export_to(["csv", "pdf"])
    assert not (mixed_copy / "figures").exists() and not (mixed_copy / "tables").exists()
    assert {path.suffix for path in export_to(["svg", "csv"])} == {".svg", ".csv"}
