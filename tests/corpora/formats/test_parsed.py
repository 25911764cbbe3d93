"""What every format's parser refuses."""

from __future__ import annotations

import pytest

from ragbench.corpora.formats.parsed import Fault, check_xml, encodable, undecodable, whole_text


def test_text_that_is_none_is_refused_or_replaced() -> None:
    assert encodable("a\ud800b") == "a\ufffdb"
    assert whole_text("a") == "a"
    with pytest.raises(Fault, match="NUL"):
        whole_text("a\0")
    with pytest.raises(UnicodeDecodeError) as caught:
        b"ab\xff".decode()
    assert (
        str(undecodable("utf-8", caught.value)) == "it is not utf-8: invalid start byte at byte 3"
    )


def test_xml_may_declare_nothing() -> None:
    check_xml(b"<a><b/></a>")
    with pytest.raises(Fault, match="declares a document type"):
        check_xml(b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>')
