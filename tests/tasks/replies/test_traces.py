"""Traces are split off by every pair of markers, closed or not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.tasks.replies.traces import TRACES, split_reasoning


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
