"""Every reader of replies against replies read by hand, faults of the published ones included."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.records import Question
from ragbench.tasks.replies.replies import DEFAULT_RULE, MIRAGE_RULES, READERS

GOUT = Question("q", "?", ("Anaemia", "Gout", "Asthma", "Croup"), 1, "?")
NLI = Question("n", "?", ("entailment", "contradiction", "neutral"), 1, "?")
TEXT = Question("t", "?", (), -1, "?", reference="Is it gout?")
SIX = Question("l", "?", ("a", "b", "c", "d", "e", "not in the documents"), 5, "?")


def letter(reader: str, reply: str, question: Question = GOUT, finish: str = "stop") -> str:
    found = READERS[reader](reply, question, finish)
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
    found = READERS["mirage"](text, GOUT, "stop")
    assert (found.outcome, found.pick) == ("parsed", "ABCD".index(letter_read))
    assert found.rule == rule


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
    assert letter("mirage", reply) == letter_read


def test_mirage_without_a_reply_is_wrong_and_not_a() -> None:
    question = Question("q", "?", ("Gout", "Croup"), 0, "?")
    assert letter("mirage", "", question, "none") == "unparsed"
    assert letter("mirage", "", question, "stop") == "A"


def test_mirage_knows_letters_that_the_item_has_not() -> None:
    two = Question("q", "?", ("yes", "no"), 0, "?")
    assert READERS["mirage"]("C", two, "stop").pick == 2


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
    assert letter("clue-label", reply, NLI) == ("B" if right else "unparsed")


@given(st.integers(0, 2))
def test_clue_label_takes_all_three_labels_for_any_gold(answer: int) -> None:
    question = Question("n", "?", NLI.options, answer, "?")
    reply = "One of ENTAILMENT, CONTRADICTION and NEUTRAL."
    assert READERS["clue-label"](reply, question, "stop").pick == answer


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
    assert letter("clue-longhealth", reply, SIX) == read


def test_clue_longhealth_stays_within_the_options() -> None:
    assert letter("clue-longhealth", "The correct answer is E: x", GOUT) == "unparsed"


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
    found = READERS["clue-text"](reply, TEXT, "stop")
    assert (found.outcome, found.text) == ("parsed", text)


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
    assert letter("label", reply, NLI) == read


def test_label_that_met_its_limit() -> None:
    assert letter("label", "The two sentences", NLI, "length") == "truncated"
    assert letter("label", "<think>entailment", NLI, "length") == "truncated"
    assert letter("label", "neutral, for the", NLI, "length") == "C"


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
    found = READERS["text"](reply, TEXT, finish)
    assert (found.outcome, found.text, found.reasoning) == (outcome, text, reasoning)
    assert found.pick is None


def test_option_is_the_reader_of_answers() -> None:
    assert letter("option", "The answer is C.") == "C"
    assert letter("option", "The answer is E.") == "unparsed"
    assert letter("option", "The answer", finish="length") == "truncated"
    assert letter("option", "", finish="none") == "unparsed"


def test_raw_is_the_reply() -> None:
    found = READERS["raw"](" <think>x</think> y ", TEXT, "stop")
    assert (found.outcome, found.text) == ("parsed", " <think>x</think> y ")


@given(
    reader=st.sampled_from(sorted(READERS)),
    reply=st.text(),
    finish=st.sampled_from(["stop", "length", "none"]),
)
def test_any_text_has_an_outcome(reader: str, reply: str, finish: str) -> None:
    question = TEXT if reader in ("text", "clue-text", "raw") else NLI
    found = READERS[reader](reply, question, finish)
    assert found.outcome in ("parsed", "unparsed", "refused", "truncated")
    assert found.pick is None or 0 <= found.pick < 4
