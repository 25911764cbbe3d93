"""Result tables recomputed from the raw records by other means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from ragbench.analysis.effects import effects
from ragbench.analysis.load import load_run
from ragbench.analysis.panels.evidence import SHARES
from ragbench.analysis.results import as_objects, results, write_tables
from ragbench.analysis.statistics.paired import mcnemar_exact, mcnemar_mid_p
from ragbench.experiment.stages.score import score_run
from ragbench.runfolder.paths import RunPaths
from tests.analysis.making import clustered, edited, make_run

IDENTITY = ["model", "task", "arm", "metric", "mode", "scoring", "seed", "k"]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def right_by_arm(run: Path) -> dict[str, dict[str, bool]]:
    """Recompute from the records, in plain Python, which questions were answered right."""
    questions = {q["id"]: q for q in lines(run / "questions" / "icd10cm.jsonl")}
    found: dict[str, dict[str, bool]] = {}
    for path in (run / "records").glob("*.jsonl"):
        for record in lines(path):
            question = questions[record["question_id"]]
            scores = [
                total / len(option)
                for total, option in zip(
                    record["log_likelihoods"], question["options"], strict=True
                )
            ]
            best = max(range(len(scores)), key=lambda i: scores[i])
            found.setdefault(record["arm"], {})[question["id"]] = best == question["answer"]
    return found


def test_accuracy_and_gains_follow_from_the_records(finished_home: Path) -> None:
    path = finished_home / "runs" / "small"
    right = right_by_arm(path)
    run = load_run(path)
    table = results(run)
    gains = effects(run)
    for arm, answers in right.items():
        row = table[(table.arm == arm) & (table.metric == "accuracy")].iloc[0]
        assert row["value"] == pytest.approx(sum(answers.values()) / 10)
        assert row["n"] == 10
        if arm == "closed-book":
            continue
        helped = sum(answers[q] and not right["closed-book"][q] for q in answers)
        hurt = sum(right["closed-book"][q] and not answers[q] for q in answers)
        gain = gains[(gains.arm == arm) & (gains.stratum == "")].iloc[0]
        assert (gain["helped"], gain["hurt"]) == (helped, hurt)
        assert gain["estimate"] == pytest.approx((helped - hurt) / 10)
        assert gain["p"] == pytest.approx(mcnemar_mid_p(helped, hurt))
        assert gain["p_exact"] == pytest.approx(mcnemar_exact(helped, hurt))
        assert gain["ci_low"] <= gain["estimate"] <= gain["ci_high"]


def test_recall_follows_from_the_trec_run(finished_home: Path) -> None:
    path = finished_home / "runs" / "small"
    gold = {q["id"]: q["gold_doc_ids"][0] for q in lines(path / "questions" / "icd10cm.jsonl")}
    ranked: dict[str, list[str]] = {}
    for line in (path / "retrieval" / "icd10cm+bm25.trec").read_text().splitlines():
        query, _, passage, _, _, _ = line.split()
        ranked.setdefault(query, []).append(passage)
    table = results(load_run(path))
    for k in (2, 5):
        expected = np.mean([gold[q] in ranked.get(q, [])[:k] for q in gold])
        row = table[(table.arm == "bm25") & (table.metric == f"R@{k}")].iloc[0]
        assert row["value"] == pytest.approx(float(expected))
        assert row["model"] == "-"


def test_results_csv_is_unique_in_its_identity(finished_home: Path) -> None:
    table = pd.read_csv(finished_home / "runs" / "small" / "results.csv")
    assert not table.duplicated(IDENTITY).any()
    rates = table[table.metric.str.contains("accuracy|_rate|R@")]
    assert rates.value.between(0, 1).all()


def test_analysis_objects_are_json_without_nan(run_copy: Path) -> None:
    run = load_run(run_copy)
    found = as_objects(run, *write_tables(run))
    json.dumps(found, allow_nan=False)
    kinds = {entry["effect"] for entry in found}
    shares = {f"share {part}" for part in SHARES}
    assert kinds == {"gain over closed-book", "placebo-corrected gain", "accuracy", *shares}
    assert json.loads((run_copy / "analysis.json").read_text()) == found


def test_an_unanswered_question_gives_bounds_and_no_test(run_copy: Path) -> None:
    path = run_copy / "records" / "scripted+icd10cm+bm25-5.0.jsonl"
    kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]
    path.write_text("".join(kept), encoding="utf-8")
    assert score_run(RunPaths(run_copy)) == 1
    run = load_run(run_copy)
    table = results(run)
    right = sum(list(right_by_arm(run_copy)["bm25-5"].values()))
    row = table[(table.arm == "bm25-5") & (table.metric == "accuracy")].iloc[0]
    assert row["status"] == "incomplete"
    assert (row["ci_low"], row["ci_high"]) == (right / 10, (right + 1) / 10)
    gains = effects(run)
    gain = gains[(gains.arm == "bm25-5") & (gains.stratum == "")].iloc[0]
    assert gain["status"] == "incomplete"
    assert np.isnan(gain["p"])
    assert gain["ci_high"] - gain["ci_low"] == pytest.approx(0.1)
    errors = table[(table.arm == "bm25-5") & (table.metric == "error_rate")].iloc[0]
    assert errors["value"] == pytest.approx(0.1)


def test_a_metric_of_fractions_has_the_interval_of_a_mean(run_copy: Path) -> None:
    run = load_run(run_copy)
    cell = (run.scores.arm == "bm25-5") & (run.scores.task == "icd10cm")
    values = np.linspace(0.0, 0.9, int(cell.sum()))
    run.scores.loc[cell, "accuracy"] = values
    table = results(run)
    row = table[(table.arm == "bm25-5") & (table.metric == "accuracy")].iloc[0]
    assert row["value"] == pytest.approx(values.mean())
    # Symmetric, so by Student's t, with two values more (of the size sqrt(sum^4 / sum^2)).
    away = values - values.mean()
    far = np.sqrt((away**4).sum() / (away**2).sum())
    longer = np.append(away, [far, -far])
    half = t.ppf(0.975, len(longer) - 1) * longer.std(ddof=1) / np.sqrt(len(longer))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(
        (values.mean() - half, values.mean() + half)
    )
    assert pd.isna(row["n_clusters"])


def test_a_clustered_task_goes_by_cluster(run_copy: Path) -> None:
    run = load_run(run_copy)
    names = sorted(run.scores["question_id"].unique())
    run = clustered(run, "icd10cm", {name: str(i // 2) for i, name in enumerate(names)})
    table = results(run)
    rows = table[table.metric == "accuracy"]
    assert (rows["n_clusters"] == 5).all()
    gains = effects(run)
    gains = gains[gains.stratum == ""]
    assert (gains["n_clusters"] == 5).all()
    assert gains["p"].isna().all() and gains["ci_low"].isna().all()  # five clusters are too few


def test_a_question_without_a_value_is_not_counted(run_copy: Path) -> None:
    run = load_run(run_copy)
    lost = run.scores.question_id == run.scores.question_id.iloc[0]
    run.scores.loc[lost, "accuracy"] = np.nan
    table = results(run)
    rows = table[table.metric == "accuracy"]
    assert (rows["n"] == 9).all()
    assert (rows["status"] == "complete").all()
    gains = effects(run)
    assert (gains[gains.stratum == ""]["n"] == 9).all()


def test_a_constant_answer_of_restricted_questions_is_a_letter(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", {("m", "t", "closed-book"): "1010"}, options=2, full=True)
    run = edited(run, "identity.tasks.t.classes", ["aspirin", "amoxicillin"])

    def constants(data_use: str) -> set[str]:
        names = results(edited(run, "identity.tasks.t.data_use", data_use)).metric
        return {name for name in names if name.startswith("constant_accuracy/")}

    assert constants("open") <= {"constant_accuracy/aspirin", "constant_accuracy/amoxicillin"}
    assert constants("restricted") <= {"constant_accuracy/A", "constant_accuracy/B"}
    assert len(constants("open")) == len(constants("restricted")) > 0
