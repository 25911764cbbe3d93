"""Resuming: another experiment is refused, an extension is let in."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.resume import check_same, start
from ragbench.runfolder.config import RunConfig
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.runfile import Identity, read_run_file
from ragbench.runfolder.schema import parse

CONFIG: dict[str, Any] = {
    "seed": 1,
    "description": "",
    "analysis": {"alpha": 0.05},
    "tasks": [{"name": "t", "limit": 5}],
    "arms": [{"name": "closed-book"}],
    "models": [{"name": "m", "path": "x"}],
}
TASK = {"digest": "a", "n": 5, "arms": ["closed-book"], "metrics": ["accuracy"]} | {
    "scoring": "options"
}
IDENTITY: dict[str, Any] = {
    "tasks": {"t": TASK},
    "models": {"m": {"digest": "b", "weights": "w", "device": "cpu"}},
    "indexes": {"i": {"digest": "c", "corpus": {"name": "c"}}},
}


RECORD: dict[str, Any] = {
    "key": "k",
    "question_id": "q",
    "prompt": "p",
    "log_likelihoods": [],
    "error": None,
}


@pytest.fixture
def folder(home: Path) -> RunPaths:
    made = RunPaths(home / "runs" / "r")
    start(made, *typed(CONFIG, IDENTITY), extend=False)
    path = made.records("m", "t", "closed-book")
    path.parent.mkdir()
    path.write_text(json.dumps(RECORD) + "\n", encoding="utf-8")
    return made


def typed(config: dict[str, Any], identity: dict[str, Any]) -> tuple[RunConfig, Identity]:
    return parse(RunConfig, config, "config"), parse(Identity, identity, "identity")


def changed(path: str, value: object) -> tuple[RunConfig, Identity]:
    both = {"config": copy.deepcopy(CONFIG), "identity": copy.deepcopy(IDENTITY)}
    place: Any = both
    *parents, last = path.split(".")
    for part in parents:
        place = place[int(part)] if part.isdigit() else place[part]
    place[last] = value
    return typed(both["config"], both["identity"])


def test_the_same_experiment_goes_on(folder: RunPaths) -> None:
    start(folder, *typed(CONFIG, IDENTITY), extend=False)
    assert len(folder.sessions.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("config.seed", 2, "config.seed"),
        ("config.tasks.0.limit", 6, "config.tasks.t.limit"),
        ("config.models.0.path", "y", "config.models.m.path"),
        ("identity.indexes.i.digest", "d", "indexes.i.digest"),
        ("identity.models.m.digest", "d", "models.m.digest"),
        ("config.arms", [], "arms: closed-book was removed"),
        (
            "config.arms",
            [{"name": "closed-book"}, {"name": "b", "k": 5, "retriever": "bm25"}],
            "arms: b was added",
        ),
    ],
)
def test_another_experiment_is_refused(
    folder: RunPaths, path: str, value: object, named: str
) -> None:
    with pytest.raises(UsageError, match="another config") as caught:
        start(folder, *changed(path, value), extend=False)
    assert named in caught.value.where


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("config.description", "new words"),
        ("config.analysis", {"alpha": 0.1}),
        ("identity.models.m.device", "cuda"),
        ("config.models.0.device", "auto"),  # the model's digest has the kind that it was
        ("config.models.0.device_map", "auto"),
    ],
)
def test_what_changes_no_record_may_change(folder: RunPaths, path: str, value: object) -> None:
    start(folder, *changed(path, value), extend=False)
    check_same(folder, *changed(path, value), extend=False)
    assert (folder.path / "run.json").is_file()


def test_another_kind_of_device_is_named(folder: RunPaths) -> None:
    config, identity = changed("identity.models.m.device", "cuda")
    known = identity.models["m"]
    moved = replace(identity, models={"m": replace(known, digest="of a GPU")})
    with pytest.raises(UsageError, match="another config") as caught:
        check_same(folder, config, moved, extend=False)
    assert "models.m.device: " in caught.value.where
    assert "-> 'cuda'" in caught.value.where
    assert "digest" not in caught.value.where


def test_extend_adds_and_nothing_else(folder: RunPaths) -> None:
    arms = [{"name": "closed-book"}, {"name": "b", "k": 5}]
    check_same(folder, *changed("config.arms", arms), extend=True)
    check_same(folder, *changed("config.tasks.0.limit", 6), extend=True)
    for path, value in (
        ("config.seed", 2),
        ("config.tasks.0.limit", 4),
        ("config.arms", [{"name": "b", "k": 5}]),
        ("identity.indexes.i.digest", "d"),
    ):
        with pytest.raises(UsageError):
            check_same(folder, *changed(path, value), extend=True)


def test_a_run_without_an_answer_may_change(folder: RunPaths) -> None:
    """A refused plan leaves nothing that blocks the corrected config."""
    folder.records("m", "t", "closed-book").write_text("")
    start(folder, *changed("config.seed", 2), extend=False)
    assert read_run_file(folder.run).config.seed == 2


@pytest.mark.parametrize(
    ("path", "value", "fits"),
    [
        ("identity.tasks.t.n", 9, True),
        ("identity.tasks.t.n", 4, False),  # questions were dropped
        ("identity.tasks.t.digest", "z", True),  # more questions; their records' keys say which
        ("config.tasks.0.options", {"strata": ["one"]}, False),  # a new option of an old task
        ("identity.tasks.u", TASK, True),
    ],
)
def test_an_extension_only_adds(folder: RunPaths, path: str, value: object, fits: bool) -> None:
    config, identity = changed(path, value)
    if fits:
        check_same(folder, config, identity, extend=True)
        return
    with pytest.raises(UsageError, match="another config"):
        check_same(folder, config, identity, extend=True)


FACTS: dict[str, Any] = {
    "digest": "b",
    "weights": "owner/m, not verified",
    "dtype": "as served",
    "format": "chat",
    "context_tokens": 4096,
    "told": {"id": "owner/m", "root": "/weights/llama", "max_model_len": 4096},
    "server": "vllm 0.11",
    "tokens": "counted",
    "tokenizer_digest": None,
}
ENTRY = {
    "name": "m3.1",
    "backend": "server",
    "url": "http://a:1/v1",
    "model": "owner/m",
    "tokenizer": "./tok",
    "context": 4096,
    "patience_s": 900.0,
    "extra_body": {},
}


@pytest.fixture
def served(home: Path) -> RunPaths:
    """A run of a served model whose name has a dot."""
    made = RunPaths(home / "runs" / "served")
    start(made, *of_served(), extend=False)
    path = made.records("m3.1", "t", "closed-book")
    path.parent.mkdir()
    path.write_text(json.dumps(RECORD) + "\n", encoding="utf-8")
    return made


def of_served(
    facts: dict[str, Any] | None = None, told: dict[str, Any] | None = None, **entry: object
) -> tuple[RunConfig, Identity]:
    whole = {**FACTS, **(facts or {}), "told": FACTS["told"] | (told or {})}
    config = {**CONFIG, "models": [{**ENTRY, **entry}]}
    return typed(config, {**IDENTITY, "models": {"m3.1": whole}})


@pytest.mark.parametrize(
    ("facts", "told", "entry"),
    [
        ({"context_tokens": 2048}, {"max_model_len": 2048}, {"context": 2048}),
        ({"server": "vllm 0.12"}, {}, {"url": "HTTP://B:1/v1/"}),
        ({}, {}, {"url": ["http://a:2/v1", "http://b:2/v1"], "patience_s": 0.0}),
        ({}, {}, {"tokenizer": "tok/"}),
    ],
)
def test_what_is_harmless_of_a_server_may_change(
    served: RunPaths, facts: dict[str, Any], told: dict[str, Any], entry: dict[str, object]
) -> None:
    check_same(served, *of_served(facts, told, **entry), extend=False)


@pytest.mark.parametrize(
    ("facts", "told", "entry", "named"),
    [
        (
            {"digest": "c", "context_tokens": 9, "server": "vllm 0.12"},
            {"root": "/weights/llama-awq", "max_model_len": 9},
            {},
            "models.m3.1.told.root: '/weights/llama' -> '/weights/llama-awq'",
        ),
        (
            {"digest": "c"},
            {"size": 80},
            {},
            "models.m3.1.told.size: (absent) -> 80",
        ),
        (
            {"digest": "c", "weights": "owner/n, not verified"},
            {"id": "owner/n"},
            {"model": "owner/n"},
            "config.models.m3.1.model: 'owner/m' -> 'owner/n'; "
            "models.m3.1.told.id: 'owner/m' -> 'owner/n'; "
            "models.m3.1.weights: 'owner/m, not verified' -> 'owner/n, not verified'",
        ),
        (
            {"digest": "c", "dtype": "float16"},
            {},
            {},
            "models.m3.1.dtype: 'as served' -> 'float16'",
        ),
        ({"digest": "c"}, {}, {}, "models.m3.1.digest: 'b' -> 'c'"),
        (
            {"digest": "c"},
            {},
            {"extra_body": {"think": True}},
            "config.models.m3.1.extra_body.think: (absent) -> True; models.m3.1.digest: 'b' -> 'c'",
        ),
        ({}, {}, {"tokenizer": "tok2"}, "config.models.m3.1.tokenizer: './tok' -> 'tok2'"),
    ],
)
def test_a_refusal_names_what_differs_before_and_after(
    served: RunPaths,
    facts: dict[str, Any],
    told: dict[str, Any],
    entry: dict[str, object],
    named: str,
) -> None:
    with pytest.raises(UsageError, match="another config or other data") as caught:
        check_same(served, *of_served(facts, told, **entry), extend=False)
    assert caught.value.where == f"{served.run}: {named}"
    if facts:  # nor is another model an extension
        with pytest.raises(UsageError, match="another config or other data"):
            check_same(served, *of_served(facts, told, **entry), extend=True)
