"""The evidence filter: what it keeps, what it drops, and questions that keep nothing."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from ragbench.analysis.load import load_run
from ragbench.base.errors import BackendError, DataError
from ragbench.base.weights import weights_digest
from ragbench.experiment.config.config import load_config
from ragbench.experiment.run import run_experiment
from ragbench.experiment.stages.score import score_run
from ragbench.runfolder.packed import read_filtered, read_packed
from ragbench.runfolder.paths import RunPaths
from tests.conftest import FACTS
from tests.experiment.writing.cases import NAMES, UNSUPPORTED, N, case, lines, make_cases, run_cases
from tests.indexes.cross_encoders import save_cross_encoder, scored_alone

FEW = (
    "arms=[closed-book, {name: kept-1, retriever: bm25, k: 1, depth: 12, queries: parts, "
    "filter: {by: med, keep: 0.5}}]"
)
SURE = 1 / (1 + math.exp(-2.9))  # softmax of the planted log-likelihoods, -0.1 and -3


def test_only_supported_passages_are_kept(written_run: Path) -> None:
    files = RunPaths(written_run)
    judged = read_filtered(files.filtered("cases", "filtered-1"))
    packed = read_packed(files.packed("cases", "filtered-1"))
    for name in NAMES:
        line = judged[f"q-{name}"]
        assert (line.keep, line.by) == (0.5, "med")
        right = "" if name == UNSUPPORTED else f"d-{name}"
        expected = [SURE if passage == right else 1 - SURE for passage in line.passages]
        assert line.scores == pytest.approx(expected)
        kept = () if name == UNSUPPORTED else (f"d-{name}",)
        assert line.kept == packed[f"q-{name}"].passages == kept
        assert packed[f"q-{name}"].dropped == len(line.passages) - len(kept)
    assert sum(line.dropped or 0 for line in packed.values()) > N


def test_a_question_that_keeps_nothing_is_closed_book_and_counted(written_run: Path) -> None:
    for model in ("llama", "med"):
        prompts = [
            next(
                r["prompt"]
                for r in lines(written_run / "records" / f"{model}+cases+{arm}.0.jsonl")
                if r["question_id"] == f"q-{UNSUPPORTED}"
            )
            for arm in ("filtered-1", "closed-book")
        ]
        assert prompts[0] == prompts[1]
    report = (written_run / "report.md").read_text(encoding="utf-8")
    assert "it kept none for 1, which were asked closed-book" in report
    scores = pd.read_parquet(written_run / "scores" / "correct.parquet")
    assert (scores[scores.arm == "filtered-1"].delivered_k == 0).sum() == 2


def test_every_judgement_is_a_record_with_its_passage(written_run: Path) -> None:
    records = lines(written_run / "written" / "records" / "med+cases+filter.bm25~parts~12.0.jsonl")
    judged = read_filtered(RunPaths(written_run).filtered("cases", "filtered-1"))
    assert {r["question_id"]: r["passages"] for r in records} == {
        f"{question}#{rank}": [passage]
        for question, line in judged.items()
        for rank, passage in enumerate(line.passages, 1)
    }


def test_each_judges_for_itself(home: Path) -> None:
    folder = run_cases(
        make_cases(home),
        "arms=[closed-book, {name: kept-1, retriever: bm25, k: 1, depth: 12, queries: rationale, "
        "filter: {by: each, keep: 0.5}}, {name: both-2, retriever: bm25, k: 2, depth: 12, "
        "queries: rationale, filter: {by: med, keep: 0.01}}]",
    )
    files = RunPaths(folder)
    assert not files.packed("cases", "kept-1").exists()
    for model in ("llama", "med"):
        assert len(read_filtered(files.filtered("cases", "kept-1", model))) == N
    # The same judgements serve both arms.
    names = {path.name for path in files.written.all_records()}
    assert names == {
        "llama+cases+queries.rationale.0.jsonl",
        "llama+cases+filter.bm25~rationale~12.0.jsonl",
        "med+cases+filter.bm25~rationale~12.0.jsonl",
    }
    kept = read_filtered(files.filtered("cases", "both-2"))
    assert all(line.kept == line.passages for line in kept.values())


def test_a_judge_that_gives_no_judgement_stops_the_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_cases(home)
    lines_of = (home / "med.jsonl").read_text(encoding="utf-8")
    assert "Does the passage help" in lines_of
    overrides = ["models.med.fail_on=Does the passage help"]
    loaded = load_config(str(home / "written.yaml"), [*overrides, FEW])
    with pytest.raises(BackendError, match="failed; the last: med fails on purpose"):
        run_experiment(*loaded)
    assert not list((home / "runs" / "written" / "records").glob("*"))
    run_cases(home, FEW)


def test_a_cross_encoder_filters_by_the_sigmoid_of_its_output(home: Path) -> None:
    """The scores are those of transformers for each pair alone."""
    encoder = save_cross_encoder(home / "encoder")
    folder = run_cases(
        make_cases(home),
        "arms=[closed-book, {name: ce-1, retriever: bm25, k: 1, depth: 12, queries: rationale, "
        "filter: {by: cross-encoder, model: encoder, keep: 0.5}}]",
    )
    judged = read_filtered(RunPaths(folder).filtered("cases", "ce-1"))
    assert len(judged) == N
    for line in judged.values():
        asked = case(line.question_id.removeprefix("q-"))
        names = [passage.removeprefix("d-") for passage in line.passages]
        outputs = scored_alone(encoder, [(asked, f"{n} is {FACTS[n]}.") for n in names], 512)
        assert line.scores == pytest.approx([1 / (1 + math.exp(-x)) for x in outputs], abs=1e-5)
        assert line.by == "encoder"
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert run["identity"]["filters"] == {"ce-1": weights_digest(encoder)}


def test_changed_judgements_are_refused(written_copy: Path) -> None:
    for name in ("filtered/cases+filtered-1.jsonl", "written/prompts/0.jsonl"):
        path = written_copy / name
        before = path.read_bytes()
        path.write_bytes(before.replace(b"d-gout", b"d-mumps").replace(b"urate", b"uric"))
        with pytest.raises(DataError, match="has changed since"):
            load_run(written_copy)
        with pytest.raises(DataError, match="has changed since"):
            score_run(RunPaths(written_copy))
        path.write_bytes(before)
    (written_copy / "filtered" / "cases+other.jsonl").write_text("{}")
    with pytest.raises(DataError, match="is not part of the run"):
        load_run(written_copy)
