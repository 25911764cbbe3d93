"""What every registered reply reader keeps to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.records import NO_REPLY, OUTCOMES, REPEATED, Question
from ragbench.tasks.replies import reply_readers

NLI = Question("n", "?", ("entailment", "contradiction", "neutral"), 1, "?")
TEXT = Question("t", "?", (), -1, "?", reference="Is it gout?")


@given(
    reader=st.sampled_from(reply_readers.names()),
    reply=st.text(),
    finish=st.sampled_from(["stop", "length", "unknown", NO_REPLY, REPEATED]),
)
def test_any_text_has_an_outcome(reader: str, reply: str, finish: str) -> None:
    question = TEXT if reader in ("text", "clue-text", "raw") else NLI
    found = reply_readers.get(reader)(reply, question, finish)
    assert found.outcome in set(OUTCOMES) - {"error"}
    assert found.pick is None or 0 <= found.pick < 4
    assert bool(found.rule) == (found.outcome in ("parsed", "assumed"))
