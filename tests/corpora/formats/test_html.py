"""HTML pages: rows of tables, exponents, and references to notes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ragbench.corpora.formats.html import read_html


def read(tmp_path: Path, body: str) -> tuple[str, dict[str, int]]:
    path = tmp_path / "a.html"
    path.write_text(f"<html><body>{body}</body></html>", encoding="utf-8")
    _, text, changes = read_html(path, "utf-8")
    return text, dict(changes)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>10<sup>9</sup>/L, m<sup>2</sup>, H<sub>2</sub>O</p>", "10^9/L, m^2, H2O"),
        ("<math><msup><mn>10</mn><mn>9</mn></msup></math>", "10^9"),
        ("<math><mfrac><mn>1</mn><mn>2</mn></mfrac><annotation>1/2</annotation></math>", "1/2"),
        ("<p>a\x01b&#1;c</p>", "abc"),
    ],
)
def test_exponents_and_formulas(tmp_path: Path, body: str, text: str) -> None:
    assert read(tmp_path, body) == (text, {})


@pytest.mark.parametrize(
    ("body", "text", "removed"),
    [
        ('It fell<sup id="r"><a href="#cite_note-1">[1]</a></sup>.', "It fell.", 1),
        ('It fell.<sup><a href="#x">3</a>,<a href="#y">4</a></sup> Then', "It fell. Then", 1),
        ('It fell [<a href="#ref-3">3</a>, <a href="#ref-4">4</a>].', "It fell.", 2),
        ('It fell (<a href="#bib1">Mill, 2020</a>).', "It fell.", 1),
        ('<a href="#bib1">Mill et al. (2020)</a> saw it.', "Mill et al. (2020) saw it.", 0),
        ('It fell<sup><a href="https://doi.org/10.1/x">3</a></sup>.', "It fell.", 1),
        ('10<sup><a href="/wiki/Exponent">9</a></sup>/L', "10^9/L", 0),
        ("It fell.<sup>3,4</sup> Then", "It fell. Then", 1),
        ('See <a href="#dose">dose</a> and <a href="b.html">3</a>.', "See dose and 3.", 0),
    ],
)
def test_references_go_and_the_words_of_the_sentence_stay(
    tmp_path: Path, body: str, text: str, removed: int
) -> None:
    counts = {"references to the literature removed": removed} if removed else {}
    assert read(tmp_path, f"<p>{body}</p>") == (text, counts)


def test_tables_keep_their_rows(tmp_path: Path) -> None:
    rows = "<caption>Doses</caption><thead><tr><th>Drug<th>Dose</tr></thead>"
    rows += "<tr><td>A<td><p>5</p><p>mg</p></tr><tr><td></td><td>x<br>y</td></tr><tr><td><td></tr>"
    assert read(tmp_path, f"before<table>{rows}</table>after")[0] == (
        "before\nDoses\nDrug | Dose\nA | 5 mg\n| x y\nafter"
    )


def test_a_table_that_lays_out_a_page_is_no_row(tmp_path: Path) -> None:
    inner = "<table><tr><td>Na</td><td>140</td></tr></table>"
    page = f"<table><tr><td>menu</td><td><p>One.</p><p>Two.</p>{inner}</td></tr></table>"
    assert read(tmp_path, page)[0] == "menu\nOne.\nTwo.\nNa | 140"
    for layout in ("<table><tr><td><h1>Gout</h1></td><td><p>a</p></td></tr></table>",):
        assert read(tmp_path, layout)[0] == "Gout\na"
    role = '<table role="presentation"><tr><td>a</td><td>b</td></tr></table>'
    assert read(tmp_path, role)[0] == "a\nb"


def test_no_page_takes_quadratic_time(tmp_path: Path) -> None:
    start = time.process_time()
    read(tmp_path, "<table><tr><td>" * 5_000)
    for tags in ("<sup><a href='#1'>1</a>", "<sup>", "<sup><a href='b'>", "<msup><a href='#r1'>"):
        read(tmp_path, tags * 5_000)
    assert time.process_time() - start < 20
