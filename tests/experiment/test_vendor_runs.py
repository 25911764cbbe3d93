"""Plans and runs behind each vendor's server: every question is answered, or a line says why not.

The reply to every question begins with ``B``, the right letter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.run import run_experiment
from ragbench.models.served import http
from ragbench.report.write import write_report
from tests.models.loopback import MODEL, Loopback, loopback
from tests.models.vendors import RuleModel, Vendor, VendorServer

CONFIG = """\
name: vendors
models:
  - {{name: m, backend: server, url: "{url}", model: {model}, retries: 0, context: 4096,
     concurrency: 1{more}}}
tasks:
  - {{name: asked, task: mcq, scoring: {scoring}, options: {{path: asked.jsonl}}}}
arms: [closed-book]
"""
AZURE = ', headers: {api-key: "env:AZURE_KEY"}, api_version: "2024-10-21"'
FIXED = "m: not greedy: the server fixes the temperature, and a reply may differ next time"
UNSEEDED = "m: without a seed: the server takes none"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    monkeypatch.setattr(http, "pause", lambda _: None)
    monkeypatch.setenv("AZURE_KEY", "0123456789abcdef")
    with loopback() as running:
        yield running


def config(home: Path, url: str, scoring: str, vendor: Vendor) -> str:
    line = {"question": "Which one?", "options": ["x", "y", "z"], "answer": "B"}
    (home / "asked.jsonl").write_text(
        "".join(json.dumps({"id": f"q{n}", **line}) + "\n" for n in range(4))
    )
    path = home / "vendors.yaml"
    more = AZURE if vendor == "azure" else ""
    path.write_text(CONFIG.format(url=url, model=MODEL, scoring=scoring, more=more))
    return str(path)


@pytest.mark.parametrize(
    ("vendor", "notes"),
    [
        ("vllm", []),
        ("llama.cpp", []),
        ("openai", []),
        ("openai-o", [FIXED, "m: the limit of a reply is sent as `max_completion_tokens`"]),
        ("azure", []),
        ("ollama", []),
        ("gemini", [UNSEEDED]),
    ],
)
def test_every_vendor_is_planned_and_run(
    home: Path,
    server: Loopback,
    vendor: Vendor,
    notes: list[str],
    capfd: pytest.CaptureFixture[str],
) -> None:
    url = VendorServer(vendor, RuleModel({"B": 20.0, " B": 20.0})).install(server)
    path = config(home, url, "generate", vendor)
    plan = make_plan(OfflineGrid(*load_config(path)))
    assert set(notes) <= set(plan.notes)
    assert plan.estimates[0].requests == 4
    assert run_experiment(*load_config(path)).errors == 0
    printed = capfd.readouterr().err
    assert all(note in " ".join(printed.split()) for note in notes)
    folder = home / "runs" / "vendors"
    assert pd.read_parquet(folder / "scores" / "correct.parquet").accuracy.tolist() == [1.0] * 4
    if notes:
        page = write_report(folder).path.read_text()
        assert notes[0].removeprefix("m: ") in page
        VendorServer("openai").install(server)  # another server, with all parameters
        with pytest.raises(UsageError, match="was started from another config") as caught:
            run_experiment(*load_config(path))
        assert "models.m.changed_parameters" in caught.value.where


@pytest.mark.parametrize("vendor", ["vllm", "llama.cpp", "openai", "azure", "ollama"])
def test_letters_are_planned_and_run(home: Path, server: Loopback, vendor: Vendor) -> None:
    url = VendorServer(vendor, RuleModel({"A": 9.0, "B": 10.0, "C": 8.0})).install(server)
    path = config(home, url, "letters", vendor)
    assert run_experiment(*load_config(path)).errors == 0
    scores = pd.read_parquet(home / "runs" / "vendors" / "scores" / "correct.parquet")
    assert scores.accuracy.tolist() == [1.0] * 4
    assert scores.sent_tokens.tolist() == scores.prompt_tokens.tolist()  # one request each


@pytest.mark.parametrize("vendor", ["openai-o", "gemini"])
def test_letters_are_refused_in_the_plan_where_no_log_probabilities_are(
    home: Path, server: Loopback, vendor: Vendor
) -> None:
    url = VendorServer(vendor).install(server)
    grid = OfflineGrid(*load_config(config(home, url, "letters", vendor)))
    make_plan(grid)
    (refusal,) = grid.refusals
    assert "the server does not score letters" in refusal.what
    assert "scoring: generate" in refusal.fix


@pytest.mark.parametrize("scoring", ["generate", "letters"])
def test_a_server_that_cuts_prompts_silently_gives_errors_and_no_answers(
    home: Path, server: Loopback, scoring: str
) -> None:
    """Ollama's manner: the last 300 tokens of a prompt of over 4,000."""
    rule = RuleModel({"A": 9.0, "B": 10.0, "C": 8.0})
    url = VendorServer("ollama", rule, context=300).install(server)
    path = config(home, url, scoring, "ollama")
    lines = (home / "asked.jsonl").read_text().splitlines()
    long = json.loads(lines[1])
    long["question"] = "Gout " * 1200 + long["question"]
    lines[1] = json.dumps(long)
    (home / "asked.jsonl").write_text("\n".join(lines) + "\n")
    assert run_experiment(*load_config(path)).errors == 1
    scores = pd.read_parquet(home / "runs" / "vendors" / "scores" / "correct.parquet")
    assert scores.outcome.tolist() == ["parsed", "error", "parsed", "parsed"]
    assert "the server read 300 tokens of a prompt of at least 5" in scores.error[1]
