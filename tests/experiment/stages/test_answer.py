"""Answering: keys bind records to prompts and weights; errors are kept and asked again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ragbench.base.errors import BackendError, DataError, UsageError
from ragbench.base.files import sha256_text, write_jsonl
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.stages.answer import answer_all, check_lengths
from ragbench.experiment.stages.deliver import Packed, pack_all
from ragbench.runfolder.paths import RunPaths
from tests.runfolder.sealing import sealed_line

CELL = "scripted+icd10cm+bm25-2.0.jsonl"


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
    grid, _, packed = parts
    monkeypatch.setattr(grid.models["scripted"], "context_tokens", 100)
    with pytest.raises(UsageError, match="does not fit the 100 tokens of 'scripted'"):
        check_lengths(grid, packed)


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
    assert steps == [("scripted", "answers"), ("scripted", "released"), ("again", "answers")]
