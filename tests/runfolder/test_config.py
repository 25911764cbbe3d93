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


def test_what_is_written_for_an_arm_has_the_names_of_its_records() -> None:
    arms = [
        {"name": "closed-book"},
        {"name": "own", "retriever": "bm25", "k": 1, "queries": "q"},
        {
            **{"name": "kept", "retriever": "bm25", "k": 1, "queries": "q", "depth": 8},
            "filter": {"by": "judge", "keep": 0.5, "options": "shown"},
        },
        {"name": "memory", "write": {"by": "writer", "n": 3}},
        {"name": "random", "control": "random", "like": "memory"},
        {"name": "encoded", "retriever": "bm25", "filter": {"by": "cross-encoder", "keep": 0.5}},
    ]
    raw = {
        **{"seed": 1, "models": [{"name": "m"}], "tasks": [{"name": "t"}], "arms": arms},
        "queries": {"q": {"by": "each", "write": "rationale"}},
    }
    config = parse(RunConfig, raw, "")
    assert {arm.name: config.written_for(arm.name, "m") for arm in config.arms} == {
        "closed-book": [],
        "own": [("m", "queries.q")],
        "kept": [("m", "queries.q"), ("judge", "filter.bm25~q@m~8~shown")],
        "memory": [("writer", "passages.memory")],
        "random": [("writer", "passages.memory")],
        "encoded": [],
    }
    assert [arm.name for arm in config.arms if config.has_own(arm.name)] == ["own", "kept"]
    assert config.ranking("kept", "bm25", "m") == "bm25~q@m"
    assert config.ranking("memory", "bm25", "m") == "bm25"
