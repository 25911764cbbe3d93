"""Tables of questions: which column holds what, and what is said where none does."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.tasks.files.columns import Columns, match, near_names, recognised
from ragbench.tasks.generation import GenerationOptions, GenerationTask
from ragbench.tasks.mcq import McqOptions, McqTask

HEADER = ["qid", "Question", "A", "B", "C", "Correct Answer", "gold_doc_id"]
ROWS: list[list[Any]] = [
    ["s1", "Which lack causes scurvy?", "iron", "vitamin C", "thiamine", "B", "d1; d4"],
    ["s2", "How many bones has a hand?", 27, 26, None, "A", ""],
]


def written(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path:
    """Write a table in the format of the path's ending, with the format's own library."""
    if path.suffix == ".xlsx":
        from openpyxl import Workbook

        book = Workbook()
        sheet = book.active
        for row in ([], header, *rows):
            sheet.append(list(row))
        book.save(path)
    elif path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = [[None if v is None else str(v) for v in column] for column in zip(*rows)]  # noqa: B905
        pq.write_table(pa.table(dict(zip(header, columns, strict=True))), path)
    else:
        delimiter = {".tsv": "\t"}.get(path.suffix, ";" if "semicolon" in path.name else ",")
        with path.open("w", encoding="utf-8", newline="") as handle:
            csv.writer(handle, delimiter=delimiter).writerows([header, *rows])
    return path


def asked(path: Path, columns: dict[str, Any] | None = None) -> list[Question]:
    options = McqOptions.model_validate({"path": str(path), "columns": columns})
    return McqTask(options).questions(limit=None, seed=1)


@pytest.mark.parametrize("name", ["q.csv", "q.tsv", "q.xlsx", "q.parquet", "semicolons.csv"])
def test_a_table_is_read_by_the_usual_names_of_its_columns(home: Path, name: str) -> None:
    first, second = asked(written(home / name, HEADER, ROWS))
    assert (first.id, first.text) == ("s1", "Which lack causes scurvy?")
    assert (first.options, first.answer) == (("iron", "vitamin C", "thiamine"), 1)
    assert first.gold_doc_ids == ("d1", "d4")
    assert (second.options, second.answer, second.gold_doc_ids) == (("27", "26"), 0, ())


@pytest.mark.parametrize(
    ("header", "row", "columns", "options"),
    [
        (["question", "options", "answer"], ["?", '["x", "y"]', "y"], None, ("x", "y")),
        (["question", "options", "answer"], ["?", '{"B": "y", "A": "x"}', "b"], None, ("x", "y")),
        (["question", "choices", "label"], ["?", "x | y", "(B)"], None, ("x", "y")),
        (["stem", "opa", "opb", "cop"], ["?", "x", "y", "1"], {"answers_from": 0}, ("x", "y")),
        (["stem", "opa", "opb", "cop"], ["?", "x", "y", "2"], {"answers_from": 1}, ("x", "y")),
        (["Frage", "richtig"], ["?", "no"], {"choices": ["yes", "no"]}, ("yes", "no")),
    ],
)
def test_forms_of_options_and_answers(
    home: Path,
    header: list[str],
    row: list[str],
    columns: dict[str, Any] | None,
    options: tuple[str, ...],
) -> None:
    if columns is not None:
        several = tuple(name for name in header if name.startswith("op"))
        named = {"question": header[0], "answer": header[-1], "options": several or None}
        columns = named | columns
    (found,) = asked(written(home / "q.csv", header, [row]), columns)
    assert (found.id, found.options, found.answer) == ("q1", options, 1)


def test_fields_of_json_lines_go_by_the_names_that_are_given(home: Path) -> None:
    line = {"stem": "Which?", "endings": ["x", "y"], "solution": "y", "more": 3, "pmid": [7]}
    (home / "q.jsonl").write_text(json.dumps(line), encoding="utf-8")
    named = {"question": "stem", "options": "endings", "answer": "solution", "gold_doc_ids": "pmid"}
    (found,) = asked(home / "q.jsonl", named)
    assert (found.text, found.answer, found.gold_doc_ids) == ("Which?", 1, ("7",))


def test_texts_as_answers(home: Path) -> None:
    path = written(home / "q.csv", ["question", "answer"], [["Why?", "Because."]])
    (found,) = GenerationTask(GenerationOptions(path=str(path))).questions(limit=None, seed=1)
    assert (found.id, found.reference) == ("q1", "Because.")


def test_a_missing_column_is_named_with_what_is_nearly_it() -> None:
    with pytest.raises(DataError) as caught:
        recognised(["id", "question", "A", "B", "anser"], "mcq", where="q.csv")
    assert caught.value.what == "no column has a usual name of: answer"
    assert "did you mean 'anser' as answer?" in caught.value.fix
    assert "columns, such as {answer: NAME}" in caught.value.fix
    found = recognised(["question", "A", "B", "anser"], "mcq", where="", given={"answer": "anser"})
    assert found == Columns(question="question", options=("A", "B"), answer="anser")
    assert near_names(["Fragen", "Questoin"], "question") == ["Questoin"]


def test_a_column_that_is_named_and_not_there(home: Path) -> None:
    path = written(home / "q.csv", HEADER, ROWS)
    with pytest.raises(DataError) as caught:
        asked(path, {"question": "Qestion", "options": ["A", "B"], "answer": "Correct Answer"})
    assert caught.value.what == "there is no column 'Qestion'"
    assert "'Question'" in caught.value.fix


def test_an_option_that_is_empty_before_another(home: Path) -> None:
    path = written(home / "q.csv", HEADER, [["s1", "Which?", "x", "", "z", "A", ""]])
    with pytest.raises(DataError, match="the option in column 'B' is empty") as caught:
        asked(path)
    assert caught.value.where == f"{path}:2"


def test_columns_of_single_options_are_one_run() -> None:
    # MedMCQA's names; an exp column is no option, and D without C is none either.
    assert match(["opa", "opb", "opc", "opd", "exp"])["options"] == ("opa", "opb", "opc", "opd")
    assert match(["option_1", "option_2", "A"])["options"] == ("option_1", "option_2")
    assert match(["choice0", "choice1", "1", "2"])["options"] == ("choice0", "choice1")
    assert "options" not in match(["A", "text", "d"])
