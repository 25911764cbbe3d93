"""The site: it builds without a warning, has every page, and asks no other server for anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from docs.reference import PAGES
from tests.docs.page import DOCS

LINK = re.compile(r"\]\(\s*((?!https?:)[^)\s]+)\)")
REQUEST = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(?:https?:)?//"""
    r"""|<link[^>]*\shref=["']?(?:https?:)?//"""
)


def menu() -> list[str]:
    """Return the files of the menu."""
    text = (DOCS / "mkdocs.yml").read_text(encoding="utf-8")
    return re.findall(r"\S+\.md", text.partition("\nnav:\n")[2])


def test_the_menu_has_every_page_once() -> None:
    pages = [str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")]
    pages += [f"reference/{name}" for name in PAGES]
    assert sorted(menu()) == sorted(pages)
    assert (
        yaml.safe_load((DOCS / "mkdocs.yml").read_text(encoding="utf-8"))["theme"]["font"] is False
    )


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("zensical") is None, reason="the extra `docs` is not installed")
def test_the_site_builds_and_loads_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [DOCS.parent / "scripts" / "docs", tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "No issues found" in done.stdout
    for name in menu():
        text = (tmp_path / "site" / name).with_suffix(".html").read_text(encoding="utf-8")
        assert "<table" in text or "<pre" in text or "<p" in text
        assert REQUEST.findall(text) == []
    assert "api_key_env" in (tmp_path / "site" / "reference" / "config.html").read_text()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_of_other_pages_lead_somewhere(name: str) -> None:
    root = DOCS.parent
    for target in LINK.findall((root / name).read_text(encoding="utf-8")):
        path, _, anchor = target.partition("#")
        assert (root / path).exists(), target
        if anchor:
            heads = re.findall(r"^#+ (.*)", (root / path).read_text(encoding="utf-8"), re.MULTILINE)
            slugs = [re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads]
            assert anchor in slugs, target


def test_a_request_would_be_seen() -> None:
    assert REQUEST.search('<script src="https://cdn.example.org/x.js">')
    assert REQUEST.search('<link rel="stylesheet" href="//fonts.example.org/x.css">')
    assert not REQUEST.search('<a href="https://typst.app">')
