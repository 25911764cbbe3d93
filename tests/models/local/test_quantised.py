"""Folders whose weights have few bits: their names, what they need, and an FP8 model that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.models.local.hf import HfModel
from ragbench.models.local.quantised import quantised
from tests.models.local import tiny

WEIGHTS: dict[str, Any] = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 128}
GROUP = {"targets": ["Linear"], "input_activations": {"num_bits": 8, "type": "int"}}
# As published folders have them, without keys that change no name.
SETTINGS: dict[str, dict[str, Any]] = {
    "gptq-int4": {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": True},
    "awq-int4": {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm"},
    "bitsandbytes-nf4": {
        "quant_method": "bitsandbytes",
        "load_in_4bit": True,
        "bnb_4bit_quant_type": "nf4",
    },
    "bitsandbytes-int8": {"quant_method": "bitsandbytes", "load_in_8bit": True},
    "fp8": {"quant_method": "fp8", "weight_block_size": [128, 128]},
    "compressed-tensors-int4": {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {"group_0": {**GROUP, "weights": WEIGHTS}},
    },
    "compressed-tensors-float8": {
        "quant_method": "compressed-tensors",
        "format": "float-quantized",
        "config_groups": {"group_0": {**GROUP, "weights": {"num_bits": 8, "type": "float"}}},
    },
    "quanto-int4": {"quant_method": "quanto", "weights": "int4"},
    "mxfp4": {"quant_method": "mxfp4"},
}

CHARACTERS = len(tiny.CHARACTERS)


def folder_of(place: Path, settings: dict[str, Any]) -> Path:
    folder = tiny.llama(place, tiny.tokenizer())
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(
        json.dumps(config | {"quantization_config": settings, "dtype": "bfloat16"}),
        encoding="utf-8",
    )
    return folder


@pytest.mark.parametrize("name", SETTINGS)
def test_the_number_format_is_named(name: str) -> None:
    from transformers import LlamaConfig

    makes: Any = LlamaConfig
    found = quantised(makes(quantization_config=SETTINGS[name]))
    assert found is not None
    assert found.name == name
    expected = {"bitsandbytes-nf4": 4.5, "mxfp4": 4.25}.get(name)
    assert found.bits == (expected or (4 if name.endswith("4") else 8))
    assert quantised(LlamaConfig()) is None


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("gptq-int4", "optimum"),
        ("awq-int4", "gptqmodel"),
        ("bitsandbytes-nf4", "bitsandbytes"),
        ("bitsandbytes-int8", "bitsandbytes"),
        ("compressed-tensors-int4", "compressed-tensors"),
        ("quanto-int4", "quanto"),
    ],
)
def test_a_missing_package_is_named_before_the_first_question(
    name: str, package: str, tmp_path: Path
) -> None:
    model = tiny.load(folder_of(tmp_path, SETTINGS[name]), dtype="auto")
    with pytest.raises(PrerequisiteError, match=f"quantised \\({name}\\).*{package}"):
        model.check_abilities(set())
    facts = model.facts()
    # Embedding and head of 101 x 32, 2 layers of 4 x 32 x 32 and 3 x 32 x 64, 5 norms of 32.
    assert CHARACTERS == 101
    assert (facts.dtype, facts.parameters) == (name, 2 * 101 * 32 + 2 * 10_240 + 5 * 32)


def test_keys_that_would_not_be_honoured_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, SETTINGS["gptq-int4"])
    with pytest.raises(UsageError, match="keep their number format") as caught:
        tiny.load(folder)
    assert caught.value.where == "models: tiny: dtype: float32"
    (tmp_path / "adapter").mkdir()
    with pytest.raises(UsageError, match="no adapter can be merged"):
        tiny.load(folder, dtype="auto", adapter=str(tmp_path / "adapter"))


def test_the_settings_are_in_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HfModel, "_weights_identity", lambda self: "same")
    other = SETTINGS["gptq-int4"] | {"group_size": 64}
    found = {
        tiny.load(folder_of(tmp_path / str(n), settings), dtype="auto").digest()
        for n, settings in enumerate([SETTINGS["gptq-int4"], other, SETTINGS["gptq-int4"]])
    }
    assert len(found) == 2


def test_an_fp8_folder_answers_as_its_numbers_say(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights of 1 byte with one scale per block of 128 x 128, here one block per matrix.

    A processor has no FP8, so that transformers turns them into bfloat16; the same is done by hand.
    """
    stored = folder_of(tmp_path / "fp8", SETTINGS["fp8"])
    path = stored / "model.safetensors"
    plain = load_file(path)
    packed, by_hand = dict[str, torch.Tensor](), dict[str, torch.Tensor]()
    for name, values in plain.items():
        if not name.endswith("_proj.weight"):
            packed[name] = by_hand[name] = values.to(torch.bfloat16)
            continue
        scale = values.abs().max() / 448  # the largest number of float8_e4m3fn
        packed[name] = (values / scale).to(torch.float8_e4m3fn)
        packed[name + "_scale_inv"] = scale.reshape(1, 1)
        by_hand[name] = (packed[name].float() * scale).to(torch.bfloat16)
    save_file(packed, path, metadata={"format": "pt"})
    same = tiny.llama(tmp_path / "plain", tiny.tokenizer())
    save_file(by_hand, same / "model.safetensors", metadata={"format": "pt"})
    model = tiny.load(stored, dtype="auto")
    model.check_abilities(set())
    assert "become bfloat16" in capsys.readouterr().err
    assert model.facts().dtype == "fp8"
    expected = tiny.load(same, dtype="bfloat16").score_options("Is it?", ["yes", "no"])
    found = model.score_options("Is it?", ["yes", "no"])
    assert found.log_likelihoods == pytest.approx(expected.log_likelihoods, abs=1e-6)
    assert model.generate("Is it?", limit=4).tokens == 4
