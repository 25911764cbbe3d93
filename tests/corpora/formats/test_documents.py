"""One document file: its text and title, and every way it can be damaged or hostile."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragbench.corpora.formats.documents import ENDINGS, answer, read_document
from ragbench.corpora.formats.parsed import Fault
from tests.corpora.files import write_docx, write_pdf

# The package says so when it is imported; the readers import it in a process of its own.
pytestmark = pytest.mark.filterwarnings("ignore:.langchain-community. is being sunset")


def read(path: Path, encoding: str = "utf-8") -> tuple[str, list[str]]:
    found = read_document(path, ENDINGS[path.suffix], encoding)
    return found.title, list(found.pages)


def fault(path: Path, encoding: str = "utf-8") -> tuple[str, str]:
    request = {"path": str(path), "kind": ENDINGS[path.suffix], "encoding": encoding}
    found = json.loads(answer(json.dumps(request)))
    assert set(found) == {"fault", "detail"}, found
    return found["fault"], found["detail"]


def ended(path: Path) -> dict[str, object]:
    """Return the answer without what it says at length."""
    request = {"path": str(path), "kind": ENDINGS[path.suffix], "encoding": "utf-8"}
    found: dict[str, object] = json.loads(answer(json.dumps(request)))
    found.pop("detail", None)
    return found


def put(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# -- text and Markdown ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "encoding", "text"),
    [
        ("Ménière's\r\ndisease", "utf-8", "Ménière's\ndisease"),
        (b"\xef\xbb\xbfBOM", "utf-8", "BOM"),
        (b"\xef\xbb\xbfBOM", "UTF_8", "BOM"),
        ("Ménière".encode("cp1252"), "cp1252", "Ménière"),
        ("Ménière".encode("utf-16"), "utf-16", "Ménière"),
        (b"", "utf-8", ""),
    ],
)
def test_text_is_read_as_it_is(
    tmp_path: Path, content: bytes | str, encoding: str, text: str
) -> None:
    assert read(put(tmp_path / "a.txt", content), encoding) == ("", [text])


@pytest.mark.parametrize("ending", [".txt", ".md"])
@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"abc\xff", "it is not utf-8: invalid start byte at byte 4"),
        (b"abc\0", "it holds NUL characters: is it UTF-16, or no text?"),
    ],
)
def test_what_is_no_text_is_said(tmp_path: Path, ending: str, content: bytes, detail: str) -> None:
    path = put(tmp_path / f"a{ending}", content)
    assert fault(path) == ("no text in its encoding", detail)


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("Intro\n\n## Gout of the *toe* ##\n\n# Later\n", "Gout of the *toe*"),
        ("```\n# a comment\n```\n# Gout\n", "Gout"),
        ("#hashtag\n    # code\nno heading\n", ""),
    ],
)
def test_the_title_of_markdown_is_its_first_heading(
    tmp_path: Path, content: str, title: str
) -> None:
    assert read(put(tmp_path / "a.md", content)) == (title, [content])


def test_a_line_of_ten_megabytes(tmp_path: Path) -> None:
    text = "word " * 2_000_000
    assert read(put(tmp_path / "a.md", text)) == ("", [text])


def test_a_file_too_large_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with path.open("wb") as handle:
        handle.truncate((1 << 28) + 1)  # sparse
    assert fault(path)[0] == "too large a file"


# -- HTML -------------------------------------------------------------------------------------

PAGE = """<!DOCTYPE html><html><head><title>Gout &amp;
 pseudogout</title><style>p {color: red}</style><script>var secret = 1;</script></head>
<body><h1>Gout</h1><p>H<sub>2</sub>O and <b>urate</b>.</p><p>Second<br>line</p>
<script>document.write("no")</script><!-- a comment --><noscript>no</noscript>
<ul><li>one<li>two</ul><table><tr><td>Na</td><td>140</td></tr></table></body></html>"""


def test_html_gives_its_text_by_blocks_without_scripts_and_styles(tmp_path: Path) -> None:
    assert read(put(tmp_path / "a.html", PAGE)) == (
        "Gout & pseudogout",
        ["Gout\nH2O and urate.\nSecond\nline\none\ntwo\nNa | 140"],
    )


def test_html_without_a_title_has_its_heading(tmp_path: Path) -> None:
    assert read(put(tmp_path / "a.htm", "<h1>Dengue</h1>fever"))[0] == "Dengue"
    assert read(put(tmp_path / "b.htm", "fever")) == ("", ["fever"])


@pytest.mark.parametrize(
    "content",
    [
        '<meta charset="iso-8859-1"><p>Ménière — 5</p>'.encode("cp1252"),
        "\ufeff<p>Ménière — 5</p>".encode("utf-16-le"),
        "<p>Ménière — 5</p>".encode(),
        '<?xml version="1.0" encoding="windows-1252"?><p>Ménière — 5</p>'.encode("cp1252"),
    ],
)
def test_html_is_decoded_as_it_declares(tmp_path: Path, content: bytes) -> None:
    assert read(put(tmp_path / "a.html", content))[1][0].split("\n")[-1] == "Ménière — 5"


def test_html_that_is_not_what_it_declares_is_said(tmp_path: Path) -> None:
    path = put(tmp_path / "a.html", b"<meta charset=utf-8><p>\xff")
    assert fault(path) == (
        "no text in its encoding",
        "it is not utf-8: invalid start byte at byte 24",
    )
    put(path, b'<meta charset="klingon"><p>x')
    assert fault(path) == ("no text in its encoding", "its encoding 'klingon' is unknown")
    put(path, b"<p>\0")
    assert fault(path)[0] == "no text in its encoding"


def test_html_nested_twenty_thousand_deep_ends(tmp_path: Path) -> None:
    path = put(tmp_path / "a.html", "<div>" * 20_000 + "deep")
    assert ended(path) in ({"title": "", "pages": ["deep"]}, {"fault": "damage"})


def test_html_of_many_blocks_takes_a_time_that_grows_with_it(tmp_path: Path) -> None:
    assert read(put(tmp_path / "a.html", "<p>x" * 20_000))[1] == ["\n".join("x" * 20_000)]


# -- PDF --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        "<p " + " ".join(f"a{i}='1'" for i in range(300_000)) + ">Gout</p>",
        "<p>Gout</p><p " + "a='1' " * 300_000,
        "<p>Gout</p>" + "<a b='" * 100_000,
        "<p>Gout</p>" + "<a" * 300_000,
        "<p>Gout</p>" + "<!--" * 100_000,
        "<p>Gout</p>" + "<!--" * 100_000 + ">",
        "<p>Gout</p>" + "<![CDATA[" * 100_000,
        "<p>Gout</p>" + "</a" * 200_000,
    ],
    ids=["attributes", "open", "quotes", "tags", "comments", "closed", "sections", "ends"],
)
def test_html_that_closes_nothing_is_read_in_linear_time(tmp_path: Path, content: str) -> None:
    """Each takes from 90 seconds to half an hour where the parser looks for every end."""
    (tmp_path / "a.html").write_text(content, encoding="utf-8")
    started = time.perf_counter()
    (text,) = read_document(tmp_path / "a.html", "html", "utf-8").pages
    assert time.perf_counter() - started < 30
    assert text.startswith("Gout")


def test_html_keeps_signs_that_are_no_markup(tmp_path: Path) -> None:
    page = "<p>p <0.05</p><!-- a > b --><p>n < 3</p><![CDATA[x]]> and 1 < 2"
    (tmp_path / "a.html").write_text(page, encoding="utf-8")
    (text,) = read_document(tmp_path / "a.html", "html", "utf-8").pages
    assert text.splitlines()[:2] == ["p <0.05", "n < 3"]
    assert text.endswith("and 1 < 2")


def test_a_pdf_gives_its_pages_and_its_title(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a.pdf", ["Gout is painful.", "", "Urate."], title="On gout")
    title, pages = read(path)
    assert title == "On gout"
    assert [page.strip() for page in pages] == ["Gout is painful.", "", "Urate."]


def test_an_encrypted_pdf_is_said(tmp_path: Path) -> None:
    kind, detail = fault(write_pdf(tmp_path / "a.pdf", ["secret"], password="x"))
    assert kind == "encryption"
    assert detail.startswith("it is encrypted: ")


def test_a_pdf_whose_password_is_empty_is_read(tmp_path: Path) -> None:
    from pypdf import PdfReader, PdfWriter

    plain = write_pdf(tmp_path / "plain.pdf", ["Gout is painful."])
    writer = PdfWriter(clone_from=PdfReader(plain))
    writer.encrypt(user_password="", owner_password="owner", algorithm="AES-256")
    writer.write(tmp_path / "a.pdf")
    assert read(tmp_path / "a.pdf")[1][0].strip() == "Gout is painful."


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\n", b"not a pdf at all", b"\0" * 5000])
def test_a_damaged_pdf_is_said(tmp_path: Path, content: bytes) -> None:
    assert fault(put(tmp_path / "a.pdf", content))[0] == "damage"


def test_a_pdf_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A page's content that unpacks to 180 MB of drawing is given up, and the page has no text."""

    packer = zlib.compressobj(9)
    block = b"0 0 m 1 1 l S " * (1 << 16)
    data = b"".join(packer.compress(block) for _ in range(200)) + packer.flush()
    head = b"%PDF-1.4\n"
    parts = [
        b"1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n",
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n",
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n",
        b"4 0 obj<</Filter/FlateDecode/Length %d>>stream\n" % len(data)
        + data
        + b"\nendstream endobj\n",
    ]
    places, at = [], len(head)
    for part in parts:
        places.append(at)
        at += len(part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    tail = b"xref\n0 5\n0000000000 65535 f \n" + table + b"trailer<</Size 5/Root 1 0 R>>\n"
    path = put(tmp_path / "a.pdf", head + b"".join(parts) + tail + b"startxref\n%d\n%%%%EOF" % at)
    assert path.stat().st_size < 1 << 20
    assert ended(path) in ({"title": "", "pages": [""]}, {"fault": "damage"})


# -- DOCX -------------------------------------------------------------------------------------


def test_a_docx_gives_its_paragraphs_tables_and_title(tmp_path: Path) -> None:
    path = write_docx(tmp_path / "a.docx", ["Dear colleague,", "she has gout."], title="A letter")
    title, (text,) = read(path)
    assert title == "A letter"
    assert text.split("\n\n") == ["Dear colleague,", "she has gout.", "Troponin | raised"]


def rewrite(path: Path, name: str, content: bytes, source: Path) -> Path:
    """Copy a DOCX with another content of one of its members."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            if part.filename != name:
                new.writestr(part.filename, old.read(part))
        if content:
            new.writestr(name, content)
    return path


def test_a_damaged_docx_is_said(tmp_path: Path) -> None:
    whole = write_docx(tmp_path / "whole.docx", ["Gout."])
    path = tmp_path / "a.docx"
    for content in (b"", b"no zip", whole.read_bytes()[:-200], whole.read_bytes()[:2000]):
        assert fault(put(path, content))[0] == "damage"
    assert fault(rewrite(path, "word/document.xml", b"<w:p", whole))[0] == "damage"
    assert fault(rewrite(path, "word/document.xml", b"", whole)) == (
        "damage",
        "it holds no word/document.xml, so it is no DOCX",
    )


@pytest.mark.parametrize(
    "part",
    [
        "word/document.xml",
        "docProps/core.xml",
        "word/header1.xml",
        "word/footnotes.xml",
    ],
)
def test_entities_in_a_docx_are_refused(tmp_path: Path, part: str) -> None:
    whole = write_docx(tmp_path / "whole.docx", ["Gout."])
    entity = b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
    for content in (entity, entity.decode().encode("utf-16")):
        kind, detail = fault(rewrite(tmp_path / "a.docx", part, content, whole))
        assert kind == "damage"
        assert "declares a document type" in detail


def test_an_archive_bomb_is_not_unpacked(tmp_path: Path) -> None:
    whole = write_docx(tmp_path / "whole.docx", ["Gout."])
    path = rewrite(tmp_path / "a.docx", "word/header1.xml", b" " * ((1 << 27) + 1), whole)
    assert path.stat().st_size < 1 << 20
    kind, detail = fault(path)
    assert kind == "too large a file"
    assert "an archive bomb?" in detail


# -- anything ---------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    kind=st.sampled_from(["pdf", "docx"]),
    place=st.floats(0, 1),
    cut=st.booleans(),
    noise=st.binary(min_size=1, max_size=8),
)
def test_damage_anywhere_is_a_text_or_a_fault_and_never_more(
    tmp_path_factory: pytest.TempPathFactory, kind: str, place: float, cut: bool, noise: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = folder / f"whole.{kind}"
    if not whole.exists():
        (write_pdf if kind == "pdf" else write_docx)(whole, ["Gout.", "Urate."])
    data = whole.read_bytes()
    at = int(place * len(data))
    path = put(folder / f"torn.{kind}", data[:at] + (b"" if cut else noise + data[at + 8 :]))
    assert set(ended(path)) in ({"title", "pages"}, {"fault"})


def test_as_a_process_it_answers_line_by_line_whatever_libraries_print(tmp_path: Path) -> None:
    requests = [
        {"path": str(put(tmp_path / "a.txt", "x")), "kind": "text", "encoding": "utf-8"},
        {"path": str(tmp_path / "none.txt"), "kind": "text", "encoding": "utf-8"},
        {"path": str(put(tmp_path / "b.md", "# y")), "kind": "markdown", "encoding": "utf-8"},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "ragbench.corpora.formats.documents"],
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        check=True,
    )
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert first == {"title": "", "pages": ["x"]}
    assert second["fault"] == "damage"
    assert third == {"title": "y", "pages": ["# y"]}


def test_a_fault_has_a_kind() -> None:
    assert Fault("damage", "it is not whole").kind == "damage"
