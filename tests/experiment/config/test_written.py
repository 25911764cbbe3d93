"""Writers in a config: who may write, what arms may ask for, and the line of each mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.config.written import FilterSpec, QuerySpec

CONFIG = """\
name: written
indexes: {bm25: {recipe: bm25}}
queries:
  rationale: {by: llama, write: rationale}
  own: {by: each, write: rationale}
models:
  - {name: llama, backend: scripted}
tasks: [icd10cm]
arms:
  - closed-book
  - {name: own-5, retriever: bm25, k: 5, queries: own}
  - {name: memory, write: {by: llama}}
"""


def load(tmp_path: Path, text: str = CONFIG, *overrides: str) -> None:
    path = tmp_path / "written.yaml"
    path.write_text(text, encoding="utf-8")
    load_config(str(path), overrides)


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ("own: {by: each", "own: {by: nobody", 5, "there is no model 'nobody'"),
        ("write: rationale}\nmodels", "write: novel}\nmodels", 5, "write"),
        ("queries: own", "queries: others", 11, "there is no entry of `queries` 'others'"),
        ("write: {by: llama}", "write: {by: nobody}", 12, "there is no model 'nobody'"),
        ("write: {by: llama}", "write: {by: llama, n: 0}", 12, "`n` takes a"),
        ("rationale}\n  own", "rationale, n: 2}\n  own", 4, "`n` has no effect"),
        (
            "{name: memory, write: {by: llama}}",
            "{name: made, run_file: a.trec, k: 1, queries: own}",
            12,
            "`queries` has no effect in an arm of kind run_file",
        ),
        (
            "{name: memory, write: {by: llama}}",
            "{name: f, retriever: bm25, k: 1, filter: {by: llama, keep: 0.5}}",
            12,
            "needs `depth`",
        ),
        (
            "{name: memory, write: {by: llama}}",
            "{name: f, retriever: bm25, k: 9, depth: 8, filter: {by: llama, keep: 0.5}}",
            12,
            "k is larger than the `depth` that the filter judges",
        ),
        (
            "{name: memory, write: {by: llama}}",
            "{name: f, retriever: bm25, k: 1, depth: 8, filter: {by: nobody, keep: 0.5}}",
            12,
            "there is no model 'nobody'",
        ),
        (
            "{name: memory, write: {by: llama}}",
            "{name: f, retriever: bm25, k: 1, depth: 8, filter: {by: cross-encoder, keep: 0.5}}",
            12,
            "needs `model`",
        ),
        (
            "{name: memory, write: {by: llama}}",
            "{name: f, retriever: bm25, k: 1, depth: 8, filter: {by: llama, keep: 1.5}}",
            12,
            "`keep` takes a number of at most 1",
        ),
        (
            "{name: memory, write: {by: llama}}",
            "{name: r, retriever: bm25, k: 1, rounds: {by: nobody}}",
            12,
            "there is no model 'nobody'",
        ),
        (
            "{name: memory, write: {by: llama}}",
            "{name: r, retriever: bm25, k: 1, queries: own, rounds: {by: llama}}",
            12,
            "an arm has `queries` or `rounds`",
        ),
        (
            "{name: memory, write: {by: llama}}",
            "{name: r, run_file: a.trec, k: 1, rounds: {by: llama}}",
            12,
            "`rounds` has no effect in an arm of kind run_file",
        ),
        (
            "{name: memory, write: {by: llama}}",
            "{name: own, retriever: bm25, k: 1, rounds: {by: llama}}",
            12,
            "has the name of an entry of `queries`",
        ),
        (
            "{by: llama}}",
            "{by: llama}}\n  - {control: random, like: memory}",
            13,
            "draws passages from a corpus, and 'memory' has none",
        ),
        (
            "{by: llama}}",
            "{by: llama}}\n  - {control: oracle-removed, like: memory}",
            13,
            "needs the ranking of a corpus",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, what: str
) -> None:
    assert CONFIG.count(old) == 1
    with pytest.raises(UsageError) as refused:
        load(tmp_path, CONFIG.replace(old, new))
    assert what in str(refused.value)
    assert f"written.yaml:{line}" in refused.value.where


def test_controls_may_imitate_what_models_write(tmp_path: Path) -> None:
    text = CONFIG.replace("{by: llama}}", "{by: llama}, corpus: icd10cm}")
    text += "  - {control: random, like: memory}\n  - {control: shuffled, like: memory}\n"
    text += "  - {control: random, like: own-5}\n"
    path = tmp_path / "written.yaml"
    path.write_text(text, encoding="utf-8")
    config, _ = load_config(str(path))
    imitated = [(arm.control, arm.like) for arm in config.arms if arm.control]
    assert imitated == [("random", "memory"), ("shuffled", "memory"), ("random", "own-5")]


def test_names_of_arms_say_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "written.yaml"
    arms = """\
  - {retriever: bm25, k: [1, 5], queries: own}
  - {retriever: bm25, k: 5, depth: 32, filter: {by: llama, keep: 0.5}}
  - {write: {by: each, n: 4}}
"""
    path.write_text(CONFIG.partition("  - {name: own-5")[0] + arms, encoding="utf-8")
    config, _ = load_config(str(path))
    assert [arm.name for arm in config.arms] == [
        "closed-book",
        "bm25-own-1",
        "bm25-own-5",
        "bm25-filtered-5",
        "written-4",
    ]


def test_in_both_formats_the_chat_model_writes(tmp_path: Path) -> None:
    path = tmp_path / "written.yaml"
    path.write_text(CONFIG + "prompt_format: both\n", encoding="utf-8")
    config, _ = load_config(str(path))
    assert config.queries["rationale"].by == "llama-chat"
    assert config.queries["own"].by == "each"
    assert config.arms[-1].write is not None and config.arms[-1].write.by == "llama-chat"


def test_only_subquestions_are_several_texts() -> None:
    assert QuerySpec(by="m", write="subquestions").texts == 3
    assert QuerySpec(by="m", write="subquestions", n=5).texts == 5
    assert QuerySpec(by="m", write="rationale").texts == 1


def test_a_cross_encoder_is_named_by_its_model() -> None:
    found = FilterSpec(by="cross-encoder", model="folder", keep=0.3)
    assert (found.model, found.options) == ("folder", "hidden")
    with pytest.raises(ValueError, match="no other filter has it"):
        FilterSpec(by="llama", model="folder", keep=0.3)


def test_who_may_judge_is_listed_with_the_cross_encoder(tmp_path: Path) -> None:
    arm = "{name: f, retriever: bm25, k: 1, depth: 2, filter: {by: nobody, keep: 0.5}}"
    text = CONFIG.replace("{name: memory, write: {by: llama}}", arm)
    with pytest.raises(UsageError, match="there is no model 'nobody'") as refused:
        load(tmp_path, text)
    assert "known: cross-encoder, each, llama" in refused.value.fix
    with pytest.raises(UsageError) as refused:
        load(tmp_path, CONFIG.replace("write: {by: llama}", "write: {by: nobody}"))
    assert "cross-encoder" not in refused.value.fix
