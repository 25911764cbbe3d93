"""Invisible characters and separate accents: what is removed, counted and still found by place."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.records import Passage
from ragbench.corpora.build import build_corpus
from ragbench.corpora.cleaned import CUT, clean_query, cleaned, source_offset
from ragbench.corpora.reader import Located

NFC = "with letters and accents joined (NFC)"
JOINERS = {
    "U+200D zero width joiner, removed": 1,
    "U+200C zero width non-joiner, removed": 1,
}
DIRECTIONS = {
    "U+200E left-to-right mark, removed": 1,
    "U+202C pop directional formatting, removed": 1,
    "U+2066 left-to-right isolate, removed": 1,
    "U+2069 pop directional isolate, removed": 1,
}


def clean(text: str) -> Located:
    return cleaned(Located(Passage("d", "d", "", text), "here"))


@pytest.mark.parametrize(
    ("text", "right", "changes"),
    [
        ("Hyper\u00adten\u00adsion", "Hypertension", {"U+00AD soft hyphen, removed": 2}),
        ("Ery\u200bthro", "Erythro", {"U+200B zero width space, removed": 1}),
        ("\ufeffa\ufeff", "a", {"U+FEFF zero width no-break space, removed": 2}),
        ("Me\u0301nie\u0300re", "M\u00e9ni\u00e8re", {NFC: 1}),
        ("e\u00ad\u0301", "\u00e9", {"U+00AD soft hyphen, removed": 1, NFC: 1}),
        ("M\u00e9ni\u00e8re \u2013 10\u2079 de\ufb01cit", None, {}),
        ("\u0e44\u0e17\u0e22\u200b\u0e44\u0e17\u0e22", None, {}),  # parts words of Thai
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", None, {}),  # Persian needs it
        ("\u0915\u094d\u200d\u0937", None, {}),  # so does Hindi
        ("\U0001f468\u200d\u2695\ufe0f", None, {}),  # a health worker, of two emoji
        ("cata\u200dra\u200cct", "cataract", JOINERS),
        ("\u200efever\u202c \u2066high\u2069", "fever high", DIRECTIONS),
        ("plain", None, {}),
    ],
)
def test_what_nobody_sees_is_removed_and_counted(
    text: str, right: str | None, changes: dict[str, int]
) -> None:
    found = clean(text)
    assert found.passage.text == (text if right is None else right)
    assert dict(found.changes) == changes
    assert clean_query(text) == found.passage.text


SIGNS = "ae \u0301\u0300\u00ad\u200b\u200d\ufe0f\ufeff\u0e44\u0645\u1100\u1161\u11a8"


@given(st.text(st.sampled_from(SIGNS)))
def test_cleaning_twice_changes_nothing_and_places_map_back(text: str) -> None:
    once = clean(text)
    assert cleaned(once).passage == once.passage
    assert unicodedata.is_normalized("NFC", once.passage.text)
    assert source_offset(once.passage.meta, 0) <= len(text)
    assert source_offset(once.passage.meta, len(once.passage.text)) == len(text)


def test_a_place_in_a_clean_text_is_that_of_the_source() -> None:
    text = "Hyper\u00adten\u00adsion of Me\u0301nie\u0300re"
    found = clean(text).passage
    for word in ("sion", "of", "nie"):
        at = found.text.index(word if word != "nie" else "ni\u00e8re")
        assert source_offset(found.meta, at) == text.index(word)


def test_a_corpus_counts_what_was_changed_and_its_chunks_keep_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGBENCH_HOME", str(tmp_path))
    text = "Hyper\u00adten\u00adsion is treated. Labeta\u00adlol helps. Done."
    lines = [{"id": "a", "text": text}, {"id": "b", "text": "Plain."}]
    (tmp_path / "d.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    card = "reader: jsonl\npath: ../d.jsonl\nlicence: CC0\n"
    (tmp_path / "corpora").mkdir()
    (tmp_path / "corpora/whole.yaml").write_text(card, encoding="utf-8")
    chunked = card + "chunking: {chunker: sentences, size: 30}\nduplicates: {exact: drop}\n"
    (tmp_path / "corpora/cut.yaml").write_text(chunked, encoding="utf-8")
    for name in ("whole", "cut"):
        built = build_corpus(name)
        assert built.manifest.changed == {"U+00AD soft hyphen, removed": 3}
    chunks = [built[row] for row in range(len(built)) if built[row].doc_id == "a"]
    assert [c.text for c in chunks] == ["Hypertension is treated.", "Labetalol helps. Done."]
    for chunk in chunks:
        start, end = (source_offset(chunk.meta, int(chunk.meta[k])) for k in ("start", "end"))
        assert text[start:end].replace("\u00ad", "") == chunk.text
        assert len(chunk.meta[CUT].split()) == 2
