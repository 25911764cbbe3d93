"""The page docs/add-a-model.md, followed to the letter."""

from __future__ import annotations

from pathlib import Path

from ragbench.models.model import ModelSpec
from tests.docs.page import DOCS, follow

PAGE = DOCS / "add-a-model.md"


def test_every_command_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    assert "Traceback" not in follow(PAGE, tmp_path)


def test_the_page_names_every_key() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in ModelSpec.model_fields if name != "name")
