"""Parts of articles that the reader's examples do not have."""

from __future__ import annotations

import time
from xml.etree.ElementTree import fromstring

import pytest

from ragbench.corpora.formats.jats import Article, article

A = "<xref ref-type='bibr'>1</xref>"


def read(xml: str) -> Article:
    found = article(fromstring(xml), tables=True, citations=False)
    assert found is not None
    return found


def texts(body: str) -> list[tuple[tuple[str, ...], str]]:
    found = read(f"<article><body>{body}</body></article>")
    return [(section.titles, section.text) for section in found.sections]


def test_other_documents_are_none() -> None:
    assert article(fromstring("<html/>"), tables=True, citations=True) is None


def test_an_article_without_anything() -> None:
    assert read("<article/>") == Article("", {}, {}, [])


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("word [<xref ref-type='bibr'>1</xref>].", "word."),
        ("word (<xref ref-type='bibr'>1</xref>\u2013<xref ref-type='bibr'>3</xref>).", "word."),
        ("word<sup><xref ref-type='bibr'>1</xref></sup>.", "word."),
        (f"one<sup>{A},{A}</sup>, two<sup>{A}\u2013{A}</sup>.", "one, two."),
        (f"one {A}, {A}; two {A}-{A}: {A}three {A}", "one; two: three"),
        (
            "<xref ref-type='bibr'>1</xref> said f() and [] and (a, b).",
            "said f() and [] and (a, b).",
        ),
        # Names are words of the sentence, unless they are alone in their brackets.
        ("<xref ref-type='bibr'>Ma et al. (2001)</xref> said so.", "Ma et al. (2001) said so."),
        ("Ma <xref ref-type='bibr'>(2001)</xref> said so.", "Ma said so."),
        (
            "It was so (<xref ref-type='bibr'>Ma, 2001</xref>; "
            "<xref ref-type='bibr'>Li, 2002</xref>).",
            "It was so.",
        ),
        ("So it was (see <xref ref-type='bibr'>Ma, 2001</xref>).", "So it was (see Ma, 2001)."),
        ("(Ma, <xref ref-type='bibr'>2001</xref>)", "(Ma, 2001)"),
        ("in 10<sup>9</sup> cells<sup>a,<xref ref-type='bibr'>3</xref></sup>", "in 10^9 cells^a"),
        ("see (<xref ref-type='fig'>Figure 1</xref>)", "see (Figure 1)"),
        ("(see <xref ref-type='bibr'>3</xref>)", "(see )"),
    ],
)
def test_brackets_go_with_the_citations_in_them(given: str, text: str) -> None:
    ((_, found),) = texts(f"<p>{given}</p>")
    assert found == text


@pytest.mark.parametrize(
    "text", [" " * 10**6, "<tex-math>" + r"\begin{document}" * 10**5 + "</tex-math>"]
)
def test_no_text_takes_quadratic_time(text: str) -> None:
    """These took hours; the limit is far above the time that they need."""
    start = time.process_time()
    texts(f"<p>a{text}b</p>")
    assert time.process_time() - start < 5


def test_formulas_lose_the_document_around_them() -> None:
    whole = r"\usepackage{x}\begin{document}$$x^2$$\end{document}"
    given = "".join(f"<p><tex-math>{text}</tex-math></p>" for text in (whole, "$y$", whole[:-1]))
    assert texts(given) == [((), f"x^2\ny\n{whole[:-1]}")]


def test_parts_of_a_book_within_a_part() -> None:
    chapter = (
        "<book-part><book-part-meta><title-group><title>Joints</title></title-group>"
        "<book-part-id book-part-id-type='pmcid'>PMC7</book-part-id></book-part-meta>"
        "<body><p>All.</p><book-part><book-part-meta><title-group><title>Toes</title>"
        "</title-group></book-part-meta><body><p>Gout.</p><sec><title>Pain</title><p>Much.</p>"
        "</sec></body></book-part></body></book-part>"
    )
    found = read(chapter)
    assert (found.title, found.ids) == ("Joints", {"pmcid": "PMC7"})
    assert [(s.titles, s.text) for s in found.sections] == [
        ((), "All."),
        (("Toes",), "Gout."),
        (("Toes", "Pain"), "Much."),
    ]


def test_a_label_is_the_heading_where_there_is_no_title() -> None:
    assert texts("<sec><label>Box 2</label><p>Rest.</p></sec>") == [(("Box 2",), "Rest.")]


def test_a_label_without_a_caption_has_a_line_of_its_own() -> None:
    assert texts("<fig><label>Figure 3</label><graphic/></fig><p>Rest.</p>") == [
        ((), "Figure 3\nRest.")
    ]


def test_cells_with_blocks_and_empty_rows() -> None:
    rows = "<tr><td><p>a</p><p>b</p></td><td/></tr><tr><td/><td/></tr><tr><th>c</th></tr>"
    assert texts(f"<table-wrap><table>{rows}</table></table-wrap>") == [((), "a b |\nc")]


def test_an_article_in_a_namespace_is_read_as_one_in_none() -> None:
    plain = (
        "<article{}><front><article-meta><article-id pub-id-type='pmc'>PMC7</article-id>"
        "<title-group><article-title>Toes</article-title></title-group></article-meta></front>"
        "<body><sec><title>Pain</title><p>Much.</p></sec></body></article>"
    )
    found = read(plain.format(" xmlns='https://jats.nlm.nih.gov/ns/archiving/1.3/'"))
    assert found == read(plain.format(""))
    assert (found.title, found.ids["pmcid"], len(found.sections)) == ("Toes", "PMC7", 1)


def test_sections_after_the_body_are_read() -> None:
    found = read(
        "<article><body><p>Text.</p></body><back><ack><p>Thanks.</p></ack><sec><title>Data</title>"
        "<p>On request.</p></sec><app><title>App</title><p>More.</p></app></back></article>"
    )
    assert [(section.titles, section.text) for section in found.sections] == [
        ((), "Text."),
        (("Data",), "On request."),
        (("App",), "More."),
    ]


def test_floats_after_the_text_are_read() -> None:
    found = read(
        "<article><body><p>Text.</p></body><floats-group><fig><label>F1</label><caption><p>Toe."
        "</p></caption></fig></floats-group></article>"
    )
    assert [section.text for section in found.sections] == ["Text.", "F1 Toe."]


def test_years_and_licences() -> None:
    head = (
        "<pub-date><year>2019</year></pub-date><pub-date><year>unknown</year></pub-date>"
        "<permissions><license license-type='open-access'><p>Free.</p></license></permissions>"
    )
    found = read(f"<article><front><article-meta>{head}</article-meta></front></article>")
    assert found.meta == {"year": "2019", "license": "open-access"}


def test_what_is_in_a_paragraph_and_after_the_text() -> None:
    note = "<fn><p>Drug X.</p></fn>"
    figure = "<fig><label>Figure 1</label><caption><p>Flow.</p></caption></fig>"
    found = read(
        f"<article><body><p>We gave it{note} {figure}twice {A}.</p></body>"
        "<back><ack><p>Thanks.</p></ack><ref-list/><fn-group><fn><p>None.</p></fn></fn-group>"
        "<app><title>More</title><p>Data.</p></app></back></article>"
    )
    assert [section.text for section in found.sections] == [
        "We gave it twice.\nDrug X.\nFigure 1 Flow.",
        "Data.",
    ]
    assert found.changes == {
        "references to the literature removed": 1,
        "parts after the text, not read: <ack>": 1,
        "parts after the text, not read: <ref-list>": 1,
        "parts after the text, not read: <fn-group>": 1,
    }


def test_formulas_keep_their_exponents_and_fractions() -> None:
    power = "<math><msup><mn>10</mn><mrow><mo>\u2212</mo><mn>4</mn></mrow></msup></math>"
    half = "<math>\n<mfrac>\n<mn>1</mn>\n<mn>2</mn>\n</mfrac></math>"
    ((_, found),) = texts(f"<p>{power}, <inline-formula>{half}</inline-formula></p>")
    assert found == "10^-4, 1/2"
