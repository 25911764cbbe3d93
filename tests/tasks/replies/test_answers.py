"""Reading replies: what states an answer, what does not, and real replies of a real model."""

from __future__ import annotations

import csv
import gzip
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.tasks.replies.answers import letters, read_reply

OPTIONS = ("Iron deficiency", "Gout", "Asthma", "Type 2 diabetes")
YES_NO = ("yes", "no", "maybe")


@pytest.mark.parametrize(
    ("reply", "pick", "rule"),
    [
        ("B", 1, "alone"),
        (" (c) ", 2, "alone"),
        ("**B**", 1, "alone"),
        ("b.", 1, "alone"),
        ("B. Gout", 1, "leading"),
        ("B) Gout, because urate is high.", 1, "leading"),
        ("(B) Gout", 1, "leading"),
        ("**B.** Gout", 1, "leading"),
        ("D: Type 2 diabetes", 3, "leading"),
        ("The answer is B.", 1, "stated"),
        ("The correct answer is **(C)**.", 2, "stated"),
        ("Answer: D", 3, "stated"),
        ("Final answer: option C", 2, "stated"),
        ("the correct option is: A, since iron is low", 0, "stated"),
        ("So we get \\boxed{B}.", 1, "stated"),
        ("First I thought the answer is A. No: the answer is B.", 1, "stated"),
        ("Urate is high.\n\nB", 1, "alone"),
        ("B\n\nUrate is high.", 1, "alone"),
        ("**B**\n\nUrate is high.", 1, "alone"),
        ("Option B", 1, "alone"),
        ("**Option B: Gout**", 1, "leading"),
        ("**Answer**: B", 1, "stated"),
        ("The correct answer is **option B**.", 1, "stated"),
        ("So \\boxed{\\text{B}}.", 1, "stated"),
        ("The answer is Gout.", 1, "stated"),
        ("The answer is **Gout**, for urate is high.", 1, "stated"),
        ("The answer is A because iron is low.", 0, "stated"),
        ("The answer is A Iron deficiency.", 0, "stated"),
        ("Gout", 1, "text"),
        ("gout.", 1, "text"),
        ("Gout: the toe is red and hot.", 1, "text"),
        ("Gout\nThe toe is red.", 1, "text"),
        ('{"answer_choice": "C"}', 2, "field"),
        ('{"step_by_step_thinking": "x", "answer_choice": "B. Gout"}', 1, "field"),
        ('Sure! ```json\n{"answer": "Gout"}\n```', 1, "field"),
        ('{"thinking": "a "quote" breaks it" "answer_choice": "D"}', 3, "field"),
    ],
)
def test_what_states_an_answer(reply: str, pick: int, rule: str) -> None:
    found = read_reply(reply, OPTIONS, finish="stop")
    assert (found.outcome, found.pick, found.rule) == ("parsed", pick, rule)


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "E",  # the item has four options
        "The answer is E.",
        "A patient with gout has urate crystals.",
        "Both A and B are possible.",
        "A or B",
        "The answer is A or B.",
        "The answer is a matter of debate.",
        "The answer is: A 45-year-old with gout.",
        "A\nUrate is high.\nB",
        "Answer: A/B",
        "A. Iron deficiency\nB. Gout\nC. Asthma",  # the list again
        "It may be gout, or asthma.",
        "I think that urate is high.",
        '{"answer_choice": "None of the above"}',
        '{"answer_choice": "A/B"}',
        "The answer is not A.",
        "Iron, B12 and folate should be measured.",
    ],
)
def test_what_states_none(reply: str) -> None:
    found = read_reply(reply, OPTIONS, finish="stop")
    assert (found.outcome, found.pick) == ("unparsed", None)


@pytest.mark.parametrize(
    "reply",
    [
        "I'm sorry, but I can't help with that.",
        "I\u2019m sorry, I cannot give medical advice.",
        "I cannot provide a diagnosis.",
        "As an AI language model I do not give medical advice.",
    ],
)
def test_refusals(reply: str) -> None:
    assert read_reply(reply, OPTIONS, finish="stop").outcome == "refused"


def test_a_reply_that_met_its_limit() -> None:
    assert read_reply("Let me think about urate", OPTIONS, finish="length").outcome == "truncated"
    assert read_reply("<think>The answer is B", OPTIONS, finish="length").outcome == "truncated"
    # An answer before the limit counts.
    assert read_reply("B. Gout, because the", OPTIONS, finish="length").pick == 1


def test_a_trace_never_answers() -> None:
    found = read_reply("<think>The answer is A.</think>Hm.", OPTIONS, finish="stop")
    assert (found.outcome, found.reasoning, found.text) == ("unparsed", "The answer is A.", "Hm.")
    open_trace = read_reply("<think>The answer is A.", OPTIONS, finish="stop")
    assert (open_trace.outcome, open_trace.pick) == ("unparsed", None)


def test_an_option_that_opens_with_an_article() -> None:
    options = ("An increase in preload", "Beta blocker", "A decrease in preload")
    for reply in ("The answer is A decrease in preload.", "A decrease in preload"):
        assert read_reply(reply, options, finish="stop").pick == 2


@pytest.mark.parametrize(
    ("reply", "pick"),
    [
        ("Answer: yes", 0),
        ("The answer is no.", 1),
        ("Answer: Maybe", 2),
        ("The answer is not no", None),
    ],
)
def test_short_option_texts_after_an_anchor(reply: str, pick: int | None) -> None:
    assert read_reply(reply, YES_NO, finish="stop").pick == pick


@pytest.mark.parametrize(
    ("reply", "pick"), [("Yes.", 0), ("No, they do not.", 1), ("maybe", 2), ("Not sure.", None)]
)
def test_short_option_texts(reply: str, pick: int | None) -> None:
    assert read_reply(reply, YES_NO, finish="stop").pick == pick


@given(reply=st.text(), finish=st.sampled_from(["stop", "length"]))
def test_any_text_has_one_outcome(reply: str, finish: str) -> None:
    found = read_reply(reply, OPTIONS, finish=finish)
    assert (found.outcome == "parsed") == (found.pick is not None)
    assert found.pick is None or 0 <= found.pick < len(OPTIONS)


@given(st.integers(0, 25), st.integers(2, 26))
def test_only_the_items_own_letters_count(index: int, n: int) -> None:
    letter = letters(26)[index]
    found = read_reply(f"The answer is {letter}.", [f"option {i}" for i in range(n)], finish="stop")
    assert found.pick == (index if index < n else None)


HAND_CHECKED = Path(__file__).parents[2] / "data" / "gpt35_hand_checked.csv"


def replies_of_gpt35(folder: Path) -> Iterator[tuple[tuple[str, str, str], str, list[str]]]:
    """Yield (dataset, id, arm), the reply and the options of every real reply."""
    benchmark = json.loads((folder / "tasks" / "mirage_benchmark_open.json").read_text())
    with gzip.open(folder / "tasks" / "mirage_predictions_gpt35.jsonl.gz", "rt") as lines:
        for entry in map(json.loads, lines):
            options = benchmark[entry["dataset"]][entry["id"]]["options"]
            place = (entry["dataset"], entry["id"], entry["arm"])
            yield place, (entry["replies"] or [""])[0], [options[n] for n in sorted(options)]


def test_a_hundred_real_replies_are_read_as_by_hand(shared_data: Path) -> None:
    """A seeded sample of the 14,090, read by hand: ids and letters stand in the file."""
    with HAND_CHECKED.open(encoding="utf-8", newline="") as lines:
        by_hand = {(r["dataset"], r["id"], r["arm"]): r["letter"] for r in csv.DictReader(lines)}
    assert len(by_hand) == 100
    wrong = []
    for place, reply, options in replies_of_gpt35(shared_data):
        if place in by_hand:
            found = read_reply(reply, options, finish="stop")
            read = "none" if found.pick is None else letters(4)[found.pick]
            if read != by_hand.pop(place):
                wrong.append(place)
    assert not by_hand
    assert not wrong


def test_every_real_reply_that_is_not_read_has_a_reason(shared_data: Path) -> None:
    outcomes: Counter[str] = Counter()
    for _, reply, options in replies_of_gpt35(shared_data):
        found = read_reply(reply, options, finish="stop")
        outcomes[found.outcome] += 1
        assert (found.pick is None) == (found.outcome != "parsed")
        if reply.startswith("The response was filtered"):
            assert found.outcome == "refused"
        if not reply:
            assert found.outcome == "unparsed"
    assert sum(outcomes.values()) == 14_090
    assert set(outcomes) == {"parsed", "unparsed", "refused"}


def test_real_replies_of_gpt35(shared_data: Path) -> None:
    """14,090 replies whose JSON field names a letter: read as the field says, and no other way."""
    benchmark = json.loads((shared_data / "tasks" / "mirage_benchmark_open.json").read_text())
    field = re.compile(r'"answer_choice"\s*:\s*"([A-Z])"')
    outcomes: Counter[str] = Counter()
    right: Counter[str] = Counter()
    with gzip.open(shared_data / "tasks" / "mirage_predictions_gpt35.jsonl.gz", "rt") as lines:
        for line in lines:
            entry = json.loads(line)
            question = benchmark[entry["dataset"]][str(entry["id"])]
            names = sorted(question["options"])
            reply = (entry["replies"] or [""])[0]
            found = read_reply(reply, [question["options"][n] for n in names], finish="stop")
            outcomes[found.outcome] += 1
            stated = field.findall(reply)
            if stated:
                expected = names.index(stated[-1]) if stated[-1] in names else None
                assert found.pick == expected, reply
            if found.pick is not None and names[found.pick] == question["answer"]:
                right[f"{entry['dataset']} {entry['arm']}"] += 1
    assert sum(outcomes.values()) == 14_090
    assert outcomes["parsed"] > 13_000
    # MIRAGE publishes 36.00 % and 67.40 %, counting what it cannot read as the answer A.
    assert right["pubmedqa closed-book"] / 500 == pytest.approx(0.36, abs=0.005)
    assert right["pubmedqa medrag-32"] / 500 == pytest.approx(0.674, abs=0.005)


UNITS = [
    *("*", "_", " ", "\n", "\t", '"', "(", "[", "{", "\\", "* ", "*_", "\r\n", "\uff08"),
    *("A", "1", "A. ", "A or ", "\nA\n", "B is correct ", "not ", "</", "<think>", "\\boxed{"),
    *("The answer is ", "the answer is: ", "answer: ", "\u6b63\u89e3\u306f", "I'm sorry "),
    *("'answer': [", '"answer": "', "\nQuestion: ", "Asthma ", "C. d", "option "),
]


@pytest.mark.parametrize("unit", UNITS, ids=repr)
@pytest.mark.parametrize(
    ("size", "before"),
    [
        (30_000, ""),
        *(pytest.param(300_000, b, marks=pytest.mark.slow) for b in ("", "The answer is ", "A")),
    ],
)
def test_a_long_reply_is_read_in_linear_time(unit: str, size: int, before: str) -> None:
    """20,000 asterisks took 27 seconds once, so 30,000 would take a minute.

    The answer at the end counts, whatever fills the reply.
    """
    options = ("Asthma", "Gout", "Croup")
    filled = before + unit * (size // len(unit))
    started = time.perf_counter()
    read_reply(filled, options, finish="stop")
    if unit.strip() and "think" not in unit and unit[-1] not in "</'\"[{(":
        found = read_reply(f"{filled}.\n\nSo the final answer is Gout.", options, finish="stop")
        assert found.text.endswith("Gout.")
    assert time.perf_counter() - started < 20


def test_the_end_of_a_long_reply_counts() -> None:
    options = ("Asthma", "Gout", "Croup")
    long = "We consider each finding in turn. " * 10_000
    assert read_reply(f"{long}\nThe answer is B.", options, finish="stop").pick == 1
    assert read_reply(f"B. Gout\n{long}", options, finish="stop").pick == 1
    assert read_reply(f"{long}The answer is B.{long}", options, finish="stop").pick is None
    rule = "-" * 500
    assert (
        read_reply(f"{rule}\nThe answer is{'*' * 80} C\n{rule}", options, finish="stop").pick == 2
    )
