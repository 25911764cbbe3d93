"""Runs with a pipeline as an arm: called once per question, resumed, judged like a retriever."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import BackendError, DataError, UsageError
from ragbench.base.records import Question
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import Finished, prepare_experiment, run_experiment
from ragbench.experiment.runnables.calling import shown_question
from ragbench.report.write import write_report
from ragbench.runfolder.paths import RunPaths
from tests.models.runnable.pipelines import FACTS, HERE

ASKED = {"q1": "gout", "q2": "croup", "q3": "tea"}


@pytest.fixture
def ward(home: Path) -> Path:
    """A home with a corpus of three facts and a question about each."""
    (home / "corpora").mkdir()
    facts = [{"id": f"d-{name}", "text": text} for name, text in FACTS.items()]
    questions = [
        {
            **{"id": q, "question": f"What is {name}?", "options": ["Secret A", "Secret B"]},
            **{"answer": "Secret A", "gold_doc_ids": [f"d-{name}"]},
        }
        for q, name in ASKED.items()
    ]
    for name, lines in (("facts", facts), ("asked", questions)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (home / f"{name}.jsonl").write_text(text, encoding="utf-8")
    (home / "corpora" / "facts.yaml").write_text("reader: jsonl\npath: ../facts.jsonl\n")
    return home


def config(*arms: Any, **options: Any) -> dict[str, Any]:
    options = {"path": "asked.jsonl", "corpus": "facts", **options}
    return {
        "name": "r",
        "models": [{"name": "m", "backend": "scripted", "rule": "overlap"}],
        "tasks": [{"name": "t", "task": "mcq", "options": options}],
        "arms": ["closed-book", *arms],
    }


def arm(factory: str, *, options: dict[str, str] | None = None, **keys: Any) -> dict[str, Any]:
    own = {"factory": f"{HERE}:{factory}", "trust_code": True, "options": options or {}}
    return {"name": "theirs", "k": 2, "runnable": own, **keys}


def run(*arms: Any, **options: Any) -> Finished:
    return run_experiment(*load_config(config(*arms, **options)))


def packed(folder: RunPaths, name: str) -> dict[str, dict[str, Any]]:
    text = folder.packed("t", name).read_text(encoding="utf-8")
    return {line["question_id"]: line for line in map(json.loads, text.splitlines())}


def test_a_pipeline_is_called_once_per_question_and_judged_like_a_retriever(ward: Path) -> None:
    log = ward / "log"
    entries = [
        arm("search", options={"log": str(log)}, corpus="facts", k=[1, 2]),
        {"control": "random", "like": "theirs-1"},
        {"control": "oracle-removed", "like": "theirs-2"},
        {**arm("search"), "name": "texts", "k": 1},
        {"control": "shuffled", "like": "texts"},
    ]
    done = run(*entries)
    assert done.errors == 0
    asked = [json.loads(line) for line in log.read_text().splitlines()]
    assert [question for _, question in asked] == [f"What is {name}?" for name in ASKED.values()]
    assert {number for number, _ in asked} != {os.getpid()}
    for question, line in packed(done.folder, "theirs-2").items():
        assert line["passages"][0] == f"d-{ASKED[question]}"
        assert line["gold"] == line["gold_known"] == 1
    for question, line in packed(done.folder, "oracle-removed-theirs-2").items():
        assert f"d-{ASKED[question]}" not in line["passages"] and len(line["passages"]) == 2
    texts = packed(done.folder, "texts")
    assert {line["gold_known"] for line in texts.values()} == {0}
    ids = {line["passages"][0] for line in texts.values()}
    assert len(ids) == 3 and all(name.startswith("given-") for name in ids)
    lines = done.folder.passages.read_text(encoding="utf-8").splitlines()
    given = {line["id"]: line for line in map(json.loads, lines) if not line["corpus"]}
    assert {line["text"] for line in given.values()} == set(FACTS.values())
    quality = done.folder.retrieval("t", "theirs", "quality.jsonl").read_text()
    values = [json.loads(line) for line in quality.splitlines()]
    assert {(v["measure"], v["value"]) for v in values} == {
        ("R@1", 1.0),
        ("R@2", 1.0),
        ("RR@2", 1.0),
    }
    assert done.folder.retrieval("t", "texts", "quality.jsonl").read_text() == ""

    write_report(done.folder.path)
    report = (done.folder.path / "report.md").read_text()
    assert "Calls of runnables" in report and "| t | theirs | 3 |" in report
    assert run(*entries).errors == 0
    assert len(log.read_text().splitlines()) == 3  # not called again


def test_a_failed_run_resumes_where_it_stopped(ward: Path) -> None:
    log, mended = ward / "log", ward / "mended"
    entry = arm("once_broken", options={"log": str(log), "mended": str(mended)}, corpus="task")
    with pytest.raises(BackendError, match="question 'q2': RuntimeError: the server is away"):
        run(entry)
    assert not list((ward / "runs" / "r" / "records").glob("*"))  # no model was asked
    mended.touch()
    done = run(entry)
    assert done.errors == 0
    names = [line.split()[-1].rstrip("?") for line in log.read_text().splitlines()]
    assert names == ["gout", "croup", "croup", "tea"]


def test_other_code_is_asked_again_and_refused_once_models_have_answered(ward: Path) -> None:
    path = ward / "changing_app.py"
    path.write_text(
        "class App:\n    def invoke(self, q):\n        return ['old text']\napp = App()\n"
    )
    entry = arm("app")
    entry["runnable"]["factory"] = "changing_app:app"
    prepare_experiment(*load_config(config(entry)))
    calls = ward / "runs" / "r" / "retrieval" / "t+theirs.calls.jsonl"
    assert calls.read_text().count("old text") == 3
    path.write_text(path.read_text().replace("old text", "new text"))
    run(entry)
    assert (calls.read_text().count("old text"), calls.read_text().count("new text")) == (0, 3)
    path.write_text(path.read_text().replace("new text", "third text"))
    with pytest.raises(UsageError, match="another config") as caught:
        run(entry)
    assert "runnables.theirs" in caught.value.where


def test_a_known_passage_with_another_text_is_refused_and_not_saved(ward: Path) -> None:
    with pytest.raises(
        DataError, match="'Gout is' as the passage 'd-gout' of the corpus"
    ) as caught:
        run(arm("other_text", corpus="facts"))
    assert caught.value.where == "question q1"
    calls = ward / "runs" / "r" / "retrieval" / "t+theirs.calls.jsonl"
    assert calls.read_text() == ""
    assert run(arm("other_text")).errors == 0  # without a corpus it is a text of its own


def test_restricted_questions_are_refused_before_any_code_runs(ward: Path) -> None:
    log = ward / "log"
    entry = arm("search", options={"log": str(log)})
    with pytest.raises(
        UsageError, match="runnable of the arm 'theirs' does not say where"
    ) as caught:
        run(entry, data_use="restricted")
    assert "servers: []" in caught.value.fix
    entry["runnable"]["servers"] = ["https://models.example.org"]
    with pytest.raises(UsageError, match=r"is served by models\.example\.org"):
        run(entry, data_use="restricted")
    del entry["runnable"]["servers"]
    card = ward / "corpora" / "facts.yaml"
    card.write_text(card.read_text() + "data_use: restricted\n")
    with pytest.raises(UsageError, match="the corpus 'facts' is restricted, and the runnable of"):
        run({**entry, "corpus": "facts"})
    assert not log.exists()
    entry["runnable"]["servers"] = []
    assert run(entry, data_use="restricted").errors == 0
    folder = ward / "runs" / "r"
    assert {oct(p.stat().st_mode & 0o777) for p in folder.rglob("*.jsonl")} == {"0o600"}


def test_options_are_hidden_unless_they_are_asked_for() -> None:
    question = Question("q", "Long text: what is gout?", ("urate", "tea"), 0, "what is gout?")
    assert shown_question(question, with_options=False) == "what is gout?"
    assert shown_question(question, with_options=True) == "what is gout?\n\nA. urate\nB. tea"


@pytest.mark.slow
def test_a_killed_run_asks_no_question_twice_and_leaves_no_process(ward: Path) -> None:
    """The run is killed while it waits for the third question, which takes ten minutes."""
    log = ward / "log"
    (ward / "slow_app.py").write_text(
        "import json, os, pathlib, time\n"
        "class App:\n"
        "    def invoke(self, q):\n"
        f"        with open({str(log)!r}, 'a') as lines:\n"
        "            lines.write(json.dumps([os.getpid(), q]) + '\\n')\n"
        "        if 'tea' in q and not pathlib.Path(__file__).with_name('fast').exists():\n"
        "            time.sleep(600)\n"
        "        return ['a text']\n"
        "app = App()\n"
    )
    entry = arm("app")
    entry["runnable"]["factory"] = "slow_app:app"
    (ward / "r.yaml").write_text(json.dumps(config(entry)))
    command = [sys.executable, "-m", "ragbench", "run", "r.yaml"]
    environment = {**os.environ, "RAGBENCH_HOME": str(ward)}
    started = subprocess.Popen(command, cwd=ward, env=environment)
    while not log.exists() or log.read_text().count("\n") < 3:
        assert started.poll() is None
        time.sleep(0.05)
    started.send_signal(signal.SIGKILL)
    started.wait()
    number = json.loads(log.read_text().splitlines()[0])[0]
    for _ in range(100):
        if not Path(f"/proc/{number}").exists() or _is_zombie(number):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the process of the pipeline lives on")
    (ward / "fast").touch()
    assert subprocess.run(command, cwd=ward, env=environment, check=False).returncode == 0
    asked = [json.loads(line)[1] for line in log.read_text().splitlines()]
    assert asked == ["What is gout?", "What is croup?", "What is tea?", "What is tea?"]


def _is_zombie(number: int) -> bool:
    """Say whether a process is dead, and only not yet collected by the machine's first process."""
    try:
        return ") Z " in Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return True
