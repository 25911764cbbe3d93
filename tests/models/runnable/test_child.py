"""What runs in the process of a pipeline: found, called, and its model calls counted."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation, LLMResult

from ragbench.base.errors import UsageError
from ragbench.models.runnable.call import CallSpec
from ragbench.models.runnable.child import called, made_by, reported
from tests.models.runnable.pipelines import HERE, Bare


def spec(name: str, **keys: Any) -> CallSpec:
    keys = {"reads": "passages"} | keys
    return CallSpec(factory=f"{HERE}:{name}", trust_code=True, **keys)


def test_an_object_is_the_pipeline_and_a_function_makes_it() -> None:
    assert isinstance(made_by(spec("app")), Bare)
    assert isinstance(made_by(spec("Bare")), Bare)
    passages = called(made_by(spec("search")), "What is croup?", spec("search"))["passages"]
    assert passages[0] == {"text": "Croup is a barking cough.", "title": "", "id": "d-croup"}


@pytest.mark.parametrize(
    ("name", "keys", "what"),
    [
        ("no_pipeline", {}, "it returned a str, which has no `invoke`"),
        ("app", {"options": {"k": 3}}, "takes no `options`"),
        ("nothing", {}, "has no attribute 'nothing'"),
    ],
)
def test_what_is_no_pipeline_is_refused(name: str, keys: dict[str, Any], what: str) -> None:
    with pytest.raises(UsageError, match=what):
        made_by(spec(name, **keys))


def test_calls_of_models_are_counted_and_tokens_where_they_are_reported() -> None:
    """Two calls, of which the first reports 11 tokens sent and 3 written."""
    asked = spec("talk")
    found = called(made_by(asked), "Gout?", asked)
    counts = {key: value for key, value in found.items() if key != "passages"}
    assert counts == {
        **{"model_calls": 2, "reported_calls": 1, "sent_tokens": 11, "written_tokens": 3}
    }


def test_an_input_key_and_a_pipeline_outside_langchain() -> None:
    asked = spec("app", input="question")
    found = called(made_by(asked), "Gout?", asked)
    assert found["passages"][0]["text"] == '{"question": "Gout?"}'
    assert (found["passages"][0]["title"], found["model_calls"]) == ("What came", 0)


def test_a_text_is_read_where_the_answer_is_asked_for() -> None:
    asked = spec("talk_back", reads="text")
    found = called(made_by(asked), "Gout?", asked)
    assert found == {
        **{"text": "It is gout."},
        **{"model_calls": 1, "reported_calls": 1, "sent_tokens": 11, "written_tokens": 3},
    }
    asked = spec("Wrong", reads="text")
    assert called(made_by(asked), "number", asked) == {
        "fault": "useless",
        "detail": "it returned a int, not a text or a message",
    }


def test_faults_are_said_and_not_raised() -> None:
    wrong = made_by(spec("Wrong"))
    assert called(wrong, "raises", spec("Wrong")) == {
        "fault": "raised",
        "detail": "RuntimeError: no server at that address",
    }
    assert called(wrong, "number", spec("Wrong")) == {
        "fault": "useless",
        "detail": "it returned a int, not a list of documents",
    }


@pytest.mark.parametrize(
    ("result", "tokens"),
    [
        (LLMResult(generations=[]), None),
        (LLMResult(generations=[[Generation(text="a")]]), None),
        (
            LLMResult(
                generations=[[Generation(text="a")]],
                llm_output={"token_usage": {"prompt_tokens": 5, "completion_tokens": 2}},
            ),
            (5, 2),
        ),
        (LLMResult(generations=[], llm_output={"token_usage": {"prompt_tokens": "5"}}), None),
        (LLMResult(generations=[[ChatGeneration(message=AIMessage("a"))]]), None),
    ],
)
def test_tokens_of_a_reply(result: LLMResult, tokens: tuple[int, int] | None) -> None:
    assert reported(result) == tokens
