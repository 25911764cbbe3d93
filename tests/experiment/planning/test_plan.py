"""The plan: real prompts, nothing built, and prompts that cannot fit are refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.planning import cost, devices
from ragbench.experiment.planning.plan import make_plan
from ragbench.models.scripted import ScriptedModel


def grid_of(folder: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Grid:
    monkeypatch.setenv("RAGBENCH_HOME", str(folder))
    return Grid(*load_config(str(folder / "small.yaml"), overrides))


def test_prompts_are_those_of_the_run(finished_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = make_plan(grid_of(finished_home, monkeypatch))
    assert len(plan.cells) == 5
    assert plan.to_build == []
    prompts = (finished_home / "runs" / "small" / "prompts" / "0.jsonl").read_text()
    import json

    stored = {json.loads(line)["text"] for line in prompts.splitlines()}
    rendered = [s for s in plan.samples if not s.note]
    assert len(rendered) == 3 * 4  # all arms but the placebo
    assert all(sample.prompt in stored for sample in rendered)
    (estimate,) = plan.estimates
    assert estimate.prompts == 50
    assert (estimate.weight_bytes, estimate.seconds) == (0, 0.0)  # a scripted model has no weights


def test_the_primary_arm_is_said_with_its_reason(
    finished_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def primary(*overrides: str) -> list[tuple[str, str]]:
        plan = make_plan(grid_of(finished_home, monkeypatch, *overrides))
        return [(chosen.arm, chosen.why) for chosen in plan.primary]

    assert primary() == [("bm25-5", "the first retrieval arm that a control imitates")]
    declared = primary("analysis.primary.arm=dense-5")
    assert declared == [("dense-5", "declared in the config")]
    others = "arms=[closed-book, {retriever: bm25, k: [2, 5]}]"
    without = primary(others)
    assert without == [("bm25-2", "the first retrieval arm, as no control imitates one")]
    assert primary("arms=[closed-book]") == []


def test_time_on_this_machine(finished_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = ScriptedModel.facts
    monkeypatch.setattr(
        ScriptedModel,
        "facts",
        lambda self: replace(facts(self), parameters=10**9, dtype="bfloat16", device="cpu"),
    )
    assert devices.products_per_s("cpu", "float32") > 1e7
    monkeypatch.setattr(cost, "products_per_s", lambda device, dtype: 2.5e12)
    (estimate,) = make_plan(grid_of(finished_home, monkeypatch)).estimates
    assert estimate.weight_bytes == 2 * 10**9
    assert estimate.seconds == 2 * 10**9 * estimate.prompt_tokens / 1e12  # 40 % of 2.5 TFLOP/s


def test_nothing_is_built(finished_home: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "small.yaml").write_text((finished_home / "small.yaml").read_text())
    plan = make_plan(grid_of(home, monkeypatch))
    assert len(plan.to_build) == 3
    assert any("not built yet" in sample.note for sample in plan.samples)
    assert sorted(p.name for p in home.iterdir()) == ["small.yaml"]


def test_a_budget_beyond_the_context_is_refused(
    finished_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = grid_of(finished_home, monkeypatch, "packing.budget_tokens=9000")
    with pytest.raises(UsageError, match="does not fit the 8,192 tokens") as caught:
        make_plan(grid)
    advised = int(caught.value.fix.split(" to ")[1].split()[0])
    make_plan(grid_of(finished_home, monkeypatch, f"packing.budget_tokens={advised}"))
