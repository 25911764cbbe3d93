"""Tables and figures as files: what is in them; the same run gives the same bytes."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from ragbench.base.errors import PrerequisiteError
from ragbench.cli.main import cli
from ragbench.report.export import FORMATS, export, slug
from ragbench.report.paper.compact import small_tables
from ragbench.report.paper.latex import latex
from tests.report.conftest import Analysed

MAGIC = {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF"}


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


def test_latex_has_the_small_tables(
    mixed: Analysed, mixed_copy: Path, exported: list[Path]
) -> None:
    written = {path.name: path for path in exported if path.suffix == ".tex"}
    small = small_tables(mixed.run, mixed.results, mixed.effects)
    assert {f"{table.key}.tex": latex(table) for table in small} == {
        name: path.read_text(encoding="utf-8") for name, path in written.items()
    }
    assert written.keys() >= {"scores.tex", "controls.tex", "retrieval-quality.tex"}


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


@pytest.mark.slow
def test_by_the_command_line(mixed_copy: Path) -> None:
    done = CliRunner().invoke(cli, ["report", "mixed", "--format", "latex,csv"])
    assert done.exit_code == 0, done.output
    assert "tables/outcomes.csv" in done.output and "tables/controls.tex" in done.output
    assert "figures" not in done.output
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
