"""Effects against controls, recomputed from the scores by other means."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.contingency_tables import mcnemar

from ragbench.analysis.effects import EFFECT_COLUMNS, effects
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.statistics.paired import mcnemar_mid_p
from tests.runfolder.sealing import reseal

CONTROLS = {
    "random-bm25-2": ("placebo-corrected gain", 1),
    "oracle-bm25-2": ("headroom with gold delivered", -1),
    "oracle-removed-bm25-2": ("gain from gold passages", 1),
    "shuffled-bm25-2": ("order effect", 1),
}


@pytest.fixture
def run(mixed_home: Path) -> Run:
    return load_run(mixed_home / "runs" / "mixed")


def right(run: Run, task: str, arm: str) -> pd.Series[float]:
    scores = run.scores
    cell = scores[(scores.task == task) & (scores.arm == arm)]
    return cell.set_index("question_id").accuracy.sort_index()


def test_every_control_gives_its_effect(run: Run) -> None:
    table = effects(run)
    assert list(table.columns) == EFFECT_COLUMNS
    averages = table.task.isin(["(macro)", "(items)"])
    # In one task the draw shuffled nothing, so its order effect has no average.
    assert run.same["facts-written"]["shuffled-bm25-2"] == "bm25-2"
    assert set(table.effect[averages]) == {
        "gain over closed-book",
        *(n for n, _ in CONTROLS.values() if n != "order effect"),
    }
    against = table[(table.effect != "gain over closed-book") & ~averages]
    # The gold passage always comes first: oracle-filled is bm25-2, and no gold is missing.
    assert run.same["facts"]["oracle-filled"] == "bm25-2"
    assert len(against) == 4 + 4 + 3
    for row in against.to_dict(orient="records"):
        name, sign = CONTROLS[str(row["baseline"])]
        task = str(row["task"])
        difference = sign * (
            right(run, task, str(row["arm"])) - right(run, task, str(row["baseline"]))
        )
        assert (row["effect"], row["arm"], row["n"]) == (name, "bm25-2", 6)
        assert row["estimate"] == pytest.approx(difference.mean())
        helped, hurt = int((difference > 0).sum()), int((difference < 0).sum())
        assert (row["helped"], row["hurt"]) == (helped, hurt)
        pairs = np.array([[0, helped], [hurt, 0]])
        assert row["p_exact"] == pytest.approx(min(1.0, float(mcnemar(pairs, exact=True).pvalue)))
        assert row["p"] == mcnemar_mid_p(helped, hurt)
        assert row["ci_low"] <= row["estimate"] <= row["ci_high"]


def test_every_other_arm_gains_or_loses_over_closed_book(run: Run) -> None:
    table = effects(run)
    gains = table[(table.effect == "gain over closed-book") & ~table.task.str.startswith("(")]
    assert gains.groupby("task").size().to_dict() == {
        # Of 8, 7 and 7 arms, without 2, 1 and 2 that have the prompts of another one.
        **{"facts": 6, "facts-options": 6, "facts-written": 5}
    }


def test_without_closed_book_the_controls_still_count(mixed_copy: Path) -> None:
    about = json.loads((mixed_copy / "run.json").read_text())
    scores = pd.read_parquet(mixed_copy / "scores" / "correct.parquet")
    scores[scores.arm != "closed-book"].to_parquet(mixed_copy / "scores" / "correct.parquet")
    about["config"]["arms"] = [a for a in about["config"]["arms"] if a["name"] != "closed-book"]
    for task in about["identity"]["tasks"].values():
        task["arms"] = [arm for arm in task["arms"] if arm != "closed-book"]
    (mixed_copy / "run.json").write_text(json.dumps(about))
    reseal(mixed_copy)
    found = effects(load_run(mixed_copy))
    assert set(found.effect) == {name for name, _ in CONTROLS.values()}
