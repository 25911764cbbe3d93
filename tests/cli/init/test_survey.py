"""What files and folders are taken for."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.cli.init.survey import survey
from tests.cli.init.data import write_csv, write_lines, write_model, write_notes, write_questions


def test_a_folder_of_everything(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    write_notes(home / "data" / "notes.csv")
    write_questions(home / "data" / "quiz.csv")
    write_csv(home / "data" / "costs.csv", ["month", "euro"], [["May", "3"]])
    write_model(home / "llm")
    write_model(home / "bert", "BertModel")
    (home / "guidelines").mkdir()
    (home / "guidelines" / "gout.md").write_text("# Gout\n\nGive colchicine.", encoding="utf-8")
    write_notes(home / "runs" / "x.csv")  # ragbench's own folder
    write_notes(home / ".hidden" / "x.csv")
    found = survey([], {})
    assert [file.path.name for file in found.questions] == ["quiz.csv"]
    assert [corpus.name for corpus in found.corpora] == ["notes", "guidelines"]
    assert [path.name for path in found.models] == ["llm"]
    reasons = {path.name: reason for path, reason in found.unused}
    assert reasons["costs.csv"] == "its columns are month, euro"
    assert "BertModel" in reasons["bert"]


def test_files_of_one_name_are_told_by_their_folders(home: Path) -> None:
    paths = [write_notes(home / name / "notes.csv") for name in ("old", "new")]
    paths += [write_questions(home / name / "quiz.csv") for name in ("old", "new")]
    found = survey(paths, {})
    assert [corpus.name for corpus in found.corpora] == ["notes", "new-notes"]
    assert [file.name for file in found.questions] == ["quiz", "new-quiz"]


def test_collections_are_known_by_their_layout(home: Path) -> None:
    document = {"_id": "d1", "title": "Gout", "text": "A joint."}
    write_lines(home / "beir" / "corpus.jsonl", [document])
    write_lines(home / "beir" / "queries.jsonl", [{"_id": "q1", "text": "joint"}])
    write_lines(home / "med" / "chunk" / "a.jsonl", [{"id": "a_1", "title": "", "content": "X."}])
    found = survey([home / "beir", home / "med"], {})
    cards = [corpus.card for corpus in found.corpora]
    assert [card.reader for card in cards if card] == ["beir", "snippets"]


@pytest.mark.parametrize(
    ("line", "kind", "own"),
    [
        ({"id": "1", "question": "?", "options": ["a", "b"], "answer": "A"}, "mcq", True),
        (
            {"id": "1", "question": "?", "query": "q", "reference": "a", "topic": "t"},
            "generation",
            True,
        ),
        ({"id": "1", "question": "?", "answer": "because"}, "generation", False),
        ({"stem": "?", "choices": {"A": "a", "B": "b"}, "answer": "B", "topic": "t"}, "mcq", False),
    ],
)
def test_json_lines_of_questions(home: Path, line: dict[str, object], kind: str, own: bool) -> None:
    found = survey([write_lines(home / "q.jsonl", [line])], {})
    (file,) = found.questions
    assert (file.kind, file.columns is None, len(file.questions)) == (kind, own, 1)
    assert list(file.unread) == [name for name in line if name == "topic"]


@pytest.mark.parametrize(
    ("answers", "first"), [(["0", "1"], 0), (["1", "2"], 1), (["7", "9"], None)]
)
def test_numbers_as_answers(home: Path, answers: list[str], first: int | None) -> None:
    rows = [["How many?", "7", "9", answer] for answer in answers]
    path = write_csv(home / "q.csv", ["question", "opa", "opb", "cop"], rows)
    (file,) = survey([path], {}).questions
    assert file.columns is not None
    assert file.columns.answers_from == first
    assert [q.answer for q in file.questions] == [0, 1]


def test_numbers_that_could_count_from_either(home: Path) -> None:
    path = write_csv(
        home / "q.csv", ["question", "opa", "opb", "opc", "cop"], [["?", "x", "y", "z", "1"]]
    )
    with pytest.raises(DataError, match="could count the options from 0 or from 1"):
        survey([path], {})


def test_files_that_are_neither(home: Path) -> None:
    path = write_csv(home / "costs.csv", ["month", "Questoin"], [["May", "3"]])
    with pytest.raises(DataError, match="'Questoin' is nearly question") as caught:
        survey([path], {})
    assert "a corpus needs id and text" in caught.value.fix
    assert f"corpus add {path} --name CORPUS --id-field NAME --text-field NAME" in caught.value.fix
    assert "`ragbench init QUESTIONS --corpus CORPUS`" in caught.value.fix
    (home / "x.txt").write_text("?", encoding="utf-8")
    with pytest.raises(DataError, match="its ending is not one of those"):
        survey([home / "x.txt"], {})
    wrong = write_csv(home / "q.csv", ["question", "A", "B", "answer"], [["?", "x", "y", "E"]])
    with pytest.raises(DataError, match="the answer 'E' is not among the options") as caught:
        survey([wrong], {})
    assert caught.value.where == f"{wrong}:2"
