"""CLUE's tasks from file to report: one run of all of them, a few questions each."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ragbench.analysis.load import load_run
from ragbench.analysis.results import write_tables
from ragbench.corpora.corpus import Corpus
from ragbench.corpora.open import open_corpus
from ragbench.experiment.config.config import load_config
from ragbench.experiment.grid.building import build_missing
from ragbench.experiment.grid.gold import find_gold
from ragbench.experiment.grid.grid import Grid
from ragbench.experiment.stages.deliver import pack_all
from ragbench.experiment.stages.documents import whole
from ragbench.experiment.stages.retrieve import retrieve_all
from ragbench.experiment.stages.score import score_run
from ragbench.indexes.built import open_index
from ragbench.report.write import write_report
from ragbench.runfolder.paths import RunPaths
from ragbench.runfolder.records import last_records, read_records
from ragbench.runfolder.runfile import read_run_file
from tests.conftest import ragbench
from tests.report.reading import data, read
from tests.runfolder.sealing import reseal
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
  - {name: scripted, backend: scripted, rule: overlap}
tasks:
  - {name: mednli, limit: 2, options: {shots: 1}}
  - {name: meqsum, limit: 2, options: {path: data/meqsum.jsonl, shots: 1}}
  - {name: problem_list, limit: 2, options: {shots: 1}}
  - {name: medisumqa, limit: 2}
  - {name: medisumcode, limit: 2}
  - {name: longhealth1, limit: 4, options: {draws: 1}}
  - {name: longhealth2, limit: 2, options: {draws: 1, distractors: 3}}
  - {name: longhealth3, limit: 2, options: {draws: 1, distractors: 3}, scoring: generate}
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
        run = RunPaths(folder / "runs" / "clue")
        retrieve_all(grid, run, build_missing(grid.config, grid.tasks))
        pack_all(grid, run)
    return folder


@pytest.fixture
def run(clue_home: Path, monkeypatch: pytest.MonkeyPatch) -> RunPaths:
    monkeypatch.setenv("RAGBENCH_HOME", str(clue_home))
    return RunPaths(clue_home / "runs" / "clue")


def owner(corpus: Corpus, passage: str) -> str:
    row = corpus.find(passage)
    assert row is not None
    return corpus[row].doc_id


@pytest.mark.parametrize("task", LONG)
def test_within_documents_only_the_questions_own_are_ranked(run: RunPaths, task: str) -> None:
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


def test_a_fusion_within_documents_is_of_their_passages(run: RunPaths) -> None:
    corpus = open_corpus("longhealth-passages")
    fused = ranked(run.retrieval("longhealth2", "own~documents+own-dense~documents", "trec"))
    for question in lines(run.questions("longhealth2")):
        passages = fused[question["id"]]
        own = {corpus[row].id for doc in question["documents"] for row in corpus.rows_of_doc(doc)}
        assert set(passages) == own  # the dense part ranks all of them


def test_rankings_within_documents_are_judged_by_the_place_of_the_answer(run: RunPaths) -> None:
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
    folder = RunPaths(home / "runs" / "clue")
    before = ranked(folder.retrieval("longhealth3", "own~documents", "trec"))
    retrieve_all(grid, folder, build_missing(grid.config, grid.tasks))
    after = ranked(folder.retrieval("longhealth3", "own~documents", "trec"))
    corpus = open_corpus("longhealth-passages")
    (task,) = (task for task in grid.tasks if task.spec.name == "longhealth3")
    for question in task.questions:
        assert {owner(corpus, p) for p in after[question.id]} <= set(question.documents)
    assert after != before


def test_whole_documents_are_packed_until_the_budget_ends(run: RunPaths) -> None:
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


def test_the_oracle_gives_the_passages_that_hold_the_answer(run: RunPaths) -> None:
    corpus = open_corpus("longhealth-passages")
    grid = Grid(*load_config(str(run.path.parents[1] / "clue.yaml")))
    for task in grid.tasks:
        if task.spec.name in ("longhealth1", "longhealth2"):
            gold = find_gold(task.questions, corpus, task=task.spec.name).ids
            for line in lines(run.packed(task.spec.name, "oracle-own")):
                assert tuple(line["passages"]) == gold[line["question_id"]]


@pytest.fixture(scope="module")
def finished(clue_home: Path) -> RunPaths:
    """The run to its end, by the command line, over what is packed already."""
    done = ragbench(clue_home, "run", "clue.yaml")
    assert done.returncode == 0, done.stderr
    warned = [line for line in done.stderr.splitlines() if "warning" in line.lower()]
    short = "answers ended at the limit of tokens before an answer"
    assert all(line.startswith("warning: ") and short in line for line in warned)  # of no library
    note = next(x for x in done.stderr.splitlines() if "note: documents on longhealth2" in x)
    assert "the budget of 260 tokens left passages out for 2 of 2 questions" in note
    assert note.endswith("raise the arm's budget_tokens")
    return RunPaths(clue_home / "runs" / "clue")


@pytest.fixture(scope="module")
def scores(finished: RunPaths) -> pd.DataFrame:
    return pd.read_parquet(finished.scores("correct"))


TEXTS = ("meqsum", "problem_list", "medisumqa", "medisumcode")
N = dict.fromkeys(FILES, 2) | {"longhealth1": 4}
ARMS = {name: ["closed-book", "bm25-1"] for name in ("mednli", *TEXTS)} | {
    "longhealth1": ["closed-book", "documents", "own-1", "oracle-own"],
    "longhealth2": ["closed-book", "documents", "own-1", "own-fused-1", "oracle-own"],
    "longhealth3": ["closed-book", "documents", "own-1"],
}


def test_every_question_of_every_arm_is_answered(scores: pd.DataFrame) -> None:
    found = scores.groupby(["task", "arm"]).size().to_dict()
    assert found == {(task, arm): N[task] for task, arms in ARMS.items() for arm in arms}
    assert set(scores.outcome) <= {"parsed", "unparsed", "truncated", "refused"}


def test_what_is_recorded_of_the_tasks(finished: RunPaths) -> None:
    about = read_run_file(finished.run).identity.tasks
    for name, place in PLACES.items():
        path = finished.path.parents[1] / place
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        assert about[name].sources_of_questions == {path.name: digest}
    asked = {name: {q["id"] for q in lines(finished.questions(name))} for name in ARMS}
    for name in ("mednli", *TEXTS):
        assert about[name].examples
        excluded = {identifier for identifier, _ in about[name].excluded}
        assert set(about[name].examples) <= excluded
        assert not excluded & asked[name]
    assert ("medisumcode-0011", "no gold code") in about["medisumcode"].excluded
    restricted = {name for name in ARMS if about[name].data_use == "restricted"}
    assert restricted == {"mednli", "problem_list", "medisumqa", "medisumcode"}
    assert about["mednli"].cluster_unit == "premise"
    assert about["longhealth3"].scoring == "generate"
    assert about["longhealth1"].scoring == "letters"


def rouge_l(reply: str, reference: str) -> float:
    """ROUGE-L as it is written down, by the recursion of the common subsequence."""
    mine, theirs = (re.findall("[a-z0-9]+", text.lower()) for text in (reply, reference))

    @cache
    def common(i: int, j: int) -> int:
        if i == len(mine) or j == len(theirs):
            return 0
        if mine[i] == theirs[j]:
            return 1 + common(i + 1, j + 1)
        return max(common(i + 1, j), common(i, j + 1))

    length = common(0, 0)
    return 2 * length / (len(mine) + len(theirs)) if length else 0.0


def test_texts_are_scored_against_their_references(
    finished: RunPaths, scores: pd.DataFrame
) -> None:
    for task in TEXTS[:3]:
        references = {q["id"]: q["reference"] for q in lines(finished.questions(task))}
        for row in scores[scores.task == task].to_dict(orient="records"):
            expected = rouge_l(row["reply"], references[row["question_id"]])
            assert row["rougeL"] == pytest.approx(expected)
            assert pd.isna(row["accuracy"])
    codes = scores[scores.task == "medisumcode"]
    gold = {q["id"]: q["reference"].split(", ") for q in lines(finished.questions("medisumcode"))}
    for row in codes.to_dict(orient="records"):
        named = set(re.findall(r"\b[A-Z][0-9][0-9A-Z][0-9A-Z]{0,4}\b", row["reply"].upper()))
        right = len(named & set(gold[row["question_id"]]))
        assert row["code_hits"] == right
        assert row["code_gold"] == len(gold[row["question_id"]])


def test_letters_are_the_likeliest(finished: RunPaths, scores: pd.DataFrame) -> None:
    for arm in ARMS["longhealth2"]:
        cell = scores[(scores.task == "longhealth2") & (scores.arm == arm)]
        rows = {row["question_id"]: row for row in cell.to_dict(orient="records")}
        for record in read_records(finished.records("scripted", "longhealth2", arm)):
            found = record.log_likelihoods or ()
            row = rows[record.question_id]
            assert len(found) == 6
            assert row["pick"] == found.index(max(found))
            assert row["over_refusal"] == float(row["pick"] == 5)


def test_prompts_differ_by_their_passages_alone(finished: RunPaths) -> None:
    prompts = {line["digest"]: line["text"] for line in lines(finished.prompts)}
    texts = {line["id"]: line["text"] for line in lines(finished.passages)}
    for task, arms in ARMS.items():
        of = {arm: last_records(finished.records("scripted", task, arm)) for arm in arms}
        for arm in arms[1:]:
            for identifier, record in of[arm].items():
                prompt = prompts[record.prompt]
                entries = (f"[{n}]\n{texts[p]}\n\n" for n, p in enumerate(record.passages, 1))
                block = "".join(entries)
                given = f"Reference passages:\n\n{block}" if block else ""
                assert given in prompt
                bare = prompts[of["closed-book"][identifier].prompt]
                assert prompt.replace(given, "", 1) == bare


def test_scored_and_analysed_again_it_is_the_same(finished: RunPaths) -> None:
    kept = {p: p.read_bytes() for p in finished.path.glob("*.csv")}
    assert {path.name for path in kept} > {"results.csv", "effects.csv"}
    assert score_run(finished) == 0
    run = load_run(finished.path)
    assert run.corpus_of("longhealth1", "documents") == "longhealth"
    write_tables(run)
    assert {p: p.read_bytes() for p in finished.path.glob("*.csv")} == kept


def test_the_report_of_tasks_of_all_kinds(finished: RunPaths) -> None:
    text = (finished.path / "report.md").read_text(encoding="utf-8").replace("\\_", "_")
    for task, metric in (
        ("mednli", "accuracy"),
        ("meqsum", "rougeL"),
        ("problem_list", "rougeL"),
        ("medisumqa", "rougeL"),
        ("medisumcode", "code_em_f1"),
        ("longhealth3", "accuracy"),
    ):
        assert f"| scripted | {task} ({metric}) | closed-book | {N[task]} |" in text
    assert "- to -" not in text
    assert "nan" not in re.split(r"[^a-z]+", text.lower())
    assert "| one cluster" not in text
    # Two questions of one premise, or of one patient, have no interval.
    assert "(no interval: it takes 8 clusters, and there is only 1, n = 2 in 1 cluster" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| scripted | ")]
    micro = {row[1] for row in rows if row[3] == "code_micro_f1"}
    assert micro == {"medisumcode"}
    assert {row[1] for row in rows if row[3] == "over_refusal"} == {"longhealth2"}
    assert {row[1] for row in rows if row[3] == "hallucination"} == {"longhealth3"}
    assert "Note on medisumcode: not asked: 1 (few-shot example), 1 (no gold code)." in text


def test_retrieval_of_clustered_questions_has_intervals_by_cluster(finished: RunPaths) -> None:
    results = pd.read_csv(finished.path / "results.csv")
    quality = results[(results.model == "-") & (results.metric == "R@1")]
    first, second = (quality[quality.task == f"longhealth{n}"] for n in (1, 2))
    assert set(first.n_clusters) == {2}
    assert set(second.n_clusters) == {1}
    assert second.ci_low.isna().all()


def test_restricted_texts_are_in_no_report(finished: RunPaths) -> None:
    page = (finished.path / "report.html").read_text(encoding="utf-8")
    text = (finished.path / "report.md").read_text(encoding="utf-8")
    (told,) = [p for p in read(page).all("p") if p.attributes.get("id") == "withheld"]
    for task in ("mednli", "problem_list", "medisumqa", "medisumcode"):
        assert f"task {task}" in told.text
    for task in ARMS:
        for question in lines(finished.questions(task)):
            for words in (question["query"], question["reference"], question["text"]):
                shown = json.dumps(words)[1:-1]
                assert not words or (shown not in page and words not in text)
    for path in finished.path.glob("records/*.jsonl"):
        for record in lines(path):
            if record["reply"] and len(record["reply"]) > 12:
                assert json.dumps(record["reply"])[1:-1] not in page


def test_an_open_run_shows_references_and_grades(finished: RunPaths, home: Path) -> None:
    """The same run, as if its data were open: what a reader of MeQSum's page sees."""
    copy = home / "runs" / "clue"
    shutil.copytree(finished.path, copy)
    about = json.loads((copy / "run.json").read_text(encoding="utf-8"))
    for task in about["identity"]["tasks"].values():
        task["data_use"] = "open"
    for corpus in about["identity"]["corpora"].values():
        corpus["data_use"] = "open"
    (copy / "run.json").write_text(json.dumps(about), encoding="utf-8")
    reseal(copy)
    write_report(copy)
    blocks = data(read((copy / "report.html").read_text(encoding="utf-8")))
    core, texts = (json.loads(blocks[f"data-{part}"]) for part in ("core", "texts"))
    place = next(i for i, task in enumerate(core["tasks"]) if task["name"] == "meqsum")
    assert core["tasks"][place]["graded"]
    asked = lines(copy / "questions" / "meqsum.jsonl")
    assert texts[place]["references"] == [q["reference"] for q in asked]
    table = pd.read_parquet(copy / "scores" / "correct.parquet")
    own = table[(table.task == "meqsum") & (table.arm == "closed-book")]
    grades = core["tasks"][place]["cells"][0]["right"]
    assert grades == pytest.approx(list(own.rougeL), abs=0.001)
    assert not any(math.isnan(grade) for grade in grades)
