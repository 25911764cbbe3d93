"""docs/tasks.md against what the tasks read and tell."""

from __future__ import annotations

import pytest

from ragbench.tasks import cases, generation, mirage, tasks
from tests.docs.page import DOCS

TEXT = (DOCS / "tasks.md").read_text(encoding="utf-8")
DESCRIBED = ("nejm", "jama", *mirage.DATASETS, "pubmedqa", "mcq", "generation")


@pytest.mark.parametrize("name", DESCRIBED)
def test_every_task_has_its_place(name: str) -> None:
    kind = tasks.get(name)
    heads = [line for line in TEXT.splitlines() if line.startswith("#")]
    assert any(f"`{name}`" in line for line in heads)
    place = kind.about.file.partition(" ")[0]  # type: ignore[attr-defined]
    assert place == "PATH" or f"`{place}`" in TEXT


def test_every_field_is_described() -> None:
    read = cases.KNOWN | generation.KNOWN | set(mirage.SETS)
    for dataset in mirage.DATASETS.values():
        read |= dataset.fields
    assert not {name for name in read if f"`{name}`" not in TEXT}
