"""Statements that name an option and are no answer, and their like that are answers."""

from __future__ import annotations

import time

import pytest

from ragbench.base.records import Question
from ragbench.tasks.replies import reply_readers
from ragbench.tasks.replies.answers import read_reply
from ragbench.tasks.replies.denials import is_no_answer

OPTIONS = ("Iron deficiency", "Gout", "Asthma", "Type 2 diabetes")


@pytest.mark.parametrize(
    "reply",
    [
        # denied
        "Wrong answer: A",
        "The wrong answer is A.",
        "The incorrect option is **A**.",
        "A false answer: A",
        "The least likely answer is A.",
        "It is not the case that the answer is A.",
        "It is not true that the answer is A.",
        "I would not say the answer is A.",
        "I don't think the answer is A.",
        "I do not believe that the correct answer is A.",
        "I doubt the answer is A.",
        "That isn't the correct answer: A",
        "One might think the answer is A.",
        "Some would argue that the best answer is A.",
        "It is tempting to say the answer is A.",
        "It is unclear whether the answer is A.",
        "I don't think that A is the correct answer.",
        "The wrong answer is $\\boxed{A}$.",
        "The wrong answer is Iron deficiency.",
        "Die falsche Antwort ist A.",
        "Das ist nicht die richtige Antwort: A",
        "La mauvaise réponse est A.",
        "Неправильный ответ: A",
        "错误答案是A",
        "不正确选项是A",
        "不正解はA",
        # second
        "The second best answer would be C.",
        "My second choice would be C.",
        "The second most likely answer is C.",
        "The next best option would be C.",
        "Another possible answer is C.",
        "An alternative answer would be C.",
        "The other option is C.",
        "Die zweitbeste Antwort wäre C.",
        "La deuxième meilleure réponse serait C.",
        "La segunda mejor respuesta sería C.",
        # hypothetical
        "If she were pregnant, the answer would be A.",
        "If she were pregnant, I would choose A.",
        "Note that if she were pregnant, the answer would be A.",
        "However, had she been pregnant, the answer would be A.",
        "Were she pregnant, the best answer would be A.",
        "Assuming that she is pregnant, the answer is A.",
        "Unless she is pregnant, the answer is A.",
        "Without the fever, the answer would be A.",
        "Otherwise the answer would be A.",
        "The answer would be A if she were pregnant.",
        "The answer is A only if she is pregnant.",
        "The answer would be A (Iron deficiency) if she were pregnant.",
        "The answer would be A. Iron deficiency, if she were pregnant.",
        "The answer would be Iron deficiency if she were pregnant.",
        "If she were pregnant, then A is the correct answer.",
        "Wenn sie schwanger wäre, wäre die richtige Antwort: A.",
        "Die Antwort wäre A, wenn sie schwanger wäre.",
        "Si elle était enceinte, la réponse serait A.",
        "Si estuviera embarazada, la respuesta sería A.",
        "如果她怀孕了,答案是A",
    ],
)
def test_what_is_denied_hypothetical_or_second_is_no_answer(reply: str) -> None:
    found = read_reply(reply, OPTIONS, finish="stop")
    assert (found.outcome, found.pick) == ("unparsed", None)
    # An answer beside it is read, whichever comes first.
    ended = reply.rstrip(".") + "."
    for both in (f"The answer is B. {ended}", f"{ended} The answer is B.", f"{reply}\nAnswer: B"):
        assert read_reply(both, OPTIONS, finish="stop").pick == 1, both


@pytest.mark.parametrize(
    "reply",
    [
        "The best answer would be B.",
        "The correct answer would be B, because if urate is high, crystals form.",
        "The answer is B. If she were pregnant, this would not change.",
        "Even if she were pregnant, the answer would be B.",
        "If I had to choose, the answer would be B.",
        "If forced to pick one, I would say B.",
        "If we look at the options, the best answer is B.",
        "If urate is high, gout is likely, so the answer is B.",
        "We must determine if urate is high. The answer is B.",
        "The other options are wrong. The answer is B.",
        "A is wrong, and the correct answer is B.",
        "Not A: the answer is B.",
        "This is not asthma, therefore the answer is B.",
        "The second step is to rule out A. The correct answer is B.",
        "In a patient without fever, the most likely answer is B.",
        "The answer is B, not A.",
        "The other options are wrong, the answer is B.",
        "A is not correct and the answer is B.",
        "A was tempting, but I don't think so, the answer is B.",
        "Since A is incorrect the answer is B.",
        "The answer is B, if I am not mistaken.",
        "There is no doubt that the answer is B.",
        "The toe is red\nThe answer is B",
        "Die richtige Antwort ist B, wenn man die Harnsäure bedenkt.",
        "La réponse correcte est B.",
        "La alternativa correcta: respuesta: B",
        "A alternativa correta é B.",
        "答案是B",
        "正确选项是B",
    ],
)
def test_what_sounds_like_it_and_is_an_answer(reply: str) -> None:
    found = read_reply(reply, OPTIONS, finish="stop")
    assert (found.outcome, found.pick) == ("parsed", 1)


@pytest.mark.parametrize(
    ("reply", "pick"),
    [
        ("The wrong label would be contradiction.", None),
        ("It would be contradiction if she were pregnant.", None),
        ("If she were pregnant, it would be a contradiction.", None),
        ("If the premise holds, the hypothesis follows: entailment.", 0),
        ("Entailment", 0),
    ],
)
def test_labels(reply: str, pick: int | None) -> None:
    question = Question("q", "?", ("entailment", "contradiction", "neutral"), 0, "?")
    assert reply_readers.get("label")(reply, question, "stop").pick == pick


SJOGREN = (
    "Anti-Sjogren's syndrome type B (SS-B) antibody",
    "Anti-double stranded DNA antibody",
    "Citrate phosphate dextrose-adenine (CPD-A)",
    "Vitamin (D)",
)


@pytest.mark.parametrize(
    ("reply", "pick"),
    [
        ("A. Anti-Sjogren's syndrome type B (SS-B) antibody", 0),
        ("**A. Anti-Sjogren's syndrome type B (SS-B) antibody**", 0),
        ("A) anti-Sjogren's syndrome type B (SS-B) antibody.", 0),
        ("A. Anti-Sjogren's syndrome type B (SS-B) antibody\n\nIt is specific.", 0),
        ("The answer is A. Anti-Sjogren's syndrome type B (SS-B) antibody.", 0),
        ('{"answer": "A. Anti-Sjogren\'s syndrome type B (SS-B) antibody"}', 0),
        ("C. Citrate phosphate dextrose-adenine (CPD-A)", 2),
        ("Option C: Citrate phosphate dextrose-adenine (CPD-A), which keeps longest", 2),
        ("D. Vitamin (D)", 3),
        ("D. Vitamin (D), because A) and B) are wrong", None),  # other letters beside the text
        ("C. Anti-Sjogren's syndrome type B (SS-B) antibody", None),  # another option's text
        ("A. Anti-Sjogren's syndrome type B (SS-B) antibody is wrong.", None),
    ],
)
def test_an_options_own_text_may_hold_letters(reply: str, pick: int | None) -> None:
    assert read_reply(reply, SJOGREN, finish="stop").pick == pick


def test_a_statement_and_where_it_is() -> None:
    text = "If she were pregnant, the answer would be A. The answer would be B."
    first, second = text.index("the answer"), text.index("The answer")
    assert is_no_answer(text, first, first + len("the answer would be"))
    assert not is_no_answer(text, second, second + len("The answer would be"))


@pytest.mark.parametrize("reader", reply_readers.names())
@pytest.mark.parametrize(
    "piece",
    [
        "The answer is A. ",
        "If the answer would be ",
        "the wrong answer is A if ",
        "if, ",
        "A is the correct answer ",
        "entailment if ",
        "\\boxed{A} if ",
        "答案是",
    ],
)
def test_reading_takes_time_in_proportion_to_the_length(reader: str, piece: str) -> None:
    """Eight times the text in at most 24 times the time, and a few hundredths of a second."""
    question = Question("q", "?", ("entailment", "contradiction"), 0, "?", reference="r")
    read = reply_readers.get(reader)

    def seconds(size: int) -> float:
        text = piece * (size // len(piece))
        started = time.process_time()
        read(text, question, "stop")
        return time.process_time() - started

    assert seconds(80_000) < 24 * max(seconds(10_000), 0.02)
