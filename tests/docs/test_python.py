"""The page docs/python.md: followed to the letter, and its search without the model."""

from __future__ import annotations

from pathlib import Path

import pytest

import ragbench
from tests.docs.page import DOCS, blocks, follow

PAGE = DOCS / "python.md"
MODEL = "## Experiments"
AFTER = "## Errors"


@pytest.mark.slow
def test_everything_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    assert "Traceback" not in follow(PAGE, tmp_path)


@pytest.mark.slow
def test_what_needs_no_model_does_what_it_says(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    part = tmp_path / "python.md"
    part.write_text(text[: text.index(MODEL)] + text[text.index(AFTER) :], encoding="utf-8")
    printed = follow(part, tmp_path)
    assert "Traceback" not in printed
    assert "the index 'bm25-letters' is not built" in printed


def test_the_page_names_every_function() -> None:
    text = PAGE.read_text(encoding="utf-8")
    functions = set(ragbench.__all__) - {"__version__", "RagbenchError"}
    assert all(f"| `{name}(" in text for name in functions)
    code = "".join(block.text for block in blocks(PAGE) if block.info == "python")
    assert all(f"ragbench.{name}(" in code for name in functions)
