"""Readers of replies, by hand; those of published harnesses with their faults."""

from __future__ import annotations

import pytest

from ragbench.records import Question
from ragbench.tasks.replies import DEFAULT_RULE, READERS

CHOICE = Question("q", "?", ("aspirin", "heparin", "warfarin", "none"), 1, "?")
LABEL = Question("q", "?", ("entailment", "contradiction", "neutral"), 1, "?")
SIX = Question("q", "?", ("a", "b", "c", "d", "e", "not answerable"), 5, "?")
TEXT = Question("q", "?", (), -1, "?", reference="r")


@pytest.mark.parametrize(
    ("reply", "letter", "rule"),
    [
        ("B", "B", "mirage 1"),
        (" C ", "C", "mirage 1"),
        ("B or C", "B", "mirage 2"),
        ("C and D are right", "C", "mirage 3"),
        ("D/A", "D", "mirage 4"),
        ("B, because", "B", "mirage 5"),
        ("I would take option C here", "C", "mirage 6"),
        ("Option D", "D", "mirage 6"),
        ("The answer is: C", "C", "mirage 7"),
        ("My reasoning: Because it is so", "B", "mirage 7"),  # a capital after a colon
        ("C. warfarin", "C", "mirage 8"),
        ('D", "x"', "D", "mirage 9"),
        ("B: heparin", "B", "mirage 10"),
        ('{"answer_choice": "C"}', "C", "mirage 9"),
        ('{"answer_choice": "A", "answer_choice": "D"}', "D", "mirage 9"),
        ('"answer_choice": "C" but option D', "D", "mirage 6"),  # anywhere, before the quote
        ("B or C: D", "B", "mirage 2"),
        ("b", "A", DEFAULT_RULE),  # small letters are not read
        ("I cannot tell", "A", DEFAULT_RULE),
        ("", "A", DEFAULT_RULE),
        ("E", "A", DEFAULT_RULE),
    ],
)
def test_mirage(reply: str, letter: str, rule: str) -> None:
    found = READERS["mirage"](reply, CHOICE, "stop")
    assert found.pick is not None
    assert ("ABCD"[found.pick], found.rule) == (letter, rule)


def test_mirage_takes_a_lost_reply_as_wrong() -> None:
    found = READERS["mirage"]("", CHOICE, "none")
    assert (found.outcome, found.pick) == ("unparsed", None)


def test_mirage_reads_letters_beyond_the_options() -> None:
    two = Question("q", "?", ("yes", "no"), 0, "?")
    assert READERS["mirage"]("C", two, "stop").pick == 2


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("contradiction", "contradiction"),
        ("CONTRADICTION.", "contradiction"),
        ("The relation is entailment.", "entailment"),
        ("This is not an entailment but a contradiction.", "contradiction"),
        ("It is neither entailment nor contradiction, so NEUTRAL", "neutral"),
        ("There is no contradiction.", None),
        ("entailment, contradiction or neutral?", None),
        ("It could be entailment or neutral.\n\nAnswer: neutral", "neutral"),
        ("neutral\nThe second contradicts nothing and entails nothing.", "neutral"),
        ("Entailment would need more. Contradiction is out.\n**Neutral**", "neutral"),
        ("entailment\ncontradiction", None),
        ("neutral, neutral, neutral", "neutral"),
        ("<think>entailment? contradiction?</think>neutral", "neutral"),
        ("I do not know", None),
        ("", None),
    ],
)
def test_labels(reply: str, label: str | None) -> None:
    found = READERS["label"](reply, LABEL, "stop")
    assert found.pick == (None if label is None else LABEL.options.index(label))
    assert found.outcome == ("unparsed" if label is None else "parsed")


def test_a_label_that_did_not_come_to_be() -> None:
    assert READERS["label"]("<think>it may be entail", LABEL, "length").outcome == "truncated"
    assert READERS["label"]("I'm sorry, I cannot help", LABEL, "stop").outcome == "refused"


def test_clue_labels_with_their_faults() -> None:
    read = READERS["clue-label"]
    assert read("contradiction", LABEL, "stop").pick == 1
    assert read("entailment", LABEL, "stop").pick is None
    # all three once is right whatever the gold is, the right one twice is wrong
    assert read("ENTAILMENT CONTRADICTION NEUTRAL", LABEL, "stop").pick == 1
    assert read("contradiction: a contradiction", LABEL, "stop").pick is None
    assert read("not a contradiction", LABEL, "stop").pick == 1


def test_clue_longhealth() -> None:
    read = READERS["clue-longhealth"]
    assert read("The correct answer is B: heparin", SIX, "stop").pick == 1
    assert read("The correct answer is F: x. The correct answer is A: y", SIX, "stop").pick == 5
    for reply in ("The correct answer is B.", "the correct answer is B: x", "B", "**B**: x"):
        assert read(reply, SIX, "stop").outcome == "unparsed"


def test_texts() -> None:
    read = READERS["text"]
    assert read(" a summary\n", TEXT, "stop").text == "a summary"
    assert read("<think>hm</think>a summary", TEXT, "stop").text == "a summary"
    assert read("a summary that was c", TEXT, "length").outcome == "parsed"
    assert read("<think>never closed", TEXT, "length").outcome == "truncated"
    assert read("", TEXT, "stop").outcome == "unparsed"
    assert read("I'm sorry, but I cannot", TEXT, "stop").outcome == "refused"


def test_clue_texts_are_cut_at_turns() -> None:
    read = READERS["clue-text"]
    assert read("sepsis [INST] more\nAKI", TEXT, "stop").text == "sepsis \nAKI"
    assert read("sepsis You are an AI, so", TEXT, "stop").text == "sepsis "
    assert READERS["raw"](" as it is [INST]", TEXT, "stop").text == " as it is [INST]"
