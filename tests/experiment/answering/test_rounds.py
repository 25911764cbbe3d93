"""Answering in rounds: the same order and decisions after a kill, and extension to all."""

from __future__ import annotations

import json
from math import comb
from pathlib import Path
from shutil import copytree

import pandas as pd
import pytest
from click.testing import CliRunner

import ragbench
from ragbench.analysis.effects import effects as effects_of
from ragbench.analysis.judging import judge
from ragbench.analysis.load import load_run
from ragbench.analysis.results import write_tables
from ragbench.base.errors import UsageError
from ragbench.cli.watch import watch
from ragbench.experiment.answering.rounds import Until
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
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
    assert look.n == row.n == 20
    assert hurt < helped
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


def test_the_report_says_how_it_stopped(stopped_home: Path) -> None:
    text = (stopped_home / "runs" / "stops" / "report.md").read_text(encoding="utf-8")
    asked, every = 4 * 20 + 2 * N, 6 * N
    assert f"it asked {asked} of {every} answers (44 % saved)" in text  # 1 - 200/360
    assert "the sequence has 0.01, and the test of a fixed number of questions has 0.04" in text


def test_watch_prints_the_last_look(stopped_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGBENCH_HOME", str(stopped_home))
    shown = CliRunner().invoke(watch, ["stops"])
    assert shown.exit_code == 0
    rows = [line.split() for line in shown.output.splitlines()]
    assert [row[-2:] for row in rows if "reads" in row] == [["shown", "20"]]
    assert [row[-3:] for row in rows if "guesses" in row] == [["not", "shown", str(N)]]
    found = json.loads(CliRunner().invoke(watch, ["stops", "--json"]).output)
    assert [effect["verdict"] for effect in found] == ["shown", "exhausted"]
