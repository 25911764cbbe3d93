"""No figure comes from a run folder that is not as ragbench wrote it.

A finished run of two tasks and four arms is changed in one place; every command that reads it
either prints the same table or names the file.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.results import write_tables
from ragbench.base.errors import DataError, RagbenchError
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.experiment.stages.score import score_run
from ragbench.report.write import write_report
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.runfile import read_run_file
from ragbench.runfolder.sums import (
    GROWING,
    INPUTS,
    SCORES,
    FileSum,
    measure,
    read_sums,
    write_sums,
)
from tests.conftest import made_once, make_mixed_home
from tests.runfolder.sealing import reseal, sealed_line

CONFIG = """\
name: small
seed: 5
indexes:
  bm25: {recipe: bm25}
models:
  - {name: scripted, backend: scripted, rule: overlap}
tasks:
  - {name: facts, task: mcq, options: &facts {path: facts.jsonl, corpus: facts}}
  - {name: written, task: mcq, scoring: generate, options: *facts}
arms:
  - closed-book
  - {retriever: bm25, k: [1, 2]}
  - {control: random, like: bm25-2}
analysis: {resamples: 1000}
"""
KINDS = (
    *("run.json", "sums.json", "config.yaml", "sessions.jsonl", "passages.jsonl"),
    *("questions/*.jsonl", "retrieval/*.trec", "retrieval/*.json", "retrieval/*.quality.jsonl"),
    *("packed/*.jsonl", "prompts/*.jsonl", "records/*.jsonl", "scores/*.parquet"),
)
CELL = "records/scripted+facts+bm25-2.0.jsonl"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished run, which nothing changes."""

    def make(folder: Path) -> None:
        make_mixed_home(folder)
        (folder / "small.yaml").write_text(CONFIG, encoding="utf-8")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RAGBENCH_HOME", str(folder))
            run_experiment(*load_config(str(folder / "small.yaml")))
            write_report(folder / "runs" / "small")

    return made_once(tmp_path_factory, "sums", make)


@pytest.fixture
def run(whole: Path, home: Path) -> Path:
    """A private copy of the run, in a home where it can be continued."""
    shutil.copytree(whole, home, dirs_exist_ok=True)
    return home / "runs" / "small"


def analyzed(run: Path) -> bytes:
    """Return the tables that ``ragbench analyze`` writes."""
    write_tables(load_run(run))
    return (run / "results.csv").read_bytes() + (run / "effects.csv").read_bytes()


def scored(run: Path) -> bytes:
    """Return the tables after ``ragbench score``."""
    score_run(RunPaths(run))
    return analyzed(run)


def continued(run: Path) -> bytes:
    """Return the tables after the same ``ragbench run``."""
    assert run_experiment(*load_config(str(run.parents[1] / "small.yaml"))).errors == 0
    return analyzed(run)


COMMANDS: tuple[Callable[[Path], bytes], ...] = (analyzed, scored, continued)
SLOW = pytest.mark.slow
# Reading what is on disk is quick; the commands that write it again are in the slow tier.
EVERY = (analyzed, *(pytest.param(command, marks=SLOW) for command in (scored, continued)))


def flip(path: Path, draw: random.Random) -> None:
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(data)


@pytest.mark.parametrize("pattern", [pytest.param(kind, marks=SLOW) for kind in KINDS])
def test_one_flipped_bit_is_found_or_changes_no_figure(run: Path, pattern: str) -> None:
    """Four places per kind of file and command: an error of ragbench, or the same tables."""
    expected = analyzed(run)
    draw = random.Random(pattern)
    files = sorted(run.glob(pattern))
    assert files
    found = 0
    for place in range(12):
        copy = run.with_name("small")
        path = draw.choice(files)
        kept = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
        flip(path, draw)
        try:
            assert COMMANDS[place % 3](copy) == expected, (path.name, place)
        except RagbenchError:
            found += 1
        for p in [p for p in run.rglob("*") if p.is_file()]:
            p.unlink() if p not in kept else None
        for p, data in kept.items():
            p.write_bytes(data)
    assert found >= 4 if pattern != "config.yaml" else found  # `analyze` finds every one


def test_one_flipped_bit_of_any_kind_of_file_is_found(run: Path) -> None:
    """One place per kind; the slow tier has twelve, and commands that write the file again."""
    draw = random.Random(3)
    for pattern in KINDS:
        path = draw.choice(sorted(run.glob(pattern)))
        kept = path.read_bytes()
        flip(path, draw)
        with pytest.raises(DataError):
            load_run(run)
        path.write_bytes(kept)
    load_run(run)


def test_analyze_names_the_file_and_line_of_every_kind(run: Path) -> None:
    for pattern in KINDS:
        path = sorted(run.glob(pattern))[-1]
        data = path.read_bytes()
        line = data.rstrip(b"\n").rfind(b"\n") + 1  # the last one
        place = line + 5 if path.suffix == ".jsonl" else len(data) // 2
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(DataError) as caught:
            load_run(run)
        lines = data.count(b"\n")
        where = f"{path}:{lines}" if path.suffix == ".jsonl" else str(path)
        assert caught.value.where.startswith(str(run) if path.name == "run.json" else where)
        path.write_bytes(data)
    load_run(run)


def change(run: Path, name: str, **fields: Any) -> str:
    """Change fields of the second line of a JSON-lines file, and return its place."""
    path = run / name
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | fields)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"{path}:2"


@pytest.mark.parametrize("command", EVERY, ids=lambda command: command.__name__)
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("records/scripted+written+bm25-2.0.jsonl", {"reply": "The answer is A."}),
        (CELL, {"log_likelihoods": [-1.0, -2.0, -3.0]}),
        (CELL, {"prompt": "0" * 64}),
        (CELL, {"key": "0" * 64}),
        (CELL, {"question_id": "q-scurvy"}),
        (CELL, {"question": "0" * 64}),
    ],
    ids=str,
)
def test_an_edited_record_is_named_by_every_command(
    run: Path, name: str, fields: dict[str, Any], command: Callable[[Path], bytes]
) -> None:
    where = change(run, name, **fields)
    with pytest.raises(DataError, match="has changed since it was written") as caught:
        command(run)
    assert caught.value.where == where


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_records_of_another_arm_are_refused(run: Path, command: Callable[[Path], bytes]) -> None:
    shutil.copyfile(run / "records/scripted+facts+random-bm25-2.0.jsonl", run / CELL)
    with pytest.raises(DataError, match="of scripted, facts, random-bm25-2, not of") as caught:
        command(run)
    assert caught.value.where == f"{run / CELL}:1"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("questions/facts.jsonl", {"answer": 2}),
        ("packed/facts+bm25-2.jsonl", {"gold": 0}),
        ("retrieval/facts+bm25.quality.jsonl", {"value": 0.5}),
        ("passages.jsonl", {"text": "other"}),
    ],
)
@pytest.mark.parametrize("command", EVERY[:2], ids=lambda command: command.__name__)
def test_an_edited_input_is_named(
    run: Path, name: str, fields: dict[str, Any], command: Callable[[Path], bytes]
) -> None:
    where = change(run, name, **fields)
    with pytest.raises(DataError, match=r"has changed since it was written") as caught:
        command(run)
    assert caught.value.where == where


@pytest.mark.parametrize("name", ["quality.jsonl", "trec"])
@pytest.mark.parametrize("content", [b"", None])
@pytest.mark.parametrize("command", EVERY, ids=lambda command: command.__name__)
def test_an_emptied_or_missing_ranking_is_refused(
    run: Path, name: str, content: bytes | None, command: Callable[[Path], bytes]
) -> None:
    path = run / "retrieval" / f"facts+bm25.{name}"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DataError, match="missing" if content is None else "has changed") as caught:
        command(run)
    assert str(path) in caught.value.where


def test_a_record_that_answers_other_questions_is_refused(run: Path) -> None:
    """Sums that were made again do not hide that the right answer was changed."""
    change(run, "questions/facts.jsonl", answer=2)
    reseal(run, questions=False)
    with pytest.raises(DataError, match="answers another question") as caught:
        score_run(RunPaths(run))
    assert caught.value.where.startswith(f"{run}/records/") and caught.value.where.endswith(":2")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
@pytest.mark.parametrize(
    ("source", "names", "what"),
    [
        ("facts+bm25-2", "", "answers another question"),
        ("facts+bm25-2", "question", "has other passages than its arm"),
        ("facts+bm25-2", "question passages", "answers another prompt"),
        ("facts+bm25-2", "question passages prompt", "answers another prompt"),
        ("facts+bm25-2", "question passages key", "answers a prompt that the run does not have"),
        ("facts+bm25-1", "question arm", "has other passages than its arm"),
        ("written+bm25-2", "question passages task", "answers another prompt"),
    ],
)
def test_a_record_from_elsewhere_under_right_sums_is_named(
    run: Path,
    source: str,
    names: str,
    what: str,
    command: Callable[[Path], bytes],
) -> None:
    """The second record of a cell in the place of the first, with some fields of the first.

    All sums are made again, as a script would that knows the format.
    """
    path = run / CELL
    own, *others = path.read_text().splitlines()
    first = json.loads(own)
    pasted = json.loads((run / f"records/scripted+{source}.0.jsonl").read_text().splitlines()[1])
    pasted |= {name: first[name] for name in ("question_id", *names.split())}
    if "key" in names:
        pasted["prompt"] = "0" * 64
    path.write_text("\n".join([json.dumps(sealed_line(pasted)), *others]) + "\n")
    folder = RunPaths(run)
    write_sums(folder, measure(folder, (*INPUTS, *GROWING, *SCORES)))
    with pytest.raises(DataError, match=None if command is continued else what) as caught:
        command(run)
    assert caught.value.where == f"{path}:1"


def test_a_second_answer_to_a_question_is_refused(run: Path) -> None:
    path = run / CELL
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    with pytest.raises(DataError, match="answered a second time"):
        score_run(RunPaths(run))


def test_removed_records_are_asked_again_and_bound_the_scores(run: Path) -> None:
    expected = analyzed(run)
    path = run / CELL
    kept = path.read_text().splitlines(keepends=True)
    path.write_text("".join(kept[1:]))
    with pytest.raises(DataError, match="has changed since the run was scored") as caught:
        load_run(run)
    assert caught.value.fix == "ragbench score small"
    assert score_run(RunPaths(run)) == 1
    assert (load_run(run).scores.outcome == "error").sum() == 1
    assert continued(run) == expected


def test_a_file_that_does_not_belong_to_the_run_is_refused(run: Path) -> None:
    """A second set of measures would be further rows of the results."""
    for suffix in ("json", "quality.jsonl"):
        source = run / "retrieval" / f"facts+bm25.{suffix}"
        shutil.copyfile(source, run / "retrieval" / f"facts+other.{suffix}")
    for command in (analyzed, scored):
        with pytest.raises(DataError, match="is not part of the run"):
            command(run)


def test_a_run_in_progress_is_not_analysed(run: Path) -> None:
    (run / "sums.json").unlink()
    for command in (analyzed, scored):
        with pytest.raises(DataError, match="being written, or was interrupted"):
            command(run)
    continued(run)


def test_a_folder_of_format_4_is_read_scored_and_continued(run: Path) -> None:
    """It has no sums of its own; scoring it writes sums of what is there."""
    expected = analyzed(run)
    (run / "sums.json").unlink()
    about = json.loads((run / "run.json").read_text()) | {"format": 4}
    del about["seal"]
    (run / "run.json").write_text(json.dumps(about))
    for path in run.glob("records/*"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        for line in lines:
            del line["sum"], line["question"]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert analyzed(run) == expected
    assert scored(run) == expected
    data = (run / CELL).read_bytes()
    (run / CELL).write_bytes(data.replace(b"-2.0", b"-1.0", 1))
    if (run / CELL).read_bytes() != data:
        for command in (analyzed, scored):
            with pytest.raises(DataError, match=r"records/.* has changed"):
                command(run)
    (run / CELL).write_bytes(data)
    assert continued(run) == expected
    assert read_run_file(run / "run.json").format == 5
    assert all("sum" in json.loads(line) for line in (run / CELL).read_text().splitlines())


VALUES: tuple[Any, ...] = (
    *(..., None, 0, -1, True, "", "x", "../x", [], {}, [None], {"a": 1}, 1.5, 10**30, -(10**30)),
    *(float("nan"), float("inf"), "\0", "\ud800"),
)


def places(value: Any, *above: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the keys and indexes that lead to each part of a JSON value."""
    if above:
        yield above
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from places(value[key], *above, key)


@pytest.mark.parametrize("count", [8, pytest.param(60, marks=SLOW)])
def test_no_value_of_run_json_ends_in_another_kind_of_error(run: Path, count: int) -> None:
    """One part of run.json is missing or has another value, and the seal is that of the change."""
    draw = random.Random(21)
    text = (run / "run.json").read_text(encoding="utf-8")
    every = [place for place in places(json.loads(text)) if place[0] in ("config", "identity")]
    outcomes = []
    for number in range(count):
        about = json.loads(text)
        *above, last = draw.choice(every)
        inner = about
        for key in above:
            inner = inner[key]
        value = draw.choice(VALUES)
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
        (run / "run.json").write_text(json.dumps(about), encoding="utf-8")
        reseal(run)
        try:
            COMMANDS[number % 2](run)
            outcomes.append("read")
        except RagbenchError as error:
            assert str(run) in error.where or error.fix, error
            outcomes.append("refused")
    if count >= 60:  # which of a few are refused depends on the keys that a run.json has
        assert min(outcomes.count(kind) for kind in ("refused", "read")) > count // 6


@pytest.mark.parametrize(
    ("place", "value", "problem"),
    [
        ("identity.tasks.facts", ..., "no facts of the task 'facts'"),
        ("identity.models.scripted", ..., "no facts of the model 'scripted'"),
        ("identity.tasks.facts.arms.1", "gone", "no arm 'gone' of the task 'facts'"),
        ("identity.tasks.facts.metrics", [], "no metrics of the task 'facts'"),
        ("config.arms.3.like", "gone", "no arm 'gone', which 'random-bm25-2' imitates"),
        ("config.models", [], "no models"),
        ("config.arms.1.k", 10**30, "unreadable 'config.arms.k'"),
        ("config.analysis.alpha", 0, "the alpha 0"),
        ("identity.tasks.facts.metrics.0", "grade", "missing the column 'grade'"),
    ],
)
def test_a_run_json_that_names_what_is_not_there_is_refused(
    run: Path, place: str, value: object, problem: str
) -> None:
    about: Any = json.loads((run / "run.json").read_text(encoding="utf-8"))
    *above, last = (int(key) if key.isdigit() else key for key in place.split("."))
    inner = about
    for key in above:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    (run / "run.json").write_text(json.dumps(about), encoding="utf-8")
    reseal(run)
    with pytest.raises(DataError, match=problem):
        load_run(run)


def test_sums_name_every_file_once(run: Path) -> None:
    sums = read_sums(RunPaths(run))
    assert sums is not None
    for pattern in KINDS:
        names = {path.relative_to(run).as_posix() for path in run.glob(pattern)}
        assert names <= {*sums, "sums.json"}
    text = (run / CELL).read_bytes()
    assert sums[CELL].size == len(text)
    assert len(sums[CELL].lines or "") == 4 * text.count(b"\n")
    assert sums["retrieval/facts+bm25.trec"].lines is None
    assert isinstance(sums["run.json"], FileSum)
