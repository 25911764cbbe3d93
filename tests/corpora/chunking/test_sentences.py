"""Sentences: the full stops that end one, those that do not, and chunks of whole ones."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.corpora.chunking.measure import Characters
from ragbench.corpora.chunking.sentences import SentenceChunker, sentences


def split(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


WHOLE = [
    "Give antipyretics, e.g. paracetamol, i.e. A tablet.",
    "Dr. Snow and Prof. Koch saw Mr. Smith.",
    "The dose was approx. 0.5 mg. per day.",
    "As seen in Fig. 2 and Tab. 3, cf. Ref. 12 and pp. 4.",
    "Drug A vs. Placebo.",
    "It grew E. coli, S. aureus and S. Typhi.",
    "Written by J. K. Rowling and A. Fleming.",
    "Smith et al. (2010) and Jones et al. 2011 agree.",
    "The U.S. Food and Drug Administration.",
    "Take it b.i.d. 5 times.",
    "A value of 3.5 or .5 is normal.",
    "He came on Jan. 5 in the morning.",
    "Seen in No. 5 of vol. 3 only.",
    "The so-called 'yes!' answer.",
    "1. Wash your hands.",
    "Wait... then go on.",
    "A line that is\nwrapped by hand",
]


@pytest.mark.parametrize("text", WHOLE)
def test_one_sentence_stays_whole(text: str) -> None:
    assert split(text) == [text]


@pytest.mark.parametrize(
    "parts",
    [
        ["Fever rose.", "Then it fell."],
        ["Take 0.5 mg.", "Then rest."],
        ["He has MS.", "Walking is hard."],
        ["Avoid vitamin C.", "Patients with hepatitis B.", "The end."],
        ["Is it so?", '"Yes!"', "(It is.)", "Good."],
        ["It was 2010.", "The study began."],
        ["The answer is no.", "He left."],
        ["Aspirin, etc.", "Others follow."],
        ["Take it at 5 p.m.", "Then sleep."],
        ["It is 5.", "6 is more."],
        ["Signs of stroke:", "- numbness", "- trouble speaking"],
        ["Signs:", "• numbness", "2. trouble", "3) more"],
        ["A heading", "A paragraph without a stop", "Another"],
        ["发烧。", "咳嗽\uff01", "头痛\uff1f」", "好"],
        ["Cells divide.", "- Leukemia may affect red blood cells."],
    ],
)
def test_sentences_end_where_they_should(parts: list[str]) -> None:
    joiner = " "
    if any(part.startswith(("-", "•")) for part in parts[1:2]) and not parts[0].endswith("."):
        joiner = "\n"
    if parts[0] == "A heading":
        joiner = "\r\n \r\n"
    if parts[0] == "发烧。":
        joiner = ""
    assert split(joiner.join(parts)) == parts


ANY = st.text(
    st.one_of(st.sampled_from(list(".!?。\"')] \n\r\taEe1-•")), st.characters(codec="utf-8")),
    max_size=80,
)


@given(ANY)
def test_sentences_hold_all_that_is_not_blank(text: str) -> None:
    position = 0
    for start, end in sentences(text):
        assert not text[position:start].strip()
        assert text[start:end] == text[start:end].strip() != ""
        position = end
    assert not text[position:].strip()


@pytest.mark.parametrize(
    "text",
    [
        "." * 300_000,
        ".)" * 150_000,
        '."' * 150_000,
        "\n " * 150_000,
        "\n\t" * 150_000 + "x",
        "a. " * 100_000,
        "。" * 300_000,
        "x" * 300_000,
        "." + ")" * 300_000,
    ],
    ids=lambda text: repr(text[:4]),
)
def test_no_text_takes_long(text: str) -> None:
    started = time.monotonic()
    split(text)
    assert time.monotonic() - started < 5


def test_whole_sentences_are_packed_and_overlap() -> None:
    text = "Aa bb. Cc dd. Ee ff. Gg hh."
    chunker = SentenceChunker(14, 7, Characters())
    assert [text[a:b] for a, b in chunker.spans(text)] == [
        "Aa bb. Cc dd.",
        "Cc dd. Ee ff.",
        "Ee ff. Gg hh.",
    ]
    assert [text[a:b] for a, b in SentenceChunker(14, 0, Characters()).spans(text)] == [
        "Aa bb. Cc dd.",
        "Ee ff. Gg hh.",
    ]


def test_a_long_sentence_is_cut_between_words() -> None:
    text = "One. two three four five. Six."
    spans = SentenceChunker(10, 0, Characters()).spans(text)
    assert [text[a:b] for a, b in spans] == ["One. two", "three", "four five.", "Six."]


def test_nothing_gives_nothing() -> None:
    assert SentenceChunker(10, 0, Characters()).spans(" \n ") == []
