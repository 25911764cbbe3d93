"""Where weights are: on one device, or with parts that are somewhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ragbench.base.devices import has_fast_bfloat16
from ragbench.base.errors import PrerequisiteError
from ragbench.base.records import OptionScores, Reply
from ragbench.models.local import loading
from ragbench.models.local.hf import HfModel
from ragbench.models.local.loading import placement, use_float32_output
from ragbench.models.model import Choice
from tests.models.local import tiny

ITEMS = [Choice(f"Case {n}: is it gout?", ("yes", "no", "perhaps not")) for n in range(5)]
# Half of the model is read from a file when it is needed, as where GPUs are too small.
AWAY = {
    "model.embed_tokens": "cpu",
    "model.layers.0": "cpu",
    "model.layers.1": "disk",
    "model.norm": "cpu",
    "model.rotary_emb": "cpu",
    "lm_head": "disk",
}
HALF = AWAY | {"model.embed_tokens": "disk", "lm_head": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.llama(tmp_path_factory.mktemp("tiny"), tiny.tokenizer())


def answers(model: HfModel) -> tuple[list[float], list[str]]:
    scores = [one for one in model.score_batch(ITEMS) if isinstance(one, OptionScores)]
    replies = model.generate_batch([item.prompt for item in ITEMS], limit=6)
    written = [reply.text for reply in replies if isinstance(reply, Reply)]
    assert len(scores) == len(written) == len(ITEMS)
    return [x for one in scores for x in one.log_likelihoods], written


def test_where_weights_go() -> None:
    assert placement("cpu", split=True, quantised=False) == {}
    assert placement("cuda", split=False, quantised=False) == {}
    assert placement("cuda", split=True, quantised=False) == {"device_map": "auto"}
    assert placement("cuda", split=True, quantised=True) == {"device_map": "auto"}
    assert placement("cuda", split=False, quantised=True) == {"device_map": {"": "cuda"}}


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_a_device_map_changes_nothing(folder: Path) -> None:
    plain, mapped = tiny.load(folder), tiny.load(folder, device="auto", device_map="auto")
    assert mapped.digest() == plain.digest()
    assert answers(mapped) == answers(plain)
    assert not hasattr(mapped._model, "hf_device_map")


@pytest.mark.parametrize("places", [AWAY, HALF], ids=["head away", "embedding away"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_with_parts_elsewhere_answers_the_same(
    folder: Path, places: dict[str, str], dtype: str, tmp_path: Path, monkeypatch: Any
) -> None:
    expected = answers(tiny.load(folder, dtype=dtype))
    given = {"device_map": places, "offload_folder": str(tmp_path)}
    monkeypatch.setattr(loading, "placement", lambda *_, **__: given)
    model = tiny.load(folder, dtype=dtype)
    found = answers(model)
    assert any(parameter.is_meta for parameter in model._model.parameters())
    assert found[0] == pytest.approx(expected[0], abs=1e-5)
    assert found[1] == expected[1]


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="this machine has no two GPUs")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_two_cards_answer_as_one(folder: Path, dtype: str, monkeypatch: Any) -> None:
    expected = answers(tiny.load(folder, dtype=dtype, device="cuda"))
    places = {key: int(place == "disk") for key, place in AWAY.items()}
    monkeypatch.setattr(loading, "placement", lambda *_, **__: {"device_map": places})
    model = tiny.load(folder, dtype=dtype, device="cuda", device_map="auto")
    found = answers(model)
    assert len({p.device for p in model._model.parameters()}) == 2
    assert found[0] == pytest.approx(expected[0], abs=1e-4)
    assert found[1] == expected[1]


def test_a_device_map_needs_accelerate(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda name: None)
    spec = tiny.load(folder, device_map="auto").spec
    loading.require_accelerate(spec, "cpu")
    with pytest.raises(PrerequisiteError, match="accelerate") as caught:
        loading.require_accelerate(spec, "cuda")
    assert caught.value.fix == "pip install accelerate"


def test_attention_is_in_the_identity_and_refused_where_missing(folder: Path) -> None:
    auto, same, other = (
        tiny.load(folder, attn_implementation=a) for a in ("auto", "sdpa", "eager")
    )
    assert auto.digest() == same.digest() != other.digest()
    assert auto.facts().own["attention"] == "sdpa"
    assert answers(other)[0] == pytest.approx(answers(auto)[0], abs=1e-4)
    assert other._model.config._attn_implementation == "eager"
    flash = tiny.load(folder, attn_implementation="flash_attention_2")
    with pytest.raises(PrerequisiteError, match=r"cannot use flash_attention_2: .*Flash") as caught:
        flash.check_abilities(set())
    assert "sdpa" in caught.value.fix


def test_device_and_batches_are_in_the_identity(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny.load(folder)
    assert model.batch_tokens == 512
    more = tiny.load(folder, batch_tokens=1024)
    assert (more.batch_tokens, more.facts().own["batch_tokens"]) == (1024, 1024)
    on_cpu = model.digest()
    monkeypatch.setattr(model, "device", "cuda")
    assert len({on_cpu, model.digest(), more.digest()}) == 3


@pytest.mark.parametrize("two_terms", [True, False])
def test_logits_are_float32_whatever_the_layers_are(
    smollm2_folder: Path, two_terms: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output layer alone is widened: its product in double precision is the measure."""
    from transformers import AutoModelForCausalLM

    if two_terms and not has_fast_bfloat16("cpu"):
        pytest.skip("this processor does not multiply bfloat16")
    monkeypatch.setattr(loading, "has_fast_bfloat16", lambda _: two_terms)
    model: Any = AutoModelForCausalLM.from_pretrained(smollm2_folder, dtype=torch.bfloat16)
    matrix = model.get_output_embeddings().weight.detach().double()
    embedding = model.get_input_embeddings().weight
    ids = torch.tensor([[504, 3575, 282, 4649, 314, 253, 1123]])
    with torch.no_grad():
        hidden = model.base_model(input_ids=ids).last_hidden_state
        narrow = model(input_ids=ids).logits
        use_float32_output(model)
        wide = model(input_ids=ids).logits
    exact = hidden.double() @ matrix.T
    assert (narrow.dtype, wide.dtype) == (torch.bfloat16, torch.float32)
    assert float((wide - exact).abs().max()) < 1e-3 < float((narrow - exact).abs().max())
    assert model.get_input_embeddings().weight is embedding
    head = model.get_output_embeddings()
    assert (head.weight is embedding) is two_terms  # no copy
    use_float32_output(model)  # again: nothing to do
    assert model.get_output_embeddings() is head


class Headed(torch.nn.Module):
    def __init__(self, head: torch.nn.Module) -> None:
        super().__init__()
        self.head = head

    def get_output_embeddings(self) -> torch.nn.Module:
        return self.head

    def set_output_embeddings(self, head: torch.nn.Module) -> None:
        self.head = head


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_a_layer_of_two_terms_is_near_its_product_in_double(bias: bool, dtype: torch.dtype) -> None:
    if not has_fast_bfloat16("cpu"):
        pytest.skip("this processor does not multiply bfloat16")
    torch.manual_seed(0)
    head = torch.nn.Linear(64, loading.COLUMNS + 5, bias=bias, dtype=torch.bfloat16)
    model: Any = Headed(head)
    hidden = torch.randn(2, 3, 64).to(dtype)
    with torch.inference_mode():
        exact = hidden.double() @ head.weight.double().T + (head.bias.double() if bias else 0)
        use_float32_output(model)
        found = model.head(hidden)
    assert found.shape == exact.shape and found.dtype == torch.float32
    assert float((found - exact).abs().max()) < 2**-14 * float(exact.abs().max())
