"""The page docs/add-a-model.md, followed to the letter."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.models.spec import ModelSpec, options_of
from tests.docs.page import DOCS, follow

PAGE = DOCS / "add-a-model.md"


@pytest.mark.slow
def test_every_command_of_the_page_does_what_it_says(tmp_path: Path) -> None:
    assert "Traceback" not in follow(PAGE, tmp_path)


def test_the_page_names_every_key() -> None:
    text = PAGE.read_text(encoding="utf-8")
    keys = set(ModelSpec.model_fields) - {"name", "options"}
    for backend in ("hf", "server", "scripted"):
        keys |= set(options_of(backend).model_fields)
    assert [name for name in sorted(keys) if f"`{name}`" not in text] == []
