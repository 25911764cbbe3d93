"""The first screen: verdict, table and bars within a terminal's width."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from ragbench.report.headline import Headline
from ragbench.report.terminal.screen import screen
from ragbench.report.verdict.card import Card, Cell

GENERAL = (
    Cell("general", "base", "closed-book", 0.25, 0.10, 0.50, 40),
    Cell("general", "base", "bm25-3", 0.75, 0.50, 1.0, 40),
)
BIO = (
    Cell("biomedical", "tuned", "closed-book", 0.5, 0.25, 0.75, 40),
    Cell("biomedical", "tuned", "bm25-3", 0.5, 0.25, 0.75, 40, is_complete=False),
)


def card(task: str, *cells: Cell, biomedical: str | None = "tuned") -> Card:
    return Card("base", biomedical, task, "accuracy", "bm25-3", cells, ())


def found(*cards: Card) -> Headline:
    return Headline("Retrieval helped.", ("One line.", "Another."), (), cards)


def test_the_screen_of_a_pair_at_80_columns() -> None:
    lines = screen(found(card("hpo", *GENERAL, *BIO)), "95 %", 80)
    assert lines == [
        "Retrieval helped.",
        "",
        "- One line.",
        "- Another.",
        "",
        "general: base; biomedical: tuned",
        "accuracy and 95 % interval:",
        "task   n  model       closed-book            bm25-3",
        "hpo   40  general     25.0 % (10.0 to 50.0)  75.0 % (50.0 to 100.0)",
        "hpo   40  biomedical  50.0 % (25.0 to 75.0)  25.0 to 75.0 % (bounds)",
        "",
        "bars: █▒ the value, from ▒ to ┤ its 95 % interval",
        # 40 columns: 4 up to the interval, 6 up to the value, 10 up to its end.
        "general     closed-book  " + "█" * 4 + "▒" * 6 + "─" * 10 + "┤" + " " * 20 + "  25.0 %",
        "general     bm25-3       " + "█" * 20 + "▒" * 10 + "─" * 10 + "┤  75.0 %",
        "biomedical  closed-book  " + "█" * 10 + "▒" * 10 + "─" * 10 + "┤" + " " * 10 + "  50.0 %",
    ]


def test_no_line_is_wider_than_the_terminal() -> None:
    long = card("a-task-with-a-long-name", *GENERAL, *BIO)
    for width in (30, 40, 60, 80, 100):
        lines = screen(found(long, card("t", *GENERAL)), "95 %", width)
        assert max(map(len, lines)) <= width
        assert "75.0 % (50.0 to 100.0)" in " ".join(" ".join(lines).split())


def test_bars_are_ascii_where_the_encoding_has_no_blocks() -> None:
    lines = screen(found(card("hpo", *GENERAL, *BIO)), "95 %", 80, is_ascii=True)
    assert "\n".join(lines).isascii()
    assert any("####======----------|" in line for line in lines)


def test_what_the_screen_leaves_out_is_named() -> None:
    many = [card(f"t{i}", *GENERAL) for i in range(11)]
    lines = screen(found(*many), "95 %", 80)
    assert "3 more tasks: see --all" in lines
    pairs = [Card(f"base{i}", "bio", "t", "accuracy", None, GENERAL[:1], ()) for i in range(6)]
    assert screen(found(*pairs), "95 %", 80)[-1] == "2 more pairs or models: see --all"


def test_a_model_without_a_pair_and_a_cell_without_an_interval() -> None:
    cell = Cell("general", "base", "closed-book", 0.5, math.nan, math.nan, 4)
    lines = screen(found(card("t", cell, biomedical=None)), "95 %", 80)
    assert "model: base" in lines
    assert any(line.endswith("█" * 20 + " " * 22 + " 50.0 %") for line in lines)


def test_cells_of_a_stopped_run_may_have_different_numbers_of_questions() -> None:
    cells = (replace(GENERAL[0], n=1_155), replace(GENERAL[1], n=1_200), *BIO)
    rows = [re.split("  +", line) for line in screen(found(card("t", *cells)), "95 %", 100)]
    named = {row[2]: row[1] for row in rows if row[0] == "t"}
    assert named == {"general": "1,155 to 1,200", "biomedical": "40"}
