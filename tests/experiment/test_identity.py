"""The identity of a run is that of its config, its questions and its models."""

from __future__ import annotations

from pathlib import Path

from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.identity import known_identity, resolved
from ragbench.runfolder.config import Billing
from tests.experiment.answering.parts import make_parts


def test_what_is_known_before_a_corpus_is_built(home: Path) -> None:
    grid, _ = make_parts(home)
    known = known_identity(grid)
    assert known.models["m"].digest == grid.models["m"].digest()
    assert known.packing == {"tokenizer": "m"}
    assert known.corpora is None and known.run_files is None
    long, short = known.tasks["long"], known.tasks["short"]
    assert (long.n, short.n, long.scoring, short.scoring) == (10, 4, "letters", "options")
    assert long.arms == ("closed-book", "made", "same")
    text = (home / "asked.jsonl").read_text()
    (home / "asked.jsonl").write_text(text.replace("Question 9?", "Question nine?"))
    other = known_identity(Grid(*load_config(str(home / "parts.yaml"))))
    assert other.tasks["long"].digest != long.digest
    assert other.models == known.models


def test_the_resolved_config_says_what_each_model_costs(home: Path) -> None:
    grid, _ = make_parts(home)
    config = resolved(grid)
    assert config.billing == {"m": Billing(own_machine=True, in_flight=1)}
    assert [arm.name for arm in config.arms] == ["closed-book", "made", "same"]
