"""Traces are split off by every pair of markers, closed or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.records import TRACES, Question, open_trace
from ragbench.tasks.replies import reply_readers
from ragbench.tasks.replies.traces import (
    opened_by_prompts,
    read_without_trace,
    split_reasoning,
)


@pytest.mark.parametrize(
    ("reply", "trace", "rest"),
    [
        ("<think>A or B?</think>\n\nB", "A or B?", "B"),
        ("A or B?</think>B", "A or B?", "B"),  # opened by the chat template
        ("<think>\n\n</think>\n\nThe answer is C.", "", "The answer is C."),
        ("[THINK]hm[/THINK]B", "hm", "B"),
        ("<unused94>thought\nhm<unused95>B", "thought\nhm", "B"),
        ("<|channel|>analysis<|message|>hm<|channel|>final<|message|>B", "hm", "B"),
        ("no trace", "", "no trace"),
    ],
)
def test_traces_are_split_off(reply: str, trace: str, rest: str) -> None:
    assert split_reasoning(reply) == (trace, rest, True)


@given(st.sampled_from(TRACES), st.text(alphabet="ab \n"), st.text(alphabet="ab \n"))
def test_every_pair_of_markers(markers: tuple[str, str], trace: str, rest: str) -> None:
    opening, closing = markers
    found = split_reasoning(f"{opening}{trace}{closing}{rest}")
    assert found == (trace.strip(), rest.strip(), True)
    assert split_reasoning(f"{rest}{opening}{trace}") == (trace.strip(), rest.strip(), False)


QUESTION = Question("q", "?", ("iodine", "zinc", "yes"), 1, "?", reference="zinc")
CUT = "At first the answer is A, yes: iodine. The correct answer is A: but the gums"


@pytest.mark.parametrize("reader", reply_readers.names())
@pytest.mark.parametrize("finish", ["length", "stop", "unknown"])
def test_no_reader_answers_within_a_trace_that_the_prompt_opened(reader: str, finish: str) -> None:
    read = reply_readers.get(reader)
    found = read_without_trace(read, CUT, QUESTION, finish, opened="<think>")
    assert (found.outcome, found.pick, found.text) == ("truncated", None, "")
    assert found.reasoning == CUT
    own = read_without_trace(read, f"<think>{CUT}", QUESTION, finish)
    assert own.outcome == ("truncated" if finish == "length" else "unparsed")


# What each reader makes of the same reply without any trace.
ANSWERS = {
    "option": ("The answer is B.", 1),
    "label": ("zinc", 1),
    "text": ("zinc", None),
    "mirage": ("B", 1),
    "clue-label": ("zinc", 1),
    "clue-longhealth": ("The correct answer is B: zinc", 1),
    "clue-text": ("zinc", None),
    "raw": ("zinc", None),
}


@pytest.mark.parametrize("reader", reply_readers.names())
@pytest.mark.parametrize("opened", ["<think>", ""])
def test_every_reader_reads_what_follows_the_trace(reader: str, opened: str) -> None:
    """The reply holds the end of the trace alone."""
    reply, pick = ANSWERS[reader]
    read = reply_readers.get(reader)
    found = read_without_trace(read, f"{CUT}\n</think>\n\n{reply}", QUESTION, "stop", opened=opened)
    assert (found.outcome, found.pick, found.text) == ("parsed", pick, reply)
    assert found.reasoning == CUT
    plain = read_without_trace(read, reply, QUESTION, "stop")
    assert plain == read(reply, QUESTION, "stop")


def test_the_prompts_that_opened_a_trace_are_found_by_their_replies() -> None:
    closes = "Iodine or zinc?\n</think>\n\nB"
    assert opened_by_prompts(["A first, then", closes]) == "<think>"
    assert opened_by_prompts(["hm[/THINK]B"]) == "[THINK]"
    assert opened_by_prompts([f"<think>{closes}", "B"]) == ""
    assert opened_by_prompts(["</think>\n\nB", "A"]) == ""  # closed before anything is said
    assert opened_by_prompts(["B", "The answer is A."]) == ""
    assert opened_by_prompts([]) == ""


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>"),
        ("<think>\n\n</think>\n\n", None),
        ("[/INST]", None),
        ("a</think> b<think>c", "<think>"),
    ],
)
def test_what_a_prompt_leaves_open(text: str, opened: str | None) -> None:
    assert (open_trace(text) or (None,))[0] == opened
