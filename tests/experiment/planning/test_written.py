"""A plan counts what models write before the answers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.planning.plan import Plan, make_plan
from tests.experiment.writing.cases import N, make_cases

ANSWERS = 11 * N  # of each model, one per arm


@pytest.fixture
def plan(home: Path) -> Plan:
    return make_plan(Grid(*load_config(str(make_cases(home) / "written.yaml"))))


def test_calls_of_writers_are_counted(plan: Plan) -> None:
    prompts = {found.model: found.prompts for found in plan.estimates}
    # llama writes rationale, own, parts, shown and memory; med own and memory, and judges 12 each.
    assert prompts == {"llama": ANSWERS + 5 * N, "med": ANSWERS + 2 * N + 12 * N}
    written = {found.model: found.reply_tokens for found in plan.estimates}
    assert written == {
        "llama": N * (256 + 256 + 192 + 64 + 2 * 200),
        "med": N * (256 + 2 * 200),
    }


def test_the_plan_says_what_is_written_and_who_gets_what(plan: Plan) -> None:
    notes = "\n".join(plan.notes)
    assert "the queries 'rationale', by llama: 12 replies of at most 256 tokens" in notes
    assert "the queries 'own', by llama, med: 24 replies of at most 256 tokens" in notes
    assert "judgements of the first 12 passages of bm25~parts, by med: 144 prompts" in notes
    assert "own-1: each model has its own queries" in notes
    assert "rationale-1: all models get the same passages" in notes


def test_samples_say_that_passages_are_not_known_yet(plan: Plan) -> None:
    notes = {sample.arm: sample.note for sample in plan.samples}
    assert "when a model has written the queries" in notes["own-1"]
    assert notes["memory"] == notes["shuffled-memory"] != ""


def test_a_writing_is_one_note_over_all_tasks(home: Path) -> None:
    path = str(make_cases(home) / "written.yaml")
    task = "{name: %s, task: mcq, scoring: letters, options: {path: cases.jsonl, corpus: facts}}"
    several = f"tasks=[{task % 'cases'}, {task % 'again'}]"
    plan = make_plan(Grid(*load_config(path, [several])))
    mine = [note for note in plan.notes if "before the first answer" in note]
    assert len(mine) == 6  # four entries of queries, one arm of passages, one filter
    assert "the queries 'own', by llama, med: 48 replies of at most 256 tokens" in "\n".join(mine)


def test_rounds_are_counted_as_if_none_ended_early(home: Path) -> None:
    path = str(make_cases(home) / "written.yaml")
    arms = (
        "arms=[closed-book, {name: r, retriever: bm25, k: 2, rounds: {by: llama, n: 3, queries: 2}}"
        ", {name: bare, retriever: bm25, k: 2, rounds: {by: med, n: 2, answers: false}}]"
    )
    plan = make_plan(Grid(*load_config(path, [arms])))
    # Three rounds, and two answers after each of the first two.
    prompts = {found.model: found.prompts for found in plan.estimates}
    assert prompts == {"llama": 3 * N + 3 * N + 2 * 2 * N, "med": 3 * N + 2 * N}
    notes = "\n".join(plan.notes)
    assert "the rounds of r, by llama: 36 replies at most, of at most 128 tokens" in notes
    assert "the answers between the rounds of r, by llama: 48 replies at most" in notes
    assert "r: all models get the same passages" in notes


@pytest.mark.parametrize(
    ("override", "what", "key"),
    [
        ("queries.rationale.reply_limit=8000", "queries.rationale", "queries.rationale"),
        ("arms.memory.write.reply_limit=8000", "passages.memory", "write"),
        (
            "arms=[closed-book, {name: r, retriever: bm25, k: 1, rounds: {by: llama, "
            "reply_limit: 8000}}]",
            "rounds.r.1",
            "rounds",
        ),
    ],
)
def test_a_reply_limit_without_room_is_refused_and_the_limit_that_fits_is_named(
    home: Path, override: str, what: str, key: str
) -> None:
    """The limit in the advice leaves exactly the prompt's room: one token more is refused."""
    path = str(make_cases(home) / "written.yaml")

    def planned(text: str) -> None:
        make_plan(Grid(*load_config(path, ["models.llama.context=8050", text])))

    with pytest.raises(UsageError, match="with a reply of 8,000 does not fit") as refused:
        planned(override)
    assert what in refused.value.where
    fix = re.fullmatch(rf"set {key}.*reply_limit.* to ([0-9,]+) or less", refused.value.fix)
    assert fix is not None
    limit = int(fix[1].replace(",", ""))
    planned(override.replace("8000", str(limit)))
    with pytest.raises(UsageError, match="does not fit"):
        planned(override.replace("8000", str(limit + 1)))
