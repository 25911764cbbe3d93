"""Tables as a header and rows of text, the same for Markdown, HTML and terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ragbench.analysis.family import (
    BASELINE,
    FINE_TUNING,
    GAIN,
    OF_PAIR,
    OVER_TASKS,
    primary_arm,
    retrieval_arms,
)
from ragbench.analysis.load import Run
from ragbench.analysis.panels.aggregates import CODE_COUNTS
from ragbench.analysis.querykinds import query_kinds
from ragbench.analysis.results import NO_MODEL
from ragbench.analysis.statistics.clustered import FEWEST_CLUSTERS
from ragbench.base.records import OUTCOMES
from ragbench.runfolder.pairs import pairs_of
from ragbench.runfolder.runfile import Session

NONE = "-"
TOGETHER = {"balanced_accuracy", "macro_f1", "ece", "code_micro_f1", "clue_score"}
Rows = tuple[list[str], list[list[str]]]


def percent(value: float) -> str:
    """Return a rate as a percentage with one decimal, or a dash."""
    return NONE if math.isnan(value) else f"{100 * value:.1f} %"


def points(value: float) -> str:
    """Return a difference of rates in points, with its sign."""
    return NONE if math.isnan(value) else f"{100 * value:+.1f}"


def between(low: float, high: float, shown: Callable[[float], str]) -> str:
    """Return an interval, or a dash where there is none, as with a single cluster."""
    return NONE if math.isnan(low) else f"{shown(low)} to {shown(high)}"


def scored(row: Mapping[Any, Any]) -> list[str]:
    """Return the cells of a rate and its interval, or the bounds of an incomplete one."""
    bounds = " (bounds)" if row.get("status") == "incomplete" else ""
    interval = between(row["ci_low"], row["ci_high"], percent)
    return [percent(row["value"]), interval + bounds]


def p_value(p: float, *, is_bound: bool = False) -> str:
    """Return a p value in two significant digits, never as zero; with ``≤`` where it is a bound."""
    if math.isnan(p):
        return NONE
    return ("≤ " if is_bound else "") + (f"{p:.1e}" if p < 0.001 else f"{p:.2g}")


def p_is(p: float, *, is_bound: bool = False) -> str:
    """Return a p value in a sentence, such as ``p = 0.03``."""
    return f"p {'' if is_bound else '= '}{p_value(p, is_bound=is_bound)}"


def measured(run: Run) -> str:
    """Return the name of the first metric that all tasks share, or ``score``."""
    names = {run.metrics(task)[0] for task in run.members("tasks")}
    return names.pop() if len(names) == 1 else "score"


def task_label(run: Run, task: str) -> str:
    """Return a task's name, with its first metric where the tasks of the run differ in it."""
    return f"{task} ({run.metrics(task)[0]})" if measured(run) == "score" else task


def accuracy_rows(run: Run, results: pd.DataFrame, effects: pd.DataFrame) -> Rows:
    """Return the main table: the first metric and its gain, one row per model, task and arm."""
    rows: list[list[str]] = []
    for model in run.members("models"):
        for task in run.members("tasks"):
            metric = run.metrics(task)[0]
            for arm in run.arms(task):
                cell = _only(results, model=model, task=task, arm=arm, metric=metric)
                tokens = _only(
                    results, model=model, task=task, arm=arm, metric="mean_passage_tokens"
                )
                gain = _only(effects, effect=GAIN, model=model, task=task, arm=arm, stratum="")
                rows.append(
                    [
                        model,
                        task_label(run, task),
                        arm,
                        str(cell["n"]),
                        *scored(cell),
                        *_gain_cells(gain),
                        NONE if tokens is None else f"{tokens['value']:.0f}",
                    ]
                )
    interval = f"{coverage(run)} interval"
    header = ["model", "task", "arm", "n", measured(run), interval, "gain (points)", interval]
    return [*header, "helped / hurt", "p", "adjusted p", "passage tokens"], rows


def metric_rows(run: Run, results: pd.DataFrame) -> Rows:
    """Return the further metrics, one row per model, task, arm and metric."""
    wanted = {task: run.metrics(task)[1:] for task in run.members("tasks")}
    rows = []
    for row in results.to_dict(orient="records"):
        shown = row["metric"] in wanted.get(row["task"], ()) or row["metric"] in TOGETHER
        if shown and row["metric"] not in CODE_COUNTS and row["model"] != NO_MODEL:
            names = (str(row[key]) for key in ("model", "task", "arm", "metric", "n"))
            rows.append([*names, *scored(row)])
    header = ["model", "task", "arm", "metric", "n", "value", f"{coverage(run)} interval"]
    return header, rows


def coverage(run: Run) -> str:
    """Return the coverage of the run's intervals, such as ``95 %``."""
    return f"{100 * (1 - run.config.analysis.alpha):g} %"


def interval(run: Run, row: Mapping[str, Any]) -> str:
    """Return the interval of an effect in points, or why it has none."""
    low, high, clusters = row["ci_low"], row["ci_high"], row["n_clusters"]
    if row["n"] == 1:
        return "no interval: it takes more than one question"
    if not math.isnan(low):
        return f"{coverage(run)} interval {points(low)} to {points(high)}"
    if pd.isna(clusters):
        return "no interval: it takes more than one question per task"
    if clusters >= FEWEST_CLUSTERS:
        return f"no interval: it takes {FEWEST_CLUSTERS} clusters per task"
    there = "is" if clusters == 1 else "are"
    return f"no interval: it takes {FEWEST_CLUSTERS} clusters, and there {there} only {clusters}"


def _gain_cells(gain: dict[str, Any] | None) -> list[str]:
    if gain is None:
        return [""] * 5
    counts = NONE if pd.isna(gain["helped"]) else f"{gain['helped']} / {gain['hurt']}"
    interval = between(gain["ci_low"], gain["ci_high"], points)
    bound = bool(gain["p_is_bound"])
    tests = [p_value(gain[key], is_bound=bound) for key in ("p", "p_adjusted")]
    return [points(gain["estimate"]), interval, counts, *tests]


def _only(frame: pd.DataFrame, **wanted: str) -> Any:
    found = np.logical_and.reduce(
        [(frame[key] == value).to_numpy() for key, value in wanted.items()]
    )
    return frame.iloc[int(found.argmax())].to_dict() if found.any() else None


def stratum_rows(run: Run, results: pd.DataFrame) -> Rows:
    """Return first metrics by stratum."""
    rows = []
    for row in results[results.metric.str.contains("/")].to_dict(orient="records"):
        metric, _, stratum = str(row["metric"]).partition("/")
        if metric == run.metrics(row["task"])[0]:
            cell = [row["model"], row["task"], stratum, row["arm"], str(row["n"])]
            rows.append([*cell, *scored(row)])
    interval = f"{coverage(run)} interval"
    header = ["model", "task", "stratum", "arm", "n", measured(run), interval]
    return header, rows


def retrieval_rows(run: Run, results: pd.DataFrame) -> Rows:
    """Return retrieval quality against gold passages."""
    gold = {key: note.gold_matches or NONE for key, note in run.retrievals.items()}
    rows = [
        [
            row["task"],
            row["arm"],
            row["metric"],
            gold[row["task"], row["arm"]],
            str(row["n"]),
            f"{row['value']:.3f}",
            between(row["ci_low"], row["ci_high"], "{:.3f}".format),
        ]
        for row in results[(results.model == NO_MODEL) & (results.arm != NO_MODEL)].to_dict(
            orient="records"
        )
    ]
    header = ["task", "retriever", "measure", "gold matched by", "n", "mean"]
    return [*header, f"{coverage(run)} interval"], rows


def query_kind_rows(run: Run) -> Rows:
    """Return retrieval with written queries against retrieval with the question, by index."""
    signed = "{:+.3f}".format
    rows = [
        [
            *(one.task, one.source, one.other, one.measure, str(one.n)),
            *(f"{one.value:.3f}", f"{one.other_value:.3f}", signed(one.estimate)),
            *(between(one.low, one.high, signed), f"{one.better} / {one.worse}"),
            *(p_value(one.p), p_value(one.p_adjusted)),
        ]
        for one in query_kinds(run)
    ]
    header = ["task", "retriever", "against", "measure", "n", "mean", "mean with the question"]
    header += ["difference", f"{coverage(run)} interval", "better / worse", "p", "adjusted p"]
    return header, rows


def has_assumed(run: Run) -> bool:
    """Return whether any answer was assumed by a published harness's rule."""
    return bool((run.scores.outcome == "assumed").any())


def outcome_rows(run: Run, results: pd.DataFrame) -> Rows:
    """Return the shares of outcomes and ties by cell; assumed ones only in runs that have any."""
    names = [name for name in (*OUTCOMES, "tied") if name != "assumed" or has_assumed(run)]
    rows = []
    for model in run.members("models"):
        for task in run.members("tasks"):
            for arm in run.arms(task):
                cell = {"model": model, "task": task, "arm": arm}
                shares = [_only(results, **cell, metric=f"{name}_rate") for name in names]
                rows.append(
                    [model, task, arm, *(percent(s["value"]) if s else NONE for s in shares)]
                )
    return ["model", "task", "arm", *names], rows


def effect_rows(run: Run, effects: pd.DataFrame) -> Rows:
    """Return the effects of arms against their controls."""
    found = effects[(effects.effect != GAIN) & (effects.stratum == "") & (effects.base == "")]
    found = found[~found.task.isin(OVER_TASKS)]
    return _effect_cells(run, found, ["model", "task", "effect", "arm", "baseline"])


def pair_rows(run: Run, effects: pd.DataFrame, *, primary_only: bool = False) -> Rows:
    """Return the eight effects of each pair, on every task and on average.

    Retrieval gain, placebo-corrected gain and headroom are those of the general model.
    ``primary_only`` leaves out all retrieval arms but a task's primary one, and the strata of every
    effect but the fine-tuning gain.
    """
    rows = []
    for pair in pairs_of(run.config.bases()):
        mine = effects[(effects.model == pair.biomedical) & (effects.base == pair.general)]
        base = effects[(effects.model == pair.general) & (effects.base == "")]
        both = pd.concat([mine, base[base.effect.isin(OF_PAIR)]])
        for task in [*run.members("tasks"), *OVER_TASKS]:
            for effect in OF_PAIR:
                part = both[(both.task == task) & (both.effect == effect)]
                rows += _pair_cells(run, str(pair), task, part, primary_only=primary_only)
    header = ["pair", "task", "effect", "arm", "stratum", "n", "points"]
    header += [f"{coverage(run)} interval", "helped / hurt", "p", "adjusted p"]
    header += ["detectable", "p of equivalence"]
    return header, rows


def _pair_cells(
    run: Run, pair: str, task: str, part: pd.DataFrame, *, primary_only: bool
) -> list[list[str]]:
    arms = [primary_arm(run, task)] if primary_only else retrieval_arms(run, task)
    rows = []
    for record in part.to_dict(orient="records"):
        row = {str(key): value for key, value in record.items()}
        stratum = row["stratum"] or "all"
        if row["arm"] not in (BASELINE, *arms):
            continue
        if primary_only and stratum != "all" and row["effect"] != FINE_TUNING:
            continue
        least = row["smallest_detectable"]
        cells = [pair, task, OF_PAIR[row["effect"]], row["arm"], stratum, str(row["n"])]
        rows.append(
            [
                *cells,
                *_gain_cells(row),
                NONE if math.isnan(least) else f"{100 * least:.1f}",
                p_value(row["p_equivalence_adjusted"]),
            ]
        )
    return rows


def effect_table(run: Run, effects: pd.DataFrame, kind: str) -> Rows:
    """Return every row of one kind of effect; strata have a column where there are any."""
    found = effects[effects.effect == kind]
    strata = ["stratum"] if (found.stratum != "").any() else []
    return _effect_cells(run, found, ["model", "task", "arm", "baseline", *strata])


def _effect_cells(run: Run, found: pd.DataFrame, keys: list[str]) -> Rows:
    rows = []
    for record in found.to_dict(orient="records"):
        row = {str(key): value for key, value in record.items()}
        names = [str(row[key]) or "all" for key in keys]  # only a stratum is ever empty
        rows.append([*names, str(row["n"]), *_gain_cells(row)])
    header = ["control" if key == "baseline" else key for key in keys]
    header += ["n", "points", f"{coverage(run)} interval", "helped / hurt", "p", "adjusted p"]
    return header, rows


def delivered_rows(run: Run) -> Rows:
    """Return what each arm put into the prompts: means per question, the same for every model."""
    rows = []
    for task in run.members("tasks"):
        for arm in run.arms(task):
            cell = run.cell(run.members("models")[0], task, arm)
            if cell.passage_tokens.isna().all():
                continue
            asked, gold = cell.k.iloc[0], cell.gold_delivered[cell.has_gold]
            rows.append(
                [
                    task,
                    arm,
                    NONE if pd.isna(asked) else str(asked),
                    f"{cell.delivered_k.mean():.1f}",
                    f"{cell.passage_tokens.mean():.0f}",
                    f"{cell.shortfall_tokens.mean():.1f}",
                    percent(float((cell.shortfall_tokens > 0).mean())),
                    percent(float((cell.left_out > 0).mean())),
                    percent(float((gold > 0).mean())) if len(gold) else NONE,
                    percent(float(cell.answer_truncated.mean())),
                ]
            )
    header = ["task", "arm", "k asked", "passages", "tokens", "tokens short of the arm imitated"]
    header += ["questions short", "kept out by the budget", "with a gold passage"]
    return [*header, "answer cut off"], rows


def provenance_rows(run: Run) -> Rows:
    """Return versions, digests and the machine, a row each; of an imported run, those of import."""
    identity, started = run.about.identity, run.about.started or Session(at=NONE)
    at, seed, place = "started", "seed", "machine"
    if run.about.is_imported:
        at, seed, place = "imported at", "seed of the analysis", "machine of the import"
    rows = [[at, started.at], [seed, str(run.config.seed)]]
    if started.machine:
        machine = f"{started.machine['processor']}, {started.machine['platform']}"
        rows.append([place, machine])
    if started.git:
        rows.append(["ragbench commit", f"{started.git['commit']} ({started.git['state']})"])
    rows += [
        [f"model {name}", ", ".join(str(fact) for fact in known if fact is not None)]
        for name, facts in identity.models.items()
        if (known := [facts.digest[:16], facts.dtype, facts.format])
    ]
    rows += [[f"imported {n}", d[:16]] for n, d in (identity.imported_from or {}).items()]
    rows += [[f"index {name}", i.digest[:16]] for name, i in (identity.indexes or {}).items()]
    rows += [
        [f"corpus {name}", f"{corpus.digest[:16]}, {corpus.n:,} passages"]
        for name, corpus in (identity.corpora or {}).items()
    ]
    rows += [[f"questions {name}", t.digest[:16]] for name, t in identity.tasks.items()]
    rows += [[name, version] for name, version in started.versions.items()]
    unique = dict.fromkeys((str(a), str(b)) for a, b in rows)
    return ["what", "value"], [list(row) for row in unique]
