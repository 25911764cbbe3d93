"""docs/tasks.md and docs/tasks-clue.md against what the tasks read and tell."""

from __future__ import annotations

import pytest

from ragbench.tasks import cases, generation, mirage, mirage_file, tasks
from tests.docs.page import DOCS
from tests.tasks.clue_files import FILES

TEXT = (DOCS / "tasks.md").read_text(encoding="utf-8")
CLUE = (DOCS / "tasks-clue.md").read_text(encoding="utf-8")
DESCRIBED = ("nejm", "jama", *mirage.DATASETS, "pubmedqa", "mcq", "generation")


@pytest.mark.parametrize(
    ("name", "text"), [(n, TEXT) for n in DESCRIBED] + [(n, CLUE) for n in FILES]
)
def test_every_task_has_its_place(name: str, text: str) -> None:
    kind = tasks.get(name)
    heads = [line for line in text.splitlines() if line.startswith("#")]
    assert any(f"`{name}`" in line for line in heads)
    place = kind.about.file.partition(" ")[0]
    assert place == "PATH" or f"`{place}`" in text


def test_every_field_is_described() -> None:
    read = cases.KNOWN | generation.KNOWN | set(mirage_file.TASKS)
    for dataset in mirage.DATASETS.values():
        read |= dataset.fields
    assert not {name for name in read if f"`{name}`" not in TEXT}


@pytest.mark.parametrize("name", FILES)
def test_what_the_page_says_of_clue(name: str) -> None:
    about = tasks.get(name).about
    (part,) = [p for p in CLUE.split("\n## ") if f"`{name}`" in p.partition("\n")[0]]
    assert about.licence.partition(" (")[0] in " ".join(part.split())
    assert f": {about.data_use}" in " ".join(part.split()).replace("open.", "open")
    for mode in about.modes:
        assert f"`{mode}`" in CLUE
