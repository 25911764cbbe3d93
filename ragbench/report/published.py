"""Published figures beside a run's own, where model, task and metric are the same.

``published.csv`` holds facts with their sources: Dorfner et al. 2024, the site of CLUE, Han et al.
2023, MIRAGE's leaderboard and its Table 7, and the model card of MediPhi.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from ragbench.analysis.family import BASELINE
from ragbench.analysis.load import Run
from ragbench.report.tables import NONE, Rows, percent

FILE = Path(__file__).with_name("published.csv")
TASKS = {
    "NEJM cases": "nejm",
    "JAMA cases": "jama",
    "MedNLI": "mednli",
    "MeQSum": "meqsum",
    "Problem List Summarization": "problem_list",
    "LongHealth task 1": "longhealth1",
    "LongHealth task 2": "longhealth2",
    "LongHealth task 3": "longhealth3",
    "MeDiSumQA": "medisumqa",
    "MeDiSumCode": "medisumcode",
    "MMLU-Med": "mmlu_med",
    "MedQA-US": "medqa_us",
    "MedMCQA": "medmcqa",
    "PubMedQA*": "pubmedqa",
    "BioASQ-Y/N": "bioasq_yn",
}
METRICS = {
    "accuracy_pct": ("accuracy",),
    "rougeL_f1_pct": ("rougeL",),
    "rouge1_f1_pct": ("rouge1",),
    "rouge2_f1_pct": ("rouge2",),
    "bertscore_f1_pct": ("bertscore_f1",),
    "umls_f1_pct": ("umls_f1",),
    "em_f1_pct": ("clue_code_em_f1", "code_em_f1"),
    "ap_f1_pct": ("clue_code_ap_f1", "code_ap_f1"),
    "valid_codes_pct": ("clue_code_valid", "code_valid"),
}
# Other names of the same model, in the form that ``_plain_name`` returns.
ALIASES = {"gpt35turbo16k": "gpt3516k0613", "llama3openbiollm": "openbiollm"}


@cache
def published() -> pd.DataFrame:
    """Return the published figures: source, model, task, metric, value in per cent, seen_in."""
    table = pd.read_csv(FILE)
    parts = table["model"].str.split(" + ", n=1, regex=False, expand=True)
    return table.assign(name=parts[0].map(_plain_name), setting=parts[1].fillna(""))


def _plain_name(name: str) -> str:
    """Return a model's name for comparison, without owner, case and punctuation."""
    plain = re.sub(r"[^a-z0-9]", "", name.rpartition("/")[2].lower()).removeprefix("meta")
    for long, short in ALIASES.items():
        plain = plain.replace(long, short)
    return plain if plain == "llama27bhf" else plain.removesuffix("hf")


def beside_rows(run: Run, results: pd.DataFrame) -> Rows:
    """Return the run's figures with published ones of the same model, task and metric.

    Figures with retrieval are set beside arms with passages, the others beside closed-book.
    """
    kinds = {task.name: task.task for task in run.config.tasks}
    table = published()
    rows = []
    for model in run.config.models:
        names = {_plain_name(model.model or ""), _plain_name(model.name)}
        mine = table[table["name"].isin(names - {""})]
        for entry in mine.to_dict(orient="records"):
            for task, kind in kinds.items():
                if TASKS.get(entry["task"]) == kind:
                    rows += _rows(run, results, model.name, task, entry)
    header = ["model", "task", "metric", "arm", "ours", "mode", "published", "their setting"]
    return [*header, "source"], rows


def _rows(run: Run, results: pd.DataFrame, model: str, task: str, entry: Any) -> list[list[str]]:
    metrics = [m for m in METRICS.get(entry["metric"], ()) if m in run.metrics(task)]
    with_passages = "RAG" in entry["setting"]
    rows = []
    for arm in run.arms(task):
        if (arm != BASELINE) != with_passages:
            continue
        for metric in metrics[:1]:
            found = results[
                (results.model == model)
                & (results.task == task)
                & (results.arm == arm)
                & (results.metric == metric)
            ]
            ours = percent(float(found.iloc[0]["value"])) if len(found) else NONE
            rows.append(
                [
                    *(model, task, metric, arm, ours, run.config.mode),
                    *(f"{entry['value']:.2f} %", entry["setting"] or NONE, entry["source"]),
                ]
            )
    return rows
