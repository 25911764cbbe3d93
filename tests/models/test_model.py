"""What a config may say of a model."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.models import models
from ragbench.models.local.hf import HfModel
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


SERVER = {"backend": "server", "url": "http://host:8000/v1", "model": "owner/m"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"url": None}, "needs `url`"),
        ({"model": None}, "and `model`, the name"),
        ({"url": []}, "is empty"),
        ({"url": ["http://a/v1", "host:8000"]}, "an address is http://HOST"),
        ({"path": "weights", "model": None}, "`server` does not read `path`"),
        ({"adapter": "folder"}, "`server` does not read `adapter`"),
        ({"revision": "main"}, "`server` does not read `revision`"),
        ({"dtype": "float32"}, "`server` does not read `dtype`"),
        ({"device": "cuda"}, "`server` does not read `device`"),
        ({"trust_remote_code": True}, "`server` does not read `trust_remote_code`"),
        ({"backend": "hf"}, "`hf` does not read `url`"),
        ({"concurrency": 0}, "concurrency"),
        ({"retries": -1}, "retries"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"context": 0}, "context"),
    ],
)
def test_keys_that_a_backend_does_not_read_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ModelSpec.model_validate({"name": "m", **SERVER, **keys})


@pytest.mark.parametrize(
    "keys",
    [
        {"tokenizer": "owner/m"},
        {"context": 8},
        {"concurrency": 2},
        {"timeout_s": 3},
        {"retries": 0},
        {"api_key_env": "KEY"},
    ],
)
def test_a_model_of_this_machine_has_no_keys_of_a_server(keys: dict[str, Any]) -> None:
    (name,) = keys
    with pytest.raises(ValidationError, match=f"`hf` does not read `{name}`"):
        ModelSpec.model_validate({"name": "m", "path": "weights", **keys})


def test_a_server_may_have_several_addresses() -> None:
    urls = ["http://a:8000/v1", "http://b:8000/v1/"]
    spec = ModelSpec.model_validate({"name": "m", **SERVER, "url": urls})
    assert [e.url for e in spec.endpoints] == ["http://a:8000/v1", "http://b:8000/v1"]
    assert [e.url for e in ModelSpec.model_validate({"name": "m", **SERVER}).endpoints] == [
        "http://host:8000/v1"
    ]
    assert ModelSpec(name="m", path="weights").endpoints == ()


def test_code_of_a_repository_is_not_trusted_unless_told() -> None:
    assert ModelSpec(name="m", model="owner/m").trust_remote_code is False


def test_backends_are_registered_and_keep_the_protocol(smollm2: HfModel) -> None:
    model: Model = smollm2  # checked by mypy
    assert isinstance(model, models.get("hf"))
    assert ModelSpec(name="m", path="m").backend in models
