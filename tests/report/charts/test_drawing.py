"""Figures as files: the content of the SVG; PNG and PDF show it, with the same bytes each time."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from ragbench.report.charts.chart import Chart, Value, chart
from ragbench.report.charts.drawing import COLUMN, MARGIN_PX, SCREEN, figure, height_in, save

SVG = "{http://www.w3.org/2000/svg}"
LONG = "a title of words that goes on and on, far beyond the width of any paper, and then some more"


def drawing(title: str = "Scores", series: str = "one") -> Chart:
    values = [Value(0.0, 0.2, 0.1, 0.3), Value(1.0, 0.5, 0.4, 0.6)]
    found = chart("k", title, "d", {series: values}, [("closed-book", 0.0), ("bm25", 1.0)])
    assert found is not None
    return found


def test_charts_stand_one_below_the_other() -> None:
    first, second = drawing(), drawing(LONG)
    root = ElementTree.fromstring(figure([first, second]))
    panels = [child for child in root if child.tag == f"{SVG}svg"]
    # Below a margin: a caption of 18 pixels, a margin, the chart; then a caption of two lines.
    top = MARGIN_PX + 18 + MARGIN_PX
    below = top + first.height_px + MARGIN_PX + 2 * 18 + MARGIN_PX
    assert [int(panel.attrib["y"]) for panel in panels] == [top, below]
    assert int(root.attrib["viewBox"].split()[3]) == below + second.height_px + MARGIN_PX
    assert float(root.attrib["height"][:-2]) == pytest.approx(
        height_in([first, second], SCREEN), abs=1e-4
    )
    captions = [text.text for text in root.findall(f"{SVG}g/{SVG}text")]
    assert captions[0] == "Scores" and " ".join(map(str, captions[1:])) == LONG


def test_a_figure_depends_on_nothing_else_and_holds_no_markup() -> None:
    text = figure([drawing("<b>&\x07\ud800", "</text><script>")])
    root = ElementTree.fromstring(text)
    assert "var(" not in text and "http" not in text.replace(SVG.strip("{}"), "")
    assert "<b>&\ufffd\ufffd" in [element.text for element in root.iter(f"{SVG}text")]
    assert not list(root.iter(f"{SVG}script"))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    pytest.importorskip("typst", reason="PNG and PDF need typst")
    paths = {kind: tmp_path / f"figure.{kind}" for kind in ("svg", "png", "pdf")}
    for path in paths.values():
        save(figure([drawing()]), path)
    return paths


def test_a_png_shows_the_line_where_its_values_are(files: dict[str, Path]) -> None:
    image = pytest.importorskip("PIL.Image", reason="reading PNG needs Pillow")
    with image.open(files["png"]) as png:
        pixels = np.asarray(png.convert("RGB")).astype(int)
    chart = drawing()
    scale = 300 / 96  # pixels at 300 to the inch per pixel of SVG
    height = MARGIN_PX + 18 + MARGIN_PX + chart.height_px + MARGIN_PX
    assert pixels.shape[1] == pytest.approx(SCREEN.width_px * scale, abs=1)
    assert pixels.shape[0] == pytest.approx(height * scale, abs=1)
    assert (pixels[0] == 255).all()
    (series,) = chart.series
    for point in series.points:
        x = MARGIN_PX + (SCREEN.width_px - 2 * MARGIN_PX) * point.x / 100
        y = MARGIN_PX + 18 + MARGIN_PX + point.y
        assert tuple(pixels[round(y * scale), round(x * scale)]) == (0x0B, 0x5C, 0xAD)


def test_a_pdf_holds_its_text_once_and_no_date(files: dict[str, Path]) -> None:
    pypdf = pytest.importorskip("pypdf", reason="reading PDF needs pypdf")
    reader = pypdf.PdfReader(files["pdf"])
    (page,) = reader.pages
    text = page.extract_text()
    for part in ("Scores", "one", "closed-book", "bm25", "60 %"):
        assert text.count(part) == 1
    assert not {"/CreationDate", "/ModDate"} & set(reader.metadata or {})
    assert page.mediabox.width == 0.75 * SCREEN.width_px  # points


def test_the_same_figure_gives_the_same_bytes(files: dict[str, Path], tmp_path: Path) -> None:
    for _ in range(5):
        for path in files.values():
            save(figure([drawing()]), tmp_path / f"again{path.suffix}")
            assert (tmp_path / f"again{path.suffix}").read_bytes() == path.read_bytes()


def test_a_column_is_3_3_inches_wide_and_its_text_has_8_points(tmp_path: Path) -> None:
    pypdf = pytest.importorskip("pypdf", reason="reading PDF needs pypdf")
    pytest.importorskip("typst", reason="PDF needs typst")
    save(figure([drawing(LONG)], COLUMN), tmp_path / "figure.pdf")
    (page,) = pypdf.PdfReader(tmp_path / "figure.pdf").pages
    assert float(page.mediabox.width) == pytest.approx(3.3 * 72, abs=0.1)
    assert float(page.mediabox.height) == pytest.approx(
        72 * height_in([drawing(LONG)], COLUMN), 0.01
    )
    sizes = set()

    def visit(text: str, cm: list[float], tm: list[float], _font: object, size: float) -> None:
        if text.strip():
            sizes.add(round(abs(size * tm[0] * cm[0]), 2))

    page.extract_text(visitor_text=visit)
    assert sizes == {8.0}
