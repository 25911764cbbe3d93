"""The fake server: its start, the manners of vendors, and every way to misbehave."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from scripts.fake_server import FakeServer
from scripts.fakes.failures import FAILURES, Failing
from scripts.fakes.manners import FILTERED_PROMPT, SERVED, Vendor
from scripts.fakes.rule import LIKELY, Fact, RuleModel
from scripts.fakes.vendors import VENDORS

SCRIPT = Path(__file__).parents[2] / "scripts" / "fake_server.py"
HI = [{"role": "user", "content": "Hi"}]
LONG = [{"role": "user", "content": "a b " * 50}]
FILTERED = [{"role": "user", "content": FILTERED_PROMPT}]
CHAT = "/v1/chat/completions"


def post(server: FakeServer, path: str, **body: Any) -> httpx.Response:
    with httpx.Client(trust_env=False, timeout=5) as client:
        headers = {"api-key": "k"}
        sent = {k: v for k, v in {"model": SERVED, **body}.items() if v is not None}
        return client.post(server.origin + path, json=sent, headers=headers)


def chatted(vendor: Vendor, **body: Any) -> httpx.Response:
    with FakeServer(vendor.answer) as server:
        path = f"{vendor.base}/chat/completions{vendor.query}"
        return post(server, path, **{"messages": HI, "max_tokens": 8, **body})


def completed(vendor: Vendor, **body: Any) -> httpx.Response:
    with FakeServer(vendor.answer) as server:
        return post(server, "/v1/completions", **{"prompt": "Hi", "max_tokens": 8, **body})


def test_it_starts_as_a_program_and_knows_the_facts_it_is_given(tmp_path: Path) -> None:
    fact = {"question": "Why?", "guess": ["A", "x"], "evidence": "Since", "right": ["B", "y"]}
    (tmp_path / "facts.jsonl").write_text(json.dumps(fact) + "\n")
    command = [sys.executable, str(SCRIPT), "openai", "--facts", str(tmp_path / "facts.jsonl")]
    command += ["--fail", "loading", "--fail-after", "2", "--model", "gpt"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        assert process.stdout is not None
        name, _, url = process.stdout.readline().strip().partition(": ")
        try:
            assert name == "openai"
            with httpx.Client(trust_env=False, base_url=url) as client:
                assert client.get("/models").json()["data"][0]["id"] == "gpt"
                for text, letter in (("Why?", "A"), ("Since. Why?", "B")):
                    turns = [{"role": "user", "content": text}]
                    body = {"model": "gpt", "messages": turns, "max_tokens": 4}
                    answer = client.post("/chat/completions", json=body).json()
                    assert answer["choices"][0]["message"]["content"].strip() == letter
                assert client.post("/chat/completions", json=body).status_code == 503
        finally:
            process.terminate()


def test_it_lists_vendors_and_failures() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--list"], capture_output=True, text=True, check=True
    )
    first, second = done.stdout.splitlines()
    assert first.split()[1:] == sorted(VENDORS)
    assert second.split()[1:] == sorted(FAILURES)


def test_numbers_follow_from_the_logits() -> None:
    """``exp(2) + 55 * exp(0) + exp(-4)`` is the sum over the vocabulary."""
    assert len(LIKELY) == 56
    model = RuleModel({token: 2.0 if token == "A" else 0.0 for token in LIKELY})
    total = math.log(math.exp(2.0) + 55.0 + math.exp(-4.0))
    found = chatted(VENDORS["openai"](model), logprobs=True, top_logprobs=20).json()
    listed = found["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    assert len(listed) == 20
    assert (listed[0]["token"], listed[0]["logprob"]) == ("A", pytest.approx(2.0 - total))
    assert {entry["logprob"] for entry in listed[1:]} == {-total}


def test_a_known_answer_is_likely_token_by_token() -> None:
    """Logits of 20 for the letter and 19 for the text, each with a blank before it and without.

    The next token of the text has ``exp(19) / (2 exp(20) + 2 exp(19)) = 1 / (2 e + 2)``; the sum of
    all other tokens is at most ``56 exp(6)``, a millionth of that.
    """
    model = RuleModel(facts=[Fact("Which?", ("A", "vitamin C"), "no such text", ("B", "zinc"))])
    tokens, numbers = model.echoed("Which? vitamin C")
    assert tokens[-2:] == [" vitamin", " C"]
    expected = -math.log(2 * math.e + 2)
    assert numbers[-2:] == pytest.approx([expected, expected], abs=1e-4)
    assert model.log_probability("Which?", " iron") < -10


def test_vllm_lists_the_tokens_asked_for_and_gives_numbers_of_a_prompt() -> None:
    model = RuleModel()
    numbers = [model.id_of(token) for token in (" X", " Y")]
    wishes = {"logprobs": 20, "logprob_token_ids": numbers, "return_tokens_as_token_ids": True}
    answer = completed(VENDORS["vllm"](model), **wishes, max_tokens=1).json()
    listed = answer["choices"][0]["logprobs"]["top_logprobs"][0]
    assert {f"token_id:{number}" for number in numbers} < set(listed)
    assert len(listed) == 3  # with the written one
    assert "max allowed: 20" in completed(VENDORS["vllm"](), logprobs=21).text
    of_prompt = chatted(VENDORS["vllm"](), prompt_logprobs=0).json()["prompt_logprobs"]
    assert of_prompt[0] is None
    assert all(number["logprob"] < 0 for found in of_prompt[1:] for number in found.values())


@pytest.mark.parametrize("vendor", ["vllm", "sglang"])
def test_several_prompts_are_echoed_in_one_answer(vendor: str) -> None:
    prompts = ["Hi there", "Ho"]
    answer = completed(VENDORS[vendor](), prompt=prompts, echo=True, logprobs=1, max_tokens=0)
    choices = answer.json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    assert [choice["text"] for choice in choices] == prompts
    numbers = [choice["logprobs"]["token_logprobs"] for choice in choices]
    assert [found[0] for found in numbers] == [None, None]
    assert sum(map(len, numbers)) == answer.json()["usage"]["prompt_tokens"] == 3


def test_llama_cpp_repeats_a_started_reply_and_has_no_numbers_of_a_prompt() -> None:
    started = [*HI, {"role": "assistant", "content": "The answer is"}]
    assert content(chatted(VENDORS["llama.cpp"](), messages=started)).startswith("The answer is")
    echoed = completed(VENDORS["llama.cpp"](), echo=True, logprobs=1).json()["choices"][0]
    assert len(echoed["logprobs"]["content"]) == 1
    assert chatted(VENDORS["llama.cpp"](), top_logprobs=5).status_code == 400
    with FakeServer(VENDORS["llama.cpp"](context=99).answer) as server:
        props = httpx.get(f"{server.origin}/props", trust_env=False).json()
    assert props["default_generation_settings"]["n_ctx"] == 99


def test_ollama_cuts_a_long_prompt_and_writes_a_plain_one_into_a_template() -> None:
    cut = chatted(VENDORS["ollama"](context=7), messages=LONG).json()
    assert cut["usage"]["prompt_tokens"] == 7
    assert chatted(VENDORS["vllm"](context=7), messages=LONG).status_code == 400
    sizes = {
        name: completed(VENDORS[name](), prompt="a").json()["usage"]["prompt_tokens"]
        for name in ("ollama", "llama.cpp")
    }
    assert sizes["llama.cpp"] == 1
    assert sizes["ollama"] > 4


@pytest.mark.parametrize("vendor", ["lmstudio", "transformers", "anthropic", "litellm-drop"])
def test_some_ignore_the_wish_for_numbers(vendor: str) -> None:
    answer = chatted(VENDORS[vendor](), logprobs=True, top_logprobs=5, seed=0)
    assert answer.is_success
    assert answer.json()["choices"][0]["logprobs"] is None


@pytest.mark.parametrize(
    ("vendor", "wish", "status", "text"),
    [
        ("openai", {"continue_final_message": True}, 400, "Unrecognized request argument"),
        ("openai", {"logprobs": True, "top_logprobs": 21}, 400, "equal to 20"),
        ("openai-o", {}, 400, "Use 'max_completion_tokens' instead"),
        ("openai-o", {"max_tokens": None, "temperature": 0}, 400, "Only the default (1)"),
        ("openai-o", {"max_tokens": None, "logprobs": True}, 403, "not allowed to request"),
        ("transformers", {"continue_final_message": True}, 422, "Unexpected fields"),
        ("litellm", {"seed": 0, "logprobs": True}, 400, "parameters: ['logprobs', 'seed']"),
        ("litellm-drop", {"continue_final_message": True}, 400, "Extra inputs are not permitted"),
        ("vllm", {"model": "another"}, 404, "does not exist"),
        ("azure", {"messages": FILTERED}, 400, "ResponsibleAIPolicyViolation"),
    ],
)
def test_some_refuse_by_name(vendor: str, wish: dict[str, Any], status: int, text: str) -> None:
    answer = chatted(VENDORS[vendor](), **wish)
    assert (answer.status_code, text in answer.text) == (status, True)


def test_gemini_names_all_unknown_keys_in_one_message() -> None:
    answer = chatted(VENDORS["gemini"](), seed=0, frequency_penalty=0)
    assert answer.status_code == 400
    message = answer.json()[0]["error"]["message"]
    assert [name in message for name in ("seed", "frequency_penalty", "logprobs")] == [1, 1, 0]


def test_anthropic_joins_system_turns_at_the_start() -> None:
    system = [{"role": "system", "content": text} for text in ("One.", "Two.")]
    turns = [system[0], *HI, system[1]]
    assert VENDORS["anthropic"]().prompt_of(turns, {}).startswith("[system]\nOne.\nTwo.\n[user]")


def test_keys_and_versions_are_checked() -> None:
    assert chatted(VENDORS["openai"](key="another")).status_code == 401
    azure = VENDORS["azure"](key="k")
    assert chatted(azure).is_success
    with FakeServer(azure.answer) as server:
        assert post(server, f"{azure.base}/chat/completions", messages=HI).status_code == 404
    azure.key = "another"
    assert "Access denied" in chatted(azure).text


def test_the_trace_of_a_reasoning_model_is_part_of_the_limit() -> None:
    short, long = (
        chatted(VENDORS["openai-o"](), max_tokens=None, max_completion_tokens=limit)
        for limit in (4, 5)
    )
    assert (content(short), short.json()["usage"]["completion_tokens"]) == ("", 4)
    assert short.json()["choices"][0]["finish_reason"] == "length"
    assert content(long) != ""


BUSY = {
    "429": {},
    "429-seconds": {"retry-after": "1"},
    "429-fraction": {"retry-after": "0.25"},
    "429-ms": {"retry-after-ms": "250"},
}


@pytest.mark.parametrize("kind", [*BUSY, "429-date", "quota", "loading"])
def test_errors_pass_after_a_number_of_times(kind: str) -> None:
    failing = Failing(VENDORS["vllm"](), kind, after=1, times=2)
    with FakeServer(failing.answer) as server:
        answers = [post(server, CHAT, messages=HI, max_tokens=2) for _ in range(4)]
        listed = httpx.get(f"{server.origin}/v1/models", trust_env=False)
    status = 503 if kind == "loading" else 429
    assert [answer.status_code for answer in answers] == [200, status, status, 200]
    assert listed.is_success
    sent = {k: v for k, v in answers[1].headers.items() if k.startswith("retry")}
    if kind == "429-date":
        assert parsedate_to_datetime(sent["retry-after"]).timestamp() == pytest.approx(
            time.time(), abs=60
        )
    else:
        assert sent == BUSY.get(kind, {})
    if kind == "quota":
        assert answers[1].json()["error"]["code"] == "insufficient_quota"


def test_an_answer_ends_in_its_middle() -> None:
    failing = Failing(VENDORS["vllm"](), "reset")
    with FakeServer(failing.answer) as server, pytest.raises(httpx.RemoteProtocolError):
        post(server, CHAT, messages=HI, max_tokens=2)


def test_a_silent_server_says_nothing_until_it_ends() -> None:
    failing = Failing(VENDORS["vllm"](), "silent")
    body = {"model": SERVED, "messages": HI}
    with FakeServer(failing.answer) as server, pytest.raises(httpx.ReadTimeout):
        httpx.post(server.origin + CHAT, json=body, trust_env=False, timeout=0.3)


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        ("wrong-model", lambda found: found["model"] == "owner/another"),
        ("no-choices", lambda found: found["choices"] == []),
        ("no-content", lambda found: found["choices"][0]["message"]["content"] is None),
        ("empty", lambda found: found["choices"][0]["message"]["content"] == ""),
        ("filtered-reply", lambda found: found["choices"][0]["finish_reason"] == "content_filter"),
        ("filtered-shortly", lambda found: "error" in found),
        ("filtered-prompt", lambda found: found.get("error", {}).get("code") == "content_filter"),
        ("too-long", lambda found: found["usage"]["completion_tokens"] == 32),
        ("cut", lambda found: found["usage"]["prompt_tokens"] == 60),
        ("nan", lambda found: all(math.isnan(number) for number in numbers(found))),
        ("ties", lambda found: {number * 8 % 1 for number in numbers(found)} == {0.0}),
    ],
)
def test_an_answer_is_wrong_only_where_it_is_asked_to_be(
    kind: str, check: Callable[[Any], bool]
) -> None:
    failing = Failing(VENDORS["vllm"](), kind, on="a b a b")
    with FakeServer(failing.answer) as server:
        wishes = {"max_tokens": 8, "logprobs": True, "top_logprobs": 20}
        usual, wrong = (post(server, CHAT, messages=turns, **wishes) for turns in (HI, LONG))
    assert check(wrong.json())
    assert usual.is_success
    assert not check(usual.json())


def test_a_page_is_no_json_and_a_fingerprint_changes() -> None:
    with FakeServer(Failing(VENDORS["openai"](), "page").answer) as server:
        assert post(server, CHAT, messages=HI).text.startswith("<html>")
    with FakeServer(Failing(VENDORS["openai"](), "fingerprint").answer) as server:
        found = [post(server, CHAT, messages=HI).json()["system_fingerprint"] for _ in range(3)]
    assert found == ["fp_0", "fp_0", "fp_1"]


def test_every_failure_is_tried_here() -> None:
    text = Path(__file__).read_text()
    assert [kind for kind in FAILURES if f'"{kind}"' not in text] == []


def numbers(found: Any) -> list[float]:
    """Return the listed log-probabilities of an answer."""
    listed = found["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return [entry["logprob"] for entry in listed]


def content(answer: httpx.Response) -> str:
    return str(answer.json()["choices"][0]["message"]["content"])
