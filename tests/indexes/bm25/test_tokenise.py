"""The BM25 tokeniser against the rules of its docstring."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ragbench.indexes.bm25.tokenise import (
    STOPWORDS,
    Analyser,
    Words,
    _finder,
    word_characters,
)

# EnglishAnalyzer.ENGLISH_STOP_WORDS_SET of Apache Lucene, as its source lists it.
LUCENE = """
a an and are as at be but by
for if in into is it
no not of on or such
that the their then there these
they this to was will with
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("E11.9", ["e11.9", "e119"]),
        ("0.5 mg", ["0.5", "mg"]),  # a number has no letter, so its dot stays
        ("U.S.", ["u.s"]),  # no digit, so no second spelling; the last dot is not inner
        ("Type 2 diabetes (E11.65).", ["type", "2", "diabetes", "e11.65", "e1165"]),
        ("T36.0X1A", ["t36.0x1a", "t360x1a"]),
        ("v1.2.3", ["v1.2.3", "v123"]),
        ("beta-blocker", ["beta", "blocker"]),
        ("patient's", ["patient", "s"]),
        ("snake_case", ["snake", "case"]),
        ("end.Next", ["end.next"]),
        ("Sjögren ÄPFEL", ["sjögren", "äpfel"]),
        ("糖尿病 2型", ["糖尿病", "2型"]),
        ("... -- ()", []),
        ("", []),
    ],
)
def test_examples(text: str, expected: list[str]) -> None:
    assert Analyser()(text) == expected


@pytest.mark.parametrize("other", ["E119", "e11.9", "e119"])
def test_a_code_meets_its_other_spelling(other: str) -> None:
    assert set(Analyser()("E11.9")) & set(Analyser()(other))


@given(st.text())
@example("E11.9x, 0.5 U.S. İ ß Σ")
def test_a_token_is_in_the_text_or_is_the_code_before_it_without_dots(text: str) -> None:
    found = Analyser(fold="none")(text)
    for place, token in enumerate(found):
        assert token
        assert token == token.lower()
        assert all(c.isalnum() or c == "." for c in token)
        if token not in text.lower():
            code = found[place - 1]
            assert token == code.replace(".", "")
            assert any(c.isdigit() for c in code)
            assert any(c.isalpha() for c in code)


def test_stopwords_are_the_33_of_lucene() -> None:
    assert STOPWORDS["lucene-english"] == frozenset(LUCENE.split())
    assert len(STOPWORDS["lucene-english"]) == 33
    assert STOPWORDS["none"] == frozenset()


def test_each_stopword_is_dropped_and_nothing_else() -> None:
    tokenise = Analyser(stopwords="lucene-english", stemmer="none")
    assert tokenise(LUCENE) == []
    assert tokenise("The who of from without") == ["who", "from", "without"]


def test_stopwords_go_before_stemming() -> None:
    tokenise = Analyser(stopwords="lucene-english", stemmer="english")
    # "being" is no stop word, though its stem "be" would be one.
    assert tokenise("being the beings") == ["be", "be"]


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        # From the sample vocabulary on snowballstem.org/algorithms/english/stemmer.html:
        ("consistency", "consist"),
        ("consolations", "consol"),
        ("knavish", "knavish"),
        ("knives", "knive"),
        ("kneeling", "kneel"),
        # Tokens that are not letters alone stay as they are:
        ("covid19s", "covid19s"),
        ("u.s.running", "u.s.running"),
        ("2", "2"),
    ],
)
def test_only_words_of_letters_are_stemmed(word: str, stem: str) -> None:
    tokenise = Analyser(stopwords="none", stemmer="english")
    assert tokenise(word) == [stem]
    assert tokenise(word) == [stem]  # the second time from its memory
    assert Analyser(stopwords="none", stemmer="none")(word) == [word]


@pytest.mark.parametrize("stemmer", ["none", "english"])
def test_repeats_and_order_are_kept(stemmer: str) -> None:
    tokenise = Analyser(stopwords="none", stemmer=stemmer)
    assert tokenise("fever cough fever") == ["fever", "cough", "fever"]


@given(st.text(st.characters(codec="utf-8")))
@example("डायबिटीज़ E11.9 糖尿病 ๑ไทย")
def test_words_are_what_the_table_of_code_points_says(text: str) -> None:
    is_word = word_characters("unicode", "none")
    runs = "".join(c if is_word[ord(c)] or c == "." else " " for c in text).split()
    wanted = [word for run in runs for word in re.split(r"\.{2,}|^\.|\.$", run) if word]
    assert [w.strip(".") for w in wanted if w.strip(".")] == _finder("unicode", "none")(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("मधुमेह रोग", ["मधुमेह", "रोग"]),  # vowel signs are marks
        ("糖尿病", ["糖尿", "尿病"]),
        ("病", ["病"]),
        ("2型糖尿病", ["2", "型糖", "糖尿", "尿病"]),
        ("ﬁbrosis E11.9", ["fibrosis", "e11.9", "e119"]),  # a ligature
        ("\uff25\uff11\uff11", ["e11"]),  # full width
        ("naïve", ["naïve"]),
    ],
)
def test_words_of_any_script(text: str, expected: list[str]) -> None:
    assert Analyser(words="unicode")(text) == expected


def test_marks_part_words_unless_told() -> None:
    assert Analyser()("मधुमेह") == ["मध", "म", "ह"]


def test_stopwords_of_ones_own_and_another_stemmer() -> None:
    analyse = Analyser(stopwords=["der", "und"], stemmer="german")
    # From the sample vocabulary on snowballstem.org/algorithms/german/stemmer.html
    assert analyse("Der aufeinanderfolge und aufeinander") == ["aufeinanderfolg", "aufeinand"]


def test_letters_of_formulas_and_full_width_ones_are_lower_case_too() -> None:
    """U+1D400 is a bold A, which has no lower case of its own; U+FF21 is a full-width A."""
    analyse = Analyser(stopwords="none", stemmer="none", words="unicode")
    assert analyse("\U0001d400 \uff21 A \u2168") == ["a", "a", "a", "ix"]


@pytest.mark.parametrize("words", ["letters", "unicode"])
@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("Me\u0301nie\u0300re", "M\u00e9ni\u00e8re"),  # accents apart (NFD)
        ("Hyper\u00adten\u00adsion", "hypertension"),  # soft hyphens
        ("Ery\u200bthro\ufeffpoi\u2060etin", "erythropoietin"),
        ("de\ufb01ciency of \ufb02uids", "deficiency of fluids"),  # ligatures
        ("\uff21\uff11\uff12", "a12"),  # full width
        ("\u00b5g", "\u03bcg"),  # the sign micro and the letter mu
        ("E11.\u00ad9", "E11.9"),
        ("10\u2079/L and 10\u207b\u2074", "10^9/L and 10^-4"),
        ("1.73 m\u00b2", "1.73 m^2"),
        ("H\u2082O, Ca\u00b2\u207a, SO\u2084\u00b2\u207b", "H2O, Ca2+, SO4^2-"),
        ("5\u00bd mg, 5\u338e", "5 1/2 mg, 5 mg"),
        ("Beta\u2011blockers Humira\u2122", "beta-blockers humira"),
        ("\u200b \u0301 \u2060", ""),
    ],
)
def test_a_word_has_the_terms_of_its_usual_form(words: Words, text: str, usual: str) -> None:
    assert Analyser(words=words)(text) == Analyser(words=words, fold="none")(usual)


@pytest.mark.parametrize("words", ["letters", "unicode"])
@given(text=st.text(st.characters(codec="utf-8")))
@example(text="Me\u0301\u00ad\u00ad x\u0304\u00b2.\u2079")
def test_a_folded_term_is_in_lower_case_and_has_a_letter_or_digit(words: Words, text: str) -> None:
    analyse = Analyser(words=words)
    for term in analyse(text):
        assert any(c.isalnum() for c in term)
        assert "\u00ad" not in term
        assert term == unicodedata.normalize("NFKC", term)
    composed = unicodedata.normalize("NFC", text)
    assert analyse(composed) == analyse(unicodedata.normalize("NFD", composed))
