"""``ragbench index eval``, against ir-measures called directly and by hand."""

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
from tests.cli.conftest import QRELS, QUERIES


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
    assert "3 queries, 1 of them without hits; qrels match passage ids\n" in done.stdout
    assert "excluded: 1 queries without qrels, 1 judged but not asked\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


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
        (["--run-file", "r", "--against", "bm25-x"], "'bm25-x' has no queries to search"),
        (["--run-file", "r", "--against", "b", "--against-run", "r"], "exclude each other"),
        (["--run-file", "r", "--id-field", "nr"], "name fields of a file of queries"),
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


def test_means_have_intervals(small: Path) -> None:
    """P@1 is 1, 0, 0; Wilson's interval of 1 in 3 by statsmodels."""
    from statsmodels.stats.proportion import proportion_confint

    found = evaluate("--queries", "q.jsonl", "-m", "P@1")
    assert found["P@1"] == pytest.approx(1 / 3)
    assert found["intervals"]["P@1"] == pytest.approx(proportion_confint(1, 3, method="wilson"))
    done = run("eval", "bm25-small", "--queries", "q.jsonl", "--qrels", "qrels", "-m", "P@1")
    assert "measure   value  95 % interval\nP@1      0.3333  0.0615 to 0.7923\n" in done.stdout


def test_queries_without_a_relevant_passage_are_counted_and_score_0(small: Path) -> None:
    """q1 finds its passage; that of q2 is outside the corpus; for q3 nothing is relevant."""
    (small / "qrels").write_text("q1 0 d2 1\nq2 0 zz 1\nq3 0 d3 0\n", encoding="utf-8")
    asked = ("--queries", "q.jsonl", "-m", "RR@10", "--missing", "count")
    found = evaluate(*asked)
    assert found["RR@10"] == pytest.approx(1 / 3)
    counts = {key: found[f"n_{key}"] for key in ("queries", "absent", "unreachable", "irrelevant")}
    assert counts == {"queries": 3, "absent": 1, "unreachable": 1, "irrelevant": 1}
    done = run("eval", "bm25-small", "--qrels", "qrels", *asked)
    said = "2 queries have no relevant passage in the corpus (for 1 of them\nthe qrels name none)"
    assert f"{said}; they score 0 in every mean, as in trec_eval\n" in done.stdout


def test_each_query_in_a_table_and_as_json_lines(small: Path) -> None:
    asked = ("eval", "bm25-small", "--qrels", "qrels", "--queries", "q.jsonl", "--per-query")
    done = run(*asked, "-m", "RR@10", "-m", "R@2", "--json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"query": query, "measure": measure, "value": value}
        for query, value in (("q1", 1.0), ("q2", 0.0), ("q3", 0.0))
        for measure in ("RR@10", "R@2")
    ]
    table = run(*asked, "-m", "RR@10").stdout.splitlines()
    assert table[:5] == [
        "query  measure   value",
        "q1     RR@10    1.0000",
        "q2     RR@10    0.0000",
        "q3     RR@10    0.0000",
        "",
    ]


def test_two_indexes_are_compared_over_the_same_queries(small: Path) -> None:
    """Six queries: the stemming index finds "fevers" and "rashes" (RR 1), okapi does not (RR 0)."""
    build_index("bm25-okapi", "small")
    texts = ["fevers cough", "rashes", "stroke", "gout foot", "rashes", "nothing known"]
    lines = [json.dumps({"id": f"t{n}", "query": text}) for n, text in enumerate(texts)]
    (small / "q.jsonl").write_text("\n".join(lines), encoding="utf-8")
    right = ("d1", "d3", "d4", "d0", "d3", "d0")
    text = "".join(f"t{n} 0 {passage} 1\n" for n, passage in enumerate(right))
    (small / "qrels").write_text(text, encoding="utf-8")
    asked = ("--queries", "q.jsonl", "--against", "bm25-okapi-small", "-m", "RR@10", "-m", "R@1")
    found = evaluate(*asked)
    assert found["RR@10"] == pytest.approx(5 / 6)
    assert found["against"]["name"] == "bm25-okapi-small"
    assert found["against"]["RR@10"] == pytest.approx(3 / 6)
    part = found["differences"]["RR@10"]
    assert part["estimate"] == pytest.approx(2 / 6)
    assert (part["better"], part["worse"]) == (2, 0)
    # The same words twice are one cluster; five clusters have no interval.
    assert found["n_clusters"] == 5
    assert part["low"] is part["p"] is None
    done = run("eval", "bm25-small", "--qrels", "qrels", *asked)
    assert "first: bm25-small; second: bm25-okapi-small" in done.stdout
    assert "6 queries in 5 clusters" in done.stdout and "fewer than 8 give neither" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_two_runs_are_compared(small: Path) -> None:
    """RR of q1, q2, q3, q9: 1, 1, 0, 0 against 1/2, 0, 0, 0."""
    (small / "a").write_text("q1 Q0 d2 1 9 t\nq2 Q0 d1 1 9 t\n", encoding="utf-8")
    (small / "b").write_text("q1 Q0 d4 1 9 t\nq1 Q0 d2 2 8 t\n", encoding="utf-8")
    asked = ("--run-file", "a", "--against-run", "b", "-m", "RR")
    part = evaluate(*asked)["differences"]["RR"]
    assert part["estimate"] == pytest.approx((1 / 2 + 1) / 4)
    assert part["low"] < 0 < part["high"] and 0.05 < part["p"] == part["p_adjusted"]
    done = run("eval", "bm25-small", "--qrels", "qrels", *asked, "--per-query", "--json")
    assert json.loads(done.stdout.splitlines()[0]) == {
        **{"query": "q1", "measure": "RR", "value": 1.0, "other": 0.5, "difference": 0.5}
    }


def test_indexes_that_are_judged_by_other_ids_are_not_compared(small: Path) -> None:
    """The chunks of the second corpus have other ids, so that the qrels match its documents."""
    card = "reader: jsonl\npath: small.jsonl\nchunking: {chunker: sentences, size: 60}\n"
    (small / "corpora" / "chunks.yaml").write_text(card, encoding="utf-8")
    build_corpus("chunks")
    build_index("bm25", "chunks")
    (small / "qrels").write_text("q1 0 d0 1\n", encoding="utf-8")
    asked = ("--queries", "q.jsonl", "--qrels", "qrels")
    done = run("eval", "bm25-small", *asked, "--against", "bm25-chunks")
    with pytest.raises(DataError, match="passage ids in bm25-small and document ids in"):
        raise done.exception


def test_fields_of_queries_can_be_chosen(small: Path) -> None:
    lines = [json.dumps({"nr": q, "plain": text, "text": "zebra"}) for q, text in QUERIES.items()]
    (small / "own.jsonl").write_text("\n".join(lines), encoding="utf-8")
    chosen = ("--id-field", "nr", "--query-field", "plain")
    assert evaluate("--queries", "own.jsonl", *chosen) == evaluate("--queries", "q.jsonl")
    done = run("search", "bm25-small", "--queries", "own.jsonl", "--run", "out", *chosen)
    assert done.stdout == "wrote out: 4 queries, 6 hits; 1 queries have no hit\n"
    done = run("search", "bm25-small", "--queries", "own.jsonl", "--run", "out", "--id-field", "no")
    with pytest.raises(DataError, match="the line has no field 'no'") as caught:
        raise done.exception
    assert caught.value.fix == "known: nr, plain, text"


def test_several_runs_are_each_compared_with_the_first(small: Path) -> None:
    """RR of q1, q2, q3, q9: 1, 1, 0, 0 against 1/2, 0, 0, 0 and against itself."""
    (small / "a").write_text("q1 Q0 d2 1 9 t\nq2 Q0 d1 1 9 t\n", encoding="utf-8")
    (small / "b").write_text("q1 Q0 d4 1 9 t\nq1 Q0 d2 2 8 t\n", encoding="utf-8")
    (small / "c").write_text((small / "a").read_text(encoding="utf-8"), encoding="utf-8")
    asked = ("--run-file", "a", "--against-run", "b", "--against-run", "c", "-m", "RR")
    first, second = evaluate(*asked)["against"]
    assert (first["name"], second["name"]) == ("b", "c")
    assert (first["RR"], second["RR"]) == pytest.approx((1 / 8, 2 / 4))
    parts = [one["differences"]["RR"] for one in (first, second)]
    assert [part["estimate"] for part in parts] == pytest.approx([3 / 8, 0])
    # Holm over both: the smaller p is doubled, and p of no difference stays 1.
    assert parts[0]["p_adjusted"] == pytest.approx(min(1, 2 * parts[0]["p"]))
    assert parts[1]["p_adjusted"] == 1
    done = run("eval", "bm25-small", "--qrels", "qrels", *asked)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["RR", "a", "0.5000"] in lines
    assert any(line[:3] == ["b", "0.1250", "+0.3750"] for line in lines)
    assert max(map(len, done.stdout.splitlines())) <= 80
    each = run("eval", "bm25-small", "--qrels", "qrels", *asked, "--per-query", "--json")
    assert [json.loads(line) for line in each.stdout.splitlines()[:2]] == [
        {"query": "q1", "measure": "RR", "value": 1.0, "against": name, "other": other}
        | {"difference": 1.0 - other}
        for name, other in (("b", 0.5), ("c", 1.0))
    ]
