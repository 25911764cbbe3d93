"""Exponents, indices, formulas and citations: the characters that a reader and a search need."""

from __future__ import annotations

import time
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.corpora.formats.raised import (
    CITED,
    DOWN,
    END,
    NAMED,
    NAMED_END,
    UP,
    cited,
    noted,
    plain,
    uncited,
    words,
)
from ragbench.corpora.formats.xml import elements

M = "xmlns:m='http://www.w3.org/1998/Math/MathML'"


def line(inner: str) -> str:
    return words(fromstring(f"<p {M}>{inner}</p>"))


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        ("below 0.5 \u00d7 10<sup>9</sup>/L", "below 0.5 \u00d7 10^9/L"),
        ("10 <sup>9</sup>/L", "10^9/L"),  # a blank that is none
        ("10 <sup>18</sup>F scans", "10 18F scans"),
        ("10<sup>-4</sup> and 10<sup>\u22124</sup>", "10^-4 and 10^-4"),
        ("10<sup>-</sup><sup>3</sup>", "10^-3"),
        ("10<i><sup>5</sup></i>", "10^5"),
        ("10<sup>10<sup>2</sup></sup>", "10^(10^2)"),
        ("1.73 m<sup>2</sup>.", "1.73 m^2."),
        ("10<sup>6</sup>cells", "10^6 cells"),
        ("mg kg<sup>-1</sup>day<sup>-1</sup>", "mg kg^-1 day^-1"),
        ("e<sup>-x/2</sup>", "e^(-x/2)"),
        ("H<sub>2</sub>O, CO<sub>2</sub>, HbA<sub>1c</sub>", "H2O, CO2, HbA1c"),
        ("C<sub>6</sub>H<sub>12</sub>O<sub>6</sub>", "C6H12O6"),
        ("log<sub>10</sub>2", "log10 2"),
        ("101<sub>2</sub>", "101_2"),
        ("x<sub>1</sub><sup>2</sup>", "x1^2"),
        ("HCO<sub>3</sub><sup>-</sup>, Ca<sup>2+</sup>, CD4<sup>+</sup>", "HCO3-, Ca2+, CD4+"),
        ("SO<sub>4</sub><sup>2-</sup>", "SO4^2-"),
        ("<sup>14</sup>C-urea, [<sup>18</sup>F]FDG, <sup>99m</sup>Tc", "14C-urea, [18F]FDG, 99mTc"),
        ("2<sup>nd</sup> day", "2nd day"),
        ("12.3<sup>a</sup>, 4<sup>*</sup>", "12.3^a, 4*"),
        ("a<sup> </sup>b<sup/>c", "a bc"),
        ("<m:msup><m:mn>10</m:mn>\n<m:mn>9</m:mn></m:msup>", "10^9"),
        ("<m:msub><m:mi>x</m:mi><m:mn>1</m:mn></m:msub>", "x1"),
        ("<m:msubsup><m:mi>x</m:mi><m:mn>1</m:mn><m:mn>2</m:mn></m:msubsup>", "x1^2"),
        ("<m:mfrac><m:mn>1</m:mn><m:mn>2</m:mn></m:mfrac>", "1/2"),
        (
            "<m:mfrac><m:mrow><m:mi>a</m:mi><m:mo>+</m:mo><m:mi>b</m:mi></m:mrow>"
            "<m:mn>2</m:mn></m:mfrac>",
            "(a+b)/(2)",
        ),
        ("<m:msqrt><m:mn>2</m:mn></m:msqrt>", "sqrt(2)"),
        ("<m:math><m:mn>2</m:mn><m:mn>3</m:mn></m:math>", "2 3"),
        ("<m:math><m:mn>2</m:mn><m:annotation>2</m:annotation></m:math>", "2"),
    ],
)
def test_raised_and_lowered_text_is_written_plainly(inner: str, text: str) -> None:
    assert line(inner) == text


def test_words_are_all_text_on_one_line() -> None:
    assert words(fromstring("<r> Fever\n <i>and</i>\tchills </r>")) == "Fever and chills"
    assert words(None) == ""


def test_a_reference_that_is_a_number_is_removed_and_one_with_names_is_not() -> None:
    assert cited("[3, 4]") == CITED
    assert cited("3a") == CITED
    assert uncited(f"so{UP}{CITED},{CITED}{END}.") == ("so.", 2)
    assert uncited(f"so [{CITED}\u2013{CITED}].") == ("so.", 2)
    assert uncited(f"{cited('Mill (2020)')} said so") == ("Mill (2020) said so", 0)
    assert uncited(f"so ({cited('Mill, 2020')}; {cited('2021')}).") == ("so.", 2)
    assert uncited("as it was") == ("as it was", 0)


def test_raised_numbers_after_a_clause_refer_to_notes() -> None:
    for raised, is_note in (("3,4", True), ("12", True), ("a", False)):
        marked = f"in both.{UP}{raised}{END} Then"
        assert noted(marked) == (f"in both.{CITED} Then" if is_note else marked)
    assert noted(f"protein{UP}[12]{END}") == f"protein{CITED}"
    for kept in (f"m{UP}2{END}.", f"0.{UP}5{END}", f"10{UP}9{END}"):
        assert noted(kept) == kept


@given(st.text(st.sampled_from("a1 .,([" + UP + DOWN + END + CITED + NAMED + NAMED_END)))
def test_no_mark_is_left_whatever_they_are(text: str) -> None:
    left = plain(uncited(noted(text))[0])
    assert not set(left) & set(UP + DOWN + END)
    assert [c for c in left if c in "a1"] == [c for c in plain(text) if c in "a1"] or "[" in text


@pytest.mark.parametrize("inner", ["<sup>a</sup>" * 10**5, "<sup>" * 50_000 + "</sup>" * 50_000])
def test_no_markup_takes_quadratic_time(tmp_path: Path, inner: str) -> None:
    path = tmp_path / "a.xml"
    path.write_text(f"<r><p>x{inner}</p></r>", encoding="utf-8")
    start = time.process_time()
    (found,) = (words(p) for p in elements(path, "p", depth=None))
    assert time.process_time() - start < 5
    assert found.startswith("x")
