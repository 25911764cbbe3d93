"""The backend ``vllm``: its requests against hand arithmetic, and the real engine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.base.records import OptionScores, Reply
from ragbench.models.local.hf import HfModel
from ragbench.models.model import Choice
from ragbench.models.spec import ModelSpec, make_model
from ragbench.models.vllm import model as module
from ragbench.models.vllm.engine import Answered, Asked
from ragbench.models.vllm.model import VllmModel, VllmOptions
from tests.conftest import REPOSITORY
from tests.models.served.real import agreement, here, items

PYTHON = REPOSITORY / ".servers" / "vllm" / "bin" / "python"
LETTERS = ("A", "B", "C")


def weight(token: int) -> float:
    """The log-probability of a token after anything, in the engine below."""
    return -token / 1000


def number(token: int) -> SimpleNamespace:
    return SimpleNamespace(logprob=weight(token))


@dataclass
class RuleEngine:
    """Answers as vLLM does, with log-probabilities by a rule; writes fixed tokens."""

    lists_tokens: bool = True
    writes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.asked: list[Asked] = []

    def wishes(self, **wishes: Any) -> Any:
        return SimpleNamespace(**wishes)

    def ask(self, requests: Sequence[Asked]) -> list[Answered]:
        self.asked += requests
        return [Answered(self._answer(request), 0.5) for request in requests]

    def _answer(self, request: Asked) -> Any:
        given, wishes = list(request.ids), vars(request.wishes)
        listed = {n: number(n) for n in wishes.get("logprob_token_ids", ())}
        prompt = [None, *({n: number(n)} for n in given[1:])]
        reply = SimpleNamespace(logprobs=[listed], token_ids=self.writes)
        return SimpleNamespace(outputs=[reply], prompt_logprobs=prompt)


@pytest.fixture
def make(
    smollm2_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[VllmModel, RuleEngine]]:
    """Make a model whose engine follows a rule."""
    monkeypatch.setattr(module, "engine_version", lambda _: "vllm 9.9")

    def made(engine: RuleEngine | None = None, /, **keys: object) -> tuple[VllmModel, RuleEngine]:
        entry = {"name": "v", "backend": "vllm", "path": str(smollm2_folder), "dtype": "float32"}
        model = make_model(ModelSpec.model_validate(entry | keys))
        assert isinstance(model, VllmModel)
        rule = engine or RuleEngine()
        model.__dict__["_loaded"] = rule
        return model, rule

    return made


def ids(model: VllmModel, text: str) -> list[int]:
    return list(model._tokenizer(text, add_special_tokens=False).input_ids)


def test_letters_take_one_request_and_options_one_each(
    make: Callable[..., tuple[VllmModel, RuleEngine]],
) -> None:
    model, engine = make(format="plain")
    scores = model.score_options("Which? Answer:", LETTERS)
    assert [list(one.ids) for one in engine.asked] == [ids(model, "Which? Answer:")]
    letters = [ids(model, f" {letter}") for letter in LETTERS]
    assert scores.log_likelihoods == tuple(weight(only) for (only,) in letters)
    assert (scores.prompt_tokens, scores.option_tokens, scores.elapsed_s) == (
        len(ids(model, "Which? Answer:")),
        (1, 1, 1),
        0.5,
    )
    engine.asked.clear()
    texts = ("iron", "vitamin C deficiency")
    scores = model.score_options("Which? Answer:", texts)
    whole = [ids(model, f"Which? Answer: {text}") for text in texts]
    assert [list(one.ids) for one in engine.asked] == whole
    for found, text in zip(scores.log_likelihoods, texts, strict=True):
        assert found == pytest.approx(sum(map(weight, ids(model, f" {text}"))))
    assert scores.elapsed_s == 1.0


def test_a_version_without_named_tokens_scores_letters_by_prompts(
    make: Callable[..., tuple[VllmModel, RuleEngine]],
) -> None:
    new, _ = make(format="plain")
    old, engine = make(RuleEngine(lists_tokens=False), format="plain")
    found = old.score_options("Which? Answer:", LETTERS).log_likelihoods
    assert found == new.score_options("Which? Answer:", LETTERS).log_likelihoods
    assert len(engine.asked) == len(LETTERS)


def test_a_prompt_beyond_the_context_is_an_error_of_its_question_alone(
    make: Callable[..., tuple[VllmModel, RuleEngine]],
) -> None:
    model, engine = make(format="plain", context=32)
    long = Choice("word " * 40 + "Answer:", LETTERS)
    found = model.score_batch([Choice("Which? Answer:", LETTERS), long])
    assert isinstance(found[0], OptionScores)
    assert isinstance(found[1], BackendError)
    assert "more than the context of 32" in found[1].what
    assert len(engine.asked) == 1
    with pytest.raises(BackendError, match="more than the context of 32"):
        model.generate("Which?", limit=32)


def test_a_reply_ends_at_the_end_of_the_turn_or_at_the_limit(
    make: Callable[..., tuple[VllmModel, RuleEngine]],
) -> None:
    model, engine = make(format="chat")
    end = model._tokenizer.convert_tokens_to_ids("<|im_end|>")
    engine.writes = (*ids(model, "Vitamin C."), end)
    reply = model.generate("<|im_start|>user\nWhich?<|im_end|>\n", limit=9)
    assert (reply.text, reply.finish, reply.tokens) == ("Vitamin C.", "stop", len(engine.writes))
    wishes = engine.asked[0].wishes
    assert (wishes.max_tokens, wishes.stop) == (9, None)
    assert end in wishes.stop_token_ids
    plain, engine = make(format="plain")
    engine.writes = tuple(ids(plain, " iron\n\nQuestion:"))
    reply = plain.generate("Which? Answer:", limit=9)
    assert (reply.text, reply.finish) == (" iron", "stop")
    assert engine.asked[0].wishes.stop == ["\n\n"]
    engine.writes = tuple(ids(plain, " iron and"))
    reply = plain.generate("Which? Answer:", limit=2)
    assert isinstance(reply, Reply)
    assert (reply.text, reply.finish) == (" iron and", "length")


def test_an_engine_that_does_not_start_is_named_and_not_started_again(
    make: Callable[..., tuple[VllmModel, RuleEngine]], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def fail(arguments: object, **_: object) -> None:
        started.append(arguments)
        raise ValueError("no kernels for this processor\nand more")

    monkeypatch.setattr(module, "Engine", fail)
    model = make(format="plain")[0]
    del model.__dict__["_loaded"]
    for _ in range(2):
        with pytest.raises(PrerequisiteError, match="no kernels for this processor") as caught:
            model.score_options("Which? Answer:", LETTERS)
        assert str(caught.value.where).startswith("models: v")
    (arguments,) = started
    assert isinstance(arguments, dict)
    assert (arguments["enable_prefix_caching"], arguments["dtype"]) == (True, "float32")
    assert (arguments["seed"], arguments["generation_config"]) == (0, "vllm")


@pytest.mark.parametrize("keys", [{"adapter": "tuned"}, {"device": "cuda"}])
def test_keys_of_hf_that_it_does_not_have_are_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        VllmOptions.model_validate({"path": "weights", **keys})


def test_version_and_arguments_are_in_the_identity_and_concurrency_is_not(
    make: Callable[..., tuple[VllmModel, RuleEngine]], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = make()[0]
    quantised = make(engine={"kv_cache_dtype": "fp8"})[0]
    assert plain.spec.sends_to() == ()
    assert plain.digest() == make(concurrency=8)[0].digest() != quantised.digest()
    facts = quantised.facts()
    assert facts.own == {"engine": "vllm 9.9", "arguments": {"kv_cache_dtype": "fp8"}}
    assert facts.to_json()["engine"] == "vllm 9.9"
    monkeypatch.setattr(module, "engine_version", lambda _: "vllm 10.0")
    assert make()[0].digest() != plain.digest()


ASK = """\
import json, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from ragbench.base.records import Message
from ragbench.models.model import Choice
from ragbench.models.spec import ModelSpec, make_model


def main():
    entry, asked = json.loads(Path(sys.argv[1]).read_text())
    found, engine = {}, None
    for kind in ("chat", "plain"):
        model = make_model(ModelSpec.model_validate(entry | {"format": kind}))
        if engine is not None:
            model.__dict__["_loaded"] = engine
        prompts = [model.render([Message(*turn) for turn in one["turns"]]) for one in asked]
        pairs = [(p, one["letters"]) for p, one in zip(prompts, asked)]
        with ThreadPoolExecutor(model.concurrency) as pool:
            letters = list(pool.map(lambda pair: model.score_options(*pair), pairs))
        texts = [Choice(p, one["options"]) for p, one in zip(prompts, asked)][:20]
        engine = model._engine
        found[kind] = {
            "letters": [one.log_likelihoods for one in letters],
            "sizes": [one.prompt_tokens for one in letters],
            "options": [one.log_likelihoods for one in model.score_batch(texts)],
            "replies": [one.text for one in model.generate_batch(prompts[:10], limit=12)],
            "engine": model.facts().own,
        }
    model.release()
    Path(sys.argv[2]).write_text(json.dumps(found))


if __name__ == "__main__":  # the engine's processes import this file
    main()
"""


def there(arguments: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python in vLLM's environment."""
    if not PYTHON.exists():
        pytest.skip("the environment .servers/vllm is missing: scripts/servers vllm")
    inherited = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"}
    own = {"PYTHONPATH": str(REPOSITORY), "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(
        [str(PYTHON), *arguments],
        env=inherited | own | environment,
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )


@pytest.mark.slow
def test_the_real_engine_scores_and_writes_as_the_backend_hf(
    smollm2_folder: Path,
    smollm2: HfModel,
    plain: HfModel,
    tmp_path: Path,
) -> None:
    entry: dict[str, object] = {"name": "v", "backend": "vllm", "path": str(smollm2_folder)}
    entry |= {"dtype": "float32", "context": 4096, "engine": {"enforce_eager": True}}
    asked = [
        {
            "turns": [[turn.role, turn.content] for turn in item.turns],
            "letters": item.letters,
            "options": item.options,
        }
        for item in items()
    ]
    (tmp_path / "ask.py").write_text(ASK)
    (tmp_path / "asked.json").write_text(json.dumps([entry, asked]))
    answers = tmp_path / "found.json"
    done = there([str(tmp_path / "ask.py"), str(tmp_path / "asked.json"), str(answers)])
    assert done.returncode == 0, done.stderr[-5000:]
    for kind, own in (("chat", smollm2), ("plain", plain)):
        found = json.loads(answers.read_text())[kind]
        assert found["engine"]["engine"] == "vllm-cpu 0.32.0"
        letters = [OptionScores(tuple(one), (), 0, 0.0) for one in found["letters"]]
        options = [OptionScores(tuple(one), (), 0, 0.0) for one in found["options"]]
        by_letters = agreement(here(own), letters)
        by_text = agreement(here(own, letters=False, count=20), options)
        assert by_letters.differing == by_text.differing == {}
        assert by_letters.largest < 2e-3
        assert by_text.largest < 2e-2
        assert found["sizes"] == [one.prompt_tokens for one in here(own)]
        mine = [own.generate(own.render(item.turns), limit=12).text for item in items()[:10]]
        assert found["replies"] == mine


CONFIG = """\
name: inside
scoring: letters
models:
  - name: m
    backend: vllm
    path: {path}
    dtype: bfloat16
    context: 2048
    engine: {{enforce_eager: true}}
tasks:
  - {{name: asked, task: mcq, options: {{path: asked.jsonl, data_use: restricted}}}}
arms: [closed-book]
"""


@pytest.mark.slow
def test_a_run_of_restricted_data_from_end_to_end(smollm2_folder: Path, home: Path) -> None:
    lines: list[dict[str, Any]] = [
        {"id": f"q{n}", "question": one.question, "options": one.options, "answer": "A"}
        for n, one in enumerate(items()[:12])
    ]
    (home / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (home / "inside.yaml").write_text(CONFIG.format(path=smollm2_folder))
    config = str(home / "inside.yaml")
    done = there(["-m", "ragbench", "run", config], RAGBENCH_HOME=str(home))
    assert done.returncode == 0, done.stderr[-5000:]
    run = home / "runs" / "inside"
    facts = json.loads((run / "run.json").read_text())["identity"]["models"]["m"]
    assert (facts["engine"], facts["dtype"]) == ("vllm-cpu 0.32.0", "bfloat16")
    records = [
        json.loads(line)
        for file in (run / "records").glob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    assert sorted(record["question_id"] for record in records) == sorted(x["id"] for x in lines)
    # With logits in float32. On bfloat16's grid of 1/8, all differences are multiples of it.
    steps = [
        8 * (one["log_likelihoods"][0] - other)
        for one in records
        for other in one["log_likelihoods"][1:]
    ]
    assert len(steps) == 36
    assert sum(abs(step - round(step)) < 1e-4 for step in steps) < len(steps) / 4
