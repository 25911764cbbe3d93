"""Logs that lm-eval 0.4.13 wrote of SmolLM2-135M on twelve questions, against its own scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragbench.analysis.load import load_run
from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import read_jsonl
from ragbench.experiment.importing.import_lm_eval import read_lm_eval_run
from ragbench.experiment.importing.imported import write_run
from tests.runfolder.golden import LM_EVAL, differing

LOGS = Path(__file__).parents[2] / "data" / "lm_eval"
(CHOICE,) = LOGS.glob("samples_tiny_mc_*.jsonl")
(TEXT,) = LOGS.glob("samples_tiny_gen_*.jsonl")


def test_scores_are_lm_evals(home: Path) -> None:
    run = load_run(
        write_run(read_lm_eval_run([str(CHOICE), str(TEXT)], name="theirs", model="smollm2"))
    )
    choice = run.scores[run.scores.task == "tiny_mc"].set_index("question_id")
    theirs = {str(line["doc_id"]): line for _, line in read_jsonl(CHOICE)}
    assert len(choice) == 12
    for identifier, line in theirs.items():
        assert choice.accuracy[identifier] == line["acc_norm"]
    assert choice.accuracy.mean() == pytest.approx(5 / 12)  # 0.4167 in its table
    text = run.scores[run.scores.task == "tiny_gen"]
    assert text.exact_match.tolist() == [line["exact_match"] for _, line in read_jsonl(TEXT)]
    assert (text.reply == "The liver secretes bile.").sum() == 1
    assert run.about.identity.imported_format == "lm-eval"
    prompts = (run.path / "prompts" / "0.jsonl").read_text(encoding="utf-8")
    assert "Which organ secretes bile?" in prompts


def test_files_are_those_of_the_golden_run(home: Path) -> None:
    """Two documents of each log; the filter takes the blanks off the replies."""
    for path, wanted in ((CHOICE, ("0", "1")), (TEXT, ("2", "3"))):
        rows = [line for _, line in read_jsonl(path) if str(line["doc_id"]) in wanted]
        for row in rows if path == TEXT else ():
            row["filtered_resps"] = [row["resps"][0][0].strip()]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (home / path.name).write_text(text, encoding="utf-8")
    paths = [str(home / TEXT.name), str(home / CHOICE.name)]
    run = read_lm_eval_run(paths, name="lm-eval", model="smollm2")
    assert differing(write_run(run), LM_EVAL) == []


def changed(folder: Path, name: str, place: int, change: Any) -> Path:
    rows = [line for _, line in read_jsonl(CHOICE)]
    change(rows[place])
    path = folder / f"samples_{name}_2026-01-01T00-00-00.000000.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_arms_are_paired_by_document(home: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        row["resps"][0][0][0] = "-0.1"
        row |= {"acc": 0.0, "acc_norm": 0.0}

    other = changed(home, "tiny_mc", 0, change)
    run = read_lm_eval_run([str(CHOICE), f"bm25={other}"], name="two", model="m")
    assert [arm.name for arm in run.arms] == ["closed-book", "bm25"]
    scores = load_run(write_run(run)).scores.set_index(["arm", "question_id"])
    assert scores.pick["bm25", "0"] == 0
    assert scores.pick["closed-book", "0"] == 1
    with pytest.raises(UsageError, match="two logs have the task 'tiny_mc'"):
        read_lm_eval_run([str(CHOICE), str(other)], name="two", model="m")
    strange = changed(home, "tiny_mc", 3, lambda row: row["doc"].update(question="Another?"))
    with pytest.raises(DataError, match="document 3 differs between two arms"):
        read_lm_eval_run([str(CHOICE), f"bm25={strange}"], name="two", model="m")
    shorter = changed(home, "tiny_mc", 0, lambda row: row)
    shorter.write_text("".join(shorter.read_text().splitlines(keepends=True)[:-1]))
    for arms in ([str(CHOICE), f"bm25={shorter}"], [f"bm25={CHOICE}", str(shorter)]):
        with pytest.raises(DataError, match="document 11 appears in the log of only one arm"):
            read_lm_eval_run(arms, name="two", model="m")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("resps"), "no field 'resps'"),
        (lambda row: row.update(target="9"), "target '9' is not one of the 4 options"),
        (lambda row: row["resps"].pop(), "4 continuations and 3 answers"),
        (lambda row: row["resps"][1][0].__setitem__(0, "nan"), "is not finite"),
        (lambda row: row["resps"][1][0].__setitem__(0, "x"), "is not a number"),
        (lambda row: row.update(arguments={}), "not those of a sample"),
        (lambda row: row.update(resps=[["-3.2"]]), "neither multiple choice nor"),
        (lambda row: row.update(doc_id=1), "document 1 appears twice"),
    ],
)
def test_lines_that_are_no_sample(home: Path, change: Any, message: str) -> None:
    path = changed(home, "bad", 2, change)
    with pytest.raises(DataError, match=message) as caught:
        read_lm_eval_run([str(path)], name="x", model="m")
    assert f"{path}:3" in caught.value.where


def test_a_target_that_is_a_number_and_a_text(home: Path) -> None:
    """The options "1" and "0" with the target "1": what was recorded tells which is meant."""

    def change(row: dict[str, Any]) -> None:
        for part, text in zip(row["arguments"].values(), (" 1", " 0", " 2", " 3"), strict=True):
            part["arg_1"] = text
        row["acc"] = 1.0  # the second is the likeliest

    run = read_lm_eval_run([str(changed(home, "n", 0, change))], name="x", model="m")
    assert run.tasks[0].questions[0].answer == 1


def test_names_that_are_no_log(home: Path) -> None:
    (home / "results.jsonl").write_text("{}")
    with pytest.raises(DataError, match="not have the name of a sample log"):
        read_lm_eval_run([str(home / "results.jsonl")], name="x", model="m")
    with pytest.raises(DataError, match="no such file"):
        read_lm_eval_run(["samples_x_2026-01-01T00-00-00.jsonl"], name="x", model="m")


# Twenty questions, the same model: 14 right by lm-eval's acc, 11 by its acc_norm, 5 written.
(BASICS,) = LOGS.glob("samples_medical_basics_2*.jsonl")
(WRITTEN,) = LOGS.glob("samples_medical_basics_written_*.jsonl")


def test_both_accuracies_of_lm_eval(home: Path) -> None:
    run = load_run(write_run(read_lm_eval_run([str(BASICS)], name="b", model="m")))
    theirs = [line for _, line in read_jsonl(BASICS)]
    assert run.scores.accuracy.tolist() == [line["acc_norm"] for line in theirs]
    assert run.scores.accuracy_sum.tolist() == [line["acc"] for line in theirs]
    assert (run.scores.accuracy.sum(), run.scores.accuracy_sum.sum()) == (11, 14)
    assert run.metrics("medical_basics")[0] == "accuracy"


def test_a_log_without_acc_norm_is_scored_by_acc(home: Path) -> None:
    path = written_log(home, BASICS, "plain", drop=("acc_norm",))
    run = load_run(write_run(read_lm_eval_run([str(path)], name="b", model="m")))
    assert run.metrics("plain")[0] == "accuracy_sum"
    assert run.scores.accuracy_sum.sum() == 14


def written_log(
    folder: Path, source: Path, task: str, drop: tuple[str, ...] = (), **fields: Any
) -> Path:
    """Write a log again, each line changed alike."""
    path = folder / f"samples_{task}_2026-01-01T00-00-00.000000.jsonl"
    rows = [line | fields for _, line in read_jsonl(source)]
    for row in rows:
        for name in drop:
            row.pop(name)
            row["metrics"].remove(name)
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_written_letters_are_a_choice(home: Path) -> None:
    run = load_run(write_run(read_lm_eval_run([str(WRITTEN)], name="w", model="m")))
    theirs = [line for _, line in read_jsonl(WRITTEN)]
    assert run.scores.accuracy.tolist() == [line["exact_match"] for line in theirs]
    assert run.scores.accuracy.sum() == 5
    invalid = [line["filtered_resps"] == ["[invalid]"] for line in theirs]
    assert (run.scores.outcome == "unparsed").tolist() == invalid
    assert 0 < sum(invalid) < 20
    (record,) = [
        line
        for _, line in read_jsonl(
            run.path / "records" / "m+medical_basics_written+closed-book.0.jsonl"
        )
        if line["question_id"] == "0"
    ]
    assert (record["reply"], record["reply_before_filter"]) == ("A", ": A.")


def test_error_messages_and_null_are_errors(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The filter made "[invalid]" of the message; the log's own reply shows what it was."""
    rows = [line for _, line in read_jsonl(WRITTEN)]
    failed = "Error code: 503 - {'error': {'message': 'overloaded'}}"
    rows[0] |= {"resps": [[failed]], "filtered_resps": ["[invalid]"], "exact_match": 0.0}
    rows[1] |= {"resps": [[None]], "filtered_resps": [None], "exact_match": 0.0}
    rows[2] |= {"resps": [["A connection error is no disease. A."]], "filtered_resps": ["A"]}
    path = home / "samples_failed_2026-01-01T00-00-00.000000.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    scores = load_run(write_run(read_lm_eval_run([str(path)], name="w", model="m"))).scores
    assert (scores.outcome == "error").tolist() == [True, True] + [False] * 18
    assert scores.error.tolist()[:2] == [
        f"in place of a reply: {failed}",
        "the imported file has null in place of the reply",
    ]
    assert "m, failed, closed-book: 1 of 20 replies are error messages" in " ".join(
        capsys.readouterr().err.split()
    )


def test_one_of_several_filters_is_chosen(home: Path) -> None:
    rows = [line for _, line in read_jsonl(WRITTEN)]
    raw = [
        row | {"filter": "none", "filtered_resps": row["resps"][0], "exact_match": 0.0}
        for row in rows
    ]
    path = home / "samples_two_2026-01-01T00-00-00.000000.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in [*rows, *raw]), encoding="utf-8")
    with pytest.raises(UsageError, match="replies of 2 filters") as caught:
        read_lm_eval_run([str(path)], name="w", model="m")
    assert "get-letter, none" in caught.value.fix
    run = read_lm_eval_run([str(path)], name="w", model="m", filter_="get-letter")
    assert run.answers["m", "two", "closed-book"]["0"].reply == "A"
    run = read_lm_eval_run([str(path)], name="w", model="m", filter_="none")
    assert run.answers["m", "two", "closed-book"]["0"].reply == ": A."
    with pytest.raises(UsageError, match="no filter 'letter'"):
        read_lm_eval_run([str(path)], name="w", model="m", filter_="letter")


def test_where_lm_evals_metric_differs_it_is_said(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read_lm_eval_run([str(BASICS), str(WRITTEN)], name="w", model="m")
    assert "otherwise" not in capsys.readouterr().err
    path = changed(home, "tiny_mc", 0, lambda row: row.update(acc_norm=0.5))
    read_lm_eval_run([str(path)], name="w", model="m")
    said = capsys.readouterr().err
    assert "tiny_mc, closed-book: 1 of 12 documents score differently from lm-eval's" in said


def test_kinds_are_not_mixed(home: Path) -> None:
    rows = [line for _, line in read_jsonl(WRITTEN)]
    rows[3]["target"] = "a text"
    path = home / "samples_mixed_2026-01-01T00-00-00.000000.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    with pytest.raises(DataError, match="mixes choice and text answers"):
        read_lm_eval_run([str(path)], name="w", model="m")
