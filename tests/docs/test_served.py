"""The pages of docs/how-to/served/: their tables are measured here, and their configs run."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import pandas as pd
import pytest
import yaml

from ragbench.base.errors import PrerequisiteError
from ragbench.base.records import Scoring
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.models.model import Asked
from ragbench.models.served.server import ServerModel
from ragbench.models.spec import ModelSpec
from scripts.fake_server import FakeServer
from scripts.fakes.manners import SERVED
from scripts.fakes.rule import Fact, RuleModel
from scripts.fakes.vendors import VENDORS
from tests.docs.page import DOCS, Block, blocks

PAGES = sorted((DOCS / "how-to" / "served").glob("*.md"))
IMITATION = re.compile(r"easured on the imitation `([a-z.-]+)`")
VENDOR_OF = {  # of a config
    "llama-cpp": "llama.cpp",
    "lm-studio": "lmstudio",
    "reasoning": "openai-o",
    "services": "litellm-drop",
}
HOW = {  # the rule that a model's facts have, by what a table says
    "`logprob_token_ids`": "logprob_token_ids",
    "`completions`": "completions alone",
    "`completions`, then `echo`": "completions, then echo",
    "`chat`": "chat alone",
}
SCORINGS: dict[str, Scoring] = {name: name for name in get_args(Scoring)}
KEY = "0123456789abcdef"


@dataclass(frozen=True)
class Row:
    """A row of a table."""

    scoring: Scoring
    format: str
    works: str
    how: str
    requests: str


def tables() -> dict[str, list[Row]]:
    """Return the rows of all tables, by the imitation that they were measured on."""
    found = defaultdict(list)
    for page in PAGES:
        vendor = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if named := IMITATION.search(line):
                vendor = named[1]
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if line.startswith("| ") and cells[0] in SCORINGS:
                scoring: Scoring = SCORINGS[cells[0]]
                found[vendor].append(Row(scoring, *cells[1:]))
    return found


def configs() -> list[Block]:
    return [b for page in PAGES for b in blocks(page) if (b.file or "").endswith(".yaml")]


def test_every_page_has_a_config_and_a_table_of_every_scoring() -> None:
    assert len(PAGES) == 8
    for page in PAGES:
        assert any((block.file or "").endswith(".yaml") for block in blocks(page)), page
        assert IMITATION.search(page.read_text(encoding="utf-8")), page
    assert set(tables()) == set(VENDORS) - {"transformers"}
    for rows in tables().values():
        assert {row.scoring for row in rows} == set(SCORINGS)


@pytest.mark.parametrize("vendor", sorted(tables()))
def test_a_table_says_what_the_imitation_does(vendor: str) -> None:
    fake = VENDORS[vendor](RuleModel())
    with FakeServer(fake.answer) as server:
        for row in tables()[vendor]:
            entry: dict[str, object] = {
                **{"name": "m", "backend": "server", "url": server.origin + fake.base},
                **{"model": SERVED, "format": row.format, "context": 4096, "retries": 0},
            }
            if vendor == "azure":
                entry |= {"headers": {"api-key": "env:AZURE_KEY"}, "api_version": "2024-10-21"}
            model = ServerModel(ModelSpec.model_validate(entry))
            assert measured(model, row) == row


def measured(model: ServerModel, row: Row) -> Row:
    """Return a row as the server gives it, with the text of the table where it is right."""
    try:
        model.check_abilities([Asked(row.scoring, False)])
    except PrerequisiteError as error:
        works = "with `tokenizer`" if "model's `tokenizer`" in error.fix else "no"
        how, requests = (row.how, row.requests) if works != "no" else ("", "")
        return Row(row.scoring, row.format, works, how, requests)
    served = model.facts().served
    assert served is not None
    how, requests = row.how, row.requests
    if row.scoring == "letters":
        how = next((text for text, rule in HOW.items() if rule == served.letters), "")
        if not row.requests.startswith(f"{served.requests('letters', 4)}"):
            requests = "another number"
    return Row(row.scoring, row.format, "yes", how, requests)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("OPENAI_API_KEY", "AZURE_KEY", "GATEWAY_KEY", "GEMINI_API_KEY", "ANTHROPIC_API_KEY")
    for name in names:
        monkeypatch.setenv(name, KEY)


@pytest.mark.slow
@pytest.mark.parametrize("block", configs(), ids=lambda block: block.file)
def test_a_config_runs_behind_its_imitation(block: Block, home: Path) -> None:
    """With the right answers, B and A, from a model that knows them."""
    assert block.file is not None
    page = next(page for page in PAGES if block in blocks(page))
    questions = next(b for b in blocks(page) if b.file == "questions.jsonl")
    (home / "questions.jsonl").write_text(questions.text)
    (home / block.file).write_text(block.text)
    name = Path(block.file).stem
    models = yaml.safe_load(block.text)["models"]
    facts = [
        Fact("Which lack causes scurvy?", "B", "no such text", "B"),
        Fact("Which lack causes goitre?", "A", "no such text", "A"),
    ]
    rule = RuleModel({"A": 7.0, "B": 7.0}, facts=facts)
    key = KEY if "api_key_env" in models[0] or "headers" in models[0] else ""
    fake = VENDORS[VENDOR_OF.get(name, name)](rule, models[0]["model"], 8192, key)
    with FakeServer(fake.answer) as server:
        changes = [f"models.{model['name']}.url={server.origin}{fake.base}" for model in models]
        changes += [f"models.{model['name']}.model={fake.served}" for model in models]
        assert run_experiment(*load_config(str(home / block.file), changes)).errors == 0
    scores = pd.read_parquet(home / "runs" / name / "scores" / "correct.parquet")
    assert scores.accuracy.tolist() == [1.0] * 2 * len(models)
