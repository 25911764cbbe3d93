"""A run analysed once for all tests that only read it, and one whose every text attacks."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.results import results
from ragbench.report.headline import Headline, headline
from ragbench.report.sections import Section, sections
from ragbench.report.write import write_report
from tests.report.browsing import Driver, started
from tests.runfolder.sealing import reseal

ATTACK = "</script><img src=x onerror=\"hacked('x')\"><!--<script>{{ 7 * 7 }}\u2028&lt;b&gt;\ud800'"
MODEL = "<img src=x onerror=hacked(1)>"


def change_lines(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Put every line of a JSON-lines file through a function."""
    lines = [change(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


@dataclass(frozen=True)
class Analysed:
    """A run with its tables and the parts of its report."""

    run: Run
    results: pd.DataFrame
    effects: pd.DataFrame
    head: Headline
    parts: list[Section]


def analysed(path: Path) -> Analysed:
    """Analyse a run folder."""
    run = load_run(path)
    found, gains = results(run), effects(run)
    head = headline(run, found, gains)
    return Analysed(run, found, gains, head, list(sections(run, found, gains)))


@pytest.fixture(scope="session")
def mixed(mixed_home: Path) -> Analysed:
    """The mixed run; read it, do not change it."""
    return analysed(mixed_home / "runs" / "mixed")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """One browser for all tests."""
    yield from started(tmp_path_factory.mktemp("chromium"))


@pytest.fixture(scope="session")
def mixed_page(mixed_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the mixed run, in a folder of its own; read it, do not change it."""
    folder = tmp_path_factory.mktemp("page") / "mixed"
    shutil.copytree(mixed_home / "runs" / "mixed", folder)
    return write_report(folder).page


@pytest.fixture
def hostile(mixed_copy: Path) -> Path:
    """A run folder with ATTACK in questions, options, passages, prompts, replies and errors."""
    for path in (mixed_copy / "questions").glob("*.jsonl"):
        change_lines(
            path,
            lambda q: (
                q | {"text": ATTACK + q["text"], "options": [ATTACK + o for o in q["options"]]}
            ),
        )
    change_lines(
        mixed_copy / "passages.jsonl",
        lambda p: p | {"title": ATTACK, "text": ATTACK + p["text"]},
    )
    change_lines(mixed_copy / "prompts" / "0.jsonl", lambda p: p | {"text": ATTACK + p["text"]})
    about = json.loads((mixed_copy / "run.json").read_text(encoding="utf-8"))
    about["config"]["description"] = ATTACK
    about["config"]["models"][0]["name"] = MODEL
    about["identity"]["models"] = {MODEL: about["identity"]["models"]["scripted"]}
    about["identity"]["tasks"]["facts"]["note"] = ATTACK
    (mixed_copy / "run.json").write_text(json.dumps(about), encoding="utf-8")
    for path in (mixed_copy / "records").iterdir():
        path.rename(path.with_name(path.name.replace("scripted", MODEL)))
    table = mixed_copy / "scores" / "correct.parquet"
    scores = pd.read_parquet(table)
    scores["model"] = MODEL
    scores["reasoning"] = ATTACK.replace("\ud800", "")  # Arrow refuses half a pair by itself
    scores["error"] = scores["reasoning"]
    scores.to_parquet(table)
    reseal(mixed_copy)
    return mixed_copy
