"""PEFT adapters on the real SmolLM2: they change what they should, and fit one base alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from ragbench.base.errors import DataError, UsageError
from ragbench.models.local.adapter import CONFIG, WEIGHTS
from ragbench.models.local.hf import HfModel
from ragbench.models.spec import ModelSpec
from tests.conftest import ragbench, without
from tests.models.conftest import SMOLLM2

PROMPT = "Question: which vitamin is lacking in scurvy?\n\nAnswer:"
OPTIONS = ("vitamin C", "iron", "zinc")


@pytest.fixture(scope="module")
def adapter(smollm2_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter with drawn weights, saved by PEFT itself."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(3)
    base = AutoModelForCausalLM.from_pretrained(smollm2_folder)
    config = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj", "down_proj"])
    tuned = get_peft_model(base, config)
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    folder = tmp_path_factory.mktemp("adapter") / "tuned"
    tuned.save_pretrained(folder)
    return folder


def make(adapter: Path | str | None, **keys: Any) -> HfModel:
    spec = {"name": "m", "path": SMOLLM2, "dtype": "float32", "format": "plain", **keys}
    return HfModel(ModelSpec.model_validate({**spec, "adapter": str(adapter) if adapter else None}))


@pytest.fixture(scope="module")
def tuned(adapter: Path) -> HfModel:
    return make(adapter)


def test_scores_are_those_of_the_merged_weights(
    tuned: HfModel, adapter: Path, smollm2_folder: Path, plain: HfModel
) -> None:
    """Merged by hand: W + B A * alpha / r, with the file's own matrices."""
    weights = load_file(adapter / WEIGHTS)
    merged = make(None)
    layers = dict(merged._model.named_modules())
    with torch.no_grad():
        for key, low in weights.items():
            if ".lora_A." in key:
                name = key.removeprefix("base_model.model.").partition(".lora_A.")[0]
                high = weights[key.replace("lora_A", "lora_B")]
                layers[name].weight += high @ low * (8 / 4)
    expected = merged.score_options(PROMPT, OPTIONS).log_likelihoods
    found = tuned.score_options(PROMPT, OPTIONS).log_likelihoods
    assert found == pytest.approx(expected, abs=2e-3)
    assert found != pytest.approx(plain.score_options(PROMPT, OPTIONS).log_likelihoods, abs=0.1)


def test_the_prompt_is_still_computed_once(tuned: HfModel) -> None:
    once = tuned.score_options(PROMPT, OPTIONS).log_likelihoods
    every = tuned.score_options(PROMPT, OPTIONS, reuse=False).log_likelihoods
    assert once == pytest.approx(every, abs=1e-3)


def test_it_is_another_model(tuned: HfModel, adapter: Path, tmp_path: Path) -> None:
    assert tuned.digest() != make(None).digest()
    other = tmp_path / "other"
    shutil.copytree(adapter, other)
    weights = load_file(other / WEIGHTS)
    save_file({key: value * 2 for key, value in weights.items()}, other / WEIGHTS)
    assert make(other).digest() != tuned.digest()


def changed(adapter: Path, tmp_path: Path, **keys: Any) -> Path:
    folder = tmp_path / "changed"
    shutil.copytree(adapter, folder)
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps(config | keys))
    return folder


def test_an_adapter_for_another_base_is_refused(adapter: Path, tmp_path: Path) -> None:
    folder = changed(adapter, tmp_path, base_model_name_or_path="other/base")
    weights = load_file(folder / WEIGHTS)
    wide = {k: torch.cat([v, v], dim=1) if "lora_A" in k else v for k, v in weights.items()}
    save_file(wide, folder / WEIGHTS)
    with pytest.raises(DataError, match="another base than 'm'") as caught:
        make(folder).score_options(PROMPT, OPTIONS)
    assert "'other/base'" in caught.value.fix


def test_an_adapter_of_layers_that_are_not_there_is_refused(adapter: Path, tmp_path: Path) -> None:
    folder = changed(adapter, tmp_path)
    weights = load_file(folder / WEIGHTS)
    save_file({k.replace("layers.0", "layers.99"): v for k, v in weights.items()}, folder / WEIGHTS)
    with pytest.raises(DataError, match="no such layer"):
        make(folder).score_options(PROMPT, OPTIONS)


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_folder_that_is_no_adapter(adapter: Path, tmp_path: Path, name: str) -> None:
    folder = changed(adapter, tmp_path)
    (folder / name).unlink()
    (folder / "adapter_model.bin").write_bytes(b"a pickle is never read")
    with pytest.raises(DataError, match=f"has no {name}"):
        make(folder)


def test_torn_files(adapter: Path, tmp_path: Path) -> None:
    folder = changed(adapter, tmp_path)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        make(folder).score_options(PROMPT, OPTIONS)
    (folder / CONFIG).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        make(folder)


def test_an_adapter_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no weights at"):
        make("nowhere/adapter")


@pytest.mark.slow
def test_an_adapter_without_peft_says_what_to_type_before_anything_runs(home: Path) -> None:
    config = "name: c\nmodels: [card:smollm2-135m-icd-hpo]\ntasks: [hpo]\narms: [closed-book]\n"
    (home / "c.yaml").write_text(config, encoding="utf-8")
    done = ragbench(home, "run", "c.yaml", **without(home, "peft"))
    assert done.returncode == 4, done.stderr
    assert "pip install peft" in done.stderr
