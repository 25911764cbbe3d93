"""Answering in rounds: the same order and decisions after a kill, and extension to all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

import pytest
from numpy.polynomial import Polynomial

import ragbench
from ragbench.analysis.effects import Contrast, contrasts, table_of
from ragbench.analysis.effects import effects as effects_of
from ragbench.analysis.judging import judge
from ragbench.analysis.load import Run, load_run
from ragbench.analysis.results import write_tables
from ragbench.base.errors import UsageError
from ragbench.base.records import OptionScores
from ragbench.experiment.answering.rounds import Until
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.run import run_experiment
from ragbench.experiment.sharded import finish_experiment
from ragbench.models.scripted import ScriptedModel
from ragbench.runfolder.looks.stopped import EffectDecision, StopFile
from ragbench.runfolder.paths import RunPaths
from tests.experiment.answering.stopping_home import (
    N,
    cluster_and_part,
    decisions,
    make_stopping_home,
    of,
)


def test_what_is_decided_is_asked_no_more(stopped_home: Path) -> None:
    stopped = decisions(stopped_home)
    assert [of(model, stopped).verdict for model in ("reads", "guesses")] == ["shown", "exhausted"]
    assert of("reads", stopped).decided_at == 20
    for cell, n in stopped.n.items():
        records = RunPaths(stopped_home / "runs" / "stops").records(*cell)
        expected = N if cell[0] == "guesses" and "random" not in cell[2] else 20
        assert n == len(records.read_text(encoding="utf-8").splitlines()) == expected


def run_until(home: Path, until: Until) -> None:
    run_experiment(*load_config(str(home / "stops.yaml")), until=until)


def test_a_run_killed_before_and_within_a_round_decides_the_same(
    home: Path, stopped_home: Path
) -> None:
    make_stopping_home(home)
    seen: list[int] = []

    def killed(folder: RunPaths, stopped: StopFile) -> tuple[EffectDecision, ...]:
        seen.append(len(stopped.looks))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return judge(folder, stopped)

    with pytest.raises(KeyboardInterrupt):
        run_until(home, Until(killed))
    folder = RunPaths(home / "runs" / "stops")
    path = folder.records("guesses", "facts", "bm25-1")
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:-200], encoding="utf-8")  # the round's last record is torn
    run_until(home, Until(judge))
    write_tables(load_run(folder.path))
    other = stopped_home / "runs" / "stops"
    for name in ("stopped.json", "results.csv", "effects.csv"):
        assert (folder.path / name).read_bytes() == (other / name).read_bytes()


def test_a_stopped_run_is_extended_to_all(home: Path, stopped_home: Path) -> None:
    copytree(stopped_home, home, dirs_exist_ok=True)
    before = of("reads", decisions(home))
    run_until(home, Until(judge, every=True))
    stopped = decisions(home)
    assert set(stopped.n.values()) == {N}
    after = of("reads", stopped)
    assert after.looks[: len(before.looks)] == before.looks
    assert (after.verdict, after.decided_at) == (before.verdict, before.decided_at)
    run = load_run(home / "runs" / "stops")
    assert not run.is_stopped
    effects = effects_of(run)
    assert effects[["ci_low", "ci_high", "p"]].notna().all(axis=None)
    assert set(effects.n) == {N}
    order = [question.id for question in run.questions("facts")]
    lines = run.files.records("reads", "facts", "bm25-1").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["question_id"] for line in lines] == order


def test_clusters_and_strata_in_one_run(home: Path, stopped_home: Path) -> None:
    make_stopping_home(home)
    cluster_and_part(home)
    copytree(stopped_home / "corpora", home / "corpora", dirs_exist_ok=True)
    copytree(stopped_home / "indexes", home / "indexes")
    run_until(home, Until(judge))
    run = load_run(home / "runs" / "stops")
    assert run.is_stopped
    order = run.questions("facts")
    decided = of("reads", decisions(home))
    assert [look.n for look in decided.looks][:2] == [21, 27]  # 20 and 26.25, at ends of clusters
    for look in decided.looks:
        count = Counter(question.cluster for question in order[: look.n])
        assert set(count.values()) == {3}
        rare = sum(question.stratum == "rare" for question in order[: look.n])
        assert abs(rare - look.n / 4) <= 3  # at most a cluster from its share
    # The bets of clusters of one size, at the last look: the mean of prod(1 + s x) over a density
    # of (1 - s^2)^2 from 0 to 1, for s and for -s.
    table = table_of(run, "facts", contrast_of(run, decided)).sum(axis=1)
    values = table.to_numpy(dtype=float).reshape(-1, 3).mean(axis=1)
    product = Polynomial([1.0])
    for value in values:
        product *= Polynomial([1.0, value])
    density = Polynomial([1.0, 0.0, -1.0]) ** 2
    whole, money = (product * density).integ(), density.integ()
    e_value = (whole(1.0) - whole(-1.0)) / (2 * money(1.0))
    assert decided.looks[-1].e_value == pytest.approx(e_value, rel=1e-9)
    effects = effects_of(run)
    mine = effects[(effects.model == "reads") & (effects.arm == "bm25-1")]
    mine = mine[mine.effect == "gain over closed-book"].set_index("stratum")
    assert int(mine.n_clusters[""]) * 3 == int(mine.n[""]) == decided.looks[-1].n
    assert mine.loc["", ["ci_low", "p"]].notna().all()
    assert mine.loc[["rare", "common"], ["ci_low", "ci_high", "p"]].isna().all(axis=None)


def contrast_of(run: Run, decided: EffectDecision) -> Contrast:
    model = next(entry for entry in run.config.models if entry.name == decided.model)
    found = contrasts(run, decided.task, model)
    return next(one for one in found if (one.effect, one.arm) == (decided.effect, decided.arm))


def test_one_model_is_in_memory_at_a_time_over_all_rounds(
    home: Path, stopped_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_stopping_home(home)
    for name in ("corpora", "indexes"):
        copytree(stopped_home / name, home / name, dirs_exist_ok=True)
    # Both guess, so that both are asked in every round.
    loaded = load_config(str(home / "stops.yaml"), ["models.0.rule=hash"])
    held: set[str] = set()
    most = 0
    real = ScriptedModel.score_options

    def used(model: ScriptedModel, prompt: str, options: Sequence[str]) -> OptionScores:
        nonlocal most
        held.add(model.spec.name)
        most = max(most, len(held))
        return real(model, prompt, options)

    def released(model: ScriptedModel) -> None:
        held.discard(model.spec.name)

    monkeypatch.setattr(ScriptedModel, "score_options", used)
    monkeypatch.setattr(ScriptedModel, "release", released)
    run_experiment(*loaded, until=Until(judge))
    assert len(decisions(home).looks) == 6
    assert most == 1


@pytest.mark.slow
def test_a_look_waits_for_all_its_answers(home: Path, stopped_home: Path) -> None:
    make_stopping_home(home)
    first = Grid(*load_config(str(home / "stops.yaml"))).tasks[0].questions[0]
    failing = f"models.0.fail_on={first.text.split()[2]} "
    loaded = load_config(str(home / "stops.yaml"), [failing])
    finished = run_experiment(*loaded, until=Until(judge))
    assert finished.errors
    assert decisions(home).looks == ()
    assert max(decisions(home).n.values()) == 20
    run_until(home, Until(judge))
    assert of("reads", decisions(home)) == of("reads", decisions(stopped_home))


def test_other_settings_or_shards_are_refused(home: Path, stopped_home: Path) -> None:
    copytree(stopped_home, home, dirs_exist_ok=True)
    config = str(home / "stops.yaml")
    with pytest.raises(UsageError, match="does not say when to stop"):
        ragbench.run("quickstart", until="decided")
    with pytest.raises(UsageError, match="another alpha, margin"):
        ragbench.run(config, overrides=["analysis.stop.margin=0.1"])
    with pytest.raises(UsageError, match="not in shards"):
        finish_experiment(*load_config(config), command="stops.yaml")
