"""Leak guard: what written queries and passages say of the answer, and what retrieval adds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.load import Run
from ragbench.analysis.panels.leakage import right_answer
from ragbench.analysis.statistics.estimate import Cells, Settings
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded
from ragbench.analysis.stopping import fixed_test
from ragbench.base.records import TRACES, open_trace
from ragbench.base.words import plain
from ragbench.runfolder.config import (
    ArmEntry,
    WritingEntry,
    passages_name,
    query_name,
    round_name,
)
from ragbench.runfolder.records import Record, last_records

LEAST_CHARACTERS = 4  # a shorter answer, such as `no`, is in too many texts by chance
BREAK = " | "  # not a word, so that no match crosses it
LEAK_COLUMNS = [
    *("task", "writer", "kind", "name", "options"),
    *("n", "right", "right_share", "right_low", "right_high"),
    *("n_wrong", "wrong", "wrong_share", "wrong_low", "wrong_high"),
]
GAIN_COLUMNS = [
    *("task", "model", "arm", "control", "n", "accuracy", "control_accuracy"),
    *("difference", "ci_low", "ci_high", "p"),
]
NAN = float("nan")


class _Wrote(NamedTuple):
    """A writing of a config, with the names of its records."""

    kind: str
    name: str
    by: WritingEntry
    records: tuple[str, ...]


def written_leaks(run: Run) -> pd.DataFrame:
    """Return how often an answer is in what a model wrote, by task, writer and writing.

    ``right``: the words of the right option, or of the reference, are in sequence in the queries
    or passages of a question. ``wrong``: those of a wrong option are, unless they are part of the
    right one. Answers of fewer than four characters are not searched for, nor is a task whose
    questions share their options, such as yes and no. Reasoning traces are no part of a text.
    """
    rows = [row for task in run.members("tasks") for row in _leaks_of(run, task)]
    return pd.DataFrame(rows, columns=LEAK_COLUMNS)


def _leaks_of(run: Run, task: str) -> Iterator[dict[str, Any]]:
    if run.facts(task).classes is not None:
        return
    found = dict.fromkeys(one for arm in run.arms(task) for one in _writings(run, arm))
    for one in found:
        for writer in dict.fromkeys(one.by.writer(model) for model in run.members("models")):
            texts: dict[str, str] = {}
            for name in one.records:
                path = run.files.written.records(writer, task, name)
                for question, record in last_records(path).items():
                    texts[question] = f"{texts.get(question, '')}{BREAK}{_text(record)}"
            said = {"task": task, "writer": writer, "kind": one.kind, "name": one.name}
            yield (
                said | {"options": one.by.options} | _shares(run, task, texts, list(said.values()))
            )


def _writings(run: Run, arm: str) -> Iterator[_Wrote]:
    """Yield what models write for an arm to search with or to deliver."""
    spec: ArmEntry = run.config.arm(arm)
    queries = run.config.queries.get(spec.queries or "")
    if queries is not None and spec.queries is not None:
        yield _Wrote(queries.write, spec.queries, queries, (query_name(spec.queries),))
    if spec.write is not None:
        yield _Wrote("passages", arm, spec.write, (passages_name(arm),))
    if spec.rounds is not None:
        numbers = range(1, (spec.rounds.n or 0) + 1)
        yield _Wrote("rounds", arm, spec.rounds, tuple(round_name(arm, n) for n in numbers))


def _text(record: Record) -> str:
    """Return the words of a reply after its reasoning trace."""
    text = f"{record.opened or ''}{record.reply or ''}"
    if open_trace(text) is not None:
        return ""
    for _, closing in TRACES:
        text = text.rpartition(closing)[2]
    return f" {plain(text)} "


def _shares(run: Run, task: str, texts: dict[str, str], names: Sequence[str]) -> dict[str, Any]:
    right: dict[str, bool] = {}
    wrong: dict[str, bool] = {}
    for question in run.questions(task):
        text = texts.get(question.id, "")
        answer = f" {plain(right_answer(question))} "
        if len(answer.strip()) >= LEAST_CHARACTERS:
            right[question.id] = answer in text
        options = question.options if question.answer >= 0 else ()
        others = (f" {plain(option)} " for option in options)
        wanted = [o for o in others if len(o.strip()) >= LEAST_CHARACTERS and o not in answer]
        if wanted:
            wrong[question.id] = any(other in text for other in wanted)
    return _share(run, task, right, names, "right") | _share(run, task, wrong, names, "wrong")


def _share(
    run: Run, task: str, found: dict[str, bool], names: Sequence[str], what: str
) -> dict[str, Any]:
    settings = Settings.of(run.config)
    values = np.array(list(found.values()), dtype=np.float64)
    clusters = cluster_codes(run, task, pd.DataFrame({"question_id": list(found)}))
    low, high = interval_of_mean(
        values,
        seeded(settings.seed, *names, what),
        clusters=clusters,
        resamples=settings.resamples,
        alpha=settings.alpha,
    )
    share = float(values.mean()) if values.size else NAN
    n = "n" if what == "right" else "n_wrong"
    counts = {n: len(found), what: int(values.sum()), f"{what}_share": share}
    return counts | {f"{what}_low": low, f"{what}_high": high}


def written_gains(run: Run) -> pd.DataFrame:
    """Return what arms with written queries gain over passages that the same writer wrote.

    The control is an arm with ``write`` whose writer is that of the queries: its passages have
    what the writer knew, and nothing that was retrieved. The difference is paired by question.
    """
    rows = []
    for task in run.members("tasks"):
        specs = [run.config.arm(arm) for arm in run.arms(task)]
        controls = [spec for spec in specs if spec.write is not None]
        for spec in specs:
            one = spec.rounds or run.config.queries.get(spec.queries or "")
            for control in controls if one is not None else ():
                for model in run.members("models"):
                    if (
                        one is not None
                        and control.write is not None
                        and one.writer(model) == control.write.writer(model)
                    ):
                        rows.append(_gain(run, task, model, spec.name, control.name))
    return pd.DataFrame(rows, columns=GAIN_COLUMNS)


def _gain(run: Run, task: str, model: str, arm: str, control: str) -> dict[str, Any]:
    metric = run.metrics(task)[0]
    cells = [
        run.cell(model, task, name).set_index("question_id")[metric] for name in (arm, control)
    ]
    table = pd.concat(cells, axis=1, keys=("arm", "control")).dropna()
    pair = Cells(table.to_numpy(dtype=np.float64) * (1.0, -1.0), cluster_codes(run, task, table))
    said = fixed_test(run, pair, [task, model, arm, control, metric])
    return {
        **{"task": task, "model": model, "arm": arm, "control": control, "n": len(table)},
        **{"accuracy": table["arm"].mean(), "control_accuracy": table["control"].mean()},
        "difference": float(pair.differences.mean()) if len(table) else NAN,
        "ci_low": said.low if said else NAN,
        "ci_high": said.high if said else NAN,
        "p": said.p if said else NAN,
    }
