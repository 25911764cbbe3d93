"""Published replies as a run: a small file by hand, mistakes by line, and GPT-3.5's in full."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.analysis.effects import effects
from ragbench.analysis.family import GAIN
from ragbench.analysis.load import load_run
from ragbench.base.errors import DataError, UsageError
from ragbench.experiment.importing.import_mirage import AMBIGUOUS, read_mirage_run
from ragbench.experiment.importing.imported import write_run
from tests.runfolder.golden import MIRAGE, differing

BENCHMARK = {
    "medmcqa": {
        "m1": {"question": "Which?", "options": {"A": "x", "B": "y"}, "answer": "B"},
        "m2": {"question": "Who?", "options": {"A": "x", "B": "z", "C": "x"}, "answer": "A"},
        "m3": {"question": "Where?", "options": {"A": "x", "B": "x", "C": "y"}, "answer": "C"},
    },
    "pubmedqa": {
        "1": {
            "question": "Does it?",
            "options": {"A": "yes", "B": "no", "C": "maybe"},
            "answer": "A",
            "PMID": [1],
        }
    },
}
REPLIES: dict[tuple[str, str, str], list[str]] = {
    ("medmcqa", "m1", "closed-book"): ['{"answer_choice": "B"}'],
    ("medmcqa", "m2", "closed-book"): ["no idea"],
    ("medmcqa", "m3", "closed-book"): [],
    ("medmcqa", "m1", "medrag-32"): ["The answer is A."],
    ("medmcqa", "m2", "medrag-32"): ["A"],
    ("medmcqa", "m3", "medrag-32"): ["C", "A"],
    ("pubmedqa", "1", "closed-book"): ["It depends"],
    ("pubmedqa", "1", "medrag-32"): ["yes"],
}


def lines() -> list[dict[str, Any]]:
    return [
        {"dataset": dataset, "id": identifier, "model": "gpt", "arm": arm, "replies": replies}
        for (dataset, identifier, arm), replies in REPLIES.items()
    ]


def written(folder: Path, rows: list[Any], benchmark: Any = BENCHMARK) -> tuple[Path, Path]:
    predictions, questions = folder / "replies.jsonl", folder / "benchmark.json"
    predictions.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    questions.write_text(json.dumps(benchmark), encoding="utf-8")
    return predictions, questions


def imported(folder: Path, mode: Any, rows: list[Any] | None = None) -> Path:
    files = written(folder, lines() if rows is None else rows)
    return write_run(read_mirage_run(*files, name=mode, mode=mode))


def right(path: Path) -> dict[tuple[str, str, str], tuple[str, float]]:
    scores = load_run(path).scores
    return {
        (row["task"], row["question_id"], row["arm"]): (row["outcome"], row["accuracy"])
        for row in scores.to_dict(orient="records")
    }


def test_a_small_file_by_hand(home: Path) -> None:
    found = right(imported(home, "mirage"))
    assert found == {
        ("medmcqa", "m1", "closed-book"): ("parsed", 1.0),
        ("medmcqa", "m2", "closed-book"): ("assumed", 1.0),  # nothing read is the answer A
        ("medmcqa", "m3", "closed-book"): ("assumed", 0.0),  # no reply: that to m2, so A
        ("medmcqa", "m1", "medrag-32"): ("assumed", 0.0),  # "The answer is A.": no rule reads it
        ("medmcqa", "m2", "medrag-32"): ("parsed", 1.0),
        ("medmcqa", "m3", "medrag-32"): ("parsed", 1.0),  # the first reply counts
        ("pubmedqa", "1", "closed-book"): ("assumed", 1.0),
        ("pubmedqa", "1", "medrag-32"): ("assumed", 1.0),  # small letters: A again
    }
    correct = imported(home, "correct")
    found = right(correct)
    assert ("medmcqa", "m2", "closed-book") not in found  # its right option appears twice
    assert found["medmcqa", "m3", "closed-book"] == ("unparsed", 0.0)
    assert found["pubmedqa", "1", "closed-book"] == ("unparsed", 0.0)
    assert found["pubmedqa", "1", "medrag-32"] == ("parsed", 1.0)
    assert load_run(correct).facts("medmcqa").excluded == (("m2", AMBIGUOUS),)
    assert load_run(correct).about.identity.imported_format == "mirage"


def test_files_are_those_of_the_golden_run(home: Path) -> None:
    run = read_mirage_run(*written(home, lines()), name="mirage", mode="correct")
    assert differing(write_run(run), MIRAGE) == []


def test_what_is_not_known_is_not_shown_as_nothing(home: Path) -> None:
    scores = load_run(imported(home, "correct")).scores
    arm = scores[scores.arm == "medrag-32"]
    assert arm["delivered_k"].isna().all()
    assert arm["passage_tokens"].isna().all()
    assert (arm["k"] == 32).all()
    closed = scores[scores.arm == "closed-book"]
    assert (closed["delivered_k"] == 0).all()


def test_a_run_is_replaced_only_when_asked(home: Path) -> None:
    imported(home, "correct")
    run = read_mirage_run(*written(home, lines()), name="correct", mode="correct")
    with pytest.raises(UsageError, match="a run 'correct' already"):
        write_run(run)
    write_run(run, replace=True)


def change(place: int, **fields: Any) -> list[dict[str, Any]]:
    rows = lines()
    rows[place] = rows[place] | fields
    return rows


@pytest.mark.parametrize(
    ("rows", "message", "where"),
    [
        (change(1, replies="B"), "'replies' is missing or not a list", ":2"),
        (change(1, replies=[3]), "contains a value that is neither text nor null", ":2"),
        (change(2, dataset="medmqa"), "no set 'medmqa'", ":3"),
        (change(2, id="m9"), "no question 'm9'", ":3"),
        (change(2, id="m1"), "answered twice", ":3"),
        (change(0, model=3), "'model' is missing or not text", ":1"),
        (lines()[:-1], "1 of 1 questions have no line in gpt, pubmedqa, medrag-32", "replies"),
        (lines()[1:], "1 of 2 questions have no line in gpt, medmcqa, closed-book", "replies"),
        ([], "has no replies", "replies"),
        (change(0, note="x"), "an unknown field 'note'", ":1"),
        (change(3, model="../../x"), "'../../x' cannot be the name of a model", ":4"),
        (change(3, arm="a/b"), "'a/b' cannot be the name of an arm", ":4"),
        (change(3, replies=["\ud800"]), "the reply contains half of a surrogate pair", ":4"),
    ],
)
def test_mistakes_in_replies(
    home: Path, rows: list[dict[str, Any]], message: str, where: str
) -> None:
    if "pubmedqa, medrag-32" in message:
        rows = [*rows, lines()[-1] | {"model": "other"}, lines()[-2] | {"model": "other"}]
        rows += [row | {"model": "other"} for row in lines()[:-2]]
    with pytest.raises(DataError, match=message) as caught:
        imported(home, "correct", rows)
    assert where in caught.value.where
    assert not (home / "runs" / "correct").exists()


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"options": {"A": "x", "C": "y"}}, "the options have the letters A, C"),
    ({"options": "x, y"}, "not texts under letters"),
    ({"options": {"A": "x"}, "answer": "A"}, "has 1 options"),
    ({"options": {"A": "x", "B": ""}}, "an option is empty"),
    ({"answer": "D"}, "the answer 'D' is not among the options"),
    ({"answer": None}, "the answer None is not among the options"),
    ({"question": float("nan")}, "'question' is empty or not text"),
    ({"question": "\ud800"}, "half of a surrogate pair"),
]


def test_answers_are_letters_whatever_the_options_say(home: Path) -> None:
    """The vitamin D is option A here, and the answer is option D, as MIRAGE's file means it."""
    vitamins = json.loads(json.dumps(BENCHMARK))
    options = {"A": "D", "B": "E", "C": "K", "D": "A"}
    vitamins["medmcqa"]["m1"] |= {"options": options, "answer": "D"}
    found = read_mirage_run(*written(home, lines(), vitamins), name="x", mode="correct")
    assert [q.answer for task in found.tasks for q in task.questions if q.id == "m1"] == [3]


@pytest.mark.parametrize(
    ("question", "message"),
    MISTAKES,
)
def test_mistakes_in_the_benchmark(home: Path, question: dict[str, Any], message: str) -> None:
    broken = json.loads(json.dumps(BENCHMARK))
    broken["medmcqa"]["m1"] |= question
    files = written(home, lines(), broken)
    with pytest.raises(DataError, match=message) as caught:
        read_mirage_run(*files, name="x", mode="correct")
    assert "medmcqa, m1" in caught.value.where


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "the file cannot be read"),
        ("{", "the file cannot be read"),
        ("[]", "the file does not hold an object"),
        ('{"medqa": 3}', "the set 'medqa' is not an object of records"),
        ('{"medqa": {"1": 3}}', "the record is not an object"),
        ('{"medqa": {"1": {}, "1": {}}}', "the key '1' is repeated"),
        ('{"mednli": {}}', "MIRAGE has no set 'mednli'"),
    ],
)
def test_a_benchmark_that_is_none(home: Path, text: str, message: str) -> None:
    predictions, benchmark = written(home, lines())
    benchmark.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_mirage_run(predictions, benchmark, name="x", mode="correct")


@pytest.mark.parametrize("text", ["{", "[1]", '{"dataset": "medmcqa"', "\x00"])
def test_lines_that_are_no_objects(home: Path, text: str) -> None:
    predictions, benchmark = written(home, lines())
    predictions.write_text(f"{json.dumps(lines()[0])}\n{text}\n", encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_mirage_run(predictions, benchmark, name="x", mode="correct")
    assert caught.value.where == f"{predictions}:2"


def test_what_has_no_line_is_an_error_where_that_was_asked_for(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = written(home, lines()[1:])
    path = write_run(read_mirage_run(*files, name="x", mode="mirage", missing="error"))
    assert "1 of 3 questions have no line, so the cell is incomplete" in capsys.readouterr().err
    run = load_run(path)
    row = run.scores[(run.scores.question_id == "m1") & (run.scores.arm == "closed-book")].iloc[0]
    assert (row["outcome"], row["error"]) == ("error", "the imported file has no answer")
    gain = effects(run).set_index("task").loc["medmcqa"]
    assert gain["status"] == "incomplete"
    assert pd.isna(gain["p"])


def test_several_models_and_several_replies(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [*lines(), *(line | {"model": "other", "replies": ["A"]} for line in lines())]
    run = load_run(imported(home, "mirage", rows))
    assert "1 lines have several replies: the first is used" in capsys.readouterr().err
    assert run.members("models") == ["gpt", "other"]
    other = run.scores[run.scores.model == "other"]
    assert other.accuracy.tolist() == [0.0, 1.0, 0.0] * 2 + [1.0] * 2


@pytest.mark.slow
def test_a_run_of_answers_that_were_computed_is_never_replaced(mixed_copy: Path) -> None:
    files = written(mixed_copy.parents[1], lines())
    run = read_mirage_run(*files, name="mixed", mode="correct")
    with pytest.raises(UsageError, match="was not imported"):
        write_run(run, replace=True)
    assert (mixed_copy / "records").is_dir()


def test_a_folder_that_is_no_run_is_never_replaced(home: Path) -> None:
    (home / "runs" / "correct").mkdir(parents=True)
    (home / "runs" / "correct" / "thesis.txt").write_text("mine")
    run = read_mirage_run(*written(home, lines()), name="correct", mode="correct")
    with pytest.raises(DataError, match="is not a built run"):
        write_run(run, replace=True)
    assert (home / "runs" / "correct" / "thesis.txt").read_text() == "mine"


def repeated(arm: str, **replies: list[str]) -> list[dict[str, Any]]:
    """Return lines of the set medqa, their ids without the first letter, in the order given."""
    base = {"dataset": "medqa", "model": "gpt", "arm": arm}
    return [base | {"id": name[1:], "replies": found} for name, found in replies.items()]


def test_a_question_without_a_reply_takes_the_reply_before_it(tmp_path: Path, home: Path) -> None:
    """By hand; the benchmark's loop walks 10, 11, 9, a: the ids sorted as texts."""
    key = {"9": "C", "a": "A", "11": "B", "10": "A"}
    options = {"A": "w", "B": "x", "C": "y", "D": "z"}
    benchmark = {
        "medqa": {
            name: {"question": f"{name}?", "options": options, "answer": answer}
            for name, answer in key.items()
        }
    }
    rows = repeated("closed-book", q9=[], qa=["no idea"], q11=[], q10=["B", "D"])
    rows += repeated("medrag-32", qa=[], q9=[], q10=[], q11=["C"])
    files = written(tmp_path, rows, benchmark)
    table = load_run(write_run(read_mirage_run(*files, name="x", mode="mirage"))).scores
    columns = ["arm", "question_id", "outcome", "pick", "rule", "accuracy"]
    found = table[columns].astype(object).where(table[columns].notna(), None).to_numpy().tolist()
    assert found == [
        ["closed-book", "10", "parsed", 1, "mirage 1", 0.0],
        ["closed-book", "11", "assumed", 1, "reply before", 1.0],  # B again, and B is right
        ["closed-book", "9", "assumed", 1, "reply before", 0.0],  # still B
        ["closed-book", "a", "assumed", 0, "default A", 1.0],
        ["medrag-32", "10", "unparsed", None, None, 0.0],  # none before it; not closed-book's
        ["medrag-32", "11", "parsed", 2, "mirage 1", 0.0],
        ["medrag-32", "9", "assumed", 2, "reply before", 1.0],
        ["medrag-32", "a", "assumed", 2, "reply before", 0.0],
    ]
    table = load_run(write_run(read_mirage_run(*files, name="y", mode="correct"))).scores
    assert (table.outcome == "assumed").sum() == 0


FAILED = "Error communicating with OpenAI: Bad gateway."


def test_error_messages_are_errors_and_the_published_mode_reads_them(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = change(0, replies=[FAILED])
    scores = load_run(imported(home, "correct", rows)).scores
    row = scores[(scores.question_id == "m1") & (scores.arm == "closed-book")].iloc[0]
    assert (row["outcome"], row["error"]) == ("error", f"in place of a reply: {FAILED}")
    assert pd.isna(row["accuracy"])
    assert (
        "gpt, medmcqa, closed-book: 1 of 2 replies are error messages (Error communicating with "
        "OpenAI: Bad gateway.); they count as errors, so the cell is incomplete"
    ) in " ".join(capsys.readouterr().err.split())
    scores = load_run(imported(home, "mirage", rows)).scores
    row = scores[(scores.question_id == "m1") & (scores.arm == "closed-book")].iloc[0]
    # Its rules find a letter after a colon: B, as in "OpenAI: Bad".
    assert (row["outcome"], row["rule"], row["accuracy"]) == ("assumed", "error message", 1.0)
    assert "they count as assumed" in capsys.readouterr().err


@pytest.mark.parametrize("mode", ["correct", "mirage"])
def test_null_in_place_of_a_reply_is_an_error(home: Path, mode: str) -> None:
    scores = load_run(imported(home, mode, change(0, replies=[None]))).scores
    row = scores[(scores.question_id == "m1") & (scores.arm == "closed-book")].iloc[0]
    assert row["outcome"] == "error"
    assert row["error"] == "the imported file has null in place of the reply"


# MIRAGE's leaderboard, GPT-3.5 (CoT; MedRAG with MedCorp, RRF-4 and 32 passages), in per cent.
GPT_35 = {
    ("mmlu_med", "closed-book"): 72.91,
    ("mmlu_med", "medrag-32"): 75.48,
    ("medqa_us", "closed-book"): 65.04,
    ("medqa_us", "medrag-32"): 66.61,
    ("medmcqa", "closed-book"): 55.25,
    ("medmcqa", "medrag-32"): 58.04,
    ("pubmedqa", "closed-book"): 36.00,
    ("pubmedqa", "medrag-32"): 67.40,
}


@pytest.mark.slow
def test_gpt_35_as_published(home: Path, shared_data: Path) -> None:
    """The figures of MIRAGE's own evaluation on its own replies."""
    files = [
        shared_data / "tasks" / "mirage_predictions_gpt35.jsonl.gz",
        shared_data / "tasks" / "mirage_benchmark_open.json",
    ]
    path = write_run(read_mirage_run(files[0], files[1], name="gpt", mode="mirage"))
    run = load_run(path)
    share = 100 * run.scores.groupby(["task", "arm"]).accuracy.mean()
    assert share.round(2).to_dict() == GPT_35
    # 33 lists of replies are empty, all without passages; the reply before gives 7 right answers.
    before = run.scores[run.scores.rule == "reply before"]
    taken = before.groupby(["task", "arm"]).accuracy.agg(["size", "sum"])
    assert taken["size"].to_dict() == {
        ("medmcqa", "closed-book"): 27,
        ("medqa_us", "closed-book"): 6,
    }
    assert taken["sum"].to_dict() == {("medmcqa", "closed-book"): 5, ("medqa_us", "closed-book"): 2}
    assert (run.scores.rule == "default A").sum() == 842
    assert (run.scores.outcome == "assumed").sum() == 842 + 33
    default = run.scores[(run.scores.rule == "default A") & (run.scores.task == "medmcqa")]
    fired = default.groupby("arm").accuracy.agg(["size", "sum"])
    assert list(fired.loc["closed-book"]) == [184, 66]
    assert list(fired.loc["medrag-32"]) == [528, 192]
    gains = effects(run)
    gain = gains[(gains.task == "pubmedqa") & (gains.effect == GAIN)].iloc[0]
    assert (gain["helped"], gain["hurt"]) == (200, 43)
    assert gain["p"] == pytest.approx(2e-25, rel=0.5)


@pytest.mark.slow
def test_gpt_35_read_correctly_keeps_little_of_the_gain(home: Path, shared_data: Path) -> None:
    files = [
        shared_data / "tasks" / "mirage_predictions_gpt35.jsonl.gz",
        shared_data / "tasks" / "mirage_benchmark_open.json",
    ]
    path = write_run(read_mirage_run(files[0], files[1], name="gpt", mode="correct"))
    run = load_run(path)
    lost = run.scores[run.scores.outcome != "parsed"]
    assert lost.outcome.isin(["unparsed", "refused"]).all()
    shares = pd.Series(
        run.scores.assign(lost=run.scores.outcome != "parsed").groupby(["task", "arm"]).lost.mean()
    )
    # Twice as many replies cannot be read with retrieval as without.
    assert shares["medmcqa", "medrag-32"] > 1.8 * shares["medmcqa", "closed-book"]
    gains = effects(run)
    gain = gains[(gains.task == "medmcqa") & (gains.effect == GAIN)].iloc[0]
    assert abs(gain["estimate"]) < 0.01
    assert gain["n"] == 4183 - 4


def test_a_pair_of_models_has_its_effects(tmp_path: Path, home: Path) -> None:
    rows = lines() + [line | {"model": "gpt-med"} for line in lines()]
    files = written(tmp_path, rows)
    run = read_mirage_run(*files, name="two", mode="mirage", bases={"gpt-med": "gpt"})
    table = effects(load_run(write_run(run)))
    tuning = table[(table.effect == "fine-tuning gain") & (table.task == "medmcqa")]
    assert (tuning.model + " " + tuning.base).tolist() == ["gpt-med gpt"]
    assert tuning.estimate.tolist() == [0.0]  # the same replies
    for bases, message in (
        ({"gpt-med": "other"}, "there are no replies of the model 'other'"),
        ({"gpt-med": "gpt", "gpt": "gpt-med"}, "both a biomedical model and a base"),
    ):
        with pytest.raises(UsageError, match=message):
            read_mirage_run(*files, name="two", mode="mirage", bases=bases)
