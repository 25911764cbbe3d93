"""Restricted data and servers elsewhere: nothing is sent, and the message says what to do."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ragbench.base.errors import PrerequisiteError, UsageError
from ragbench.corpora.build import build_corpus
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.run import run_experiment

CONFIG = """\
name: trust
models:
  - {{name: far, backend: server, url: "http://{host}:{port}/v1", model: m, retries: 0}}
indexes:
  bm25: {{recipe: bm25, corpus: notes}}
tasks:
  - {{name: asked, task: mcq, scoring: generate, options: {{path: asked.jsonl, data_use: {use}}}}}
arms: {arms}
"""
QUESTION = {"id": "q", "question": "Which?", "options": ["yes", "no"], "answer": "yes"}
FAR = "203.0.113.77"  # an address of documentation, which nobody has


def own_address() -> str:
    """Return an address of this machine that is not loopback; empty if it has none.

    Connecting a datagram socket sends nothing: it only picks the address.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((FAR, 9))
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
    return "" if address.startswith("127.") else address


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A socket of this machine, at an address that is no loopback, which counts who comes."""
    address = own_address()
    if not address:
        pytest.skip("this machine has loopback addresses alone")
    with socket.create_server((address, 0)) as server:
        server.settimeout(0.2)
        yield server


def nobody_came(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except TimeoutError:
        return True
    return False


def write(home: Path, server: socket.socket | None, *, use: str, arms: str, card: str) -> Path:
    (home / "corpora").mkdir()
    (home / "corpora" / "notes.yaml").write_text(
        f"reader: jsonl\npath: ../notes.jsonl\ndata_use: {card}\n"
    )
    (home / "notes.jsonl").write_text(json.dumps({"id": "d", "text": "yes it is"}) + "\n")
    (home / "asked.jsonl").write_text(json.dumps(QUESTION) + "\n")
    host, port = server.getsockname() if server else (FAR, 8000)
    path = home / "trust.yaml"
    path.write_text(CONFIG.format(host=host, port=port, use=use, arms=arms))
    return path


BM25 = "[closed-book, {retriever: bm25, k: 1, name: found}]"


@pytest.mark.parametrize(
    ("use", "card", "arms", "message"),
    [
        ("restricted", "open", "[closed-book]", "the task 'asked' is restricted"),
        ("open", "restricted", BM25, "the corpus 'notes' behind the arm 'found' is restricted"),
        (
            "open",
            "restricted",
            "[{run_file: r.trec, corpus: notes, k: 1, name: run}]",
            "the corpus 'notes' behind the arm 'run'",
        ),
    ],
)
def test_restricted_data_is_sent_nowhere(
    home: Path, listening: socket.socket, use: str, card: str, arms: str, message: str
) -> None:
    path = write(home, listening, use=use, arms=arms, card=card)
    host, port = listening.getsockname()
    for way in (
        lambda grid: run_experiment(grid.config, grid.document),
        make_plan,
        lambda grid: make_plan(OfflineGrid(grid.config, grid.document)),
        lambda grid: grid.models,
        lambda grid: grid.check_supported(),
    ):
        with pytest.raises(UsageError, match=message) as caught:
            way(Grid(*load_config(str(path))))
        assert f"served by {host}" in caught.value.what
        assert caught.value.where == "models: far: url"
        assert f"trusted_endpoints: ['http://{host}:{port}']" in caught.value.fix
    assert nobody_came(listening)
    assert not list((home / "runs").glob("*/*"))


@pytest.mark.parametrize(("use", "card"), [("open", "open"), ("bring-your-own", "open")])
def test_the_same_without_restriction_does_connect(
    home: Path, listening: socket.socket, use: str, card: str
) -> None:
    """So that the test above sees a silence that means something."""
    path = write(home, listening, use=use, arms=BM25, card=card)
    grid = Grid(*load_config(str(path), ["models.0.timeout_s=0.3"]))
    with pytest.raises(PrerequisiteError, match="far cannot be asked"):
        grid.check_supported()
    assert not nobody_came(listening)


def test_a_restricted_corpus_that_no_arm_uses_is_no_matter(home: Path) -> None:
    path = write(home, None, use="open", arms="[closed-book]", card="restricted")
    assert "far" in Grid(*load_config(str(path))).models


def test_a_trusted_origin_may_have_it_and_no_other(home: Path) -> None:
    path = write(home, None, use="restricted", arms="[closed-book]", card="open")
    trusted = f"trusted_endpoints=['http://{FAR}:8000/']"
    assert "far" in Grid(*load_config(str(path), [trusted])).models
    for other in (f"http://{FAR}:8001", f"https://{FAR}:8000", "http://203.0.113.78:8000"):
        with pytest.raises(UsageError, match="is restricted"):
            _ = Grid(*load_config(str(path), [f"trusted_endpoints=['{other}']"])).models


def test_a_pattern_trusts_the_hosts_below_a_name(home: Path) -> None:
    path = write(home, None, use="restricted", arms="[closed-book]", card="open")
    trusted = "trusted_endpoints=['https://*.gpu.hospital.example:8443']"
    inside = "models.0.url=https://n7.gpu.hospital.example:8443/v1"
    assert "far" in Grid(*load_config(str(path), [trusted, inside])).models
    outside = "models.0.url=https://a.n7.gpu.hospital.example:8443/v1"
    with pytest.raises(UsageError, match="is restricted"):
        _ = Grid(*load_config(str(path), [trusted, outside])).models
    for refused in ("https://*.example", "http://10.1.2.*", "https://*"):
        with pytest.raises(UsageError, match=r"star|pattern"):
            load_config(str(path), [f"trusted_endpoints=['{refused}']"])


def test_this_machine_may_have_it(home: Path) -> None:
    path = write(home, None, use="restricted", arms="[closed-book]", card="open")
    urls = "models.0.url=['http://127.0.0.1:1/v1', 'http://localhost:1/v1', 'http://[::1]:1/v1']"
    assert "far" in Grid(*load_config(str(path), [urls])).models
    urls = f"models.0.url=['http://127.0.0.1:1/v1', 'http://{FAR}:1/v1']"
    with pytest.raises(UsageError, match=f"served by {FAR}"):
        _ = Grid(*load_config(str(path), [urls])).models


def test_a_corpus_stays_restricted_as_it_was_built(home: Path) -> None:
    path = write(home, None, use="open", arms=BM25, card="restricted")
    build_corpus("notes")
    card = home / "corpora" / "notes.yaml"
    card.write_text(card.read_text().replace("restricted", "open"))
    with pytest.raises(UsageError, match="the corpus 'notes'"):
        _ = Grid(*load_config(str(path))).models


@pytest.mark.parametrize("address", ["host", "http://host/v1", "http://u:secret@host", "*"])
def test_trusted_endpoints_are_origins(home: Path, address: str) -> None:
    path = write(home, None, use="open", arms="[closed-book]", card="open")
    with pytest.raises(UsageError, match=r"an address is|has no path|a star stands"):
        load_config(str(path), [f"trusted_endpoints=['{address}']"])
