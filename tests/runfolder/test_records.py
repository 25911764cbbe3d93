"""Records: the last of a question counts, and one that is not whole is named."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragbench.base.errors import DataError
from ragbench.runfolder.records import (
    ASK_AGAIN,
    Covered,
    Record,
    answer_of,
    last_records,
    read_records,
    record_to_json,
    with_answer,
    write_imported_records,
)
from tests.runfolder.golden import LM_EVAL, OWN, lines


def test_what_was_answered() -> None:
    scored = next(read_records(OWN.records("smollm2", "facts", "bm25-2")))
    assert scored.log_likelihoods is not None and len(scored.log_likelihoods) == 3
    assert (scored.reply, scored.error, scored.finish) == (None, None, "scored")
    written = next(read_records(OWN.records("smollm2", "facts-written", "bm25-2")))
    assert written.log_likelihoods is None and isinstance(written.reply, str)
    filtered = last_records(LM_EVAL.records("smollm2", "tiny_gen", "closed-book"))["2"]
    assert filtered.reply == (filtered.reply_before_filter or "").strip() != ""
    assert list(read_records(OWN.records("smollm2", "facts", "none"))) == []


RECORD = Record(key="k", question_id="q", prompt="p", log_likelihoods=None, error=None)


def test_the_last_record_of_a_question_counts(tmp_path: Path) -> None:
    failed = Record(key="k", question_id="q", prompt="p", log_likelihoods=None, error="gone")
    write_imported_records(tmp_path / "r.jsonl", [failed, RECORD])
    assert last_records(tmp_path / "r.jsonl") == {"q": RECORD}
    assert len(list(read_records(tmp_path / "r.jsonl"))) == 2


def test_an_imported_record_has_its_error_after_its_finish() -> None:
    own, imported = record_to_json(RECORD), record_to_json(RECORD, imported=True)
    assert own == imported
    assert list(own)[-2:] == ["error", "finish"]
    assert list(imported)[-2:] == ["finish", "error"]


@pytest.mark.parametrize("name", ["key", "question_id", "prompt", "log_likelihoods", "error"])
def test_a_record_that_is_not_whole_is_named(tmp_path: Path, name: str) -> None:
    first, second = lines(OWN.records("smollm2", "facts", "bm25-2"))
    del second[name]
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(first) + "\n" + json.dumps(second) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=f"the record is missing '{name}'") as caught:
        list(read_records(path))
    assert (caught.value.where, caught.value.fix) == (f"{path}:2", ASK_AGAIN)


def test_an_unreadable_number_is_named(tmp_path: Path) -> None:
    value = record_to_json(RECORD) | {"log_likelihoods": ["x"]}
    (tmp_path / "r.jsonl").write_text(json.dumps(value), encoding="utf-8")
    with pytest.raises(DataError, match="unreadable 'log_likelihoods'"):
        last_records(tmp_path / "r.jsonl")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12)), max_size=12))
def test_covered_time_is_the_union_in_any_order(intervals: list[tuple[int, int]]) -> None:
    covered = Covered()
    added = [covered.add(start, start + length) for start, length in intervals]
    seconds = {n for start, length in intervals for n in range(start, start + length)}
    assert sum(added) == len(seconds)
    assert all(part >= 0 for part in added)


def test_an_answer_goes_to_another_question_with_all_its_figures() -> None:
    answered = next(read_records(OWN.records("smollm2", "facts-written", "bm25-2")))
    blank = replace(RECORD, arm="other", passages=("p",))
    taken = with_answer(blank, answered, "cache")
    assert answer_of(taken) == answer_of(answered)
    assert taken == replace(
        answered,
        key="k",
        model="",
        task="",
        arm="other",
        seed=0,
        scoring="",
        question_id="q",
        passages=("p",),
        prompt="p",
        question=None,
        reused="cache",
        sum=None,
    )
