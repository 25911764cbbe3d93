"""What servers tell of a model, and names that they do not know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragbench.base.errors import PrerequisiteError
from ragbench.models.served import http
from ragbench.models.served.server import ServerModel
from tests.models.loopback import MODEL, Loopback, Request, Sent, chat, loopback, spec


@pytest.fixture(autouse=True)
def no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "pause", lambda _: None)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with loopback() as running:
        yield running


def test_what_vllm_tells(server: Loopback) -> None:
    """The fields of vLLM's model card, and its version beside the API."""
    card = {"id": MODEL, "object": "model", "root": "/weights", "max_model_len": 8192}
    server.script("/v1/models", Sent({"object": "list", "data": [card]}))
    server.script("/version", Sent({"version": "0.11.0"}))
    told = ServerModel(spec(server)).served
    assert told.identity == {"id": MODEL, "root": "/weights", "max_model_len": 8192}
    assert told.server == "loopback/1 0.11.0"


@pytest.mark.parametrize(
    ("card", "context"),
    [
        ({"meta": {"n_ctx_train": 131072, "n_ctx": 4096}}, 4096),
        ({"meta": {"n_ctx_train": 131072}}, None),
        ({"context_length": 2048}, 2048),
        ({"max_model_len": "many", "meta": None}, None),
        ({"max_model_len": 0}, None),
    ],
)
def test_the_context_is_what_the_server_takes(
    server: Loopback, card: dict[str, object], context: int | None
) -> None:
    server.script("/v1/models", Sent({"data": [{"id": MODEL, **card}]}))
    assert ServerModel(spec(server)).served.context == context


def test_a_wrong_name_lists_the_near_ones(server: Loopback) -> None:
    server.script(
        "/v1/chat/completions", Sent({"error": {"message": "The model does not exist"}}, 404)
    )
    with pytest.raises(PrerequisiteError, match="does not know the model 'owner/serve'") as caught:
        _ = ServerModel(spec(server, model="owner/serve")).served
    assert f"did you mean {MODEL!r}" in caught.value.fix


def test_a_server_that_answers_to_any_name_is_not_believed(server: Loopback) -> None:
    """As llama.cpp does: it serves what it serves, whatever it is asked for."""
    with pytest.raises(PrerequisiteError, match="does not know the model 'other'"):
        _ = ServerModel(spec(server, model="other")).served
    assert server.asked("/v1/chat/completions")[0].body["model"] == "other"


@pytest.mark.parametrize("listing", [Sent({"data": []}), Sent({}, 500), Sent({}, 404), Sent({})])
def test_a_name_that_is_not_listed_passes_where_others_do_not(
    server: Loopback, listing: Sent
) -> None:
    """As transformers does: it lists the cache, and serves a folder."""

    def only(request: Request) -> Sent:
        known = request.body["model"] == "/weights"
        return Sent(chat("Yes")) if known else Sent({"detail": "pinned"}, 400)

    server.script("/v1/models", listing)
    server.answers["/v1/chat/completions"] = only
    told = ServerModel(spec(server, model="/weights")).served
    assert (told.id, told.context) == ("", None)


def test_a_server_that_wants_a_key_says_so(server: Loopback) -> None:
    server.script("/v1/models", Sent({"error": "Unauthorized"}, 401))
    with pytest.raises(PrerequisiteError, match="HTTP 401: Unauthorized") as caught:
        _ = ServerModel(spec(server)).served
    assert "api_key_env" in caught.value.fix


def test_an_address_that_is_no_api_is_an_error(server: Loopback) -> None:
    server.script("/v1/models", Sent(b"<html>Welcome</html>"))
    with pytest.raises(PrerequisiteError, match="not a JSON object: <html>Welcome"):
        _ = ServerModel(spec(server)).served
    wrong = spec(server, url=server.url.removesuffix("/v1"))
    with pytest.raises(PrerequisiteError) as caught:
        _ = ServerModel(wrong).served
    assert "ends in /v1" in caught.value.fix


def test_two_addresses_must_tell_the_same(server: Loopback) -> None:
    with loopback() as other:
        both = [server.url, other.url]
        assert ServerModel(spec(server, url=both)).served.id == MODEL
        other.script("/v1/models", Sent({"data": [{"id": MODEL, "max_model_len": 2048}]}))
        with pytest.raises(
            PrerequisiteError, match=r"'max_model_len': 2048.*'max_model_len': 4096"
        ):
            _ = ServerModel(spec(server, url=both)).served
