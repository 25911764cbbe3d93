"""Sentences on what the design of a run, or its answers, leave open."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from ragbench.analysis.clusters import repeats
from ragbench.analysis.family import BASELINE, retrieval_arms
from ragbench.analysis.load import Run
from ragbench.base.pairs import Pair
from ragbench.report.policies import assumed_answers
from ragbench.report.tables import percent
from ragbench.runfolder.scores import EVERY_EMPTY, EVERY_TIE


def limits(run: Run, pairs: list[Pair]) -> Iterator[str]:
    """Yield the limits that the design of the run, or its answers, set."""
    if not pairs:
        yield (
            "The run has no biomedical model together with its base, so it cannot show an effect "
            "of fine-tuning."
        )
    for task in run.members("tasks"):
        arms = run.arms(task)
        if BASELINE not in arms:
            yield f"{task} has no closed-book arm, so the run cannot show a gain from retrieval."
        yield from _merged(run, task)
        if not retrieval_arms(run, task):
            none = f"{task} has no retrieval arm"
            if any(run.config.arm(arm).control is None for arm in run.same[task]):
                none = f"No retrieval arm of {task} changes a prompt"
            yield f"{none}, so the run cannot show a gain from retrieval."
        cells = run.scores[run.scores.task == task]
        n = cells.question_id.nunique()
        if n == 1:
            yield f"{task} has a single question, which supports no conclusion about others."
        if again := repeats(run, task):
            verb = "repeat" if again > 1 else "repeats"
            yield (
                f"{again:,} of the {n:,} questions of {task} {verb} another one; a question and "
                "its repeats count as one cluster."
            )
        yield from _failed(cells)
        yield from _short(run, task, cells)
        yield from _no_spread(run, task, cells)
    yield from assumed_answers(run)


def _merged(run: Run, task: str) -> Iterator[str]:
    """Yield the arms that are one arm, because each question had the same prompt in all of them."""
    same = run.same[task]
    for kept in dict.fromkeys(same.values()):
        *names, last = [kept, *(arm for arm, other in same.items() if other == kept)]
        yield (
            f"On {task}, the arms {', '.join(names)} and {last} gave the same prompts; they are "
            f"one arm, {kept}, in the tables of effects."
        )


def _failed(cells: pd.DataFrame) -> Iterator[str]:
    for (model, task, arm), cell in cells.groupby(["model", "task", "arm"], sort=False):
        reasons = set(cell.error[cell.outcome == "error"]) if "error" in cell else set()
        if nothing := reasons & {EVERY_TIE, EVERY_EMPTY}:
            yield (
                f"{model} on {task}, {arm}: {' and '.join(nothing)}, so the cell has measured "
                "nothing; its figures are bounds, and nothing is tested."
            )
        elif failed := int((cell.outcome == "error").sum()):
            yield (
                f"{model} on {task}, {arm}: {failed:,} of {len(cell):,} questions have no answer; "
                "its figures are bounds, and nothing is tested."
            )


def _short(run: Run, task: str, cells: pd.DataFrame) -> Iterator[str]:
    """Yield the random controls that deliver less than the arm that they imitate."""
    for arm in run.arms(task):
        spec = run.config.arm(arm)
        if spec.control != "random" or "shortfall_tokens" not in cells:
            continue
        cell = cells[cells.arm == arm].drop_duplicates("question_id")  # of all models the same
        short = cell[cell.shortfall_tokens > 0]
        if len(short):
            share = short.passage_tokens / (short.passage_tokens + short.shortfall_tokens)
            yield (
                f"{arm} on {task} is more than 10 % shorter than {spec.like} for {len(short):,} of "
                f"{len(cell):,} questions (down to {percent(float(share.min()))} of its tokens)."
            )


def _no_spread(run: Run, task: str, cells: pd.DataFrame) -> Iterator[str]:
    metric = run.metrics(task)[0]
    for model, cell in cells.groupby("model", sort=False):
        values = cell[metric].dropna()
        if len(cell) > 1 and len(values) == len(cell) and values.nunique() == 1:
            value = float(values.iloc[0])
            what = {1.0: "right", 0.0: "wrong"}.get(value, f"scored {value:g}")
            yield (
                f"{model} on {task}: every answer is {what} in every arm, so these questions "
                "cannot separate the arms."
            )
