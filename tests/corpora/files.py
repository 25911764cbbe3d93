"""Real PDF and DOCX files for the tests, written by libraries that ragbench does not use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from docx import Document
from fpdf import FPDF

from tests.conftest import without


def write_pdf(path: Path, pages: Sequence[str], *, title: str = "", password: str = "") -> Path:
    """Write a PDF of some pages; an empty one has a drawing and no text, as a scan has."""
    pdf = FPDF()
    pdf.set_font("Helvetica", size=12)
    if title:
        pdf.set_title(title)
    if password:
        pdf.set_encryption(owner_password=f"{password}-owner", user_password=password)
    for text in pages:
        pdf.add_page()
        if text:
            pdf.multi_cell(0, text=text)
        else:
            pdf.rect(20, 20, 100, 100)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(pdf.output()))
    return path


def write_docx(path: Path, paragraphs: Sequence[str], *, title: str = "") -> Path:
    """Write a DOCX of some paragraphs, and a table of one row where there are any."""
    document = Document()
    document.core_properties.title = title
    for text in paragraphs:
        document.add_paragraph(text)
    if paragraphs:
        cells = document.add_table(rows=1, cols=2).rows[0].cells
        cells[0].text, cells[1].text = "Troponin", "raised"
    path.parent.mkdir(parents=True, exist_ok=True)
    document.save(str(path))
    return path


def hidden(home: Path, *packages: str) -> dict[str, str]:
    """Return an environment without some packages, but with this ragbench."""
    paths = [without(home, *packages)["PYTHONPATH"], os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}
