"""A run against a server that sends broken replies: no wrong score, no traceback, and resume works.

Every fault stands between a server and one question. The other questions are answered, the broken
ones are errors, and the same command asks only them again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.api import check_complete
from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import Finished, run_experiment
from ragbench.models.served import http
from ragbench.report.write import write_report
from tests.models.loopback import MODEL, Loopback, Request, Sent, chat, loopback, text

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
RIGHT = "ABCABC"
CONFIG = """\
name: hostile
models:
  - {{name: m, backend: server, url: "{url}", model: {model}, retries: 0, timeout_s: 3,
     concurrency: 1, format: {format}}}
tasks:
  - {{name: asked, task: mcq, scoring: {scoring}, options: {{path: asked.jsonl}}}}
arms: [closed-book]
"""
WRONG = "The answer is C."  # of question 1, whose right answer is B


def with_tokens(**counts: object) -> dict[str, Any]:
    return chat(WRONG) | {"usage": counts}


def of_choice(**keys: object) -> dict[str, Any]:
    answer = chat(WRONG)
    answer["choices"][0] |= keys
    return answer


BROKEN = {
    "10^30 tokens of the reply": Sent(with_tokens(completion_tokens=10**30)),
    "10^30 tokens of the prompt": Sent(with_tokens(prompt_tokens=10**30)),
    "a float of tokens": Sent(with_tokens(completion_tokens=1e300)),
    "2^63 tokens": Sent(with_tokens(completion_tokens=2**63, prompt_tokens=2**63)),
    "infinitely many tokens": Sent(b'{"usage": {"prompt_tokens": 1e999}, "choices": [{}]}'),
    "a number of 5,000 digits": Sent(
        json.dumps(chat(WRONG)).replace("9}", "9" * 5000 + "}").encode()
    ),
    "an error beside choices": Sent(chat(WRONG) | {"error": {"message": "CUDA error"}}),
    "an error in the choice": Sent(of_choice(error={"message": "upstream"})),
    "choices twice": Sent(json.dumps(chat("x"))[:-1].encode() + b', "choices": []}'),
    "content twice": Sent(b'{"choices": [{"message": {"content": "A", "content": "C"}}]}'),
    "two choices": Sent(chat(WRONG) | {"choices": chat(WRONG)["choices"] * 2}),
    "content that is a list": Sent(chat([{"type": "text", "text": WRONG}])),
    "no content": Sent(chat(None)),
    "stopped by the server": Sent(chat(WRONG, finish="timeout")),
    "an impossible finish": Sent(chat(WRONG, finish={"a": 1})),
    "a reply beyond every limit": Sent(chat("A" * 5_000_000)),
    "compressed": Sent(b"(\xb5/\xfd", headers={"content-encoding": "zstd"}),
    "no JSON": Sent(b"\xed\xa0\x80"),
    "deep JSON": Sent(b'{"choices": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "half a character, deep": Sent(b'{"a": "\\ud800", "b": ' + b"[" * 900 + b"]" * 900 + b"}"),
    "an error with half a character": Sent({"error": {"message": "\ud83d bad"}}, 400),
    "a finish with half a character": Sent(chat(WRONG, finish="\udfff")),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setattr(http, "pause", lambda _: None)
    with loopback() as running:
        yield running


def config(home: Path, server: Loopback, *, scoring: str, prompts: str) -> str:
    options = ["one", "two", "three"]
    (home / "asked.jsonl").write_text(
        "".join(
            json.dumps({"id": f"q{n}", "question": f"Question {n}?", "options": options} | answer)
            + "\n"
            for n, answer in enumerate({"answer": letter} for letter in RIGHT)
        )
    )
    path = home / "hostile.yaml"
    keys = {"scoring": scoring, "format": prompts}
    path.write_text(CONFIG.format(url=server.url, model=MODEL, **keys))
    return str(path)


def run(config: str) -> Finished:
    return run_experiment(*load_config(config))


def records(home: Path) -> list[dict[str, Any]]:
    path = home / "runs" / "hostile" / "records" / "m+asked+closed-book.0.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def scores(home: Path) -> pd.DataFrame:
    return pd.read_parquet(home / "runs" / "hostile" / "scores" / "correct.parquet")


def number_of(request: Request) -> int | None:
    asked = request.body["messages"][-1]["content"] if request.path == CHAT else ""
    return int(asked.split("?")[0].split()[1]) if asked.startswith("Question") else None


def answering(faults: dict[int, Sent]) -> Callable[[Request], Sent]:
    def answer(request: Request) -> Sent:
        number = number_of(request)
        if number is None:
            return Sent(chat("yes"))
        return faults.get(number) or Sent(chat(f"The answer is {RIGHT[number]}."))

    return answer


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_reply_is_an_error_of_its_question_and_no_score(
    home: Path, server: Loopback, fault: str
) -> None:
    path = config(home, server, scoring="generate", prompts="chat")
    faults = {1: BROKEN[fault]}
    server.answers[CHAT] = answering(faults)
    assert run(path).errors == 1
    (failed,) = [record for record in records(home) if record["error"] is not None]
    assert (failed["question_id"], failed["reply"], failed["finish"]) == ("q1", None, "error")
    table = scores(home).set_index("question_id")
    assert table.outcome["q1"] == "error"
    assert table.accuracy.drop("q1").tolist() == [1.0] * 5
    faults.clear()
    assert run(path).errors == 0  # it asks this question alone again
    assert len(records(home)) == 7
    assert scores(home).accuracy.tolist() == [1.0] * 6


@pytest.mark.parametrize(
    "filtered",
    [
        Sent(chat(WRONG, finish="content_filter")),
        Sent(chat(None, finish="content_filter")),
        Sent(
            {
                "error": {
                    "message": "The response was filtered due to the prompt triggering the "
                    "service's content management policy.",
                    "code": "content_filter",
                }
            },
            400,
        ),
    ],
)
def test_what_a_content_filter_ends_is_refused_and_does_not_stop_the_run(
    home: Path, server: Loopback, filtered: Sent
) -> None:
    """Five of six in a row: as errors, they would stop the run."""
    path = config(home, server, scoring="generate", prompts="chat")
    server.answers[CHAT] = answering(dict.fromkeys(range(5), filtered))
    assert run(path).errors == 0
    assert [record["finish"] for record in records(home)] == ["filtered"] * 5 + ["stop"]
    table = scores(home)
    assert table.outcome.tolist() == ["refused"] * 5 + ["parsed"]
    assert table.accuracy.tolist() == [0.0] * 5 + [1.0]


def test_halves_of_characters_in_a_reply_are_replaced_and_counted(
    home: Path, server: Loopback, capfd: pytest.CaptureFixture[str]
) -> None:
    path = config(home, server, scoring="generate", prompts="chat")
    server.answers[CHAT] = answering(
        {
            1: Sent(chat("\ud83d The answer is B. \udc00", reasoning_content="\ud800")),
            2: Sent(b'{"choices": [{"message": {"content": "The answer is C. \xed\xa0\x80"}}]}'),
        }
    )
    assert run(path).errors == 0
    counted = {record["question_id"]: record.get("replaced") for record in records(home)}
    assert counted == {"q0": None, "q1": 3, "q2": 1, "q3": None, "q4": None, "q5": None}
    assert records(home)[1]["reply"].count("\ufffd") == 3
    assert scores(home).accuracy.tolist() == [1.0] * 6
    assert "the replies had 4 halves of characters" in capfd.readouterr().err


def test_a_served_model_whose_facts_have_half_a_character(home: Path, server: Loopback) -> None:
    path = config(home, server, scoring="generate", prompts="chat")
    server.answers[CHAT] = answering({})
    listed = {"id": MODEL, "root": "/weights/\ud800", "max_model_len": 4096}
    server.script("/v1/models", Sent({"data": [listed]}))
    assert run(path).errors == 0
    about = json.loads((home / "runs" / "hostile" / "run.json").read_text())
    assert about["identity"]["models"]["m"]["told"]["root"] == "/weights/\ufffd"


@pytest.mark.parametrize(
    ("cut", "usage"),
    [
        (lambda sizes: sizes[:3], None),  # fewer than the prompt's own count
        (lambda sizes: sizes[: len("Question 1?") + 40], None),  # all cut at one length
        (lambda sizes: sizes[: len("Question 1?") + 40], {"prompt_tokens": 51}),
        (lambda sizes: sizes, {"prompt_tokens": 10**30}),
        (lambda sizes: [*sizes[:-1], -1e308], None),
        (lambda sizes: [*sizes[:-1], float("nan")], None),
        (lambda sizes: sizes[:1], None),
    ],
)
def test_broken_log_probabilities_are_an_error_of_their_question(
    home: Path, server: Loopback, cut: Callable[[list[Any]], list[Any]], usage: object
) -> None:
    """One token per character; the letters of the right option are the likeliest."""
    path = config(home, server, scoring="options", prompts="plain")
    faults = {1}

    def answer(request: Request) -> Sent:
        prompt = request.body["prompt"]
        number = int(prompt.split("Question ")[-1].split("?")[0]) if "Question" in prompt else None
        right = ["one", "two", "three"]["ABC".index(RIGHT[number or 0])]
        added = prompt.split("Answer:")[-1]
        likely = -0.5 if added.strip() == right else -3.0
        numbers: list[Any] = [None, *[-1.0 - n % 2 for n in range(len(prompt) - 1)]]
        if "Answer:" in prompt:
            numbers[len(prompt) - len(added) :] = [likely] * len(added)
        told: dict[str, Any] = {"usage": {"prompt_tokens": len(prompt)}}
        if number in faults and added:
            numbers, told = cut(numbers), {"usage": usage}
        choice = {"text": prompt, "logprobs": {"token_logprobs": numbers}}
        return Sent({"choices": [choice], **told}) if "echo" in request.body else Sent(text("yes"))

    server.answers[TEXT] = answer
    assert run(path).errors == 1
    table = scores(home).set_index("question_id")
    assert table.outcome["q1"] == "error"
    assert table.accuracy.drop("q1").tolist() == [1.0] * 5
    faults.clear()
    assert run(path).errors == 0
    assert scores(home).accuracy.tolist() == [1.0] * 6


def test_a_cell_whose_replies_are_all_empty_is_an_error(home: Path, server: Loopback) -> None:
    """Its accuracy would be that of no answer, at the end of a table of others."""
    path = config(home, server, scoring="generate", prompts="chat")
    server.answers[CHAT] = answering({n: Sent(chat(" \n")) for n in range(6)})
    finished = run(path)
    reason = "m, asked, closed-book: every reply is empty"
    assert (finished.errors, finished.unmeasured) == (6, (reason,))
    with pytest.raises(BackendError, match=f"a cell has measured nothing: {reason}"):
        check_complete(finished)
    assert scores(home).accuracy.isna().all()
    folder = home / "runs" / "hostile"
    report = write_report(folder).path.read_text()
    assert "m on asked, closed-book: every reply is empty, so the cell has measured" in report
    results = pd.read_csv(folder / "results.csv").set_index("metric")
    assert results.status["accuracy"] == "incomplete"
    server.answers[CHAT] = answering({})
    (folder / "records" / "m+asked+closed-book.0.jsonl").unlink()
    again = run(path)
    check_complete(again)
    assert scores(home).accuracy.tolist() == [1.0] * 6


def test_one_reply_that_is_not_empty_is_a_measurement(home: Path, server: Loopback) -> None:
    path = config(home, server, scoring="generate", prompts="chat")
    server.answers[CHAT] = answering({n: Sent(chat("")) for n in range(1, 6)})
    finished = run(path)
    assert (finished.errors, finished.unmeasured) == (0, ())
    assert scores(home).accuracy.sum() == 1.0


def test_a_cell_whose_answers_follow_the_length_of_the_options_is_an_error(
    home: Path, server: Loopback
) -> None:
    """Each place in a text has its own number, whatever is written there."""
    path = config(home, server, scoring="options", prompts="plain")

    def answer(request: Request) -> Sent:
        prompt = request.body["prompt"]
        numbers = [None, *[-1.0 - 1 / (n + 1) for n in range(len(prompt) - 1)]]
        choice = {"text": prompt, "logprobs": {"token_logprobs": numbers}}
        told = {"usage": {"prompt_tokens": len(prompt)}}
        return Sent({"choices": [choice], **told}) if "echo" in request.body else Sent(text("yes"))

    server.answers[TEXT] = answer
    finished = run(path)
    reason = "m, asked, closed-book: every likelihood follows from the number of tokens alone"
    assert (finished.errors, finished.unmeasured) == (6, (reason,))
    assert scores(home).accuracy.isna().all()


def test_a_server_with_one_number_for_every_token_is_refused_before_the_first_question(
    home: Path, server: Loopback
) -> None:
    path = config(home, server, scoring="options", prompts="plain")

    def answer(request: Request) -> Sent:
        size = len(request.body["prompt"])
        choice = {"logprobs": {"token_logprobs": [None, *[-2.0] * (size - 1)]}}
        return Sent({"choices": [choice], "usage": {"prompt_tokens": size}})

    server.answers[TEXT] = answer
    with pytest.raises(PrerequisiteError, match="every token of a text has the same one"):
        run(path)


@pytest.mark.parametrize("measured", [False, True])
def test_a_cell_in_which_every_question_ties_is_an_error(
    home: Path, server: Loopback, measured: bool
) -> None:
    """One number for every letter: the first option would be right for 2 of 6 by chance."""
    path = config(home, server, scoring="letters", prompts="plain")

    def answer(request: Request) -> Sent:
        prompt = request.body["prompt"]
        numbers: list[Any] = [None, *[-1.0 - n % 3 for n in range(len(prompt) - 1)]]
        numbers[-1] = -0.1 if measured and prompt.endswith(" A") else -2.0
        choice = {"text": prompt, "logprobs": {"token_logprobs": numbers}}
        told = {"usage": {"prompt_tokens": len(prompt)}}
        return Sent({"choices": [choice], **told}) if "echo" in request.body else Sent(text("yes"))

    server.answers[TEXT] = answer
    finished = run(path)
    if measured:
        assert (finished.errors, finished.unmeasured) == (0, ())
        assert scores(home).accuracy.mean() == pytest.approx(2 / 6)
        return
    reason = "m, asked, closed-book: every question ties between options"
    assert (finished.errors, finished.unmeasured) == (6, (reason,))
    assert scores(home).accuracy.isna().all()
    assert scores(home).tied.all()
