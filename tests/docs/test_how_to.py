"""The tutorial and docs/how-to/, followed to the letter; and the commands of all other pages."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ragbench.experiment.config.config import load_config
from tests.docs.page import DOCS, SKIP, blocks, follow

FOLLOWED = [DOCS / "tutorial.md", *sorted((DOCS / "how-to").rglob("*.md"))]
BY_OTHERS = [f"add-a-{part}.md" for part in ("corpus", "model", "task")] + ["python.md"]
OTHERS = [page for page in sorted(DOCS.glob("*.md")) if page not in FOLLOWED]
NOT_CONFIGS = ["gateway.yml"]


@pytest.mark.slow
@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.stem)
def test_every_command_of_the_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    assert "Traceback" not in follow(page, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", OTHERS, ids=lambda page: page.stem)
def test_commands_between_explanations_run(page: Path, tmp_path: Path) -> None:
    if page.name in BY_OTHERS:
        pytest.skip("a test of its own follows the page")
    assert "Traceback" not in follow(page, tmp_path, commands_alone=True)


@pytest.mark.parametrize("page", FOLLOWED, ids=lambda page: page.stem)
def test_every_config_of_the_page_is_legal(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.info == "yaml" and block.file not in NOT_CONFIGS:
            assert block.file is not None, f"{page.name}:{block.line}"
            path = tmp_path / block.file
            path.write_text(block.text, encoding="utf-8")
            assert load_config(str(path))[0].name == path.stem


def test_the_scripts_of_pages_are_bash() -> None:
    scripts = [
        block.text for page in FOLLOWED for block in blocks(page) if block.info.startswith("bash")
    ]
    assert len(scripts) >= 2
    for text in scripts:
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def test_what_is_skipped_has_a_reason() -> None:
    for page in DOCS.rglob("*.md"):
        for block in blocks(page):
            assert "skip" not in block.info or SKIP.search(block.info), f"{page.name}:{block.line}"
