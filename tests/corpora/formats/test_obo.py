"""The OBO text format: escapes, quotes, comments, qualifiers, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import DataError
from ragbench.corpora.formats.obo import Stanza, Tag, quoted, stanzas, unescape

SMALL = """\
format-version: 1.2
data-version: hp/releases/2025-01-16
! a comment line

[Term] ! with a comment
id: HP:1
name: Fever \\! or heat ! not this
def: "A \\"high\\" heat! {not=\\"a qualifier\\"}\\n of [body]." [PMID:1, "a ! b"] {xref="P:1"}
comment: Sets {a, b} stay. {xref="PMID:29972427", by="x y"} ! and this goes
is_a: HP:2 {source="x"} ! Sign
synonym: "Febrile" EXACT layperson []
property_value: a:b "c" xsd:string

[Typedef]
id: part_of
name: a long \\
name
"""


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_a_file_read_by_hand(tmp_path: Path) -> None:
    path = write(tmp_path / "a.obo", SMALL)
    header, term, typedef = stanzas(path)
    assert (header.kind, header.text("data-version")) == ("", "hp/releases/2025-01-16")
    assert (term.kind, term.line) == ("Term", 5)
    assert term.text("name") == "Fever ! or heat"
    assert term.text("comment") == "Sets {a, b} stay."
    assert term.all("is_a") == [Tag("is_a", "HP:2", 10)]
    (definition,) = term.all("def")
    assert quoted(definition, path) == (
        'A "high" heat! {not="a qualifier"}\n of [body].',
        '[PMID:1, "a ! b"]',
    )
    assert quoted(term.all("synonym")[0], path) == ("Febrile", "EXACT layperson []")
    assert (typedef.kind, typedef.text("name"), typedef.text("absent")) == (
        "Typedef",
        "a long name",
        "",
    )


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=40))
def test_quoted_text_comes_back_whatever_it_holds(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    assert quoted(Tag("def", f'"{escaped}" []', 1), Path("x")) == (text, "[]")


def test_escapes_are_those_of_the_guide() -> None:
    assert unescape(r"a\nb\tc\Wd\:\,\"\\\(\)\[\]\{\}\!") == 'a\nb\tc d:,"\\()[]{}!'


def test_windows_lines_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.obo", b"\xef\xbb\xbfontology: x\r\n\r\n[Term]\r\nid: A:1\r\n")
    assert list(stanzas(path)) == [
        Stanza("", 1, [Tag("ontology", "x", 1)]),
        Stanza("Term", 3, [Tag("id", "A:1", 4)]),
    ]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"no colon here", "'no colon here' is not a line of the OBO format"),
        (b"two words: x", "'two words: x' is not a line of the OBO format"),
        (b": x", "': x' is not a line of the OBO format"),
        (b"[Term", "'[Term' is not the head of a stanza"),
        (b"[]", "'[]' is not the head of a stanza"),
        (b"name: \xff", "this line is not UTF-8"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: bytes, what: str) -> None:
    path = write(tmp_path / "a.obo", b"ontology: x\n\n" + line + b"\n")
    with pytest.raises(DataError) as caught:
        list(stanzas(path))
    assert caught.value.what.startswith(what)
    assert caught.value.where == f"{path}:3"


@pytest.mark.parametrize("value", ["A fever. []", '"never closed', r'"escaped end\" []'])
def test_a_value_without_quotes_is_named(value: str) -> None:
    with pytest.raises(DataError, match="does not begin with text in quotes") as caught:
        quoted(Tag("def", value, 7), Path("a.obo"))
    assert caught.value.where == "a.obo:7"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file cannot be read"):
        list(stanzas(tmp_path))
