"""The reply readers of the mode ``correct`` against replies read by hand."""

from __future__ import annotations

import time

import pytest

from ragbench.base.records import Question
from ragbench.tasks.replies.correct import read_label, read_option, read_text
from ragbench.tasks.replies.reader import ReplyReader

GOUT = Question("q", "?", ("Anaemia", "Gout", "Asthma", "Croup"), 1, "?")
NLI = Question("n", "?", ("entailment", "contradiction", "neutral"), 1, "?")
TEXT = Question("t", "?", (), -1, "?", reference="Is it gout?")


def letter(read: ReplyReader, reply: str, question: Question = GOUT, finish: str = "stop") -> str:
    found = read(reply, question, finish)
    return found.outcome if found.pick is None else "ABCDEF"[found.pick]


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("contradiction", "B"),
        ("CONTRADICTION", "B"),
        ("Contradiction.", "B"),
        ("**neutral**", "C"),
        ("The relation is entailment.", "A"),
        ("There are contradictions.", "B"),
        ("neutral, neutral", "C"),
        # What is negated does not count.
        ("It is not entailment.", "unparsed"),
        ("Not entailment but contradiction.", "B"),
        ("There is no contradiction, so neutral.", "C"),
        ("It is neither an entailment nor a contradiction: neutral", "C"),
        ("This is not an entailment; it is neutral.", "C"),
        # Several: the one that stands alone, or after its heading.
        ("entailment, contradiction or neutral", "unparsed"),
        ("Entailment would need more; contradiction would need less.\nneutral", "C"),
        ("It could be entailment or neutral.\nAnswer: neutral", "C"),
        ("entailment or contradiction?\n**Label: contradiction**", "B"),
        ("entailment or contradiction?\nThe relation is contradiction", "unparsed"),
        ("neutral\ncontradiction", "unparsed"),
        ("Answer: neutral\nAnswer: entailment", "unparsed"),
        ("<think>entailment?</think>neutral", "C"),
        ("<think>entailment", "unparsed"),
        ("maybe", "unparsed"),
        ("", "unparsed"),
        ("I'm sorry, I cannot tell.", "refused"),
    ],
)
def test_label(reply: str, read: str) -> None:
    assert letter(read_label, reply, NLI) == read


def test_label_whose_case_folds_to_other_letters() -> None:
    """``İ`` folds to two characters; the search for labels finds it as ``i``."""
    question = Question("n", "?", ("yes", "İ"), 1, "?")
    assert letter(read_label, "Answer: i", question) == "B"
    assert letter(read_label, "YES", question) == "A"


def test_a_label_is_searched_in_linear_time() -> None:
    """A million brackets took seconds; several labels and a million lines, minutes."""
    for sign in ("[", "\n", "neutral "):
        started = time.process_time()
        read_label("neutral entailment " + sign * 1_000_000, NLI, "stop")
        assert time.process_time() - started < 2


def test_label_that_met_its_limit() -> None:
    assert letter(read_label, "The two sentences", NLI, "length") == "truncated"
    assert letter(read_label, "<think>entailment", NLI, "length") == "truncated"
    assert letter(read_label, "neutral, for the", NLI, "length") == "C"


@pytest.mark.parametrize(
    ("reply", "finish", "outcome", "text", "reasoning"),
    [
        ("Is it gout?", "stop", "parsed", "Is it gout?", ""),
        ("  Is it gout?\n", "stop", "parsed", "Is it gout?", ""),
        ("Is it gou", "length", "parsed", "Is it gou", ""),
        ("<think>The toe.</think>\nIs it gout?", "stop", "parsed", "Is it gout?", "The toe."),
        ("The toe.</think>Is it gout?", "stop", "parsed", "Is it gout?", "The toe."),
        ("<think>The toe.", "stop", "unparsed", "", "The toe."),
        ("<think>The toe.", "length", "truncated", "", "The toe."),
        ("<think>The toe.</think>", "stop", "unparsed", "", "The toe."),
        ("<think>The toe.</think>", "length", "truncated", "", "The toe."),
        ("", "stop", "unparsed", "", ""),
        (" \n", "length", "truncated", "", ""),
        ("I cannot answer this.", "stop", "refused", "I cannot answer this.", ""),
        ("As an AI, I may not.", "length", "refused", "As an AI, I may not.", ""),
    ],
)
def test_text(reply: str, finish: str, outcome: str, text: str, reasoning: str) -> None:
    found = read_text(reply, TEXT, finish)
    assert (found.outcome, found.text, found.reasoning) == (outcome, text, reasoning)
    assert found.pick is None


def test_option_is_the_reader_of_answers() -> None:
    assert letter(read_option, "The answer is C.") == "C"
    assert letter(read_option, "The answer is E.") == "unparsed"
    assert letter(read_option, "The answer", finish="length") == "truncated"
    assert letter(read_option, "", finish="none") == "unparsed"
