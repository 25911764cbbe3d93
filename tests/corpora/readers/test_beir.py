"""BEIR collections: the documents, and queries and judgements through the command line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import ir_measures
import pytest
from ir_measures import AP, RR, P, Qrel, R, ScoredDoc, nDCG

from ragbench.base.errors import DataError, PrerequisiteError
from ragbench.base.records import Passage
from ragbench.corpora.reader import Located, Skipped
from ragbench.corpora.readers.beir import BeirOptions, BeirReader
from tests.conftest import ragbench

DOCUMENTS = [
    {"_id": "MED-10", "title": "Gout of the foot", "text": "Urate crystals in a joint of the toe."},
    {"_id": "MED-14", "title": "Scurvy", "text": "A lack of vitamin C with bleeding gums."},
    {"_id": "MED-2", "title": "Rickets", "text": "A lack of vitamin D with soft bones."},
    {"_id": "MED-5", "title": "Fever of unknown origin", "text": ""},
    {"_id": "MED-6", "title": "", "text": "Cough and fever of children.", "metadata": {"url": "u"}},
    {"_id": "MED-7", "title": "", "text": " "},
    {"_id": "MED-8", "title": "Diet", "text": "Vitamin C of fruit, vitamin D of fish, and bones."},
]
QUERIES = {
    "PLAIN-1": "vitamin C",
    "PLAIN-2": "fever",
    "PLAIN-3": "soft bones",
    "PLAIN-4": "nothing that is there",
    "PLAIN-5": "gout",  # not judged
    "PLAIN-6": "toe",  # not judged
}
QRELS = [
    ("PLAIN-1", "MED-14", 2),
    ("PLAIN-1", "MED-8", 1),
    ("PLAIN-1", "MED-2", 0),
    ("PLAIN-2", "MED-5", 1),
    ("PLAIN-3", "MED-8", 1),
    ("PLAIN-3", "MED-10", 2),
    ("PLAIN-4", "MED-10", 1),
]


def write(folder: Path, *lines: object, name: str = "corpus.jsonl") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def read(path: Path) -> list[Located | Skipped]:
    return list(BeirReader(path, BeirOptions()).read())


@pytest.mark.parametrize("name", ["corpus.jsonl", "corpus.jsonl.gz"])
def test_documents_are_read_and_a_title_alone_is_a_text(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, *DOCUMENTS, name=name)
    write(tmp_path, {"_id": "q", "text": "a query"}, name="queries.jsonl")
    found = read(tmp_path)
    assert found == read(path)
    assert found[0] == Located(
        Passage("MED-10", "MED-10", "Gout of the foot", "Urate crystals in a joint of the toe."),
        f"{path}:1",
    )
    assert found[3] == Located(
        Passage("MED-5", "MED-5", "", "Fever of unknown origin"), f"{path}:4"
    )
    assert found[5] == Skipped("empty text", f"{path}:6")
    assert len(found) == len(DOCUMENTS)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ({"id": "a", "text": "x"}, "the field '_id' is missing"),
        ({"_id": "a", "title": "t"}, "the field 'text' is missing"),
        ({"_id": "a", "title": "t", "text": None}, "the field 'text' is missing"),
        ({"_id": "a", "title": 0.5, "text": "x"}, "the field 'title' is a float, not text"),
        ({"_id": "a", "title": "t", "text": []}, "the field 'text' is a list, not text"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: object, what: str) -> None:
    path = write(tmp_path, DOCUMENTS[0], line)
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert (caught.value.what, caught.value.where) == (what, f"{path}:2")


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(PrerequisiteError, match="the beir reader needs a path"):
        BeirReader(None, BeirOptions())
    with pytest.raises(DataError, match="the collection is not there"):
        BeirReader(tmp_path / "none", BeirOptions()).sources()
    with pytest.raises(DataError, match=r"the folder holds no corpus\.jsonl"):
        BeirReader(tmp_path, BeirOptions()).sources()
    write(tmp_path, *DOCUMENTS)
    write(tmp_path, *DOCUMENTS, name="corpus.jsonl.gz")
    with pytest.raises(DataError, match="the folder holds both"):
        BeirReader(tmp_path, BeirOptions()).sources()


@pytest.mark.slow
def test_a_collection_is_built_indexed_and_judged_as_ir_measures_does(home: Path) -> None:
    """Only judged queries count, one that finds nothing as 0, as BEIR's own evaluation does."""
    folder = home / "tiny"
    write(folder, *DOCUMENTS)
    queries = [{"_id": key, "text": text, "metadata": {}} for key, text in QUERIES.items()]
    write(folder, *queries, name="queries.jsonl")
    (folder / "qrels").mkdir()
    rows = "".join(f"{query}\t{doc}\t{grade}\n" for query, doc, grade in QRELS)
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{rows}")
    measures = [nDCG @ 10, R @ 100, R @ 1, P @ 2, RR @ 10, AP]
    for command in (
        *[
            ("corpus", "add", "tiny", "--name", "tiny", "--reader", "beir"),
            ("corpus", "build", "tiny"),
        ],
        ("index", "build", "bm25", "--corpus", "tiny"),
    ):
        done = ragbench(home, *command)
        assert done.returncode == 0, done.stderr
    done = ragbench(
        home,
        *["index", "eval", "bm25-tiny", "--queries", "tiny/queries.jsonl", "--json"],
        *["--qrels", "tiny/qrels/test.tsv", "--run", "bm25.run"],
        *[part for measure in measures for part in ("-m", str(measure))],
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["n_queries"] == 4
    assert said["n_missing"] == 2
    assert said["n_without_hits"] == 1

    lines = [line.split() for line in (home / "bm25.run").read_text().splitlines()]
    assert {"MED-5", "MED-6"} == {doc for query, _, doc, *_ in lines if query == "PLAIN-2"}
    run = [ScoredDoc(query, doc, -float(rank)) for query, _, doc, rank, *_ in lines]
    values = ir_measures.calc_aggregate(measures, [Qrel(*row) for row in QRELS], run)
    for measure, value in values.items():
        assert said[str(measure)] == pytest.approx(value, abs=1e-9), measure
    assert 0 < said["nDCG@10"] < 1
