"""What a config may say of a model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, ValidationError

from ragbench.base.errors import BackendError, UsageError
from ragbench.base.modelfacts import ModelFacts
from ragbench.base.records import Message, OptionScores, Reply
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.run import run_experiment
from ragbench.models import models
from ragbench.models.endpoint import Endpoint
from ragbench.models.local.hf import HfModel, HfOptions
from ragbench.models.model import Model, OneByOne
from ragbench.models.served.server import ServerModel
from ragbench.models.spec import Backend, BackendOptions, ModelSpec, Weights, options_of
from ragbench.runfolder.records import read_records


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
        {"context": 8},
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
    assert set(written) == (set(ModelSpec.model_fields) - {"options"}) | set(
        options_of(made.backend).model_fields
    )
    assert keys.items() <= written.items()
    assert ModelSpec.model_validate(written) == made


def test_backends_are_registered_and_keep_the_protocol(smollm2: HfModel) -> None:
    model: Model = smollm2  # checked by mypy
    backends: list[type[Backend]] = [HfModel, ServerModel]
    assert isinstance(model, models.get("hf"))
    assert backends == [models.get("hf"), models.get("server")]
    with pytest.raises(TypeError, match="has the keys of the backend 'server'"):
        spec(**SERVER).read(HfOptions)


# A backend from outside.


class LabOptions(BackendOptions):
    """Keys of the backend ``lab``."""

    bench: int = 1
    verbose: bool = Field(False, exclude=True)


class LabModel(OneByOne):
    """Answers the first option, and fails on what names a fault; does not say where it sends."""

    Options = LabOptions
    is_chat = False
    context_tokens = 4096
    made: list[str] = []  # noqa: RUF012 - counts what is made

    def __init__(self, spec: ModelSpec) -> None:
        self.bench = spec.read(LabOptions).bench
        self.made.append(spec.name)

    def digest(self) -> str:
        return f"lab {self.bench}"

    def facts(self) -> ModelFacts:
        return ModelFacts(self.digest(), dtype="lab", format="plain", context_tokens=4096)

    def render(self, messages: Sequence[Message]) -> str:
        return messages[-1].content

    def continuation(self, option: str) -> str:
        return option

    def count_tokens(self, text: str) -> int:
        return len(text.split())

    def release(self) -> None:
        pass

    def score_options(self, prompt: str, options: Sequence[str]) -> OptionScores:
        if "fault" in prompt:
            raise BackendError(f"no bench for {prompt!r}")
        sums = tuple(-float(place + 1) for place in range(len(options)))
        return OptionScores(sums, (1,) * len(options), self.count_tokens(prompt), 0.0)

    def generate(self, prompt: str, *, limit: int) -> Reply:
        if "fault" in prompt:
            raise BackendError(f"no bench for {prompt!r}")
        return Reply("A", 1, "stop", self.count_tokens(prompt), 0.0)


class OpenLab(LabModel):
    """The same, run in this process."""

    @classmethod
    def sends_to(cls, options: LabOptions) -> tuple[Endpoint, ...]:
        return ()


class Keyless:
    """A class that declares no keys."""


@pytest.fixture(autouse=True)
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Register the backends for one test."""
    models.names()  # entry points of installed packages first
    monkeypatch.setattr(models, "_table", dict(models._table))
    LabModel.made.clear()
    for name, kind in (("lab", "LabModel"), ("open-lab", "OpenLab"), ("keyless", "Keyless")):
        models.register(name, f"{__name__}:{kind}")
    yield


def config(home: Path, keys: str, *, use: str = "open") -> Path:
    question = {"id": "q", "question": "Which?", "options": ["yes", "no"], "answer": "yes"}
    (home / "q.jsonl").write_text(json.dumps(question) + "\n", encoding="utf-8")
    path = home / "lab.yaml"
    path.write_text(
        f"name: lab\nmodels:\n  - {{name: m, {keys}}}\ntasks:\n"
        f"  - {{name: t, task: mcq, options: {{path: q.jsonl, data_use: {use}}}}}\n"
        "arms: [closed-book]\n",
        encoding="utf-8",
    )
    return path


def test_an_outside_backend_has_keys_of_its_own(home: Path) -> None:
    loaded, _ = load_config(str(config(home, "backend: lab, bench: 3, verbose: true")))
    assert loaded.models[0].read(LabOptions) == LabOptions(bench=3, verbose=True)
    entry = loaded.model_dump(mode="json")["models"][0]
    assert entry["bench"] == 3
    assert "verbose" not in entry
    assert ModelSpec.model_validate(entry).options == LabOptions(bench=3)


@pytest.mark.parametrize(
    ("keys", "what", "fix"),
    [
        ("backend: lab, bensh: 3", "the backend `lab` has no key 'bensh'", "mean 'bench'"),
        ("backend: lab, url: x", "the backend `lab` has no key 'url'", "known: backend, base, b"),
        ("backend: lav", "there is no 'lav' among the backends", "mean 'lab'"),
    ],
)
def test_a_wrong_key_is_refused_with_its_line(home: Path, keys: str, what: str, fix: str) -> None:
    path = config(home, keys)
    with pytest.raises(UsageError, match=what) as caught:
        load_config(str(path))
    assert fix in caught.value.fix
    assert caught.value.where.startswith(f"{path}:3 (models.0.")


def test_a_wrong_value_is_refused_with_its_line(home: Path) -> None:
    path = config(home, "backend: lab, bench: many")
    with pytest.raises(UsageError, match=r'valid integer.*it is "many"') as caught:
        load_config(str(path))
    assert caught.value.where == f"{path}:3 (models.0.bench)"


def test_a_backend_that_declares_no_keys_is_refused(home: Path) -> None:
    with pytest.raises(UsageError, match="'keyless' does not declare its keys"):
        load_config(str(config(home, "backend: keyless")))


def test_restricted_data_needs_a_backend_that_says_where_it_sends(home: Path) -> None:
    grid = Grid(*load_config(str(config(home, "backend: lab", use="restricted"))))
    with pytest.raises(UsageError, match="'lab' of the model 'm' does not say where") as caught:
        run_experiment(grid.config, grid.document)
    assert "sends_to" in caught.value.fix
    assert LabModel.made == []
    assert not (home / "runs" / "lab" / "run.json").exists()


@pytest.mark.parametrize(
    ("backend", "use"), [("open-lab", "restricted"), ("lab", "open"), ("open-lab", "open")]
)
def test_what_is_allowed_is_run_to_its_end(home: Path, backend: str, use: str) -> None:
    path = config(home, f"backend: {backend}", use=use)
    done = run_experiment(*load_config(str(path)))
    assert done.errors == 0
    assert LabModel.made == ["m"]
    (record,) = read_records(done.folder.records("m", "t", "closed-book"))
    assert record.log_likelihoods == (-1.0, -2.0)
