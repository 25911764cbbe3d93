"""Notes on tasks: shared ones once, and what was not asked with its reasons."""

from __future__ import annotations

from ragbench.report.verdict.notes import notes
from tests.analysis.making import edited
from tests.report.conftest import Analysed


def test_tasks_with_the_same_note_share_it(mixed: Analysed) -> None:
    run = edited(mixed.run, "identity.tasks.facts.note", "made up.")
    run = edited(run, "identity.tasks.facts-options.note", "made up")
    run = edited(run, "identity.tasks.facts-written.note", "")
    assert notes(run)[0] == "Note on facts, facts-options: made up."
    run = edited(run, "identity.tasks.facts.excluded", [["q1", "too long"], ["q2", "too long"]])
    assert "Note on facts: not asked: 2 (too long)." in notes(run)
