"""The prompts of writers: the answer is out of reach, and the options only on request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragbench.base.records import Question
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.parts import TaskPart
from ragbench.experiment.run import prepare_experiment
from ragbench.experiment.writing.instructions import JUDGEMENT, PASSAGES, QUERIES, user_text
from ragbench.experiment.writing.texts import passage_writings, query_writings
from tests.experiment.writing.cases import lines, make_cases


def prompts(grid: Grid) -> list[str]:
    parts = [w.part for _, _, w in [*query_writings(grid), *passage_writings(grid)]]
    return [f"{part.info.instruction}\n{q.text}" for part in parts for q in part.questions]


def other_answer(question: Question) -> Question:
    """Return a question with everything else that a task knows of its answer."""
    return replace(
        question,
        answer=(question.answer + 1) % len(question.options),
        gold_doc_ids=("another",),
        gold_spans=(("another", 0, 9),),
        reference="another",
        stratum="another",
    )


def test_no_prompt_depends_on_the_answer(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = Grid(*load_config(str(make_cases(home) / "written.yaml")))
    before = prompts(grid)
    assert len(before) == 5 * 12
    (task,) = grid.tasks
    changed: TaskPart = replace(task, questions=[other_answer(q) for q in task.questions])
    monkeypatch.setattr(grid, "tasks", [changed])
    assert prompts(grid) == before


def test_options_are_shown_only_on_request() -> None:
    question = "Which disorder is it?"
    for asked in (*QUERIES.values(), PASSAGES, JUDGEMENT):
        hidden = user_text(asked, question, ())
        assert hidden.startswith(f"Question: {question}\n\n") and "Options" not in hidden
        shown = user_text(asked, question, ("gout", "croup"))
        assert "\n\nOptions:\n- gout\n- croup\n\n" in shown
        assert shown.replace("Options:\n- gout\n- croup\n\n", "") == hidden


def test_the_number_of_texts_is_in_both_turns() -> None:
    asked = QUERIES["subquestions"]
    assert "into 4 simpler questions" in asked.system.format(n=4)
    assert user_text(asked, "Q?", (), 4).endswith("Write 4 simpler questions, one per line.")


def test_no_instruction_is_left_open() -> None:
    for asked in (*QUERIES.values(), PASSAGES, JUDGEMENT):
        for text in (asked.system, asked.request):
            assert "{" not in text.format(n=3)


def test_a_plain_prompt_ends_with_what_is_asked_for(home: Path) -> None:
    """A base model continues the prompt; after ``Answer:`` it would answer instead of writing."""
    make_cases(home)
    few = "arms=[closed-book, {name: own-1, retriever: bm25, k: 1, queries: own}]"
    config = load_config(str(home / "written.yaml"), [few, "models.med.format=plain"])
    folder = prepare_experiment(*config).folder.path / "written"
    prompts = {line["digest"]: line["text"] for line in lines(folder / "prompts" / "0.jsonl")}
    ends = {
        model: {
            prompts[record["prompt"]].rpartition("\n\n")[2]
            for record in lines(folder / "records" / f"{model}+cases+queries.own.0.jsonl")
        }
        for model in ("llama", "med")
    }
    assert ends["med"] == {"Reasoning:"}
    assert all(end.endswith("<|assistant|>\n") for end in ends["llama"])
