"""The small tables of a run, against hand arithmetic."""

from __future__ import annotations

from pathlib import Path

from statsmodels.stats.proportion import proportion_confint

from ragbench.analysis.effects import effects
from ragbench.analysis.family import primary_arm
from ragbench.analysis.results import results
from ragbench.report.paper.compact import small_tables
from ragbench.report.paper.latex import MOST_COLUMNS, Cell, Small
from tests.analysis.making import make_run
from tests.report.conftest import Analysed

CELLS = {
    ("general", "t", "closed-book"): "1000000000",
    ("general", "t", "bm25"): "1111000000",
    ("bio", "t", "closed-book"): "1100000000",
    ("bio", "t", "bm25"): "1111110000",
}
BASES = {"bio": "general"}


def tables(path: Path, cells: dict[tuple[str, str, str], str], **more: object) -> dict[str, Small]:
    run = make_run(path / "run", cells, full=True, **more)  # type: ignore[arg-type]
    return {one.key: one for one in small_tables(run, results(run), effects(run))}


def wilson(right: int) -> str:
    low, high = proportion_confint(right, 10, method="wilson")
    if right in (1, 2):  # near 0: the exact one-sided end
        low = proportion_confint(right, 10, alpha=0.1, method="beta")[0]
    return f"[{100 * low:.1f}, {100 * high:.1f}]"


def test_the_two_by_two_of_a_pair(tmp_path: Path) -> None:
    """Of ten questions 1 and 4 for the general model, 2 and 6 for the biomedical one."""
    made = tables(tmp_path, CELLS, bases=BASES)
    assert list(made) == ["two-by-two", "effects", "arms"]
    (group,) = made["two-by-two"].groups
    assert group.heading == "t, bm25, n = 10"
    rows = dict(group.rows)
    assert rows["general"][:2] == (Cell("10.0", wilson(1)), Cell("40.0", wilson(4)))
    assert rows["biomedical"][:2] == (Cell("20.0", wilson(2)), Cell("60.0", wilson(6)))
    assert [rows[name][2].text for name in rows] == ["+30.0", "+40.0", "+10.0"]
    assert [cell.text for cell in rows["fine-tuning gain"]] == ["+10.0", "+20.0", "+10.0"]
    assert "general (general) and bio (biomedical)" in made["two-by-two"].caption


def test_the_effects_of_a_pair(tmp_path: Path) -> None:
    """Questions 2 to 4 by retrieval, 2 by fine-tuning; 3 and 4; 5 and 6.

    Retrieval brings the biomedical model 3 to 6: more than the general one on 5 and 6, less on 2.
    """
    (group,) = tables(tmp_path, CELLS, bases=BASES)["effects"].groups
    assert [(name, points.text, counts.text) for name, (points, counts, _) in group.rows] == [
        ("retrieval gain", "+30.0", "3 / 0"),
        ("fine-tuning gain", "+10.0", "1 / 0"),
        ("retrieval less fine-tuning", "+20.0", "2 / 0"),
        ("fine-tuning gain with retrieval", "+20.0", "2 / 0"),
        ("interaction", "+10.0", "2 / 1"),
    ]
    # Mid-p of 3 and 0: 2 / 8 less half of it is 0.125; Holm over the four primary ones: 0.5.
    assert group.rows[0][1][2] == Cell("0.500")


def test_a_loss_has_a_minus_sign_and_several_tasks_a_mean(tmp_path: Path) -> None:
    other = {(model, "u", arm): text[::-1] for (model, _, arm), text in CELLS.items()}
    other["general", "u", "bm25"] = "0000000000"
    made = tables(tmp_path, CELLS | other, bases=BASES)
    headings = [group.heading for group in made["effects"].groups]
    assert headings == ["t, bm25, n = 10", "u, bm25, n = 10", "mean over tasks, bm25"]
    gains = [group.rows[0][1][0] for group in made["effects"].groups]
    # 3 of 10, -1 of 10, and their mean
    assert [cell.text for cell in gains] == ["+30.0", "\N{MINUS SIGN}10.0", "+10.0"]
    assert "-" not in gains[1].below


def test_an_incomplete_cell_has_bounds_and_no_estimate(tmp_path: Path) -> None:
    cells = CELLS | {("bio", "t", "bm25"): "11111x0000"}
    (group,) = tables(tmp_path, cells, bases=BASES)["two-by-two"].groups
    assert dict(group.rows)["biomedical"][1] == Cell("\N{EN DASH}", "bounds [50.0, 60.0]")


def test_models_without_a_pair_are_in_one_table(tmp_path: Path) -> None:
    made = tables(tmp_path, CELLS)
    (group,) = made["scores"].groups
    assert [name for name, _ in group.rows] == ["general", "bio"]
    assert [cell.text for cell in group.rows[1][1]] == ["20.0", "60.0", "+40.0"]
    assert "two-by-two" not in made and "effects" not in made


def test_every_arm_has_three_models_beside_each_other(tmp_path: Path) -> None:
    """Of four models, the first three are in one table and the last in another."""
    cells = {
        (f"m{n}", "t", arm): "1" * n + "0" * (10 - n) for n in range(4) for arm in ("closed-book",)
    }
    made = tables(tmp_path, cells)
    assert list(made) == ["arms", "arms-b"]
    assert (made["arms"].columns, made["arms-b"].columns) == (("m0", "m1", "m2"), ("m3",))
    (group,) = made["arms"].groups
    assert group.heading == "t, n = 10"
    assert group.rows == (
        ("closed-book", (Cell("0.0", wilson(0)), Cell("10.0", wilson(1)), Cell("20.0", wilson(2)))),
    )


def small(analysed: Analysed, key: str) -> Small:
    found = small_tables(analysed.run, analysed.results, analysed.effects)
    return next(one for one in found if one.key == key)


def test_controls_are_the_effects_of_the_primary_arm(mixed: Analysed) -> None:
    made = small(mixed, "controls")
    assert len(made.columns) < MOST_COLUMNS
    arms = {task: primary_arm(mixed.run, task) for task in mixed.run.members("tasks")}
    kinds = {"placebo-corrected gain", "headroom with gold missing", "headroom with gold delivered"}
    wanted = [
        (str(row["n"]), round(100 * row["estimate"], 1))
        for row in mixed.effects.to_dict(orient="records")
        if row["effect"] in kinds and not row["stratum"] and arms.get(row["task"]) == row["arm"]
    ]
    cells = [cells for group in made.groups for _, cells in group.rows]
    shown = [(n.text, float(points.text.replace("\N{MINUS SIGN}", "-"))) for n, points, *_ in cells]
    assert sorted(shown) == sorted(wanted) and wanted


def test_retrievers_have_their_measures(mixed: Analysed) -> None:
    made = small(mixed, "retrieval-quality")
    assert len(made.columns) < MOST_COLUMNS
    found = mixed.results[(mixed.results.model == "-") & (mixed.results.arm != "-")]
    wanted = found[found.metric.isin(made.columns)]
    shown = [cell.text for group in made.groups for _, cells in group.rows for cell in cells[1:]]
    # A task may have other measures than the next one.
    assert sorted(text for text in shown if text != "\N{EN DASH}") == sorted(
        f"{v:.2f}" for v in wanted.value
    )
