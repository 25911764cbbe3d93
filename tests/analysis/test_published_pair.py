"""MIRAGE's Table 6 as a run: the sign of "retrieval or fine-tuning" depends on the average.

The expected figures were computed by hand from the published accuracies, apart from this package.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.analysis.effects import effects
from ragbench.report.published import TASKS, published
from ragbench.report.verdict.verdict import verdict
from tests.analysis.making import make_run

SIZES = {"mmlu_med": 1089, "medqa_us": 1273, "medmcqa": 4183, "pubmedqa": 500, "bioasq_yn": 618}
ARMS = {
    "CoT": "closed-book",
    "MedRAG (MedCorp; RRF-4)": "medrag",
    "MedRAG (MedCorp; RRF-4; k=32)": "medrag",
}
# points by set, then with every set, and with every question, counted the same
PAIR = {
    ("gain over closed-book", "Llama-2-70B"): [-2.84, -2.91, 0.48, 8.20, 12.78, 3.14, 0.94],
    ("fine-tuning gain", "MEDITRON-70B"): [7.53, 3.85, 4.14, 11.20, 7.28, 6.80, 5.29],
    ("interaction", "MEDITRON-70B"): [3.30, 0.79, 5.45, -5.20, -4.37, -0.01, 2.88],
}
ALONE = {"GPT-4-32k-0613": (6.53, 0.42), "GPT-3.5-16k-0613": (10.87, 5.49)}


def cells_of(model: str, sizes: dict[str, int]) -> dict[tuple[str, str, str], str]:
    """Return a cell for each set, with as many right answers as were published."""
    table = published()
    table = table[(table.source == "MIRAGE_leaderboard") & table.setting.isin(ARMS)]
    names = table.model.str.partition(" + ")[0]
    found = {}
    for row in table[names == model].to_dict(orient="records"):
        task = TASKS.get(row["task"], "")
        if task in sizes:
            n = sizes[task]
            right = round(row["value"] * n / 100)
            assert abs(100 * right / n - row["value"]) < 0.0051  # published to two decimals
            key = model, task, ARMS[row["setting"]]
            found[key] = "1" * right + "0" * (n - right)
    assert len(found) == 2 * len(sizes)
    return found


@pytest.fixture
def small_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.analysis.making.RESAMPLES", 200)


def test_the_one_matched_pair(tmp_path: Path, small_resamples: None) -> None:
    general, bio = "Llama-2-70B", "MEDITRON-70B"
    cells = cells_of(general, SIZES) | cells_of(bio, SIZES)
    run = make_run(tmp_path / "run", cells, bases={bio: general})
    table = effects(run)
    for (effect, model), points in PAIR.items():
        mine = table[(table.effect == effect) & (table.model == model)].set_index("task")
        found = [100 * mine.estimate[task] for task in [*SIZES, "(macro)", "(items)"]]
        # Counts of whole questions: each cell is within half a question of its two decimals.
        assert found == pytest.approx(points, abs=0.021)
    (line,) = [x for x in verdict(run, table) if "interaction (medrag) over 5 tasks" in x]
    assert "the sign depends on the average" in line


@pytest.mark.parametrize("model", ALONE)
def test_two_models_alone(tmp_path: Path, small_resamples: None, model: str) -> None:
    cells = cells_of(model, SIZES)
    run = make_run(tmp_path / "run", cells)
    table = effects(run).set_index("task")
    macro, items = ALONE[model]
    (line,) = [x for x in verdict(run, effects(run)) if "retrieval gain (medrag) over 5 tasks" in x]
    assert f"+{macro:.1f} points (" in line and f"+{items:.1f} points (" in line
    assert 100 * table.estimate["(macro)"] == pytest.approx(macro, abs=0.011)
    assert 100 * table.estimate["(items)"] == pytest.approx(items, abs=0.011)


@pytest.mark.parametrize(
    ("model", "exams"), [("GPT-4-32k-0613", -2.66), ("GPT-3.5-16k-0613", 2.52)]
)
def test_the_exam_sets_alone(
    tmp_path: Path, small_resamples: None, model: str, exams: float
) -> None:
    sizes = {task: SIZES[task] for task in ("mmlu_med", "medqa_us", "medmcqa")}
    table = effects(make_run(tmp_path / "run", cells_of(model, sizes))).set_index("task")
    assert 100 * table.estimate["(items)"] == pytest.approx(exams, abs=0.011)
