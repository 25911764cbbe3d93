"""DOCX as Word writes it: what python-docx cannot write is put into its file as XML."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from docx import Document

from ragbench.corpora.formats.docx import read_docx
from tests.corpora.files import write_docx
from tests.corpora.formats.test_drawn import (
    RELS,
    C,
    cached,
    chart,
    diagram,
    edge,
    point,
    run,
    series,
    title,
)

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
SPACES = (
    f'xmlns:w="{W}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)
REFERS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
DRAWING = f'{C} xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"'


def t(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def raised(text: str, how: str = "superscript") -> str:
    return t(text, f'<w:vertAlign w:val="{how}"/>')


def m(text: str) -> str:
    return f"<m:r><m:t>{text}</m:t></m:r>"


DELETED = "<w:r><w:delText>old</w:delText></w:r>"


def char(kind: str) -> str:
    return f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>'


def field(code: str, result: str) -> str:
    instr = f"<w:r><w:instrText>{code}</w:instrText></w:r>"
    return char("begin") + instr + char("separate") + result + char("end")


def read(
    tmp_path: Path, body: str, files: dict[str, str] | None = None, **parts: str
) -> tuple[str, dict[str, int]]:
    """Return the text and the counts of a document with some paragraphs, notes and so on."""
    whole, path = write_docx(tmp_path / "whole.docx", ["x"]), tmp_path / "a.docx"
    contents = {"document": f"<w:document {SPACES}><w:body>{body}</w:body></w:document>"}
    contents |= {name: f"<w:{name} {SPACES}>{xml}</w:{name}>" for name, xml in parts.items()}
    names = {f"word/{name}.xml": xml for name, xml in contents.items()} | (files or {})
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(path, "w") as new:
        for part in old.namelist():
            if part not in names:
                new.writestr(part, old.read(part))
        for name, xml in names.items():
            new.writestr(name, xml)
    _, text, changes = read_docx(path)
    return text, dict(changes)


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (t("10") + raised("9") + t("/L"), "10^9/L"),
        (t("10") + raised("-") + raised("3"), "10^-3"),
        (t("H") + raised("2", "subscript") + t("O"), "H2O"),
        (t("m") + t("2", '<w:position w:val="6"/>'), "m^2"),
        (t("m") + t("2", '<w:rStyle w:val="Up"/>'), "m^2"),
        (t("Beta") + "<w:r><w:noBreakHyphen/></w:r>" + t("blockers"), "Beta-blockers"),
        (t("a") + "<w:r><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r>", "a\tb\nc"),
        ('<w:r><w:sym w:font="Symbol" w:char="F0B3"/></w:r>' + t(" 5"), "\u2265 5"),
        (f"{t('kept ')}<w:ins>{t('new')}</w:ins><w:del>{DELETED}</w:del>", "kept new"),
        (f"<w:moveFrom>{t('b')}</w:moveFrom>{t('a ')}<w:moveTo>{t('b')}</w:moveTo>", "a b"),
        (t("seen") + t("hidden", "<w:vanish/>"), "seen"),
        (t("on ") + field(" PAGEREF _1 ", t("12")), "on 12"),
        (f"<m:oMath><m:sSup>{m('10')}<m:sup>{m('9')}</m:sup></m:sSup></m:oMath>", "10^9"),
        (f"<m:oMath><m:f><m:num>{m('1')}</m:num><m:den>{m('2')}</m:den></m:f></m:oMath>", "1/2"),
        (f"<m:oMath><m:rad><m:deg/><m:e>{m('2')}</m:e></m:rad></m:oMath>", "sqrt(2)"),
        (f"<w:hyperlink>{t('a ')}</w:hyperlink><w:sdt>{t('b')}</w:sdt>", "a b"),
    ],
)  # fmt: skip
def test_the_signs_of_a_paragraph_are_kept(tmp_path: Path, inner: str, text: str) -> None:
    style = '<w:style w:styleId="Up"><w:basedOn w:val="B"/></w:style><w:style w:styleId="B"><w:rPr>'
    style += '<w:vertAlign w:val="superscript"/></w:rPr></w:style>'
    assert read(tmp_path, f"<w:p>{inner}</w:p>", styles=style) == (text, {})


@pytest.mark.parametrize(
    ("inner", "text"),
    [
        (t("It fell") + field(" ADDIN EN.CITE x", raised("3,4")) + t(". Then"), "It fell. Then"),
        (t("It fell ") + field("ADDIN ZOTERO_ITEM CSL {}", t("[3]")) + t("."), "It fell."),
        (field("CITATION Mil20", t("Mill (2020)")) + t(" saw it."), "Mill (2020) saw it."),
        (t("It fell.") + raised("3") + t(" Then"), "It fell. Then"),
    ],
)  # fmt: skip
def test_references_go_and_the_words_of_the_sentence_stay(
    tmp_path: Path, inner: str, text: str
) -> None:
    removed = 0 if "Mill" in text else 1
    counts = {"references to the literature removed": removed} if removed else {}
    assert read(tmp_path, f"<w:p>{inner}</w:p>") == (text, counts)


def test_notes_are_read_where_they_are_referred_to_and_counted_where_they_are_not_there(
    tmp_path: Path,
) -> None:
    def refer(kind: str, number: int) -> str:
        return f'<w:r><w:{kind}Reference w:id="{number}"/></w:r>'

    body = f"<w:p>{t('Dose')}{refer('footnote', 2)}{t(' given')}{refer('endnote', 1)}</w:p>"
    body += f"<w:p>{t('End')}{refer('footnote', 7)}{refer('comment', 0)}</w:p>"
    line = '<w:footnote w:id="-1"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
    foot = (
        f'<w:footnote w:id="2"><w:p><w:r><w:footnoteRef/></w:r>{t("By mouth.")}</w:p></w:footnote>'
    )
    end = f'<w:endnote w:id="1"><w:p>{t("At night.")}</w:p></w:endnote>'
    text, counts = read(tmp_path, body, footnotes=line + foot, endnotes=end)
    assert text == "Dose given\n\nEnd\n\nBy mouth.\n\nAt night."
    assert counts == {"notes that the file does not hold": 1, "comments, not read": 1}


def test_a_text_box_is_read_once_after_its_paragraph(tmp_path: Path) -> None:
    box = f"<w:txbxContent><w:p>{t('Warning.')}</w:p></w:txbxContent>"
    drawn = f"<w:drawing><wps:wsp><wps:txbx>{box}</wps:txbx></wps:wsp></w:drawing>"
    older = f"<w:pict><v:textbox>{box}</v:textbox></w:pict>"
    both = f"<mc:AlternateContent><mc:Choice>{drawn}</mc:Choice><mc:Fallback>{older}</mc:Fallback>"
    body = f"<w:p>{t('Give ')}<w:r>{both}</mc:AlternateContent></w:r>{t('aspirin.')}</w:p>"
    assert read(tmp_path, body)[0] == "Give aspirin.\n\nWarning."
    assert read(tmp_path, f"<w:p><w:r>{older}</w:r></w:p>")[0] == "Warning."


def test_tables_keep_their_rows(tmp_path: Path) -> None:
    document = Document()
    table = document.add_table(rows=3, cols=3)
    for row, texts in zip(table.rows, [("Drug", "Dose", ""), ("A", "", "mg")], strict=False):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    table.rows[1].cells[2].add_paragraph("daily")
    box = document.add_table(rows=1, cols=1).rows[0].cells[0]
    box.text = "First."
    box.add_paragraph("Second.")
    document.save(str(tmp_path / "a.docx"))
    assert read_docx(tmp_path / "a.docx")[1] == "Drug | Dose |\nA | | mg daily\n\nFirst.\nSecond."


def test_headers_and_footers_are_read_once(tmp_path: Path) -> None:
    document = Document()
    document.add_paragraph("Body.")
    document.sections[0].header.paragraphs[0].text = "Clinic."
    document.add_section().header.is_linked_to_previous = False
    document.sections[1].header.paragraphs[0].text = "Clinic."
    document.sections[0].footer.paragraphs[0].text = "Page."
    document.save(str(tmp_path / "a.docx"))
    assert read_docx(tmp_path / "a.docx")[1].split("\n\n") == ["Clinic.", "Body.", "Page."]


def test_the_words_of_a_diagram_and_a_chart_follow_their_paragraph_once(tmp_path: Path) -> None:
    def graphic(inner: str) -> str:
        data = f"<a:graphicData>{inner}</a:graphicData>"
        return f"<w:drawing><a:graphic {DRAWING}>{data}</a:graphic></w:drawing>"

    here, gone = graphic('<c:chart r:id="rId2"/>'), graphic('<c:chart r:id="rId9"/>')
    smart = graphic('<dgm:relIds r:dm="rId1" r:lo="rId4" r:qs="rId5" r:cs="rId6"/>')
    picture = "<w:pict><v:shape><v:imagedata/></v:shape></w:pict>"
    both = f"<mc:AlternateContent><mc:Choice>{here}</mc:Choice>"
    both += f"<mc:Fallback>{picture}</mc:Fallback></mc:AlternateContent>"
    art = '<w:pict><v:shape><v:textpath string="DRAFT"/></v:shape></w:pict>'
    body = f"<w:p>{t('See')}<w:r>{smart}</w:r>{t(' here.')}</w:p><w:p><w:r>{both}</w:r></w:p>"
    body += f"<w:p><w:r>{art}</w:r></w:p><w:p><w:r>{gone}</w:r></w:p>"
    body += f'<w:altChunk xmlns:r="{REFERS}" r:id="rId7"/><w:p>{t("End.")}</w:p>'
    points = point("0", kind="doc") + point("1", "Screen") + point("2", "Treat")
    files = {
        "word/_rels/document.xml.rels": (
            f'<Relationships xmlns="{RELS}"><Relationship Id="rId1" Target="diagrams/data1.xml"/>'
            '<Relationship Id="rId2" Target="/word/charts/chart1.xml"/>'
            '<Relationship Id="rId9" Target="charts/chart9.xml"/></Relationships>'
        ),
        "word/diagrams/data1.xml": diagram(points, edge("0", "1", 0) + edge("0", "2", 1)),
        "word/diagrams/drawing1.xml": f"<x {DRAWING}><a:p><a:r><a:t>Screen</a:t></a:r></a:p></x>",
        "word/charts/chart1.xml": chart(title(run("Survival")) + series("A", cached("m"), "1")),
    }
    text, counts = read(tmp_path, body, files)
    assert text == "See here.\n\nScreen\nTreat\n\nSurvival\nA\nm\n\nDRAFT\n\nEnd."
    assert counts == {
        "diagrams or charts that the file does not hold": 1,
        "embedded documents, not read": 1,
    }
