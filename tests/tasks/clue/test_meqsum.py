"""MeQSum: inquiries and their summaries, as a workbook and as JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from openpyxl import Workbook

from ragbench.base.errors import DataError
from ragbench.base.records import Question
from ragbench.tasks.replies import reply_readers
from tests.tasks.clue_files import every, lines, make, turns, write_lines

WORKBOOK = "MeQSum_ACL2019_BenAbacha_Demner-Fushman.xlsx"


def write_book(path: Path, rows: list[list[Any]]) -> str:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "QS"
    for row in rows:
        sheet.append(row)
    book.save(path)
    return str(path)


def test_a_question_by_hand() -> None:
    question = every(make("meqsum", shots=0))[3]
    inquiry = (
        "hello my son has phenylketonuria and will start school, teachers ask what happens if he "
        "eats the school lunch once by mistake"
    )
    assert question == Question(
        id="meqsum-0004",
        text=f"<inquiry>\n{inquiry}\n</inquiry>",
        options=(),
        answer=-1,
        query=inquiry,
        reference="What happens if a child with phenylketonuria eats a normal meal once?",
    )


def test_a_workbook_gives_what_the_lines_give(tmp_path: Path) -> None:
    rows = lines("meqsum.jsonl")[:3]
    cells = [[f"1-{n}.xml.txt", r["question"], r["summary"]] for n, r in enumerate(rows)]
    book = write_book(tmp_path / "b.xlsx", [["File", "CHQ", "Summary"], *cells])
    found = every(make("meqsum", path=book, shots=0))
    same = every(make("meqsum", shots=0))[:3]
    assert [q.id for q in found] == ["1-0.xml.txt", "1-1.xml.txt", "1-2.xml.txt"]
    assert [q.reference for q in found] == [q.reference for q in same]
    # A workbook keeps the marks of the inquiry; its line ends may be written otherwise.
    assert [q.query.split() for q in found] == [q.query.split() for q in same]
    assert "SUBJECT: gout diet" in found[2].text


def test_marks_and_line_ends_of_an_inquiry_are_kept() -> None:
    question = every(make("meqsum", shots=0))[0]
    assert question.query.startswith("SUBJECT: cetirizine and breast feeding\r\nMESSAGE: My baby")


@pytest.mark.parametrize(
    ("mode", "limit", "cue", "reader", "doubled"),
    [
        ("correct", 200, "", "text", False),
        ("clue-2024", 200, "Question: ", "clue-text", True),
        ("clue-2025", 512, "", "raw", False),
    ],
)
def test_the_modes(mode: Any, limit: int, cue: str, reader: str, doubled: bool) -> None:
    task = make("meqsum", mode)
    info = task.info
    assert (info.reply_limit, info.cue, info.reads, info.double_first) == (
        limit,
        cue,
        reader,
        doubled,
    )
    assert info.metrics == ("rougeL", "rouge1", "rouge2")
    found = turns(task, every(task)[0])
    replies = [m.content for m in found if m.role == "assistant"]
    assert replies[:3] == [cue + e.reference for e in info.examples]
    assert replies[3:] == ([cue] if cue else [])


def test_the_readers() -> None:
    question = every(make("meqsum", shots=0))[0]
    reply = "  Is it safe?\n[INST] You are an AI\nThe end."
    assert reply_readers.get("raw")(reply, question, "stop").text == reply
    assert (
        reply_readers.get("clue-text")(reply, question, "stop").text == "  Is it safe?\n\nThe end."
    )
    assert reply_readers.get("text")(reply, question, "stop").text == reply.strip()
    assert reply_readers.get("text")("  \n", question, "stop").outcome == "unparsed"
    assert reply_readers.get("clue-text")("", question, "stop").outcome == "parsed"


@pytest.mark.parametrize(
    ("header", "what"),
    [
        (["File", "Question", "Summary"], "no column 'CHQ'"),
        (["File", "CHQ", "Summary", "Summary"], "2 columns have the name 'Summary'"),
    ],
)
def test_a_workbook_with_other_columns(tmp_path: Path, header: list[str], what: str) -> None:
    row = ["1.txt", "What?", "How?", "Why?"][: len(header)]
    book = write_book(tmp_path / "b.xlsx", [header, row])
    with pytest.raises(DataError, match=what) as caught:
        every(make("meqsum", path=book))
    assert "row 1" in caught.value.where
    assert "--id-field" not in caught.value.fix


@pytest.mark.parametrize(
    ("cells", "what"),
    [
        (["2.txt", "What?", None], "'Summary' is empty or not text"),
        (["2.txt", 7, "How?"], "'CHQ' is empty or not text"),
        (["2.txt", " ", "How?"], "'CHQ' is empty or not text"),
        (["1.txt", "What?", "How?"], "the id '1.txt' appears twice"),
        (["2.txt", "#N/A", "How?"], "the Excel error #N/A"),
    ],
)
def test_a_wrong_cell(tmp_path: Path, cells: list[Any], what: str) -> None:
    rows = [["File", "CHQ", "Summary"], ["1.txt", "Why?", "Why."], cells]
    with pytest.raises(DataError, match=what) as caught:
        every(make("meqsum", path=write_book(tmp_path / "b.xlsx", rows)))
    assert "row 3" in caught.value.where


def test_ids_of_lines(tmp_path: Path) -> None:
    line: dict[str, Any] = {"question": "What?", "summary": "How?"}
    rows = [line | {"id": 0}, line | {"id": "a/b 1"}, line, line | {"id": None}]
    path = write_lines(tmp_path / "m.jsonl", rows)
    found = every(make("meqsum", path=path, shots=0))
    assert [q.id for q in found] == ["0", "a/b1", "meqsum-0002", "meqsum-0003"]
    path = write_lines(tmp_path / "m.jsonl", [line | {"id": ["x"]}])
    with pytest.raises(DataError, match="is no id"):
        every(make("meqsum", path=path, shots=0))


def test_the_real_workbook(shared_data: Path) -> None:
    task = make("meqsum", path=str(shared_data / "tasks" / WORKBOOK))
    scored, examples = every(task), task.info.examples
    assert (len(scored), len(examples)) == (997, 3)
    everything = [*scored, *examples]
    assert len({q.id for q in everything}) == 1000
    assert len({q.reference for q in everything}) == 994
    words = [len(q.query.split()) for q in everything]
    assert (round(sum(words) / 1000, 1), min(words), max(words)) == (60.8, 5, 378)
    summaries = [len(q.reference.split()) for q in everything]
    assert (round(sum(summaries) / 1000, 1), min(summaries), max(summaries)) == (10.0, 3, 26)
    assert sum("SUBJECT:" in q.query for q in everything) == 653
    assert sum("MESSAGE:" in q.query for q in everything) == 723
    old = make("meqsum", "clue-2024", path=str(shared_data / "tasks" / WORKBOOK))
    assert len(every(old)) == 997
    assert [e.id for e in old.info.examples] == [
        "1-131188152.xml.txt",
        "14348.txt",
        "1-131985747.xml.txt",
    ]
