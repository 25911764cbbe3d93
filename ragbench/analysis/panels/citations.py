"""Which passages replies name by number, whether they exist, and whether they are gold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import Settings
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded
from ragbench.base.words import cited
from ragbench.runfolder.packed import delivered_ids
from ragbench.runfolder.passages import read_passages

CITATION_COLUMNS = [
    "model",
    "task",
    "arm",
    "n",
    "citing",
    "citing_share",
    "citing_low",
    "citing_high",
    "citations",
    "nonexistent",
    "nonexistent_share",
    "judged",
    "gold",
    "gold_share",
    "status",
]
COUNTS = ("n", "citing", "citations", "nonexistent", "judged", "gold")


def citations(run: Run) -> pd.DataFrame:
    """Return what the replies of every cell cite, for tasks that ask for citations.

    ``citing`` of n replies name a passage. ``citations`` counts each passage once per reply;
    ``nonexistent`` of them have a number that the prompt does not have. ``judged`` are those of
    passages in prompts of which it is known which passages are gold, and ``gold`` those of them
    that are. It is unknown for questions without known gold, and for chunks that are gold by the
    place of the answer. A cell with failed questions is ``incomplete`` and counts only what was
    answered, without an interval.
    """
    rows: list[dict[str, Any]] = []
    tasks = [task for task in run.members("tasks") if run.facts(task).cite]
    doc_ids = {}
    if tasks:
        doc_ids = {key[1]: p.doc_id for key, p in read_passages(run.files.passages).items()}
    for model in run.members("models"):
        for task in tasks:
            rows += [_row(run, model, task, arm, doc_ids) for arm in run.arms(task)]
    table = pd.DataFrame(rows, columns=CITATION_COLUMNS)
    return table.astype(dict.fromkeys(COUNTS, "Int64"))


def _row(run: Run, model: str, task: str, arm: str, doc_ids: dict[str, str]) -> dict[str, Any]:
    cell = run.cell(model, task, arm).set_index("question_id")
    answered = cell[cell.outcome != "error"]
    packed = delivered_ids(run.files.delivered(task, arm, model))
    corpus = run.corpus_of(task, arm)
    gold = {q.id: run.ids_in(corpus, q.gold_doc_ids) for q in run.questions(task)}
    counts = dict.fromkeys(("citations", "nonexistent", "judged", "gold"), 0)
    named = [cited(reply) for reply in answered["reply"].fillna("").astype(str)]
    told = answered["gold_delivered"].to_numpy()
    for name, numbers, delivered in zip(answered.index, named, told, strict=True):
        passages = packed.get(str(name), ())
        there = [passages[number - 1] for number in numbers if 0 < number <= len(passages)]
        counts["citations"] += len(numbers)
        counts["nonexistent"] += len(numbers) - len(there)
        wanted = gold[str(name)]
        is_gold = {p: p in wanted or doc_ids.get(p) in wanted for p in passages}
        if wanted and sum(is_gold.values()) == delivered:
            counts["judged"] += len(there)
            counts["gold"] += sum(is_gold[p] for p in there)
    citing = np.array([bool(numbers) for numbers in named], dtype=np.float64)
    complete = len(answered) == len(cell)
    settings = Settings.of(run.config)
    low, high = math.nan, math.nan
    if complete:
        low, high = interval_of_mean(
            citing,
            seeded(settings.seed, model, task, arm, "citing"),
            clusters=cluster_codes(run, task, answered),
            resamples=settings.resamples,
            alpha=settings.alpha,
        )
    return {
        **{"model": model, "task": task, "arm": arm, "n": len(answered)},
        "citing": int(citing.sum()),
        "citing_share": _of(citing.sum(), citing.size),
        **{"citing_low": low, "citing_high": high},
        **counts,
        "nonexistent_share": _of(counts["nonexistent"], counts["citations"]),
        "gold_share": _of(counts["gold"], counts["judged"]),
        "status": "complete" if complete else "incomplete",
    }


def _of(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan
