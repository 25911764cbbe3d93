"""A card finds its cells and numbers by name."""

from __future__ import annotations

from ragbench.analysis.family import FINE_TUNING, GAIN, MACRO
from ragbench.report.verdict.card import Card, Cell, Number


def test_a_card_finds_its_numbers_by_key_and_by_name() -> None:
    gain = Number("retrieval gain", "bm25", "", 0.1, 0, 0.2, 9, "shown", False, True, 0.01, 0.3)
    cell = Cell("general", "base", "bm25", 0.5, 0.2, 0.8, 9)
    card = Card("base", None, MACRO, "accuracy", "bm25", (cell,), (gain,))
    assert card.number(GAIN) is gain and card.number("retrieval gain") is gain
    assert card.number(FINE_TUNING) is None
    assert card.cell("general", "bm25") is cell and card.cell("biomedical", "bm25") is None
    assert card.is_average and card.name == "base"
