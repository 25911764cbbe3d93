"""Headers of requests: secrets come from the environment and are shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.endpoint import parse
from ragbench.base.errors import BackendError, PrerequisiteError, UsageError
from ragbench.experiment.config.config import load_config
from ragbench.models.served.http import Client
from ragbench.models.served.keys import Keys, check_headers
from tests.models.loopback import Sent, loopback

SECRET = "0123456789abcdef"


def test_values_are_read_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = Keys("m", "A_KEY", {"X-Api-Key": "env:OTHER_KEY", "anthropic-version": "2023-06-01"})
    monkeypatch.setenv("A_KEY", "first")
    monkeypatch.setenv("OTHER_KEY", "second")
    headers = {
        "authorization": "Bearer first",
        "x-api-key": "second",
        "anthropic-version": "2023-06-01",
    }
    assert keys.read() == (headers, ("first", "second"))
    monkeypatch.setenv("OTHER_KEY", "third")
    assert keys.read()[0]["x-api-key"] == "third"
    monkeypatch.setenv("OTHER_KEY", "two words")
    with pytest.raises(PrerequisiteError, match="OTHER_KEY cannot be a key") as caught:
        keys.read()
    assert "two words" not in str(caught.value)
    monkeypatch.delenv("OTHER_KEY")
    with pytest.raises(PrerequisiteError, match="OTHER_KEY is not set") as caught:
        keys.read()
    assert caught.value.where == "models: m: headers: x-api-key"


@pytest.mark.parametrize(
    ("headers", "match"),
    [
        ({"api-key": SECRET}, "may hold a secret"),
        ({"Authorization": f"Bearer {SECRET}"}, "may hold a secret"),
        ({"x-auth-token": SECRET}, "may hold a secret"),
        ({"cookie": SECRET}, "may hold a secret"),
        ({"api-key": f"env:{SECRET}"}, "names no environment variable"),
        ({"Host": "other.example.org"}, "sets the header 'Host' itself"),
        ({"content-length": "0"}, "itself"),
        ({"x-a": "1\r\nhost: other"}, "cannot be sent"),
        ({"x a": "1"}, "cannot be sent"),
    ],
)
def test_headers_that_are_refused(headers: dict[str, str], match: str) -> None:
    with pytest.raises(ValueError, match=match) as caught:
        check_headers(headers)
    assert SECRET not in str(caught.value)


def test_a_config_with_a_secret_is_refused_without_repeating_it(home: Path) -> None:
    path = home / "c.yaml"
    for headers in (f"{{api-key: {SECRET}}}", f"[{SECRET}]", f"{{x: [{SECRET}]}}"):
        path.write_text(
            'name: c\nmodels:\n  - {name: m, backend: server, url: "http://127.0.0.1:1/v1", '
            f"model: x, headers: {headers}}}\ntasks: [mcq]\narms: [closed-book]\n"
        )
        with pytest.raises(UsageError) as caught:
            load_config(str(path))
        assert SECRET not in str(caught.value)
        assert "c.yaml:3" in caught.value.where


def test_a_secret_is_in_no_message_and_in_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", SECRET)
    with loopback() as server:
        client = Client(
            "m",
            [parse(server.url)],
            timeout_s=5,
            retries=0,
            key_env=None,
            headers={"api-key": "env:OTHER_KEY"},
            query="?api-version=2024-10-21",
        )
        path = "/v1/models?api-version=2024-10-21"
        server.script(path, Sent({"message": f"not {SECRET}"}, 400), Sent({"id": SECRET}))
        for expected in (r"not \*\*\*", "sent the key back"):
            with pytest.raises(BackendError, match=expected) as caught:
                client.ask("/models")
            assert SECRET not in str(caught.value)
        assert server.requests[0].headers["api-key"] == SECRET
