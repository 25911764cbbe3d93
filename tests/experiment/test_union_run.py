"""An experiment over a union: what is built, TREC runs, gold, arms and what is delivered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.panels.leakage import leakage
from ragbench.base.errors import DataError, UsageError
from ragbench.base.files import read_jsonl
from ragbench.base.records import Question
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.config import load_config
from ragbench.experiment.config.spec import ArmSpec
from ragbench.experiment.grid.building import build_missing
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.grid.sources import corpora, sources
from ragbench.experiment.identity import corpus_facts
from ragbench.experiment.planning.offline import OfflineGrid
from ragbench.experiment.run import run_experiment
from ragbench.experiment.stages.arms import Context
from ragbench.experiment.stages.documents import Documents
from ragbench.experiment.stages.retrieve import ranking, retrieve_all
from ragbench.indexes.evaluation.runfile import read_run
from ragbench.runfolder.paths import RunPaths
from tests.conftest import FACTS
from tests.unions import write_texts, write_union

CONFIG = """\
name: union
indexes:
  bm25: {recipe: bm25, corpus: [book, ward]}
  two: {recipe: two-each, corpus: all}
models:
  - {name: scripted, backend: scripted, rule: overlap}
tasks:
  - {name: own, task: mcq, options: &facts {path: facts.jsonl, corpus: ward}}
  - {name: none, task: mcq, options: {path: facts.jsonl}}
arms:
  - closed-book
  - {name: bm25-2, retriever: bm25, k: 2}
  - {name: two-4, retriever: two, k: 4, tasks: [own]}
  - {control: oracle-removed, like: bm25-2}
"""


@pytest.fixture
def home(home: Path) -> Path:
    """Six facts in either of two corpora; the gold of the questions is written without them."""
    facts = {f"d-{name}": f"{name} is {text}." for name, text in FACTS.items()}
    names = list(facts)
    write_texts(home, "ward", {name: facts[name] for name in names[:6]})
    write_texts(home, "book", {name: facts[name] for name in names[6:]} | {"d-x": "no fact"})
    write_union(home, "all", ["ward", "book"])
    (home / "indexes").mkdir()
    recipe = {"kind": "quota", "of": "bm25", "quotas": {"ward": 2, "book": 2}}
    (home / "indexes" / "two-each.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    questions = [
        {
            "id": f"q-{name}",
            "question": f"Which disease is {FACTS[name]}?",
            "options": [name, "none of them"],
            "answer": name,
            "gold_doc_ids": [f"d-{name}"],
        }
        for name in ("scurvy", "malaria")
    ]
    text = "".join(json.dumps(line) + "\n" for line in questions)
    (home / "facts.jsonl").write_text(text, encoding="utf-8")
    (home / "union.yaml").write_text(CONFIG, encoding="utf-8")
    return home


def grid_of(home: Path, *overrides: str, kind: type[Grid] = Grid) -> Grid:
    return kind(*load_config(str(home / "union.yaml"), list(overrides)))


def test_what_is_missing_is_built_once(home: Path) -> None:
    grid = grid_of(home, "arms=[{retriever: bm25, k: 1}]")
    assert corpora(grid.config, grid.tasks) == ["book--ward"]
    commands = ["ragbench corpus build book--ward", "ragbench index build bm25 --corpus book--ward"]
    assert grid.missing() == commands
    manifests = build_missing(grid.config, grid.tasks)
    assert manifests["bm25-book--ward"].corpus.n == 13
    assert grid.missing() == []
    found = corpus_facts("book--ward")
    assert found.members == {name: open_corpus(name).digest for name in ("book", "ward")}


def test_a_card_that_has_changed_since_is_refused(home: Path) -> None:
    searched = grid_of(home, "arms=[{retriever: bm25, k: 1}]")
    named = grid_of(home, "indexes={}", "arms=[closed-book]", "corpora=[all]")
    for grid in (searched, named):
        build_missing(grid.config, grid.tasks)
    with (home / "corpora" / "ward.yaml").open("r+", encoding="utf-8") as file:
        card = json.load(file)
        file.seek(0)
        json.dump(card | {"duplicates": {"exact": "drop"}}, file)
    for grid in (searched, named):
        with pytest.raises(DataError, match="the card of the corpus 'ward' has changed"):
            build_missing(grid.config, grid.tasks)


def test_a_plan_tells_what_a_member_lacks(home: Path) -> None:
    (home / "corpora" / "book.jsonl").unlink()
    offline = grid_of(
        home,
        "indexes={bm25: {recipe: bm25, corpus: [book, ward]}}",
        "arms=[{retriever: bm25, k: 1}]",
        kind=OfflineGrid,
    )
    assert isinstance(offline, OfflineGrid)
    assert offline.missing() == ["ragbench corpus build ward"]
    assert [part.what for part in offline.missing_parts] == ["corpus book"]


def test_runs_gold_and_depth_over_a_union(home: Path) -> None:
    grid = grid_of(home)
    folder = RunPaths(home / "runs" / "union")
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    for task in grid.tasks:
        path = folder.retrieval(task.spec.name, "bm25", "trec")
        run = read_run(path)
        assert [found[0][0] for found in run.values()] == ["ward/d-scurvy", "book/d-malaria"]
        note = json.loads(folder.retrieval(task.spec.name, "bm25", "json").read_text())
        assert (note["corpus"], note["gold_matches"]) == ("book--ward", "passage")
        quality = dict(
            ((line["question_id"], line["measure"]), line["value"])
            for _, line in read_jsonl(folder.retrieval(task.spec.name, "bm25", "quality.jsonl"))
        )
        assert quality == {
            (question, measure): 1.0
            for question in ("q-scurvy", "q-malaria")
            for measure in ("R@2", "RR@2")
        }
    (source,) = [s for s in sources(grid.config, grid.tasks[0]) if s.key == "two"]
    for ids in ranking(folder, grid.tasks[0], source).values():
        members = [identifier.partition("/")[0] for identifier in ids]
        assert members.count("ward") <= 2 >= members.count("book")


def test_a_run_file_over_a_union_names_the_corpora(home: Path) -> None:
    run = "q-scurvy Q0 ward/d-scurvy 1 2 x\nq-malaria Q0 {} 1 2 x\n"
    arms = "arms=[{run_file: a.trec, k: 1, corpus: [ward, book]}]"
    (home / "a.trec").write_text(run.format("book/d-malaria"), encoding="utf-8")
    grid = grid_of(home, arms, "indexes={}")
    folder = RunPaths(home / "runs" / "union")
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    assert len(read_run(folder.retrieval("own", "run-file-1", "trec"))) == 2
    (home / "a.trec").write_text(run.format("d-malaria"), encoding="utf-8")
    with pytest.raises(DataError, match="1 of the 2 passage ids of the run are not"):
        retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))


def test_whole_documents_are_found_in_a_union(home: Path) -> None:
    grid = grid_of(home, "indexes={}", "arms=[closed-book]", "corpora=[all]")
    build_missing(grid.config, grid.tasks)
    context = Context(
        task="t",
        corpus=open_corpus("all"),
        ranked={},
        gold={},
        like={},
        like_spec=None,
        count_tokens=lambda text: len(text.split()),
        budget_tokens=12,
        seed=1,
    )
    question = Question(
        "q",
        "?",
        ("x", "y"),
        0,
        "?",
        documents=("d-malaria", "ward/d-scurvy"),
        gold_doc_ids=("ward/d-scurvy",),
    )
    found = Documents(ArmSpec(documents="whole")).deliver(question, context)
    assert {passage.doc_id for passage in found.passages} <= {"book/d-malaria", "ward/d-scurvy"}
    assert found.answer_truncated  # the budget ends in it, under the name that the question has


def test_a_restricted_member_keeps_the_union_here(home: Path) -> None:
    card = {"reader": "jsonl", "path": "book.jsonl", "data_use": "restricted"}
    (home / "corpora" / "book.yaml").write_text(json.dumps(card), encoding="utf-8")
    far = 'models=[{name: far, backend: server, url: "http://203.0.113.77:8000/v1", model: m}]'
    for corpus in ("[ward, book]", "all"):
        index = f"indexes={{bm25: {{recipe: bm25, corpus: {corpus}}}}}"
        grid = grid_of(home, far, index, "arms=[{retriever: bm25, k: 1}]")
        with pytest.raises(UsageError, match="is restricted, and the model 'far'"):
            _ = grid.models


def test_the_whole_run(home: Path) -> None:
    finished = run_experiment(*load_config(str(home / "union.yaml")))
    assert finished.errors == 0
    for arm, gold in (("bm25-2", 1), ("two-4", 1), ("oracle-removed-bm25-2", 0)):
        for _, line in read_jsonl(finished.folder.packed("own", arm)):
            assert (line["gold"], line["gold_known"]) == (gold, 1), arm
            named = f"d-{line['question_id'].removeprefix('q-')}"
            inner = [identifier.partition("/")[2] for identifier in line["passages"]]
            assert (named in inner) == bool(gold)
    passages = [line for _, line in read_jsonl(finished.folder.passages)]
    assert {line["id"].partition("/")[0] for line in passages} == {"ward", "book"}
    facts = leakage(load_run(finished.folder.path))
    assert facts[facts.arm == "bm25-2"].source_delivered.all()
    assert not facts[facts.arm == "oracle-removed-bm25-2"].source_delivered.any()
