"""Restricted text and a socket that listens: it sees no byte, whatever a config can name.

The socket is on loopback, and the tests take loopback for another machine. It is also the proxy of
the environment and the server of LangChain's tracing, so that it would see what a library sends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.endpoint import Endpoint
from ragbench.base.errors import RagbenchError, UsageError
from ragbench.base.registry import Entry
from ragbench.corpora.build import build_corpus
from ragbench.corpora.open import open_corpus
from ragbench.experiment.answering import in_flight
from ragbench.experiment.run import run_experiment
from ragbench.experiment.stages.score import score_run
from ragbench.indexes import retrievers
from ragbench.indexes.build import build_index
from ragbench.indexes.built import open_index
from ragbench.indexes.langchain.adapters import FromLangchain, as_langchain
from ragbench.models import models
from ragbench.models.served.addresses import watch
from ragbench.report.write import write_report
from tests.experiment.leaks import (
    FACTORY,
    LEAKS,
    SECRET,
    LeakyIndex,
    LeakyModel,
    LeakyOwn,
    LeakyScripted,
    Listening,
)
from tests.experiment.ward import RECIPES, STORE, config, modes, remote, restrict, write_recipe
from tests.indexes import encoder_models
from tests.indexes.cross_encoders import save_cross_encoder
from tests.indexes.langchain.serving import running_milvus
from tests.models.conftest import SMOLLM2
from tests.models.loopback import MODEL, Request, Sent, chat, loopback

# What the default tier leaves to the slow one: other stores, and indexes of the same parts.
SLOWER = ("hybrid", "quota", "qdrant", "chroma")


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listening]:
    server = Listening()
    monkeypatch.setattr(Endpoint, "is_loopback", property(lambda _: False))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, server.url)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", server.url)
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_test")
    monkeypatch.setitem(LEAKS, "port", server.port)
    yield server
    server.close()


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> None:
    assert models.names() and retrievers.names()  # entry points are read
    for registry, kinds in (
        (models, {"leaky": LeakyModel, "leaky-scripted": LeakyScripted}),
        (retrievers, {"leaky": LeakyIndex, "leaky-own": LeakyOwn}),
    ):
        for name, kind in kinds.items():
            entry = Entry(f"{kind.__module__}:{kind.__name__}", "")
            monkeypatch.setitem(registry._table, name, entry)


@pytest.fixture(scope="session")
def small_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small reranker and a small encoder."""
    folder = tmp_path_factory.mktemp("models")
    save_cross_encoder(folder / "reranker")
    encoder_models.static(folder / "encoder", 1)
    return folder


@pytest.fixture
def ward(home: Path, small_models: Path) -> Iterator[Path]:
    """Two corpora, a question, a factory of a retriever, and every local recipe."""
    (home / "corpora").mkdir()
    (home / "indexes").mkdir()
    for name in "ab":
        lines = [{"id": f"{name}{n}", "text": f"{SECRET} of patient {n} {name}"} for n in range(3)]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (home / "corpora" / f"{name}.jsonl").write_text(text)
    question = {"id": "q", "question": f"Who has {SECRET}?", "options": ["a", "b"], "answer": "a"}
    (home / "asked.jsonl").write_text(json.dumps(question) + "\n")
    (home / "reach_factory.py").write_text(FACTORY)
    for name in ("reranker", "encoder"):
        (home / name).symlink_to(small_models / name)
    for name, recipe in RECIPES.items():
        own = {"reranker": {"model": "./reranker"}} if name == "rerank" else {}
        write_recipe(home, name, recipe | own)
    paths = list(sys.path)
    yield home
    sys.path[:] = paths
    sys.modules.pop("reach_factory", None)


SIDES = pytest.mark.parametrize("side", ["task", "corpus"])


def restricted_run(home: Path, side: str, recipe: str, **keys: str) -> Callable[[], object]:
    restrict(home, corpus=side == "corpus")
    task = "restricted" if side == "task" else "open"
    made = config(home, recipe, task=task, **keys)
    return lambda: run_experiment(*made)


def local_recipes() -> Iterator[Any]:
    """Yield each side and recipe; the default tier has each kind of way out once."""
    for recipe in RECIPES:
        for side in ("task", "corpus"):
            marks = []
            if recipe in SLOWER or (side == "task") != (recipe == "bm25"):
                marks.append(pytest.mark.slow)
            if recipe == "chroma" and find_spec("langchain_chroma") is None:
                marks.append(pytest.mark.skip(reason="langchain-chroma is not installed"))
            yield pytest.param(side, recipe, marks=marks)


@pytest.mark.parametrize(("side", "recipe"), list(local_recipes()))
def test_what_stays_here_sends_nothing_and_its_files_are_its_owners(
    ward: Path, listening: Listening, side: str, recipe: str
) -> None:
    before = os.umask(0o022)
    try:
        finished: Any = restricted_run(ward, side, recipe)()
        assert finished.errors == 0
        write_report(finished.folder.path)
        score_run(finished.folder)
    finally:
        assert os.umask(before) == 0o022
    assert listening.close() == b""
    closed = ["runs/reach"]
    if side == "corpus":
        closed += [
            "corpora/a",
            *(f"indexes/{p.parent.name}" for p in ward.glob("indexes/*/*.json")),
        ]
        closed += ["embeddings"] if (ward / "embeddings").exists() else []
    for folder in closed:
        assert modes(ward / folder) == {("folder", "0o700"), ("file", "0o600")}, folder


def test_every_kind_of_retriever_and_backend_is_here() -> None:
    kinds = {recipe["kind"] for recipe in RECIPES.values()}
    ours = {name for name, entry in retrievers.items() if entry.target.startswith("ragbench.")}
    assert kinds == ours
    backends = {name for name, entry in models.items() if entry.target.startswith("ragbench.")}
    assert backends == {"hf", "runnable", "scripted", "server", "vllm"}


@SIDES
@pytest.mark.parametrize("name", remote("http://h:1"))
def test_an_index_that_may_send_text_elsewhere_is_refused(
    ward: Path, listening: Listening, outside: None, side: str, name: str
) -> None:
    recipes = remote(listening.url)
    write_recipe(ward, "part", recipes["qdrant there"])
    write_recipe(ward, "remote", recipes[name])
    with pytest.raises(UsageError, match=r"is restricted, and .*; nothing was sent"):
        restricted_run(ward, side, "remote")()
    if side == "corpus":
        build_corpus("a")
        with pytest.raises(UsageError, match=r"'a' is restricted, and .*; nothing was sent"):
            build_index("remote", "a", device="cpu")
    assert listening.close() == b""
    assert not list((ward / "runs").glob("reach/*"))


MODELS = {
    "server": "backend: server, url: '{url}/v1', model: x, retries: 0, timeout_s: 1",
    "proxy": (
        "backend: server, url: 'http://127.0.0.1:1/v1', model: x, proxy: '{url}', retries: 0, "
        "timeout_s: 1"
    ),
    "file of servers": "backend: server, url_file: servers.txt, model: x, retries: 0",
    "one of two servers": "backend: server, url: ['{url}/v1', '{url}/v2'], model: x",
    "runnable": "backend: runnable, factory: 'reach_factory:Telling', trust_code: true, "
    "options: {{url: '{url}'}}",
    "runnable with a server": "backend: runnable, factory: 'reach_factory:Telling', "
    "trust_code: true, options: {{url: '{url}'}}, servers: ['{url}']",
    "outside": "backend: leaky",
    "outside, of ours": "backend: leaky-scripted",
}


@pytest.mark.parametrize("trusted", ["http://127.0.0.1:1", "{url}"])
def test_a_proxy_and_the_server_behind_it_must_both_be_trusted(
    ward: Path, listening: Listening, trusted: str
) -> None:
    """The socket is the proxy; of the two, one is trusted."""
    restrict(ward, corpus=False)
    made = config(
        ward,
        "bm25",
        model=MODELS["proxy"].format(url=listening.url),
        task="restricted",
        trusted=f"'{trusted.format(url=listening.url)}'",
    )
    with pytest.raises(UsageError, match=r"is restricted, and .*; nothing was sent"):
        run_experiment(*made)
    assert listening.close() == b""


@pytest.mark.parametrize("side", ["task", pytest.param("corpus", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MODELS)
def test_a_backend_that_may_send_prompts_elsewhere_is_refused(
    ward: Path, listening: Listening, outside: None, side: str, name: str
) -> None:
    model = MODELS[name].format(url=listening.url)
    (ward / "servers.txt").write_text(f"{listening.url}/v1\n")
    with pytest.raises(UsageError, match=r"is restricted, and .*; nothing was sent"):
        restricted_run(ward, side, "bm25", model=model)()
    assert listening.close() == b""


@SIDES
def test_a_server_that_a_file_names_in_mid_run_is_checked_before_it_is_asked(
    ward: Path, listening: Listening, side: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question waits until the screen says that the new server gets nothing."""
    said, lines = threading.Event(), []

    def say(line: str) -> None:
        lines.append(line)
        said.set()

    monkeypatch.setattr(watch, "say", say)
    monkeypatch.setattr(watch, "LOOK_S", 0.0)
    monkeypatch.setattr(in_flight, "LOOK_S", 0.01)
    with loopback() as trusted:

        def answer(request: Request) -> Sent:
            if SECRET in json.dumps(request.body):
                (ward / "servers.txt").write_text(f"{trusted.url}\n{listening.url}/v1\n")
                said.wait(60)
            return Sent(chat("A"))

        trusted.answers["/v1/chat/completions"] = answer
        (ward / "servers.txt").write_text(f"{trusted.url}\n")
        model = f"backend: server, url_file: servers.txt, model: {MODEL}, concurrency: 1"
        run = restricted_run(
            ward, side, "bm25", model=model, trusted=trusted.url.removesuffix("/v1")
        )
        finished: Any = run()
    assert finished.errors == 0
    (line,) = lines
    assert f"{listening.url}/v1 in servers.txt gets no questions" in line
    assert "is restricted" in line and "nothing was sent" in line
    assert listening.close() == b""


@pytest.mark.parametrize(
    ("recipe", "model"),
    [
        ("qdrant there", ""),
        ("langchain unknown", ""),
        ("outside", ""),
        ("bm25", MODELS["server"]),
        ("bm25", MODELS["proxy"]),
        ("bm25", MODELS["file of servers"]),
        ("bm25", MODELS["outside, of ours"]),
        pytest.param("bm25", MODELS["runnable"], marks=pytest.mark.slow),
    ],
)
def test_the_same_with_open_data_does_send(
    ward: Path, listening: Listening, outside: None, recipe: str, model: str
) -> None:
    """So that the silence of the tests above means something."""
    if recipe != "bm25":
        write_recipe(ward, "remote", remote(listening.url)[recipe])
    restrict(ward, corpus=False)
    name = "bm25" if recipe == "bm25" else "remote"
    (ward / "servers.txt").write_text(f"{listening.url}/v1\n")
    made = config(ward, name, task="open", model=model.format(url=listening.url))
    try:
        run_experiment(*made)
    except RagbenchError as error:
        assert "restricted" not in error.what
    assert listening.close() != b""


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("langchain_milvus") is None or find_spec("milvus_lite") is None,
    reason="langchain-milvus or milvus-lite is not installed",
)
@SIDES
def test_a_running_store_gets_restricted_text_only_on_this_machine(
    ward: Path, listening: Listening, side: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pymilvus import MilvusClient

    with running_milvus(tmp_path) as url:
        port = int(url.rpartition(":")[2])
        recipe = {**STORE, "store": "milvus", "url": url, "trust_url": True}
        write_recipe(ward, "stored", recipe)
        run = restricted_run(ward, side, "stored")
        with pytest.raises(UsageError, match=r"is restricted, and .*; nothing was sent"):
            run()
        client = MilvusClient(url, grpc_options={"grpc.enable_http_proxy": 0})
        assert client.list_collections() == []
        monkeypatch.setattr(Endpoint, "is_loopback", property(lambda place: place.port == port))
        finished: Any = run()
        assert finished.errors == 0
        assert len(client.list_collections()) == 1
        client.close()
    assert listening.close() == b""


@pytest.mark.slow
def test_a_model_on_this_machine_sends_nothing(ward: Path, listening: Listening) -> None:
    run: Any = restricted_run(ward, "task", "bm25", model=f"path: '{SMOLLM2}'")()
    assert run.errors == 0
    assert listening.close() == b""


def test_an_index_from_before_the_restriction_is_not_opened(
    ward: Path, listening: Listening, outside: None
) -> None:
    restrict(ward, corpus=False)
    write_recipe(ward, "remote", {"kind": "leaky"})
    build_corpus("a")
    build_index("remote", "a")
    assert open_index("remote-a")
    restrict(ward, corpus=True)
    with pytest.raises(UsageError, match=r"'a' is restricted, and .*; nothing was sent"):
        open_index("remote-a")
    assert listening.close() == b""


def test_a_langchain_retriever_of_unknown_reach_gets_no_restricted_corpus(
    ward: Path, listening: Listening
) -> None:
    from langchain_core.retrievers import BaseRetriever

    class Silent(BaseRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Any]:
            return []

    restrict(ward, corpus=True)
    corpus = build_corpus("a")
    index = open_index(build_index("bm25", "a").name)
    there = (Endpoint("http", "far.example", 80),)
    for reach in (None, there):
        with pytest.raises(UsageError, match=r"'a' is restricted, and the LangChain retriever"):
            FromLangchain(Silent(), corpus, sends_to=reach)
        with pytest.raises(UsageError, match="nothing was sent"):
            as_langchain(index, 1, sends_to=reach)
    assert as_langchain(index, 1, sends_to=()) is not None
    # LangSmith's tracing, which the environment asks for, is off for the query:
    assert FromLangchain(Silent(), corpus, sends_to=()).search([SECRET], 1) == [[]]
    from langchain_core.tracers.langchain import wait_for_all_tracers

    wait_for_all_tracers()
    assert listening.close() == b""
    restrict(ward, corpus=False)
    build_corpus("a")
    assert FromLangchain(Silent(), open_corpus("a")).search([SECRET], 1) == [[]]


def test_files_from_before_the_restriction_are_closed_to_others(ward: Path) -> None:
    before = os.umask(0o022)
    try:
        restrict(ward, corpus=False)
        finished = run_experiment(*config(ward, "bm25", task="open"))
        folder = finished.folder.path
        assert ("file", "0o644") in modes(folder) & modes(ward / "corpora" / "a")
        restrict(ward, corpus=True)
        build_corpus("a")
        assert modes(ward / "corpora" / "a") == {("folder", "0o700"), ("file", "0o600")}
        with pytest.raises(UsageError, match="another config or other data"):
            run_experiment(*config(ward, "bm25", task="open"))
        assert modes(folder) == {("folder", "0o700"), ("file", "0o600")}
    finally:
        os.umask(before)
