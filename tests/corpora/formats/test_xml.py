"""Streamed XML: the elements asked for, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.corpora.formats.xml import MAX_DEPTH, elements


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def test_elements_of_any_of_the_tags_come_in_document_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.xml", "<r><a>1</a><b>2</b><c>3</c><a>4<b>5</b></a></r>")
    assert [e.text for e in elements(path, "a", "b")] == ["1", "2", "5", "4"]


def test_a_document_may_be_as_deep_as_the_limit(tmp_path: Path) -> None:
    for depth in (MAX_DEPTH, MAX_DEPTH + 1, 100_000):
        path = write(tmp_path / "deep.xml", "<a>" * depth + "</a>" * depth)
        if depth == MAX_DEPTH:
            assert len(list(elements(path, "a"))) == depth
            continue
        with pytest.raises(DataError, match=f"the XML is nested more than {MAX_DEPTH} deep"):
            list(elements(path, "a"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is not whole XML"),
        (b"<r><a/>", "the file is not whole XML"),
        (b"<r>\xff</r>", "the file is not whole XML"),
        (b"<r>&x;</r>", "the file is not whole XML"),
        (b'<?xml version="1.0" encoding="no-such"?><r/>', "the "),
        (b'<!DOCTYPE r [<!ENTITY x "boom">]><r>&x;</r>', "the XML declares entities"),
        (b'<!DOCTYPE r [<!ENTITY % x "boom">]><r/>', "the XML declares entities"),
        (b'<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]><r/>', "the XML declares ent"),
    ],
)
def test_what_is_no_plain_document_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = write(tmp_path / "bad.xml", content)
    with pytest.raises(DataError) as caught:
        list(elements(path, "a"))
    assert caught.value.what.startswith(what)
    assert caught.value.where == str(path)
    assert caught.value.fix
