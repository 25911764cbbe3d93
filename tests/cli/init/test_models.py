"""Which models a config compares: found, given, or asked of a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.cli.init.models import chosen_models, is_model, local_reason
from tests.cli.init.data import write_model
from tests.models.loopback import Sent, loopback


def test_folders_of_language_models_are_told_from_encoders(tmp_path: Path) -> None:
    assert is_model(write_model(tmp_path / "llama"))
    encoder = write_model(tmp_path / "bert", "BertModel")
    assert not is_model(encoder)
    assert "BertModel, which is no language model" in local_reason(encoder)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("[", encoding="utf-8")
    assert not is_model(tmp_path / "broken")


def test_cards_hub_ids_and_files(home: Path) -> None:
    (home / "tiny.gguf").touch()
    names = (
        "card:openbiollm-8b",
        "m42-health/Llama3-Med42-8B",
        "own/Other-7B",
        f"{home}/tiny.gguf",
    )
    entries, unknown = chosen_models([], names, None, None, None)
    assert [entry.keys for entry in entries] == [
        {"card": "openbiollm-8b"},
        {"card": "med42-v2-8b"},  # the card of this id
        {"name": "other-7b", "model": "own/Other-7B"},
        {"name": "tiny", "path": "./tiny.gguf"},
    ]
    assert unknown == []  # cards know their base


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("card:openbiolm-8b", "there is no model card 'openbiolm-8b'"),
        ("gpt", "there is no model 'gpt'"),
        ("tests/cli", "is no language model"),
    ],
)
def test_models_that_are_none(name: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[3])
    with pytest.raises(UsageError, match=what):
        chosen_models([], [name], None, None, None)


def test_a_pair(home: Path) -> None:
    entries, _ = chosen_models([], [], ("own/Base", "own/Med"), None, None)
    assert entries[1].keys == {
        "name": "med",
        "model": "own/Med",
        "kind": "biomedical",
        "base": "base",
    }
    with pytest.raises(UsageError, match="is a biomedical model, and the first"):
        chosen_models([], [], ("card:openbiollm-8b", "own/Base"), None, None)


def test_an_adapter_and_its_base(home: Path) -> None:
    base = write_model(home / "Base")
    adapter = home / "tuned"
    adapter.mkdir()
    stated = adapter / "adapter_config.json"
    stated.write_text(json.dumps({"base_model_name_or_path": "/elsewhere/Base"}), encoding="utf-8")
    entries, unknown = chosen_models([base, adapter], [], None, None, None)
    assert entries[1].keys == {
        "name": "tuned",
        "adapter": "./tuned",
        "kind": "biomedical",
        "base": "base",
    }
    assert unknown == ["whether tuned was fine-tuned on biomedical texts"]
    stated.write_text(json.dumps({"base_model_name_or_path": "owner/Tiny"}), encoding="utf-8")
    (home / "Tiny.Q4.gguf").touch()
    entries, _ = chosen_models([home / "Tiny.Q4.gguf", adapter], [], None, None, None)
    assert [entry.name for entry in entries] == ["tiny.q4", "tuned"]
    assert entries[1].keys["base"] == "tiny.q4"  # no download of what is here
    stated.write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="the base of the adapter 'tuned' is not here"):
        chosen_models([adapter], [], None, None, None)


def test_a_server_is_asked_for_its_models(home: Path) -> None:
    with loopback() as server:
        listed = [{"id": "own/Med-7B", "max_model_len": 8192}, {"id": "own/med-7b"}, {"id": "\n"}]
        server.answers["/v1/models"] = lambda _: Sent({"data": listed})
        entries, unknown = chosen_models([], [], None, server.url, None)
        first, second = (entry.keys for entry in entries)
        assert first == {
            "name": "med-7b",
            "backend": "server",
            "url": server.url,
            "model": "own/Med-7B",
        }
        assert (second["name"], second["context"]) == ("med-7b-2", 4096)
        assert any("how many tokens own/med-7b takes" in line for line in unknown)
        assert [request.path for request in server.requests] == ["/v1/models"]
        with pytest.raises(UsageError, match="the server has no model 'other'") as caught:
            chosen_models([], ["other"], None, server.url, None)
        assert "own/Med-7B" in caught.value.fix


def test_a_server_that_does_not_answer(home: Path) -> None:
    url = "http://127.0.0.1:9/v1"  # the port of `discard`, where nothing listens
    with pytest.raises(PrerequisiteError, match="does not say which models it has") as caught:
        chosen_models([], [], None, url, None)
    assert "--model" in caught.value.fix
    entries, unknown = chosen_models([], ["mine"], None, url, "SERVER_KEY")
    assert entries[0].keys["api_key_env"] == "SERVER_KEY"
    assert any("whether the server" in line for line in unknown)
