"""Rounds: the second finds what the first misses, and a question ends when nothing is new."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.base.errors import BackendError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.experiment.writing.rounds import new_queries
from ragbench.indexes.built import open_index
from ragbench.indexes.composite.fusion import rrf
from ragbench.indexes.evaluation.runfile import read_run
from ragbench.report.write import write_report
from ragbench.runfolder.packed import delivered_ids, read_rounds
from ragbench.runfolder.paths import RunPaths
from tests.conftest import FACTS, made_once
from tests.experiment.writing.cases import NAMES, N, calls, case, lines, make_cases
from tests.experiment.writing.test_asking import same_files, texts

K = 3
ENOUGH = NAMES[0]  # of which the first round is said to be enough
EMPTY = NAMES[1]  # for which the first reply is empty
FOUND = [name for name in NAMES if name not in (ENOUGH, EMPTY)]
CONFIG = """\
name: rounds
seed: 3
indexes: {bm25: {recipe: bm25, corpus: facts}}
models:
  - {name: llama, backend: scripted, rule: overlap, replies: rounds.jsonl, calls: calls.jsonl}
  - {name: med, backend: scripted, rule: overlap, seed: 1, calls: calls.jsonl, kind: biomedical,
     base: llama}
tasks:
  - {name: cases, task: mcq, scoring: letters, options: {path: cases.jsonl, corpus: facts}}
arms:
  - closed-book
  - {name: plain-3, retriever: bm25, k: 3}
  - {name: one-3, retriever: bm25, k: 3, rounds: {by: llama, n: 1}}
  - {name: three-3, retriever: bm25, k: 3, rounds: {by: llama, n: 3}}
  - {name: own-3, retriever: bm25, k: 3, rounds: {by: each, n: 2}}
  - {name: bare-3, retriever: bm25, k: 3, rounds: {by: llama, n: 2, answers: false}}
  - {control: random, like: three-3}
"""


def note(name: str) -> str:
    """Return the word that one passage alone has, which names the finding."""
    return f"wardnote{chr(97 + NAMES.index(name)) * 3}"


def table() -> list[dict[str, Any]]:
    """Return replies: the first round asks for a note, the second for what the note says."""
    found = []
    for name in NAMES:
        start, finding = f"(?s){case(name)[:8]}.*", f"sign{NAMES.index(name) + 31}"
        ask = ".*follow-up questions that were not"
        fact = "NONE" if name == ENOUGH else f"1. {FACTS[name]}?"
        # The second round must have seen the answer, or the passage.
        found += [
            {"matches": f"{start}Answer: It is {finding}.*{FACTS[name]}{ask}", "reply": "NONE"},
            {"matches": f"{start}Answer: It is {finding}{ask}", "reply": fact},
            {"matches": f"(?s){finding}.*{case(name)[:8]}.*{note(name)}{ask}", "reply": fact},
            {"matches": f"(?s){finding}.*{note(name)}.*two sentences", "reply": f"It is {finding}"},
            {"matches": f"{start}{ask[2:]}", "reply": "" if name == EMPTY else f"- {note(name)}?"},
        ]
    return found


def make_rounds(home: Path) -> Path:
    make_cases(home)
    passages = [
        {"id": f"n-{name}", "text": f"{note(name)} says sign{NAMES.index(name) + 31}."}
        for name in NAMES
    ]
    with (home / "facts.jsonl").open("a") as handle:
        handle.write("".join(json.dumps(line) + "\n" for line in passages))
    (home / "rounds.jsonl").write_text("".join(json.dumps(line) + "\n" for line in table()))
    (home / "rounds.yaml").write_text(CONFIG)
    return home


def run(home: Path, *overrides: str) -> Path:
    return run_experiment(*load_config(str(home / "rounds.yaml"), overrides)).folder.path


def finished_rounds(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(folder))
        write_report(run(make_rounds(folder)))


@pytest.fixture(scope="session")
def rounds_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_once(tmp_path_factory, "rounds", finished_rounds)


@pytest.fixture
def rounds_run(rounds_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAGBENCH_HOME", str(rounds_home))
    return rounds_home / "runs" / "rounds"


def test_the_second_round_finds_what_the_first_misses(rounds_run: Path) -> None:
    files = RunPaths(rounds_run)
    found = {
        arm: delivered_ids(files.packed("cases", arm)) for arm in ("one-3", "three-3", "bare-3")
    }
    for name in FOUND:
        assert f"d-{name}" in found["three-3"][f"q-{name}"]
        assert f"d-{name}" in found["bare-3"][f"q-{name}"]
    first = sum(f"d-{name}" in found["one-3"][f"q-{name}"] for name in FOUND)
    results = pd.read_csv(rounds_run / "results.csv").set_index(["model", "arm", "metric"]).value
    assert first < len(FOUND) / 2
    assert results["-", "bm25~three-3", f"R@{K}"] >= len(FOUND) / N - 1e-9
    assert results["-", "bm25~one-3", f"R@{K}"] < 0.5
    for model in ("llama", "med"):
        gain = results[model, "three-3", "accuracy"] - results[model, "one-3", "accuracy"]
        assert gain > 0.2


def test_every_round_is_saved_with_what_it_found(rounds_run: Path) -> None:
    asked = read_rounds(RunPaths(rounds_run).rounds("cases", "three-3"))
    for name in FOUND:
        line = asked[f"q-{name}"]
        assert line.by == "llama"
        assert line.queries == (f"{note(name)}?", f"{FACTS[name]}?")
        assert line.rounds[0].passages[0][0] == f"n-{name}"
        assert line.rounds[0].answers == (f"It is sign{NAMES.index(name) + 31}",)
        assert line.rounds[1].passages[0][0] == f"d-{name}"
        assert line.stopped == "done"
    assert asked[f"q-{ENOUGH}"].queries == (f"{note(ENOUGH)}?",)
    assert asked[f"q-{ENOUGH}"].stopped == "done"
    assert (asked[f"q-{EMPTY}"].queries, asked[f"q-{EMPTY}"].stopped) == ((), "empty")


def test_the_queries_and_the_question_are_fused(rounds_run: Path) -> None:
    """Fused again from single searches of the index."""
    index = open_index("bm25-facts")
    found = read_run(RunPaths(rounds_run).retrieval("cases", "bm25~three-3", "trec"))
    for name in FOUND:
        queries = [case(name), f"{note(name)}?", f"{FACTS[name]}?"]
        expected = rrf([[hit.id for hit in hits] for hits in index.search(queries, 100)])
        assert [i for i, _ in found[f"q-{name}"]] == [i for i, _ in expected]


def test_each_model_asks_for_itself(rounds_run: Path) -> None:
    files = RunPaths(rounds_run)
    mine, other = (read_rounds(files.rounds("cases", "own-3", m)) for m in ("llama", "med"))
    assert mine[f"q-{FOUND[0]}"].queries == (f"{note(FOUND[0])}?", f"{FACTS[FOUND[0]]}?")
    assert {line.by for line in other.values()} == {"med"}
    assert files.packed("cases", "own-3", "med").exists()


def test_all_calls_count_in_the_cost(rounds_run: Path) -> None:
    scores = pd.read_parquet(rounds_run / "scores" / "correct.parquet")
    counts = scores[scores.model == "llama"].set_index(["arm", "question_id"]).written_calls
    # Three rounds, and an answer to the one query of each of the first two.
    assert counts["three-3", f"q-{FOUND[0]}"] == 5
    assert counts["random-three-3", f"q-{FOUND[0]}"] == 5
    assert counts["three-3", f"q-{ENOUGH}"] == 3  # asked, answered, and NONE
    assert counts["three-3", f"q-{EMPTY}"] == 1
    assert counts["bare-3", f"q-{FOUND[0]}"] == 2
    assert counts["one-3", f"q-{FOUND[0]}"] == 1


def test_the_report_counts_questions_that_ended_early(rounds_run: Path) -> None:
    text = (rounds_run / "report.md").read_text(encoding="utf-8")
    assert "llama asked follow-up questions in at most 3 rounds, each answered" in text
    assert "llama asked follow-up questions in one round;" in text
    assert f"{N} of {N} questions ended before round 3 found anything new" in text
    assert "1 with an empty reply" in text


def test_a_round_that_was_killed_goes_on_and_gives_the_same(rounds_home: Path, home: Path) -> None:
    """As a kill in the middle of the second round leaves it."""
    shutil.copytree(rounds_home, home, dirs_exist_ok=True)
    copy, whole = home / "runs" / "rounds", rounds_home / "runs" / "rounds"
    records = copy / "written" / "records"
    torn = records / "llama+cases+rounds.three-3.2.0.jsonl"
    held = torn.read_text().splitlines(keepends=True)
    torn.write_text("".join(held[:4]) + held[4][:50])
    for name in ("answers.three-3.2", "rounds.three-3.3"):
        (records / f"llama+cases+{name}.0.jsonl").unlink()
    for name in ("records", "prompts", "packed", "rounds", "retrieval", "scores", "sums.json"):
        path = copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(copy / "written" / "retrieval")
    before = len(calls(home))
    run(home)
    assert texts(copy) == texts(whole)
    same_files(copy, whole, "packed", "rounds", "retrieval", "prompts", "written/retrieval")
    written = [call for call in calls(home)[before:] if call[1] == "generate"]
    again = (
        len(held)
        - 4
        + sum(
            len(lines(records / f"llama+cases+{name}.0.jsonl"))
            for name in ("answers.three-3.2", "rounds.three-3.3")
        )
    )
    assert len(written) == again


def test_a_round_that_fails_stops_before_the_next(home: Path) -> None:
    make_rounds(home)
    arms = "arms=[closed-book, {name: r, retriever: bm25, k: 3, rounds: {by: llama, n: 2}}]"
    with pytest.raises(BackendError, match="texts that models write"):
        run(home, arms, "models.llama.fail_every=5")
    folder = home / "runs" / "rounds"
    assert not (folder / "packed").exists()
    assert {p.name for p in RunPaths(folder).written.all_records()} == {
        "llama+cases+rounds.r.1.0.jsonl"
    }


def test_a_filter_judges_what_the_rounds_found(home: Path) -> None:
    make_rounds(home)
    arms = (
        "arms=[closed-book, {name: r-1, retriever: bm25, k: 1, depth: 3, "
        "rounds: {by: llama, n: 2}, filter: {by: each, keep: 0}}]"
    )
    folder = run(home, arms)
    names = {p.name for p in RunPaths(folder).written.all_records()}
    assert {f"{m}+cases+filter.bm25~r-1~3.0.jsonl" for m in ("llama", "med")} <= names
    scores = pd.read_parquet(folder / "scores" / "correct.parquet")
    mine = scores[(scores.arm == "r-1") & (scores.question_id == f"q-{FOUND[0]}")]
    assert mine.written_calls.tolist() == [2 + 1 + 3] * 2


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("1. A?\n2. B?\n3. C?", (("A?", "B?"), "")),
        ("1. Seen\n2. B?\n3. C?", (("B?", "C?"), "")),
        ("A?\na ?", (("A?",), "")),
        ("A?\nNone.", (("A?",), "")),
        ("seen?", ((), "repeated")),
        ("NONE", ((), "done")),
        (" ", ((), "empty")),
    ],
)
def test_new_queries(reply: str, expected: tuple[tuple[str, ...], str]) -> None:
    assert new_queries(reply, {"seen"}, 2) == expected
