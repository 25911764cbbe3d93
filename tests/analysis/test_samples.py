"""What was asked, delivered and answered: read as written; a broken line is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.samples import (
    corpus_of,
    read_answers,
    read_packed,
    read_passages,
    read_prompts,
    read_questions,
    restricted_data,
)
from ragbench.base.errors import DataError


def jsonl(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def set_in(path: Path, index: int, **changes: object) -> None:
    """Change fields of one line of a JSON-lines file; ... takes a field out."""
    lines = jsonl(path)
    lines[index] |= changes
    lines[index] = {key: value for key, value in lines[index].items() if value is not ...}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def test_everything_of_a_run_is_read(mixed_home: Path) -> None:
    run = load_run(mixed_home / "runs" / "mixed")
    prompts, passages = read_prompts(run), read_passages(run)
    for task in run.members("tasks"):
        raw = jsonl(run.path / "questions" / f"{task}.jsonl")
        questions = read_questions(run, task)
        assert [[q.id, q.text, list(q.options), q.answer] for q in questions] == [
            [line["id"], line["text"], line["options"], line["answer"]] for line in raw
        ]
        for arm in run.arms(task):
            packed = read_packed(run, task, arm)
            answers = read_answers(run, "scripted", task, arm)
            assert set(packed) == set(answers) == {q.id for q in questions}
            corpus = corpus_of(run, task, arm)
            assert corpus == ("" if arm == "closed-book" else "facts")
            for question in questions:
                text = prompts[answers[question.id].prompt]
                assert question.text in text
                for passage in packed[question.id]:
                    assert passages[corpus, passage].text in text
            written = run.scoring(task) == "generate"
            assert all((a.reply is not None) == written for a in answers.values())
            assert all((a.log_likelihoods is None) == written for a in answers.values())


def test_the_corpus_of_an_arm_within_documents(mixed_home: Path) -> None:
    run = load_run(mixed_home / "runs" / "mixed")
    arm = next(spec for spec in run.about["config"]["arms"] if spec["name"] == "bm25-2")
    arm["within"] = "documents"
    assert corpus_of(run, "facts", "bm25-2") == ""  # the notes are of rankings of a whole corpus
    note = {"task": "facts", "retriever": "bm25~documents", "corpus": "own"}
    within = replace(run, retrievals=[*run.retrievals, note])
    assert corpus_of(within, "facts", "bm25-2") == "own"
    assert corpus_of(within, "facts", "shuffled-bm25-2") == "own"
    assert corpus_of(within, "facts", "bm25-1") == "facts"


def test_a_questions_own_documents_are_read_where_they_are_known(mixed_copy: Path) -> None:
    path = mixed_copy / "questions" / "facts.jsonl"
    set_in(path, 0, documents=["b", "a"])
    set_in(path, 1, documents=...)  # as an earlier version wrote it
    run = load_run(mixed_copy)
    assert [q.documents for q in read_questions(run, "facts")][:2] == [("b", "a"), ()]


def test_the_last_record_of_a_question_wins(mixed_copy: Path) -> None:
    path = mixed_copy / "records" / "scripted+facts+bm25-2.0.jsonl"
    first = jsonl(path)[0]
    with path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(first | {"error": "gone", "log_likelihoods": None}) + "\n")
    found = read_answers(load_run(mixed_copy), "scripted", "facts", "bm25-2")
    assert found[str(first["question_id"])].error == "gone"
    path.unlink()
    assert read_answers(load_run(mixed_copy), "scripted", "facts", "bm25-2") == {}


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("questions/facts.jsonl", {"options": "A"}, "'options'"),
        ("questions/facts.jsonl", {"options": [1]}, "'options'"),
        ("questions/facts.jsonl", {"answer": 3}, "beyond its options"),
        ("questions/facts.jsonl", {"answer": True}, "'answer'"),
        ("questions/facts.jsonl", {"id": "q-scurvy"}, "repeats an id"),
        ("questions/facts.jsonl", {"text": ...}, "lacks 'text'"),
        ("packed/facts+bm25-2.jsonl", {"passages": None}, "'passages'"),
        ("records/scripted+facts+bm25-2.0.jsonl", {"prompt": 5}, "'prompt'"),
        ("records/scripted+facts+bm25-2.0.jsonl", {"log_likelihoods": ["x"]}, "log_likelihoods"),
        ("passages.jsonl", {"title": None}, "'title'"),
        ("prompts/0.jsonl", {"text": []}, "'text'"),
    ],
)
def test_a_broken_line_is_named(
    mixed_copy: Path, file: str, changes: dict[str, object], message: str
) -> None:
    run = load_run(mixed_copy)
    set_in(mixed_copy / file, 1, **changes)
    with pytest.raises(DataError, match=message) as caught:
        read_questions(run, "facts")
        read_packed(run, "facts", "bm25-2")
        read_answers(run, "scripted", "facts", "bm25-2")
        read_passages(run)
        read_prompts(run)
    assert caught.value.where == f"{mixed_copy / file}:2"
    assert caught.value.fix


def test_a_name_cannot_leave_the_folder(mixed_copy: Path) -> None:
    with pytest.raises(DataError, match="cannot be a name"):
        read_answers(load_run(mixed_copy), "../../secret", "facts", "bm25-2")


def test_restricted_and_unknown_data_use_are_told(mixed_copy: Path) -> None:
    run = load_run(mixed_copy)
    assert restricted_data(run) == []
    identity = run.about["identity"]
    identity["tasks"]["facts"]["data_use"] = "restricted"
    assert restricted_data(run) == ["task facts"]
    identity["corpora"]["facts"]["data_use"] = "restricted"
    identity["corpora"]["more"] = {"data_use": "bring-your-own"}
    assert restricted_data(run) == ["task facts", "corpus facts"]
    identity["tasks"]["facts"]["data_use"] = "bring-your-own"
    assert restricted_data(run) == ["corpus facts"]
    del identity["corpora"]["facts"]["data_use"]
    assert restricted_data(run) == ["corpus facts"]
    del identity["corpora"]
    assert restricted_data(run) == ["corpus facts"]
    identity["indexes"] = {}  # as for rankings made elsewhere
    assert restricted_data(run) == ["corpus facts"]
    identity["corpora"] = {"facts": {"data_use": "open"}}
    assert restricted_data(run) == []
