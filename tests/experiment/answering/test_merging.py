"""Merging: what a shard answered is copied once, in a fixed order, and compared with the plan."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ragbench.base.errors import DataError
from ragbench.base.files import write_jsonl
from ragbench.experiment.answering.answer import answer_open
from ragbench.experiment.answering.merging import merge_shards, missing_by_shard, shards_of
from ragbench.experiment.answering.opening import Jobs, Packed
from ragbench.experiment.answering.spending import Spending
from ragbench.experiment.answering.units import Shard
from ragbench.experiment.answering.watching import Watch
from ragbench.experiment.grid.grid import Grid
from ragbench.runfolder.passages import read_prompts
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import read_records, record_to_json, sealed
from tests.experiment.answering.parts import N, make_parts, opened_of

ALL = 3 * (N + 4)


def answer(grid: Grid, folder: RunPaths, packed: Packed, shard: Shard) -> None:
    own = folder.shard(shard.folder)
    opened, jobs = opened_of(grid, own.path, packed, shard, folder)
    assert answer_open(grid, own, opened, jobs, Spending(), Watch()) == 0


@pytest.fixture
def parts(home: Path) -> tuple[Grid, RunPaths, Packed]:
    grid, packed = make_parts(home)
    return grid, RunPaths(home / "runs" / "parts"), packed


def test_shards_are_merged_once_and_the_first_answer_counts(
    parts: tuple[Grid, RunPaths, Packed],
) -> None:
    grid, folder, packed = parts
    answer(grid, folder, packed, Shard(1, 1))
    other = folder.shard("2-of-2")
    shutil.copytree(folder.shard("1-of-1").path, other.path)
    path = other.records("m", "long", "made")
    changed = [
        sealed(
            replace(r, ended_at=1.0, log_likelihoods=(-9.0, -1.0) if n < 2 else r.log_likelihoods)
        )
        for n, r in enumerate(read_records(path))
    ]
    write_jsonl(path, map(record_to_json, changed))
    merged = merge_shards(grid, folder, Jobs(grid, packed))
    assert (merged.copied, merged.twice, merged.differ) == (ALL, N, 2)
    assert merged.shards == [Shard(1, 1), Shard(2, 2)]
    assert "10 questions were answered twice, 2 of them differently" in merged.sentence()
    first = folder.shard("1-of-1")
    for cell in ("made", "same", "closed-book"):
        mine = list(read_records(folder.records("m", "long", cell)))
        assert mine == list(read_records(first.records("m", "long", cell)))
    assert read_prompts(folder.prompts) == read_prompts(first.prompts)
    again = merge_shards(grid, folder, Jobs(grid, packed))
    assert (again.copied, again.twice, again.differ) == (0, N, 2)


def test_a_run_without_shards_has_nothing_to_merge(parts: tuple[Grid, RunPaths, Packed]) -> None:
    grid, folder, packed = parts
    merged = merge_shards(grid, folder, Jobs(grid, packed))
    assert (merged.shards, merged.copied, merged.sentence()) == ([], 0, "")
    assert not folder.path.exists()


def test_what_is_missing_is_counted_by_shard(parts: tuple[Grid, RunPaths, Packed]) -> None:
    grid, folder, packed = parts
    answer(grid, folder, packed, Shard(4, 2))
    opened, _ = opened_of(grid, folder.shard("2-of-4").path, packed)
    missing = missing_by_shard(opened, 4)
    # The 14 units of both tasks are dealt as 4, 4, 3 and 3; each has three prompts.
    assert missing == {Shard(4, 1): 12, Shard(4, 3): 9, Shard(4, 4): 9}


@pytest.mark.parametrize("name", ["3-of-2", "0-of-2", "03-of-4", "old", "1-of-2.bak"])
def test_a_folder_that_is_no_shard_is_refused(tmp_path: Path, name: str) -> None:
    folder = RunPaths(tmp_path)
    folder.shard(name).path.mkdir(parents=True)
    with pytest.raises(DataError, match="is not the name of a shard"):
        shards_of(folder)


def test_records_of_another_cell_or_question_are_refused(
    parts: tuple[Grid, RunPaths, Packed],
) -> None:
    grid, folder, packed = parts
    answer(grid, folder, packed, Shard(1, 1))
    own = folder.shard("1-of-1")
    path = own.records("m", "long", "made")
    first, *rest = read_records(path)

    def merge_with(changed: dict[str, object]) -> str:
        lines = [sealed(replace(first, **changed)), *rest]  # type: ignore[arg-type]
        write_jsonl(path, map(record_to_json, lines))
        with pytest.raises(DataError) as caught:
            merge_shards(grid, folder, Jobs(grid, packed))
        assert caught.value.where == f"{path}:1"
        return caught.value.what

    assert "is not asked in the run" in merge_with({"question_id": "q99"})
    assert "answers another prompt" in merge_with({"question_id": rest[0].question_id})
    assert "answers another prompt" in merge_with({"passages": ("e",)})
    assert "answers another prompt" in merge_with({"prompt": "0" * 64})
    write_jsonl(path, map(record_to_json, [first, *rest]))
    shutil.copy(path, path.with_name("m+long+other.0.jsonl"))
    with pytest.raises(DataError, match=r"m\+long\+other.0.jsonl is of no cell of the run"):
        merge_shards(grid, folder, Jobs(grid, packed))
