"""The process of a pipeline: kept from question to question, ended when it goes wrong."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from ragbench.base.errors import BackendError, DataError, RagbenchError, UsageError
from ragbench.models.runnable.call import CallSpec
from ragbench.models.runnable.process import RunnableProcess
from tests.models.runnable.pipelines import HERE


def process(name: str, *, start_seconds: float = 60, **keys: Any) -> RunnableProcess:
    spec = CallSpec(factory=f"{HERE}:{name}", trust_code=True, **({"reads": "passages"} | keys))
    who = "the runnable of the arm 'theirs'"
    return RunnableProcess(spec, who, "arms: theirs", start_seconds=start_seconds)


def is_alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_what_it_prints_is_no_answer_and_it_ends_with_its_block() -> None:
    with process("Wrong") as asked:
        texts = [p.text for p in asked.ask("prints croup", "question 'q'").passages]
        assert texts[0] == "Croup is a barking cough."
        assert asked.ask("halves", "question 'q'").passages[0].text == "a \ud800 b"
        number = asked._process.pid
        assert is_alive(number)
    assert not is_alive(number)


def failed(question: str, **keys: Any) -> RagbenchError:
    """Return the error of a question; its process must be gone."""
    with process("Wrong", **keys) as asked:
        started = time.monotonic()
        with pytest.raises(RagbenchError) as caught:
            asked.ask(question, "question 'q7'")
        assert time.monotonic() - started < 10
        assert not is_alive(asked._process.pid)
    assert "theirs" in caught.value.what and caught.value.where.startswith("arms: theirs")
    return caught.value


@pytest.mark.parametrize(
    ("question", "kind", "what"),
    [
        pytest.param(
            *("raises", BackendError, "raised an error while it answered question 'q7': RuntimeE"),
            marks=pytest.mark.slow,
        ),
        ("exits", BackendError, "(exit code 7); the last line that it printed is 'the last words'"),
        pytest.param(
            *("number", DataError, "it returned a int, not a list of documents (answered question"),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_question_that_goes_wrong_is_named(
    question: str, kind: type[RagbenchError], what: str
) -> None:
    error = failed(question)
    assert isinstance(error, kind)
    assert what in error.what
    assert "give the same `ragbench run` again" in error.fix


def test_a_question_that_hangs_is_given_up() -> None:
    assert "took more than 0.5 s while it answered" in failed("hangs", timeout_s=0.5).what


@pytest.mark.slow
@pytest.mark.parametrize(
    ("question", "what"),
    [
        ("killed", "ended its process while it answered question 'q7' (signal 9)"),
        ("leaves", "(exit code 9)"),
        ("huge", "it returned more than 64 MiB"),
    ],
)
def test_a_process_that_is_killed_or_leaves_another_or_floods(question: str, what: str) -> None:
    assert what in failed(question).what


@pytest.mark.slow
@pytest.mark.parametrize(
    ("at_start", "kind", "what"),
    [
        ("raises", BackendError, "raised an error while it was loaded: RuntimeError"),
        ("exits", BackendError, "ended its process while it was loaded (exit code 7)"),
        ("hangs", BackendError, "took more than 4 s while it was loaded"),
    ],
)
def test_a_pipeline_that_cannot_be_loaded(
    at_start: str, kind: type[RagbenchError], what: str
) -> None:
    with pytest.raises(kind) as caught:
        process("Wrong", start_seconds=4, options={"at_start": at_start})
    assert what in str(caught.value)


@pytest.mark.slow
def test_a_factory_that_makes_no_pipeline_says_how_to_write_one() -> None:
    with pytest.raises(UsageError, match="which has no `invoke`") as caught:
        process("no_pipeline")
    assert "is an object with `invoke`" in caught.value.fix
