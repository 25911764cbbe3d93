"""Answering: keys bind records to prompts and weights; errors are kept and asked again."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from ragbench.base.errors import BackendError, DataError, UnavailableError, UsageError
from ragbench.base.files import sha256_text, write_jsonl
from ragbench.experiment.answering.answer import answer_all
from ragbench.experiment.answering.opening import Jobs, check_lengths, open_cells, plan_units
from ragbench.experiment.answering.spending import Spending
from ragbench.experiment.answering.watching import Watch
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.stages.deliver import Packed, pack_all
from ragbench.runfolder.config import Billing
from ragbench.runfolder.paths import RunPaths
from tests.runfolder.sealing import sealed_line

CELL = "scripted+icd10cm+closed-book.0.jsonl"  # no other arm has its prompts
SHARING = "scripted+icd10cm+bm25-2.0.jsonl"  # short rankings: some prompts are those of bm25-5


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def parts(run_copy: Path, home: Path) -> tuple[Grid, RunPaths, Packed]:
    grid = Grid(*load_config(str(home / "small.yaml")))
    folder = RunPaths(run_copy)
    return grid, folder, pack_all(grid, folder)


def count_calls(grid: Grid, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wrap the model so that each call is noted."""
    model = grid.models["scripted"]
    real, calls = model.score_options, []

    def noted(prompt: str, options: Any) -> Any:
        calls.append(prompt)
        return real(prompt, options)

    monkeypatch.setattr(model, "score_options", noted)
    return calls


def test_a_finished_run_asks_nothing(
    parts: tuple[Grid, RunPaths, Packed], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = count_calls(parts[0], monkeypatch)
    assert answer_all(*parts) == 0
    assert calls == []


def test_only_what_is_lacking_is_asked_and_gives_the_same(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run_copy / "records" / CELL
    before = lines(path)
    whole = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(whole[:7]) + whole[7][:40], encoding="utf-8")  # a torn eighth line
    calls = count_calls(parts[0], monkeypatch)
    assert answer_all(*parts) == 0
    assert len(calls) == 3
    after = lines(path)
    assert [r["question_id"] for r in after] == [r["question_id"] for r in before]
    for old, new in zip(before, after, strict=True):
        assert new["key"] == old["key"]
        assert new["log_likelihoods"] == pytest.approx(old["log_likelihoods"], abs=1e-6)


def test_every_record_has_its_prompt_once(run_copy: Path) -> None:
    prompts = lines(run_copy / "prompts" / "0.jsonl")
    digests = [p["digest"] for p in prompts]
    assert len(set(digests)) == len(digests)
    assert all(sha256_text(p["text"]) == p["digest"] for p in prompts)
    for path in (run_copy / "records").glob("*.jsonl"):
        assert all(record["prompt"] in digests for record in lines(path))


def test_a_record_under_another_key_is_refused(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path
) -> None:
    path = run_copy / "records" / CELL
    records = lines(path)
    records[0]["key"] = "0" * 64
    write_jsonl(path, [sealed_line(record) for record in records])
    with pytest.raises(DataError, match="another prompt"):
        answer_all(*parts)


def test_an_error_is_recorded_and_asked_again(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = run_copy / "records" / CELL
    whole = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(whole[:8]), encoding="utf-8")
    model = parts[0].models["scripted"]
    with monkeypatch.context() as broken:

        def fail(prompt: str, options: Any) -> Any:
            raise BackendError("out of memory")

        broken.setattr(model, "score_options", fail)
        assert answer_all(*parts) == 2
    failed = lines(path)[8:]
    assert [r["finish"] for r in failed] == ["error", "error"]
    assert all(r["log_likelihoods"] is None for r in failed)
    assert answer_all(*parts) == 0
    assert [r["finish"] for r in lines(path)[10:]] == ["scored", "scored"]


def test_many_errors_in_a_row_stop_the_run(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run_copy / "records" / CELL).unlink()

    def fail(prompt: str, options: Any) -> Any:
        raise BackendError("out of memory")

    monkeypatch.setattr(parts[0].models["scripted"], "score_options", fail)
    with pytest.raises(BackendError, match="5 questions in a row failed"):
        answer_all(*parts)
    assert len(lines(run_copy / "records" / CELL)) == 5


def test_a_prompt_that_does_not_fit_is_refused_before_any_answer(
    parts: tuple[Grid, RunPaths, Packed], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, folder, packed = parts
    empty, jobs = RunPaths(folder.path / "empty"), Jobs(grid, packed)
    opened = open_cells(grid, empty, jobs, plan_units(grid), Spending(), Watch())
    check_lengths(grid, opened, jobs)
    monkeypatch.setattr(grid.models["scripted"], "context_tokens", 100)
    with pytest.raises(UsageError, match="does not fit the 100 tokens of 'scripted'"):
        check_lengths(grid, opened, jobs)


def test_answers_to_questions_no_longer_asked_are_refused(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path
) -> None:
    path = run_copy / "records" / CELL
    records = lines(path)
    with path.open("a", encoding="utf-8") as handle:
        handle.write(json.dumps(sealed_line(records[0] | {"question_id": "gone"})) + "\n")
    with pytest.raises(DataError, match="1 questions that are no longer asked, such as 'gone'"):
        answer_all(*parts)


def test_only_one_model_is_in_memory(
    run_copy: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models, one after the other: the first gives its weights back before the second asks."""
    text = (home / "small.yaml").read_text()
    first = next(line for line in text.splitlines() if "scripted," in line)
    second = first.replace("name: scripted,", "name: again, format: plain,")
    (home / "two.yaml").write_text(text.replace(first, f"{first}\n{second}"))
    overrides = ["name=two", "arms=[closed-book]", "tasks.0.limit=1"]
    grid = Grid(*load_config(str(home / "two.yaml"), overrides))
    steps: list[tuple[str, str]] = []
    for name, model in grid.models.items():
        real = model.score_options

        def score(prompt: str, options: Any, name: str = name, real: Any = real) -> Any:
            steps.append((name, "answers"))
            return real(prompt, options)

        monkeypatch.setattr(model, "score_options", score)
        monkeypatch.setattr(model, "release", lambda name=name: steps.append((name, "released")))
    folder = RunPaths(home / "runs" / "two")
    assert answer_all(grid, folder, pack_all(grid, folder)) == 0
    assert steps == [
        ("again", "released"),  # as what a round before has left
        *[("scripted", "answers"), ("scripted", "released"), ("again", "answers")],
    ]


def test_a_prompt_of_several_arms_is_asked_once_and_costs_once(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, folder, _ = parts
    for path in (run_copy / "records").glob("*.jsonl"):
        path.unlink()
    calls, spending = (
        count_calls(grid, monkeypatch),
        Spending({"scripted": Billing(input=1e6, output=0)}),
    )
    assert answer_all(*parts, spending) == 0
    found = [line for path in folder.all_records() for line in lines(path)]
    assert len(calls) == len(set(calls)) == len({line["prompt"] for line in found}) < len(found)
    first = [line for line in found if "reused" not in line]
    assert len(first) == len(calls)
    by_prompt = {line["prompt"]: line for line in first}
    for line in found:
        same = by_prompt[line["prompt"]]
        assert line.get("reused", "run") == "run"
        for name in ("log_likelihoods", "prompt_tokens", "elapsed_s", "ended_at", "key"):
            assert line[name] == same[name]
    # A token costs one unit of money: of the prompt, and of the prompt with each option.
    paid = sum(
        line["prompt_tokens"] * (1 + len(line["option_tokens"])) + sum(line["option_tokens"])
        for line in first
    )
    assert spending.total == pytest.approx(paid)


@pytest.mark.parametrize("later", [True, False])
def test_an_answer_to_the_same_prompt_of_an_earlier_session_is_reused(
    parts: tuple[Grid, RunPaths, Packed],
    run_copy: Path,
    monkeypatch: pytest.MonkeyPatch,
    later: bool,
) -> None:
    """Of two arms the first in the config counts, also where its records were lost."""
    names = [SHARING, SHARING.replace("-2", "-5")]
    path, other = (run_copy / "records" / name for name in (names[::-1] if later else names))
    prompts = {line["prompt"] for line in lines(other)}
    shared = [line["prompt"] in prompts for line in lines(path)]
    assert 0 < sum(shared) < len(shared)
    before = [line["log_likelihoods"] for line in lines(path)]
    path.unlink()
    calls = count_calls(parts[0], monkeypatch)
    assert answer_all(*parts) == 0
    assert len(calls) == len(shared) - sum(shared)
    assert [line.get("reused") == "run" for line in lines(path)] == [later and s for s in shared]
    assert [line["log_likelihoods"] for line in lines(path)] == before


# -- several questions at a time ----------------------------------------------------------------

Batches = list[list[str]]


def note_batches(grid: Grid, monkeypatch: pytest.MonkeyPatch, size: int) -> Batches:
    """Let the model answer several questions at a time, and note the prompts of each batch."""
    model = grid.models["scripted"]
    real, batches = model.score_batch, Batches()

    def noted(items: Any) -> Any:
        batches.append([item.prompt for item in items])
        return real(items)

    monkeypatch.setattr(model, "score_batch", noted)
    monkeypatch.setattr(model, "batch_size", size)
    return batches


def answers(folder: RunPaths) -> dict[str, list[dict[str, Any]]]:
    """Return the records of each cell without their times."""
    return {
        path.name: sorted(
            ({k: v for k, v in line.items() if k not in TIMES} for line in lines(path)),
            key=lambda line: str(line["question_id"]),
        )
        for path in sorted((folder.path / "records").glob("*.jsonl"))
    }


TIMES = ("elapsed_s", "ended_at", "seal", "sum")


def test_a_killed_run_asks_the_batches_of_an_uninterrupted_one(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, folder, _ = parts
    files = sorted((run_copy / "records").glob("*.jsonl"))
    for path in files:
        path.unlink()
    batches = note_batches(grid, monkeypatch, 5)
    assert answer_all(*parts) == 0
    whole, expected = list(batches), answers(folder)
    n_questions, n_arms = len(expected[CELL]), len(files)
    by_question = [
        dict.fromkeys(records[n]["prompt"] for records in expected.values())
        for n in range(n_questions)
    ]
    assert len(whole) == n_questions and n_arms == 5  # five prompts: a question with all its arms
    asked = {frozenset(map(sha256_text, batch)) for batch in whole}
    assert asked == {frozenset(prompts) for prompts in by_question}  # each distinct prompt once
    assert sum(map(len, whole)) == sum(map(len, by_question)) < n_questions * n_arms
    # Of one cell the records are lost, of another the last ones: as a kill leaves them.
    kept = files[0].read_text(encoding="utf-8").splitlines(keepends=True)
    files[0].write_text("".join(kept[:-2]), encoding="utf-8")
    batches.clear()
    assert answer_all(*parts) == 0
    assert batches
    assert all(batch in whole for batch in batches)
    assert len(batches) <= 2
    assert answers(folder) == expected


def test_units_in_flight_are_those_of_one_after_the_other(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, folder, _ = parts
    expected = {
        name: [{k: v for k, v in line.items() if k != "reused"} for line in found]
        for name, found in answers(folder).items()
    }
    for path in (run_copy / "records").glob("*.jsonl"):
        path.unlink()
    batches = note_batches(grid, monkeypatch, 5)
    model = grid.models["scripted"]
    real, meeting = model.score_batch, Barrier(3)
    together: list[bool] = []

    def meet(items: Any) -> Any:
        if not together:  # the first three units wait for each other
            meeting.wait(60)
            together.append(True)
        return real(items)

    monkeypatch.setattr(model, "score_batch", meet)
    monkeypatch.setattr(model, "concurrency", 3)
    assert answer_all(*parts) == 0
    assert len(batches) == len(expected[CELL]) == len({batch[0] for batch in batches})
    found = {
        name: [{k: v for k, v in line.items() if k != "reused"} for line in records]
        for name, records in answers(folder).items()
    }
    assert found == expected


def test_a_model_that_can_be_asked_no_more_loses_no_unit_in_flight(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, folder, _ = parts
    for path in (run_copy / "records").glob("*.jsonl"):
        path.unlink()
    note_batches(grid, monkeypatch, 5)
    model = grid.models["scripted"]
    real, meeting, numbers = model.score_batch, Barrier(2), count()

    def ask(items: Any) -> Any:
        number = next(numbers)
        if number < 2:
            meeting.wait(60)  # both are in flight before either ends
        if number != 1:
            raise UnavailableError("no worker is left")
        return real(items)

    monkeypatch.setattr(model, "score_batch", ask)
    monkeypatch.setattr(model, "concurrency", 2)
    with pytest.raises(UnavailableError, match="no worker is left"):
        answer_all(*parts)
    assert next(numbers) in (2, 3)  # the second may end before the first is known to have failed
    assert [len(records) for records in answers(folder).values()] == [1] * 5


def test_arms_that_were_added_have_batches_of_their_own(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid, folder, _ = parts
    expected = answers(folder)
    batches = note_batches(grid, monkeypatch, 5)
    added = run_copy / "records" / CELL
    n_questions = len(lines(added))
    added.unlink()
    assert answer_all(*parts) == 0
    assert sum(map(len, batches)) == n_questions
    assert answers(folder) == expected


def test_an_error_in_a_batch_is_that_of_its_question(
    parts: tuple[Grid, RunPaths, Packed], run_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = parts[0]
    path = run_copy / "records" / CELL
    path.unlink()
    model = grid.models["scripted"]
    real = model.score_batch

    def fail(items: Any) -> Any:
        return [BackendError("no memory"), *real(items)[1:]]

    monkeypatch.setattr(model, "score_batch", fail)
    monkeypatch.setattr(model, "batch_size", 4 * 5)  # four questions in five arms
    n_errors = answer_all(*parts)
    found = lines(path)
    assert n_errors == -(-len(found) // 4)
    assert [line["error"] for line in found] == [
        None if place % 4 else "no memory" for place in range(len(found))
    ]
