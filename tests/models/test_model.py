"""What a config may say of a model."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.models import models
from ragbench.models.hf import HfModel
from ragbench.models.model import Model, ModelSpec


def test_a_local_or_a_hub_model_is_named_by_its_reference() -> None:
    assert ModelSpec(name="m", path="weights/m.gguf").reference == "weights/m.gguf"
    assert ModelSpec(name="m", model="owner/m", revision="v1").reference == "owner/m"


def test_a_biomedical_model_names_its_base() -> None:
    spec = ModelSpec(name="bio", path="b", kind="biomedical", base="general")
    assert spec.base == "general"
    assert ModelSpec(name="m", path="m").kind == "general"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "give one of `path`"),
        ({"path": "a", "model": "b/c"}, "give one of `path`"),
        ({"path": "a", "kind": "biomedical"}, "go together"),
        ({"path": "a", "base": "other"}, "go together"),
        ({"path": "a", "name": "a b"}, "letters, digits"),
        ({"path": "a", "name": "../m"}, "letters, digits"),
        ({"path": "a", "name": "a..b"}, "letters, digits"),
        ({"path": "a", "name": "a+b"}, "letters, digits"),
        ({"path": "a", "dtype": "int4"}, "dtype"),
        ({"path": "a", "device": "tpu"}, "device"),
        ({"path": "a", "format": "completion"}, "format"),
        ({"path": "a", "temperature": 0}, "temperature"),
    ],
)
def test_specs_are_checked(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelSpec.model_validate({"name": "m", **keys})


def test_code_of_a_repository_is_not_trusted_unless_told() -> None:
    assert ModelSpec(name="m", model="owner/m").trust_remote_code is False


def test_backends_are_registered_and_keep_the_protocol(smollm2: HfModel) -> None:
    model: Model = smollm2  # checked by mypy
    assert isinstance(model, models.get("hf"))
    assert ModelSpec(name="m", path="m").backend in models
