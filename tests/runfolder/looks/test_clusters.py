"""Which questions are asked together: named clusters and repeats, joined through others."""

from __future__ import annotations

from ragbench.base.records import Question
from ragbench.runfolder.looks.clusters import clusters_of, joined


def test_clusters_join_through_others() -> None:
    def asked(name: str, text: str, cluster: str | None = None) -> Question:
        return Question(name, text, ("yes", "no"), 0, "", cluster=cluster)

    questions = [
        asked("a", "Is it so?", "p"),
        asked("b", "Is it hot?"),
        asked("c", "Is IT so?", "q"),  # repeats a
        asked("d", "Is it cold?", "q"),  # with c, so with a
    ]
    assert clusters_of(questions) == [0, 1, 0, 0]


def test_numbers_are_in_the_order_of_the_items() -> None:
    assert joined([["x"], ["y", None], [None], ["x", "z"], ["z"]]) == [0, 1, 2, 0, 0]
