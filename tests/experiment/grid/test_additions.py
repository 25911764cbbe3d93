"""Citations and the option to abstain: what they add to prompts, and how replies are read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.panels.abstaining import abstaining
from ragbench.analysis.panels.citations import citations
from ragbench.analysis.results import write_tables
from ragbench.base.errors import UsageError
from ragbench.base.records import ABSTAIN, Passage, Question, Scoring
from ragbench.experiment.config.config import load_config
from ragbench.experiment.config.spec import TaskSpec
from ragbench.experiment.grid.additions import CITE, MAY_ABSTAIN, with_additions
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.run import run_experiment
from ragbench.experiment.stages.prompts import continuations, messages
from ragbench.runfolder.packed import delivered_ids
from ragbench.tasks.replies import reply_readers
from ragbench.tasks.replies.traces import citing
from ragbench.tasks.task import Answers, TaskInfo
from tests.conftest import make_mixed_home
from tests.docs.test_formats import names

QUESTION = Question("q", "What is it?", ("gout", "croup"), 0, "What is it?")
EXAMPLE = Question("e", "And this?", ("mumps", "asthma"), 1, "And this?")


def part(scoring: Scoring = "generate", answers: Answers = "option", **keys: Any) -> TaskPart:
    info = TaskInfo("Be brief.", "c", "", "open", answers=answers, examples=(EXAMPLE,))
    spec = TaskSpec.model_validate({"name": "t", **keys})
    return with_additions(TaskPart(spec, info, [QUESTION], scoring, 9), "config.yaml:1")


def prompt(found: TaskPart, passages: list[Passage]) -> list[str]:
    turns = messages(found.info, found.questions[0], passages, found.scoring)
    return [turn.content for turn in turns]


def test_a_task_that_adds_nothing_is_as_it_was() -> None:
    assert (part().questions, part().info.examples) == ([QUESTION], (EXAMPLE,))
    assert part().info.instruction == "Be brief."


def test_citing_is_asked_for_in_every_arm_alike() -> None:
    found = part(cite=True)
    closed, given = (prompt(found, ps) for ps in ([], [Passage("d", "d", "T", "X")]))
    assert closed[0] == given[0] == f"Be brief. {CITE}"
    assert found.questions == [QUESTION]


@pytest.mark.parametrize("scoring", ["letters", "generate"])
def test_abstaining_is_a_lettered_option(scoring: Scoring) -> None:
    found = part(scoring, abstain=True)
    shown = prompt(found, [])
    assert shown[0] == "Be brief."
    assert f"A. gout\nB. croup\nC. {ABSTAIN}" in shown[-1]
    assert f"C. {ABSTAIN}" in shown[1]  # the example has the option, too
    assert continuations(found.questions[0], "letters") == ("A", "B", "C")
    assert found.questions[0].answer == 0


@pytest.mark.parametrize(("scoring", "answers"), [("options", "option"), ("generate", "label")])
def test_where_options_are_not_listed_a_sentence_names_it(
    scoring: Scoring, answers: Answers
) -> None:
    found = part(scoring, answers, abstain=True)
    assert found.info.instruction == f"Be brief. {MAY_ABSTAIN}"
    assert found.questions[0].options[-1] == ABSTAIN


def test_what_makes_no_sense_is_refused() -> None:
    for scoring in ("letters", "options"):
        with pytest.raises(UsageError, match="`cite` needs generated replies"):
            part(scoring, cite=True)
    with pytest.raises(UsageError, match="are texts"):
        part(answers="text", abstain=True)


@pytest.mark.parametrize(
    ("reply", "pick"),
    [
        ("B [1]", 1),
        ("B. croup [2, 3]", 1),
        ("The answer is B [1][2].", 1),
        ("Answer: A [1-3]", 0),
        ("[2] A", 0),
        ("C", 2),
        (f"C. {ABSTAIN}", 2),
        (ABSTAIN, 2),
        (f"{ABSTAIN}.", 2),
        (f"The answer is C. {ABSTAIN}.", 2),
    ],
)
def test_replies_that_cite_or_abstain_are_read(reply: str, pick: int) -> None:
    asked = replace(QUESTION, options=("gout", "croup", ABSTAIN))
    found = citing(reply_readers.get("option", where=""))(reply, asked, "stop")
    assert (found.outcome, found.pick, found.text) == ("parsed", pick, reply)


# A run in which the model's replies are given.

CONFIG = """\
name: careful
seed: 5
indexes:
  bm25: {recipe: bm25}
models:
  - name: scripted
    backend: scripted
    replies:
      - {matches: "(?s)passages:.*Which disease is a lack of vitamin C", reply: "A [1] [9]"}
      - {matches: "(?s)passages:.*Which disease is a lack of vitamin D", reply: "D [2]"}
      - {matches: "(?s)passages:.*Which disease is a lack of thiamine", reply: "B"}
      - {contains: "Which disease", reply: "D"}
tasks:
  - name: facts
    task: mcq
    scoring: generate
    cite: true
    abstain: true
    options: {path: facts.jsonl, corpus: facts}
arms:
  - closed-book
  - {retriever: bm25, k: 2}
"""


def test_a_run_with_both(home: Path) -> None:
    make_mixed_home(home)
    (home / "careful.yaml").write_text(CONFIG, encoding="utf-8")
    run_experiment(*load_config(str(home / "careful.yaml")))
    run = load_run(home / "runs" / "careful")
    facts = json.loads((run.path / "run.json").read_text(encoding="utf-8"))["identity"]["tasks"]
    assert facts["facts"]["cite"] is facts["facts"]["abstain"] is True
    by_arm = {row["arm"]: row for row in abstaining(run).to_dict(orient="records")}
    # Closed-book, all six abstain. With passages: A, D, B and three times D.
    assert (by_arm["closed-book"]["abstained"], by_arm["closed-book"]["coverage"]) == (6, 0)
    assert (by_arm["bm25-2"]["abstained"], by_arm["bm25-2"]["answered"]) == (4, 2)
    options = {q.id: q.options for q in run.questions("facts")}
    assert all(o[-1] == ABSTAIN and len(o) == 4 for o in options.values())
    named = {row["arm"]: row for row in citations(run).to_dict(orient="records")}
    # Two of six replies cite: [1] and [9] of two passages, and [2].
    found = named["bm25-2"]
    assert (found["citing"], found["n"]) == (2, 6)
    assert (found["citations"], found["nonexistent"]) == (3, 1)
    packed = delivered_ids(run.files.packed("facts", "bm25-2"))
    gold = [packed["q-scurvy"][0] == "d-scurvy", packed["q-rickets"][1] == "d-rickets"]
    assert (found["judged"], found["gold"]) == (2, sum(gold))
    assert named["closed-book"]["citations"] == 0
    write_tables(run)
    assert list(pd.read_csv(run.path / "citations.csv")) == names("The first has")
    assert list(pd.read_csv(run.path / "abstaining.csv")) == names("The second has")
