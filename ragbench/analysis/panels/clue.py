"""CLUE's own averages (Dada et al. 2024): the first item doubled, task scores, level scores.

CLUE's accumulator stored the first value and then added it again, so that every published mean but
LongHealth's is (2 x1 + x2 + ... + xn) / (n + 1). A task's score is the plain mean of its displayed
metrics, a level's that of its three tasks' scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

TEXT = ("rougeL", "rouge1", "rouge2", "bertscore_f1")
# The displayed metrics of each task; of MeDiSumCode either CLUE's or ragbench's own.
DISPLAYED: dict[str, tuple[tuple[str, ...], ...]] = {
    "mednli": (("accuracy",),),
    "meqsum": (TEXT,),
    "problem_list": ((*TEXT, "umls_f1"),),
    "medisumqa": ((*TEXT, "umls_f1"),),
    "medisumcode": (
        ("clue_code_em_f1", "clue_code_ap_f1", "clue_code_valid"),
        ("code_em_f1", "code_ap_f1", "code_valid"),
    ),
}
LONGHEALTH = ("longhealth1", "longhealth2", "longhealth3")
LEVELS = {
    "(clue level 1)": ("mednli", "meqsum", "problem_list"),
    "(clue level 2)": ("longhealth", "medisumqa", "medisumcode"),
}


def first_doubled(values: Sequence[float]) -> float:
    """Return the mean in which the first value counts twice.

    >>> first_doubled([1.0, 0.0, 0.0])
    0.5
    """
    return (values[0] + sum(values)) / (len(values) + 1)


def task_score(task: str, values: Mapping[str, float]) -> float | None:
    """Return the score of a registered task, from 0 to 100, from its means by metric.

    It is None where a displayed metric is missing.
    """
    for metrics in DISPLAYED.get(task, ()):
        if all(metric in values for metric in metrics):
            return 100 * sum(values[metric] for metric in metrics) / len(metrics)
    return None


def level_scores(scores: Mapping[str, float]) -> dict[str, float]:
    """Return the scores of the levels whose tasks are all there, and of ``longhealth``.

    LongHealth is given as its three tasks; its score is their mean.
    """
    known = dict(scores)
    if all(task in known for task in LONGHEALTH):
        known["longhealth"] = sum(known[task] for task in LONGHEALTH) / len(LONGHEALTH)
    found = {"longhealth": known["longhealth"]} if "longhealth" in known else {}
    for level, tasks in LEVELS.items():
        if all(task in known for task in tasks):
            found[level] = sum(known[task] for task in tasks) / len(tasks)
    return found
