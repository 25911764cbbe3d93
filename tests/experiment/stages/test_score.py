"""Scoring: repeatable from the records alone, without a model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.panels.aggregates import aggregates
from ragbench.base.errors import DataError
from ragbench.base.files import write_jsonl
from ragbench.experiment.stages.score import score_run
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.scores import COLUMNS
from tests.runfolder.golden import LM_EVAL, RUNS, lines
from tests.runfolder.sealing import sealed_line


@pytest.mark.parametrize("golden", RUNS, ids=lambda run: run.name)
def test_scores_are_those_of_the_golden_run(golden: RunPaths, tmp_path: Path) -> None:
    shutil.copytree(golden.path, tmp_path / "run")
    run = RunPaths(tmp_path / "run")
    failed = score_run(run)
    found = pd.read_parquet(run.scores("correct"))
    assert failed == (found.outcome == "error").sum() == 0
    newer = [name for name in COLUMNS if name.startswith("written_")]
    found = found.drop(columns=["sent_tokens", "cached_tokens", "ended_at", "model_calls", *newer])
    again = found.to_json(orient="records", lines=True, double_precision=15)
    expected = run.scores("correct").with_suffix(".jsonl")
    for one, other in zip(again.splitlines(), lines(expected), strict=True):
        row = json.loads(one)
        assert list(row) == list(other)
        assert row == pytest.approx(other, abs=1e-12, nan_ok=True)


def test_calibration_goes_by_the_likeliest_option(tmp_path: Path) -> None:
    """Raw sums -1, -2 and -3 over 1, 10 and 1 characters: the pick is the second, at -0.2.

    Their softmax is e^2, e and 1 by e^2 + e + 1 = 11.107: 0.6652, 0.2447 and 0.0900. The likeliest
    option is the first, and right: of these two questions the calibration error is 1 - 0.6652.
    """
    shutil.copytree(LM_EVAL.path, tmp_path / "run")
    run = RunPaths(tmp_path / "run")
    asked = {"options": ["a", "b" * 10, "c"], "answer": 0}
    sums = {"log_likelihoods": [-1.0, -2.0, -3.0], "option_tokens": [1, 1, 1]}
    for path, change in (
        (run.questions("tiny_mc"), asked),
        (run.path / "records" / "smollm2+tiny_mc+closed-book.0.jsonl", sums),
    ):
        write_jsonl(path, [line | change for line in lines(path)])
    score_run(run)
    scored = load_run(run.path)
    cell = scored.cell("smollm2", "tiny_mc", "closed-book")
    assert list(cell["pick"]) == [1, 1]
    assert list(cell["likeliest"]) == [0, 0]
    assert list(cell["accuracy"]) == [0.0, 0.0]
    assert list(cell["confidence"]) == pytest.approx([0.665241] * 2, abs=1e-6)
    (ece,) = (row for row in aggregates(scored, cell) if row["metric"] == "ece")
    assert ece["value"] == pytest.approx(1 - 0.665241, abs=1e-6)


def test_scores_are_the_same_when_made_again(run_copy: Path) -> None:
    path = run_copy / "scores" / "correct.parquet"
    before = pd.read_parquet(path)
    path.unlink()
    assert score_run(RunPaths(run_copy)) == 0
    pd.testing.assert_frame_equal(before, pd.read_parquet(path))


def test_scoring_loads_neither_torch_nor_faiss(run_copy: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from ragbench.runfolder.paths import RunPaths\n"
        "from ragbench.experiment.stages.score import score_run\n"
        f"score_run(RunPaths(Path({str(run_copy)!r})))\n"
        "print(sorted({'torch', 'faiss', 'transformers'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_question_has_a_row_in_every_cell(run_copy: Path) -> None:
    (run_copy / "records" / "scripted+icd10cm+random-5.0.jsonl").unlink()
    assert score_run(RunPaths(run_copy)) == 10
    table = pd.read_parquet(run_copy / "scores" / "correct.parquet")
    assert table.groupby("arm").size().eq(10).all()
    lost = table[table.arm == "random-5"]
    assert set(lost.outcome) == {"error"}
    assert set(lost.error) == {"not answered"}
    assert lost.accuracy.isna().all()


def test_a_record_that_is_not_whole_is_named(run_copy: Path) -> None:
    path = run_copy / "records" / "scripted+icd10cm+bm25-5.0.jsonl"
    path.write_text('{"question_id": "x"}\n', encoding="utf-8")
    with pytest.raises(DataError, match="the record is missing 'key'") as caught:
        score_run(RunPaths(run_copy))
    assert caught.value.where.endswith(".0.jsonl:1")


def records(folder: Path, cell: str) -> list[dict[str, Any]]:
    path = folder / "records" / f"scripted+{cell}.0.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def rewrite(folder: Path, cell: str, lines: list[dict[str, Any]]) -> None:
    path = folder / "records" / f"scripted+{cell}.0.jsonl"
    write_jsonl(path, [sealed_line(line) for line in lines])


def test_every_outcome_of_a_written_reply(mixed_copy: Path) -> None:
    """Six replies in place of the model's own; each gets its outcome, wrong but for the parsed."""
    cell = "facts-written+closed-book"
    lines = records(mixed_copy, cell)
    questions = (mixed_copy / "questions" / "facts-written.jsonl").read_text().splitlines()
    key = "ABC"[json.loads(questions[0])["answer"]]
    replies = [
        (f"<think>hm</think>{key}", "stop"),
        ("It depends.", "stop"),
        ("I'm sorry, but I can't say.", "stop"),
        ("Let me think about", "length"),
        (f"<think>The answer is {key}", "length"),
    ]
    for line, (reply, finish) in zip(lines, replies, strict=False):
        line.update(reply=reply, finish=finish)
    lines[5].update(reply=None, finish="error", error="the server is gone")
    rewrite(mixed_copy, cell, lines)
    assert score_run(RunPaths(mixed_copy)) == 1
    table = pd.read_parquet(mixed_copy / "scores" / "correct.parquet")
    found = table[(table.task == "facts-written") & (table.arm == "closed-book")]
    assert list(found.outcome) == [
        *("parsed", "unparsed", "refused", "truncated", "truncated", "error")
    ]
    assert list(found.accuracy[:5]) == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert found.accuracy.isna().tolist() == [False] * 5 + [True]
    assert found.reasoning.iloc[0] == "hm"
    assert found.reply.iloc[0] == key
    assert found.pick.isna().tolist() == [False] + [True] * 5


def test_a_reply_of_a_million_characters_is_scored_and_reported(
    mixed_copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = "facts-written+closed-book"
    lines = records(mixed_copy, cell)
    lines[0]["reply"] = "The answer is " * 70_000 + "B."
    rewrite(mixed_copy, cell, lines)
    score_run(RunPaths(mixed_copy))
    found = pd.read_parquet(mixed_copy / "scores" / "correct.parquet").set_index(
        ["task", "arm", "question_id"]
    )
    assert found.pick["facts-written", "closed-book", lines[0]["question_id"]] == 1
    assert "1 of 6 replies have more than 100,000 characters" in capsys.readouterr().err


def test_a_written_record_without_its_reply_is_named(mixed_copy: Path) -> None:
    cell = "facts-written+closed-book"
    lines = records(mixed_copy, cell)
    lines[2]["reply"] = None
    rewrite(mixed_copy, cell, lines)
    with pytest.raises(DataError, match="'q-beriberi' has no reply"):
        score_run(RunPaths(mixed_copy))


def test_letters_pick_the_likeliest_letter(mixed_home: Path) -> None:
    run = mixed_home / "runs" / "mixed"
    table = pd.read_parquet(run / "scores" / "correct.parquet")
    found = table[(table.task == "facts") & (table.arm == "bm25-1")].set_index("question_id")
    for record in records(run, "facts+bm25-1"):
        sums = record["log_likelihoods"]
        assert record["option_tokens"] == [1, 1, 1]
        assert found.pick[record["question_id"]] == sums.index(max(sums))


def test_the_three_ways_share_all_but_the_way(mixed_home: Path) -> None:
    """One prompt for letters and written replies; for options the same without the list."""
    run = mixed_home / "runs" / "mixed"
    text = (run / "prompts" / "0.jsonl").read_text(encoding="utf-8")
    prompts = {p["digest"]: p["text"] for p in map(json.loads, text.splitlines())}
    for arm in ("closed-book", "bm25-2", "hybrid", "oracle-bm25-2", "oracle-removed-bm25-2"):
        letters, options, written = (
            {r["question_id"]: r for r in records(run, f"{task}+{arm}")}
            for task in ("facts", "facts-options", "facts-written")
        )
        for question, record in letters.items():
            assert record["prompt"] == written[question]["prompt"]
            assert record["passages"] == options[question]["passages"]
            listed = prompts[record["prompt"]]
            plain = prompts[options[question]["prompt"]]
            start, rest = listed.split("\n\nA. ", 1)
            assert (
                plain == start + rest[rest.index("the right option.") + len("the right option.") :]
            )
            assert record["reply"] is None
            assert written[question]["log_likelihoods"] is None
            assert isinstance(written[question]["reply"], str)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_reply_cut_within_a_trace_that_the_prompt_opened_is_truncated(
    tmp_path: Path, recorded: bool
) -> None:
    """By the records, or by another reply of the same model that closes a trace unopened."""
    shutil.copytree(LM_EVAL.path, tmp_path / "run")
    run = RunPaths(tmp_path / "run")
    path = run.path / "records" / "smollm2+tiny_gen+closed-book.0.jsonl"
    cut, whole = lines(path)
    mark = {"opened": "<think>"} if recorded else {}
    cut |= {"reply": "The liver secretes bile. But", "finish": "length"} | mark
    whole |= {"reply": "Hm.\n</think>\n\nThe pancreas."} | mark
    write_jsonl(path, [cut, whole])
    score_run(run)
    cell = load_run(run.path).cell("smollm2", "tiny_gen", "closed-book").set_index("question_id")
    assert list(cell.outcome[[cut["question_id"], whole["question_id"]]]) == ["truncated", "parsed"]
    assert list(cell.reply[[cut["question_id"], whole["question_id"]]]) == ["", "The pancreas."]
    assert list(cell.reasoning)[-1] == "Hm."


def test_the_mass_on_the_options_is_a_column_and_a_figure(tmp_path: Path) -> None:
    """Shares of 0.5 and 0.25 in one question, of 0.001 twice in the other: 0.376 on average."""
    from ragbench.analysis.results import results

    shutil.copytree(LM_EVAL.path, tmp_path / "run")
    run = RunPaths(tmp_path / "run")
    path = run.path / "records" / "smollm2+tiny_mc+closed-book.0.jsonl"
    sums = [[-0.6931471805599453, -1.3862943611198906], [-6.907755278982137] * 2]
    write_jsonl(
        run.questions("tiny_mc"),
        [line | {"options": ["a", "b"], "answer": 0} for line in lines(run.questions("tiny_mc"))],
    )
    write_jsonl(
        path,
        [
            line | {"log_likelihoods": s, "option_tokens": [1, 1]}
            for line, s in zip(lines(path), sums, strict=True)
        ],
    )
    score_run(run)
    scored = load_run(run.path)
    cell = scored.cell("smollm2", "tiny_mc", "closed-book")
    assert list(cell["option_mass"]) == pytest.approx([0.75, 0.002])
    table = results(scored)
    (value,) = table[(table.metric == "mean_option_mass") & (table.task == "tiny_mc")].value
    assert value == pytest.approx(0.376)
