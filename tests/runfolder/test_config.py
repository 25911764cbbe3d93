"""The resolved config as it is read again: typed, and whole where it is written."""

from __future__ import annotations

from ragbench.experiment.config.spec import ArmSpec
from ragbench.runfolder.config import ArmEntry, RunConfig
from ragbench.runfolder.runfile import read_run_file
from ragbench.runfolder.schema import parse, to_json
from tests.runfolder.golden import OWN


def test_the_config_of_a_run() -> None:
    config = read_run_file(OWN.run).config
    assert (config.seed, config.mode, config.analysis.alpha) == (5, "correct", 0.05)
    assert [(task.name, task.task) for task in config.tasks] == [
        ("facts", "mcq"),
        ("facts-written", "mcq"),
    ]
    assert config.bases() == [("smollm2", None)]
    assert config.arm("hybrid").fuse == ("bm25", "dense")
    assert (config.arm("random-bm25-2").control, config.arm("random-bm25-2").like) == (
        "random",
        "bm25-2",
    )


def test_keys_of_a_backend_are_kept_and_not_needed() -> None:
    raw = {
        "seed": 1,
        "models": [{"name": "m", "replies": "table.jsonl"}],
        "tasks": [{"name": "t"}],
        "arms": [{"name": "closed-book"}],
        "later": {"more": 1},
    }
    config = parse(RunConfig, raw, "")
    assert (config.models[0].backend, config.models[0].base) == ("", None)
    assert to_json(config) == raw


def test_an_entry_has_every_key_of_an_arm() -> None:
    spec = ArmSpec(name="a", retriever="r", k=2, order="best-last")
    assert to_json(parse(ArmEntry, spec.model_dump(mode="json"), "")) == spec.model_dump(
        mode="json"
    )
