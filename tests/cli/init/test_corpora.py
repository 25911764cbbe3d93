"""A corpus at a path: its columns, and the lengths of its passages."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.cli.init.corpora import columns_of, corpus_file, name_for, slug
from tests.cli.init.data import write_csv, write_lines


def test_columns_lengths_and_ids(home: Path) -> None:
    # 40, 80 and 400 characters: 10, 20 and 100 tokens of four characters.
    rows = [["d1", "x" * 40], ["d2", "x" * 80], ["d3", "x" * 400]]
    path = write_csv(home / "my notes.csv", ["Doc ID", "Text"], rows)
    found = corpus_file(path, columns_of(path))
    assert found is not None
    assert found.card is not None
    assert (found.name, found.card.reader) == ("my-notes", "tabular")
    assert found.card.options == {"id_field": "Doc ID", "text_field": "Text"}
    assert found.card.path == "../my notes.csv"
    assert (found.seen, found.is_whole, found.half, found.ids) == (
        3,
        True,
        20,
        frozenset({"d1", "d2", "d3"}),
    )
    assert found.most == (80 + 0.8 * 320) // 4  # linear between the second and the third


def test_semicolons_go_into_the_card(home: Path) -> None:
    path = home / "n.csv"
    path.write_text("id;text\n1;Gout, of the toe\n", encoding="utf-8")
    found = corpus_file(path, columns_of(path))
    assert found is not None
    assert found.card is not None
    assert found.card.options["delimiter"] == ";"


def test_texts_without_ids(home: Path) -> None:
    path = write_lines(home / "n.jsonl", [{"heading": "Gout", "text": "A joint."}])
    with pytest.raises(DataError, match="the texts in column 'text' have no column of ids"):
        corpus_file(path, columns_of(path))
    assert corpus_file(path, ["heading", "author"]) is None


def test_names(home: Path) -> None:
    (home / "textbooks.csv").touch()
    assert name_for(home / "textbooks.csv") == "my-textbooks"  # ragbench has such a card
    assert slug("Café notes (2).v1") == "Caf-notes-2-.v1"
    assert slug("...") == "mine"
