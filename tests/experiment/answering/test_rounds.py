"""Answering in rounds: the same order and decisions after a kill, and extension to all."""

from __future__ import annotations

import json
from math import comb
from pathlib import Path

import pandas as pd
import pytest

import ragbench
from ragbench.analysis.judging import judge
from ragbench.analysis.load import load_run
from ragbench.base.errors import BackendError, UsageError
from ragbench.experiment.answering.rounds import Until
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.experiment.sharded import finish_experiment
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.stopped import EffectDecision, StopFile, read_stopped
from tests.conftest import made_once
from tests.experiment.answering.stopping_home import N, make_stopping_home


def _stop(folder: Path) -> None:
    make_stopping_home(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(folder))
        ragbench.run(str(folder / "stops.yaml"))


@pytest.fixture(scope="session")
def stopped_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home whose run stopped when its effects were decided; not to be written to."""
    return made_once(tmp_path_factory, "stopped", _stop)


def decisions(home: Path) -> StopFile:
    found = read_stopped(RunPaths(home / "runs" / "stops"))
    assert found is not None
    return found


def of(model: str, stopped: StopFile) -> EffectDecision:
    return next(effect for effect in stopped.effects if effect.model == model)


def test_what_is_decided_is_asked_no_more(stopped_home: Path) -> None:
    stopped = decisions(stopped_home)
    assert [of(model, stopped).verdict for model in ("reads", "guesses")] == ["shown", "exhausted"]
    assert of("reads", stopped).decided_at == 20
    for cell, n in stopped.n.items():
        records = RunPaths(stopped_home / "runs" / "stops").records(*cell)
        expected = N if cell[0] == "guesses" and "random" not in cell[2] else 20
        assert n == len(records.read_text(encoding="utf-8").splitlines()) == expected


def test_the_first_look_is_the_bet_in_closed_form(stopped_home: Path) -> None:
    (look, *_) = of("reads", decisions(stopped_home)).looks
    effects = pd.read_csv(stopped_home / "runs" / "stops" / "effects.csv")
    row = effects[(effects.model == "reads") & (effects.arm == "bm25-1")].iloc[0]
    helped, hurt = int(row.helped), int(row.hurt)
    assert (look.n, helped, hurt) == (20, 18, 0)
    # 2^(h+l) B(3+h, 3+l) / B(3, 3); B(a, b) = 1 / (a C(a+b-1, a)), and B(3, 3) is 1/30
    beta = 1 / ((3 + helped) * comb(5 + helped + hurt, 3 + helped))
    assert look.e_value == pytest.approx(2 ** (helped + hurt) * beta * 30, rel=1e-9)
    assert look.p == pytest.approx(5 / look.e_value, rel=1e-9)  # a fifth of alpha
    assert row.p_adjusted == pytest.approx(2 * look.p, rel=1e-9)  # Holm, two effects
    assert (row.ci_low, row.ci_high) == pytest.approx((look.low, look.high), rel=1e-9)


def test_only_effects_with_a_sequence_have_figures_of_inference(stopped_home: Path) -> None:
    effects = pd.read_csv(stopped_home / "runs" / "stops" / "effects.csv")
    assert (effects.status == "complete").all()
    others = effects[effects.family != "primary"]
    assert len(others) == 4
    columns = ["ci_low", "ci_high", "p", "p_exact", "p_adjusted", "p_equivalence_adjusted"]
    assert others[columns].isna().all(axis=None)
    results = pd.read_csv(stopped_home / "runs" / "stops" / "results.csv")
    assert (results.status == "complete").all()
    asked = results[(results.metric == "accuracy") & (results.model != "-")]
    assert set(asked.n) == {20, N}


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
    ragbench.run(str(home / "stops.yaml"))
    other = stopped_home / "runs" / "stops"
    for name in ("stopped.json", "results.csv", "effects.csv"):
        assert (folder.path / name).read_bytes() == (other / name).read_bytes()


def test_a_stopped_run_is_extended_to_all(home: Path) -> None:
    _stop(home)
    before = of("reads", decisions(home))
    ragbench.run(str(home / "stops.yaml"), until="all")
    stopped = decisions(home)
    assert set(stopped.n.values()) == {N}
    after = of("reads", stopped)
    assert after.looks[: len(before.looks)] == before.looks
    assert (after.verdict, after.decided_at) == (before.verdict, before.decided_at)
    run = load_run(home / "runs" / "stops")
    assert not run.is_stopped
    effects = pd.read_csv(run.path / "effects.csv")
    assert effects[["ci_low", "ci_high", "p"]].notna().all(axis=None)
    assert set(effects.n) == {N}
    order = [question.id for question in run.questions("facts")]
    lines = run.files.records("reads", "facts", "bm25-1").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["question_id"] for line in lines] == order


def test_a_look_waits_for_all_its_answers(home: Path) -> None:
    make_stopping_home(home)
    with pytest.raises(BackendError, match="have no answer"):
        ragbench.run(str(home / "stops.yaml"), overrides=["models.0.fail_on=disease7 "])
    stopped = decisions(home)
    if any(look for look in stopped.looks):
        assert all("disease7" not in str(effect) for effect in stopped.effects)
    ragbench.run(str(home / "stops.yaml"))
    assert of("reads", decisions(home)).decided_at == 20


def test_other_settings_or_shards_are_refused(home: Path, stopped_home: Path) -> None:
    make_stopping_home(home)
    (home / "runs").mkdir(exist_ok=True)
    stopped = decisions(stopped_home)
    config = str(home / "stops.yaml")
    with pytest.raises(UsageError, match="does not say when to stop"):
        ragbench.run("quickstart", until="decided")
    _stop(home)
    assert decisions(home) == stopped
    with pytest.raises(UsageError, match="another alpha, margin"):
        ragbench.run(config, overrides=["analysis.stop.margin=0.1"])
    with pytest.raises(UsageError, match="not in shards"):
        finish_experiment(*load_config(config), command="stops.yaml")
