"""Runs of which little can be said get a report all the same, which says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ragbench.cli.main import cli
from ragbench.experiment.imported import ImportedArm, ImportedRun, ImportedTask, write_run
from ragbench.records import Question
from ragbench.report.write import write_report

REPLIES = {"?": "I cannot tell.", "!": "As an AI model, I cannot answer medical questions."}
RUNS = {
    "one question": ({"closed-book": "1", "bm25": "0"}, "a single question"),
    "all right": ({"closed-book": "1111", "bm25": "1111"}, "every answer is right"),
    "all wrong": ({"closed-book": "0000", "bm25": "0000"}, "every answer is wrong"),
    "no closed-book": ({"bm25": "1010", "dense": "1100"}, "no closed-book arm"),
    "closed-book alone": ({"closed-book": "1010"}, "no retrieval arm"),
    "an arm that failed": ({"closed-book": "1010", "bm25": "1xxx"}, "3 of 4 questions have no"),
    "no reply read": ({"closed-book": "????", "bm25": "?!??"}, "every answer is wrong"),
}


def made(cells: dict[str, str]) -> Path:
    n = len(next(iter(cells.values())))
    questions = [Question(f"q{i}", f"Question {i}?", ("a", "b"), i % 2, "?") for i in range(n)]

    def record(letter: str, question: Question) -> dict[str, str]:
        right = "AB"[question.answer] if letter == "1" else "BA"[question.answer]
        return {"reply": REPLIES.get(letter, right)}

    return write_run(
        ImportedRun(
            name="odd",
            mode="correct",
            sources={"file.jsonl": "0" * 64},
            tasks=[ImportedTask("t", questions)],
            arms=[ImportedArm(arm) for arm in cells],
            models=["m"],
            records={
                ("m", "t", arm): {
                    q.id: record(letter, q)
                    for letter, q in zip(text, questions, strict=True)
                    if letter != "x"
                }
                for arm, text in cells.items()
            },
        )
    )


@pytest.mark.parametrize("name", RUNS)
def test_a_report_all_the_same(home: Path, name: str) -> None:
    cells, sentence = RUNS[name]
    path = made(cells)
    written = write_report(path)
    text = written.path.read_text(encoding="utf-8").replace("\\_", "_")
    page = written.page.read_text(encoding="utf-8")
    assert sentence in text and sentence in page
    assert "gained" not in text.partition("## Methods")[0]
    for word in ("nan", "NaN", "None", "<NA>", "inf"):
        assert word not in text.replace("|", " ").split()
    for command in (["analyze", "odd"], ["analyze", "odd", "--json"]):
        result = CliRunner().invoke(cli, command)
        assert result.exit_code == 0, result.output
        assert "nan" not in result.output.lower().split()
