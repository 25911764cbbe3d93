"""Scores along two axes: the number of delivered passages, and the place of the gold one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ragbench.analysis.clusters import cluster_codes
from ragbench.analysis.family import retrieval_arms
from ragbench.analysis.load import Run
from ragbench.analysis.statistics.estimate import Settings
from ragbench.analysis.statistics.inference import Bounds
from ragbench.analysis.statistics.intervals import interval_of_mean, seeded
from ragbench.runfolder.config import ArmEntry
from ragbench.runfolder.packed import delivered_ids
from ragbench.runfolder.passages import read_passages

FEWEST_K = 3  # two points are no curve
PLACING = {"moved": "gold moved", "shuffled": "shuffled"}  # controls that place passages
KEYS = ["model", "task", "curve"]
CURVE_COLUMNS = [*KEYS, "arm", "delivered_k", "metric", "n", "value", "ci_low", "ci_high"]
TREND_COLUMNS = [*KEYS, "metric", "n", "points", "slope", "ci_low", "ci_high", "refused"]
PLACE_COLUMNS = [*KEYS, "k", "place", "metric", "n", "value", "ci_low", "ci_high"]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curves:
    """Every curve of a run.

    Attributes:
        points: CURVE_COLUMNS, one row per arm.
        trends: TREND_COLUMNS, one row per curve; ``slope`` is the score gained by doubling the
            delivered passages, ``refused`` the reason where there is no curve.
    """

    points: pd.DataFrame
    trends: pd.DataFrame


def curves(run: Run) -> Curves:
    """Return the score against the passages that were delivered.

    A curve joins the retrieval arms that differ only in k. Its points are at the mean number of
    passages *delivered*, not asked for, which must be at least one; every point has the same
    questions, and its own interval. The slope is the least-squares slope on the binary logarithm of
    that number. A curve with fewer than three different numbers is refused.
    """
    points: list[dict[str, Any]] = []
    trends: list[dict[str, Any]] = []
    for model in run.members("models"):
        for task in run.members("tasks"):
            for name, arms in _families(run, task, _but_k).items():
                if len(arms) > 1:
                    base = {"model": model, "task": task, "curve": name}
                    found, trend = _curve(run, base, arms)
                    points += found
                    trends.append(trend)
    return Curves(
        pd.DataFrame(points, columns=CURVE_COLUMNS), pd.DataFrame(trends, columns=TREND_COLUMNS)
    )


def _but_k(arm: ArmEntry) -> ArmEntry:
    """Return what arms of one curve share."""
    return replace(arm, name="", k=None, tasks=())


def _but_order(arm: ArmEntry) -> ArmEntry:
    """Return what arms share that give the same passages in different orders."""
    return replace(arm, name="", order="", tasks=())


def _families(run: Run, task: str, shared: Callable[[ArmEntry], ArmEntry]) -> dict[str, list[str]]:
    """Return the retrieval arms of a task that share everything but some keys, by a name."""
    found: dict[ArmEntry, list[str]] = {}
    for name in retrieval_arms(run, task):
        arm = run.config.arm(name)
        if arm.k is not None:
            found.setdefault(shared(arm), []).append(name)
    names = Counter(_retriever(run.config.arm(arms[0])) for arms in found.values())
    return {
        name if names[name] == 1 else f"{name} ({arms[0]})": arms
        for arms in found.values()
        if (name := _retriever(run.config.arm(arms[0])))
    }


def _retriever(arm: ArmEntry) -> str:
    return arm.retriever or "+".join(arm.fuse) or arm.run_file or arm.name


def _curve(
    run: Run, base: dict[str, Any], arms: list[str]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    metric = run.metrics(base["task"])[0]
    cells = {
        arm: run.cell(base["model"], base["task"], arm).set_index("question_id") for arm in arms
    }
    trend = base | {"metric": metric, "points": len(arms)}
    if any((cell.outcome == "error").any() for cell in cells.values()):
        return [], trend | {"refused": "some questions have no answer"}
    delivered = {arm: float(cell.delivered_k.mean()) for arm, cell in cells.items()}
    held = sorted((arm for arm in arms if delivered[arm] >= 1), key=lambda arm: delivered[arm])
    distinct = len({round(delivered[arm], 6) for arm in held})
    if distinct < FEWEST_K:
        reason = f"{distinct} different numbers of delivered passages, and a curve takes {FEWEST_K}"
        return [], trend | {"refused": reason}
    table = pd.concat([cells[arm][metric] for arm in held], axis=1, join="inner").dropna()
    values = np.asarray(table, dtype=np.float64)
    if not len(values):
        return [], trend | {"refused": "no question has a value in every arm"}
    clusters = cluster_codes(run, base["task"], cells[held[0]].loc[table.index])
    settings = Settings.of(run.config)
    doublings = np.log2([delivered[arm] for arm in held])

    def band(scores: Values, name: str, bounds: Bounds | None = None) -> tuple[float, float]:
        return interval_of_mean(
            scores,
            seeded(settings.seed, *base.values(), "k-curve", name),
            clusters=clusters,
            resamples=settings.resamples,
            alpha=settings.alpha,
            bounds=bounds,
        )

    rows = []
    for i, arm in enumerate(held):
        low, high = band(values[:, i], arm)
        rows.append(
            base
            | {"arm": arm, "delivered_k": delivered[arm], "metric": metric, "n": len(values)}
            | {"value": float(values[:, i].mean()), "ci_low": low, "ci_high": high}
        )
    # The slope of the means is the mean of the questions' slopes.
    slopes, steepest = slope(doublings, values), slope(doublings, _steepest(doublings))
    low, high = math.nan, math.nan
    if not run.is_stopped:  # the slope is a paired difference
        low, high = band(slopes, "slope", (-float(steepest[0]), float(steepest[0])))
    found = {"n": len(values), "points": len(held), "slope": float(slopes.mean()), "refused": ""}
    return rows, trend | found | {"ci_low": low, "ci_high": high}


def _steepest(x: Values) -> Values:
    """Return the values from 0 to 1 that rise most, (1, P)."""
    return np.asarray(x > x.mean(), dtype=np.float64)[None, :]


def slope(x: Values, y: Values) -> Values:
    """Return the least-squares slopes (R,) of the rows of ``y`` (R, P) on ``x`` (P,)."""
    centred = x - x.mean()
    return np.asarray(y @ centred / (centred @ centred))


def places(run: Run) -> pd.DataFrame:
    """Return the score by the place of the first gold passage among those delivered.

    The controls that move the gold passage of one arm count together: every question is asked with
    its gold passage at each of their places. So do arms that differ only in ``order``. A control
    that shuffles the passages draws the places at random; a retrieval arm does not: questions
    whose gold passage comes first are those that retrieval finds easy.

    Only prompts with two passages or more, and with gold among them, count. Prompts do not count
    whose gold passages are unknown, because chunks are gold by the place of the answer, nor do
    arms in which some questions have no answer. There are no rows where gold is not known or has
    a single place.
    """
    rows: list[dict[str, Any]] = []
    by_passage: dict[str, str] = {}
    for task in run.members("tasks"):
        gold = {q.id: set(q.gold_doc_ids) for q in run.questions(task) if q.gold_doc_ids}
        if not gold:
            continue
        by_passage = by_passage or {
            key[1]: p.doc_id for key, p in read_passages(run.files.passages).items()
        }
        for name, arms in _placed(run, task).items():
            for model in run.members("models"):
                found = pd.concat(
                    [_first_gold(run, model, task, arm, gold, by_passage) for arm in arms]
                )
                if found.place.nunique() > 1:
                    rows += _by_place(run, model, task, name, found)
    return pd.DataFrame(rows, columns=PLACE_COLUMNS)


def _placed(run: Run, task: str) -> dict[str, list[str]]:
    """Return the arms that give the same passages in different orders, or move the gold one."""
    moved: dict[str, list[str]] = {}
    for arm in run.config.arms:
        if arm.control in PLACING and arm.name in run.arms(task):
            moved.setdefault(f"{arm.like}, {PLACING[arm.control]}", []).append(arm.name)
    return _families(run, task, _but_order) | moved


def _first_gold(
    run: Run,
    model: str,
    task: str,
    arm: str,
    gold: Mapping[str, set[str]],
    doc_ids: Mapping[str, str],
) -> pd.DataFrame:
    told = run.cell(model, task, arm).set_index("question_id").gold_delivered
    rows = []
    for question, passages in delivered_ids(run.files.delivered(task, arm, model)).items():
        wanted = gold.get(question, set())
        # Gold ids match passages if any do, else documents; the run has counted them.
        for names in (passages, [doc_ids.get(passage) for passage in passages]):
            hits = [place for place, name in enumerate(names, 1) if name in wanted]
            if hits and len(hits) == told.get(question) and len(passages) > 1:
                rows.append({"arm": arm, "question_id": question, "place": hits[0]})
                break
    return pd.DataFrame(rows, columns=["arm", "question_id", "place"])


def _by_place(
    run: Run, model: str, task: str, name: str, found: pd.DataFrame
) -> Iterator[dict[str, Any]]:
    metric, settings = run.metrics(task)[0], Settings.of(run.config)
    scores = run.scores[(run.scores.model == model) & (run.scores.task == task)]
    failed = scores[scores.outcome == "error"].arm
    table = found[~found.arm.isin(failed)].merge(scores, on=["arm", "question_id"])
    table = table[table[metric].notna()]
    for place, cell in table.groupby("place"):
        values = np.asarray(cell[metric], dtype=np.float64)
        # A question that two arms ask is one unit.
        codes = cluster_codes(run, task, cell)
        if codes is None and cell.question_id.duplicated().any():
            codes = np.asarray(pd.factorize(cell.question_id)[0], dtype=np.int64)
        low, high = interval_of_mean(
            values,
            seeded(settings.seed, model, task, name, f"place {place}"),
            clusters=codes,
            resamples=settings.resamples,
            alpha=settings.alpha,
        )
        yield {
            **{"model": model, "task": task, "curve": name, "k": cell.k.max(), "place": place},
            **{"metric": metric, "n": values.size, "value": float(values.mean())},
            **{"ci_low": low, "ci_high": high},
        }
