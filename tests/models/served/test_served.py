"""What servers tell of a model, and names that they do not know."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ragbench.base.errors import BackendError, PrerequisiteError
from ragbench.models.served import http
from ragbench.models.served.served import Served, check_same
from ragbench.models.served.server import ServerModel
from tests.models.loopback import MODEL, Loopback, Request, Sent, chat, loopback, spec

CHAT = "/v1/chat/completions"


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
    assert told.told == {"id": MODEL, "root": "/weights", "max_model_len": 8192}
    assert told.identity == {"id": MODEL, "root": "/weights"}
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
        other.script("/v1/models", Sent({"data": [{"id": MODEL, "root": "/other"}]}))
        with pytest.raises(PrerequisiteError, match=r"'root': '/other'.*'root': ''"):
            _ = ServerModel(spec(server, url=both)).served
        other.script("/v1/models", Sent({"data": [{"id": MODEL, "max_model_len": 2048}]}))
        assert ServerModel(spec(server, url=both)).served.context == 2048  # the smaller one


def test_what_changes_no_reply_is_not_in_the_identity(server: Loopback) -> None:
    """The context and the spelling of a path; llama.cpp's sizes tell number formats apart."""

    def identity(**card: object) -> dict[str, object]:
        server.script("/v1/models", Sent({"data": [{"id": MODEL, **card}]}))
        return ServerModel(spec(server)).served.identity

    first = identity(root="/weights/m", max_model_len=4096)
    assert identity(root="/weights//m/", max_model_len=8192) == first
    assert identity(root="/weights/M", max_model_len=4096) != first
    assert identity(root="s3://bucket/m")["root"] == "s3://bucket/m"
    small, large = ({"n_params": 135, "size": n, "n_ctx": 9} for n in (80, 140))
    assert identity(meta=small) != identity(meta=large)
    assert identity(meta=small) == identity(meta={**small, "n_ctx": 10})
    assert identity(meta={"size": True, "n_params": "many"}) == identity()


LISTED = {"id": MODEL, "root": "/weights"}


def again(server: Loopback, *, tokens: bool = True, listed: bool = True) -> None:
    """Check whether a server is back, as after an outage."""
    model = ServerModel(spec(server))
    before = Served(MODEL if listed else "", "/weights" if listed else "", 4096, "")
    check_same(
        model._client.endpoints[0],
        tokens,
        client=model._client.impatient(),
        model=MODEL,
        before=before,
        where="models: m",
        probe=model._asker.one_token,
    )


def test_a_server_is_back_with_its_list_and_a_token(server: Loopback) -> None:
    server.script("/v1/models", Sent({"data": [{**LISTED, "max_model_len": 9}]}))
    again(server)
    assert [request.path for request in server.requests] == ["/v1/models", CHAT]
    again(server, tokens=False)
    assert len(server.requests) == 3
    server.script(CHAT, Sent({"error": {"message": "too few tokens to think"}}, 400))
    again(server)  # a refusal of the request itself is a sign of life


@pytest.mark.parametrize(
    ("listing", "chat_answer", "message"),
    [
        (Sent({}, 503), None, "HTTP 503"),
        (Sent(b"<html>Loading</html>", 503), None, "HTTP 503: <html>Loading"),
        (Sent(b"<html>Welcome</html>"), None, "not a JSON object"),
        (Sent({"error": {"code": 503, "message": "loading"}}), None, "HTTP 503: loading"),
        (Sent({"data": []}), None, "does not list 'owner/served', but no model"),
        (Sent({"data": [{"id": "other"}]}), None, "does not list 'owner/served', but other"),
        (Sent({"data": [LISTED]}), Sent({"error": {"message": "loading"}}, 500), "HTTP 500"),
        (Sent({"data": [LISTED]}), Sent({"detail": "not loaded"}, 404), "HTTP 404"),
        (Sent({"data": [LISTED]}), Sent(b"", claimed=10), "cannot be asked"),
    ],
)
def test_a_server_is_not_back_yet(
    server: Loopback, listing: Sent, chat_answer: Sent | None, message: str
) -> None:
    server.script("/v1/models", listing)
    if chat_answer is not None:
        server.script(CHAT, chat_answer)
    with pytest.raises(BackendError, match=message):
        again(server)


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (
            Sent({"data": [{"id": MODEL, "root": "/tuned"}]}),
            r"serves another model as 'owner/served' since its outage "
            r"\(root: '/weights' before, '/tuned' now\)",
        ),
        (
            Sent({"data": [{**LISTED, "meta": {"size": 8}}]}),
            r"size: \(absent\) before, 8 now",
        ),
        (Sent({"error": "no"}, 401), "HTTP 401"),
    ],
)
def test_no_wait_helps_against_another_model_or_a_key(
    server: Loopback, listing: Sent, message: str
) -> None:
    server.script("/v1/models", listing)
    with pytest.raises(PrerequisiteError, match=message):
        again(server)


def test_a_model_that_is_not_listed_must_be_known_alone_as_before(server: Loopback) -> None:
    def only(request: Request) -> Sent:
        known = request.body["model"] == MODEL
        return Sent(chat("Yes")) if known else Sent({"detail": "pinned"}, 400)

    server.answers[CHAT] = only
    again(server, listed=False)
    server.script(CHAT, Sent({"detail": "pinned"}, 400))
    with pytest.raises(BackendError, match="pinned"):
        again(server, listed=False)
    server.script(CHAT, Sent(chat("Yes")))
    with pytest.raises(PrerequisiteError, match="answers to any name since its outage"):
        again(server, listed=False)
