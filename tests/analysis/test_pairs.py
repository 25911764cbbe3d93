"""The effects of a pair: a worked 2 x 2 of twelve questions, and numpy on a random one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.stats import t

from ragbench.analysis.effects import effects
from ragbench.analysis.load import Run
from ragbench.base.files import write_jsonl
from ragbench.runfolder.schema import to_json
from tests.analysis.making import about_of, edited, question

# Twelve questions, right (1) or wrong (0), the first six seen in fine-tuning:
GENERAL_CLOSED = "100000 100000"  # 2 of 12
GENERAL_ARM___ = "111110 111010"  # 9 of 12
BIO_CLOSED____ = "111000 100000"  # 4 of 12
BIO_ARM_______ = "111010 101000"  # 6 of 12


def run_of(folder: Path, cells: dict[tuple[str, str, str], str], strata: list[str]) -> Run:
    """Return a run of two models, the tasks in ``cells``, and two arms."""
    rows = [
        {
            **{"model": m, "task": t, "arm": a, "question_id": f"q{i}", "stratum": s},
            **{"accuracy": value, "outcome": "parsed" if value == value else "error"},
        }
        for (m, t, a), text in cells.items()
        for i, (s, value) in enumerate(
            zip(
                strata,
                [float("nan") if c == "?" else float(c) for c in text if c != " "],
                strict=True,
            )
        )
    ]
    tasks = list(dict.fromkeys(t for _, t, _ in cells))
    arms = ["closed-book", "bm25"]
    config = {
        "models": [{"name": "general", "base": None}, {"name": "bio", "base": "general"}],
        "arms": [{"name": arm} for arm in arms],
        "analysis": {"resamples": 2000},
    }
    about = about_of(config, {task: {"arms": arms} for task in tasks})
    for task in tasks:
        lines = [question(f"q{i}", f"Question {i}?") for i in range(len(strata))]
        write_jsonl(folder / "questions" / f"{task}.jsonl", lines)
    return Run(folder, about, pd.DataFrame(rows), pd.DataFrame(), {})


def worked(folder: Path, general_closed: str = GENERAL_CLOSED) -> Run:
    cells = {
        ("general", "t", "closed-book"): general_closed,
        ("general", "t", "bm25"): GENERAL_ARM___,
        ("bio", "t", "closed-book"): BIO_CLOSED____,
        ("bio", "t", "bm25"): BIO_ARM_______,
    }
    return run_of(folder, cells, ["seen"] * 6 + ["held-out"] * 6)


def only(table: pd.DataFrame, effect: str, stratum: str = "", model: str = "") -> dict[str, Any]:
    found = table[(table.effect == effect) & (table.stratum == stratum)]
    if model:
        found = found[found.model == model]
    (row,) = found.to_dict(orient="records")
    return {str(key): value for key, value in row.items()}


@pytest.mark.parametrize(
    ("effect", "model", "estimate", "helped", "hurt", "p"),
    [
        # 9 - 2 of 12: seven questions turn right, none wrong; mid-p = 1 / 2^7
        ("gain over closed-book", "general", 7 / 12, 7, 0, 1 / 128),
        # 6 - 4: questions 5 and 9 turn right; mid-p = 1 / 2^2
        ("gain over closed-book", "bio", 2 / 12, 2, 0, 0.25),
        # 4 - 2: questions 2 and 3 turn right
        ("fine-tuning gain", "bio", 2 / 12, 2, 0, 0.25),
        # 9 - 4: 4, 5, 8, 9, 11 are right with retrieval alone
        ("retrieval less fine-tuning", "bio", 5 / 12, 5, 0, 1 / 32),
        # 6 - 9: 4, 8, 11 are lost
        ("fine-tuning gain with retrieval", "bio", -3 / 12, 0, 3, 1 / 8),
    ],
)
def test_effects_of_twelve_questions_by_hand(
    tmp_path: Path, effect: str, model: str, estimate: float, helped: int, hurt: int, p: float
) -> None:
    row = only(effects(worked(tmp_path)), effect, model=model)
    assert row["estimate"] == pytest.approx(estimate)
    assert (row["n"], row["helped"], row["hurt"]) == (12, helped, hurt)
    assert row["p"] == pytest.approx(p)


def test_the_interaction_of_twelve_questions_by_hand(tmp_path: Path) -> None:
    # (6 - 4) - (9 - 2) = -5 of 12. By question, bio's gain less general's:
    # 2 and 3: 0 - 1; 4: 0 - 1; 5: 1 - 1; 8: 0 - 1; 9: 1 - 1; 11: 0 - 1. Five lose one.
    row = only(effects(worked(tmp_path)), "interaction")
    assert row["estimate"] == pytest.approx(-5 / 12)
    assert (row["helped"], row["hurt"]) == (0, 5)
    # All 32 patterns of signs are equally likely, two are as far from zero: p = 2 / 32.
    assert row["p_exact"] == pytest.approx(2 / 32, abs=0.02)
    # By Student's t, two questions more: residuals of 5 times -7/12, 7 times 5/12.
    residuals = np.array([-7 / 12] * 5 + [5 / 12] * 7)
    far = np.sqrt((residuals**4).sum() / (residuals**2).sum())
    longer = np.append(residuals, [far, -far])
    assert row["ci_low"] < -5 / 12 < row["ci_high"]
    error = longer.std(ddof=1) / np.sqrt(14)
    assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * t.ppf(0.975, 6) * error, rel=0.02)
    assert row["base"] == "general"


def test_strata_of_twelve_questions_by_hand(tmp_path: Path) -> None:
    table = effects(worked(tmp_path))
    assert only(table, "fine-tuning gain", "seen")["estimate"] == pytest.approx(2 / 6)
    assert only(table, "fine-tuning gain", "held-out")["estimate"] == 0
    assert only(table, "retrieval less fine-tuning", "held-out")["estimate"] == pytest.approx(3 / 6)


def test_a_pair_with_missing_answers_has_bounds_and_no_test(tmp_path: Path) -> None:
    row = only(effects(worked(tmp_path, "?00000 10000?")), "interaction")
    # (6 - 4 - 9 + 1) / 12 if both are wrong, two more if both are right
    assert (row["ci_low"], row["ci_high"]) == (pytest.approx(-6 / 12), pytest.approx(-4 / 12))
    assert row["status"] == "incomplete"
    assert np.isnan(row["p"]) and np.isnan(row["estimate"])


def test_effects_of_a_random_pair_equal_numpys(tmp_path: Path) -> None:
    draw = np.random.default_rng(11)
    sizes = {"a": 40, "b": 90}
    values: dict[tuple[str, str, str], npt.NDArray[np.int64]] = {
        (model, task, arm): draw.integers(0, 2, size)
        for task, size in sizes.items()
        for model in ("general", "bio")
        for arm in ("closed-book", "bm25")
    }
    runs = [
        run_of(
            tmp_path, {k: "".join(map(str, v)) for k, v in values.items() if k[1] == t}, [""] * n
        )
        for t, n in sizes.items()
    ]
    scores = pd.concat([run.scores for run in runs])
    both = edited(runs[0], "config.tasks", [{"name": t} for t in sizes])
    both = edited(both, "identity.tasks.b", to_json(runs[1].facts("b")))
    table = effects(replace(both, scores=scores))

    def difference(task: str) -> npt.NDArray[np.int64]:
        def gain(model: str) -> npt.NDArray[np.int64]:
            return values[model, task, "bm25"] - values[model, task, "closed-book"]

        return gain("bio") - gain("general")

    found = table[table.effect == "interaction"].set_index("task")
    means = [difference(task).mean() for task in sizes]
    assert found.estimate["a"] == pytest.approx(means[0])
    assert found.estimate["(macro)"] == pytest.approx(np.mean(means))
    whole = np.concatenate([difference(task) for task in sizes])
    assert found.estimate["(items)"] == pytest.approx(whole.mean())
    assert found.n["(items)"] == found.n["(macro)"] == 130
    assert found.helped["(items)"] == (whole > 0).sum()
    # The interval of a mean is close to the normal one at this n.
    half = 1.96 * whole.std(ddof=1) / np.sqrt(130)
    assert found.ci_high["(items)"] - found.ci_low["(items)"] == pytest.approx(2 * half, rel=0.1)
    closed = values["bio", "b", "closed-book"] - values["general", "b", "closed-book"]
    tuning = table[table.effect == "fine-tuning gain"].set_index("task")
    assert tuning.estimate["b"] == pytest.approx(closed.mean())
