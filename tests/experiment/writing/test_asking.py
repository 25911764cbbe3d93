"""Writing is answering: it stops, resumes and costs as answers do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.load import load_run
from ragbench.base.errors import BackendError, DataError, SpentError, UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import prepare_experiment, run_experiment
from ragbench.report.cost import cost_rows
from tests.experiment.writing.cases import N, calls, lines, make_cases, run_cases

FEW = (
    "arms=[closed-book, {name: own-1, retriever: bm25, k: 1, queries: own}, "
    "{name: memory, write: {by: each, n: 2}}]"
)


def texts(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """Return question and reply of all that was written, by file."""
    return {
        path.name: [(r["question_id"], r["reply"]) for r in lines(path)]
        for path in sorted((folder / "written" / "records").glob("*.jsonl"))
    }


def same_files(one: Path, other: Path, *folders: str) -> None:
    for folder in folders:
        names = sorted(path.name for path in (one / folder).iterdir())
        assert names == sorted(path.name for path in (other / folder).iterdir())
        for name in names:
            assert (one / folder / name).read_bytes() == (other / folder / name).read_bytes(), name


def check_scores(one: Path, other: Path) -> None:
    new, old = (
        pd.read_parquet(path / "scores" / "correct.parquet").drop(
            columns=["elapsed_s", "ended_at", "written_seconds"]
        )
        for path in (one, other)
    )
    pd.testing.assert_frame_equal(new, old)


def test_a_writing_that_stopped_goes_on_and_gives_the_same(
    written_home: Path, written_copy: Path, home: Path
) -> None:
    """As a kill leaves it: one file torn, one not started, and nothing after the writing."""
    records = written_copy / "written" / "records"
    torn = records / "llama+cases+queries.parts.0.jsonl"
    whole = torn.read_text().splitlines(keepends=True)
    torn.write_text("".join(whole[:7]) + whole[7][:60])
    (records / "med+cases+filter.bm25~parts~12.0.jsonl").unlink()
    for name in ("records", "prompts", "packed", "filtered", "retrieval", "scores", "sums.json"):
        path = written_copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    run_cases(home)
    finished = written_home / "runs" / "written"
    assert texts(written_copy) == texts(finished)
    same_files(written_copy, finished, "packed", "filtered", "retrieval", "prompts", "questions")
    check_scores(written_copy, finished)


@pytest.mark.slow
def test_a_killed_writing_goes_on_and_gives_the_same(home: Path, tmp_path: Path) -> None:
    whole = run_cases(make_cases(home), FEW)
    whole = whole.rename(tmp_path / "whole")
    before = calls(home)
    (home / "calls.jsonl").unlink()
    command = [sys.executable, "-m", "ragbench", "run", "written.yaml", "--set", FEW]
    slow = ["--set", "models.llama.delay_s=0.1", "--set", "models.med.delay_s=0.1"]
    environment = {**os.environ, "RAGBENCH_HOME": str(home)}
    process = subprocess.Popen(command + slow, cwd=home, env=environment, stderr=subprocess.DEVNULL)
    killed = home / "runs" / "written"
    deadline = time.monotonic() + 120
    while len(calls(home)) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    written = texts(killed)
    assert 0 < sum(map(len, written.values())) < 4 * N
    assert not list((killed / "records").glob("*"))
    again = run_cases(home, FEW)
    assert texts(again) == texts(whole)
    same_files(again, whole, "packed", "retrieval", "questions", "prompts")
    check_scores(again, whole)
    # Only the call that was under way at the kill is repeated.
    assert len(before) <= len(calls(home)) <= len(before) + 1


def test_a_writer_that_fails_once_stops_the_run_and_is_asked_again(home: Path) -> None:
    make_cases(home)
    path = str(home / "written.yaml")
    with pytest.raises(BackendError) as failed:
        run_experiment(*load_config(path, [FEW, "models.med.fail_every=7"]))
    assert failed.value.exit_code == 5
    assert "texts that models write for the arms are missing" in failed.value.what
    assert "med fails on purpose" in failed.value.what
    assert failed.value.where.startswith("med, cases, ")
    folder = home / "runs" / "written"
    assert not (folder / "packed").exists()  # neither closed-book nor by the question itself
    asked = len(calls(home))
    run_cases(home, FEW)
    assert (folder / "scores" / "correct.parquet").exists()
    again = calls(home)[asked:]
    assert sum(call == "generate" for _, call, _ in again) == 2 * N // 7


def test_what_is_written_counts_in_max_cost(home: Path) -> None:
    make_cases(home)
    path = str(home / "written.yaml")
    prices = "prices={llama: {input: 1000, output: 1000}, med: {input: 1000, output: 1000}}"
    with pytest.raises(SpentError, match="texts that models write for the arms are missing") as one:
        run_experiment(*load_config(path, [FEW, prices, "max_cost=0.2"]))
    assert one.value.exit_code == 6
    some = sum(map(len, texts(home / "runs" / "written").values()))
    assert 0 < some < 4 * N
    finished = run_experiment(*load_config(path, [FEW, prices, "max_cost=1000"]))
    # The texts of the session before are among the costs.
    written = [
        record
        for path in (finished.folder.path / "written" / "records").glob("*.jsonl")
        for record in lines(path)
        if "reused" not in record
    ]
    cost = sum(r["prompt_tokens"] + r["reply_tokens"] for r in written) / 1000
    assert cost > 0.2
    # Answers send the prompt alone and with each of three letters, of one token.
    sent = [
        4 * record["prompt_tokens"] + 3
        for path in (finished.folder.path / "records").glob("*.jsonl")
        for record in lines(path)
        if "reused" not in record
    ]
    assert finished.spending.total == pytest.approx(cost + sum(sent) / 1000)
    # In the table of cost, an arm has all its calls.
    run = load_run(finished.folder.path)
    header, rows = cost_rows(run, effects(run))
    named = [dict(zip(header, cells, strict=True)) for cells in rows]
    (row,) = (row for row in named if (row["model"], row["arm"]) == ("llama", "own-1"))
    mine = lines(finished.folder.path / "records" / "llama+cases+own-1.0.jsonl")
    own = lines(finished.folder.path / "written/records/llama+cases+queries.own.0.jsonl")
    total = sum(4 * r["prompt_tokens"] + 3 for r in mine)
    total += sum(r["prompt_tokens"] + r["reply_tokens"] for r in own)
    assert row["USD in all"] == f"{total / 1000:,.4f}"
    assert row["calls before, a question"] == "1.0"


def test_prepare_writes_before_the_first_answer(home: Path) -> None:
    make_cases(home)
    prepared = prepare_experiment(*load_config(str(home / "written.yaml"), [FEW]))
    assert all(call == "generate" for _, call, _ in calls(home))
    assert len(calls(home)) == 4 * N
    assert prepared.left == 2 * N * 3


def test_the_cache_of_replies_has_written_texts_too(home: Path) -> None:
    make_cases(home)
    path = str(home / "written.yaml")
    prepare_experiment(*load_config(path, [FEW, "reply_cache=true"]))
    before = calls(home)
    prepare_experiment(*load_config(path, [FEW, "reply_cache=true", "name=again"]))
    assert calls(home) == before
    again = home / "runs" / "again"
    assert texts(again) == texts(home / "runs" / "written")
    records = (again / "written" / "records").glob("*.jsonl")
    assert all(record["reused"] == "cache" for path in records for record in lines(path))


def test_another_writer_or_query_is_another_run(written_copy: Path, home: Path) -> None:
    path = str(home / "written.yaml")
    with pytest.raises(UsageError, match="another config") as refused:
        prepare_experiment(*load_config(path, ["queries.rationale.write=passage"]))
    assert "config.queries.rationale.write: 'rationale' -> 'passage'" in refused.value.where


def test_an_extension_may_add_queries(written_copy: Path, home: Path) -> None:
    config = (home / "written.yaml").read_text()
    config = config.replace(
        "  rationale: {", "  rewritten: {by: med, write: rewrite}\n  rationale: {"
    )
    config += "  - {name: rewritten-1, retriever: bm25, k: 1, queries: rewritten}\n"
    (home / "written.yaml").write_text(config)
    before = texts(written_copy)
    prepared = prepare_experiment(*load_config(str(home / "written.yaml")), extend=True)
    assert prepared.left == 2 * N
    after = texts(written_copy)
    assert len(after.pop("med+cases+queries.rewritten.0.jsonl")) == N
    assert after == before


def test_a_changed_text_is_refused(written_copy: Path, home: Path) -> None:
    path = written_copy / "written" / "records" / "llama+cases+queries.parts.0.jsonl"
    path.write_text(path.read_text().replace("vitamin C", "vitamin D"))
    with pytest.raises(DataError, match="has changed since it was written"):
        run_experiment(*load_config(str(home / "written.yaml")))


def test_a_writer_without_room_is_refused_before_the_first_text(home: Path) -> None:
    make_cases(home)
    with pytest.raises(UsageError, match="does not fit") as refused:
        run_experiment(*load_config(str(home / "written.yaml"), [FEW, "models.med.context=100"]))
    assert "queries.own" in refused.value.where
    assert refused.value.fix.startswith("set queries.own.reply_limit to ")
    with pytest.raises(UsageError, match="does not fit") as refused:
        run_experiment(*load_config(str(home / "written.yaml"), [FEW, "models.med.context=60"]))
    assert refused.value.fix == "give `by` a model with a larger context"  # the prompt is longer
    assert calls(home) == []
