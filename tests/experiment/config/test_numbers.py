"""No key of a config reads true or false as a number, as pydantic alone would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ragbench.base.errors import UsageError
from ragbench.base.yamlfile import Fields, check, from_mapping
from ragbench.experiment.config.config import load_config
from tests.test_layout import MODULES

CONFIG = """\
name: numbers
indexes: {bm25: {recipe: bm25}}
queries: {parts: {by: llama, write: subquestions}}
models: [{name: llama, backend: scripted}]
tasks: [{name: icd10cm}]
arms:
  - closed-book
  - {name: asked, retriever: bm25, k: 1, queries: parts}
  - {name: f, retriever: bm25, k: 1, depth: 2, filter: {by: llama, keep: 0.5}}
  - {name: r, retriever: bm25, k: 1, rounds: {by: llama}}
  - {name: memory, write: {by: llama}}
"""
WHOLE = (
    *("seed", "reply_limit", "max_cost", "packing.budget_tokens", "analysis.resamples"),
    *("analysis.alpha", "queries.parts.n", "queries.parts.reply_limit", "tasks.icd10cm.limit"),
    *("models.llama.context", "models.llama.delay_s", "arms.asked.k", "arms.f.depth"),
    *("arms.f.filter.keep", "arms.r.rounds.n", "arms.r.rounds.queries", "arms.memory.write.n"),
)


@pytest.mark.parametrize("key", WHOLE)
def test_true_is_no_number(tmp_path: Path, key: str) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text(CONFIG, encoding="utf-8")
    for value in ("true", "false"):
        with pytest.raises(UsageError) as refused:
            load_config(str(path), [f"{key}={value}"])
        said = f"`{key.rpartition('.')[2]}` takes a "
        assert refused.value.what.startswith(said), refused.value.what
        assert f"it is {value}" in refused.value.what
    load_config(str(path), ["arms.r.rounds.answers=false", "reply_cache=true"])


class _Odd(Fields):
    either: int | bool = 0
    several: tuple[int, ...] = ()
    named: dict[str, float] = {}  # noqa: RUF012
    anything: object = None


def test_lists_and_mappings_of_numbers_hold_none_and_what_may_be_true_is() -> None:
    right = {"either": True, "several": [1], "named": {"a": 0.5}, "anything": True}
    assert check(_Odd, from_mapping(right, what="odd")).either is True
    for wrong in ({"several": [1, True]}, {"named": {"a": False}}):
        with pytest.raises(UsageError, match="takes a"):
            check(_Odd, from_mapping(wrong, what="odd"))


def test_all_that_files_are_checked_against_has_this_base() -> None:
    found = [
        f"{path.name}: {name}"
        for path in MODULES
        for name in re.findall(r"^class (\w+)\(.*BaseModel", path.read_text(encoding="utf-8"), re.M)
    ]
    assert found == ["yamlfile.py: Fields"]
