"""The page docs/add-a-corpus.md, followed to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.page import DOCS, blocks, follow

PAGE = DOCS / "add-a-corpus.md"


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    assert "Traceback" not in follow(PAGE, tmp_path)


def test_the_card_has_ten_lines_and_the_reader_thirty() -> None:
    files = {block.file: block.text for block in blocks(PAGE) if block.file}
    assert len(files["corpora/wards.yaml"].splitlines()) <= 10
    reader = files["textfiles/textfiles.py"].partition("\n\n\n")[2]  # without its imports
    assert len([line for line in reader.splitlines() if line.strip()]) <= 30


def test_the_page_names_every_reader() -> None:
    from ragbench.corpora.readers import readers

    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text for name in readers.names())
