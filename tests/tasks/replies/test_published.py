"""Published reply readers against replies read by hand, their faults included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.records import (
    DEFAULT_RULE,
    ERROR_MESSAGE,
    REPEATED,
    REPLY_BEFORE,
    Question,
)
from ragbench.tasks.replies.published import (
    MIRAGE_RULES,
    read_clue_label,
    read_clue_longhealth,
    read_clue_text,
    read_mirage,
    read_raw,
)
from ragbench.tasks.replies.reader import ReplyReader

GOUT = Question("q", "?", ("Anaemia", "Gout", "Asthma", "Croup"), 1, "?")
NLI = Question("n", "?", ("entailment", "contradiction", "neutral"), 1, "?")
TEXT = Question("t", "?", (), -1, "?", reference="Is it gout?")
SIX = Question("l", "?", ("a", "b", "c", "d", "e", "not in the documents"), 5, "?")


def letter(read: ReplyReader, reply: str, question: Question = GOUT, finish: str = "stop") -> str:
    found = read(reply, question, finish)
    return found.outcome if found.pick is None else "ABCDEF"[found.pick]


def field(value: str) -> str:
    return '{"step_by_step_thinking": "option A: no", "answer_choice": "' + value


@pytest.mark.parametrize(
    ("text", "letter_read", "rule"),
    [
        ("C", "C", "mirage 1"),
        (" C", "C", "mirage 1"),
        ("C or D", "C", "mirage 2"),
        ("C and D", "C", "mirage 3"),
        ("C/D", "C", "mirage 4"),
        ("C, D", "C", "mirage 5"),
        ("It is option C", "C", "mirage 6"),
        ("Option C it is", "C", "mirage 6"),
        ("So: C", "C", "mirage 7"),
        ("C. Asthma", "C", "mirage 8"),
        ('C"}', "C", "mirage 9"),
        ("C:", "C", "mirage 10"),
        # The order: an earlier rule wins, wherever the later one would match.
        ("C or option D", "C", "mirage 2"),
        ("C and option D", "C", "mirage 3"),
        ("C/D: B", "C", "mirage 4"),
        ("C, option D", "C", "mirage 5"),
        ("C. not option D", "D", "mirage 6"),
        ("D: B, not option C", "C", "mirage 6"),
        ("C. Asthma: B", "B", "mirage 7"),
        ('C": B', "B", "mirage 7"),
        ("C: B", "B", "mirage 7"),
        ('C" option D', "D", "mirage 6"),
        ('C. "D"', "C", "mirage 8"),
        # The first match of a rule, not the last.
        ("option B, then option C", "B", "mirage 6"),
        # Its faults: a capital after any colon, small letters unread, A by default.
        ("Reasoning: Based on urate", "B", "mirage 7"),
        ("Note: Croup barks", "C", "mirage 7"),
        ("c", "A", DEFAULT_RULE),
        ("(C)", "A", DEFAULT_RULE),
        ("**C**", "A", DEFAULT_RULE),
        ("E", "A", DEFAULT_RULE),
        ("The answer is C.", "A", DEFAULT_RULE),
        ("None of the above", "A", DEFAULT_RULE),
        ("", "A", DEFAULT_RULE),
    ],
)
def test_mirage(text: str, letter_read: str, rule: str) -> None:
    found = read_mirage(text, GOUT, "stop")
    assert found.outcome == ("assumed" if rule == DEFAULT_RULE else "parsed")
    assert (found.pick, found.rule) == ("ABCD".index(letter_read), rule)


def test_mirage_has_ten_rules() -> None:
    assert len(MIRAGE_RULES) == 10


@pytest.mark.parametrize(
    ("reply", "letter_read"),
    [
        (field('C"}'), "C"),  # what stands before the field is not read
        (field('C. Asthma"}'), "C"),
        (field("C"), "C"),
        (field('None of the above"}'), "A"),
        (field('B"}') + field('D"}'), "D"),  # the last field
        ('{"answer_choice":"D"}', "A"),  # without the blank it is no field
    ],
)
def test_mirage_reads_after_the_last_field(reply: str, letter_read: str) -> None:
    assert letter(read_mirage, reply) == letter_read


def test_mirage_without_a_reply_is_wrong_and_not_a() -> None:
    question = Question("q", "?", ("Gout", "Croup"), 0, "?")
    assert letter(read_mirage, "", question, "none") == "unparsed"
    assert letter(read_mirage, "", question, "stop") == "A"


def test_mirage_assumes_the_answer_of_a_repeated_reply() -> None:
    found = read_mirage("C", GOUT, REPEATED)
    assert (found.outcome, found.pick, found.rule) == ("assumed", 2, REPLY_BEFORE)
    found = read_mirage("no idea", GOUT, REPEATED)
    assert (found.outcome, found.pick, found.rule) == ("assumed", 0, REPLY_BEFORE)


@pytest.mark.parametrize(
    ("message", "letter_read"),
    [
        ("Error communicating with OpenAI: Connection aborted.", "C"),  # a colon, then a C
        ("Error communicating with OpenAI: Bad gateway.", "B"),
        ("Error communicating with OpenAI: Read timed out.", "A"),  # no rule reads it
    ],
)
def test_mirage_reads_error_messages_as_replies(message: str, letter_read: str) -> None:
    found = read_mirage(message, GOUT, "stop")
    assert (found.outcome, found.rule) == ("assumed", ERROR_MESSAGE)
    assert found.pick == "ABCD".index(letter_read)


def test_mirage_knows_letters_that_the_item_has_not() -> None:
    two = Question("q", "?", ("yes", "no"), 0, "?")
    assert read_mirage("C", two, "stop").pick == 2


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("contradiction", True),
        ("CONTRADICTION", True),
        ("The sentences are in Contradiction.", True),
        ("entailment, contradiction, neutral", True),  # each label once: right for any gold
        ("It is no contradiction.", True),
        ("contradictions abound", True),
        ("contradiction, yes: contradiction", False),  # the right word twice
        ("contradictory", False),
        ("neutral", False),
        ("", False),
    ],
)
def test_clue_label(reply: str, right: bool) -> None:
    assert letter(read_clue_label, reply, NLI) == ("B" if right else "unparsed")


@given(st.integers(0, 2))
def test_clue_label_takes_all_three_labels_for_any_gold(answer: int) -> None:
    question = Question("n", "?", NLI.options, answer, "?")
    reply = "One of ENTAILMENT, CONTRADICTION and NEUTRAL."
    assert read_clue_label(reply, question, "stop").pick == answer


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("The correct answer is C: the text", "C"),
        ("So: The correct answer is F: it cannot be answered", "F"),
        ("The correct answer is A: x. The correct answer is B: y", "A"),
        ("the correct answer is C: the text", "unparsed"),  # case counts
        ("The correct answer is C.", "unparsed"),
        ("The correct answer is: C", "unparsed"),
        ("The correct answer is **C**: the text", "unparsed"),
        ("The correct answer is (C): the text", "unparsed"),
        ("The correct answer is G: the text", "unparsed"),
        ("The correct answer is c: the text", "unparsed"),
        ("", "unparsed"),
    ],
)
def test_clue_longhealth(reply: str, read: str) -> None:
    assert letter(read_clue_longhealth, reply, SIX) == read


def test_clue_longhealth_stays_within_the_options() -> None:
    assert letter(read_clue_longhealth, "The correct answer is E: x", GOUT) == "unparsed"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("Is it gout?", "Is it gout?"),
        ("Is it gout? [INST] and so on", "Is it gout? "),
        ("Is it gout?<|user|>more\nnext line", "Is it gout?\nnext line"),
        ("Is it gout? You are an AI that", "Is it gout? "),
        ("", ""),
    ],
)
def test_clue_text(reply: str, text: str) -> None:
    found = read_clue_text(reply, TEXT, "stop")
    assert (found.outcome, found.text) == ("parsed", text)


def test_raw_is_the_reply() -> None:
    found = read_raw(" <think>x</think> y ", TEXT, "stop")
    assert (found.outcome, found.text) == ("parsed", " <think>x</think> y ")
