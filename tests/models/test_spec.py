"""What a config may say of a model."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import UsageError
from ragbench.models import models
from ragbench.models.local.hf import HfModel
from ragbench.models.local.options import HfOptions
from ragbench.models.model import Model
from ragbench.models.scripted import ScriptedOptions
from ragbench.models.served.server import ServerModel
from ragbench.models.spec import Backend, ModelSpec, Weights, options_of


def spec(**keys: Any) -> ModelSpec:
    return ModelSpec.model_validate({"name": "m", **keys})


def test_a_local_or_a_hub_model_is_named_by_its_reference() -> None:
    assert spec(path="weights/m.gguf").reference == "weights/m.gguf"
    assert spec(model="owner/m", revision="v1").reference == "owner/m"
    assert spec(path="a", adapter="b").options.weights == Weights("a", "b")


def test_a_biomedical_model_names_its_base() -> None:
    assert spec(path="b", kind="biomedical", base="general").base == "general"
    assert spec(path="m").kind == "general"


def test_an_adapter_takes_the_weights_of_its_base() -> None:
    tuned = spec(adapter="t", kind="biomedical", base="g")
    base = spec(model="owner/g", revision="v1")
    assert tuned.with_weights_of(base).read(HfOptions) == HfOptions(
        model="owner/g", revision="v1", adapter="t"
    )
    whole = spec(path="own", adapter="t", kind="biomedical", base="g")
    assert whole.with_weights_of(base) == whole


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
        ({"path": "a", "backend": "hff"}, "there is no 'hff' among the backends"),
        ({"path": "a", "options": {"path": "b"}}, "has no key 'options'"),
    ],
)
def test_specs_are_checked(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(**keys)


SERVER = {"backend": "server", "url": "http://host:8000/v1", "model": "owner/m"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"url": None}, "url"),
        ({"model": None}, "model"),
        ({"url": []}, "is empty"),
        ({"url": ["http://a/v1", "host:8000"]}, "an address is http://HOST"),
        ({"path": "weights"}, "`server` has no key 'path'"),
        ({"adapter": "folder"}, "`server` has no key 'adapter'"),
        ({"revision": "main"}, "`server` has no key 'revision'"),
        ({"dtype": "float32"}, "`server` has no key 'dtype'"),
        ({"device": "cuda"}, "`server` has no key 'device'"),
        ({"trust_remote_code": True}, "`server` has no key 'trust_remote_code'"),
        ({"backend": "hf"}, "`hf` has no key 'url'"),
        ({"concurrency": 0}, "concurrency"),
        ({"retries": -1}, "retries"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"context": 0}, "context"),
    ],
)
def test_keys_that_a_backend_does_not_read_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        spec(**SERVER | keys)


@pytest.mark.parametrize(
    "keys",
    [
        {"tokenizer": "owner/m"},
        {"concurrency": 2},
        {"timeout_s": 3},
        {"retries": 0},
        {"api_key_env": "KEY"},
    ],
)
def test_a_model_of_this_machine_has_no_keys_of_a_server(keys: dict[str, Any]) -> None:
    (name,) = keys
    with pytest.raises(ValidationError, match=f"`hf` has no key '{name}'"):
        spec(path="weights", **keys)


def test_a_server_may_have_several_addresses() -> None:
    urls = ["http://a:8000/v1", "http://b:8000/v1/"]
    both = spec(**SERVER | {"url": urls}).sends_to()
    assert both is not None
    assert [e.url for e in both] == ["http://a:8000/v1", "http://b:8000/v1"]
    assert spec(**SERVER).sends_to() == (Endpoint("http", "host", 8000, "/v1"),)
    assert spec(path="weights").sends_to() == ()


def test_code_of_a_repository_is_not_trusted_unless_told() -> None:
    assert spec(model="owner/m").read(HfOptions).trust_remote_code is False


@pytest.mark.parametrize("keys", [{"path": "w", "dtype": "float32"}, SERVER])
def test_a_spec_is_written_flat_and_read_again(keys: dict[str, Any]) -> None:
    made = spec(**keys)
    written = made.model_dump(mode="json")
    fields = options_of(made.backend).model_fields.items()
    kept = {name for name, field in fields if not field.exclude}
    assert set(written) == (set(ModelSpec.model_fields) - {"options"}) | kept
    assert keys.items() <= written.items()
    assert ModelSpec.model_validate(written) == made


def test_backends_are_registered_and_keep_the_protocol(smollm2: HfModel) -> None:
    model: Model = smollm2  # checked by mypy
    backends: list[type[Backend]] = [HfModel, ServerModel]
    assert isinstance(model, models.get("hf"))
    assert backends == [models.get("hf"), models.get("server")]
    with pytest.raises(TypeError, match="has the keys of the backend 'server'"):
        spec(**SERVER).read(HfOptions)


class Keyless:
    """A class that declares no keys."""


def test_a_backend_that_declares_no_keys_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    models.names()  # entry points of installed packages first
    monkeypatch.setattr(models, "_table", dict(models._table))
    models.register("keyless", f"{__name__}:Keyless")
    with pytest.raises(UsageError, match="'keyless' does not declare its keys"):
        spec(backend="keyless")


def test_a_key_that_changes_no_answer_is_not_written() -> None:
    made = spec(backend="scripted", seed=3, delay_s=0.5)
    assert made.read(ScriptedOptions).delay_s == 0.5
    written = made.model_dump(mode="json")
    assert "delay_s" not in written
    assert ModelSpec.model_validate(written) == spec(backend="scripted", seed=3)
