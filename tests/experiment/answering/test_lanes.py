"""Which models answer side by side: those behind different servers, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.endpoint import Endpoint, parse
from ragbench.experiment.answering.lanes import phases_of
from ragbench.models.served.server import ServerModel, ServerOptions
from ragbench.models.spec import ModelSpec


def served(name: str, *hosts: str) -> ModelSpec:
    urls = [f"http://{host}/v1" for host in hosts]
    return ModelSpec.model_validate(
        {"name": name, "backend": "server", "url": urls, "model": "owner/x"}
    )


def local(name: str) -> ModelSpec:
    return ModelSpec.model_validate({"name": name, "backend": "scripted"})


def test_served_models_are_one_phase_and_each_of_the_others_its_own() -> None:
    models = [local("p"), served("m", "a"), local("q"), served("n", "b")]
    assert phases_of(models) == [[["m"], ["n"]], [["p"]], [["q"]]]
    assert phases_of([local("p"), local("q")]) == [[["p"]], [["q"]]]
    assert phases_of([served("m", "a")]) == [[["m"]]]
    assert phases_of([]) == []


def test_models_that_share_a_server_share_a_lane() -> None:
    assert phases_of([served("m", "a"), served("n", "b"), served("o", "a")]) == [
        [["m", "o"], ["n"]]
    ]
    joined = [served("m", "a"), served("n", "b"), served("o", "c"), served("p", "c", "a")]
    assert phases_of(joined) == [[["m", "o", "p"], ["n"]]]
    other_path = served("n", "a").model_copy(
        update={"options": served("n", "a/deployments/two").options}
    )
    assert phases_of([served("m", "a"), other_path]) == [[["m"], ["n"]]]


def test_a_proxy_on_the_way_is_no_server_that_is_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = parse("http://proxy:3128")
    real = ServerModel.sends_to

    def through(options: ServerOptions) -> tuple[Endpoint, ...]:
        return (*real(options), proxy)

    monkeypatch.setattr(ServerModel, "sends_to", through)
    assert phases_of([served("m", "a"), served("n", "b")]) == [[["m"], ["n"]]]


def test_a_file_of_addresses_counts_as_its_servers(home: Path) -> None:
    (home / "servers.txt").write_text("http://a/v1\nhttp://b/v1\n")
    entry = {"name": "f", "backend": "server", "url_file": "servers.txt", "model": "owner/x"}
    assert phases_of([ModelSpec.model_validate(entry), served("m", "b"), served("n", "c")]) == [
        [["f", "m"], ["n"]]
    ]
