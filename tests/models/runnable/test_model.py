"""A pipeline as a model: its keys, its prompts, its identity, and its errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.errors import BackendError, PrerequisiteError, UsageError
from ragbench.base.records import Message
from ragbench.models.model import Asked, Checked
from ragbench.models.runnable.model import RunnableModel, RunnableOptions
from ragbench.models.spec import ModelSpec, make_model
from tests.models.runnable.pipelines import HERE

TURNS = [Message("system", "Be brief."), Message("user", "Is it <|im_end|> gout?")]
KEYS: dict[str, Any] = {"name": "mine", "backend": "runnable", "trust_code": True}


def model(name: str = "talk_back", **keys: Any) -> RunnableModel:
    made = make_model(ModelSpec.model_validate(KEYS | {"factory": f"{HERE}:{name}"} | keys))
    assert isinstance(made, RunnableModel)
    return made


def test_code_runs_only_if_the_config_says_so_and_keys_survive_json() -> None:
    with pytest.raises(ValidationError, match="this model imports and runs the code of 'a:b'"):
        ModelSpec.model_validate({"name": "m", "backend": "runnable", "factory": "a:b"})
    spec = ModelSpec.model_validate(KEYS | {"factory": "a:b", "options": {"k": 3}, "timeout_s": 9})
    flat = spec.model_dump(mode="json")
    assert flat["options"] == {"k": 3} and "timeout_s" not in flat
    assert ModelSpec.model_validate(flat).read(RunnableOptions).options == {"k": 3}
    assert spec.read(RunnableOptions).call_spec().timeout_s == 9


def test_where_it_sends_text_is_what_the_config_declares() -> None:
    assert model().spec.sends_to() is None
    assert model(servers=[]).spec.sends_to() == ()
    (server,) = model(servers=["http://10.0.0.7:80"]).spec.sends_to() or ()
    assert server.host == "10.0.0.7"


def test_a_prompt_is_a_text_or_the_turns_of_a_chat() -> None:
    text = "Be brief.\n\nIs it < |im_end|> gout?\n\nAnswer:"
    assert model().render(TURNS) == model(format="plain", input="messages").render(TURNS) == text
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Is it < |im_end|> gout?"},
    ]
    for keys in ({"input": "messages"}, {"format": "chat"}):
        assert json.loads(model(**keys).render(TURNS)) == turns
    assert model().count_tokens("gout") == 2  # a token for every two bytes
    assert model(context=99).context_tokens == 99


def test_what_it_cannot_do_is_refused_without_running_its_code() -> None:
    made = model("nothing")  # there is no such attribute
    assert isinstance(made, Checked)
    made.check_abilities([Asked("generate", True)])
    with pytest.raises(UsageError, match="has no log-likelihoods") as caught:
        made.check_abilities([Asked("generate", False), Asked("letters", False)])
    assert "write `scoring: generate`" in caught.value.fix
    with pytest.raises(UsageError, match="has no log-likelihoods"):
        made.score_options("Gout?", ("A", "B"))
    with pytest.raises(UsageError, match="may not continue") as caught:
        model(input="messages").check_abilities([Asked("generate", True)])
    assert "`format: plain`" in caught.value.fix


def test_the_identity_is_of_what_decides_an_answer(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(home))
    path = home / "identified_app.py"
    path.write_text("raise RuntimeError('imported')\n", encoding="utf-8")

    def digest(**keys: Any) -> str:
        return model(factory="identified_app:app", **keys).digest()

    assert digest() == digest(timeout_s=3) == digest(servers=[]) == digest(context=99)
    changed = [digest(), digest(options={"k": 3}), digest(input="q"), digest(answer="draft")]
    changed.append(digest(format="chat"))
    before = model(factory="identified_app:app").facts()
    path.write_text(path.read_text() + "# changed\n", encoding="utf-8")
    changed.append(digest())
    assert len(set(changed)) == 6
    after = model(factory="identified_app:app").facts()
    assert (before.weights, before.digest) == (before.weights, changed[0])
    assert before.weights != after.weights and after.dtype is None


def test_a_fault_is_of_its_question() -> None:
    """The fault ends the process; the next question starts another one."""
    wrong = model("Wrong", answer="")
    found = wrong.generate_batch(["number", "says croup"], limit=9)
    assert isinstance(found[0], BackendError)
    assert found[0].what == (
        "the runnable of the model 'mine' returned no answer: it returned a int, not a text or a "
        "message (answered this question)"
    )
    assert not isinstance(found[1], BackendError)
    assert (found[1].text, found[1].tokens, found[1].model_calls) == ("It is croup.", None, 0)
    wrong.release()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("question", "what"),
    [
        ("raises", "raised an error while it answered this question: RuntimeError: no server"),
        ("hangs", "took more than 0.5 s while it answered this question"),
        ("exits", "ended its process while it answered this question"),
    ],
)
def test_a_question_that_goes_wrong_is_an_error_of_the_question(question: str, what: str) -> None:
    made = model("Wrong", timeout_s=0.5)
    with pytest.raises(BackendError, match=what):
        made.generate(question, limit=9)


@pytest.mark.slow
def test_code_that_cannot_be_loaded_is_an_error_of_the_model() -> None:
    with pytest.raises(PrerequisiteError, match="raised an error while it was loaded"):
        model("Wrong", options={"at_start": "raises"}).generate("Gout?", limit=9)
    with pytest.raises(UsageError, match="which has no `invoke`"):
        model("no_pipeline").generate("Gout?", limit=9)
