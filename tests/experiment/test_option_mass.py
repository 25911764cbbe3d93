"""The probability of all letters: a warning of plan and report where there is hardly any."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.results import results
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.planning.plan import make_plan
from ragbench.experiment.run import run_experiment
from ragbench.report.verdict.notes import notes
from tests.models.local import tiny
from tests.models.test_chat_templates import BLANKS, INST

CONFIG = """\
name: mass
models: [{name: tiny, path: model, dtype: float32, device: cpu}]
tasks: [{name: q, task: mcq, options: {path: q.jsonl}, scoring: letters}]
arms: [closed-book]
"""


@pytest.mark.parametrize(
    ("vocabulary", "share"),
    # Random weights are about fair: four letters of the tokens.
    [pytest.param(None, 0.04, marks=pytest.mark.slow), (4000, 0.001)],
)
def test_letters_without_mass_are_a_warning(
    home: Path, vocabulary: int | None, share: float
) -> None:
    tokens = tiny.tokenizer(INST, BLANKS)
    tiny.llama(home / "model", tokens, vocab_size=vocabulary or len(tokens))
    asked = {"question": "Which?", "options": list("wxyz"), "answer": "x"}
    rows = [json.dumps({"id": f"q{n}", **asked, "context": f"Case {n}."}) for n in range(3)]
    (home / "q.jsonl").write_text("\n".join(rows), encoding="utf-8")
    (home / "c.yaml").write_text(CONFIG, encoding="utf-8")
    loaded = load_config(str(home / "c.yaml"), ())
    plan = make_plan(Grid(*loaded))
    (mass,) = plan.masses
    assert (mass.model, mass.task, mass.prompts) == ("tiny", "q", 3)
    assert mass.mass == pytest.approx(share, rel=0.5)
    warned = [note for note in plan.notes if "of the probability" in note]
    assert bool(warned) == (share < 0.01)

    run_experiment(*loaded)
    run = load_run(home / "runs" / "mass")
    scores = run.scores
    assert scores["option_mass"].mean() == pytest.approx(mass.mass, rel=1e-4)
    figures = results(run)
    (value,) = figures[figures.metric == "mean_option_mass"].value
    assert value == pytest.approx(mass.mass, rel=1e-4)
    told = [note for note in notes(run) if note.startswith("Warning on tiny, q: all letters")]
    assert len(told) == len(warned)
    assert all("0.1" in line or "0.09" in line for line in told)


def test_weights_that_cannot_be_loaded_are_a_note_of_the_plan(home: Path) -> None:
    """The headers are whole and a tensor is missing, which only loading shows."""
    from safetensors.torch import load_file, save_file

    tokens = tiny.tokenizer(INST, BLANKS)
    path = tiny.llama(home / "model", tokens) / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.norm.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    row = {"id": "q", "question": "Which?", "options": list("wxyz"), "answer": "x"}
    (home / "q.jsonl").write_text(json.dumps(row), encoding="utf-8")
    (home / "c.yaml").write_text(CONFIG, encoding="utf-8")
    plan = make_plan(Grid(*load_config(str(home / "c.yaml"), ())))
    assert plan.masses == []
    assert any("could not be scored" in note and "missing 1 tensors" in note for note in plan.notes)
